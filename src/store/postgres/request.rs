//! The requests of the writing connection.

use super::failure::Failure;
use super::row::Shown;
use super::ticket::Ticket;
use super::worker::Request;
use crate::measure::Options;
use crate::recording::{
    Checkpoint, CommitPrecondition, OpenRequest, RecordingName, Removed, StoreError,
};
use crate::store::rules::Header;

/// A request that changes something.
#[derive(Debug)]
pub(super) enum Write {
    Commit(Box<Commit>),
    Open(Box<Opening>),
    Delete(Deletion),
    Remove(Removal),
    Expire(Expiry),
}

/// The kind of a request. A batch has requests of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    Open,
    Delete,
    Remove,
    Expire,
}

/// Replaces a checkpoint.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) name: RecordingName,
    pub(super) precondition: CommitPrecondition,
    pub(super) next: Header,
    pub(super) state: Vec<u8>,
    pub(super) shown: Shown,
    pub(super) ticket: Ticket<()>,
}

/// Opens a recording.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) name: RecordingName,
    pub(super) request: OpenRequest,
    /// The options of a new recording.
    pub(super) options: Options,
    /// The same, as they are stored.
    pub(super) options_bytes: Vec<u8>,
    /// The bytes of the options that a stored recording must have. `None` if it may have any.
    pub(super) wanted: Option<Vec<u8>>,
    /// The state of a new recording.
    pub(super) state: Vec<u8>,
    pub(super) shown: Shown,
    pub(super) ticket: Ticket<Checkpoint>,
}

/// Deletes a recording.
#[derive(Debug)]
pub(super) struct Deletion {
    pub(super) name: RecordingName,
    pub(super) ticket: Ticket<Option<u64>>,
}

/// Deletes recordings that have not changed since they were selected.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) selected: Vec<(RecordingName, Header)>,
    pub(super) ticket: Ticket<Vec<Removed>>,
}

/// Deletes expired recordings. The failure of the transaction is a part of the answer.
#[derive(Debug)]
pub(super) struct Expiry {
    pub(super) now_unix_ms: i64,
    pub(super) ticket: Ticket<Result<Vec<Removed>, Failure>>,
}

impl Write {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Commit(_) => Kind::Commit,
            Self::Open(_) => Kind::Open,
            Self::Delete(_) => Kind::Delete,
            Self::Remove(_) => Kind::Remove,
            Self::Expire(_) => Kind::Expire,
        }
    }

    /// Returns the recording, if the request is about one.
    pub(super) fn name(&self) -> Option<&RecordingName> {
        match self {
            Self::Commit(commit) => Some(&commit.name),
            Self::Open(opening) => Some(&opening.name),
            Self::Delete(deletion) => Some(&deletion.name),
            Self::Remove(_) | Self::Expire(_) => None,
        }
    }

    /// Returns whether it is an opening that was put back. Another transaction may be creating its recording, so it can
    /// delay the others of its batch.
    pub(super) fn is_repeated_opening(&self) -> bool {
        matches!(self, Self::Open(opening) if opening.ticket.was_put_back())
    }

    /// Returns the size of its content.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Commit(commit) => commit.state.len(),
            Self::Open(opening) => opening.state.len() + 2 * opening.options_bytes.len(),
            Self::Delete(_) | Self::Remove(_) | Self::Expire(_) => 0,
        }
    }

    /// Marks the request as sent. Returns whether the caller still waits for it.
    pub(super) fn send(&self) -> bool {
        match self {
            Self::Commit(commit) => commit.ticket.send(),
            Self::Open(opening) => opening.ticket.send(),
            Self::Delete(deletion) => deletion.ticket.send(),
            Self::Remove(removal) => removal.ticket.send(),
            Self::Expire(expiry) => expiry.ticket.send(),
        }
    }

    /// Marks the request as not carried out.
    pub(super) fn put_back(&self) {
        match self {
            Self::Commit(commit) => commit.ticket.put_back(),
            Self::Open(opening) => opening.ticket.put_back(),
            Self::Delete(deletion) => deletion.ticket.put_back(),
            Self::Remove(removal) => removal.ticket.put_back(),
            Self::Expire(expiry) => expiry.ticket.put_back(),
        }
    }
}

impl Request for Write {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Commit(commit) => commit.ticket.is_abandoned(),
            Self::Open(opening) => opening.ticket.is_abandoned(),
            Self::Delete(deletion) => deletion.ticket.is_abandoned(),
            Self::Remove(removal) => removal.ticket.is_abandoned(),
            Self::Expire(expiry) => expiry.ticket.is_abandoned(),
        }
    }

    fn refuse(self, error: StoreError) {
        match self {
            Self::Commit(commit) => commit.ticket.answer(Err(error)),
            Self::Open(opening) => opening.ticket.answer(Err(error)),
            Self::Delete(deletion) => deletion.ticket.answer(Err(error)),
            Self::Remove(removal) => removal.ticket.answer(Err(error)),
            Self::Expire(expiry) => expiry.ticket.answer(Err(error)),
        }
    }
}
