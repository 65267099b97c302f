//! The line of a track for drawing, with its profile: positions, distances, times, elevations and speeds. A line has few
//! points, however many the track has.
//!
//! While the track is read, [`TrackLine`] keeps every point, then one of two, one of four, and so on: the one that changes
//! the shape most. At the end the points that change the shape least are removed (Visvalingam and Whyatt 1993). Rejected
//! points stay, up to a limit.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use serde_json::{Value, json};

use crate::cli::report::reason_name;
use crate::measure::{Fix, Metric, Point, RejectedFix, RejectionReason, Space};

/// Maximum number of points that are kept while a track is read.
const KEPT_MAX: usize = 16 * 1024;
/// Maximum number of points of a line.
const LINE_POINTS: usize = 1000;
/// Maximum number of rejected points that are kept before others.
const REJECTED_MAX: usize = 500;
/// The number of the last points that wait for the decision of a filter.
const RECENT_MAX: usize = 4096;

/// A point of a line.
#[derive(Clone, Copy, Debug)]
struct Vertex {
    point: Point,
    z: Option<f64>,
    unix_ns: Option<i64>,
    /// The length along the accepted points up to this one, gaps between segments not included.
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
    /// The points after those of `kept` and `candidate`, which a filter can still reject.
    recent: VecDeque<Vertex>,
    /// The point of the current group that is kept if none of the next ones changes the shape more, with its weight.
    candidate: Option<(Vertex, f64)>,
    /// The number of points of the current group.
    group_len: u64,
    /// One point of a group of so many is kept, and the rejected ones, the first and the last one.
    stride: u64,
    /// The number of rejected points of `kept`.
    rejected_count: usize,
    count: u64,
    /// The index of the next fix, also counting those without a position.
    next_offset: u64,
    /// Whether the next point starts a segment.
    starts_segment: bool,
    /// The last point that left `recent`.
    last: Option<Vertex>,
    /// A start of a segment that was not kept moves to the next point that is.
    moved_start: bool,
    last_accepted: Option<Vertex>,
    /// Whether a segment started after `last_accepted`.
    has_gap: bool,
}

impl TrackLine {
    /// The number of bytes of a point.
    pub(super) const POINT_BYTES: usize = size_of::<Vertex>();

    pub(super) fn new(metric: Metric) -> Self {
        Self {
            metric,
            kept: Vec::new(),
            recent: VecDeque::new(),
            candidate: None,
            group_len: 0,
            stride: 1,
            rejected_count: 0,
            count: 0,
            next_offset: 0,
            starts_segment: true,
            last: None,
            moved_start: false,
            last_accepted: None,
            has_gap: false,
        }
    }

    pub(super) fn start_segment(&mut self) {
        self.starts_segment = true;
    }

    /// Returns the number of points that are kept.
    pub(super) fn len(&self) -> usize {
        self.kept.len() + self.recent.len()
    }

    /// Adds a fix. One without a position is only counted.
    pub(super) fn add(&mut self, fix: Fix) {
        let offset = self.next_offset;
        self.next_offset += 1;
        let Some(point) = fix.point() else { return };
        let starts_segment = std::mem::take(&mut self.starts_segment) || fix.starts_segment();
        let (z, unix_ns) = (fix.z(), fix.unix_ns());
        let (distance, rejected) = (0.0, None);
        self.count += 1;
        self.recent.push_back(Vertex {
            point,
            z,
            unix_ns,
            distance,
            starts_segment,
            offset,
            rejected,
        });
        if self.recent.len() > RECENT_MAX {
            self.settle();
        }
    }

    /// Marks a fix that a filter rejects, if the line contains the fix.
    pub(super) fn mark_rejected(&mut self, fix: RejectedFix) {
        if let Ok(index) = self.recent.binary_search_by_key(&fix.offset, |vertex| vertex.offset)
            && let Some(vertex) = self.recent.get_mut(index)
        {
            vertex.rejected = Some(fix.reason);
        } else if let Ok(index) =
            self.kept.binary_search_by_key(&fix.offset, |vertex| vertex.offset)
            && let Some(vertex) = self.kept.get_mut(index)
        {
            self.rejected_count += usize::from(vertex.rejected.is_none());
            vertex.rejected = Some(fix.reason);
        }
    }

    /// Takes the first of the recent points: measures the distance up to it, and decides whether it is kept.
    fn settle(&mut self) {
        let Some(mut vertex) = self.recent.pop_front() else { return };
        self.has_gap |= vertex.starts_segment;
        vertex.distance = self.last_accepted.map_or(0.0, |last| last.distance);
        if vertex.rejected.is_none() {
            if let Some(last) = self.last_accepted.filter(|_| !self.has_gap) {
                vertex.distance +=
                    self.metric.distance(last.point, vertex.point).unwrap_or_default();
            }
            self.has_gap = false;
            self.last_accepted = Some(vertex);
        }
        let before = self.last.replace(vertex);
        let Some(before) = before else {
            self.keep(vertex);
            return;
        };
        // The last point is kept in any case.
        let after = self.recent.front();
        let weight = after.map_or(0.0, |after| weight(before.point, vertex.point, after.point));
        if vertex.rejected.is_some() && self.rejected_count < REJECTED_MAX {
            self.end_group();
            vertex.starts_segment |= std::mem::take(&mut self.moved_start);
            self.keep(vertex);
            return;
        }
        self.group_len += 1;
        match self.candidate {
            Some((_, most)) if most >= weight => self.moved_start |= vertex.starts_segment,
            other => {
                vertex.starts_segment |= std::mem::take(&mut self.moved_start)
                    || other.is_some_and(|(other, _)| other.starts_segment);
                self.candidate = Some((vertex, weight));
            }
        }
        if self.group_len >= self.stride {
            self.end_group();
        }
    }

