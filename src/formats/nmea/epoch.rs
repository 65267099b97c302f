//! Joins the sentences of one time to a fix, and adds the date to its time of day.

use super::super::calendar::{self, Clock};
use super::super::error::{FormatError, Position};
use super::super::note::NoteKind;
use super::super::sink::TrackKind;
use super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::sentence::{Kind, Place, Report};

/// The largest number of fixes that wait for the first date.
const WAITING_MAX: usize = 4096;
/// The largest difference in degrees between the positions of one fix in its sentences, which have different
/// numbers of digits.
const SAME_PLACE_DEGREES: f64 = 1e-4;

/// The sentences of one time.
struct Epoch {
    position: Position,
    time: Option<i64>,
    day: Option<i64>,
    /// The kinds of its sentences and their talkers.
    kinds: Vec<([u8; 2], Kind)>,
    /// The position of the sentence with the most digits, in the order of [`rank`].
    fix: Option<Fix>,
    /// A note on a position that is ignored.
    ignored: Option<(Position, String)>,
    /// Why there is no position.
    missing: Option<String>,
    /// Whether the receiver says that it has no fix.
    is_void: bool,
    z: Option<f64>,
    accuracy_m: Option<f64>,
    invalid: Vec<(Attribute, String)>,
}

/// The position of an epoch.
#[derive(Clone, Copy)]
struct Fix {
    talker: [u8; 2],
    rank: u8,
    x: f64,
    y: f64,
}

impl Fix {
    fn is_near(&self, other: &Fix) -> bool {
        let (dx, dy) = ((self.x - other.x).abs(), (self.y - other.y).abs());
        dy <= SAME_PLACE_DEGREES && dx.min((360.0 - dx).abs()) <= SAME_PLACE_DEGREES
    }
}

/// Returns the rank of the position of a sentence: GGA and GNS have more decimal places than RMC in many logs.
fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Gga => 4,
        Kind::Gns => 3,
        Kind::Rmc => 2,
        _ => 1,
    }
}

impl Epoch {
    fn new(position: Position, time: Option<i64>) -> Self {
        Self {
            position,
            time,
            day: None,
            kinds: Vec::new(),
            fix: None,
            ignored: None,
            missing: None,
            is_void: false,
            z: None,
            accuracy_m: None,
            invalid: Vec::new(),
        }
    }

    /// Returns whether a sentence belongs to the epoch. A second sentence of the same kind is the next fix, also at
    /// the same time: some receivers write several fixes in a second, and times without decimal places.
    fn takes(&self, report: &Report, time: Option<i64>) -> bool {
        let is_repeated = match time {
            Some(_) => self.kinds.contains(&(report.talker, report.kind)),
            None => self.kinds.iter().any(|(_, kind)| *kind == report.kind),
        };
        !is_repeated && (time.is_none() || self.time == time)
    }

    /// Adds a sentence. If receivers have different positions, the position of the talker `preferred` is taken.
    fn add(&mut self, position: Position, report: Report, preferred: &mut Option<[u8; 2]>) {
        let Report { talker, kind, time, day, place, z, accuracy_m } = report;
        self.kinds.push((talker, kind));
        self.day = self.day.or(day);
        match place {
            Place::None => {}
            Place::Void(field) => {
                self.is_void = true;
                let message = || format!("the receiver has no fix ({field})");
                self.missing.get_or_insert_with(message);
            }
            Place::Invalid(reason) => {
                self.missing.get_or_insert(reason);
            }
            Place::At { x, y } => {
                let fix = Fix { talker, rank: rank(kind), x, y };
                if !self.add_fix(fix, position, preferred) {
                    return;
                }
            }
        }
        if let Err(message) = time {
            self.add_invalid(Attribute::Time, message);
        }
        match z {
            Ok(z) => self.z = self.z.or(z),
            Err(message) => self.add_invalid(Attribute::Elevation, message),
        }
        match accuracy_m {
            Ok(accuracy_m) => self.accuracy_m = self.accuracy_m.or(accuracy_m),
            Err(message) => self.add_invalid(Attribute::Accuracy, message),
        }
    }

    /// Adds a position. Returns false if the sentence is of another receiver and is ignored.
    fn add_fix(&mut self, fix: Fix, position: Position, preferred: &mut Option<[u8; 2]>) -> bool {
        let Some(first) = self.fix.filter(|first| !first.is_near(&fix)) else {
            if self.fix.is_none_or(|first| fix.rank > first.rank) {
                self.fix = Some(fix);
            }
            return true;
        };
        if first.talker == fix.talker {
            let message = "sentences of one time have different positions; that of GGA, GNS, RMC or GLL is read, in \
                           this order";
            self.ignored.get_or_insert_with(|| (position, message.to_owned()));
            if fix.rank > first.rank {
                self.fix = Some(fix);
            }
            return true;
        }
        let kept = *preferred.get_or_insert(first.talker);
        let (kept, other) = match kept == fix.talker {
            true => (fix, first),
            false => (first, fix),
        };
        let name = |talker: [u8; 2]| String::from_utf8_lossy(&talker).into_owned();
        let message = format!(
            "the talkers {} and {} have different positions at one time; those of {} are read",
            name(kept.talker),
            name(other.talker),
            name(kept.talker)
        );
        self.ignored.get_or_insert((position, message));
        if kept.talker == first.talker {
            return false;
        }
        self.fix = Some(kept);
        // The values of the other receiver.
        (self.z, self.accuracy_m) = (None, None);
        true
    }

