//! The latest known state of each watched recording.
//!
//! Tasks report commits, loads and removals after the store has done them, so reports may arrive in any order.
//! Epochs order them: [`WatchState`] keeps the newest epoch that was removed and the newest checkpoint of a later
//! epoch. Both are maxima, so the final state does not depend on the order of the reports.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::recording::{Checkpoint, RecordingName, RecordingVersion, WatchedRecording};

/// The known state of one name.
#[derive(Clone, Debug, Default)]
pub(super) struct WatchState {
    /// Every checkpoint of this epoch or an older one was removed. Epochs start at 1.
    removed_epoch: u64,
    /// The newest checkpoint whose epoch is later than `removed_epoch`.
    stored: Option<Arc<Checkpoint>>,
    /// Number of times that the store lost the newest checkpoints.
    reversions: u64,
}

/// Orders the checkpoints of a recording: the epoch, whether it is finished, the number of points.
type Version = (u64, bool, u64);

fn version(checkpoint: &Checkpoint) -> Version {
    (checkpoint.epoch, checkpoint.complete, checkpoint.committed_points())
}

impl WatchState {
    /// Returns whether the recording that was open with `epoch` was removed.
    pub(super) fn is_removed(&self, epoch: u64) -> bool {
        epoch <= self.removed_epoch
    }

    /// Returns how many times the store lost the newest checkpoints.
    pub(super) fn reversions(&self) -> u64 {
        self.reversions
    }

    /// Returns the newest checkpoint, if there is a recording.
    pub(super) fn stored(&self) -> Option<&Arc<Checkpoint>> {
        self.stored.as_ref()
    }

    /// Returns whether a checkpoint of this version is newer than the known state.
    fn is_newer(&self, next: Version) -> bool {
        self.stored.as_ref().is_none_or(|known| next > version(known))
    }

    /// Applies a stored checkpoint. Returns whether it is newer than the known state.
    fn store(&mut self, next: &Arc<Checkpoint>) -> bool {
        let is_newer = self.is_newer(version(next));
        let is_update = is_newer && !self.is_removed(next.epoch);
        if is_update {
            self.stored = Some(Arc::clone(next));
        }
        is_update
    }

    /// Applies a removal. Returns whether it changes the state.
    fn remove(&mut self, epoch: u64) -> bool {
        if self.is_removed(epoch) {
            return false;
        }
        self.removed_epoch = epoch;
        self.stored.take_if(|stored| stored.epoch <= epoch);
        true
    }
}

/// The watched recordings. There is an entry for a recording only while it has watchers.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    watched: Mutex<HashMap<RecordingName, watch::Sender<WatchState>>>,
    /// Number of entries. Commits of recordings without watchers take no lock while it is 0.
    count: AtomicUsize,
}

impl Watchers {
    /// Reports that a checkpoint is durable.
    pub(super) fn report_stored(&self, name: &RecordingName, checkpoint: &Arc<Checkpoint>) {
        self.update(name, |latest| latest.store(checkpoint));
    }

    /// Reports that every checkpoint of `epoch` or an older one was removed.
    pub(super) fn report_removed(&self, name: &RecordingName, epoch: u64) {
        self.update(name, |latest| latest.remove(epoch));
    }

    /// Reports that the store has an older state than the known one.
    pub(super) fn report_reverted(&self, name: &RecordingName) {
        self.update(name, |latest| {
            *latest = WatchState { reversions: latest.reversions + 1, ..WatchState::default() };
            true
        });
    }

    /// Returns the epoch of the newest known checkpoint, or 0 if no checkpoint is known. Returns `None` if the recording
    /// has no watchers.
    pub(super) fn known_epoch(&self, name: &RecordingName) -> Option<u64> {
        let watched = self.watched();
        let latest = watched.get(name)?.borrow();
        Some(latest.stored.as_ref().map_or(0, |stored| stored.epoch))
    }

