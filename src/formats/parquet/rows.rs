//! Passes the rows of a file to its tracks.

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::super::error::{FormatError, Position};
use super::super::format::Format;
use super::super::note::NoteKind;
use super::super::options::ReadOptions;
use super::super::sink::TrackKind;
use super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::super::value::excerpt;
use super::cells::{self, Cells};
use super::chunks::Chunks;
use super::geo;
use super::geometry::{Encoding, geometry};
use super::layout::{Layout, Place};
use super::wkb::Geometry;
use crate::measure::Space;

/// The number of rows of a batch.
const BATCH_ROWS: usize = 8192;
/// The number of rows of a batch of geometries, which may be long lines.
const GEOMETRY_BATCH_ROWS: usize = 256;
/// Maximum number of tracks of points.
const TRACKS_MAX: usize = 100_000;

/// Calls the library. It may panic on damaged files.
fn guarded<T>(
    position: Option<Position>,
    call: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, FormatError> {
    let malformed = |message| FormatError::Malformed { position, message };
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| malformed(format!("not valid Parquet: {error}"))),
        Err(_) => Err(malformed("not valid Parquet: the library cannot read this part".to_owned())),
    }
}

/// Reads the tracks of a file.
pub(super) fn read<F: Read + Seek + Send + 'static>(
    input: Chunks<F>,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    // Without the schema of Arrow in the file the types are those of Parquet, which are fewer.
    let reader_options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let file = guarded(None, || ArrowReaderMetadata::load(&input, reader_options))?;
    let geo = file
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == "geo"))
        .and_then(|pair| pair.value.clone());
    let geometry = geo.map(|geo| geo::read(&geo, options.space, out)).transpose()?;
    let layout = Layout::find(file.schema().fields(), geometry, options)?;
    note_times(&layout, file.schema(), options, out)?;
    let columns = layout.columns();
    let track_column = layout.track.and_then(|at| file.schema().fields().get(at));
    let track_column = track_column.map(|field| excerpt(field.name().as_bytes()));
    let batch_rows = match layout.place {
        Place::Columns { .. } => BATCH_ROWS,
        Place::Geometry { .. } => GEOMETRY_BATCH_ROWS,
    };
    let mask = ProjectionMask::roots(file.parquet_schema(), columns.iter().copied());
    let mut rows = Rows {
        layout,
        columns,
        options,
        count: 0,
        groups: HashMap::new(),
        current: None,
        line_count: 0,
        track_column,
    };
    let mut damage = None;
    for (index, group) in file.metadata().row_groups().iter().enumerate() {
        let start = rows.count;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(input.clone(), file.clone())
                .with_row_groups(vec![index])
                .with_projection(mask.clone())
                .with_batch_size(batch_rows);
        // The other row groups do not depend on a damaged one.
        if let Some(error) = rows.row_group(|| builder.build(), out)? {
            damage.get_or_insert(error);
            rows.count = start.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        }
    }
    match damage {
        Some(error) => Err(error),
        None => rows.end(out),
    }
}

/// Adds a note if the times have no zone.
fn note_times(
    layout: &Layout,
    schema: &SchemaRef,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let Some(field) = layout.time.and_then(|at| schema.fields().get(at)) else { return Ok(()) };
    if !matches!(field.data_type(), DataType::Timestamp(_, None)) {
        return Ok(());
    }
    if options.timezone.is_some() && !options.shares_timezone {
        let message = "--timezone has no effect on a Parquet file";
        out.file_note(NoteKind::UnusedOption, None, message)?;
    }
    let message =
        format!("the times in the column {:?} have no zone and are read as UTC", field.name());
    out.file_note(NoteKind::AssumedZone, None, message)
}

struct Group {
    track: usize,
    segment: Option<String>,
}

/// The state while rows are read.
struct Rows<'o> {
    layout: Layout,
    /// The indexes in the schema of the columns of a batch.
    columns: Vec<usize>,
    options: &'o ReadOptions,
    /// The number of rows that were read.
    count: u64,
    /// The tracks of points, by the value of the track column.
    groups: HashMap<String, Group>,
    /// The value of the track column in the last row with a point.
    current: Option<String>,
    line_count: u64,
    /// The name of the track column, for messages.
    track_column: Option<String>,
}

