//! What has been told of one recording, by whomever and whenever, and whether it can all be true.
//!
//! Who asks takes a [`Floor`] first: what had been told before may not be gone in the answer. That is
//! how an order is made of calls that overlap.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use waywiser::proto::waywiser_v1 as pb;

use crate::track::Track;

const EVENTS_MAX: usize = 600;

/// The events of a round, and the first thing that cannot be true.
pub struct Journal {
    began: Instant,
    inner: Mutex<Inner>,
    /// Something has become durable.
    pub news: Notify,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<String>,
    violation: Option<String>,
    counts: Counts,
}

/// What a round was made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub kills: usize,
    pub killed_clients: usize,
    pub stops: usize,
    pub drains: usize,
    pub full_disks: usize,
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
        self.cuts += other.cuts;
        self.streams += other.streams;
        self.dropped += other.dropped;
        self.observations += other.observations;
        self.fenced += other.fenced;
        self.points += other.points;
    }
}

impl Journal {
    pub fn new() -> Arc<Self> {
        let inner = Mutex::new(Inner::default());
        Arc::new(Self { began: Instant::now(), inner, news: Notify::new() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, event: impl std::fmt::Display) {
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

    /// Something that cannot be true. The first one counts; the rest may follow from it.
    pub fn violated(&self, what: impl std::fmt::Display) {
        self.note(format_args!("VIOLATION {what}"));
        self.inner().violation.get_or_insert_with(|| what.to_string());
        self.news.notify_waiters();
    }

    pub fn violation(&self) -> Option<String> {
        self.inner().violation.clone()
    }

    pub fn history(&self) -> String {
        self.inner().events.iter().map(|event| format!("{event}\n")).collect()
    }
}

/// One recording.
pub struct Ledger {
    pub name: String,
    pub track: Track,
    pub journal: Arc<Journal>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// The highest offset that was told to be durable, and whether any was.
    committed_points: Option<u64>,
    /// The path as it was finished.
    complete: Option<pb::Path>,
}

/// What had been told before a question was asked.
#[derive(Clone)]
pub struct Floor {
    committed_points: Option<u64>,
    complete: Option<pb::Path>,
}

impl Floor {
    pub fn committed_points(&self) -> Option<u64> {
        self.committed_points
    }

    /// The floor of whoever was told of `path`, and of nothing else since.
    pub fn seen(self, path: &pb::Path) -> Self {
        let complete = if path.complete { Some(path.clone()) } else { self.complete };
        Self { committed_points: Some(path.committed_points), complete }
    }
}

impl Ledger {
    pub fn new(name: String, track: Track, journal: Arc<Journal>) -> Arc<Self> {
        Arc::new(Self { name, track, journal, told: Mutex::default() })
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn floor(&self) -> Floor {
        let told = self.told();
        Floor { committed_points: told.committed_points, complete: told.complete.clone() }
    }

    pub fn is_complete(&self) -> bool {
        self.told().complete.is_some()
    }

    pub fn note(&self, event: impl std::fmt::Display) {
        self.journal.note(format_args!("{}: {event}", self.name));
    }

    pub fn violated(&self, what: impl std::fmt::Display) {
        self.journal.violated(format_args!("{}: {what}", self.name));
    }

    /// An offset that an error told to be durable. Who told it may have been behind others; it counts
    /// for what comes after.
    pub fn heard(&self, committed_points: u64) {
        // None is what an error says, too, of a recording that there is not.
        if committed_points > 0 {
            let mut told = self.told();
            told.committed_points = told.committed_points.max(Some(committed_points));
        }
    }

    /// There is no such recording.
    pub fn missing(&self, source: &str, floor: &Floor) {
        if let Some(before) = floor.committed_points {
            self.violated(format_args!(
                "{source} found nothing after {before} points were durable"
            ));
        }
    }

    /// A path that was told, after `floor` had been.
    pub fn observe(&self, source: &str, floor: &Floor, path: &pb::Path) {
        let committed = path.committed_points;
        self.note(format_args!(
            "{source} told {committed}{}",
            if path.complete { ", complete" } else { "" }
        ));
        self.journal.count(|counts| counts.observations += 1);
        if let Some(before) = floor.committed_points.filter(|&before| before > committed) {
            self.violated(format_args!("{source} told {committed} after {before} were durable"));
        }
        let Some(len) = usize::try_from(committed).ok().filter(|&len| len <= self.track.len())
        else {
            let len = self.track.len();
            self.violated(format_args!("{source} told {committed} of {len} points"));
            return;
        };
        // What is printed of a number is all of its bits.
        let (expected, got) = (self.track.summary(len), path.summary.clone().unwrap_or_default());
        let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
        if expected != got {
            self.violated(format_args!(
                "{source} told another summary of {committed} points\nexpected {expected}\ngot      {got}"
            ));
        }
        if path.complete && len != self.track.len() {
            self.violated(format_args!("{source} told it complete with {committed} points"));
        }
        if let Some(finished) = &floor.complete {
            // The reply to a stream tells no times.
            let is_same_time = path.update_time.is_none()
                || finished.update_time.is_none()
                || path.update_time == finished.update_time;
            let is_same =
                path.complete && path.committed_points == finished.committed_points && is_same_time;
            if !is_same {
                self.violated(format_args!("{source} told a finished path to be {path:?}"));
            }
        }
        let mut told = self.told();
        told.committed_points = told.committed_points.max(Some(committed));
        let has_times = path.update_time.is_some();
        if path.complete && (told.complete.is_none() || has_times) {
            let first = told.complete.get_or_insert_with(|| path.clone());
            if first.update_time.is_none() {
                *first = path.clone();
            }
        }
        drop(told);
        self.journal.news.notify_waiters();
    }
}