    fn add_invalid(&mut self, attribute: Attribute, message: String) {
        if !self.invalid.iter().any(|(other, _)| *other == attribute) {
            self.invalid.push((attribute, message));
        }
    }

    fn has_place(&self) -> bool {
        self.fix.is_some() || self.missing.is_some()
    }
}

/// The fixes of a log.
#[derive(Default)]
pub(super) struct Epochs {
    current: Option<Epoch>,
    /// The fixes before the first date, in their order.
    waiting: Vec<Epoch>,
    /// The talker whose positions are taken if receivers have different ones.
    preferred: Option<[u8; 2]>,
    clock: Clock,
    has_track: bool,
}

impl Epochs {
    pub(super) fn add(
        &mut self,
        position: Position,
        report: Report,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let time = report.time.clone().unwrap_or(None);
        let is_same = self.current.as_ref().is_some_and(|epoch| epoch.takes(&report, time));
        if !is_same {
            self.end_epoch(out)?;
        }
        let epoch = self.current.get_or_insert_with(|| Epoch::new(position, time));
        epoch.add(position, report, &mut self.preferred);
        Ok(())
    }

    fn end_epoch(&mut self, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        let Some(epoch) = self.current.take() else { return Ok(()) };
        if let Some(day) = epoch.day {
            self.write_waiting(Some((day, epoch.time)), out)?;
            self.clock.set_day(day);
        }
        if !epoch.has_place() {
            // It is remembered, so that midnight is found.
            if let Some(time) = epoch.time {
                let _ = self.clock.unix_ns(time);
            }
            return Ok(());
        }
        if epoch.time.is_some() && !self.clock.has_day() {
            self.waiting.push(epoch);
            return match self.waiting.len() {
                WAITING_MAX => self.write_waiting(None, out),
                _ => Ok(()),
            };
        }
        let unix_ns = match epoch.time {
            Some(time) => self.clock.unix_ns(time),
            None => Ok(None),
        };
        self.write(epoch, unix_ns, out)
    }

    /// Passes on the fixes before the first date. Their days are counted back from it, if it is known.
    fn write_waiting(
        &mut self,
        date: Option<(i64, Option<i64>)>,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut days = vec![None; waiting.len()];
        if let Some((mut day, mut next)) = date {
            for (epoch, slot) in waiting.iter().zip(&mut days).rev() {
                if next.is_some_and(|next| calendar::is_next_day(epoch.time, next)) {
                    day = day.saturating_sub(1);
                }
                *slot = Some(day);
                next = epoch.time;
            }
        }
        for (epoch, day) in waiting.into_iter().zip(days) {
            let unix_ns = match (day, epoch.time) {
                (Some(day), Some(time)) => calendar::unix_ns(day, time).map(Some),
                _ => Err(
                    "the time of day has no date, because no RMC or ZDA sentence near it has one"
                        .to_owned(),
                ),
            };
            self.write(epoch, unix_ns, out)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        epoch: Epoch,
        unix_ns: Result<Option<i64>, String>,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let Epoch { position, fix, ignored, missing, is_void, z, accuracy_m, invalid, .. } = epoch;
        if !self.has_track {
            self.has_track = true;
            out.start_track(TrackKind::Track, position)?;
        }
        if let Some((position, message)) = ignored {
            out.track_note(NoteKind::IgnoredContent, position, message)?;
        }
        let (x, y) = match fix.filter(|_| !is_void) {
            Some(Fix { x, y, .. }) => (x, y),
            None => return out.invalid_point(position, missing.unwrap_or_default()),
        };
        for (attribute, message) in invalid {
            out.invalid_value(attribute, position, message)?;
        }
        let unix_ns = match unix_ns {
            Ok(unix_ns) => unix_ns,
            Err(message) => {
                out.invalid_value(Attribute::Time, position, message)?;
                None
            }
        };
        out.point(&RawFix { z, unix_ns, accuracy_m, ..RawFix::new(position, x, y) })
    }

    /// Passes on the last fixes. Returns whether there is a track.
    pub(super) fn finish(&mut self, out: &mut TrackWriter<'_>) -> Result<bool, FormatError> {
        self.end_epoch(out)?;
        self.write_waiting(None, out)?;
        Ok(self.has_track)
    }
}
