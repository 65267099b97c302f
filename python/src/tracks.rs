//! The tracks of a file, as columns of bytes that become arrays of numpy.

use std::collections::TryReserveError;

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use waywiser::Fix;
use waywiser::formats::{Note, Position, SinkError, TrackInfo, TrackKind, TrackSink};

use crate::messages;
use crate::read::Failure;

/// A track. The columns have the bytes of numbers in the order of the processor.
#[derive(Default, IntoPyObject)]
pub(crate) struct RawTrack {
    name: Option<String>,
    kind: &'static str,
    notes: Vec<String>,
    is_incomplete: bool,
    device_length_m: Option<f64>,
    /// float64.
    lon: Bytes,
    /// float64.
    lat: Bytes,
    /// float64; NaN is missing.
    elevation: Bytes,
    /// int64: nanoseconds since 1970; the smallest number is missing (NaT).
    time: Bytes,
    /// float64; NaN is missing.
    accuracy: Bytes,
    /// int32, counted from 0.
    segment: Bytes,
    /// int64: the offsets, among all points, of those without a valid position, which have no row.
    invalid_offsets: Bytes,
}

/// The bytes of a column.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn push<const N: usize>(&mut self, value: [u8; N]) -> Result<(), TryReserveError> {
        self.0.try_reserve(N)?;
        self.0.extend(value);
        Ok(())
    }
}

impl<'py> IntoPyObject<'py> for Bytes {
    type Target = PyBytes;
    type Output = Bound<'py, PyBytes>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        PyBytes::new_with(py, self.0.len(), |bytes| {
            bytes.copy_from_slice(&self.0);
            Ok(())
        })
    }
}

/// A track that is being read.
#[derive(Default)]
struct OpenTrack {
    track: RawTrack,
    /// The number of segments with points.
    segment_count: i32,
    /// Whether the next point is the first of a segment.
    is_at_start: bool,
    point_count: i64,
}

impl OpenTrack {
    fn push(&mut self, fix: Fix) -> Result<(), TryReserveError> {
        let offset = self.point_count;
        self.point_count += 1;
        let Some(point) = fix.point() else {
            return self.track.invalid_offsets.push(offset.to_ne_bytes());
        };
        if std::mem::take(&mut self.is_at_start) {
            self.segment_count = self.segment_count.saturating_add(1);
        }
        let track = &mut self.track;
        track.lon.push(point.x().to_ne_bytes())?;
        track.lat.push(point.y().to_ne_bytes())?;
        track.elevation.push(fix.z().unwrap_or(f64::NAN).to_ne_bytes())?;
        track.time.push(fix.unix_ns().unwrap_or(i64::MIN).to_ne_bytes())?;
        track.accuracy.push(fix.accuracy_m().unwrap_or(f64::NAN).to_ne_bytes())?;
        track.segment.push((self.segment_count - 1).to_ne_bytes())
    }
}

/// Collects the tracks of a file, in the order of their starts.
pub(crate) struct TracksOfFile {
    name: String,
    tracks: Vec<OpenTrack>,
    current: usize,
    notes: Vec<String>,
    failure: Failure,
}

impl TracksOfFile {
    /// Creates the sink for the file with this name. `failure` gets the exception if there is not enough memory.
    pub(crate) fn new(name: &str, failure: &Failure) -> Self {
        Self {
            name: name.to_owned(),
            tracks: Vec::new(),
            current: 0,
            notes: Vec::new(),
            failure: failure.clone(),
        }
    }

    /// Returns the tracks, and the notes on the file.
    pub(crate) fn finish(self) -> (Vec<RawTrack>, Vec<String>) {
        (self.tracks.into_iter().map(|open| open.track).collect(), self.notes)
    }

    fn current(&mut self) -> Option<&mut OpenTrack> {
        self.tracks.get_mut(self.current)
    }
}

impl TrackSink for TracksOfFile {
    fn start_track(&mut self, kind: TrackKind) -> Result<(), SinkError> {
        self.current = self.tracks.len();
        let track = RawTrack { kind: kind.id(), ..RawTrack::default() };
        self.tracks.push(OpenTrack { track, is_at_start: true, ..OpenTrack::default() });
        Ok(())
    }

    fn switch_track(&mut self, index: usize) -> Result<(), SinkError> {
        self.current = index;
        Ok(())
    }

    fn start_segment(&mut self) -> Result<(), SinkError> {
        if let Some(track) = self.current() {
            track.is_at_start = true;
        }
        Ok(())
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        let pushed = self.current().map_or(Ok(()), |track| track.push(fix));
        pushed.map_err(|_| {
            let message = format!("there is not enough memory for the points of {}", self.name);
            self.failure.set(PyMemoryError::new_err(message));
            SinkError::Stop
        })
    }

    fn invalid_point(&mut self) -> Result<(), SinkError> {
        self.fix(Fix::without_position())
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        let place = Position::in_file(note.position, &self.name);
        let text = format!("{place}: {}", messages::with_python_names(&note.message));
        match note.track.and_then(|index| self.tracks.get_mut(index)) {
            Some(open) => open.track.notes.push(text),
            None => self.notes.push(text),
        }
        Ok(())
    }

    fn end_track(&mut self, info: &TrackInfo) -> Result<(), SinkError> {
        if let Some(OpenTrack { track, .. }) = self.current() {
            track.name.clone_from(&info.name);
            track.kind = info.kind.id();
            track.is_incomplete = info.is_incomplete;
            track.device_length_m = info.device_length_m;
        }
        Ok(())
    }
}
