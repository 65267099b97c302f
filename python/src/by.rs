//! The lengths of many paths, whose points are in one set of columns with a key in each row.

use std::ops::Range;

use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use waywiser::measure::EstimateOptions;
use waywiser::{Metric, Options, PathAccumulator, PathSummary};

use crate::column::{Rows, read_integers};
use crate::error::{MeasureError, filled, with_capacity};
use crate::fixes::{Arguments, Feed, Fixes, NO_TIME};
use crate::mixed_rows;
use crate::names::{OnInvalid, flag, metric_argument, on_invalid_argument};
use crate::options::{self, NOT_OF_BY, has_rules, options_with};
use crate::summary::trips;
use crate::work::{self, Interrupt, Threads};

/// A number that is missing in a column of whole numbers.
const MISSING: i64 = i64::MIN;
/// Groups count as at least this many points, so that the summaries of one step of a thread need at most 20 MiB.
const GROUP_POINTS_MIN: usize = 32;

/// Return the columns of the table of by(): a dict of names to the bytes of numbers. Row i is in the group groups[i], from 0
/// to group_count - 1.
#[pyfunction]
#[pyo3(signature = (
    groups, group_count, time, lon, lat, *, elevation, accuracy, metric, on_invalid, threads, statistics, options
))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn lengths_by<'py>(
    py: Python<'py>,
    groups: &Bound<'py, PyAny>,
    group_count: usize,
    time: Option<&Bound<'py, PyAny>>,
    lon: &Bound<'py, PyAny>,
    lat: &Bound<'py, PyAny>,
    elevation: Option<&Bound<'py, PyAny>>,
    accuracy: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = metric_argument)] metric: Metric,
    #[pyo3(from_py_with = on_invalid_argument)] on_invalid: OnInvalid,
    threads: Option<Threads>,
    #[pyo3(from_py_with = statistics_argument)] statistics: bool,
    options: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyDict>> {
    for name in NOT_OF_BY {
        if options.contains(name)? {
            return Err(PyTypeError::new_err(format!("by() has no argument '{name}'")));
        }
    }
    let options = options_with("by", metric, on_invalid, Some(options))?;
    let options = without_lists(options)?;
    let fixes = Fixes::get(py, &Arguments { lon, lat, time, elevation, accuracy }, &options)?;
    let threads = work::threads(threads);
    let template = PathAccumulator::new(options);
    // The times of the rows decide only their order, if no result needs them.
    let ignores_times = !statistics && !has_rules(&options);
    let mut table = Table::new(&options, statistics);
    let mut is_any_invalid = false;
    let mut add = |part: Part| {
        is_any_invalid |= part.is_any_invalid;
        let groups = &mut part.groups.iter();
        groups.try_for_each(|(group, times, summary)| table.add(*group, *times, summary))
    };
    let part = match threads == 1 && !is_sorted(groups)? {
        true => mixed_rows::measure(py, &fixes, groups, group_count, &template, ignores_times)?,
        false => None,
    };
    if let Some(part) = part {
        add(part)?;
    } else {
        let order = Order::get(groups, group_count, fixes.len())?;
        let positions = order.positions.as_ref();
        let scattered = positions.map(|positions| fixes.scattered(py, positions)).transpose()?;
        let sorted_fixes = scattered.as_ref().unwrap_or(&fixes);
        let work = |range: Range<usize>, interrupt: &Interrupt<'_>| {
            let mut groups = with_capacity(range.len()).map_err(GroupError::Memory)?;
            let mut feed = Feed::new(sorted_fixes, ignores_times);
            let mut sorted = Vec::new();
            for group in range {
                let rows = order.rows(group);
                let in_order = sorted_fixes.in_order_of_time(rows, &mut sorted, interrupt);
                let (rows, times) = in_order.map_err(GroupError::Memory)?;
                let mut path = template.clone();
                let added = feed.add_while(rows, &mut path, || !interrupt.is_set());
                added.map_err(GroupError::Measure)?;
                let summary = path.summary();
                if has_too_many_windows(&summary) {
                    return Err(GroupError::Windows { position: rows.index(0) });
                }
                groups.push((group, times, summary));
            }
            Ok(Part { is_any_invalid: feed.is_any_invalid, groups })
        };
        let into_exception = |error| match error {
            GroupError::Measure(error) => {
                fixes.exception(py, error.map_index(|position| order.row(position)))
            }
            GroupError::Memory(exception) => exception,
            GroupError::Windows { position } => PyValueError::new_err(format!(
                "the path with the row at index {} has more than 100000 windows; use a longer period, or max_gap_time",
                order.row(position)
            )),
        };
        let points = fixes.len().div_ceil(group_count.max(1)).max(GROUP_POINTS_MIN);
        let add = |part| add(part).map_err(GroupError::Memory);
        work::in_interruptible_steps(py, group_count, points, threads, work, add, into_exception)?;
    }
    fixes.finish(py, is_any_invalid)?;
    table.into_dict(py)
}

