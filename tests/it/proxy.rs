//! A TCP proxy with injected faults: it closes a connection after a number of bytes, or stops forwarding.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The fault of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No fault.
    None,
    /// After this many bytes from the client, closes both ends as an exiting process does.
    Fin(usize),
    /// After this many bytes from the client, resets both ends.
    Rst(usize),
    /// After this many bytes from the client, forwards nothing in either direction.
    Stall(usize),
    /// Forwards all bytes of the client. After this many, drops the next bytes of the server and resets both ends.
    Mute(usize),
}

/// A proxy on its own port. Each connection takes the next fault of the list; further connections have no fault.
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

    /// Closes all open connections.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

async fn relay(near: TcpStream, target: SocketAddr, fault: Fault) {
    // Without a server, the client's connection is closed.
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
            // Both connections stay open and are not read.
            std::future::pending::<()>().await;
        },
        () = downward => {}
    }
}

/// Forwards bytes from the client to the server. Returns whether the limit was reached; if not, one end has closed.
async fn up(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut left: usize,
    continues: bool,
    tripped: watch::Sender<bool>,
) -> bool {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return false };
        let part = if continues { read } else { read.min(left) };
        if to.write_all(&buffer[..part]).await.is_err() {
            return false;
        }
        left = left.saturating_sub(read);
        if left == 0 {
            tripped.send_replace(true);
            if !continues {
                return true;
            }
        }
    }
}

/// Forwards bytes from the server to the client. A mute proxy drops the first bytes after the limit and returns.
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