/// The optional values of a batch.
struct Attributes {
    z: Option<Cells<f64>>,
    times: Option<Cells<i64>>,
    accuracies: Option<Cells<f64>>,
}

impl Rows<'_> {
    fn column<'b>(&self, batch: &'b RecordBatch, at: Option<usize>) -> Option<&'b ArrayRef> {
        let position = self.columns.binary_search(&at?).ok()?;
        batch.columns().get(position)
    }

    /// Reads a row group. Returns the error if it is damaged.
    fn row_group(
        &mut self,
        open: impl FnOnce() -> Result<ParquetRecordBatchReader, ParquetError>,
        out: &mut TrackWriter<'_>,
    ) -> Result<Option<FormatError>, FormatError> {
        let mut batches = match guarded(Some(Position::Record(self.count + 1)), open) {
            Ok(batches) => batches,
            Err(error) => return Ok(Some(error)),
        };
        loop {
            let next = || batches.next().transpose().map_err(Into::into);
            match guarded(Some(Position::Record(self.count + 1)), next) {
                Ok(Some(batch)) => self.batch(&batch, out)?,
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error)),
            }
        }
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        let attributes = Attributes {
            z: self.column(batch, self.layout.z).map(|array| cells::numbers("elevation", array)),
            times: self.column(batch, self.layout.time).map(cells::times),
            accuracies: self
                .column(batch, self.layout.accuracy)
                .map(|array| cells::numbers("accuracy", array)),
        };
        match self.layout.place {
            Place::Columns { x, y } => {
                let (x_what, y_what) = match self.options.space {
                    Space::Geographic => ("longitude", "latitude"),
                    Space::Planar => ("x", "y"),
                };
                let (Some(x), Some(y)) = (self.column(batch, Some(x)), self.column(batch, Some(y)))
                else {
                    return Ok(());
                };
                let (xs, ys) = (cells::numbers(x_what, x), cells::numbers(y_what, y));
                for (row, (x, y)) in xs.iter().zip(&ys).enumerate() {
                    self.count += 1;
                    self.enter(batch, row, out)?;
                    let value = |cell: &Result<Option<f64>, String>, what: &str| match cell {
                        Ok(Some(value)) => Ok(*value),
                        Ok(None) => Err(format!("the {what} is null")),
                        Err(message) => Err(message.clone()),
                    };
                    match value(x, x_what).and_then(|x| Ok((x, value(y, y_what)?))) {
                        Ok((x, y)) => self.point([x, y, f64::NAN], &attributes, row, out)?,
                        Err(message) => out.invalid_point(Position::Record(self.count), message)?,
                    }
                }
            }
            Place::Geometry { column, encoding } => {
                let Some(array) = self.column(batch, Some(column)) else { return Ok(()) };
                for row in 0..batch.num_rows() {
                    self.count += 1;
                    self.geometry(batch, array, encoding, &attributes, row, out)?;
                }
            }
        }
        Ok(())
    }

    fn geometry(
        &mut self,
        batch: &RecordBatch,
        array: &ArrayRef,
        encoding: Encoding,
        attributes: &Attributes,
        row: usize,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let position = Position::Record(self.count);
        match geometry(array, encoding, row) {
            Ok(Some(Geometry::Point(point))) => {
                self.enter(batch, row, out)?;
                self.point(point, attributes, row, out)
            }
            Ok(Some(Geometry::Lines(lines))) => {
                self.line_count += 1;
                self.current = None;
                out.start_track(TrackKind::Track, position)?;
                let name = self.column(batch, self.layout.track.or(self.layout.name));
                if let Some(name) = name.and_then(|names| cells::text(names, row)) {
                    out.set_name(&name);
                }
                for line in lines {
                    out.start_segment();
                    for [x, y, z] in line {
                        let mut raw = RawFix::new(position, x, y);
                        raw.z = (!z.is_nan()).then_some(z);
                        out.point(&raw)?;
                    }
                }
                out.end_track(position)
            }
            Ok(Some(Geometry::Other(name))) => {
                let message = format!("a geometry of the type {name} is ignored");
                out.file_note(NoteKind::IgnoredContent, Some(position), message)
            }
            // Rows between points are points.
            empty if !self.groups.is_empty() || encoding == Encoding::Point => {
                self.enter(batch, row, out)?;
                out.invalid_point(
                    position,
                    empty.err().unwrap_or("the geometry is null".to_owned()),
                )
            }
            Ok(_) => {
                let message = "a row without a geometry is ignored";
                out.file_note(NoteKind::IgnoredContent, Some(position), message)
            }
            Err(message) => out.file_note(NoteKind::IgnoredContent, Some(position), message),
        }
    }

    fn point(
        &self,
        [x, y, z]: [f64; 3],
        attributes: &Attributes,
        row: usize,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let position = Position::Record(self.count);
        fn value<T: Copy>(
            cells: Option<&Cells<T>>,
            row: usize,
            attribute: Attribute,
            position: Position,
            out: &mut TrackWriter<'_>,
        ) -> Result<Option<T>, FormatError> {
            match cells.and_then(|cells| cells.get(row)) {
                None => Ok(None),
                Some(Ok(value)) => Ok(*value),
                Some(Err(message)) => {
                    out.invalid_value(attribute, position, message.clone()).map(|()| None)
                }
            }
        }
        let mut raw = RawFix::new(position, x, y);
        raw.z = match z.is_nan() {
            true => value(attributes.z.as_ref(), row, Attribute::Elevation, position, out)?,
            false => Some(z),
        };
        raw.unix_ns = value(attributes.times.as_ref(), row, Attribute::Time, position, out)?;
        raw.accuracy_m =
            value(attributes.accuracies.as_ref(), row, Attribute::Accuracy, position, out)?;
        // The missing value of floating-point columns.
        raw.z = raw.z.filter(|z| !z.is_nan());
        raw.accuracy_m = raw.accuracy_m.filter(|accuracy_m| !accuracy_m.is_nan());
        out.point(&raw)
    }

    /// Makes the track of a row with a point the current one.
    fn enter(
        &mut self,
        batch: &RecordBatch,
        row: usize,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let text = |at| self.column(batch, at).and_then(|column| cells::text(column, row));
        let name = text(self.layout.track).unwrap_or_default();
        let segment = text(self.layout.segment);
        let is_current = self.current.as_ref() == Some(&name);
        if let Some(group) = self.groups.get_mut(&name) {
            if !is_current {
                out.switch_track(group.track);
                self.current = Some(name);
            }
            if group.segment != segment {
                out.start_segment();
                group.segment = segment;
            }
            return Ok(());
        }
        let position = Position::Record(self.count);
        if self.groups.len() == TRACKS_MAX {
            let message = format!(
                "the track column has more than {TRACKS_MAX} values; use --track-column none if it \
                 does not identify tracks"
            );
            return Err(FormatError::TooLarge { position, message });
        }
        let track = out.track_count();
        out.start_track(TrackKind::Track, position)?;
        out.set_name(&name);
        self.groups.insert(name.clone(), Group { track, segment });
        self.current = Some(name);
        Ok(())
    }

    /// Ends the tracks in the order of their first rows.
    fn end(self, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        if self.groups.is_empty() && self.line_count == 0 {
            let found = match self.count {
                0 => "it has no rows".to_owned(),
                count => format!("none of its {count} rows has a point or a line"),
            };
            return Err(FormatError::NoTracks { format: Format::Parquet, found });
        }
        let mut tracks: Vec<usize> = self.groups.values().map(|group| group.track).collect();
        tracks.sort_unstable();
        let is_guessed = tracks.len() > 1 && !self.layout.is_track_chosen;
        if let Some(column) = self.track_column.filter(|_| is_guessed) {
            let message = format!(
                "the rows are divided into {} tracks by the column {column}; use --track-column none to \
                 join them",
                tracks.len()
            );
            out.file_note(NoteKind::GroupedRows, None, message)?;
        }
        for track in tracks {
            out.switch_track(track);
            out.end_track(Position::Record(self.count))?;
        }
        Ok(())
    }
}