fn statistics_argument(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    flag("statistics", value)
}

/// Returns whether the rows of each group are consecutive, and the groups are in order.
fn is_sorted(groups: &Bound<'_, PyAny>) -> PyResult<bool> {
    let (mut before, mut is_sorted) = (i64::MIN, true);
    read_integers(groups, "groups", |group| {
        is_sorted &= before <= group;
        before = group;
        Ok(())
    })?;
    Ok(is_sorted)
}

/// Returns whether a path has more windows than are kept.
pub(crate) fn has_too_many_windows(summary: &PathSummary) -> bool {
    summary.windows.as_ref().is_some_and(|windows| windows.is_dropped)
}

/// Return the groups and the distinct keys of whole numbers, in the order of their first rows, as bytes of int32 and int64.
/// None is returned if the numbers are too far apart for a table.
#[pyfunction]
pub(crate) fn group_integers<'py>(
    keys: &Bound<'py, PyAny>,
) -> PyResult<Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
    let (mut least, mut largest, mut count) = (i64::MAX, i64::MIN, 0_usize);
    read_integers(keys, "key", |key| {
        (least, largest, count) = (least.min(key), largest.max(key), count + 1);
        Ok(())
    })?;
    let width = largest.checked_sub(least).and_then(|width| usize::try_from(width).ok());
    let is_small = count <= i32::MAX as usize;
    let width = width.filter(|&width| is_small && width < count.max(1 << 16));
    let Some(width) = width else { return Ok(None) };
    let (mut table, mut distinct) = (filled(-1, width + 1)?, Vec::new());
    let changed = || PyValueError::new_err("key was changed during the call");
    let groups = PyBytes::new_with(keys.py(), count * size_of::<i32>(), |bytes| {
        let mut places = bytes.as_chunks_mut::<{ size_of::<i32>() }>().0.iter_mut();
        read_integers(keys, "key", |key| {
            let at = key.checked_sub(least).and_then(|at| usize::try_from(at).ok());
            let group = at.and_then(|at| table.get_mut(at)).ok_or_else(changed)?;
            if *group < 0 {
                *group = distinct.len() as i32;
                distinct.push(key);
            }
            *places.next().ok_or_else(changed)? = group.to_ne_bytes();
            Ok(())
        })
    })?;
    let distinct: Vec<u8> = distinct.iter().flat_map(|key: &i64| key.to_ne_bytes()).collect();
    Ok(Some((groups, PyBytes::new(keys.py(), &distinct))))
}

/// Returns the canonical name of a time zone.
#[pyfunction]
pub(crate) fn time_zone(timezone: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(options::zone(timezone)?.to_string())
}

/// Returns the options without lists of stops and trips, which the table does not have.
fn without_lists(options: Options) -> PyResult<Options> {
    let estimate = options.estimate().map(|estimate| EstimateOptions { max_trips: 0, ..estimate });
    let options = options.to_builder().estimate(estimate).build();
    options.map_err(|error| options::out_of_range(&error))
}

/// The results of some groups: the group, its first and last time, and the summary of its path.
pub(crate) struct Part {
    pub(crate) is_any_invalid: bool,
    pub(crate) groups: Vec<(usize, [i64; 2], PathSummary)>,
}

enum GroupError {
    Measure(MeasureError),
    /// There is not enough memory.
    Memory(PyErr),
    /// There are too many windows.
    Windows {
        position: usize,
    },
}

