//! The map: graticule, lines, marks of the ends and of rejected points, north arrow and scale bar.

use super::projection::{Projection, wrapped};
use super::simplify::simplify;
use super::svg::{Anchor, Area, ID, Svg, number};
use super::ticks::{Ticks, round_down, round_up};
use super::{Plot, PlotPoint, PlotTrack, colour};

/// Maximum number of rejected points that are drawn.
const REJECTED_MAX: usize = 1000;
/// Maximum number of tracks whose ends are marked.
const MARKED_TRACKS: usize = 20;
const MARGIN: f64 = 34.0;
/// The distance of the lines of the graticule.
const GRID_PIXELS: f64 = 130.0;
const SCALE_PIXELS: f64 = 160.0;

/// What the map shows, for the legend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MapContent {
    /// The rejected points of all lines.
    pub(super) rejected: usize,
    /// Those of them that are outside of the map.
    pub(super) outside: usize,
}

/// Draws the map into a rectangle. Returns the area that it takes, and what it shows.
pub(super) fn draw(svg: &mut Svg, plot: &Plot, area: Area) -> (Area, MapContent) {
    let accepted = plot.tracks.iter().flat_map(PlotTrack::accepted);
    let mut shown: Vec<_> = accepted.map(|point| point.at).collect();
    if shown.is_empty() {
        shown = plot.tracks.iter().flat_map(|track| &track.points).map(|point| point.at).collect();
    }
    let projection = Projection::fit(&shown, plot.is_planar, area, MARGIN);
    let area = projection.area();
    svg.rectangle(area, "map");
    svg.raw(&format!(
        "<clipPath id=\"{ID}-map\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>",
        number(area.left),
        number(area.top),
        number(area.width),
        number(area.height)
    ));
    graticule(svg, &projection);
    // The lines are above them, so that they hide no track.
    if !projection.is_planar() {
        north(svg, area);
    }
    scale_bar(svg, &projection);
    svg.raw(&format!("<g clip-path=\"url(#{ID}-map)\">"));
    for (index, track) in plot.tracks.iter().enumerate() {
        line(svg, &projection, track, colour(index));
    }
    let content = rejected(svg, &projection, &plot.tracks);
    for (index, track) in plot.tracks.iter().enumerate().take(MARKED_TRACKS) {
        ends(svg, &projection, track, colour(index));
    }
    svg.raw("</g>");
    svg.rectangle(area, "frame");
    (area, content)
}

/// Draws the accepted points of a track.
fn line(svg: &mut Svg, projection: &Projection, track: &PlotTrack, colour: &str) {
    let mut lines: Vec<Vec<[f64; 2]>> = Vec::new();
    let mut last: Option<&PlotPoint> = None;
    let mut starts = true;
    for point in &track.points {
        starts |= point.starts_segment;
        if point.is_rejected {
            continue;
        }
        let is_split = last.is_some_and(|last| projection.is_split(last.at, point.at));
        if std::mem::take(&mut starts) || is_split {
            lines.push(Vec::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push(projection.position(point.at));
        }
        last = Some(point);
    }
    let is_dot = |line: &Vec<[f64; 2]>| {
        line.iter().all(|[x, y]| line.first().is_some_and(|at| at[0] == *x && at[1] == *y))
    };
    let dots: Vec<_> =
        lines.iter().filter(|line| is_dot(line)).filter_map(|line| line.first()).collect();
    for &&[x, y] in dots.iter().take(REJECTED_MAX) {
        svg.raw(&format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"2\" fill=\"{colour}\"/>",
            number(x),
            number(y)
        ));
    }
    let lines: Vec<_> =
        lines.iter().filter(|line| !is_dot(line)).map(|line| simplify(line)).collect();
    svg.path(&lines, &format!("class=\"track\" stroke=\"{colour}\""));
}

