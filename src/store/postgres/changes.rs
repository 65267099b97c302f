//! The changes of watched recordings, by asking the database four times a second while there are any.
//!
//! Each query sends the known versions and gets the rows that differ. A version is reported once. The subscriber does
//! not take it over if the recording is damaged. The version is then reported again after a pause. An older version than
//! the known one means that a failover lost commits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_postgres::Row;

use super::reader::{Parameter, Read};
use super::row::{self, Key};
use super::scan::{QueryError, ask};
use super::splitting::FAILURES_MAX;
use super::ticket::Queue;
use crate::recording::{
    RecordingName, RecordingVersion, Removed, StoreEvent, StoreEvents, WatchedRecording,
    WatchedRecordings,
};

/// The time between two queries.
const TICK: Duration = Duration::from_millis(250);
/// The time after a poll that has failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Maximum number of recordings in a query.
const BATCH_MAX: usize = 2_000;
/// A version that the subscriber did not take over is reported again after this time.
const REPEAT: Duration = Duration::from_secs(30);

const CHANGED: &str = "\
SELECT c.namespace, c.id, r.epoch, r.points, r.complete
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[])
  AS c(namespace, id, epoch, points, complete)
LEFT JOIN waywiser_recording r ON r.namespace = c.namespace AND r.id = c.id
WHERE (r.epoch, r.points, r.complete) IS DISTINCT FROM (c.epoch, c.points, c.complete)";

/// A version that was reported.
#[derive(Clone, Copy, Debug)]
struct Reported {
    /// The version that the subscriber knew.
    known: Option<RecordingVersion>,
    /// The version that was reported to it.
    found: Option<RecordingVersion>,
    repeat_at: Instant,
}

/// A subscription.
struct Subscription {
    reader: Arc<Queue<Read>>,
    watched: WatchedRecordings,
    ticks: tokio::time::Interval,
    reported: HashMap<RecordingName, Reported>,
    events: VecDeque<StoreEvent>,
    /// The number of the watched recording with which the next poll starts.
    first: usize,
}

/// Subscribes to the changes of watched recordings.
pub(super) fn subscribe(reader: Arc<Queue<Read>>, watched: WatchedRecordings) -> StoreEvents {
    Box::pin(stream::unfold(None, move |subscription| {
        let (reader, watched) = (Arc::clone(&reader), watched.clone());
        async move {
            let mut subscription =
                subscription.unwrap_or_else(|| Subscription::new(reader, watched));
            let event = subscription.next().await;
            Some((event, Some(subscription)))
        }
    }))
}

impl Subscription {
    fn new(reader: Arc<Queue<Read>>, watched: WatchedRecordings) -> Self {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { reader, watched, ticks, reported: HashMap::new(), events: VecDeque::new(), first: 0 }
    }