/// The order of the rows by group. Rows of a group keep their order.
struct Order {
    /// The first position of each group, and the end.
    starts: Vec<usize>,
    /// The position of each row. Without it, the rows are in order.
    positions: Option<Vec<u32>>,
}

impl Order {
    /// Sorts the rows by group.
    fn get(groups: &Bound<'_, PyAny>, group_count: usize, len: usize) -> PyResult<Self> {
        if u32::try_from(len).is_err() {
            return Err(PyValueError::new_err(format!(
                "there are {len} rows, and the limit is 4294967295; divide them by key into several calls"
            )));
        }
        let mut starts = filled(0_usize, group_count + 1)?;
        let (mut before, mut is_sorted, mut count) = (0, true, 0);
        let mut positions = with_capacity(len)?;
        read_integers(groups, "groups", |group| {
            let group = u32::try_from(group).ok().filter(|&group| (group as usize) < group_count);
            let group = group.ok_or_else(|| PyValueError::new_err("a group is out of range"))?;
            starts[group as usize + 1] += 1;
            is_sorted &= before <= group;
            before = group;
            // More groups than rows are an error below, without memory for them.
            count += 1;
            if count <= len {
                positions.push(group);
            }
            Ok(())
        })?;
        if count != len {
            return Err(PyValueError::new_err(format!(
                "key has {count} values for {len} points; they must be equally long"
            )));
        }
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        if is_sorted {
            return Ok(Self { starts, positions: None });
        }
        let mut next = with_capacity::<u32>(starts.len())?;
        next.extend(starts.iter().map(|&start| start as u32));
        for positions in positions.chunks_mut(work::STEP) {
            for position in positions {
                let next = &mut next[*position as usize];
                *position = *next;
                *next += 1;
            }
            groups.py().check_signals()?;
        }
        Ok(Self { starts, positions: Some(positions) })
    }

    /// Returns the positions of the rows of a group.
    fn rows(&self, group: usize) -> Rows<'static> {
        Rows::Range(self.starts[group], self.starts[group + 1])
    }

    /// Returns the row at a position. It takes a long time, and is for errors.
    fn row(&self, position: usize) -> usize {
        let row = self
            .positions
            .as_ref()
            .and_then(|positions| positions.iter().position(|&of_row| of_row as usize == position));
        row.unwrap_or(position)
    }
}

/// A value of a row.
#[derive(Clone, Copy)]
enum Value {
    /// A whole number, or [`MISSING`].
    Int(i64),
    /// A number, NaN if it is missing.
    Float(f64),
}

impl Value {
    fn count(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    fn count_or_missing(count: Option<u64>) -> Self {
        count.map_or(Self::Int(MISSING), Self::count)
    }

    fn number(number: Option<f64>) -> Self {
        Self::Float(number.unwrap_or(f64::NAN))
    }

    fn seconds(ns: Option<u128>) -> Self {
        Self::number(ns.map(|ns| ns as f64 / 1e9))
    }

    /// Returns a time in microseconds, rounded down.
    fn time(unix_ns: i64) -> Self {
        Self::Int(if unix_ns == NO_TIME { MISSING } else { unix_ns.div_euclid(1000) })
    }
}

/// The name of a column, and the unit that its name has for geographic paths.
type Name = (&'static str, &'static str);

/// The columns of the result.
struct Table {
    columns: Vec<Numbers>,
}

/// A column of the result.
struct Numbers {
    name: String,
    is_float: bool,
    values: Vec<Value>,
}

impl Table {
    /// Returns a table without rows.
    fn new(options: &Options, statistics: bool) -> Self {
        let empty = PathAccumulator::new(*options).summary();
        let row: Vec<(Name, Value)> = match options.windows() {
            None if statistics => path_row(0, [NO_TIME; 2], &empty).into(),
            None => path_row(0, [NO_TIME; 2], &empty)[..ROW_WITHOUT_STATISTICS].into(),
            Some(_) => window_row(0, [NO_TIME; 2], 0.0, 0).into(),
        };
        let is_planar = options.metric() == Metric::Planar;
        let columns = row.into_iter().map(|((name, unit), value)| Numbers {
            name: match unit {
                "" => name.to_owned(),
                _ if is_planar => name.to_owned(),
                unit => format!("{name}_{unit}"),
            },
            is_float: matches!(value, Value::Float(_)),
            values: Vec::new(),
        });
        Self { columns: columns.collect() }
    }

