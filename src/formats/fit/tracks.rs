//! Passes records to the track of their session.

use super::super::error::{FormatError, Position};
use super::super::sink::TrackKind;
use super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::sync::DATE_MIN;

/// The start of FIT times, 1989-12-31T00:00:00Z, in seconds since 1970.
const EPOCH_UNIX_S: i64 = 631_065_600;
const NS_PER_S: i64 = 1_000_000_000;
/// The degrees of a semicircle. Products with 32 bits are exact.
const DEGREES: f64 = 180.0 / (1_u64 << 31) as f64;

/// A record, with values as the file has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub offset: u64,
    /// The latitude and longitude.
    pub semicircles: Option<(i32, i32)>,
    /// Units of 0.2 m, above -500 m.
    pub altitude: Option<u32>,
    pub accuracy_m: Option<u16>,
    pub time: Option<u32>,
    pub starts_segment: bool,
    pub is_damaged: bool,
}

impl Record {
    /// Adds the values of a record with the same time. Returns false if it is another point.
    ///
    /// Some devices write the position and the values of sensors in separate records.
    pub(super) fn completes_with(&mut self, other: &Record) -> bool {
        let is_same = self.time.is_some() && self.time == other.time && !self.is_damaged;
        if !is_same || (self.semicircles.is_some() && other.semicircles.is_some()) {
            return false;
        }
        self.semicircles = self.semicircles.or(other.semicircles);
        self.altitude = self.altitude.or(other.altitude);
        self.accuracy_m = self.accuracy_m.or(other.accuracy_m);
        true
    }
}

/// The tracks of a FIT file, one for each session with records.
pub(super) struct Tracks {
    kind: TrackKind,
    /// The start of each session, in order.
    starts: Vec<u32>,
    /// The number of the track of each session, from its first record. There is one without a session too.
    tracks: Vec<Option<usize>>,
    current: Option<usize>,
}

impl Tracks {
    pub(super) fn new(kind: TrackKind, starts: Vec<u32>) -> Self {
        Self { kind, tracks: vec![None; starts.len().max(1)], starts, current: None }
    }

    pub(super) fn session_count(&self) -> usize {
        self.starts.len()
    }

    /// Makes the track of a session the current one. Returns false if the session has no track.
    pub(super) fn select(&self, session: usize, out: &mut TrackWriter<'_>) -> bool {
        let Some(&Some(track)) = self.tracks.get(session) else { return false };
        out.switch_track(track);
        true
    }

    /// Passes a record to the track of its session.
    pub(super) fn write(
        &mut self,
        record: &Record,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let session = match record.time {
            Some(time) => self.starts.partition_point(|&start| start <= time).saturating_sub(1),
            None => self.current.unwrap_or(0),
        };
        if self.current != Some(session) {
            self.current = Some(session);
            if !self.select(session, out) {
                let track = out.track_count();
                out.start_track(self.kind, Position::Byte(record.offset))?;
                if let Some(slot) = self.tracks.get_mut(session) {
                    *slot = Some(track);
                }
            }
        }
        if record.starts_segment {
            out.start_segment();
        }
        point(record, out)
    }
}

fn point(record: &Record, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
    let position = Position::Byte(record.offset);
    let Some((latitude, longitude)) = record.semicircles.filter(|_| !record.is_damaged) else {
        let message = match record.is_damaged {
            true => "the record is damaged",
            false => "the record has no position: the device had no GPS fix or did not use GPS",
        };
        return out.invalid_point(position, message);
    };
    let mut raw =
        RawFix::new(position, f64::from(longitude) * DEGREES, f64::from(latitude) * DEGREES);
    raw.z = record.altitude.map(|altitude| f64::from(altitude) / 5.0 - 500.0);
    raw.accuracy_m = record.accuracy_m.map(f64::from);
    match record.time {
        Some(time) if time < DATE_MIN => {
            let message = "the time counts from the start of the device and is not a date";
            out.invalid_value(Attribute::Time, position, message)?;
        }
        time => raw.unix_ns = time.map(|time| (i64::from(time) + EPOCH_UNIX_S) * NS_PER_S),
    }
    out.point(&raw)
}
