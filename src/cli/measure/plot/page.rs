//! The parts of the picture: title, totals, map, legend and profiles.

use super::map::{self, MapContent};
use super::svg::{Anchor, Area, ID, Svg, escape, number, shorten, with_id};
use super::{Plot, colour, profile};
use crate::cli::report::{escape_control, pluralize};

const WIDTH: f64 = 960.0;
const MAP_HEIGHT: f64 = 560.0;
/// The space for the labels of the latitudes and of the profiles.
const LEFT: f64 = 82.0;
const RIGHT: f64 = 24.0;
/// Maximum number of tracks in the legend.
const LEGEND_MAX: usize = 12;
const LEGEND_COLUMNS: usize = 3;
const LEGEND_ROW: f64 = 19.0;
/// Maximum numbers of characters of the texts.
const TITLE_CHARS: usize = 90;
const LEGEND_CHARS: usize = 38;

/// The rules of the style. Each applies to this picture only, also if the picture is within a document.
const RULES: [&str; 14] = [
    "text{font-family:system-ui,sans-serif;fill:#222}",
    ".title{font-size:20px;font-weight:600}",
    ".totals{font-size:14px}",
    ".label-text{font-size:13px}",
    ".small{font-size:11px;fill:#555}",
    ".map{fill:#f8f9fa}",
    ".frame{fill:none;stroke:#999}",
    ".label{fill:#fff;fill-opacity:.85}",
    ".grid{stroke:#dcdfe3;stroke-width:1}",
    ".track{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}",
    ".profile{fill:none;stroke-width:1.4;stroke-linejoin:round}",
    ".rejected{fill:none;stroke:#d00000;stroke-width:1.4}",
    ".mark{fill:#444}",
    ".bar{fill:none;stroke:#222;stroke-width:1.6}",
];

/// Draws a plot.
pub(super) fn draw(plot: &Plot) -> String {
    let width = WIDTH - LEFT - RIGHT;
    let mut svg = Svg::default();
    let title = shorten(&escape_control(&plot.title), TITLE_CHARS);
    svg.text([LEFT, 36.0], "title", Anchor::Start, &title);
    svg.text([LEFT, 60.0], "totals", Anchor::Start, &plot.totals);
    let mut bottom = 76.0;
    let mut content = MapContent::default();
    let has_points = plot.tracks.iter().any(|track| !track.points.is_empty());
    if has_points {
        let area = Area { left: LEFT, top: bottom, width, height: MAP_HEIGHT };
        let (area, shown) = map::draw(&mut svg, plot, area);
        (bottom, content) = (area.bottom() + 22.0, shown);
    }
    bottom = legend(&mut svg, plot, content, width, bottom);
    if has_points {
        bottom = profile::draw(&mut svg, plot, LEFT, width, bottom);
    }
    let (width, height) = (number(WIDTH), number(bottom + 8.0));
    let (title, description) = (escape(&title), escape(&description(plot, content)));
    let style: String = RULES.iter().map(|rule| format!("#{ID} {rule}")).collect();
    let picture = format!(
        "<svg id=\"{ID}\" xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-labelledby=\"{ID}-title {ID}-desc\">\n\
         <title id=\"{ID}-title\">{title}</title>\n<desc id=\"{ID}-desc\">{description}</desc>\n<style>{style}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{}</svg>\n",
        svg.finish()
    );
    with_id(&picture)
}

/// Describes the picture for those who do not see it.
fn description(plot: &Plot, content: MapContent) -> String {
    let drawn = pluralize(plot.tracks.len() as u64, "track");
    let mut text = format!("A map of {drawn}, with profiles. {}.", plot.totals);
    if let Some(rejected) = rejected_text(content) {
        text += &format!(" Red crosses mark {rejected}.");
    }
    if let Some(left_out) = left_out_text(plot) {
        text += &format!(" {left_out}.");
    }
    text
}

fn rejected_text(content: MapContent) -> Option<String> {
    let MapContent { rejected, outside } = content;
    let all = (rejected > 0).then(|| pluralize(rejected as u64, "rejected point"))?;
    Some(match outside {
        0 => all,
        outside => format!("{all}, {outside} of them outside of the map"),
    })
}

fn left_out_text(plot: &Plot) -> Option<String> {
    (plot.left_out > 0).then(|| format!("{} not drawn", pluralize(plot.left_out, "more track")))
}

/// Draws the legend: the tracks if there are several, and the rejected points. Returns the bottom.
fn legend(svg: &mut Svg, plot: &Plot, content: MapContent, width: f64, top: f64) -> f64 {
    let mut entries = Vec::new();
    if plot.tracks.len() > 1 {
        let names = plot.tracks.iter().take(LEGEND_MAX).enumerate();
        entries.extend(names.map(|(index, track)| (Some(colour(index)), track.name.clone())));
    }
    let more = plot.tracks.len().saturating_sub(LEGEND_MAX);
    let mut notes = Vec::new();
    if more > 0 {
        notes.push(format!("and {more} more"));
    }
    notes.extend(left_out_text(plot));
    if !notes.is_empty() {
        entries.push((None, notes.join(", ")));
    }
    let rejected = rejected_text(content);
    let column_width = width / LEGEND_COLUMNS as f64;
    let place = |index: usize| {
        let (row, column) = (index / LEGEND_COLUMNS, index % LEGEND_COLUMNS);
        [LEFT + column as f64 * column_width, top + 14.0 + row as f64 * LEGEND_ROW]
    };
    let count = entries.len() + usize::from(rejected.is_some());
    for (index, (colour, text)) in entries.iter().enumerate() {
        let [x, y] = place(index);
        if let Some(colour) = colour {
            let mark = [[x, y - 4.0], [x + 18.0, y - 4.0]];
            svg.path(&[mark.to_vec()], &format!("class=\"track\" stroke=\"{colour}\""));
        }
        let text = shorten(&escape_control(text), LEGEND_CHARS);
        svg.text([x + 25.0, y], "label-text", Anchor::Start, &text);
    }
    if let Some(rejected) = rejected {
        let [x, y] = place(entries.len());
        let cross = [
            vec![[x + 6.0, y - 7.0], [x + 12.0, y - 1.0]],
            vec![[x + 6.0, y - 1.0], [x + 12.0, y - 7.0]],
        ];
        svg.path(&cross, "class=\"rejected\"");
        svg.text([x + 25.0, y], "label-text", Anchor::Start, &rejected);
    }
    match count.div_ceil(LEGEND_COLUMNS) {
        0 => top,
        rows => top + rows as f64 * LEGEND_ROW + 8.0,
    }
}