    /// Adds the rows of a path, whose first and last time are `times`.
    fn add(&mut self, group: usize, times: [i64; 2], summary: &PathSummary) -> PyResult<()> {
        let Some(windows) = &summary.windows else {
            return self.push(&path_row(group, times, summary));
        };
        const US_PER_S: i64 = 1_000_000;
        for window in windows.earlier.iter().chain(&windows.windows) {
            let times = [window.start_unix_s, window.end_unix_s].map(|unix_s| unix_s * US_PER_S);
            self.push(&window_row(group, times, window.length.to_f64(), window.point_count))?;
        }
        let (count, length) = (windows.undated_point_count, windows.undated_length.to_f64());
        if count > 0 || length > 0.0 {
            self.push(&window_row(group, [MISSING; 2], length, count))?;
        }
        Ok(())
    }

    fn push(&mut self, row: &[(Name, Value)]) -> PyResult<()> {
        for (column, (_, value)) in self.columns.iter_mut().zip(row) {
            let reserved = column.values.try_reserve(1);
            reserved
                .map_err(|_| PyMemoryError::new_err("there is not enough memory for the rows"))?;
            column.values.push(*value);
        }
        Ok(())
    }

    /// Returns the bytes of each column.
    fn into_dict(self, py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        let dict = PyDict::new(py);
        for Numbers { name, is_float, values } in self.columns {
            let bytes = PyBytes::new_with(py, values.len() * size_of::<u64>(), |bytes| {
                let places = bytes.as_chunks_mut::<{ size_of::<u64>() }>().0;
                for (place, value) in places.iter_mut().zip(&values) {
                    *place = match *value {
                        Value::Int(int) => int.to_ne_bytes(),
                        Value::Float(float) => float.to_ne_bytes(),
                    };
                }
                Ok(())
            })?;
            dict.set_item(name, (is_float, bytes))?;
        }
        Ok(dict)
    }
}

/// The number of values at the start of the row of a path that are not statistics.
const ROW_WITHOUT_STATISTICS: usize = 10;

/// Returns the row of a path.
fn path_row(group: usize, [start, end]: [i64; 2], summary: &PathSummary) -> [(Name, Value); 20] {
    let (estimate, trips) = (summary.estimate, trips(summary));
    [
        (("group", ""), Value::count(group as u64)),
        (("start", ""), Value::time(start)),
        (("end", ""), Value::time(end)),
        (("length", "m"), Value::Float(summary.length)),
        (("point_count", ""), Value::count(summary.point_count)),
        (("accepted_count", ""), Value::count(summary.accepted_count)),
        (("raw_length", "m"), Value::Float(summary.raw_length)),
        (("estimated_length", "m"), Value::number(estimate.map(|estimate| estimate.length_m))),
        (("estimated_length_low", "m"), Value::number(estimate.map(|estimate| estimate.low_m))),
        (("estimated_length_high", "m"), Value::number(estimate.map(|estimate| estimate.high_m))),
        (("segment_count", ""), Value::count(summary.segment_count)),
        (("length_3d", "m"), Value::number(summary.length_3d)),
        (("gap_length", "m"), Value::Float(summary.gap_length + 0.0)),
        (("elapsed_s", ""), Value::seconds(summary.elapsed_ns)),
        (("moving_s", ""), Value::seconds(summary.moving_ns)),
        (("max_speed", "mps"), Value::number(summary.max_speed)),
        (("ascent", "m"), Value::number(summary.ascent)),
        (("descent", "m"), Value::number(summary.descent)),
        (("stop_count", ""), Value::count_or_missing(trips.map(|trips| trips.stop_count))),
        (("stopped_s", ""), Value::seconds(trips.map(|trips| trips.stopped_ns))),
    ]
}

/// Returns the row of a window, or of the part without a time. The times are in microseconds.
fn window_row(group: usize, [start, end]: [i64; 2], length: f64, count: u64) -> [(Name, Value); 5] {
    [
        (("group", ""), Value::count(group as u64)),
        (("start", ""), Value::Int(start)),
        (("end", ""), Value::Int(end)),
        (("length", "m"), Value::Float(length)),
        (("point_count", ""), Value::count(count)),
    ]
}
