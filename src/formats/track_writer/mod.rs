//! The last step of every reader: checks the points that the reader found, and passes tracks to the sink.
//!
//! A reader passes what it finds in the order of the file. [`TrackWriter`] applies the rules that all formats
//! share: points without a valid position, values out of range, pause markers, decreasing times, the options
//! of [`ReadOptions`], and one note per track and kind with the count and the first position.
//! `open_track` has the state of a track that has not ended, `finish` ends tracks and the file, and `sort` sorts
//! fixes by time.

mod finish;
mod open_track;
mod sort;

#[cfg(test)]
mod tests;

use super::error::{FormatError, Position, SinkError};
use super::note::NoteKind;
use super::options::{OnInvalid, ReadOptions};
use super::sink::{TrackKind, TrackSink};
use crate::measure::{Fix, Point, PointError, Space};
use open_track::{OpenTrack, PendingNotes};
use sort::SortBuffer;

/// The largest longitude in a file. A larger one has another unit or is not a longitude.
const LONGITUDE_MAX: f64 = 360.0;
/// The longitude that AIS transmitters send if they have no position.
const NO_LONGITUDE: f64 = 181.0;

/// A point as it is in a file. The values are not checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawFix {
    /// The position in the file.
    pub position: Position,
    /// The longitude in degrees, or x.
    pub x: f64,
    /// The latitude in degrees, or y.
    pub y: f64,
    /// The elevation in metres, or z.
    pub z: Option<f64>,
    pub unix_ns: Option<i64>,
    pub accuracy_m: Option<f64>,
}

impl RawFix {
    pub(super) fn new(position: Position, x: f64, y: f64) -> Self {
        Self { position, x, y, z: None, unix_ns: None, accuracy_m: None }
    }
}

/// An optional value of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Time,
    Elevation,
    Accuracy,
}

/// Checks points and passes tracks to a sink.
pub(super) struct TrackWriter<'a> {
    sink: &'a mut dyn TrackSink,
    options: &'a ReadOptions,
    /// Whether a note is an error. After an error, notes are only passed on.
    is_strict: bool,
    /// The tracks since the last time that no track was open; `None` if ended.
    tracks: Vec<Option<OpenTrack>>,
    /// The number of tracks before `tracks`.
    before: usize,
    open_count: usize,
    current: usize,
    /// The number of tracks that the sink has received.
    sent_count: usize,
    /// The index in `tracks` of the track that is the current one of the sink.
    sink_current: usize,
    file_notes: PendingNotes,
    /// The number of fixes and invalid points that are stored to be sorted.
    stored_count: usize,
    /// The number of valid points of the tracks that the sink has received.
    valid_count: u64,
    /// The number of their other points, and the reason for the first one.
    invalid: Option<(u64, String)>,
    /// Whether the sink has returned an error. Then it is not called again.
    sink_failed: bool,
}

impl<'a> TrackWriter<'a> {
    pub(super) fn new(options: &'a ReadOptions, sink: &'a mut dyn TrackSink) -> Self {
        Self {
            sink,
            options,
            is_strict: options.is_strict,
            tracks: Vec::new(),
            before: 0,
            open_count: 0,
            current: 0,
            sent_count: 0,
            sink_current: 0,
            file_notes: PendingNotes::default(),
            stored_count: 0,
            valid_count: 0,
            invalid: None,
            sink_failed: false,
        }
    }

    /// Returns the space of the coordinates.
    pub(super) fn space(&self) -> Space {
        self.options.space
    }

    /// Returns the number of tracks that were started.
    pub(super) fn track_count(&self) -> usize {
        self.before + self.tracks.len()
    }

    /// Starts a track and makes it the current one. Tracks are counted from 0, also those that the options
    /// exclude.
    pub(super) fn start_track(
        &mut self,
        kind: TrackKind,
        position: Position,
    ) -> Result<(), FormatError> {
        let is_wanted = self.options.only.is_none_or(|only| only == kind);
        let sink_index = is_wanted.then_some(self.sent_count);
        if is_wanted {
            self.sent_count += 1;
            let result = self.sink.start_track(kind);
            self.check(result, position)?;
        }
        self.current = self.tracks.len();
        if is_wanted {
            self.sink_current = self.current;
        }
        let sort = self.options.sorts_by_time.then(SortBuffer::default);
        self.tracks.push(Some(OpenTrack::new(kind, sink_index, sort)));
        self.open_count += 1;
        Ok(())
    }

