//! A TCP proxy of the tests' own, which can cut every connection in mid-stream.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Carries bytes both ways between whoever connects and one target; ends with its value.
pub(crate) struct Proxy {
    address: SocketAddr,
    cuts: watch::Sender<u32>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// In front of `target`, a host and port. A target that does not answer is a connection that
    /// ends at once.
    pub(crate) async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, cut) = watch::channel(0);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, cut));
        Self {
            address,
            cuts,
            _accepting: accepting,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every open connection, whatever is half-way through it; new ones are served.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(listener: TcpListener, target: String, cut: watch::Receiver<u32>) {
    let mut carried = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let (target, mut cut) = (target.clone(), cut.clone());
        cut.mark_unchanged();
        carried.spawn(async move {
            tokio::select! {
                _ = carry(near, &target) => {}
                _ = cut.changed() => {}
            }
        });
        while carried.try_join_next().is_some() {}
    }
}

async fn carry(mut near: TcpStream, target: &str) -> std::io::Result<()> {
    let mut far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}
