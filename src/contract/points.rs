//! Fixes as the points of a message: as columns if these hold every bit of the fixes, otherwise as rows.
//!
//! Columns have whole multiples of a resolution. All fixes of a message become rows if one of them is not such a
//! multiple, or if only some of them have a column. A fix without a position is NaN in a row, and a coordinate out of
//! range in columns. Its attributes are not sent in columns: a receiver ignores them.

use super::time::{timestamp_of_ns, unix_ns};
use crate::measure::{Fix, Metric, Options, Point, Space};
use crate::proto::waywiser_v1 as pb;

/// Maximum number of points in a message. As rows of the longest kind they stay below 64 KiB, the largest message
/// that a server accepts by default.
pub(crate) const MESSAGE_POINTS_MAX: usize = 1000;

const NS_PER_MS: i64 = 1_000_000;

/// The y of a fix without a position in columns: 1e-7 degree north of the pole, or 1 beyond the largest planar number.
const INVALID_GEOGRAPHIC_Y: i64 = 900_000_001;
const INVALID_PLANAR_Y: i64 = (1 << 40) + 1;

/// The points of a message. One of the two fields is empty.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct MessagePoints {
    pub rows: Vec<pb::Point>,
    pub columns: Option<pb::PointColumns>,
}

/// Returns the fixes as columns or, if columns would lose a bit, as rows. All fixes are in the space of the options'
/// metric.
pub(crate) fn points(fixes: &[Fix], options: &Options) -> MessagePoints {
    match columns(fixes, options) {
        Some(columns) => MessagePoints { rows: Vec::new(), columns: Some(columns) },
        None => rows(fixes),
    }
}

/// Returns the fixes as rows.
pub(crate) fn rows(fixes: &[Fix]) -> MessagePoints {
    MessagePoints { rows: fixes.iter().map(|&fix| row(fix)).collect(), columns: None }
}

/// A delta-coded column.
struct Column {
    deltas: Vec<i64>,
    previous: i64,
}

impl Column {
    fn new(len: usize) -> Self {
        Self { deltas: Vec::with_capacity(len), previous: 0 }
    }

    /// Appends the previous value again.
    fn repeat(&mut self) {
        self.deltas.push(0);
    }

    /// Appends a value. Returns `None` if the difference does not fit 64 bits.
    fn push(&mut self, value: i64) -> Option<()> {
        self.deltas.push(value.checked_sub(self.previous)?);
        self.previous = value;
        Some(())
    }
}

/// Returns the fixes as columns, or `None` if a bit would be lost.
fn columns(fixes: &[Fix], options: &Options) -> Option<pb::PointColumns> {
    let first = *fixes.iter().find(|fix| fix.point().is_some())?;
    let invalid_y = match options.metric().space() {
        Space::Geographic => INVALID_GEOGRAPHIC_Y,
        Space::Planar => INVALID_PLANAR_Y,
    };
    let defaults = Options::new(options.metric());
    let has_z = first.z().is_some();
    if options.xy_resolution() != defaults.xy_resolution()
        || (has_z && options.z_resolution() != defaults.z_resolution())
    {
        return None;
    }
    let z_per_unit = if options.metric() == Metric::Planar { 1.0 } else { 1e3 };
    let column = |is_used: bool| Column::new(if is_used { fixes.len() } else { 0 });
    let (mut x, mut y) = (column(true), column(true));
    let mut z = column(has_z);
    let mut time = column(first.unix_ns().is_some());
    let mut accuracy_mm = Vec::new();
    let mut segment_starts = Vec::new();
    for (index, fix) in (0..).zip(fixes) {
        if fix.starts_segment() {
            segment_starts.push(index);
        }
        let Some(point) = fix.point() else {
            x.repeat();
            y.push(invalid_y)?;
            let attributes = [(&mut z, has_z), (&mut time, first.unix_ns().is_some())];
            attributes.into_iter().filter(|(_, is_used)| *is_used).for_each(|(it, _)| it.repeat());
            if first.accuracy_m().is_some() {
                accuracy_mm.push(0);
            }
            continue;
        };
        let (whole_x, whole_y) = whole_numbers(point)?;
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
            // The receiver divides again and must get the same value.
            z.push(whole as i64).filter(|()| (whole as i64) as f64 / z_per_unit == value)?;
        }
        if let Some(unix_ns) = fix.unix_ns() {
            time.push(unix_ns / NS_PER_MS).filter(|()| unix_ns % NS_PER_MS == 0)?;
        }
        if let Some(accuracy_m) = fix.accuracy_m() {
            let whole = (accuracy_m * 1e3).round() as u32;
            accuracy_mm.push(Some(whole).filter(|&mm| f64::from(mm) / 1e3 == accuracy_m)?);
        }
    }
    let (x, y, z, time_ms) = (x.deltas, y.deltas, z.deltas, time.deltas);
    Some(pb::PointColumns { x, y, z, time_ms, accuracy_mm, segment_starts })
}

/// Returns x and y in units of the default resolution of the space, if they are whole multiples of it.
fn whole_numbers(point: Point) -> Option<(i64, i64)> {
    match point.space() {
        Space::Geographic => {
            let (latitude_e7, longitude_e7) = point.to_e7()?;
            let is_whole = Point::from_e7(latitude_e7, longitude_e7) == Ok(point);
            is_whole.then_some((longitude_e7.into(), latitude_e7.into()))
        }
        Space::Planar => {
            // Coordinates are at most 2^40, so the conversions are exact.
            let whole = |value: f64| Some(value as i64).filter(|&whole| whole as f64 == value);
            whole(point.x()).zip(whole(point.y()))
        }
    }
}