    /// Makes the track with this number the current one. It has not ended.
    pub(super) fn switch_track(&mut self, index: usize) {
        self.current = index.saturating_sub(self.before);
    }

    /// Starts a segment of the current track with the next point.
    pub(super) fn start_segment(&mut self) {
        let joins = self.options.joins_segments;
        if let Some(track) = self.track()
            && !joins
        {
            track.start_segment();
        }
    }

    /// Sets the name of the current track.
    pub(super) fn set_name(&mut self, name: &str) {
        if let Some(track) = self.track() {
            track.set_name(name);
        }
    }

    /// Sets the length of the current track that its device has computed.
    pub(super) fn set_device_length_m(&mut self, length_m: f64) {
        if let Some(track) = self.track().filter(|_| length_m.is_finite() && length_m >= 0.0) {
            track.info.device_length_m = Some(length_m);
        }
    }

    /// Adds a point to the current track.
    pub(super) fn point(&mut self, raw: &RawFix) -> Result<(), FormatError> {
        let point = match Point::new(self.options.space, raw.x, raw.y) {
            Ok(point) if raw.x.abs() > 180.0 && self.space() == Space::Geographic => {
                if let Some(message) = invalid_longitude(raw.x) {
                    return self.invalid_point(raw.position, message);
                }
                let message = "a longitude outside -180 to 180 degrees is reduced by a whole turn";
                self.track_note(NoteKind::AssumedNotation, raw.position, message)?;
                point
            }
            Ok(point) => point,
            Err(error) => return self.out_of_range(raw, error),
        };
        let mut fix = Fix::new(point);
        if let Some(z) = raw.z {
            match fix.with_z(z) {
                Ok(with_z) => fix = with_z,
                Err(error) => {
                    self.invalid_value(Attribute::Elevation, raw.position, error.to_string())?;
                }
            }
        }
        if let Some(unix_ns) = raw.unix_ns {
            match fix.at_unix_ns(unix_ns) {
                Ok(at_time) => fix = at_time,
                Err(error) => {
                    self.invalid_value(Attribute::Time, raw.position, error.to_string())?;
                }
            }
        }
        if let Some(accuracy_m) = raw.accuracy_m {
            match fix.with_accuracy_m(accuracy_m) {
                Ok(with_accuracy) => fix = with_accuracy,
                Err(error) => {
                    self.invalid_value(Attribute::Accuracy, raw.position, error.to_string())?;
                }
            }
        }
        self.add(fix, raw.position)
    }

    fn add(&mut self, fix: Fix, position: Position) -> Result<(), FormatError> {
        let Some(track) = self.tracks.get_mut(self.current).and_then(Option::as_mut) else {
            return Ok(());
        };
        if track.is_sent() && track.sort.is_none() && track.is_backward(fix) {
            let message = "the time is earlier than that of the point before; use --sort-by-time to sort the \
                           points";
            self.track_note(NoteKind::BackwardTime, position, message)?;
        }
        let Some(track) = self.tracks.get_mut(self.current).and_then(Option::as_mut) else {
            return Ok(());
        };
        let starts_segment = track.count(fix);
        if !track.is_sent() {
            return Ok(());
        }
        self.valid_count += 1;
        if let Some(sort) = &mut track.sort {
            sort.push(fix, starts_segment, position);
            return self.count_stored(position);
        }
        self.select(position)?;
        if starts_segment {
            let result = self.sink.start_segment();
            self.check(result, position)?;
        }
        let result = self.sink.fix(fix);
        self.check(result, position)
    }

    fn out_of_range(&mut self, raw: &RawFix, error: PointError) -> Result<(), FormatError> {
        // MyTracks and OpenTracks write this position for a pause.
        if self.options.space == Space::Geographic && (raw.x, raw.y) == (180.0, 100.0) {
            self.start_segment();
            let message = "a point with latitude 100 and longitude 180 marks a pause";
            return self.track_note(NoteKind::PauseMarker, raw.position, message);
        }
        self.invalid_point(raw.position, error.to_string())
    }

