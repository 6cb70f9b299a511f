//! A TCP proxy of the tests' own, which can cut every connection in mid-stream, or let all stand still.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Carries bytes both ways between whoever connects and one target; ends with its value.
pub(crate) struct Proxy {
    address: SocketAddr,
    cuts: watch::Sender<u32>,
    stalled: watch::Sender<bool>,
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
        accepting.spawn(accept(listener, target, (cut, gate)));
        Self {
            address,
            cuts,
            stalled,
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

    /// Closes every open connection, whatever is half-way through it; new ones are served.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

type Gate = watch::Receiver<bool>;

async fn accept(listener: TcpListener, target: String, (cut, gate): (watch::Receiver<u32>, Gate)) {
    let mut carried = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let (target, mut cut, gate) = (target.clone(), cut.clone(), gate.clone());
        cut.mark_unchanged();
        carried.spawn(async move {
            tokio::select! {
                _ = carry(near, &target, gate) => {}
                _ = cut.changed() => {}
            }
        });
        while carried.try_join_next().is_some() {}
    }
}

async fn carry(near: TcpStream, target: &str, gate: Gate) -> std::io::Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    let there = copy(from_near, to_far, gate.clone());
    let back = copy(from_far, to_near, gate);
    tokio::try_join!(there, back).map(drop)
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut gate: Gate,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut bytes).await?;
        // The sender is gone when the test is over.
        gate.wait_for(|stalled| !stalled).await.ok();
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..count]).await?;
    }
}
