//! The error of a call whose caller has used up a quota.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// A quota of the caller is used up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{scope} has reached its limit of {limit} {}; try again in {}", quota.unit(*limit), seconds(*retry_after))]
pub struct QuotaError {
    /// The quota.
    pub quota: QuotaKind,
    /// The owner of the quota.
    pub scope: QuotaScope,
    /// The value of the quota.
    pub limit: u64,
    /// The time after which a call can succeed.
    pub retry_after: Duration,
}

/// What a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaKind {
    /// The streams that are open at the same time.
    Streams,
    /// The rate of points or bytes.
    Rate(RateUnit),
    /// The rate of credentials that are not valid and are expensive to check.
    FailedChecks,
}

/// The unit of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateUnit {
    /// Points that are added to a path.
    Points,
    /// Bytes of request bodies, including gRPC framing.
    Bytes,
}

/// The owner of a quota, which all of its streams share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaScope {
    /// The authenticated principal.
    Principal,
    /// The address of the client: an IPv4 address, or an IPv6 /64 network.
    Peer,
}

impl QuotaError {
    /// Returns the reason for ErrorInfo.
    pub(super) fn reason(&self) -> &'static str {
        match self.quota {
            QuotaKind::Streams => "STREAM_QUOTA",
            QuotaKind::Rate(RateUnit::Points) => "POINT_RATE",
            QuotaKind::Rate(RateUnit::Bytes) => "BYTE_RATE",
            QuotaKind::FailedChecks => "AUTHENTICATION_RATE",
        }
    }

    /// Returns the ErrorInfo metadata.
    pub(super) fn metadata(&self) -> HashMap<String, String> {
        let scope = match self.scope {
            QuotaScope::Principal => "principal",
            QuotaScope::Peer => "peer",
        };
        let pairs = [("limit", self.limit.to_string()), ("scope", scope.to_owned())];
        pairs.map(|(key, value)| (key.to_owned(), value)).into()
    }
}

impl QuotaKind {
    /// Returns the unit of a limit with this value.
    fn unit(self, limit: u64) -> &'static str {
        match (self, limit) {
            (Self::Streams, 1) => "open stream",
            (Self::Streams, _) => "open streams",
            (Self::Rate(RateUnit::Points), 1) => "point per second",
            (Self::Rate(RateUnit::Points), _) => "points per second",
            (Self::Rate(RateUnit::Bytes), 1) => "byte per second",
            (Self::Rate(RateUnit::Bytes), _) => "bytes per second",
            (Self::FailedChecks, _) => "failed authentications per second",
        }
    }
}

impl fmt::Display for QuotaScope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Principal => "this principal",
            Self::Peer => "this client address",
        })
    }
}

/// Formats a time in whole seconds, rounded up.
fn seconds(time: Duration) -> String {
    format!("{} s", time.as_millis().div_ceil(1000).max(1))
}
