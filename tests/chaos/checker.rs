//! Collects all answers about one recording and checks that they are consistent.
//!
//! A client takes a [`LowerBound`] before it sends a request. The answer must include everything that was durable at
//! that time. This orders calls that overlap.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use waywiser::proto::waywiser_v1 as pb;

use crate::track::Track;

const EVENTS_MAX: usize = 600;

/// The events of a round, and the first violation.
pub struct EventLog {
    began: Instant,
    inner: Mutex<Inner>,
    /// Notified when more points are durable, and when a violation is found.
    pub changed: Notify,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<String>,
    violation: Option<String>,
    counts: Counts,
}

/// The number of occurrences of each event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub kills: usize,
    pub killed_clients: usize,
    pub stops: usize,
    pub drains: usize,
    pub full_disks: usize,
    pub database_kills: usize,
    pub failovers: usize,
    pub cancelled_waits: usize,
    pub lost_answers: usize,
    pub cuts: usize,
    pub streams: usize,
    pub dropped: usize,
    pub observations: usize,
    pub fenced: usize,
    pub points: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.kills += other.kills;
        self.killed_clients += other.killed_clients;
        self.stops += other.stops;
        self.drains += other.drains;
        self.full_disks += other.full_disks;
        self.database_kills += other.database_kills;
        self.failovers += other.failovers;
        self.cancelled_waits += other.cancelled_waits;
        self.lost_answers += other.lost_answers;
        self.cuts += other.cuts;
        self.streams += other.streams;
        self.dropped += other.dropped;
        self.observations += other.observations;
        self.fenced += other.fenced;
        self.points += other.points;
    }
}

impl EventLog {
    pub fn new() -> Arc<Self> {
        let inner = Mutex::new(Inner::default());
        Arc::new(Self { began: Instant::now(), inner, changed: Notify::new() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn record(&self, event: impl std::fmt::Display) {
        let at = self.began.elapsed().as_secs_f64() * 1e3;
        let mut inner = self.inner();
        if inner.events.len() == EVENTS_MAX {
            inner.events.pop_front();
        }
        inner.events.push_back(format!("{at:10.3} ms  {event}"));
    }

    pub fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.inner().counts);
    }

    pub fn counts(&self) -> Counts {
        self.inner().counts
    }

    /// Records a violation. Keeps the first one, since later ones may be its consequences.
    pub fn report_violation(&self, what: impl std::fmt::Display) {
        self.record(format_args!("VIOLATION {what}"));
        self.inner().violation.get_or_insert_with(|| what.to_string());
        self.changed.notify_waiters();
    }

    pub fn violation(&self) -> Option<String> {
        self.inner().violation.clone()
    }

    pub fn history(&self) -> String {
        self.inner().events.iter().map(|event| format!("{event}\n")).collect()
    }
}

/// Checks the answers about one recording.
pub struct Checker {
    pub name: String,
    pub track: Track,
    pub events: Arc<EventLog>,
    observed: Mutex<Observed>,
}

#[derive(Default)]
struct Observed {
    /// The highest offset that an answer reported as durable.
    committed_points: Option<u64>,
    /// The first answer that reported the path as complete.
    complete: Option<pb::Path>,
}

/// The state that earlier answers had reported when a request was sent.
#[derive(Clone)]
pub struct LowerBound {
    committed_points: Option<u64>,
    complete: Option<pb::Path>,
}

impl LowerBound {
    pub fn committed_points(&self) -> Option<u64> {
        self.committed_points
    }

    /// Returns the bound of a client that has received `path`.
    pub fn seen(self, path: &pb::Path) -> Self {
        let complete = if path.complete { Some(path.clone()) } else { self.complete };
        Self { committed_points: Some(path.committed_points), complete }
    }
}

impl Checker {
    pub fn new(name: String, track: Track, events: Arc<EventLog>) -> Arc<Self> {
        Arc::new(Self { name, track, events, observed: Mutex::default() })
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn bound(&self) -> LowerBound {
        let observed = self.observed();
        LowerBound {
            committed_points: observed.committed_points,
            complete: observed.complete.clone(),
        }
    }

    pub fn is_complete(&self) -> bool {
        self.observed().complete.is_some()
    }

    pub fn record(&self, event: impl std::fmt::Display) {
        self.events.record(format_args!("{}: {event}", self.name));
    }

    pub fn report_violation(&self, what: impl std::fmt::Display) {
        self.events.report_violation(format_args!("{}: {what}", self.name));
    }

    /// Takes the durable offset of an error. It may be older than other answers, so it is not checked itself.
    pub fn observe_offset(&self, committed_points: u64) {
        // Errors also report 0 points for a recording that does not exist.
        if committed_points > 0 {
            let mut observed = self.observed();
            observed.committed_points = observed.committed_points.max(Some(committed_points));
        }
    }

    /// Takes an answer that the recording does not exist.
    pub fn observe_missing(&self, source: &str, bound: &LowerBound) {
        if let Some(before) = bound.committed_points {
            self.report_violation(format_args!(
                "{source} did not find the recording after {before} points were durable"
            ));
        }
    }

    /// Takes an answer to a request that was sent after `bound` was taken.
    pub fn observe(&self, source: &str, bound: &LowerBound, path: &pb::Path) {
        let committed = path.committed_points;
        self.record(format_args!(
            "{source} reported {committed}{}",
            if path.complete { ", complete" } else { "" }
        ));
        self.events.count(|counts| counts.observations += 1);
        if let Some(before) = bound.committed_points.filter(|&before| before > committed) {
            self.report_violation(format_args!(
                "{source} reported {committed} points after {before} were durable"
            ));
        }
        let Some(len) = usize::try_from(committed).ok().filter(|&len| len <= self.track.len())
        else {
            let len = self.track.len();
            self.report_violation(format_args!("{source} reported {committed} of {len} points"));
            return;
        };
        // The debug text of a floating-point number identifies all of its bits.
        let (expected, got) = (self.track.summary(len), path.summary.clone().unwrap_or_default());
        let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
        if expected != got {
            self.report_violation(format_args!(
                "{source} reported a wrong summary of {committed} points\nexpected {expected}\ngot      {got}"
            ));
        }
        if path.complete && len != self.track.len() {
            self.report_violation(format_args!(
                "{source} reported the path as complete with {committed} points"
            ));
        }
        if let Some(finished) = &bound.complete {
            // The reply to a stream has no times.
            let is_same_time = path.update_time.is_none()
                || finished.update_time.is_none()
                || path.update_time == finished.update_time;
            let is_same =
                path.complete && path.committed_points == finished.committed_points && is_same_time;
            if !is_same {
                self.report_violation(format_args!(
                    "{source} reported another state of a finished path: {path:?}"
                ));
            }
        }
        let mut observed = self.observed();
        observed.committed_points = observed.committed_points.max(Some(committed));
        let has_times = path.update_time.is_some();
        if path.complete && (observed.complete.is_none() || has_times) {
            let first = observed.complete.get_or_insert_with(|| path.clone());
            if first.update_time.is_none() {
                *first = path.clone();
            }
        }
        drop(observed);
        self.events.changed.notify_waiters();
    }
}
