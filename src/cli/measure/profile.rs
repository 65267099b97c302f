//! The line of a track for drawing, with its profile: positions, distances, times, elevations and speeds. A line has few
//! points, however many the track has.
//!
//! While the track is read, [`TrackLine`] keeps every point, then every second one, every fourth one, and so on. At the end
//! the points that change the shape least are removed (Visvalingam and Whyatt 1993).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde_json::{Value, json};

use crate::cli::report::reason_name;
use crate::measure::{Fix, Metric, Point, RejectedFix, RejectionReason, Space};

/// Maximum number of points that are kept while a track is read.
const KEPT_MAX: usize = 16 * 1024;
/// Maximum number of points of a line.
const LINE_POINTS: usize = 1000;

/// A point of a line.
#[derive(Clone, Copy, Debug)]
struct Vertex {
    point: Point,
    z: Option<f64>,
    unix_ns: Option<i64>,
    /// The length of the track up to this point, gaps between segments not included.
    distance: f64,
    starts_segment: bool,
    /// The index of the fix in the track.
    offset: u64,
    /// The reason why a filter rejects the fix.
    rejected: Option<RejectionReason>,
}

/// The line of a track while it is read.
#[derive(Debug)]
pub(super) struct TrackLine {
    metric: Metric,
    kept: Vec<Vertex>,
    /// Every point with an index that is divisible by this is kept, and the last one.
    stride: u64,
    count: u64,
    /// The index of the next fix, also counting those without a position.
    next_offset: u64,
    last: Option<Vertex>,
    starts_segment: bool,
}

impl TrackLine {
    pub(super) fn new(metric: Metric) -> Self {
        let (stride, count, next_offset) = (1, 0, 0);
        let kept = Vec::new();
        Self { metric, kept, stride, count, next_offset, last: None, starts_segment: true }
    }

    pub(super) fn start_segment(&mut self) {
        self.starts_segment = true;
    }

    /// Returns the number of points that are kept.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Adds a fix. One without a position is only counted.
    pub(super) fn add(&mut self, fix: Fix) {
        let offset = self.next_offset;
        self.next_offset += 1;
        let Some(point) = fix.point() else { return };
        let starts_segment = self.starts_segment || fix.starts_segment();
        let leg = match &self.last {
            Some(last) if !starts_segment => {
                self.metric.distance(last.point, point).unwrap_or_default()
            }
            _ => 0.0,
        };
        let distance = self.last.map_or(0.0, |last| last.distance) + leg;
        let (z, unix_ns) = (fix.z(), fix.unix_ns());
        let vertex = Vertex { point, z, unix_ns, distance, starts_segment, offset, rejected: None };
        self.last = Some(vertex);
        let is_kept = self.count.is_multiple_of(self.stride);
        // A start that is not kept moves to the next point that is.
        self.starts_segment = starts_segment && !is_kept;
        self.count += 1;
        if is_kept {
            self.kept.push(vertex);
            if self.kept.len() >= KEPT_MAX {
                self.halve();
            }
        }
    }

    /// Marks a fix that a filter rejects, if the line contains the fix.
    pub(super) fn mark_rejected(&mut self, fix: RejectedFix) {
        if let Ok(index) = self.kept.binary_search_by_key(&fix.offset, |vertex| vertex.offset)
            && let Some(vertex) = self.kept.get_mut(index)
        {
            vertex.rejected = Some(fix.reason);
        }
        if let Some(last) = self.last.as_mut().filter(|last| last.offset == fix.offset) {
            last.rejected = Some(fix.reason);
        }
    }

    fn halve(&mut self) {
        self.stride *= 2;
        let (mut index, mut starts) = (0, false);
        self.kept.retain_mut(|vertex| {
            starts |= vertex.starts_segment;
            let is_kept = index % 2 == 0;
            index += 1;
            if is_kept {
                vertex.starts_segment = std::mem::take(&mut starts);
            }
            is_kept
        });
        self.starts_segment |= starts;
    }

