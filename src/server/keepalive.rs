//! Whether a client is still there: a ping after a silence, and an answer in time.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

/// How long the answer is looked for once more after its time. A process that was stopped for longer than the
/// timeout finds its timer expired and the answer in its socket; this lets it read the socket first.
const GRACE: Duration = Duration::from_millis(200);

/// Sends pings and judges the silence after them.
pub(super) struct Keepalive {
    ping_pong: Option<PingPong>,
    interval: Duration,
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
    state: State,
    /// What had been received when the state began.
    received_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Until the interval has passed.
    Waiting,
    /// A ping was sent.
    Pinged,
    /// The timeout has passed; the socket is read once more.
    LastLook,
}

impl Keepalive {
    /// Without `ping_pong` the client is never pinged.
    pub(super) fn new(ping_pong: Option<PingPong>, interval: Duration, timeout: Duration) -> Self {
        let timer = Box::pin(sleep(interval));
        Self { ping_pong, interval, timeout, timer, state: State::Waiting, received_bytes: 0 }
    }

    /// Ready when the client is gone. To be called after the connection was polled until it was pending;
    /// `received_bytes` is what the socket has received so far: anything at all shows that the client is alive.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, received_bytes: u64) -> Poll<()> {
        let Some(ping_pong) = &mut self.ping_pong else { return Poll::Pending };
        loop {
            // The answer itself is among the received bytes; this lets h2 take the next ping.
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
                    // It fails while a ping is in flight whose answer may still come.
                    let _ = ping_pong.send_ping(Ping::opaque());
                    self.state = State::Pinged;
                    // h2 sends it when the connection is polled.
                    cx.waker().wake_by_ref();
                    self.timeout
                }
                State::Pinged => {
                    self.state = State::LastLook;
                    GRACE
                }
                State::LastLook => return Poll::Ready(()),
            };
            self.received_bytes = received_bytes;
            self.timer.as_mut().reset(Instant::now() + wait);
        }
    }
}