/// Marks the first point by a circle, and the last one by a dot.
fn ends(svg: &mut Svg, projection: &Projection, track: &PlotTrack, colour: &str) {
    let (first, last) = (track.accepted().next(), track.accepted().last());
    let Some((first, last)) = first.zip(last) else { return };
    for (point, fill) in [(last, colour), (first, "#fff")] {
        let [x, y] = projection.position(point.at).map(number);
        svg.raw(&format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"4\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        ));
    }
}

/// Marks the rejected points by crosses.
fn rejected(svg: &mut Svg, projection: &Projection, tracks: &[PlotTrack]) -> MapContent {
    let mut content = MapContent::default();
    let mut crosses = Vec::new();
    let points = tracks.iter().flat_map(|track| &track.points).filter(|point| point.is_rejected);
    for point in points {
        content.rejected += 1;
        let at = projection.position(point.at);
        if !projection.area().contains(at) {
            content.outside += 1;
        } else if crosses.len() < 2 * REJECTED_MAX {
            let [x, y] = at;
            crosses.push(vec![[x - 3.0, y - 3.0], [x + 3.0, y + 3.0]]);
            crosses.push(vec![[x - 3.0, y + 3.0], [x + 3.0, y - 3.0]]);
        }
    }
    svg.path(&crosses, "class=\"rejected\"");
    content
}

fn graticule(svg: &mut Svg, projection: &Projection) {
    let area = projection.area();
    let [x, y] = projection.limits();
    let step = |[low, high]: [f64; 2], pixels: f64| {
        let step = round_up((high - low) * GRID_PIXELS / pixels);
        match projection.is_planar() {
            true => step,
            // Parts of the circle instead of 50 and 20 degrees.
            false => [(10.0, 10.0), (20.0, 15.0), (50.0, 30.0), (100.0, 60.0)]
                .into_iter()
                .find(|(round, _)| step >= *round && step < *round * 1.5)
                .map_or(step.min(90.0), |(_, step)| step),
        }
    };
    let columns = Ticks::of_step(x[0], x[1], step(x, area.width));
    for &value in &columns.values {
        let at = projection.x(value);
        svg.line([at, area.top], [at, area.bottom()], "grid");
        if at > area.left + 30.0 && at < area.right() - 30.0 {
            let text = match projection.is_planar() {
                true => columns.label(value),
                false => degrees(&columns, wrapped(value), ["E", "W"]),
            };
            svg.text([at, area.bottom() + 13.0], "small", Anchor::Middle, &text);
        }
    }
    let rows = Ticks::of_step(y[0], y[1], step(y, area.height));
    for &value in &rows.values {
        let at = projection.y(value);
        svg.line([area.left, at], [area.right(), at], "grid");
        if at > area.top + 8.0 && at < area.bottom() - 8.0 {
            let text = match projection.is_planar() {
                true => rows.label(value),
                false => degrees(&rows, value, ["N", "S"]),
            };
            svg.text([area.left - 5.0, at + 3.5], "small", Anchor::End, &text);
        }
    }
}

fn degrees(ticks: &Ticks, value: f64, [positive, negative]: [&str; 2]) -> String {
    let text = ticks.label(value.abs());
    let is_end = value == 0.0 || value.abs() == 180.0;
    let side = if is_end {
        ""
    } else if value < 0.0 {
        negative
    } else {
        positive
    };
    format!("{text}°{side}")
}

fn north(svg: &mut Svg, area: Area) {
    let (x, y) = (area.right() - 20.0, area.top + 14.0);
    let arrow = [[x, y], [x + 5.0, y + 16.0], [x, y + 12.0], [x - 5.0, y + 16.0], [x, y]];
    svg.path(&[arrow.to_vec()], "class=\"mark\"");
    svg.text([x, y + 29.0], "small", Anchor::Middle, "N");
}

fn scale_bar(svg: &mut Svg, projection: &Projection) {
    let area = projection.area();
    let unit = projection.unit_per_pixel();
    let length = round_down(SCALE_PIXELS * unit);
    let pixels = length / unit;
    if !(pixels.is_finite() && pixels > 1.0) {
        return;
    }
    let text = match projection.is_planar() {
        true => format!("{length}"),
        false if length >= 1000.0 => format!("{} km", length / 1000.0),
        false if length >= 1.0 => format!("{length} m"),
        false => format!("{length:.2} m"),
    };
    let text = match projection.scale_latitude() {
        Some(latitude) => {
            format!("{text} at {:.0}°{}", latitude.abs(), if latitude < 0.0 { "S" } else { "N" })
        }
        None => text,
    };
    let (x, y) = (area.left + 14.0, area.bottom() - 14.0);
    let background =
        Area { left: x - 6.0, top: y - 22.0, width: pixels.max(90.0) + 12.0, height: 30.0 };
    svg.rectangle(background, "label");
    let bar = [[x, y - 5.0], [x, y], [x + pixels, y], [x + pixels, y - 5.0]];
    svg.path(&[bar.to_vec()], "class=\"bar\"");
    svg.text([x + 3.0, y - 8.0], "small", Anchor::Start, &text);
}
