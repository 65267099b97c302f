//! Random histories of several writers, with a store whose answers fail or are lost.

use proptest::prelude::*;

use super::*;

/// One step of a history. Numbers select one of the existing writers or late commits.
#[derive(Clone, Debug)]
enum Event {
    Open,
    /// A message without an offset, or with an offset at this distance from the position of the stream.
    Send {
        writer: usize,
        from: Option<i64>,
        count: u64,
    },
    Finish {
        writer: usize,
    },
    Time {
        ms: i64,
    },
    /// A commit becomes pending, if one is due.
    Commit {
        writer: usize,
        force: bool,
    },
    /// The pending commit is carried out or not, and its result is reported or not.
    Answer {
        writer: usize,
        how: Answer,
    },
    /// An old commit reaches the store.
    Late {
        which: usize,
    },
    Load {
        writer: usize,
        fails: bool,
    },
    Crash {
        writer: usize,
    },
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Committed,
    Unavailable,
    UnknownCommitted,
    UnknownLost,
    UnknownLate,
}

fn event() -> impl Strategy<Value = Event> {
    let answer = prop::sample::select(vec![
        Answer::Committed,
        Answer::Committed,
        Answer::Unavailable,
        Answer::UnknownCommitted,
        Answer::UnknownLost,
        Answer::UnknownLate,
    ]);
    let writer = 0..3_usize;
    let from = prop_oneof![2 => Just(None), 3 => Just(Some(0)), 2 => (-20..3_i64).prop_map(Some)];
    prop_oneof![
        1 => Just(Event::Open),
        8 => (writer.clone(), from, 0..15_u64)
            .prop_map(|(writer, from, count)| Event::Send { writer, from, count }),
        1 => writer.clone().prop_map(|writer| Event::Finish { writer }),
        4 => (-200..2_000_i64).prop_map(|ms| Event::Time { ms }),
        6 => (writer.clone(), any::<bool>())
            .prop_map(|(writer, force)| Event::Commit { writer, force }),
        6 => (writer.clone(), answer).prop_map(|(writer, how)| Event::Answer { writer, how }),
        2 => (0..4_usize).prop_map(|which| Event::Late { which }),
        4 => (writer.clone(), prop::bool::weighted(0.2))
            .prop_map(|(writer, fails)| Event::Load { writer, fails }),
        1 => writer.prop_map(|writer| Event::Crash { writer }),
    ]
}

struct Writer {
    recording: Recording,
    pending: Option<Commit>,
    must_load: bool,
    has_ended: bool,
    has_sent: bool,
}

impl Writer {
    fn new(recording: Recording) -> Self {
        Self { recording, pending: None, must_load: false, has_ended: false, has_sent: false }
    }
}

impl Writer {
    fn apply(&mut self, step: NextStep) {
        match step {
            NextStep::Continue => self.must_load = false,
            NextStep::Load => self.must_load = true,
            NextStep::Fenced { epoch } => {
                assert!(epoch > self.recording.epoch());
                self.has_ended = true;
            }
            NextStep::Gone | NextStep::Lost(_) => panic!("no step deletes or damages: {step:?}"),
        }
    }

    fn answer(&mut self, store: &mut Model, how: Answer, now: i64) {
        let Some(commit) = self.pending.take() else { return };
        let outcome = match how {
            Answer::Committed => store.commit(&commit),
            Answer::Unavailable => Err(unavailable()),
            Answer::UnknownCommitted => store.commit(&commit).and(Err(unknown())),
            Answer::UnknownLost => Err(unknown()),
            Answer::UnknownLate => {
                store.late.push(commit);
                Err(unknown())
            }
        };
        match outcome {
            Ok(()) => self.recording.committed(),
            Err(error) => {
                let step = self.recording.refused(error, now);
                self.apply(step);
            }
        }
    }

    fn load(&mut self, store: &Model, fails: bool, now: i64) {
        if self.must_load {
            let loaded = if fails { Err(unknown()) } else { Ok(store.stored.clone()) };
            let step = self.recording.reconcile(loaded, now);
            self.apply(step);
        }
    }
}

