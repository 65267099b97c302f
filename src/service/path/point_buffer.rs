//! Checks the points of messages and adds them to the accumulator of their path, one block at a time.

use crate::measure::{FixBlock, InvalidPoints, Metric, Options, PathAccumulator};
use crate::service::status::RpcError;
use crate::service::work::{Step, Work};
use crate::wire::{ColumnBlock, ColumnReader, MessageView, Rows};

use super::column_fill::{fill, fill_each, invalid, misfit};
use super::fix::{fix, push};
use super::recent::{Sampler, Samples};

/// Collects points until they fill a block. Folding a block costs nearly the same whether it is full or not, so the
/// points of short messages are folded together.
///
/// It allocates memory with the first point. A stream does not keep it while it waits for its next bytes.
#[derive(Default)]
pub(super) struct PointBuffer {
    blocks: Option<Box<Blocks>>,
    /// Samples of the points.
    samples: Option<Samples>,
}

struct Blocks {
    /// Checked points that are not folded yet.
    block: FixBlock,
    /// Decoded columns that are not checked yet.
    read: ColumnBlock,
    /// Samples of the points that were folded because their block was full.
    samples: Option<Samples>,
}

/// Adds the points of one message, in several steps.
pub(super) struct Adder<'a> {
    source: Source<'a>,
    /// Number of points at the start of the message that the path already has.
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
    /// Adds no points.
    pub(super) const NOTHING: Self = Self { source: Source::Nothing, skip: 0, base: 0 };
}

impl PointBuffer {
    /// Returns a buffer that adds samples of its points to this list, see [`PointBuffer::take_samples`].
    pub(super) fn sampled(samples: Samples) -> Self {
        Self { samples: Some(samples), ..Self::default() }
    }

    /// Adds samples of the points to a sampler: of those that are not folded, and of those that were folded because their block
    /// was full. `first_offset` is the offset of the first point that is not folded.
    pub(super) fn take_samples(
        &mut self,
        sampler: &mut Sampler,
        first_offset: u64,
        now_unix_ms: i64,
    ) {
        let Some(blocks) = &mut self.blocks else { return };
        let Some(samples) = &mut blocks.samples else { return };
        samples.add_block(&blocks.block, first_offset);
        sampler.add(samples);
        *samples = sampler.samples(now_unix_ms);
    }

    /// Returns the number of points that were added and are not folded.
    pub(super) fn len(&self) -> u64 {
        self.blocks.as_ref().map_or(0, |blocks| blocks.block.len() as u64)
    }

    /// Prepares to add the points of a message, without the first `skip`, which the path already has.
    ///
    /// # Errors
    /// If `segment_starts` is not ascending or out of range.
    #[inline]
    pub(super) fn begin<'a>(
        &self,
        accumulator: &PathAccumulator,
        view: &MessageView<'a>,
        skip: u64,
    ) -> Result<Adder<'a>, RpcError> {
        let base = (accumulator.point_count() + self.len()).saturating_sub(skip);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let source = match &view.columns {
            Some(columns) => {
                let reader = columns.reader().map_err(|error| misfit(&error, base))?;
                Source::Columns(reader)
            }
            None => Source::Rows { rows: view.rows.iter(), index: 0 },
        };
        Ok(Adder { source, skip, base })
    }

    /// Adds points until the message has no more or the work budget is spent. Folds the block whenever it is full;
    /// [`PointBuffer::flush`] folds the rest.
    ///
    /// # Errors
    /// At the first point that is not valid. The points before it were added.
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
                let blocks = self.blocks(accumulator);
                blocks.add_columns(accumulator, reader, *skip, *base, work)
            }
            Source::Rows { rows, index } => {
                let blocks = self.blocks(accumulator);
                blocks.add_rows(accumulator, (rows, index), *skip, *base, work)
            }
        }
    }

    /// Adds all points of a small message at once.
    ///
    /// # Errors
    /// The errors of [`PointBuffer::begin`] and [`PointBuffer::add`].
    pub(super) fn add_all(
        &mut self,
        accumulator: &mut PathAccumulator,
        view: &MessageView<'_>,
        skip: u64,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        let base = (accumulator.point_count() + self.len()).saturating_sub(skip);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let blocks = self.blocks(accumulator);
        match &view.columns {
            Some(columns) => {
                let mut reader = columns.reader().map_err(|error| misfit(&error, base))?;
                let mut add = || blocks.add_columns(accumulator, &mut reader, skip, base, work);
                while add()? == Step::Spent {}
                Ok(())
            }
            None => {
                let (mut rows, mut index) = (view.rows.iter(), 0);
                let mut add =
                    || blocks.add_rows(accumulator, (&mut rows, &mut index), skip, base, work);
                while add()? == Step::Spent {}
                Ok(())
            }
        }
    }

    #[inline]
    fn blocks(&mut self, accumulator: &PathAccumulator) -> &mut Blocks {
        let metric = accumulator.options().metric();
        let blocks = self.blocks.get_or_insert_with(|| Blocks::new(metric, self.samples.take()));
        if blocks.block.metric() != metric && blocks.block.is_empty() {
            // Another path of the same stream.
            blocks.block = FixBlock::new(metric);
        }
        blocks
    }

    /// Folds the points that were added.
    ///
    /// # Errors
    /// If a total is out of range. Then no point is folded, and the points stay in the buffer.
    pub(super) fn flush(
        &mut self,
        accumulator: &mut PathAccumulator,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        self.blocks.as_mut().map_or(Ok(()), |blocks| blocks.flush(accumulator, work))
    }

    /// Discards the points that are not folded.
    pub(super) fn clear(&mut self) {
        if let Some(blocks) = &mut self.blocks {
            blocks.block.clear();
        }
    }

    /// Releases the memory if all points are folded.
    pub(super) fn release(&mut self) {
        if self.len() == 0
            && let Some(blocks) = self.blocks.take()
        {
            self.samples = blocks.samples;
        }
    }
}

