//! Measures rows of mixed groups batch by batch, without a copy of all rows.
//!
//! The rows of a batch are sorted by group, and then added to the paths of the groups. A batch fits the cache, so that this
//! takes half the time of a sort of all rows. The rows of each group must be in the order of their times.

use std::ops::Range;

use pyo3::prelude::*;
use waywiser::PathAccumulator;

use crate::by::{Part, has_too_many_windows};
use crate::column::{BLOCK, Block, Column};
use crate::error::{filled, with_capacity};
use crate::fixes::{Feed, Fixes, NO_TIME};
use crate::work::{self, Stopped};

/// The maximum number of groups, each of which has a path in memory.
const GROUPS_MAX: usize = 1 << 14;
/// The smallest number of rows of a batch.
const BATCH_MIN: usize = 1 << 16;
/// The smallest number of rows of a batch, for each group.
const GROUP_ROWS_MIN: usize = 64;

/// The path of a group.
struct Group {
    path: PathAccumulator,
    /// The first and the last time.
    ends: [i64; 2],
}

/// The rows are not in order, or not valid.
struct Unsuitable;

/// The rows of a batch, sorted by group.
struct Batch {
    groups: Vec<u32>,
    /// The position of the next row of each group.
    next: Vec<usize>,
    x: Vec<f64>,
    y: Vec<f64>,
    times: Vec<i64>,
}

/// Returns the results of all groups. If the rows are not in order or not valid, or if it would be slow, nothing is returned.
pub(crate) fn measure(
    py: Python<'_>,
    fixes: &Fixes,
    groups: &Bound<'_, PyAny>,
    group_count: usize,
    template: &PathAccumulator,
    ignores_times: bool,
) -> PyResult<Option<Part>> {
    let len = fixes.len();
    let is_fast = group_count <= GROUPS_MAX && len / GROUP_ROWS_MIN >= group_count;
    let Some((positions, times)) = fixes.floats().filter(|_| is_fast) else { return Ok(None) };
    let groups = Column::<i32>::of_len(groups, "key", len)?;
    let batch_len = BATCH_MIN.max(GROUP_ROWS_MIN * group_count).min(len.max(1));
    let mut batch = Batch {
        groups: with_capacity(batch_len)?,
        next: with_capacity(group_count + 1)?,
        x: filled(0.0, batch_len)?,
        y: filled(0.0, batch_len)?,
        times: filled(NO_TIME, batch_len)?,
    };
    let group = || Group { path: template.clone(), ends: [NO_TIME; 2] };
    let mut paths: Vec<Group> = (0..group_count).map(|_| group()).collect();
    let mut feed = Feed::new(fixes, ignores_times);
    let add = |range: Range<usize>| {
        for start in range.clone().step_by(batch_len) {
            let range = start..range.end.min(start + batch_len);
            batch.sort(range, &groups, group_count, positions, times)?;
            batch.add_to(&mut paths, &mut feed)?;
        }
        Ok(())
    };
    match work::in_order(py, len, add) {
        Ok(()) => {}
        Err(Stopped::Error(Unsuitable)) => return Ok(None),
        Err(Stopped::Exception(exception)) => return Err(exception),
    }
    let results = paths.into_iter().enumerate();
    let results = results.map(|(group, Group { path, ends })| (group, ends, path.summary()));
    let results: Vec<_> = results.collect();
    let is_complete = !results.iter().any(|(.., summary)| has_too_many_windows(summary));
    let is_any_invalid = feed.is_any_invalid;
    Ok(is_complete.then_some(Part { is_any_invalid, groups: results }))
}

impl Batch {
    /// Loads the rows of a range and sorts them by group.
    fn sort(
        &mut self,
        range: Range<usize>,
        groups: &Column<i32>,
        group_count: usize,
        [x, y]: [&Column<f64>; 2],
        times: Option<&Column<i64>>,
    ) -> Result<(), Unsuitable> {
        let blocks = || {
            let end = range.end;
            range.clone().step_by(BLOCK).map(move |start| start..end.min(start + BLOCK))
        };
        self.groups.clear();
        self.next.clear();
        self.next.resize(group_count + 1, 0);
        let mut block = Block::new();
        for range in blocks() {
            for &group in groups.read(range, &mut block) {
                let group = u32::try_from(group).map_err(|_| Unsuitable)?;
                *self.next.get_mut(group as usize + 1).ok_or(Unsuitable)? += 1;
                self.groups.push(group);
            }
        }
        let mut end = 0;
        for next in &mut self.next {
            end += *next;
            *next = end;
        }
        let (mut x_block, mut y_block, mut times_block) =
            (Block::new(), Block::new(), Block::new());
        let mut groups = &self.groups[..];
        for range in blocks() {
            let (block_groups, rest) = groups.split_at(range.len());
            groups = rest;
            let x = x.read(range.clone(), &mut x_block);
            let y = y.read(range.clone(), &mut y_block);
            let times = times.map(|times| times.read(range, &mut times_block));
            for (index, ((&x, &y), &group)) in x.iter().zip(y).zip(block_groups).enumerate() {
                let next = &mut self.next[group as usize];
                (self.x[*next], self.y[*next]) = (x, y);
                if let Some(times) = times {
                    self.times[*next] = times[index];
                }
                *next += 1;
            }
        }
        Ok(())
    }

    /// Adds the rows to the paths of their groups. Errors are found again, with the index of the row, after a sort of all rows.
    fn add_to(&self, paths: &mut [Group], feed: &mut Feed<'_>) -> Result<(), Unsuitable> {
        let mut start = 0;
        for (group, &end) in paths.iter_mut().zip(&self.next) {
            let rows = start..end;
            start = end;
            let mut is_sorted = true;
            let [first, last] = &mut group.ends;
            for &time in self.times[rows.clone()].iter().filter(|&&time| time != NO_TIME) {
                is_sorted &= time >= *last;
                *last = time;
                *first = if *first == NO_TIME { time } else { *first };
            }
            if !is_sorted {
                return Err(Unsuitable);
            }
            for start in rows.clone().step_by(BLOCK) {
                let rows = start..rows.end.min(start + BLOCK);
                let positions = [&self.x[rows.clone()], &self.y[rows.clone()]];
                let outcome = feed.add_columns(positions, &self.times[rows], &mut group.path);
                outcome.map_err(|_| Unsuitable)?;
            }
        }
        Ok(())
    }
}
