//! Fixes to the points of a message: as columns where these hold every bit, otherwise as rows.
//!
//! Pure. Columns have whole numbers of a resolution; a fix that is none, or a column that only some fixes
//! of the message have, makes rows of all of them. `recorder` and `paths.rs` call it.

use prost_types::Timestamp;

use crate::measure::{Fix, Metric, Options, Point, Space};
use crate::proto::waywiser_v1 as pb;

/// The most points of a message: as rows of the longest kind they stay below the 64 KiB that a server
/// takes unless told otherwise.
pub(super) const MESSAGE_POINTS_MAX: usize = 1000;

const NS_PER_MS: i64 = 1_000_000;
const NS_PER_S: i64 = 1_000_000_000;

/// The points of a message, in one of its two fields.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Points {
    pub rows: Vec<pb::Point>,
    pub columns: Option<pb::PointColumns>,
}

/// Fixes of one space for a path with these options.
pub(super) fn points(fixes: &[Fix], options: &Options) -> Points {
    match columns(fixes, options) {
        Some(columns) => Points { rows: Vec::new(), columns: Some(columns) },
        None => rows(fixes),
    }
}

/// Fixes as rows, whatever columns could hold.
pub(super) fn rows(fixes: &[Fix]) -> Points {
    Points { rows: fixes.iter().map(|&fix| row(fix)).collect(), columns: None }
}

/// A column that all points have or none.
struct Column {
    values: Vec<i64>,
    before: i64,
}

impl Column {
    fn new(len: usize) -> Self {
        Self { values: Vec::with_capacity(len), before: 0 }
    }

    /// `None` where the difference leaves 64 bits.
    fn push(&mut self, value: i64) -> Option<()> {
        self.values.push(value.checked_sub(self.before)?);
        self.before = value;
        Some(())
    }
}

/// `None` where a bit would be lost.
fn columns(fixes: &[Fix], options: &Options) -> Option<pb::PointColumns> {
    let first = *fixes.first()?;
    let plain = Options::new(options.metric());
    let has_z = first.z().is_some();
    if options.xy_resolution() != plain.xy_resolution()
        || (has_z && options.z_resolution() != plain.z_resolution())
    {
        return None;
    }
    let z_per_unit = if options.metric() == Metric::Planar { 1.0 } else { 1e3 };
    let column = |is_there: bool| Column::new(if is_there { fixes.len() } else { 0 });
    let (mut x, mut y) = (column(true), column(true));
    let mut z = column(has_z);
    let mut time = column(first.unix_ns().is_some());
    let mut accuracy_mm = Vec::new();
    let mut segment_starts = Vec::new();
    for (index, fix) in (0..).zip(fixes) {
        let (whole_x, whole_y) = whole(fix.point())?;
        x.push(whole_x)?;
        y.push(whole_y)?;
        if fix.z().is_some() != has_z
            || fix.unix_ns().is_some() != first.unix_ns().is_some()
            || fix.accuracy_m().is_some() != first.accuracy_m().is_some()
        {
            return None;
        }
        if let Some(value) = fix.z() {
            let whole = (value * z_per_unit).round();
            // What the other end will make of it.
            z.push(whole as i64).filter(|()| (whole as i64) as f64 / z_per_unit == value)?;
        }
        if let Some(unix_ns) = fix.unix_ns() {
            time.push(unix_ns / NS_PER_MS).filter(|()| unix_ns % NS_PER_MS == 0)?;
        }
        if let Some(accuracy_m) = fix.accuracy_m() {
            let whole = (accuracy_m * 1e3).round() as u32;
            accuracy_mm.push(Some(whole).filter(|&mm| f64::from(mm) / 1e3 == accuracy_m)?);
        }
        if fix.starts_segment() {
            segment_starts.push(index);
        }
    }
    let (x, y, z, time_ms) = (x.values, y.values, z.values, time.values);
    Some(pb::PointColumns { x, y, z, time_ms, accuracy_mm, segment_starts })
}

/// x and y in the resolution that is the default of the space, if they are whole numbers of it.
fn whole(point: Point) -> Option<(i64, i64)> {
    match point.space() {
        Space::Geographic => {
            let (latitude_e7, longitude_e7) = point.to_e7()?;
            let is_whole = Point::from_e7(latitude_e7, longitude_e7) == Ok(point);
            is_whole.then_some((longitude_e7.into(), latitude_e7.into()))
        }
        Space::Planar => {
            // Below 2^40, and so exact in both types.
            let whole = |value: f64| Some(value as i64).filter(|&whole| whole as f64 == value);
            whole(point.x()).zip(whole(point.y()))
        }
    }
}

fn row(fix: Fix) -> pb::Point {
    let (x, y) = degrees(fix.point());
    pb::Point {
        x,
        y,
        z: fix.z(),
        time: fix.unix_ns().map(|ns| Timestamp {
            seconds: ns.div_euclid(NS_PER_S),
            nanos: ns.rem_euclid(NS_PER_S) as i32,
        }),
        accuracy_m: fix.accuracy_m(),
        starts_segment: fix.starts_segment(),
    }
}

/// Coordinates of which the same point is made again. Degrees are converted to the unit in which points
/// are kept and back, and the quotient may be off by a rounding: then a neighbour is what is meant.
fn degrees(point: Point) -> (f64, f64) {
    let (x, y) = (point.x(), point.y());
    let near = |value: f64| {
        let (up, down) = (value.next_up(), value.next_down());
        [value, up, down, up.next_up(), down.next_down()]
    };
    let again = |x: f64, y: f64| Point::new(point.space(), x, y);
    let same_x = |&at: &f64| again(at, y).is_ok_and(|other| same(other, point).0);
    let same_y = |&at: &f64| again(x, at).is_ok_and(|other| same(other, point).1);
    (near(x).into_iter().find(same_x).unwrap_or(x), near(y).into_iter().find(same_y).unwrap_or(y))
}