impl Blocks {
    fn new(metric: Metric, samples: Option<Samples>) -> Box<Self> {
        let (block, read) = (FixBlock::new(metric), ColumnBlock::default());
        Box::new(Self { block, read, samples })
    }

    /// Folds a block before the end of the chunk.
    fn flush_early(
        &mut self,
        accumulator: &mut PathAccumulator,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        let first_offset = accumulator.point_count();
        if let Some(samples) = &mut self.samples {
            samples.add_block(&self.block, first_offset);
        }
        let result = self.flush(accumulator, work);
        if result.is_err()
            && let Some(samples) = &mut self.samples
        {
            samples.discard_from(first_offset);
        }
        result
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
        let allows_invalid = allows_invalid_points(accumulator.options());
        if self.block.is_full() {
            self.flush_early(accumulator, work)?;
        }
        let from = *index;
        for (at, row) in (from..).zip(rows) {
            if at < skip {
                continue;
            }
            if !push(&mut self.block, &row) {
                // Slow path: repeat the checks, to mark the point or to build the error message.
                let offset = base + at as u64;
                work.add_invalid_points(1);
                let fix = fix(space, &row, allows_invalid, &format_args!("points[{at}]"))
                    .map_err(|violation| RpcError::Fix { offset, violation })?;
                self.block.push(fix).map_err(|error| RpcError::Path { index: offset, error })?;
            }
            if self.block.is_full() {
                self.flush_early(accumulator, work)?;
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
            let Self { block, read, .. } = self;
            let mut refusal = reader.next(read).map_err(|error| misfit(&error, base)).err();
            if read.len == 0 && refusal.is_none() {
                return Ok(Step::Done);
            }
            work.add_columns();
            let mut new = skip.saturating_sub(read.index).min(read.len)..read.len;
            if new.len() > block.remaining_capacity() {
                self.flush_early(accumulator, work)?;
            }
            let Self { block, read, .. } = self;
            let options = accumulator.options();
            let mut filled = fill(block, read, new.clone(), options);
            if filled.is_err() && allows_invalid_points(options) {
                work.add_invalid_points(new.len());
                if let Err((index, error)) = fill_each(block, read, new.clone(), options) {
                    refusal = Some(invalid(base, read.index + new.start + index, &error));
                }
                filled = Ok(());
            }
            // After an invalid point, add only the points before it.
            while let Err(error) = filled {
                new.end = new.start + error.index();
                refusal = Some(invalid(base, read.index + new.end, &error));
                filled = fill(block, read, new.clone(), options);
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

/// Returns whether a point without a valid position is no error.
fn allows_invalid_points(options: &Options) -> bool {
    options.invalid_points() != InvalidPoints::RejectCall
}

/// Returns the error of the first point of a message that begins a path. Without one, at least that point is valid.
pub(super) fn first_error(view: &MessageView<'_>, options: &Options) -> Option<RpcError> {
    if let Some(columns) = &view.columns {
        let mut reader = match columns.reader() {
            Ok(reader) => reader,
            Err(error) => return Some(misfit(&error, 0)),
        };
        let Blocks { block, read, .. } = &mut *Blocks::new(options.metric(), None);
        // A difference that overflows is never the first entry.
        let _ = reader.next(read);
        let first = 0..read.len.min(1);
        let first = match allows_invalid_points(options) {
            true => fill_each(block, read, first, options).map_err(|(_, error)| error),
            false => fill(block, read, first, options),
        };
        return first.err().map(|error| invalid(0, 0, &error));
    }
    let row = view.rows.iter().next()?;
    let allows_invalid = allows_invalid_points(options);
    let refused = fix(options.metric().space(), &row, allows_invalid, &"points[0]").err();
    refused.map(|violation| RpcError::Fix { offset: 0, violation })
}

#[cfg(test)]
mod tests;
