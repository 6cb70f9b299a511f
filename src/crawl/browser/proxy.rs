//! The only way from the browser into the network: a proxy on loopback that asks the [`Guard`] for every connection.
//!
//! ```text
//! CONNECT host:443 ──permit, resolve──> a tunnel          GET http://host/ ──permit, resolve──> one request
//! ```
//!
//! The address that was judged is the one that is connected to, so that no name can change its meaning in between.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::{Host, Url};

use crate::crawl::address::Guard;
use crate::{Error, Result};

/// Connections at once; more wait.
const CONNECTIONS_MAX: usize = 64;
/// Refusals of one page that are remembered.
const REFUSALS_MAX: usize = 1_000;
/// Bytes of the head of one request.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long a server may take to be connected to.
const CONNECT: Duration = Duration::from_secs(15);
/// Headers between a client and its proxy, which are none of the server's business.
const HOP: [&str; 4] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authorization",
];

/// A running proxy.
pub(super) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    guard: Guard,
    /// Bytes that may still be loaded.
    left: AtomicU64,
    /// Which hosts were refused for this page, and why; none is everything.
    refusals: Mutex<Vec<(String, String)>>,
}

impl Proxy {
    /// Serves on loopback until it is dropped.
    pub(super) async fn start(guard: Guard) -> Result<Self> {
        let fail = || Error::unavailable("the browser's proxy", "listen");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(fail())?;
        let address = listener.local_addr().map_err(fail())?;
        let shared = Arc::new(Shared {
            guard,
            left: AtomicU64::new(0),
            refusals: Mutex::default(),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            _serving: serving,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new page begins, all of which may have so many bytes.
    pub(super) fn begin(&self, bytes: u64) {
        self.shared.left.store(bytes, Ordering::Relaxed);
        self.shared.refused().clear();
    }

    /// Why this host was refused, or everything, since the page began. A browser asks for things of its own, too.
    pub(super) fn refusal(&self, host: &str) -> Option<String> {
        let refused = self.shared.refused();
        let mut refused = refused.iter();
        let found = refused.find(|(of, _)| of.is_empty() || of == host)?;
        Some(found.1.clone())
    }
}

impl Shared {
    fn refused(&self) -> std::sync::MutexGuard<'_, Vec<(String, String)>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, host: &str, why: &str) {
        let mut refused = self.refused();
        if refused.len() < REFUSALS_MAX {
            refused.push((host.to_owned(), why.to_owned()));
        }
    }

    /// Takes so many bytes from what is left.
    fn spend(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let spent = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        spent.is_ok()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Ok((browser, _)) = listener.accept().await else {
            return;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            carry(browser, &shared).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Carries one connection; what fails on it ends it, as on any network.
async fn carry(mut browser: TcpStream, shared: &Shared) {
    let Some((head, rest)) = head(&mut browser).await else {
        return;
    };
    let (host, refused) = match asked(&head) {
        None => (None, "it is no request".to_owned()),
        Some(asked) => match open(&asked.at, &shared.guard).await {
            Ok(server) => {
                relay(browser, server, (&asked, &rest), shared).await;
                return;
            }
            Err(why) => (asked.at.host_str().map(str::to_owned), why),
        },
    };
    tracing::debug!(why = refused, "a request of the browser was refused");
    if let Some(host) = host {
        shared.refuse(&host, &refused);
    }
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{refused}",
        refused.len()
    );
    // Who has gone does not hear it.
    browser.write_all(answer.as_bytes()).await.ok();
}

/// Reads the head of a request, and what came with it.
async fn head(browser: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
        if let Some(end) = end {
            let rest = bytes.split_off(end + 4);
            return Some((String::from_utf8(bytes).ok()?, rest));
        }
        if bytes.len() > HEAD_BYTES_MAX || browser.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// What a browser wants of its proxy.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    at: Url,
    /// The head for the server; none for a tunnel.
    head: Option<String>,
    /// Bytes of the request's body.
    body: usize,
}

fn asked(head: &str) -> Option<Asked> {
    let mut lines = head.trim_end().split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    if method == "CONNECT" {
        return Some(Asked {
            at: Url::parse(&format!("https://{target}/")).ok()?,
            head: None,
            body: 0,
        });
    }
    let at = Url::parse(target).ok().filter(|at| at.scheme() == "http")?;
    let place = target.strip_prefix("http://")?;
    let path = place.find(['/', '?']).map_or("/", |slash| &place[slash..]);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut out = format!("{method} {slash}{path} HTTP/1.1\r\n");
    let mut body = 0;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = name.trim().to_ascii_lowercase();
        if name == "transfer-encoding" || name == "upgrade" {
            return None;
        }
        if name == "content-length" {
            body = value.trim().parse().ok()?;
        }
        if !HOP.contains(&name.as_str()) {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    // One request a connection: the next one may be for another host.
    out.push_str("connection: close\r\n\r\n");
    Some(Asked {
        at,
        head: Some(out),
        body,
    })
}

/// Connects to what a link names, if that may be asked.
async fn open(at: &Url, guard: &Guard) -> Result<TcpStream, String> {
    guard.permit(at)?;
    let port = at.port_or_known_default().unwrap_or(80);
    let addresses = match at.host() {
        Some(Host::Domain(name)) => guard.addresses(name, port).await?,
        Some(Host::Ipv4(address)) => vec![SocketAddr::from((address, port))],
        Some(Host::Ipv6(address)) => vec![SocketAddr::from((address, port))],
        None => return Err("it names no host".to_owned()),
    };
    let host = at.host_str().unwrap_or_default();
    let connected = timeout(CONNECT, TcpStream::connect(&addresses[..])).await;
    connected
        .map_err(|_| format!("{host} did not answer"))?
        .map_err(|error| format!("{host} could not be connected to: {error}"))
}

async fn relay(
    mut browser: TcpStream,
    mut server: TcpStream,
    (asked, came): (&Asked, &[u8]),
    shared: &Shared,
) {
    let (first, limit) = match &asked.head {
        None => {
            let tunnel = b"HTTP/1.1 200 Connection established\r\n\r\n";
            if browser.write_all(tunnel).await.is_err() {
                return;
            }
            (came.to_vec(), u64::MAX)
        }
        Some(head) => {
            let came = came.get(..asked.body).unwrap_or(came);
            let rest = asked.body - came.len();
            ([head.as_bytes(), came].concat(), rest as u64)
        }
    };
    if server.write_all(&first).await.is_err() {
        return;
    }
    let is_tunnel = asked.head.is_none();
    let (from_browser, mut to_browser) = browser.split();
    let (mut from_server, mut to_server) = server.split();
    let mut from_browser = from_browser.take(limit);
    let up = async {
        pump(&mut from_browser, &mut to_server, shared).await;
        if is_tunnel {
            to_server.shutdown().await.ok();
        }
    };
    let down = async {
        pump(&mut from_server, &mut to_browser, shared).await;
        to_browser.shutdown().await.ok();
    };
    // What the server has said is all; what the browser goes on to say nobody hears.
    tokio::pin!(up);
    tokio::pin!(down);
    tokio::select! {
        () = &mut down => {}
        () = &mut up => down.await,
    }
}

/// Copies until one side is done, or the page has had enough.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    shared: &Shared,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if !shared.spend(count) {
            shared.refuse("", "all that it loads is more than a page may have");
            return;
        }
        let Some(part) = buffer.get(..count) else {
            return;
        };
        if to.write_all(part).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_on_without_what_is_the_proxys_own_and_a_tunnel_as_it_is() {
        let head = "GET http://example.org/a?b HTTP/1.1\r\nHost: example.org\r\nProxy-Connection: keep-alive\r\n\r\n";
        let expected = "GET /a?b HTTP/1.1\r\nHost: example.org\r\nconnection: close\r\n\r\n";
        let found = asked(head).unwrap();
        assert_eq!(found.head.as_deref(), Some(expected));
        assert_eq!(found.at.as_str(), "http://example.org/a?b");
        let found = asked("CONNECT [::1]:8443 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(
            (found.at.as_str(), found.head),
            ("https://[::1]:8443/", None)
        );
        let bare =
            asked("POST http://example.org?x HTTP/1.1\r\nContent-Length: 5\r\n\r\n").unwrap();
        assert!(bare.head.unwrap().starts_with("POST /?x HTTP/1.1\r\n"));
        assert_eq!(bare.body, 5);
    }

    #[test]
    fn what_could_smuggle_a_second_request_is_refused() {
        for head in [
            "GET /path HTTP/1.1\r\n\r\n",
            "GET ftp://example.org/ HTTP/1.1\r\n\r\n",
            "POST http://example.org/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST http://example.org/ HTTP/1.1\r\nContent-Length: many\r\n\r\n",
            "GET\r\n\r\n",
            "",
        ] {
            assert_eq!(asked(head), None, "{head:?}");
        }
    }
}
