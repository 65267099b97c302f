//! Detects clients that do not respond: sends a ping after a silence and expects an answer in time.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

/// Extra time to read the socket after the timeout. A process that was stopped for longer than the timeout finds its
/// timer expired and the answer in its socket, so it must read the socket first.
const GRACE: Duration = Duration::from_millis(200);

/// Sends pings, and times out if no bytes follow.
pub(super) struct Keepalive {
    ping_pong: Option<PingPong>,
    interval: Duration,
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
    state: State,
    /// The number of bytes that had been received when the state began.
    received_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The interval has not passed.
    Waiting,
    /// A ping was sent.
    Pinged,
    /// The timeout has passed; the socket is read once more.
    LastRead,
}

impl Keepalive {
    /// Returns a keepalive. It sends no pings if `ping_pong` is `None`.
    pub(super) fn new(ping_pong: Option<PingPong>, interval: Duration, timeout: Duration) -> Self {
        let timer = Box::pin(sleep(interval));
        Self { ping_pong, interval, timeout, timer, state: State::Waiting, received_bytes: 0 }
    }

    /// Completes when the client does not respond. Call it after the connection was polled until it was pending.
    /// `received_bytes` is the number of bytes that the socket has received; any new byte shows that the client is
    /// alive.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, received_bytes: u64) -> Poll<()> {
        let Some(ping_pong) = &mut self.ping_pong else { return Poll::Pending };
        loop {
            // The answer is among the received bytes. Polling lets h2 accept the next ping.
            let has_answer = ping_pong.poll_pong(cx).is_ready();
            let is_alive = has_answer || received_bytes > self.received_bytes;
            if self.state != State::Waiting && is_alive {
                (self.state, self.received_bytes) = (State::Waiting, received_bytes);
                self.timer.as_mut().reset(Instant::now() + self.interval);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let wait = match self.state {
                State::Waiting if received_bytes > self.received_bytes => self.interval,
                State::Waiting => {
                    // This fails while a ping is in flight, whose answer may still arrive.
                    let _ = ping_pong.send_ping(Ping::opaque());
                    self.state = State::Pinged;
                    // h2 sends the ping when the connection is polled.
                    cx.waker().wake_by_ref();
                    self.timeout
                }
                State::Pinged => {
                    self.state = State::LastRead;
                    GRACE
                }
                State::LastRead => return Poll::Ready(()),
            };
            self.received_bytes = received_bytes;
            self.timer.as_mut().reset(Instant::now() + wait);
        }
    }
}