    /// Adds a point to the current track that has no valid position, for the reason in the message.
    pub(super) fn invalid_point(
        &mut self,
        position: Position,
        message: impl Into<String>,
    ) -> Result<(), FormatError> {
        let message = message.into();
        if self.options.on_invalid == OnInvalid::Error {
            let advice = "use --on-invalid skip to ignore such points";
            return Err(FormatError::malformed(position, format!("{message}; {advice}")));
        }
        let splits = self.options.on_invalid == OnInvalid::Split;
        // In strict mode this is an error, and then the sink does not receive the point.
        self.track_note(NoteKind::InvalidPosition, position, &*message)?;
        let Some(track) = self.tracks.get_mut(self.current).and_then(Option::as_mut) else {
            return Ok(());
        };
        track.info.point_count += 1;
        track.info.invalid_count += 1;
        if splits {
            track.start_segment();
        }
        if !track.is_sent() {
            return Ok(());
        }
        self.invalid.get_or_insert((0, message)).0 += 1;
        if let Some(sort) = &mut track.sort {
            sort.push_invalid();
            return self.count_stored(position);
        }
        self.select(position)?;
        let result = self.sink.invalid_point();
        self.check(result, position)
    }

    /// Reports that an optional value of the current point is not valid. It is a missing value.
    pub(super) fn invalid_value(
        &mut self,
        attribute: Attribute,
        position: Position,
        message: impl Into<String>,
    ) -> Result<(), FormatError> {
        let kind = match attribute {
            Attribute::Time => NoteKind::InvalidTime,
            Attribute::Elevation => NoteKind::InvalidElevation,
            Attribute::Accuracy => NoteKind::InvalidAccuracy,
        };
        self.track_note(kind, position, message)
    }

    /// Adds a note on the current track. The first message of a kind is kept, and the others are counted.
    pub(super) fn track_note(
        &mut self,
        kind: NoteKind,
        position: Position,
        message: impl Into<String>,
    ) -> Result<(), FormatError> {
        let is_strict = self.is_strict;
        let Some(track) = self.track().filter(|track| track.is_sent()) else { return Ok(()) };
        match is_strict {
            true => Err(strict(Some(position), message.into())),
            false => {
                track.notes.add(kind, Some(position), message);
                Ok(())
            }
        }
    }

    /// Adds a note on the file.
    pub(super) fn file_note(
        &mut self,
        kind: NoteKind,
        position: Option<Position>,
        message: impl Into<String>,
    ) -> Result<(), FormatError> {
        if self.is_strict {
            return Err(strict(position, message.into()));
        }
        self.file_notes.add(kind, position, message);
        Ok(())
    }

    fn track(&mut self) -> Option<&mut OpenTrack> {
        self.tracks.get_mut(self.current).and_then(Option::as_mut)
    }

    /// Makes the current track that of the sink.
    fn select(&mut self, position: Position) -> Result<(), FormatError> {
        if self.sink_current == self.current {
            return Ok(());
        }
        match self.track().and_then(|track| track.sink_index) {
            Some(index) => self.select_index(index, position),
            None => Ok(()),
        }
    }

    fn select_index(&mut self, index: usize, position: Position) -> Result<(), FormatError> {
        if self.sink_current != self.current {
            self.sink_current = self.current;
            let result = self.sink.switch_track(index);
            self.check(result, position)?;
        }
        Ok(())
    }

    fn check(
        &mut self,
        result: Result<(), SinkError>,
        position: Position,
    ) -> Result<(), FormatError> {
        result.map_err(|error| {
            self.sink_failed = true;
            FormatError::at(position, error)
        })
    }
}

/// Returns the reason why a longitude is not valid.
fn invalid_longitude(longitude: f64) -> Option<String> {
    if longitude == NO_LONGITUDE {
        return Some("longitude 181 means in AIS that there is no position".to_owned());
    }
    (longitude.abs() > LONGITUDE_MAX)
        .then(|| format!("longitude {longitude} is not between -360 and 360 degrees"))
}

fn strict(position: Option<Position>, message: String) -> FormatError {
    FormatError::Strict { position, message }
}