    /// Returns the line as JSON: an object with an array for each value.
    pub(super) fn finish(mut self, track_index: u64) -> Value {
        if let Some(last) = self.last
            && !(self.count - 1).is_multiple_of(self.stride)
        {
            self.kept.push(last);
        }
        let line = simplify(self.kept, LINE_POINTS);
        let is_planar = self.metric.space() == Space::Planar;
        let rounded = |value: f64, digits: f64| (value * digits).round() / digits;
        let speeds = std::iter::once(Value::Null).chain(line.windows(2).map(|pair| {
            let [from, to] = pair else { return Value::Null };
            let times = from.unix_ns.zip(to.unix_ns).filter(|(from, to)| from < to);
            match times.filter(|_| !to.starts_segment) {
                Some((start, end)) => {
                    let seconds = end.saturating_sub(start) as f64 / 1e9;
                    rounded((to.distance - from.distance) / seconds, 1e3).into()
                }
                None => Value::Null,
            }
        }));
        let names = match is_planar {
            true => ["distance", "elevation", "speed"],
            false => ["distance_m", "elevation_m", "speed_mps"],
        };
        let coordinates: Vec<[f64; 2]> = line
            .iter()
            .map(|vertex| match is_planar {
                true => [vertex.point.x(), vertex.point.y()],
                false => [rounded(vertex.point.x(), 1e7), rounded(vertex.point.y(), 1e7)],
            })
            .collect();
        let starts = line.iter().enumerate().filter(|(_, vertex)| vertex.starts_segment);
        json!({
            "track_index": track_index,
            "point_count": self.count,
            "coordinates": coordinates,
            "segment_starts": starts.map(|(index, _)| index).collect::<Vec<_>>(),
            names[0]: line.iter().map(|vertex| rounded(vertex.distance, 1e3)).collect::<Vec<_>>(),
            "time_ms": line
                .iter()
                .map(|vertex| vertex.unix_ns.map(|ns| ns.div_euclid(1_000_000)))
                .collect::<Vec<_>>(),
            names[1]: line
                .iter()
                .map(|vertex| vertex.z.map(|z| rounded(z, 1e3)))
                .collect::<Vec<_>>(),
            names[2]: speeds.take(line.len()).collect::<Vec<_>>(),
            "rejected": line.iter().map(|vertex| vertex.rejected.map(reason_name)).collect::<Vec<_>>(),
        })
    }
}

