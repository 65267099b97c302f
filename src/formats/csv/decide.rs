//! Decides from the first rows what the names of the columns leave open: which column has the time, the order of
//! day and month, which columns identify tracks, and whether hemisphere columns have hemispheres.
//!
//! Rows are stored only as long as something is open, and at most [`ROWS_MAX`] of them.

use std::collections::HashSet;

use super::super::polyline::Precision;
use super::super::time::civil::DayOrder;
use super::super::time::{Clarity, TimeReader};
use super::columns::Columns;
use super::geometry::GeometryKind;
use super::grouping::{Certainty, Grouping};
use super::hemispheres::Hemispheres;
use super::splitter::Row;
use super::time_source::TimeSource;

/// Maximum number of rows that are stored.
pub(super) const ROWS_MAX: usize = 1000;
/// Maximum number of bytes in the rows that are stored.
pub(super) const BYTES_MAX: usize = 1 << 20;
/// The rows after which a later column of times is used, if the first one has no time.
const UNREADABLE_ROWS: u64 = 20;

/// What is known after some rows.
pub(super) struct Decider {
    times: Vec<TimeState>,
    groups: Vec<GroupState>,
    hemispheres: Hemispheres,
    row_count: u64,
    /// Whether polylines have six decimal places: those of the others are out of range.
    has_precision_six: bool,
    has_unused_line: bool,
}

#[derive(Default)]
struct TimeState {
    /// The times, and how many of them may also be times of day, such as 095959.
    readable: u64,
    clocks: u64,
    unreadable: u64,
    ambiguous: u64,
    order: Option<DayOrder>,
}

impl TimeState {
    fn has_time(&self) -> bool {
        self.readable > self.clocks
    }

    /// Returns whether all times may be times of day.
    fn is_clock(&self) -> bool {
        self.clocks > 0 && self.clocks == self.readable
    }
}

#[derive(Default)]
struct GroupState {
    values: HashSet<Box<[u8]>>,
    repeated: bool,
    has_fraction: bool,
}

impl Decider {
    pub(super) fn new(columns: &Columns) -> Self {
        Self {
            times: columns.times.iter().map(|_| TimeState::default()).collect(),
            groups: columns.groups.iter().map(|_| GroupState::default()).collect(),
            hemispheres: Hemispheres::new(columns),
            row_count: 0,
            has_precision_six: false,
            has_unused_line: false,
        }
    }

    /// Takes a row into account.
    pub(super) fn observe(&mut self, row: Row<'_>, columns: &Columns, reader: &TimeReader) {
        self.row_count += 1;
        if columns.is_header(row) {
            return;
        }
        self.observe_geometry(row, columns);
        let mut buffer = Vec::new();
        for (state, source) in self.times.iter_mut().zip(&columns.times) {
            let text = source.text(row, &mut buffer);
            if !reader.has_format() && source.rejects(text) {
                state.unreadable += 1;
                continue;
            }
            state.clocks += u64::from(!reader.has_format() && source.is_clock(text));
            match reader.clarity(text, source.unit) {
                Clarity::Missing => {}
                Clarity::Unreadable => state.unreadable += 1,
                Clarity::Clear => state.readable += 1,
                Clarity::Ambiguous => {
                    state.readable += 1;
                    state.ambiguous += 1;
                }
                Clarity::Decides(order) => {
                    state.readable += 1;
                    state.order = state.order.or(Some(order));
                }
            }
        }
        for (state, group) in self.groups.iter_mut().zip(&columns.groups) {
            let Some(value) = row.get(group.at).map(<[u8]>::trim_ascii) else { continue };
            if value.is_empty() || state.repeated {
                continue;
            }
            let is_number = value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
            state.has_fraction |= is_number && value.contains(&b'.');
            state.repeated |= !state.values.insert(value.into());
        }
        self.hemispheres.observe(row, columns);
    }

    fn observe_geometry(&mut self, row: Row<'_>, columns: &Columns) {
        let polyline = columns.geometry.filter(|geometry| geometry.kind == GeometryKind::Polyline);
        if let Some(geometry) = polyline {
            let field = row.get(geometry.at).unwrap_or_default().trim_ascii();
            self.has_precision_six |=
                !field.starts_with(b"[") && Precision::of(field) == Precision::Six;
        }
        if let Some(geometry) = columns.unused_geometry {
            let has_value =
                row.get(geometry.at).is_some_and(|field| !field.trim_ascii().is_empty());
            self.has_unused_line |= has_value && columns.has_line(row);
        }
    }

