//! Counters of connections and of the errors of calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why a connection was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The limit of all connections.
    Connections,
    /// The limit of a peer.
    ConnectionsPerPeer,
    /// The limit of connections that are closing.
    Closing,
}

impl Refusal {
    const ALL: [Self; 3] = [Self::Connections, Self::ConnectionsPerPeer, Self::Closing];

    /// Returns the name of the limit for the log.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsPerPeer => "connections per peer",
            Self::Closing => "connections that are closing",
        }
    }

    /// Returns the name of the limit for metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsPerPeer => "connections_per_peer",
            Self::Closing => "closing_connections",
        }
    }
}

/// Why an accepted connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client has closed it, or the network has failed.
    ByPeer,
    /// The client did not start HTTP/2 in time, or the handshake failed.
    Handshake,
    /// The client speaks another protocol.
    OtherProtocol,
    /// It had no streams within the idle timeout.
    Idle,
    /// The server closed it to accept another connection.
    Evicted,
    /// The client answered no pings, or did not read.
    Silent,
    /// The server closed it to free memory.
    Memory,
    /// The client reset too many streams.
    Resets,
    /// The client certificate expired, or its CA was removed.
    Certificate,
    /// The client that a proxy named had too many connections.
    Refused,
    /// The client violated HTTP/2 or a limit of it.
    Violation,
    /// The server stops.
    Shutdown,
}

impl Ended {
    const ALL: [Self; 12] = [
        Self::ByPeer,
        Self::Handshake,
        Self::OtherProtocol,
        Self::Idle,
        Self::Evicted,
        Self::Silent,
        Self::Memory,
        Self::Resets,
        Self::Certificate,
        Self::Refused,
        Self::Violation,
        Self::Shutdown,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::ByPeer => "peer",
            Self::Handshake => "handshake",
            Self::OtherProtocol => "other_protocol",
            Self::Idle => "idle",
            Self::Evicted => "evicted",
            Self::Silent => "silent",
            Self::Memory => "memory",
            Self::Resets => "resets",
            Self::Certificate => "certificate",
            Self::Refused => "refused",
            Self::Violation => "violation",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Maximum number of different reasons that are counted separately. This crate has fewer.
const REASONS_MAX: usize = 128;

/// The reason of errors without ErrorInfo, such as those of the health service.
const NO_REASON: &str = "NONE";
/// The reason of errors above [`REASONS_MAX`].
const OTHER_REASON: &str = "OTHER";

/// The counters of a server.
#[derive(Debug, Default)]
pub(super) struct Counters {
    accepted: AtomicU64,
    accept_errors: AtomicU64,
    open: AtomicU64,
    full: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
    ended: [AtomicU64; Ended::ALL.len()],
    /// Calls that ended with an error, by its code and reason. Only errors take the lock.
    call_errors: Mutex<BTreeMap<(i32, String), u64>>,
}

impl Counters {
    /// Counts a connection that was not accepted because of a limit.
    pub(super) fn refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].fetch_add(1, Relaxed);
    }

    /// Counts an attempt to accept a connection that the system has failed.
    pub(super) fn accept_failed(&self) {
        self.accept_errors.fetch_add(1, Relaxed);
    }

    /// Counts an accepted connection, and its end when the returned value is dropped.
    pub(super) fn accepted(self: &Arc<Self>) -> OpenConnection {
        self.accepted.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        OpenConnection { counters: Arc::clone(self), is_full: false, ended: Ended::Shutdown }
    }

    /// Counts a call that ended with an error.
    pub(super) fn call_failed(&self, status: &Status) {
        let info = status.get_details_error_info();
        let reason = info.map_or_else(|| NO_REASON.to_owned(), |info| info.reason);
        let code = status.code() as i32;
        let mut errors = self.call_errors.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = errors.len() >= REASONS_MAX;
        let key = (code, reason);
        let key = match is_full && !errors.contains_key(&key) {
            true => (code, OTHER_REASON.to_owned()),
            false => key,
        };
        *errors.entry(key).or_default() += 1;
    }

