//! Adds the points of a message to the accumulator of its path, a block at a time: checked on the way, with an
//! error that names the first invalid one.

use std::ops::Range;

use crate::measure::{
    self, ColumnError, Fix, FixBlock, FixError, Metric, Options, PathAccumulator, Point,
    PointError, Space,
};
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, Place};
use crate::service::work::{Step, Work};
use crate::wire::{self, ColumnBlock, ColumnReader, Row, Rows};

use super::convert;
use super::request::Points;

/// Points on their way into a accumulator. A message may be as short as a point, and to fold a block costs
/// nearly the same whether it is full or not: so the points of short messages are folded together.
///
/// It holds memory once there are points, and is not to be kept while a stream waits for its next bytes.
#[derive(Default)]
pub(super) struct Folder {
    buffers: Option<Box<Buffers>>,
}

struct Buffers {
    block: FixBlock,
    read: ColumnBlock,
}

/// The points of a message that are not added yet.
pub(super) struct Adder<'a> {
    source: Source<'a>,
    /// How many points at the front the path already has.
    skip: usize,
    /// The offset of the first point of the message in the path.
    base: u64,
}

enum Source<'a> {
    Nothing,
    Rows { rows: Rows<'a>, index: usize },
    Columns(ColumnReader<'a>),
}

impl Adder<'_> {
    /// Adds nothing.
    pub(super) const NOTHING: Self = Self { source: Source::Nothing, skip: 0, base: 0 };
}

impl Folder {
    /// How many points were added and are not folded.
    pub(super) fn len(&self) -> u64 {
        self.buffers.as_ref().map_or(0, |buffers| buffers.block.len() as u64)
    }