    /// Returns whether a recording has watchers that have not received a checkpoint of this version.
    pub(super) fn misses(&self, name: &RecordingName, version: Version) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let watched = self.watched();
        let Some(latest) = watched.get(name).map(watch::Sender::borrow) else { return false };
        latest.is_newer(version) && !latest.is_removed(version.0)
    }

    /// Returns the names that have watchers.
    pub(super) fn names(&self) -> Vec<RecordingName> {
        self.watched().keys().cloned().collect()
    }

    /// Returns the recordings that have watchers, with the newest known checkpoints.
    pub(super) fn watched_recordings(&self) -> Vec<WatchedRecording> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let watched = self.watched();
        let recordings = watched.iter().map(|(name, sender)| {
            let known = sender.borrow().stored().map(|stored| RecordingVersion {
                epoch: stored.epoch,
                committed_points: stored.committed_points(),
                complete: stored.complete,
            });
            WatchedRecording { name: name.clone(), known }
        });
        recordings.collect()
    }

    /// Returns the number of watchers of all recordings.
    pub(super) fn watcher_count(&self) -> usize {
        self.watched().values().map(watch::Sender::receiver_count).sum()
    }

    pub(super) fn subscribe(&self, name: &RecordingName) -> watch::Receiver<WatchState> {
        let mut watched = self.watched();
        let updates = watched.entry(name.clone()).or_default().subscribe();
        self.count.store(watched.len(), Ordering::Release);
        updates
    }

    /// Ends a subscription. Each receiver calls it before it is dropped; the last one removes the entry.
    pub(super) fn unsubscribe(&self, name: &RecordingName) {
        let mut watched = self.watched();
        if watched.get(name).is_some_and(|sender| sender.receiver_count() <= 1) {
            watched.remove(name);
        }
        self.count.store(watched.len(), Ordering::Release);
    }

    fn update(&self, name: &RecordingName, change: impl FnOnce(&mut WatchState) -> bool) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some(sender) = self.watched().get(name) {
            sender.send_if_modified(change);
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<RecordingName, watch::Sender<WatchState>>> {
        // No code panics while it holds the lock.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::service::path::testing::checkpoint;

    #[test]
    fn an_old_report_does_not_hide_a_newer_one() {
        let mut latest = WatchState::default();
        assert!(latest.store(&checkpoint(1, 0, false)));
        assert!(latest.store(&checkpoint(1, 100, false)));
        assert!(!latest.store(&checkpoint(1, 50, false)), "an older commit");
        assert!(latest.store(&checkpoint(2, 200, true)));
        assert!(!latest.store(&checkpoint(1, 100, false)), "a fenced writer");
        assert!(!latest.store(&checkpoint(2, 200, false)), "a commit before the last one");
        assert!(latest.remove(2));
        assert!(!latest.remove(2) && !latest.remove(1));
        assert!(!latest.store(&checkpoint(2, 200, true)), "removed since");
        assert!(latest.stored().is_none() && latest.is_removed(2) && !latest.is_removed(3));
        assert!(latest.store(&checkpoint(3, 0, false)), "started again");
    }

    #[test]
    fn a_late_removal_does_not_hide_a_new_recording() {
        let mut latest = WatchState::default();
        latest.store(&checkpoint(1, 5, false));
        latest.store(&checkpoint(2, 0, false));
        assert!(latest.remove(1), "it ends the watchers of the old recording");
        assert_eq!(latest.stored().unwrap().epoch, 2);
    }

    #[test]
    fn a_load_from_before_the_removal_is_ignored() {
        let mut latest = WatchState::default();
        assert!(latest.remove(1));
        assert!(!latest.store(&checkpoint(1, 5, false)));
        assert!(latest.stored().is_none());
    }

    #[test]
    fn the_watched_recordings_have_their_known_versions() {
        let watchers = Watchers::default();
        let names = ["paths/a", "paths/b"].map(|name| name.parse::<RecordingName>().unwrap());
        assert_eq!(watchers.watched_recordings(), []);
        let receivers = [&names[0], &names[1], &names[1]].map(|name| watchers.subscribe(name));
        watchers.report_stored(&names[1], &checkpoint(2, 7, true));
        let mut watched = watchers.watched_recordings();
        watched.sort_by(|a, b| a.name.cmp(&b.name));
        let known = RecordingVersion { epoch: 2, committed_points: 7, complete: true };
        let [a, b] = names.clone();
        let expected = [
            WatchedRecording { name: a, known: None },
            WatchedRecording { name: b, known: Some(known) },
        ];
        assert_eq!(watched, expected);
        // A removed recording is not known.
        watchers.report_removed(&names[1], 2);
        assert!(watchers.watched_recordings().iter().all(|watched| watched.known.is_none()));
        for (name, receiver) in [&names[0], &names[1], &names[1]].into_iter().zip(receivers) {
            watchers.unsubscribe(name);
            drop(receiver);
        }
        assert_eq!(watchers.watched_recordings(), []);
    }

    /// A step of one name in the store.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Open,
        Commit,
        Remove,
        Load,
    }

    /// A report of the store.
    #[derive(Clone, Debug)]
    enum Report {
        Stored(Arc<Checkpoint>),
        Removed(u64),
    }

    /// Runs the steps. Returns the reports and the final state.
    fn run(steps: &[Step]) -> (Vec<Report>, Option<Arc<Checkpoint>>) {
        let (mut epoch, mut stored, mut reports) = (0, None::<Arc<Checkpoint>>, Vec::new());
        for step in steps {
            match (step, stored.clone()) {
                (Step::Open, known) => {
                    epoch += 1;
                    let points = known.map_or(0, |known| known.committed_points());
                    stored = Some(checkpoint(epoch, points as usize, false));
                }
                (Step::Commit, Some(known)) => {
                    let points = known.committed_points() as usize + 1;
                    stored = Some(checkpoint(known.epoch, points, false));
                }
                (Step::Remove, Some(known)) => {
                    reports.push(Report::Removed(known.epoch));
                    stored = None;
                }
                (Step::Load, _) | (_, None) => {}
            }
            reports.extend(stored.clone().map(Report::Stored));
        }
        (reports, stored)
    }

    proptest! {
        #[test]
        fn the_order_of_reports_does_not_matter(
            steps in prop::collection::vec(
                prop::sample::select(vec![Step::Open, Step::Commit, Step::Remove, Step::Load]),
                0..12,
            ),
            order in prop::collection::vec(any::<u32>(), 24),
        ) {
            let (reports, stored) = run(&steps);
            let mut shuffled: Vec<_> = order.iter().cycle().zip(&reports).collect();
            shuffled.sort_by_key(|(order, _)| **order);
            let mut latest = WatchState::default();
            for (_, report) in &shuffled {
                match report {
                    Report::Stored(checkpoint) => latest.store(checkpoint),
                    Report::Removed(epoch) => latest.remove(*epoch),
                };
            }
            prop_assert_eq!(latest.stored(), stored.as_ref());
            for report in &reports {
                if let Report::Removed(epoch) = report {
                    prop_assert!(latest.is_removed(*epoch));
                }
            }
            if let Some(stored) = stored {
                prop_assert!(!latest.is_removed(stored.epoch));
            }
        }
    }
}