/// Returns a fix as a row.
pub(crate) fn row(fix: Fix) -> pb::Point {
    // A receiver counts a point that is not a number as one without a position.
    let (x, y) = fix.point().map_or((f64::NAN, f64::NAN), degrees);
    pb::Point {
        x,
        y,
        z: fix.z(),
        time: fix.unix_ns().map(timestamp_of_ns),
        accuracy_m: fix.accuracy_m(),
        starts_segment: fix.starts_segment(),
    }
}

/// Reads a row whose position is valid. Returns `None` if a value is out of range.
pub(crate) fn fix(space: Space, row: &pb::Point) -> Option<Fix> {
    let mut fix = Fix::new(Point::new(space, row.x, row.y).ok()?);
    if let Some(z) = row.z {
        fix = fix.with_z(z).ok()?;
    }
    if let Some(time) = row.time {
        fix = fix.at_unix_ns(unix_ns((time.seconds, time.nanos))?).ok()?;
    }
    if let Some(accuracy_m) = row.accuracy_m {
        fix = fix.with_accuracy_m(accuracy_m).ok()?;
    }
    Some(if row.starts_segment { fix.starting_segment() } else { fix })
}

/// Returns coordinates that [`Point::new`] converts back into the same point. A point stores geographic coordinates in
/// another unit, and the conversion to degrees may be off by a rounding error: then a neighbouring number is returned.
fn degrees(point: Point) -> (f64, f64) {
    let (x, y) = (point.x(), point.y());
    let neighbours = |value: f64| {
        let (up, down) = (value.next_up(), value.next_down());
        [value, up, down, up.next_up(), down.next_down()]
    };
    let point_at = |x: f64, y: f64| Point::new(point.space(), x, y);
    let same_x = |&at: &f64| point_at(at, y).is_ok_and(|other| same(other, point).0);
    let same_y = |&at: &f64| point_at(x, at).is_ok_and(|other| same(other, point).1);
    (
        neighbours(x).into_iter().find(same_x).unwrap_or(x),
        neighbours(y).into_iter().find(same_y).unwrap_or(y),
    )
}

/// Returns whether x and whether y are equal, in the unit that points store.
fn same(a: Point, b: Point) -> (bool, bool) {
    let ((ax, ay), (bx, by)) = (a.canonical(), b.canonical());
    (ax == bx, ay == by)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads points as the contract specifies.
    fn read(points: &MessagePoints, options: &Options) -> Vec<Fix> {
        let space = options.metric().space();
        let Some(columns) = &points.columns else {
            let read = |row: &pb::Point| {
                if !row.x.is_nan() {
                    return fix(space, row).unwrap();
                }
                // The attributes of a fix without a position are read from the same row at the origin.
                let at_origin = fix(space, &pb::Point { x: 0.0, y: 0.0, ..*row }).unwrap();
                let mut fix = Fix::without_position();
                if let Some(z) = at_origin.z() {
                    fix = fix.with_z(z).unwrap();
                }
                if let Some(unix_ns) = at_origin.unix_ns() {
                    fix = fix.at_unix_ns(unix_ns).unwrap();
                }
                if let Some(accuracy_m) = at_origin.accuracy_m() {
                    fix = fix.with_accuracy_m(accuracy_m).unwrap();
                }
                if row.starts_segment { fix.starting_segment() } else { fix }
            };
            return points.rows.iter().map(read).collect();
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
                Space::Geographic => Point::from_e7(y[at] as i32, x[at] as i32),
                Space::Planar => Point::planar(x[at] as f64, y[at] as f64),
            };
            let z_per_unit = if space == Space::Planar { 1.0 } else { 1e3 };
            let mut fix = point.map_or(Fix::without_position(), Fix::new);
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

    /// Generates fixes of one space whose values are whole multiples of the default resolutions, or not.
    fn fixes(metric: Metric, is_whole: bool) -> impl Strategy<Value = Vec<Fix>> {
        type Part = ([f64; 2], (f64, i64, f64), [bool; 4], bool);
        let is_valid = prop::bool::weighted(0.9);
        let part = (any::<[f64; 2]>(), any::<(f64, i64, f64)>(), any::<[bool; 4]>(), is_valid);
        prop::collection::vec(part, 1..40).prop_map(move |parts| {
            let fix = |(xy, (z, ns, accuracy), has, is_valid): Part| {
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
                let mut fix = if is_valid { Fix::new(point) } else { Fix::without_position() };
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
            let has_position = fixes.iter().any(|fix| fix.point().is_some());
            prop_assert!(!is_whole || points.columns.is_some() || !has_position);
            // The attributes of a fix without a position may differ.
            let comparable = |fix: &Fix| match (fix.point(), fix.starts_segment()) {
                (Some(_), _) => *fix,
                (None, false) => Fix::without_position(),
                (None, true) => Fix::without_position().starting_segment(),
            };
            let compared = |fixes: &[Fix]| fixes.iter().map(comparable).collect::<Vec<_>>();
            prop_assert_eq!(compared(&read(&points, &options)), compared(&fixes));
        }
    }

    #[test]
    fn the_largest_message_is_below_the_default_limit_of_a_server() {
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