    /// Prepares to add the points of a message except for the first `skip`, which the path already has. The next
    /// point of the path is the one after them.
    ///
    /// # Errors
    /// If `segment_starts` is not ascending or out of range.
    #[inline]
    pub(super) fn begin<'a>(
        &self,
        accumulator: &PathAccumulator,
        points: &'a Points<'_>,
        skip: u64,
    ) -> Result<Adder<'a>, RpcError> {
        let base = (accumulator.point_count() + self.len()).saturating_sub(skip);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let source = match (points.columns(), points.rows()) {
            (Some(columns), _) => {
                let reader = columns.reader().map_err(|error| misfit(&error, base))?;
                Source::Columns(reader)
            }
            (None, Some(rows)) => Source::Rows { rows: rows.iter(), index: 0 },
            (None, None) => Source::Nothing,
        };
        Ok(Adder { source, skip, base })
    }

    /// Adds points until the message has no more or the work is spent, and folds when the block is full;
    /// [`Folder::flush`] folds the rest.
    ///
    /// # Errors
    /// At the first point that is not valid; those before it were added.
    #[inline]
    pub(super) fn add(
        &mut self,
        accumulator: &mut PathAccumulator,
        adder: &mut Adder<'_>,
        work: &mut Work,
    ) -> Result<Step, RpcError> {
        let Adder { source, skip, base } = adder;
        match source {
            Source::Nothing => Ok(Step::Done),
            Source::Columns(reader) => {
                let buffers = self.buffers(accumulator);
                buffers.add_columns(accumulator, reader, *skip, *base, work)
            }
            Source::Rows { rows, index } => {
                let buffers = self.buffers(accumulator);
                buffers.add_rows(accumulator, (rows, index), *skip, *base, work)
            }
        }
    }

    /// Adds the points of a small message, without a place to stop.
    ///
    /// # Errors
    /// As those of [`Folder::begin`] and [`Folder::add`].
    pub(super) fn add_all(
        &mut self,
        accumulator: &mut PathAccumulator,
        points: &Points<'_>,
        skip: u64,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        let base = (accumulator.point_count() + self.len()).saturating_sub(skip);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let buffers = self.buffers(accumulator);
        match (points.columns(), points.rows()) {
            (Some(columns), _) => {
                let mut reader = columns.reader().map_err(|error| misfit(&error, base))?;
                let mut add = || buffers.add_columns(accumulator, &mut reader, skip, base, work);
                while add()? == Step::Spent {}
                Ok(())
            }
            (None, Some(rows)) => {
                let (mut rows, mut index) = (rows.iter(), 0);
                let mut add =
                    || buffers.add_rows(accumulator, (&mut rows, &mut index), skip, base, work);
                while add()? == Step::Spent {}
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    #[inline]
    fn buffers(&mut self, accumulator: &PathAccumulator) -> &mut Buffers {
        let metric = accumulator.options().metric();
        let buffers = self.buffers.get_or_insert_with(|| Buffers::new(metric));
        if buffers.block.metric() != metric && buffers.block.is_empty() {
            // Another path of the same stream.
            buffers.block = FixBlock::new(metric);
        }
        buffers
    }

    /// Folds what was added.
    ///
    /// # Errors
    /// When a total is out of range. Nothing is folded then, and what was added stays.
    pub(super) fn flush(
        &mut self,
        accumulator: &mut PathAccumulator,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        self.buffers.as_mut().map_or(Ok(()), |buffers| buffers.flush(accumulator, work))
    }

    /// Discards what was added.
    pub(super) fn clear(&mut self) {
        if let Some(buffers) = &mut self.buffers {
            buffers.block.clear();
        }
    }

    /// Releases the memory if nothing was added that is not folded.
    pub(super) fn release(&mut self) {
        if self.len() == 0 {
            self.buffers = None;
        }
    }
}

impl Buffers {
    fn new(metric: Metric) -> Box<Self> {
        Box::new(Self { block: FixBlock::new(metric), read: ColumnBlock::default() })
    }

    fn flush(
        &mut self,
        accumulator: &mut PathAccumulator,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        let index = accumulator.point_count();
        work.add_points(self.block.len());
        let cost = accumulator.fold_with_cost(&mut self.block);
        work.add_fold(cost.map_err(|error| RpcError::Path { index, error })?);
        Ok(())
    }

    #[inline]
    fn add_rows(
        &mut self,
        accumulator: &mut PathAccumulator,
        (rows, index): (&mut Rows<'_>, &mut usize),
        skip: usize,
        base: u64,
        work: &mut Work,
    ) -> Result<Step, RpcError> {
        let space = accumulator.options().metric().space();
        if self.block.is_full() {
            self.flush(accumulator, work)?;
        }
        let from = *index;
        for (at, row) in (from..).zip(rows) {
            if at < skip {
                continue;
            }
            if !push(&mut self.block, &row) {
                // Slow path: repeat the checks to build the error message.
                let offset = base + at as u64;
                let fix = fix(space, &row, &format_args!("points[{at}]"))
                    .map_err(|violation| RpcError::Fix { offset, violation })?;
                self.block.push(fix).map_err(|error| RpcError::Path { index: offset, error })?;
            }
            if self.block.is_full() {
                self.flush(accumulator, work)?;
                if work.is_spent() {
                    *index = at + 1;
                    return Ok(Step::Spent);
                }
            }
        }
        Ok(Step::Done)
    }

    fn add_columns(
        &mut self,
        accumulator: &mut PathAccumulator,
        reader: &mut ColumnReader<'_>,
        skip: usize,
        base: u64,
        work: &mut Work,
    ) -> Result<Step, RpcError> {
        loop {
            let Self { block, read } = self;
            let mut refusal = reader.next(read).map_err(|error| misfit(&error, base)).err();
            if read.len == 0 && refusal.is_none() {
                return Ok(Step::Done);
            }
            work.add_columns();
            let mut new = skip.saturating_sub(read.index).min(read.len)..read.len;
            if new.len() > block.remaining_capacity() {
                self.flush(accumulator, work)?;
            }
            let Self { block, read } = self;
            // The points before an invalid one are added: once more, without it.
            while let Err((index, field, why)) =
                fill(block, read, new.clone(), accumulator.options())
            {
                let index = new.start + index;
                new.end = index;
                refusal = Some(invalid(base, field, read.index + index, why));
            }
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            if work.is_spent() {
                return Ok(Step::Spent);
            }
        }
    }
}

/// Returns the error of the first point of a message that begins a path. Without one, at least that point is valid.
pub(super) fn first_error(points: &Points<'_>, options: &Options) -> Option<RpcError> {
    if let Some(columns) = points.columns() {
        let mut reader = match columns.reader() {
            Ok(reader) => reader,
            Err(error) => return Some(misfit(&error, 0)),
        };
        let Buffers { block, read } = &mut *Buffers::new(options.metric());
        // A difference that overflows has a point before it.
        let _ = reader.next(read);
        let first = fill(block, read, 0..read.len.min(1), options);
        return first.err().map(|(_, field, why)| invalid(0, field, 0, why));
    }
    let row = points.rows()?.iter().next()?;
    let refused = fix(options.metric().space(), &row, &"points[0]").err();
    refused.map(|violation| RpcError::Fix { offset: 0, violation })
}

/// A point of a column that is not valid.
fn invalid(base: u64, field: &str, at: usize, why: String) -> RpcError {
    let violation = FieldViolation::new(format!("columns.{field}[{at}]"), why);
    RpcError::Fix { offset: base + at as u64, violation }
}

/// Adds a row to a block that is not full, as [`fix`] would; returns whether it did.
#[inline]
fn push(block: &mut FixBlock, row: &Row) -> bool {
    let index = block.len();
    let unix_ns = row.time.map(convert::unix_ns);
    if unix_ns == Some(None) || block.push_xy(row.x, row.y).is_err() {
        return false;
    }
    let is_z = row.z.is_none_or(|z| block.set_z_at(index, z).is_ok());
    let is_accuracy = row.accuracy_m.is_none_or(|it| block.set_accuracy_m_at(index, it).is_ok());
    let is_time = unix_ns.flatten().is_none_or(|it| block.set_unix_ns_at(index, it).is_ok());
    if !(is_z && is_accuracy && is_time) {
        block.truncate(index);
        return false;
    }
    if row.starts_segment {
        block.start_segment_at(index);
    }
    true
}

/// A row as a fix.
///
/// # Errors
/// What is wrong with it, by the name of its field under `at`.
pub(super) fn fix(
    space: Space,
    row: &Row,
    at: &dyn std::fmt::Display,
) -> Result<Fix, FieldViolation> {
    let refuse = |field: &str, why: String| FieldViolation::new(format!("{at}.{field}"), why);
    let point =
        Point::new(space, row.x, row.y).map_err(|error| refuse(axis(&error), error.to_string()))?;
    let mut fix = Fix::new(point);
    if let Some(z) = row.z {
        fix = fix.with_z(z).map_err(|error| refuse("z", error.to_string()))?;
    }
    if let Some(time) = row.time {
        let unix_ns = convert::unix_ns(time).ok_or_else(|| refuse("time", bad_time(time)))?;
        fix = fix.at_unix_ns(unix_ns).map_err(|error| refuse("time", error.to_string()))?;
    }
    if let Some(accuracy_m) = row.accuracy_m {
        let with = fix.with_accuracy_m(accuracy_m);
        fix = with.map_err(|error: FixError| refuse("accuracy_m", error.to_string()))?;
    }
    Ok(if row.starts_segment { fix.starting_segment() } else { fix })
}

/// Which coordinate is wrong.
fn axis(error: &PointError) -> &'static str {
    match error {
        PointError::Latitude { .. } => "y",
        PointError::NotFinite { axis, .. } | PointError::PlanarRange { axis, .. } => match *axis {
            "y" | "latitude" => "y",
            _ => "x",
        },
    }
}

/// What is wrong with a time: its seconds, or else its nanoseconds.
fn bad_time((seconds, nanos): (i64, i32)) -> String {
    match measure::unix_ns(seconds, 0) {
        Err(error) => error.to_string(),
        Ok(_) => format!("nanos {nanos} is not a number from 0 to 999999999"),
    }
}

/// Adds some of the points that were read to a block that has room for them.
///
/// # Errors
/// One that is none: its index among them, the column, and why. The block is then as it was.
fn fill(
    block: &mut FixBlock,
    read: &ColumnBlock,
    range: Range<usize>,
    options: &Options,
) -> Result<(), (usize, &'static str, String)> {
    let of = |error: ColumnError, field| (error.index(), field, error.to_string());
    let from = block.len();
    let starts_segment = read.starts_segment && range.start == 0 && !range.is_empty();
    let mut filled = || {
        block
            .extend_scaled(&read.x[range.clone()], &read.y[range.clone()], options.xy_resolution())
            .map_err(|error| match &error {
                ColumnError::Point { source, .. } if axis(source) == "y" => of(error, "y"),
                _ => of(error, "x"),
            })?;
        if read.has_z {
            let z = &read.z[range.clone()];
            block.set_z_scaled(from, z, options.z_resolution()).map_err(|error| of(error, "z"))?;
        }
        if read.has_time {
            let times_ms = &read.time_ms[range.clone()];
            block.set_times_ms(from, times_ms).map_err(|error| of(error, "time_ms"))?;
        }
        if read.has_accuracy {
            block.set_accuracy_mm(from, &read.accuracy_mm[range.clone()]);
        }
        if starts_segment {
            block.start_segment_at(from);
        }
        Ok(())
    };
    filled().inspect_err(|_| block.truncate(from))
}

/// The error for inconsistent columns, of a message whose first point has the offset `base`.
fn misfit(error: &wire::ColumnError, base: u64) -> RpcError {
    match error {
        wire::ColumnError::Overflow { column, index } => {
            let why = "the sum of the differences up to here leaves 64 bits";
            let violation = FieldViolation::new(format!("columns.{column}[{index}]"), why);
            RpcError::Fix { offset: base + *index as u64, violation }
        }
        wire::ColumnError::Start { index, start, points } => {
            let why = format!("it is {start}; the entries ascend and are below {points}");
            let field = format!("columns.segment_starts[{index}]");
            FieldViolation::new(field, why).at(Place::From(base))
        }
    }
}

#[cfg(test)]
mod tests;