/// Whether x and y are the same, in the unit in which points are kept.
fn same(a: Point, b: Point) -> (bool, bool) {
    let ((ax, ay), (bx, by)) = (a.canonical(), b.canonical());
    (ax == bx, ay == by)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server makes of the points, by the plain reading of the contract.
    fn read(points: &Points, options: &Options) -> Vec<Fix> {
        let space = options.metric().space();
        let Some(columns) = &points.columns else {
            let fix = |row: &pb::Point| {
                let mut fix = Fix::new(Point::new(space, row.x, row.y).unwrap());
                if let Some(z) = row.z {
                    fix = fix.with_z(z).unwrap();
                }
                if let Some(time) = row.time {
                    let unix_ns = time.seconds * NS_PER_S + i64::from(time.nanos);
                    fix = fix.at_unix_ns(unix_ns).unwrap();
                }
                if let Some(accuracy_m) = row.accuracy_m {
                    fix = fix.with_accuracy_m(accuracy_m).unwrap();
                }
                if row.starts_segment { fix.starting_segment() } else { fix }
            };
            return points.rows.iter().map(fix).collect();
        };
        let sums = |column: &[i64]| {
            let mut sum = 0;
            let add = |difference: &i64| {
                sum += difference;
                sum
            };
            column.iter().map(add).collect::<Vec<i64>>()
        };
        let [x, y, z, time] =
            [&columns.x, &columns.y, &columns.z, &columns.time_ms].map(|column| sums(column));
        let fix = |at: usize| {
            let point = match space {
                Space::Geographic => Point::from_e7(y[at] as i32, x[at] as i32).unwrap(),
                Space::Planar => Point::planar(x[at] as f64, y[at] as f64).unwrap(),
            };
            let z_per_unit = if space == Space::Planar { 1.0 } else { 1e3 };
            let mut fix = Fix::new(point);
            if let Some(&z) = z.get(at) {
                fix = fix.with_z(z as f64 / z_per_unit).unwrap();
            }
            if let Some(time_ms) = time.get(at) {
                fix = fix.at_unix_ns(time_ms * NS_PER_MS).unwrap();
            }
            if let Some(&mm) = columns.accuracy_mm.get(at) {
                fix = fix.with_accuracy_m(f64::from(mm) / 1e3).unwrap();
            }
            if columns.segment_starts.contains(&(at as u32)) { fix.starting_segment() } else { fix }
        };
        (0..x.len()).map(fix).collect()
    }

    /// Some whole and some not, of either space.
    fn fixes(metric: Metric, is_whole: bool) -> impl Strategy<Value = Vec<Fix>> {
        let part = (any::<[f64; 2]>(), any::<(f64, i64, f64)>(), any::<[bool; 4]>());
        prop::collection::vec(part, 1..40).prop_map(move |parts| {
            let fix = |(xy, (z, ns, accuracy), has): ([f64; 2], (f64, i64, f64), [bool; 4])| {
                let part = |value: f64| if value.is_finite() { value.sin() } else { 0.5 };
                let round = |value: f64, unit: f64| match is_whole {
                    true => (value * unit).round() / unit,
                    false => value,
                };
                let [x, y] = xy.map(part);
                let point = match metric {
                    Metric::Planar => {
                        Point::planar(round(x * 1e9, 1.0), round(y * 1e9, 1.0)).unwrap()
                    }
                    _ => Point::geographic(round(y * 90.0, 1e7), round(x * 180.0, 1e7)).unwrap(),
                };
                let z_unit = if metric == Metric::Planar { 1.0 } else { 1e3 };
                let mut fix = Fix::new(point);
                if is_whole || has[0] {
                    fix = fix.with_z(round(part(z) * 4e3, z_unit)).unwrap();
                }
                if is_whole || has[1] {
                    let ns = ns / 2;
                    let ns = if is_whole { ns - ns % NS_PER_MS } else { ns };
                    fix = fix.at_unix_ns(ns).unwrap();
                }
                if is_whole || has[2] {
                    fix = fix.with_accuracy_m(round(part(accuracy).abs() * 90.0, 1e3)).unwrap();
                }
                if has[3] { fix.starting_segment() } else { fix }
            };
            parts.into_iter().map(fix).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_bit_of_a_fix_is_lost(
            (metric, is_whole, fixes) in (any::<bool>(), any::<bool>()).prop_flat_map(|(is_planar, is_whole)| {
                let metric = if is_planar { Metric::Planar } else { Metric::Geodesic };
                (Just(metric), Just(is_whole), fixes(metric, is_whole))
            }),
        ) {
            let options = Options::new(metric);
            let points = points(&fixes, &options);
            prop_assert!(!is_whole || points.columns.is_some());
            prop_assert_eq!(read(&points, &options), fixes);
        }
    }

    #[test]
    fn the_largest_message_is_below_what_a_server_takes() {
        use prost::Message as _;
        let point = Point::geographic(46.123_456_789_012, 14.123_456_789_012).unwrap();
        let fix = Fix::new(point).at_unix_ns(-9_214_559_999_999_999_999).unwrap();
        let fix = fix.with_z(0.1234).unwrap();
        let fix = fix.with_accuracy_m(0.1234).unwrap().starting_segment();
        let rows = points(&[fix; MESSAGE_POINTS_MAX], &Options::new(Metric::Geodesic)).rows;
        let message = pb::RecordPathRequest { points: rows, ..Default::default() };
        assert!(message.encoded_len() < 63 * 1024, "{}", message.encoded_len());
    }
}
