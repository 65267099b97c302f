//! A TCP proxy that harms connections: it cuts them after so many bytes, or goes silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// After so many bytes from the client, both ends are closed as a process that exits does.
    Fin(usize),
    /// The same, with a reset.
    Rst(usize),
    /// After so many bytes from the client, nothing goes through any more, either way.
    Stall(usize),
    /// The client's bytes go through, and after so many of them nothing comes back: then, a reset.
    Mute(usize),
}

/// A proxy on a port of its own. Each connection takes the next of its faults, and none when there are no
/// more.
pub struct Proxy {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    cuts: watch::Sender<()>,
}

impl Proxy {
    pub async fn start(target: SocketAddr, faults: Vec<Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let cuts = watch::Sender::new(());
        let cut = cuts.subscribe();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let index = count.fetch_add(1, SeqCst);
                let fault = faults.get(index).copied().unwrap_or(Fault::None);
                let mut cut = cut.clone();
                cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        () = relay(near, target, fault) => {}
                        Ok(()) = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, connections, cuts }
    }

    /// Cuts all connections that there are.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

async fn relay(near: TcpStream, target: SocketAddr, fault: Fault) {
    // A server that is away: the client sees its connection closed.
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    if matches!(fault, Fault::Rst(_) | Fault::Mute(_)) {
        let _ = near.set_zero_linger();
        let _ = far.set_zero_linger();
    }
    let (mut near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    let (tripped, trips) = watch::channel(false);
    let limit = match fault {
        Fault::None => usize::MAX,
        Fault::Fin(limit) | Fault::Rst(limit) | Fault::Stall(limit) | Fault::Mute(limit) => limit,
    };
    let is_mute = matches!(fault, Fault::Mute(_));
    let upward = up(&mut near_read, &mut far_write, limit, is_mute, tripped);
    let downward = down(&mut far_read, &mut near_write, trips, is_mute);
    tokio::select! {
        is_cut = upward => if is_cut && matches!(fault, Fault::Stall(_)) {
            // Both connections stay open, and nobody reads them.
            std::future::pending::<()>().await;
        },
        () = downward => {}
    }
}

/// Client to server. Tells whether the limit was reached; otherwise one of the ends is gone.
async fn up(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut left: usize,
    goes_on: bool,
    tripped: watch::Sender<bool>,
) -> bool {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return false };
        let part = if goes_on { read } else { read.min(left) };
        if to.write_all(&buffer[..part]).await.is_err() {
            return false;
        }
        left = left.saturating_sub(read);
        if left == 0 {
            tripped.send_replace(true);
            if !goes_on {
                return true;
            }
        }
    }
}

/// Server to client. A mute proxy swallows the first bytes after the limit, and ends.
async fn down(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    trips: watch::Receiver<bool>,
    is_mute: bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if (is_mute && *trips.borrow()) || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
