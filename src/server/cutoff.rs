//! What ends a call from outside: its deadline, and the server's end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderMap;
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::service::{RpcError, excerpt};

/// The events that end a call before it has answered.
pub(super) struct Cutoff {
    deadline: Option<Unhindered<Sleep>>,
    /// When the answer must have begun; for methods that do not watch their request themselves.
    answer: Option<(Duration, Unhindered<Sleep>)>,
    closing: Unhindered<WaitForCancellationFutureOwned>,
}

/// A timer in a busy task: the call before it may have used up the task's budget, and a timer that
/// asks for budget would then never look at the clock.
type Unhindered<T> = Unconstrained<Pin<Box<T>>>;

fn unhindered<T: Future>(future: T) -> Unhindered<T> {
    unconstrained(Box::pin(future))
}

impl Cutoff {
    /// The cut-off of a call with these headers.
    ///
    /// # Errors
    /// When the headers carry a `grpc-timeout` that is none or has passed.
    pub(super) fn new(
        headers: &HeaderMap,
        answer_time: Option<Duration>,
        closing: CancellationToken,
    ) -> Result<Self, RpcError> {
        let deadline = match headers.get("grpc-timeout") {
            None => None,
            Some(value) => {
                let timeout = parse_timeout(value.as_bytes()).ok_or_else(|| {
                    RpcError::Timeout(excerpt(&String::from_utf8_lossy(value.as_bytes())))
                })?;
                if timeout.is_zero() {
                    return Err(RpcError::Deadline { point_count: 0 });
                }
                Some(unhindered(sleep(timeout)))
            }
        };
        let answer = answer_time.map(|time| (time, unhindered(sleep(time))));
        Ok(Self { deadline, answer, closing: unhindered(closing.cancelled_owned()) })
    }

    /// The answer has begun; it may take its time.
    pub(super) fn answered(&mut self) {
        self.answer = None;
    }

    /// Ready with the reason once the call must end, `point_count` points in.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, point_count: u64) -> Poll<RpcError> {
        let passed = self.deadline.as_mut().is_some_and(|at| Pin::new(at).poll(cx).is_ready());
        if passed {
            return Poll::Ready(RpcError::Deadline { point_count });
        }
        if let Some((idle_time, at)) = &mut self.answer
            && Pin::new(at).poll(cx).is_ready()
        {
            return Poll::Ready(RpcError::Idle { idle_time: *idle_time, point_count });
        }
        Pin::new(&mut self.closing).poll(cx).map(|()| RpcError::ShuttingDown { point_count })
    }
}

/// A `grpc-timeout`: at most eight digits and a unit, as "gRPC over HTTP2" has it.
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| 10 * number + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(number * 60 * 60),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_specification_has_them() {
        let read = |text: &str| parse_timeout(text.as_bytes());
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("0n"), Some(Duration::ZERO));
        for bad in ["", "S", "100", "1s", "-1S", "1.5S", "123456789S", "١S"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