    pub(super) fn accepted_count(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    pub(super) fn accept_error_count(&self) -> u64 {
        self.accept_errors.load(Relaxed)
    }

    pub(super) fn open_count(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// Returns the number of connections that have as many streams as they may have.
    pub(super) fn full_count(&self) -> u64 {
        self.full.load(Relaxed)
    }

    /// Returns the refused connections by the name of the limit.
    pub(super) fn refusals(&self) -> Vec<(&'static str, u64)> {
        Refusal::ALL.iter().zip(&self.refused).map(|(by, n)| (by.name(), n.load(Relaxed))).collect()
    }

    /// Returns the connections that have ended, by the name of the reason.
    pub(super) fn ends(&self) -> Vec<(&'static str, u64)> {
        Ended::ALL.iter().zip(&self.ended).map(|(by, n)| (by.name(), n.load(Relaxed))).collect()
    }

    /// Returns the calls that ended with an error, by code and reason.
    pub(super) fn call_errors(&self) -> Vec<(Code, String, u64)> {
        let errors = self.call_errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.iter().map(|((code, reason), n)| (Code::from(*code), reason.clone(), *n)).collect()
    }
}

/// A connection that was accepted. A task that is aborted ends it with the reason [`Ended::Shutdown`].
#[derive(Debug)]
pub(super) struct OpenConnection {
    counters: Arc<Counters>,
    is_full: bool,
    ended: Ended,
}

impl OpenConnection {
    /// Sets whether the connection has as many streams as it may have, so that further ones wait in the client.
    pub(super) fn set_full(&mut self, is_full: bool) {
        if is_full != self.is_full {
            self.is_full = is_full;
            match is_full {
                true => self.counters.full.fetch_add(1, Relaxed),
                false => self.counters.full.fetch_sub(1, Relaxed),
            };
        }
    }

    /// Sets the reason that is counted at the end.
    pub(super) fn set_ended(&mut self, ended: Ended) {
        self.ended = ended;
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.set_full(false);
        self.counters.open.fetch_sub(1, Relaxed);
        self.counters.ended[self.ended as usize].fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::RpcError;

    #[test]
    fn a_connection_is_counted_from_its_start_to_its_end() {
        let counters = Arc::new(Counters::default());
        let (mut first, second) = (counters.accepted(), counters.accepted());
        first.set_full(true);
        first.set_full(true);
        let state = || (counters.accepted_count(), counters.open_count(), counters.full_count());
        assert_eq!(state(), (2, 2, 1));
        first.set_ended(Ended::Memory);
        drop(first);
        assert_eq!(state(), (2, 1, 0));
        drop(second);
        assert_eq!(state(), (2, 0, 0));
        let ended: Vec<_> = counters.ends().into_iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(ended, [("memory", 1), ("shutdown", 1)]);
    }

    #[test]
    fn each_name_is_at_the_index_of_its_variant() {
        assert!(Ended::ALL.iter().enumerate().all(|(at, ended)| *ended as usize == at));
        assert!(Refusal::ALL.iter().enumerate().all(|(at, refusal)| *refusal as usize == at));
    }

    #[test]
    fn errors_are_counted_by_code_and_reason_and_their_number_is_bounded() {
        let counters = Counters::default();
        for _ in 0..2 {
            counters.call_failed(&RpcError::Overloaded.into());
        }
        counters.call_failed(&Status::not_found("unknown service"));
        let errors = [
            (Code::NotFound, NO_REASON.to_owned(), 1),
            (Code::ResourceExhausted, "SERVER_MEMORY".to_owned(), 2),
        ];
        assert_eq!(counters.call_errors(), errors);
        for index in 0..1_000 {
            let details = tonic_types::ErrorDetails::with_error_info(
                format!("R{index}"),
                "x",
                [("a".to_owned(), "b".to_owned())],
            );
            counters.call_failed(&Status::with_error_details(Code::Aborted, "", details));
        }
        let errors = counters.call_errors();
        assert!(errors.len() <= REASONS_MAX + 17, "{}", errors.len());
        assert_eq!(errors.iter().map(|(.., count)| count).sum::<u64>(), 1_003);
    }
}
