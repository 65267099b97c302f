//! A TCP proxy that loses connections: after a random number of bytes it closes them, resets them, or
//! stalls and then resets them, until there is calm.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::chance::Chance;
use crate::ledger::Journal;

#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Closed on both sides, as by a process that ends.
    Fin,
    /// Closed to the server alone; the client goes on talking to nobody for a while.
    FinToServer(Duration),
    /// Reset on both sides.
    Reset,
    /// Nothing goes through for a while, then it is reset.
    Stall(Duration),
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug)]
struct Plan {
    cut: Cut,
    /// After so many bytes.
    bytes: u64,
    /// Counted on the way to the server, or on the way back.
    is_upward: bool,
}

impl Plan {
    fn draw(chance: &mut Chance) -> Option<Self> {
        if chance.one_in(3) {
            return None;
        }
        let cut = match chance.distance(0, 4) {
            0 => Cut::Fin,
            1 => Cut::FinToServer(chance.millis(10, 300)),
            2 => Cut::Stall(chance.millis(10, 300)),
            _ => Cut::Reset,
        };
        let is_upward = !chance.one_in(4);
        let bytes = chance.magnitude(10, if is_upward { 200_000 } else { 4_000 });
        Some(Self { cut, bytes, is_upward })
    }
}

pub struct Proxy {
    pub address: SocketAddr,
    is_calm: Arc<AtomicBool>,
    /// Ends with the proxy, and all connections with it.
    _connections: JoinSet<()>,
}

impl Proxy {
    pub async fn start(server: SocketAddr, mut chance: Chance, journal: Arc<Journal>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_calm = Arc::new(AtomicBool::new(false));
        let mut connections = JoinSet::new();
        let calm = Arc::clone(&is_calm);
        connections.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let plan = Plan::draw(&mut chance).filter(|_| !calm.load(Ordering::Relaxed));
                open.spawn(connection(
                    client,
                    server,
                    plan,
                    Arc::clone(&calm),
                    Arc::clone(&journal),
                ));
                while open.try_join_next().is_some() {}
            }
        });
        Self { address, is_calm, _connections: connections }
    }

    /// From now on nothing is cut.
    pub fn calm(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }
}

async fn connection(
    client: TcpStream,
    server: SocketAddr,
    plan: Option<Plan>,
    calm: Arc<AtomicBool>,
    journal: Arc<Journal>,
) {
    let Ok(server) = TcpStream::connect(server).await else {
        let _ = client.set_zero_linger();
        return;
    };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let bytes_of =
        |is_upward| plan.filter(|plan| plan.is_upward == is_upward).map(|plan| plan.bytes);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (up_bytes, down_bytes) = (bytes_of(true), bytes_of(false));
    let is_cut = {
        let up = pipe(&mut from_client, &mut to_server, up_bytes, &calm);
        let down = pipe(&mut from_server, &mut to_client, down_bytes, &calm);
        tokio::pin!(up, down);
        // The end of one direction is that of both: HTTP/2 has no use for half a connection.
        tokio::select! { is_cut = &mut up => is_cut, is_cut = &mut down => is_cut }
    };
    let Some(plan) = plan.filter(|_| is_cut) else { return };
    journal.note(format_args!("proxy: {plan:?}"));
    journal.count(|counts| counts.cuts += 1);
    let reset = || {
        for half in [&to_client, &to_server] {
            let _ = half.as_ref().set_zero_linger();
        }
    };
    match plan.cut {
        Cut::Fin => {}
        Cut::FinToServer(time) => {
            let _ = to_server.shutdown().await;
            let mut buffer = [0; 4096];
            let listen =
                async { while from_client.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
            let _ = timeout(time, listen).await;
        }
        Cut::Reset => reset(),
        Cut::Stall(time) => {
            sleep(time).await;
            reset();
        }
    }
}

/// Hands bytes on; tells whether it stopped because so many had gone through.
async fn pipe(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    bytes: Option<u64>,
    calm: &AtomicBool,
) -> bool {
    let mut buffer = vec![0; 16 * 1024];
    let mut left = bytes.unwrap_or(u64::MAX);
    loop {
        if left == 0 && calm.load(Ordering::Relaxed) {
            left = u64::MAX;
        }
        if left == 0 {
            return true;
        }
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Ok(count @ 1..) = from.read(&mut buffer[..most]).await else { return false };
        if to.write_all(&buffer[..count]).await.is_err() {
            return false;
        }
        left -= count as u64;
    }
}