    fn end_group(&mut self) {
        self.group_len = 0;
        if let Some((vertex, _)) = self.candidate.take() {
            self.keep(vertex);
        }
    }

    fn keep(&mut self, vertex: Vertex) {
        self.rejected_count += usize::from(vertex.rejected.is_some());
        self.kept.push(vertex);
        if self.kept.len() >= KEPT_MAX {
            self.halve();
        }
    }

    /// Removes one of two points: the one that changes the shape less.
    fn halve(&mut self) {
        self.stride *= 2;
        let line = std::mem::take(&mut self.kept);
        let is_protected = protected(&line);
        let next = self.recent.front();
        let weight = |index: usize| match line.get(index + 1).or(next) {
            Some(after) => weight(line[index - 1].point, line[index].point, after.point),
            None => 0.0,
        };
        let mut is_kept = is_protected.clone();
        is_kept[0] = true;
        let others: Vec<usize> = (1..line.len()).filter(|&index| !is_protected[index]).collect();
        for pair in others.chunks(2) {
            let index = match *pair {
                [first, second] if weight(second) > weight(first) => second,
                _ => pair[0],
            };
            is_kept[index] = true;
        }
        let mut starts = false;
        for (mut vertex, is_kept) in line.into_iter().zip(is_kept) {
            starts |= vertex.starts_segment;
            if is_kept {
                vertex.starts_segment = std::mem::take(&mut starts);
                self.kept.push(vertex);
            }
        }
        self.moved_start |= starts;
        self.rejected_count = self.kept.iter().filter(|vertex| vertex.rejected.is_some()).count();
    }

    /// Returns the line as JSON: an object with an array for each value.
    pub(super) fn finish(mut self, track_index: u64) -> Value {
        while !self.recent.is_empty() {
            self.settle();
        }
        self.end_group();
        if let Some(mut last) = self.last
            && self.kept.last().is_none_or(|kept| kept.offset < last.offset)
        {
            last.starts_segment = self.moved_start;
            self.kept.push(last);
        }
        let line = simplify(self.kept, LINE_POINTS);
        let is_planar = self.metric.space() == Space::Planar;
        let rounded = |value: f64, digits: f64| (value * digits).round() / digits;
        let (mut from, mut starts): (Option<Vertex>, bool) = (None, false);
        let speeds: Vec<Value> = line
            .iter()
            .map(|to| {
                starts |= to.starts_segment;
                if to.rejected.is_some() {
                    return Value::Null;
                }
                let from = from.replace(*to);
                let Some(from) = from.filter(|_| !std::mem::take(&mut starts)) else {
                    starts = false;
                    return Value::Null;
                };
                let times = from.unix_ns.zip(to.unix_ns).filter(|(from, to)| from < to);
                times.map_or(Value::Null, |(start, end)| {
                    let seconds = end.saturating_sub(start) as f64 / 1e9;
                    rounded((to.distance - from.distance) / seconds, 1e3).into()
                })
            })
            .collect();
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
            names[2]: speeds,
            "rejected": line.iter().map(|vertex| vertex.rejected.map(reason_name)).collect::<Vec<_>>(),
        })
    }
}

/// Returns how much a point changes the shape: the area of the triangle with its neighbours, and the detour to the point, so
/// that a point far away in the direction of the line also counts.
fn weight(from: Point, at: Point, to: Point) -> f64 {
    // East and north are equal near the middle of the triangle.
    let is_planar = at.space() == Space::Planar;
    let scale = if is_planar { 1.0 } else { at.y().to_radians().cos() };
    let [ax, bx] = [from, to].map(|other| (other.x() - at.x()) * scale);
    let [ay, by] = [from, to].map(|other| other.y() - at.y());
    let (a, b) = (libm::hypot(ax, ay), libm::hypot(bx, by));
    let detour = (a + b - libm::hypot(bx - ax, by - ay)).max(0.0);
    (ax * by - ay * bx).abs() + detour * a.max(b)
}

/// Returns which points stay because a filter rejects them: all, or every n-th
/// one if they are too many. n is the smallest number that leaves at most [`REJECTED_MAX`].
fn protected(line: &[Vertex]) -> Vec<bool> {
    let count = line.iter().filter(|vertex| vertex.rejected.is_some()).count();
    let step = count.div_ceil(REJECTED_MAX).max(1);
    let mut index = 0;
    let mut is_protected = |vertex: &Vertex| {
        index += usize::from(vertex.rejected.is_some());
        vertex.rejected.is_some() && (index - 1).is_multiple_of(step)
    };
    line.iter().map(&mut is_protected).collect()
}

/// Removes the points whose triangles with their neighbours are smallest, until at most `max` are left. The ends stay. The
/// ends of segments and the rejected points go last.
fn simplify(line: Vec<Vertex>, max: usize) -> Vec<Vertex> {
    if line.len() <= max {
        return line;
    }
    let count = line.len();
    let mut before: Vec<usize> = (0..count).map(|index| index.saturating_sub(1)).collect();
    let mut after: Vec<usize> = (1..=count).collect();
    let mut removed = vec![false; count];
    let mut version = vec![0_u32; count];
    let is_protected = protected(&line);
    let area = |from: usize, at: usize, to: usize| {
        let is_end = line[at].starts_segment || line[to].starts_segment;
        // Weights are not negative, so their bits have the same order.
        let weight = weight(line[from].point, line[at].point, line[to].point).to_bits();
        (is_protected[at], is_end, weight)
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
mod tests;
