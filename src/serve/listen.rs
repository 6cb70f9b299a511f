//! Connections: so many at once, each of which has to say what it wants in time.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Result;
use crate::shutdown::{Shutdown, requested};

/// Connections at once; one more waits to be taken. Well below the files that a process may have open.
const CONNECTIONS_MAX: usize = 512;
/// How long a connection may take for the head of a request, and rest between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait after a connection could not be taken, as where too many files are open.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until it is asked to stop; then no connection is taken, those that wait for an answer end with it, and
/// those that have not said yet what they want are cut off. Dropped, it cuts all off.
pub(super) async fn answer(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
) -> Result<()> {
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(requested(shutdown.clone()));
    loop {
        let is_full = connections.len() >= CONNECTIONS_MAX;
        tokio::select! {
            biased;
            () = &mut stop => break,
            // How a connection ended is its client's affair.
            Some(_) = connections.join_next() => {}
            taken = listener.accept(), if !is_full => match taken {
                Ok((stream, _)) => {
                    let service = TowerToHyperService::new(router.clone());
                    connections.spawn(connection(stream, service, shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn connection<S>(stream: TcpStream, service: S, shutdown: Shutdown)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    // Small answers go at once.
    stream.set_nodelay(true).ok();
    let is_asked = AtomicBool::new(false);
    let service = service_fn(|request| {
        is_asked.store(true, Ordering::Relaxed);
        service.call(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = requested(shutdown) => {
            // It ends a connection that rests between two requests, and waits for the first one.
            serving.as_mut().graceful_shutdown();
            if !is_asked.load(Ordering::Relaxed) {
                return;
            }
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection was broken off");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::watch;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_head_that_has_not_come_does_not_hold_up_a_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, stop) = watch::channel(false);
        let mut serving = JoinSet::new();
        serving.spawn(answer(listener, Router::new(), stop));
        let half = async || {
            let mut slow = TcpStream::connect(address).await.unwrap();
            slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            slow
        };
        let (silent, mut first) = (TcpStream::connect(address).await.unwrap(), half().await);
        // One that comes later was answered, and so they were taken; it too begins another one.
        let mut second = half().await;
        second.write_all(b"host: a\r\n\r\n").await.unwrap();
        let mut status = [0; 12];
        second.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 404");
        second.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        asked.send_replace(true);
        let ended = tokio::time::timeout(HEAD_TIMEOUT / 2, serving.join_next()).await;
        ended.unwrap().unwrap().unwrap().unwrap();
        assert_eq!(first.read(&mut status).await.unwrap_or_default(), 0);
        drop(silent);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_asked, stop) = watch::channel(false);
        let mut serving = JoinSet::new();
        serving.spawn(answer(listener, Router::new(), stop));
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let started = Instant::now();
        let mut said = Vec::new();
        slow.read_to_end(&mut said).await.ok();
        let waited = started.elapsed();
        assert!(
            waited >= HEAD_TIMEOUT && waited < 2 * HEAD_TIMEOUT,
            "{waited:?}"
        );
        assert!(!serving.is_empty());
    }
}