    /// Returns whether more rows decide nothing.
    pub(super) fn is_decided(&self, columns: &Columns) -> bool {
        let is_polyline =
            columns.geometry.is_some_and(|geometry| geometry.kind == GeometryKind::Polyline);
        if is_polyline && !self.has_precision_six
            || columns.unused_geometry.is_some() && self.row_count == 0
        {
            return false;
        }
        let is_time_decided = match self.times.first() {
            None => true,
            Some(first) if first.has_time() => first.ambiguous == 0 || first.order.is_some(),
            Some(first) if self.times.len() == 1 => {
                first.unreadable > 0 || first.clocks >= UNREADABLE_ROWS
            }
            Some(first) => {
                let chosen = self.time().map(|at| &self.times[at]);
                first.unreadable + first.clocks >= UNREADABLE_ROWS
                    && chosen.is_none_or(|chosen| chosen.ambiguous == 0 || chosen.order.is_some())
            }
        };
        let is_group_decided = self
            .groups
            .iter()
            .zip(&columns.groups)
            .all(|(state, group)| state.repeated || group.certainty == Certainty::Sure);
        is_time_decided && is_group_decided && self.hemispheres.is_decided()
    }

    /// Returns the first source with a time.
    fn time(&self) -> Option<usize> {
        self.times.iter().position(TimeState::has_time)
    }

    /// Applies the decisions. Returns the order of day and month.
    pub(super) fn apply(&self, columns: &mut Columns) -> Decisions {
        let mut decisions = Decisions {
            row_count: self.row_count,
            has_times: self.time().is_some(),
            ..Decisions::default()
        };
        if let Some(at) = self.time().or((!self.times.is_empty()).then_some(0)) {
            decisions.order = self.times[at].order;
            decisions.time = columns.times.get(at).copied().filter(|_| !self.times[at].is_clock());
            self.remark_on_times(at, columns);
        }
        self.choose_groups(columns, &mut decisions);
        self.hemispheres.apply(columns);
        if self.has_precision_six {
            decisions.precision = Precision::Six;
        }
        if let Some(geometry) = columns.unused_geometry.filter(|_| self.has_unused_line) {
            let name = columns.name(geometry.at);
            columns.ignored.push(format!(
                "the column {name} is ignored: the positions are in other columns, and it has lines"
            ));
        }
        decisions
    }

    /// Adds remarks on the columns of times that are not used.
    fn remark_on_times(&self, used: usize, columns: &mut Columns) {
        let Some(&chosen) = columns.times.get(used) else { return };
        let is_used = |at: usize| at == chosen.at || Some(at) == chosen.date;
        let mut remarks: Vec<String> = Vec::new();
        for (state, source) in self.times.iter().zip(&columns.times) {
            let is_date_alone = source.is_date && state.readable == 0;
            if state.is_clock() {
                remarks.push(format!(
                    "the column {} is ignored: its values are like times of day without a date, such as 095959",
                    columns.name(source.at)
                ));
                continue;
            }
            if source.date.is_some() || is_used(source.at) || is_date_alone {
                continue;
            }
            let name = columns.name(source.at);
            let is_failed = state.readable == 0 && state.unreadable > 0;
            let reason = if is_failed {
                "it has no date with a time of day"
            } else {
                "another column has the time"
            };
            remarks.push(format!("the column {name} is ignored: {reason}"));
        }
        columns.ignored.extend(remarks.into_iter().take(8));
    }

    fn choose_groups(&self, columns: &Columns, decisions: &mut Decisions) {
        for kind in [Grouping::Mover, Grouping::Trip] {
            let mut is_chosen = false;
            for (state, group) in self.groups.iter().zip(&columns.groups) {
                let is_sure = group.certainty == Certainty::Sure;
                if group.kind != kind || state.has_fraction && !is_sure {
                    continue;
                }
                let is_ambiguous = group.certainty == Certainty::Ambiguous;
                let is_row_number = is_ambiguous && !state.repeated && state.values.len() > 1;
                if is_row_number {
                    decisions.row_numbers.push(group.at);
                } else if is_chosen {
                    decisions.unused_groups.push(group.at);
                } else {
                    is_chosen = true;
                    decisions.groups.push(group.at);
                }
            }
        }
    }
}

/// What the first rows decide.
#[derive(Default)]
pub(super) struct Decisions {
    pub time: Option<TimeSource>,
    pub order: Option<DayOrder>,
    pub precision: Precision,
    /// The columns that identify tracks.
    pub groups: Vec<usize>,
    /// The rows that decided this.
    pub row_count: u64,
    /// Whether the column of times had a time in one of them.
    pub has_times: bool,
    /// Columns with a common name of such columns and another value in each row.
    pub row_numbers: Vec<usize>,
    /// Further columns that may identify tracks.
    pub unused_groups: Vec<usize>,
}
