//! The profiles: elevation and speed along the track.

use super::simplify::simplify;
use super::svg::{Anchor, Area, Svg};
use super::ticks::Ticks;
use super::{Plot, PlotPoint, colour};
use crate::measure::Space;

/// The height of a profile.
const HEIGHT: f64 = 110.0;
/// The space above a profile for its name, and below it for the distances.
const ABOVE: f64 = 24.0;
const BELOW: f64 = 34.0;

/// The speed at a point is that of at least this part of the track, because the speed between two points is mostly noise.
const SPEED_PARTS: i64 = 120;
/// The least time of a speed.
const SPEED_MS_MIN: i64 = 10_000;

/// A quantity along the tracks.
#[derive(Clone, Copy)]
struct Quantity {
    name: &'static str,
    unit: &'static str,
    /// A factor from the value to the unit.
    factor: f64,
    /// Whether the scale starts at 0 and leaves out rare large values.
    is_speed: bool,
}

/// Draws the profiles that the tracks have below `top`. Returns the bottom.
pub(super) fn draw(svg: &mut Svg, plot: &Plot, left: f64, width: f64, top: f64) -> f64 {
    let space = if plot.is_planar { Space::Planar } else { Space::Geographic };
    let (unit, factor) = plot.units.elevation_unit(space);
    let elevation = Quantity { name: "Elevation", unit, factor, is_speed: false };
    let (unit, factor) = plot.units.speed_unit(space);
    let speed = Quantity { name: "Speed", unit, factor, is_speed: true };
    let mut top = top;
    for quantity in [elevation, speed] {
        let lines: Vec<Lines> =
            plot.tracks.iter().map(|track| lines(&track.points, &quantity)).collect();
        if lines.iter().flatten().any(|line| line.len() > 1) {
            let area = Area { left, top: top + ABOVE, width, height: HEIGHT };
            profile(svg, plot, area, &quantity, &lines);
            top = area.bottom() + BELOW;
        }
    }
    top
}

/// Lines of distances and values.
type Lines = Vec<Vec<[f64; 2]>>;

/// Returns the values of a track, in runs of points that have one.
fn lines(points: &[PlotPoint], quantity: &Quantity) -> Lines {
    let values = match quantity.is_speed {
        true => speeds(points),
        false => points.iter().map(|point| point.z).collect(),
    };
    let mut lines: Lines = vec![Vec::new()];
    for (point, value) in points.iter().zip(values) {
        let ends = point.starts_segment || (value.is_none() && !point.is_rejected);
        if ends && lines.last().is_some_and(|line| !line.is_empty()) {
            lines.push(Vec::new());
        }
        let value = value.filter(|_| !point.is_rejected);
        if let (Some(value), Some(line)) = (value, lines.last_mut()) {
            line.push([point.distance, value * quantity.factor]);
        }
    }
    lines
}

/// Returns the speed at each point: from an earlier point of its segment, without a rejected point in between.
fn speeds(points: &[PlotPoint]) -> Vec<Option<f64>> {
    let times = || points.iter().filter_map(|point| point.time_ms);
    let duration =
        times().max().zip(times().min()).map_or(0, |(end, start)| end.saturating_sub(start));
    let least_ms = (duration / SPEED_PARTS).max(SPEED_MS_MIN);
    // The first point of the run without a start of a segment and without a rejected point, and the point of the run
    // from which the speed is measured.
    let (mut run, mut from) = (0, 0);
    let mut speeds = Vec::with_capacity(points.len());
    for (index, point) in points.iter().enumerate() {
        if point.starts_segment || point.is_rejected || point.time_ms.is_none() {
            run = if point.is_rejected || point.time_ms.is_none() { index + 1 } else { index };
            from = run;
        }
        let since = |other: usize| {
            let (start, end) = points.get(other)?.time_ms.zip(point.time_ms)?;
            Some(end.saturating_sub(start))
        };
        while from + 1 < index && since(from + 1).is_some_and(|ms| ms >= least_ms) {
            from += 1;
        }
        // At the beginning of a run the time is shorter.
        let ms = since(from).filter(|&ms| from < index && from >= run && ms > 0);
        speeds.push(ms.map(|ms| (point.distance - points[from].distance) * 1e3 / ms as f64));
    }
    // The first point of a run has the speed of the second one.
    for index in (1..points.len()).rev() {
        let is_first = speeds[index - 1].is_none() && !points[index - 1].is_rejected;
        if is_first && points[index - 1].time_ms.is_some() && !points[index].starts_segment {
            speeds[index - 1] = speeds[index];
        }
    }
    speeds
}

fn profile(svg: &mut Svg, plot: &Plot, area: Area, quantity: &Quantity, tracks: &[Lines]) {
    let points = || tracks.iter().flatten().flatten();
    let space = if plot.is_planar { Space::Planar } else { Space::Geographic };
    let longest = plot.tracks.iter().filter_map(|track| track.points.last());
    let longest = longest.map(|point| point.distance).fold(0.0, f64::max);
    let (unit, per_unit) = plot.units.distance_unit(space, longest);
    let longest = (longest / per_unit).max(f64::MIN_POSITIVE);
    let [low, high] = range(points().map(|point| point[1]), quantity.is_speed);
    let x = |distance: f64| area.left + distance / per_unit / longest * area.width;
    let y = |value: f64| {
        let part = (value - low) / (high - low);
        area.bottom() - part.clamp(0.0, 1.0) * area.height
    };
    svg.rectangle(area, "map");
    let title = match quantity.unit {
        "" => quantity.name.to_owned(),
        unit => format!("{} in {unit}", quantity.name),
    };
    svg.text([area.left, area.top - 7.0], "label-text", Anchor::Start, &title);
    let rows = Ticks::about(low, high, 4.0);
    for &value in &rows.values {
        svg.line([area.left, y(value)], [area.right(), y(value)], "grid");
        svg.text([area.left - 5.0, y(value) + 3.5], "small", Anchor::End, &rows.label(value));
    }
    let columns = Ticks::about(0.0, longest, 8.0);
    for &value in &columns.values {
        let at = area.left + value / longest * area.width;
        svg.line([at, area.top], [at, area.bottom()], "grid");
        svg.text([at, area.bottom() + 13.0], "small", Anchor::Middle, &columns.label(value));
    }
    for (index, lines) in tracks.iter().enumerate() {
        let lines: Vec<_> = lines
            .iter()
            .filter(|line| line.len() > 1)
            .map(|line| simplify(&line.iter().map(|at| [x(at[0]), y(at[1])]).collect::<Vec<_>>()))
            .collect();
        svg.path(&lines, &format!("class=\"profile\" stroke=\"{}\"", colour(index)));
    }
    svg.rectangle(area, "frame");
    let what = "Distance";
    let text = if unit.is_empty() { what.to_owned() } else { format!("{what} in {unit}") };
    svg.text([area.right(), area.bottom() + 27.0], "small", Anchor::End, &text);
}

/// Returns the range of a scale.
fn range(values: impl Iterator<Item = f64>, is_speed: bool) -> [f64; 2] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (Some(&least), Some(&greatest)) = (values.first(), values.last()) else {
        return [0.0, 1.0];
    };
    if is_speed {
        // A few wrong speeds would make the others a flat line.
        let most = values[(values.len() - 1) * 98 / 100];
        let high = if greatest > 2.0 * most && most > 0.0 { 1.2 * most } else { greatest };
        return [0.0, if high > 0.0 { 1.05 * high } else { 1.0 }];
    }
    let margin = ((greatest - least) * 0.08).max(1.0);
    [least - margin, greatest + margin]
}
