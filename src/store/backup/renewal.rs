//! The expiry of restored recordings. A backup has the times at which its recordings would have expired; a server
//! deletes recordings whose time has passed.

use std::time::Duration;

use super::BackupError;
use crate::recording::RecordingName;
use crate::store::codec::Record;
use crate::store::rules::Header;

/// When restored recordings expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoredExpiry {
    /// At the times in the backup. Recordings that have expired since are left out.
    Keep,
    /// After the time that was left when the backup was made, and never sooner than `at_least` after the restore.
    Renew {
        /// The minimum.
        at_least: Duration,
    },
}

/// Adapts the recordings of a backup: renews their expiry, or leaves out those that have expired.
#[derive(Debug)]
pub struct Renewal<I> {
    recordings: I,
    created_unix_ms: i64,
    now_unix_ms: i64,
    expiry: RestoredExpiry,
    renewed: u64,
    extended: u64,
    left_out: u64,
}

impl<I> Renewal<I> {
    /// Adapts the recordings of a backup that was made at `created_unix_ms` and is restored at `now_unix_ms`, both in
    /// milliseconds since 1970-01-01T00:00:00Z.
    pub fn new(
        recordings: I,
        created_unix_ms: i64,
        now_unix_ms: i64,
        expiry: RestoredExpiry,
    ) -> Self {
        let (renewed, extended, left_out) = (0, 0, 0);
        Self { recordings, created_unix_ms, now_unix_ms, expiry, renewed, extended, left_out }
    }

    /// Returns the number of recordings so far that had expired and were renewed.
    pub fn renewed(&self) -> u64 {
        self.renewed
    }

    /// Returns the number of recordings so far whose time left was below the minimum, so that they got the minimum.
    pub fn extended(&self) -> u64 {
        self.extended
    }

    /// Returns the number of recordings so far that had expired and were left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Returns the time at which a recording expires, or `None` if it is left out.
    fn expire_unix_ms(&mut self, header: &Header) -> Option<i64> {
        let stored = header.expire_unix_ms;
        match self.expiry {
            RestoredExpiry::Keep => (stored > self.now_unix_ms).then_some(stored),
            RestoredExpiry::Renew { at_least } => {
                let at_least = i64::try_from(at_least.as_millis()).unwrap_or(i64::MAX);
                let mut left = stored.saturating_sub(self.created_unix_ms);
                if left <= 0 {
                    // The server had not deleted the recording, so the clock of the backup was ahead of that of the
                    // server. Its retention is all that is known.
                    left = stored.saturating_sub(header.update_unix_ms).max(0);
                }
                let without = stored.max(self.now_unix_ms.saturating_add(left));
                let minimum = self.now_unix_ms.saturating_add(at_least);
                self.extended += u64::from(minimum > without);
                Some(without.max(minimum))
            }
        }
    }

    /// Returns the recording with its new expiry, or `None` if it is left out.
    fn adapt(
        &mut self,
        name: RecordingName,
        record: Vec<u8>,
    ) -> Option<Result<(RecordingName, Vec<u8>), BackupError>> {
        let adapted = Record::read(&name, &record).and_then(|read| {
            let header = read.header();
            let Some(expire_unix_ms) = self.expire_unix_ms(&header) else {
                self.left_out += 1;
                return Ok(None);
            };
            self.renewed += u64::from(header.expire_unix_ms <= self.now_unix_ms);
            if expire_unix_ms == header.expire_unix_ms {
                return Ok(Some(record.clone()));
            }
            read.with_header(&name, &Header { expire_unix_ms, ..header }).map(Some)
        });
        match adapted {
            Ok(record) => Some(Ok((name, record?))),
            Err(source) => Some(Err(BackupError::Record { name, source })),
        }
    }
}

impl<I> Iterator for Renewal<I>
where
    I: Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>>,
{
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        loop {
            let adapted = match self.recordings.next()? {
                Ok((name, record)) => self.adapt(name, record),
                Err(error) => Some(Err(error)),
            };
            if adapted.is_some() {
                return adapted;
            }
        }
    }
}