    async fn next(&mut self) -> StoreEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.ticks.tick().await;
            let watched = self.watched.now();
            if watched.is_empty() {
                self.reported = HashMap::new();
                continue;
            }
            self.poll(watched).await;
        }
    }

    /// Compares all watched recordings with the database. If it is not available, the next poll finds the same changes.
    async fn poll(&mut self, mut watched: Vec<WatchedRecording>) {
        let (mut reported, mut failures, mut successes) = (HashMap::new(), 0, 0);
        let mut done = 0;
        let first = self.first.checked_rem(watched.len()).unwrap_or(0);
        watched.rotate_left(first);
        for batch in watched.chunks(BATCH_MAX) {
            let mut parts = vec![batch];
            while let Some(part) = parts.pop() {
                if failures >= FAILURES_MAX {
                    self.keep(part, &mut reported);
                    continue;
                }
                let result = self.changed(part).await;
                match &result {
                    Ok(_) => successes += 1,
                    Err(_) => failures += 1,
                }
                match result {
                    Ok(rows) => {
                        done += part.len();
                        self.report(part, &rows, &mut reported);
                    }
                    // A page that cannot be read hides the changes of the recordings on it only.
                    Err(QueryError { is_of_rows: true, .. }) if part.len() > 1 => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                    Err(QueryError { error, .. }) => {
                        tracing::debug!(%error, "the changes of watched recordings could not be read");
                        done += part.len();
                        self.keep(part, &mut reported);
                    }
                }
            }
        }
        self.reported = reported;
        if failures >= FAILURES_MAX {
            // The next poll starts with the others, so that many damaged recordings do not hide their changes for ever.
            self.first = self.first.wrapping_add(done);
        }
        if failures >= FAILURES_MAX || failures > 0 && successes == 0 {
            self.ticks.reset_after(PAUSE);
        }
    }

    /// Returns the rows that differ from what is known or was reported.
    async fn changed(&self, watched: &[WatchedRecording]) -> Result<Vec<Row>, QueryError> {
        let now = Instant::now();
        let (mut namespaces, mut ids) = (Vec::new(), Vec::new());
        let (mut epochs, mut points, mut complete) = (Vec::new(), Vec::new(), Vec::new());
        for recording in watched {
            namespaces.push(row::namespace(&recording.name).to_owned());
            ids.push(recording.name.id().to_owned());
            let version = self.expected(recording, now);
            epochs.push(version.map(|version| version.epoch.cast_signed()));
            points.push(version.map(|version| version.committed_points.cast_signed()));
            complete.push(version.map(|version| version.complete));
        }
        let parameters = vec![
            Parameter::Texts(namespaces),
            Parameter::Texts(ids),
            Parameter::Numbers(epochs),
            Parameter::Numbers(points),
            Parameter::Flags(complete),
        ];
        // The subscriber loads what was changed. A removal is reported as it is.
        ask(&self.reader, CHANGED, parameters, true).await
    }

    /// Returns the version that was reported for a recording, or else the one that the subscriber knows.
    fn expected(&self, recording: &WatchedRecording, now: Instant) -> Option<RecordingVersion> {
        match self.reported.get(&recording.name) {
            Some(reported) if reported.known == recording.known && now < reported.repeat_at => {
                reported.found
            }
            _ => recording.known,
        }
    }

    /// Adds the events of rows that differ.
    fn report(
        &mut self,
        watched: &[WatchedRecording],
        rows: &[Row],
        reported: &mut HashMap<RecordingName, Reported>,
    ) {
        self.keep(watched, reported);
        let by_key: HashMap<Key, &WatchedRecording> =
            watched.iter().map(|recording| (row::key(&recording.name), recording)).collect();
        let now = Instant::now();
        for row in rows {
            let Ok(key) = row::get_key(row) else { continue };
            let Some(recording) = by_key.get(&key) else { continue };
            let expected = self.expected(recording, now);
            let found = found(row);
            let name = recording.name.clone();
            match (found, expected) {
                (Some(found), _) if recording.known.is_some_and(|known| is_older(found, known)) => {
                    self.events.push_back(StoreEvent::Reverted(name.clone()));
                }
                (Some(version), _) => self.events.push_back(StoreEvent::Stored {
                    name: name.clone(),
                    epoch: version.epoch,
                    committed_points: version.committed_points,
                    complete: version.complete,
                }),
                (None, Some(version)) => {
                    let removed = Removed { name: name.clone(), epoch: version.epoch };
                    self.events.push_back(StoreEvent::Removed(removed));
                }
                (None, None) => continue,
            }
            let repeat_at = now + REPEAT;
            reported.insert(name, Reported { known: recording.known, found, repeat_at });
        }
    }

    /// Keeps what was reported about recordings that are still watched.
    fn keep(&self, watched: &[WatchedRecording], reported: &mut HashMap<RecordingName, Reported>) {
        for recording in watched {
            if let Some(known) = self.reported.get(&recording.name)
                && known.known == recording.known
                && Instant::now() < known.repeat_at
            {
                reported.insert(recording.name.clone(), *known);
            }
        }
    }
}

/// Returns whether a stored version precedes one that was durable before.
fn is_older(found: RecordingVersion, known: RecordingVersion) -> bool {
    let order =
        |version: RecordingVersion| (version.epoch, version.complete, version.committed_points);
    order(found) < order(known)
}

/// Reads the version of a row, which is missing if there is no such recording.
fn found(row: &Row) -> Option<RecordingVersion> {
    Some(RecordingVersion {
        epoch: row.try_get::<_, Option<i64>>(2).ok()??.cast_unsigned(),
        committed_points: row.try_get::<_, Option<i64>>(3).ok()??.cast_unsigned(),
        complete: row.try_get::<_, Option<bool>>(4).ok()??,
    })
}
