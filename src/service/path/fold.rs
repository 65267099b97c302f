//! The points of a message into the measurement of its path: checked on the way, and named where one
//! is none.

use std::ops::Range;

use crate::measure::{
    self, ColumnError, Fix, FixBlock, FixError, Measurement, Options, Point, PointError, Space,
};
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, Place};
use crate::wire::{self, ColumnBlock, PackedColumns, PackedRows, Row};

use super::convert;
use super::request::Points;

/// Points on their way into a measurement. A message may be as short as a point, and to fold a block costs
/// nearly the same whether it is full or not: so the points of short messages are folded together.
///
/// It holds memory once there are points, and is not to be kept while a stream waits for its next bytes.
#[derive(Default)]
pub(super) struct Folder {
    room: Option<Box<Room>>,
}

struct Room {
    block: FixBlock,
    read: ColumnBlock,
}

impl Folder {
    /// How many points were added and are not folded.
    pub(super) fn len(&self) -> u64 {
        self.room.as_ref().map_or(0, |room| room.block.len() as u64)
    }

    /// Adds the points of a message but for the first `skip`, which the path has already. The next point of the
    /// path is the one behind them. Folds when there is no more room; [`Folder::flush`] does the rest.
    ///
    /// # Errors
    /// At the first point that is none; those before it were added.
    pub(super) fn add(
        &mut self,
        measurement: &mut Measurement,
        points: &Points<'_>,
        skip: u64,
    ) -> Result<(), RpcError> {
        let base = (measurement.point_count() + self.len()).saturating_sub(skip);
        let metric = measurement.options().metric;
        let room = self.room.get_or_insert_with(|| {
            Box::new(Room { block: FixBlock::new(metric), read: ColumnBlock::default() })
        });
        if room.block.metric() != metric && room.block.is_empty() {
            // Another path of the same stream.
            room.block = FixBlock::new(metric);
        }
        match (points.columns(), points.rows()) {
            (Some(columns), _) => room.add_columns(measurement, &columns, skip, base),
            (None, Some(rows)) => room.add_rows(measurement, &rows, skip, base),
            (None, None) => Ok(()),
        }
    }

    /// Folds what was added.
    ///
    /// # Errors
    /// When a total is out of range. Nothing is folded then, and what was added stays.
    pub(super) fn flush(&mut self, measurement: &mut Measurement) -> Result<(), RpcError> {
        self.room.as_mut().map_or(Ok(()), |room| room.flush(measurement))
    }

    /// Forgets what was added.
    pub(super) fn clear(&mut self) {
        if let Some(room) = &mut self.room {
            room.block.clear();
        }
    }
}

impl Room {
    fn flush(&mut self, measurement: &mut Measurement) -> Result<(), RpcError> {
        let index = measurement.point_count();
        measurement.fold(&mut self.block).map_err(|error| RpcError::Path { index, error })
    }

    fn add_rows(
        &mut self,
        measurement: &mut Measurement,
        rows: &PackedRows<'_>,
        skip: u64,
        base: u64,
    ) -> Result<(), RpcError> {
        let space = measurement.options().metric.space();
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        for (index, row) in rows.iter().enumerate() {
            if index < skip {
                continue;
            }
            if self.block.is_full() {
                self.flush(measurement)?;
            }
            if !push(&mut self.block, &row) {
                // With a word, then.
                let offset = base + index as u64;
                let fix = fix(space, &row, &format_args!("points[{index}]"))
                    .map_err(|violation| RpcError::Fix { offset, violation })?;
                self.block.push(fix).map_err(|error| RpcError::Path { index: offset, error })?;
            }
        }
        Ok(())
    }

    fn add_columns(
        &mut self,
        measurement: &mut Measurement,
        columns: &PackedColumns<'_>,
        skip: u64,
        base: u64,
    ) -> Result<(), RpcError> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let mut reader = columns.reader().map_err(|error| misfit(&error, base))?;
        loop {
            let Self { block, read } = self;
            let mut refusal = reader.next(read).map_err(|error| misfit(&error, base)).err();
            if read.len == 0 && refusal.is_none() {
                return Ok(());
            }
            let mut new = skip.saturating_sub(read.index).min(read.len)..read.len;
            if new.len() > block.room() {
                self.flush(measurement)?;
            }
            let Self { block, read } = self;
            // Those in front of a point that is none are added all the same: once more, without it.
            while let Err((index, field, why)) =
                fill(block, read, new.clone(), measurement.options())
            {
                let index = new.start + index;
                new.end = index;
                let at = read.index + index;
                let violation = FieldViolation::new(format!("columns.{field}[{at}]"), why);
                refusal = Some(RpcError::Fix { offset: base + at as u64, violation });
            }
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
        }
    }
}

