//! A TCP proxy of the tests' own, which can cut every connection in mid-stream, or let all stand still.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Carries bytes both ways between whoever connects and one target; ends with its value.
pub(crate) struct Proxy {
    address: SocketAddr,
    cuts: watch::Sender<u32>,
    stalled: watch::Sender<bool>,
    /// Bytes to the target until the next cut, and then until the one after it.
    budgets: Budgets,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// In front of `target`, a host and port. A target that does not answer is a connection that
    /// ends at once.
    pub(crate) async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, cut) = watch::channel(0);
        let (stalled, gate) = watch::channel(false);
        let mut accepting = JoinSet::new();
        let budgets = Budgets::default();
        accepting.spawn(accept(listener, target, (cut, gate), Arc::clone(&budgets)));
        Self {
            address,
            cuts,
            stalled,
            budgets,
            _accepting: accepting,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing through until it is told otherwise; connections stay open.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    /// Closes a connection in the middle of what it carries, when so many bytes more have gone to the
    /// target; then again after the next so many.
    pub(crate) fn cut_after(&self, bytes: impl IntoIterator<Item = usize>) {
        self.budgets.lock().unwrap().extend(bytes);
    }

    /// How many of [`Self::cut_after`] have not happened yet.
    pub(crate) fn cuts_to_come(&self) -> usize {
        self.budgets.lock().unwrap().len()
    }

    /// Closes every open connection, whatever is half-way through it; new ones are served.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

type Gate = watch::Receiver<bool>;
type Budgets = Arc<Mutex<VecDeque<usize>>>;

async fn accept(
    listener: TcpListener,
    target: String,
    (cut, gate): (watch::Receiver<u32>, Gate),
    budgets: Budgets,
) {
    let mut carried = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let (target, mut cut, gate) = (target.clone(), cut.clone(), gate.clone());
        let budgets = Arc::clone(&budgets);
        cut.mark_unchanged();
        carried.spawn(async move {
            tokio::select! {
                _ = carry(near, &target, gate, &budgets) => {}
                _ = cut.changed() => {}
            }
        });
        while carried.try_join_next().is_some() {}
    }
}

async fn carry(
    near: TcpStream,
    target: &str,
    gate: Gate,
    budgets: &Budgets,
) -> std::io::Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    let there = copy(from_near, to_far, gate.clone(), |count| {
        spend(budgets, count)
    });
    let back = copy(from_far, to_near, gate, |count| count);
    tokio::try_join!(there, back).map(drop)
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut gate: Gate,
    spend: impl Fn(usize) -> usize,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut bytes).await?;
        // The sender is gone when the test is over.
        gate.wait_for(|stalled| !stalled).await.ok();
        if count == 0 {
            return to.shutdown().await;
        }
        let allowed = spend(count);
        to.write_all(&bytes[..allowed]).await?;
        if allowed < count {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
    }
}

/// How many of these bytes go before a cut.
fn spend(budgets: &Budgets, count: usize) -> usize {
    let mut budgets = budgets.lock().unwrap();
    match budgets.front_mut() {
        Some(left) if *left < count => budgets.pop_front().unwrap_or_default(),
        Some(left) => {
            *left -= count;
            count
        }
        None => count,
    }
}