proptest! {
    #[test]
    fn a_recording_is_always_one_uninterrupted_fold(
        events in prop::collection::vec(event(), 0..120),
    ) {
        let prefixes = &*PREFIXES;
        let (mut store, mut now) = (Model::default(), 0);
        let mut writers = vec![Writer::new(resumed(&mut store, now))];
        let mut before = store.stored.clone().unwrap();
        for event in events {
            let count = writers.len().max(1);
            match event {
                Event::Open if writers.len() < 3 => {
                    writers.push(Writer::new(resumed(&mut store, now)));
                }
                Event::Open => {}
                Event::Time { ms } => now += ms,
                Event::Late { which } => {
                    if which < store.late.len() {
                        let late = store.late.remove(which);
                        let _ = store.commit(&late);
                    }
                }
                Event::Crash { writer } => {
                    if !writers.is_empty() {
                        // The pending commit may still reach the store.
                        let writer = writers.remove(writer % count);
                        store.late.extend(writer.pending);
                    }
                }
                Event::Send { writer, .. } | Event::Finish { writer } | Event::Commit { writer, .. }
                | Event::Answer { writer, .. } | Event::Load { writer, .. } => {
                    let Some(writer) = writers.get_mut(writer % count) else { continue };
                    let had = writer.recording.committed_points();
                    if writer.has_ended {
                        prop_assert_eq!(writer.recording.next_commit(now, true), None);
                        continue;
                    }
                    match event {
                        Event::Send { from, count, .. } => {
                            let had = writer.recording.accumulator().point_count();
                            let is_first = !writer.has_sent;
                            let next = writer.recording.next_offset();
                            let at = if is_first { had } else { next };
                            let offset = from.map(|by| at.saturating_add_signed(by).min(POINTS));
                            let start = offset.unwrap_or(next);
                            let count = count.min(POINTS - start);
                            match send(&mut writer.recording, offset, count, now) {
                                Ok(skipped) => {
                                    prop_assert_eq!(skipped, count.min(had - start));
                                    writer.has_sent = true;
                                }
                                Err(RecordingError::OffsetRequired { .. }) => {
                                    prop_assert!(is_first && offset.is_none() && had > 0);
                                }
                                Err(RecordingError::OffsetMismatch { expected, got, .. }) => {
                                    prop_assert_eq!((expected, Some(got)), (next, offset));
                                    prop_assert!(!is_first && expected != got);
                                }
                                Err(RecordingError::Gap { .. }) => prop_assert!(is_first && start > had),
                                Err(RecordingError::EndsBefore { .. }) => unreachable!("no end is set"),
                                Err(error) => {
                                    let is_past_end = matches!(error, RecordingError::PastEnd { .. });
                                    prop_assert_eq!(is_past_end, writer.recording.is_complete());
                                    prop_assert!(start + count > had);
                                }
                            }
                        }
                        Event::Finish { .. } => writer.recording.finish(),
                        Event::Commit { force, .. } => {
                            let due_at = writer.recording.due_at();
                            let commit = writer.recording.next_commit(now, force);
                            if commit.is_none() && due_at.is_some_and(|due_at| due_at <= now) {
                                prop_assert!(false, "due at {:?} and not returned", due_at);
                            }
                            if commit.is_some() {
                                prop_assert!(writer.pending.is_none(), "two commits are pending");
                                writer.pending = commit;
                            }
                        }
                        Event::Answer { how, .. } => writer.answer(&mut store, how, now),
                        Event::Load { fails, .. } => writer.load(&store, fails, now),
                        _ => {}
                    }
                    let recording = &writer.recording;
                    let durable = store.stored.as_ref().unwrap();
                    prop_assert!(recording.committed_points() >= had, "the number of committed points has decreased");
                    prop_assert!(recording.committed_points() <= durable.committed_points());
                    prop_assert!(!recording.is_complete() || durable.complete);
                    let count = recording.accumulator().point_count();
                    prop_assert_eq!(recording.accumulator(), &prefixes[count as usize]);
                }
            }
            let stored = store.stored.as_ref().unwrap();
            prop_assert!(stored.committed_points() >= before.committed_points());
            prop_assert!(!before.complete || *stored == before, "a finished recording has changed");
            prop_assert_eq!(&stored.accumulator, &prefixes[stored.committed_points() as usize]);
            before = stored.clone();
        }

        // The last writer finishes the recording, although late commits and unknown results are left.
        let mut last = Writer::new(resumed(&mut store, now));
        if !last.recording.is_complete() {
            let from = last.recording.committed_points();
            send(&mut last.recording, from, POINTS - from, now).unwrap();
            last.recording.finish();
            for how in [Answer::UnknownLate, Answer::UnknownCommitted, Answer::Committed, Answer::Committed] {
                last.pending = last.recording.next_commit(now, true);
                last.answer(&mut store, how, now);
                last.load(&store, false, now);
                for late in std::mem::take(&mut store.late) {
                    let _ = store.commit(&late);
                }
            }
        }
        prop_assert!(last.recording.is_complete() && last.recording.is_settled());
        let stored = store.stored.unwrap();
        prop_assert!(stored.complete);
        let count = if before.complete { before.committed_points() } else { POINTS };
        prop_assert_eq!(&stored.accumulator, &prefixes[count as usize]);
        prop_assert_eq!(last.recording.accumulator(), &stored.accumulator);
        if before.complete {
            prop_assert_eq!(stored, before);
        }
    }
}
