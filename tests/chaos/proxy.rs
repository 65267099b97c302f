//! A TCP proxy that cuts connections: after a random number of bytes it closes them, resets them, or stalls and then
//! resets them, until faults are stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::checker::EventLog;
use crate::rng::Rng;

#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Closes both sides, like a process that ends.
    Fin,
    /// Closes only the server's side, and discards what the client sends for this time.
    FinToServer(Duration),
    /// Resets both sides.
    Reset,
    /// Forwards nothing for this time, then resets both sides.
    Stall(Duration),
}

/// The kind and the time of a cut.
#[derive(Clone, Copy, Debug)]
struct Plan {
    cut: Cut,
    /// The number of bytes that are forwarded first.
    bytes: u64,
    /// Whether bytes to the server are counted, rather than bytes to the client.
    is_upward: bool,
}

impl Plan {
    fn random(rng: &mut Rng) -> Option<Self> {
        if rng.one_in(3) {
            return None;
        }
        let cut = match rng.between(0, 4) {
            0 => Cut::Fin,
            1 => Cut::FinToServer(rng.millis(10, 300)),
            2 => Cut::Stall(rng.millis(10, 300)),
            _ => Cut::Reset,
        };
        let is_upward = !rng.one_in(4);
        let bytes = rng.magnitude(10, if is_upward { 200_000 } else { 4_000 });
        Some(Self { cut, bytes, is_upward })
    }
}

pub struct Proxy {
    pub address: SocketAddr,
    faults_stopped: Arc<AtomicBool>,
    /// Dropping it closes the listener and all connections.
    _connections: JoinSet<()>,
}

impl Proxy {
    pub async fn start(server: SocketAddr, mut rng: Rng, events: Arc<EventLog>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults_stopped = Arc::new(AtomicBool::new(false));
        let mut connections = JoinSet::new();
        let stopped = Arc::clone(&faults_stopped);
        connections.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let plan = Plan::random(&mut rng).filter(|_| !stopped.load(Ordering::Relaxed));
                open.spawn(connection(
                    client,
                    server,
                    plan,
                    Arc::clone(&stopped),
                    Arc::clone(&events),
                ));
                while open.try_join_next().is_some() {}
            }
        });
        Self { address, faults_stopped, _connections: connections }
    }

    /// Cuts no further connections.
    pub fn stop_faults(&self) {
        self.faults_stopped.store(true, Ordering::Relaxed);
    }
}

async fn connection(
    client: TcpStream,
    server: SocketAddr,
    plan: Option<Plan>,
    faults_stopped: Arc<AtomicBool>,
    events: Arc<EventLog>,
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
        let up = pipe(&mut from_client, &mut to_server, up_bytes, &faults_stopped);
        let down = pipe(&mut from_server, &mut to_client, down_bytes, &faults_stopped);
        tokio::pin!(up, down);
        // HTTP/2 does not use half-closed connections, so the end of one direction ends both.
        tokio::select! { is_cut = &mut up => is_cut, is_cut = &mut down => is_cut }
    };
    let Some(plan) = plan.filter(|_| is_cut) else { return };
    events.record(format_args!("proxy: {plan:?}"));
    events.count(|counts| counts.cuts += 1);
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
            let discard =
                async { while from_client.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
            let _ = timeout(time, discard).await;
        }
        Cut::Reset => reset(),
        Cut::Stall(time) => {
            sleep(time).await;
            reset();
        }
    }
}

/// Forwards bytes. Returns whether it stopped because it had forwarded `bytes`.
async fn pipe(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    bytes: Option<u64>,
    faults_stopped: &AtomicBool,
) -> bool {
    let mut buffer = vec![0; 16 * 1024];
    let mut left = bytes.unwrap_or(u64::MAX);
    loop {
        if left == 0 && faults_stopped.load(Ordering::Relaxed) {
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
