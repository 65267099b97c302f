//! The events that end a call early: its deadline, the end of its session or of the certificate of its client, and the
//! shutdown of the server.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::client_certificate::ClientCertificate;
use crate::auth::{AuthError, Revocation, Session};
use crate::service::{RpcError, excerpt};

/// The events that end a call before its answer is complete.
pub(super) struct Cutoff {
    deadline: Option<(Instant, OutsideCoopBudget<Sleep>)>,
    /// The time limit until the answer begins, for methods that set no time limit on their request.
    answer: Option<(Duration, OutsideCoopBudget<Sleep>)>,
    closing: OutsideCoopBudget<WaitForCancellationFutureOwned>,
    session: Option<SessionEnd>,
    /// The server no longer accepts the certificate of the client.
    withdrawn: Option<OutsideCoopBudget<WaitForCancellationFutureOwned>>,
}

/// The credentials of a call that can end before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grounds<'a> {
    /// The session of the caller, if the call is authenticated.
    pub(super) session: Option<&'a Session>,
    /// The certificate of the client, if the connection has one.
    pub(super) certificate: Option<&'a ClientCertificate>,
    /// Whether the certificate is the credential of the session.
    pub(super) is_certificate_session: bool,
}

/// The events that end the session of a caller.
struct SessionEnd {
    expiry: Option<OutsideCoopBudget<Sleep>>,
    /// Keeps the session known to the authenticator.
    revocation: Revocation,
    revoked: OutsideCoopBudget<WaitForCancellationFutureOwned>,
    /// Another connection can have a renewed certificate.
    is_certificate: bool,
}

impl SessionEnd {
    fn new(session: &Session, is_certificate: bool) -> Self {
        let expiry = session.expires_at.map(|at| {
            // An expiry in the past ends the call at once.
            let left = at.duration_since(SystemTime::now()).unwrap_or_default();
            outside_coop_budget(sleep(left))
        });
        let revocation = session.revoked.clone();
        let revoked = outside_coop_budget(revocation.ended());
        Self { expiry, revocation, revoked, is_certificate }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<RpcError> {
        if Pin::new(&mut self.revoked).poll(cx).is_ready() {
            return Poll::Ready(match self.revocation.is_withdrawn() {
                true => AuthError::Revoked.into(),
                false => RpcError::SessionEnded,
            });
        }
        match &mut self.expiry {
            Some(at) => Pin::new(at).poll(cx).map(|()| match self.is_certificate {
                true => RpcError::CertificateEnded,
                false => AuthError::Expired.into(),
            }),
            None => Poll::Pending,
        }
    }
}

/// A future that is polled outside the cooperative budget of tokio. In a busy task, the call may have used up the
/// budget, and a timer within the budget would then never check the clock.
type OutsideCoopBudget<T> = Unconstrained<Pin<Box<T>>>;

fn outside_coop_budget<T: Future>(future: T) -> OutsideCoopBudget<T> {
    unconstrained(Box::pin(future))
}

impl Cutoff {
    /// Returns the cutoff of a call with these headers.
    ///
    /// # Errors
    /// If the headers have a `grpc-timeout` that is not valid or is zero.
    pub(super) fn new(
        headers: &HeaderMap,
        answer_time: Option<Duration>,
        closing: CancellationToken,
        grounds: Grounds<'_>,
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
                let sleep = sleep(timeout);
                Some((sleep.deadline(), outside_coop_budget(sleep)))
            }
        };
        let answer = answer_time.map(|time| (time, outside_coop_budget(sleep(time))));
        let closing = outside_coop_budget(closing.cancelled_owned());
        let Grounds { session, certificate, is_certificate_session } = grounds;
        let session = session.map(|session| SessionEnd::new(session, is_certificate_session));
        let withdrawn = certificate.map(|certificate| {
            outside_coop_budget(certificate.withdrawn().clone().cancelled_owned())
        });
        Ok(Self { deadline, answer, closing, session, withdrawn })
    }

    /// Removes the time limit for the start of the answer, because it has started.
    pub(super) fn answered(&mut self) {
        self.answer = None;
    }

    /// Returns the time at which the deadline of the caller passes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.as_ref().map(|(deadline, _)| *deadline)
    }

    /// Completes with the error when the call must end. `point_count` is the number of its points so far.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, point_count: u64) -> Poll<RpcError> {
        let passed = self.deadline.as_mut().is_some_and(|(_, at)| Pin::new(at).poll(cx).is_ready());
        if passed {
            return Poll::Ready(RpcError::Deadline { point_count });
        }
        if let Some((idle_timeout, at)) = &mut self.answer
            && Pin::new(at).poll(cx).is_ready()
        {
            return Poll::Ready(RpcError::Idle { idle_timeout: *idle_timeout, point_count });
        }
        if let Some(session) = &mut self.session
            && let Poll::Ready(error) = session.poll(cx)
        {
            return Poll::Ready(error);
        }
        if let Some(withdrawn) = &mut self.withdrawn
            && Pin::new(withdrawn).poll(cx).is_ready()
        {
            return Poll::Ready(RpcError::CertificateEnded);
        }
        Pin::new(&mut self.closing).poll(cx).map(|()| RpcError::ShuttingDown { point_count })
    }
}

/// Parses a `grpc-timeout`: one to eight digits and a unit, as "gRPC over HTTP2" specifies.
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
    fn timeouts_are_parsed_as_specified() {
        let read = |text: &str| parse_timeout(text.as_bytes());
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("0n"), Some(Duration::ZERO));
        for bad in ["", "S", "100", "1s", "-1S", "1.5S", "123456789S", "١S"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_is_that_of_the_caller() {
        let headers = HeaderMap::from_iter([(
            http::header::HeaderName::from_static("grpc-timeout"),
            "2S".parse().unwrap(),
        )]);
        let cutoff = |headers| {
            let closing = CancellationToken::new();
            Cutoff::new(headers, None, closing, Grounds::default()).unwrap()
        };
        assert_eq!(cutoff(&headers).deadline(), Some(Instant::now() + Duration::from_secs(2)));
        assert_eq!(cutoff(&HeaderMap::new()).deadline(), None);
    }
}