/// Adds a row to a block that has room for it, as [`fix`] would; tells whether it did.
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
            .extend_scaled(&read.x[range.clone()], &read.y[range.clone()], options.xy_resolution)
            .map_err(|error| match &error {
                ColumnError::Point { source, .. } if axis(source) == "y" => of(error, "y"),
                _ => of(error, "x"),
            })?;
        if read.has_z {
            let z = &read.z[range.clone()];
            block.set_z_scaled(from, z, options.z_resolution).map_err(|error| of(error, "z"))?;
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

/// Columns that make no sense as such, of a message whose first point has the offset `base`.
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
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;
    use prost_types::Timestamp;

    use super::*;
    use crate::measure::Metric;
    use crate::proto::waywiser_v1 as pb;
    use crate::service::path::request;

    fn add_message(
        folder: &mut Folder,
        measurement: &mut Measurement,
        message: &pb::RecordPathRequest,
        skip: u64,
    ) -> Result<(), RpcError> {
        let bytes = message.encode_to_vec();
        folder.add(measurement, &request::read::<pb::RecordPathRequest>(&bytes, 0)?.points, skip)
    }

    fn fold_message(
        measurement: &mut Measurement,
        message: &pb::RecordPathRequest,
        skip: u64,
    ) -> Result<(), RpcError> {
        let mut folder = Folder::default();
        let outcome = add_message(&mut folder, measurement, message, skip);
        folder.flush(measurement)?;
        outcome
    }

    /// x, y, z, time in milliseconds, whether it starts a segment.
    type Sample = (i32, i32, Option<i16>, Option<i32>, bool);

    fn rows(points: &[Sample]) -> pb::RecordPathRequest {
        let row = |&(x, y, z, time_ms, starts_segment): &Sample| pb::Point {
            x: f64::from(x),
            y: f64::from(y),
            z: z.map(f64::from),
            time: time_ms.map(|ms| Timestamp {
                seconds: i64::from(ms.div_euclid(1000)),
                nanos: ms.rem_euclid(1000) * 1_000_000,
            }),
            accuracy_m: None,
            starts_segment,
        };
        pb::RecordPathRequest { points: points.iter().map(row).collect(), ..Default::default() }
    }

    fn differences(values: impl Iterator<Item = i64>) -> Vec<i64> {
        values.scan(0, |last, value| Some(value - std::mem::replace(last, value))).collect()
    }

    fn columns(points: &[Sample]) -> pb::RecordPathRequest {
        let columns = pb::PointColumns {
            x: differences(points.iter().map(|point| point.0.into())),
            y: differences(points.iter().map(|point| point.1.into())),
            z: differences(points.iter().filter_map(|point| point.2.map(i64::from))),
            time_ms: differences(points.iter().filter_map(|point| point.3.map(i64::from))),
            accuracy_mm: Vec::new(),
            segment_starts: (0..)
                .zip(points)
                .filter(|(_, point)| point.4)
                .map(|(i, _)| i)
                .collect(),
        };
        pb::RecordPathRequest { columns: Some(columns), ..Default::default() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn rows_and_columns_fold_to_the_same_bits_however_they_are_cut(
            points in prop::collection::vec(any::<(i32, i32, i16, i32, u8)>(), 0..700),
            has in any::<[bool; 2]>(), piece in 1..300_usize, skip in 0..300_usize,
            in_rows: u8, flushed: u8,
        ) {
            let points: Vec<_> = points
                .into_iter()
                .map(|(x, y, z, time, start)| {
                    (x, y, has[0].then_some(z), has[1].then_some(time), start < 3)
                })
                .collect();
            let options = Options { max_gap: Some(3e9), ..Options::new(Metric::Planar) };
            let mut whole = Measurement::new(options);
            fold_message(&mut whole, &rows(&points), 0).unwrap();
            let mut cut = Measurement::new(options);
            let mut folder = Folder::default();
            let mut from = 0;
            for turn in (0..8).cycle() {
                if from == points.len() {
                    break;
                }
                // Some that were taken before come again.
                let again = skip.min(from);
                // Short messages follow long ones.
                let to = points.len().min(from + 1 + (piece - 1) * usize::from(turn % 4 == 0));
                let message = &points[from - again..to];
                let message = if in_rows >> turn & 1 == 1 { rows(message) } else { columns(message) };
                add_message(&mut folder, &mut cut, &message, again as u64).unwrap();
                from = to;
                prop_assert_eq!(cut.point_count() + folder.len(), from as u64);
                if flushed >> turn & 1 == 1 {
                    folder.flush(&mut cut).unwrap();
                }
            }
            folder.flush(&mut cut).unwrap();
            prop_assert_eq!(cut, whole);
        }
    }

    #[test]
    fn a_message_with_a_point_that_is_none_leaves_those_that_wait_as_they_are() {
        let known: Vec<Sample> = (0..5).map(|i| (i, i * i, Some(9), Some(i), i == 3)).collect();
        let plain: Vec<Sample> = (5..9).map(|i| (i, 7, None, None, false)).collect();
        let mut path = Measurement::new(Options::new(Metric::Planar));
        let mut folder = Folder::default();
        add_message(&mut folder, &mut path, &rows(&known[..2]), 0).unwrap();
        let mut bad = columns(&known[2..]);
        // Of x, y and z all five would do.
        bad.columns.as_mut().unwrap().time_ms[2] = i64::MAX / 2;
        let refusal = add_message(&mut folder, &mut path, &bad, 0).unwrap_err();
        insta::assert_snapshot!(
            refusal,
            @"point 4: columns.time_ms[2]: time 4611686018427387 s since 1970 is not in the years 1678 to 2261"
        );
        assert_eq!((path.point_count(), folder.len()), (0, 4));
        add_message(&mut folder, &mut path, &columns(&plain), 0).unwrap();
        folder.flush(&mut path).unwrap();

        let mut expected = Measurement::new(Options::new(Metric::Planar));
        fold_message(&mut expected, &rows(&[&known[..4], &plain].concat()), 0).unwrap();
        assert_eq!(path, expected);
    }

    #[test]
    fn a_point_that_is_none_is_named_and_those_before_it_are_folded() {
        let mut path = Measurement::new(Options::new(Metric::Geodesic));
        let good = pb::Point { x: 1.0, y: 2.0, ..Default::default() };
        let bad = pb::Point { y: 90.5, ..Default::default() };
        let message = pb::RecordPathRequest { points: vec![good, good, bad], ..Default::default() };
        insta::assert_snapshot!(
            fold_message(&mut path, &message, 1).unwrap_err(),
            @"point 2: points[2].y: latitude 90.5 is not between -90 and 90 degrees"
        );
        assert_eq!(path.point_count(), 1);

        let columns = pb::PointColumns {
            x: vec![0; 300],
            y: [vec![0; 280], vec![900_000_001], vec![0; 19]].concat(),
            time_ms: [vec![0; 270], vec![i64::MAX], vec![0; 29]].concat(),
            ..Default::default()
        };
        let message = pb::RecordPathRequest { columns: Some(columns), ..Default::default() };
        insta::assert_snapshot!(
            fold_message(&mut path, &message, 0).unwrap_err(),
            @"point 271: columns.time_ms[270]: time 9223372036854775 s since 1970 is not in the years 1678 to 2261"
        );
        assert_eq!(path.point_count(), 271);

        let columns = pb::PointColumns {
            x: [vec![0; 260], vec![i64::MAX, 1], vec![0; 38]].concat(),
            y: vec![0; 300],
            ..Default::default()
        };
        let message = pb::RecordPathRequest { columns: Some(columns), ..Default::default() };
        insta::assert_snapshot!(
            fold_message(&mut path, &message, 0).unwrap_err(),
            @"point 532: columns.x[261]: the sum of the differences up to here leaves 64 bits"
        );
        assert_eq!(path.point_count(), 532);
        // A point before it that is none comes first.
        let columns = pb::PointColumns {
            x: vec![0; 300],
            y: [vec![0; 270], vec![i64::MAX, 1], vec![0; 28]].concat(),
            ..Default::default()
        };
        let message =
            pb::RecordPathRequest { columns: Some(columns.clone()), ..Default::default() };
        insta::assert_snapshot!(
            fold_message(&mut path, &message, 0).unwrap_err(),
            @"point 802: columns.y[270]: latitude 922337203685.4775 is not between -90 and 90 degrees"
        );
        assert_eq!(path.point_count(), 802);
        let columns = pb::PointColumns { segment_starts: vec![3, 3], ..columns };
        let message = pb::RecordPathRequest { columns: Some(columns), ..Default::default() };
        insta::assert_snapshot!(
            fold_message(&mut path, &message, 0).unwrap_err(),
            @"the message from point 802 on: columns.segment_starts[1]: it is 3; the entries ascend and are below 300"
        );
        assert_eq!(path.point_count(), 802);
    }
}