/// Removes the points whose triangles with their neighbours are smallest, until at most `max` are left. The ends stay. The
/// ends of segments go last.
fn simplify(line: Vec<Vertex>, max: usize) -> Vec<Vertex> {
    if line.len() <= max {
        return line;
    }
    let count = line.len();
    let mut before: Vec<usize> = (0..count).map(|index| index.saturating_sub(1)).collect();
    let mut after: Vec<usize> = (1..=count).collect();
    let mut removed = vec![false; count];
    let mut version = vec![0_u32; count];
    let area = |from: usize, at: usize, to: usize| {
        // East and north are equal near the middle of the triangle.
        let scale = line[at].point.y().to_radians().cos();
        let scale = if line[at].point.space() == Space::Planar { 1.0 } else { scale };
        let [ax, bx] = [from, to].map(|other| (line[other].point.x() - line[at].point.x()) * scale);
        let [ay, by] = [from, to].map(|other| line[other].point.y() - line[at].point.y());
        let is_end = line[at].starts_segment || line[to].starts_segment;
        // Areas are not negative, so their bits have the same order.
        (is_end, (ax * by - ay * bx).abs().to_bits())
    };
    let mut heap: BinaryHeap<_> = (1..count - 1)
        .map(|index| Reverse((area(index - 1, index, index + 1), index, 0)))
        .collect();
    let mut left = count;
    while left > max
        && let Some(Reverse((size, index, of_version))) = heap.pop()
    {
        if removed[index] || of_version != version[index] {
            continue;
        }
        removed[index] = true;
        left -= 1;
        let (previous, next) = (before[index], after[index]);
        (after[previous], before[next]) = (next, previous);
        for neighbour in [previous, next] {
            if neighbour > 0 && neighbour < count - 1 {
                version[neighbour] += 1;
                let own = area(before[neighbour], neighbour, after[neighbour]);
                // A point does not go before one whose removal has made its triangle smaller.
                heap.push(Reverse((own.max(size), neighbour, version[neighbour])));
            }
        }
    }
    let mut starts = false;
    let mut kept = Vec::with_capacity(left);
    for (mut vertex, removed) in line.into_iter().zip(removed) {
        starts |= vertex.starts_segment;
        if !removed {
            vertex.starts_segment = std::mem::take(&mut starts);
            kept.push(vertex);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fix(x: f64, y: f64) -> Fix {
        Fix::new(Point::planar(x, y).unwrap())
    }

    fn line(fixes: impl IntoIterator<Item = Fix>) -> Value {
        let mut line = TrackLine::new(Metric::Planar);
        fixes.into_iter().for_each(|fix| line.add(fix));
        line.finish(0)
    }

    #[test]
    fn a_short_track_keeps_all_its_points() {
        let fixes = [
            fix(0.0, 0.0).at_unix_ns(0).unwrap(),
            fix(3.0, 4.0).at_unix_ns(2_000_000_000).unwrap().with_z(7.5).unwrap(),
            Fix::without_position(),
            fix(9.0, 4.0).starting_segment(),
            fix(9.0, 5.0),
        ];
        let line = line(fixes);
        assert_eq!(line["coordinates"], json!([[0.0, 0.0], [3.0, 4.0], [9.0, 4.0], [9.0, 5.0]]));
        assert_eq!(line["distance"], json!([0.0, 5.0, 5.0, 6.0]));
        assert_eq!(line["segment_starts"], json!([0, 2]));
        assert_eq!(line["time_ms"], json!([0, 2000, null, null]));
        assert_eq!(line["elevation"], json!([null, 7.5, null, null]));
        assert_eq!(line["speed"], json!([null, 2.5, null, null]));
    }

    #[test]
    fn a_long_track_has_few_points_and_keeps_its_corners_ends_and_length() {
        // 100 000 points on three sides of a square, with a step of 1.
        let side = 33_333;
        let points = (0..=3 * side).map(|index| {
            let (side_index, at) = (index / side, f64::from(index % side));
            let side = f64::from(side);
            match side_index {
                0 => fix(at, 0.0),
                1 => fix(side, at),
                2 => fix(side - at, side),
                _ => fix(0.0, side),
            }
        });
        let line = line(points);
        let coordinates = line["coordinates"].as_array().unwrap();
        assert_eq!(coordinates.len(), LINE_POINTS);
        assert_eq!(coordinates[0], json!([0.0, 0.0]));
        assert_eq!(coordinates[LINE_POINTS - 1], json!([0.0, f64::from(side)]));
        let distances = line["distance"].as_array().unwrap();
        assert_eq!(distances[LINE_POINTS - 1], json!(f64::from(3 * side)));
        // Every 16th point is kept while the track is read, so that a corner moves by less than 16.
        let near = |x: f64, y: f64| {
            coordinates.iter().any(|point| {
                let [px, py] = [0, 1].map(|axis| point[axis].as_f64().unwrap());
                (px - x).hypot(py - y) < 16.0
            })
        };
        assert!(near(f64::from(side), 0.0) && near(f64::from(side), f64::from(side)));
    }

    #[test]
    fn rejected_fixes_are_marked_where_the_line_has_them() {
        let mut line = TrackLine::new(Metric::Planar);
        line.add(fix(0.0, 0.0));
        line.add(Fix::without_position());
        (1..40_000).for_each(|index| line.add(fix(f64::from(index), f64::from(index % 3))));
        // The reader counts the fix without a position, so that the point at x has the offset x + 1.
        for offset in [0, 20_001, 20_002, 40_000] {
            line.mark_rejected(RejectedFix { offset, reason: RejectionReason::Speed });
        }
        let stride = line.stride as f64;
        let line = line.finish(0);
        let (coordinates, rejected) = (&line["coordinates"], &line["rejected"]);
        let marked: Vec<f64> = (0..LINE_POINTS)
            .filter(|&index| rejected[index] == json!("speed"))
            .map(|index| coordinates[index][0].as_f64().unwrap())
            .collect();
        assert!(marked.contains(&0.0) && marked.contains(&39_999.0), "{marked:?}");
        let kept = |x: f64| x == 39_999.0 || x % stride == 0.0;
        assert!(
            marked.iter().all(|&x| [0.0, 20_000.0, 20_001.0, 39_999.0].contains(&x) && kept(x))
        );
        assert_eq!(rejected.as_array().unwrap().len(), LINE_POINTS);
    }

    #[test]
    fn no_segment_start_is_lost_by_halving() {
        let mut line = TrackLine::new(Metric::Planar);
        for index in 0..40_000 {
            let fix = fix(f64::from(index), f64::from(index % 7));
            line.add(if index % 10_001 == 10_000 { fix.starting_segment() } else { fix });
        }
        assert!(line.len() < KEPT_MAX);
        let line = line.finish(3);
        assert_eq!(line["segment_starts"].as_array().unwrap().len(), 4);
        assert_eq!((&line["track_index"], &line["point_count"]), (&json!(3), &json!(40_000)));
    }
}
