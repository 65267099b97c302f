//! What a store does and has done: its counters, and the state of its connections.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::conditions::{self, Conditions};
use super::error::PostgresOpenError;

/// Counters of a store since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresStats {
    /// Connections that were opened.
    pub connections: u64,
    /// Attempts to connect that failed.
    pub failures: u64,
    /// Batches of write requests. A batch is one or a few transactions.
    pub batches: u64,
    /// Write requests in these batches.
    pub batched_requests: u64,
    /// Write requests that may or may not have been carried out, because the answer of the database was lost.
    pub unknown_outcomes: u64,
    /// Recordings that were loaded with a lock to find out the result of a write.
    pub proofs: u64,
}

/// The state of the connections of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresStatus {
    /// Whether the store has its connections.
    pub connected: bool,
    /// The reason why a connection is missing, with advice.
    pub error: Option<String>,
    /// Whether the connection can be opened again without a change by the operator. True while connected.
    pub is_retriable: bool,
    /// The time of the database minus that of this machine at the last check, in milliseconds.
    pub clock_skew_ms: i64,
    /// Warnings about the settings and the clock of the database, as of the last check.
    pub warnings: Vec<&'static str>,
}

/// The counters of a store.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) failures: AtomicU64,
    batches: AtomicU64,
    batched_requests: AtomicU64,
    pub(super) unknown_outcomes: AtomicU64,
    pub(super) proofs: AtomicU64,
}

impl Counters {
    pub(super) fn add_batch(&self, requests: usize) {
        self.batches.fetch_add(1, Relaxed);
        self.batched_requests.fetch_add(requests as u64, Relaxed);
    }

    pub(super) fn stats(&self) -> PostgresStats {
        PostgresStats {
            connections: self.connections.load(Relaxed),
            failures: self.failures.load(Relaxed),
            batches: self.batches.load(Relaxed),
            batched_requests: self.batched_requests.load(Relaxed),
            unknown_outcomes: self.unknown_outcomes.load(Relaxed),
            proofs: self.proofs.load(Relaxed),
        }
    }
}

/// The role of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

impl Role {
    /// Returns the name for the log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
        }
    }
}

/// The state of both connections.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Connections>);

#[derive(Debug, Default)]
struct Connections {
    writer: Connected,
    reader: Connected,
    conditions: Conditions,
}

/// The state of one connection.
#[derive(Debug, Default)]
enum Connected {
    #[default]
    NotYet,
    Yes,
    Failed(PostgresOpenError),
    /// It has ended, and the next attempt has not.
    Lost(String),
}

impl Health {
    fn state(&self) -> MutexGuard<'_, Connections> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, role: Role, next: Connected) {
        let mut state = self.state();
        match role {
            Role::Writer => state.writer = next,
            Role::Reader => state.reader = next,
        }
    }

    pub(super) fn connected(&self, role: Role, conditions: Conditions) {
        self.set(role, Connected::Yes);
        self.observe(conditions);
    }

    /// Returns whether the last connection leaves this machine without encryption.
    pub(super) fn is_exposed(&self) -> bool {
        self.state().conditions.is_exposed
    }

    /// Notes the settings and the clock of the database, and logs what has changed.
    pub(super) fn observe(&self, conditions: Conditions) {
        let before = std::mem::replace(&mut self.state().conditions, conditions);
        conditions::log_changes(&before, &conditions);
    }

    pub(super) fn failed(&self, role: Role, error: PostgresOpenError) {
        self.set(role, Connected::Failed(error));
    }

    pub(super) fn lost(&self, role: Role, reason: String) {
        self.set(role, Connected::Lost(reason));
    }

    pub(super) fn status(&self) -> PostgresStatus {
        let state = self.state();
        let both = [&state.writer, &state.reader];
        let error = both.iter().find_map(|state| match state {
            Connected::Yes => None,
            Connected::NotYet => Some("the database has not answered yet".to_owned()),
            Connected::Failed(error) => Some(error.to_string()),
            Connected::Lost(reason) => Some(reason.clone()),
        });
        let is_final =
            |state: &&Connected| matches!(state, Connected::Failed(error) if !error.is_retriable());
        PostgresStatus {
            connected: error.is_none(),
            error,
            is_retriable: !both.iter().any(is_final),
            clock_skew_ms: state.conditions.skew_ms,
            warnings: state.conditions.warnings(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_connected_when_both_connections_are() {
        let health = Health::default();
        let error = |health: &Health| health.status().error;
        assert_eq!(error(&health).as_deref(), Some("the database has not answered yet"));
        let skewed = Conditions::skewed;
        health.connected(Role::Writer, skewed(7));
        assert!(!health.status().connected);
        health.connected(Role::Reader, skewed(9));
        let status = health.status();
        assert!(status.connected && status.is_retriable && status.clock_skew_ms == 9);
        health.lost(Role::Writer, "closed".into());
        assert_eq!(error(&health).as_deref(), Some("closed"));
        assert!(health.status().is_retriable);
        health.failed(Role::Reader, PostgresOpenError::Refused("wrong".into()));
        let status = health.status();
        assert!(!status.connected && !status.is_retriable);
        assert_eq!(status.error.as_deref(), Some("closed"));
    }
}
