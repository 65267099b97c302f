//! A static picture of tracks for documents, as SVG: a map without a background, the profiles, a title and a legend.
//!
//! [`PlotTrack`] is the line of a track, [`Plot`] is what is drawn. `page` puts the parts together: `map` draws the
//! lines in the coordinates of `projection`, and `profile` the elevations and speeds. `ticks` chooses round numbers,
//! `simplify` removes points that cannot be seen, and `svg` writes elements and escapes texts. The picture has no scripts,
//! and depends on nothing but the tracks.

mod map;
mod page;
mod profile;
mod projection;
mod simplify;
mod svg;
mod ticks;

use serde_json::Value;

use crate::cli::report::Units;

/// Maximum number of tracks that are drawn.
pub(super) const TRACKS_MAX: usize = 256;

/// A point of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct PlotPoint {
    /// Longitude and latitude in degrees, or planar coordinates.
    at: [f64; 2],
    /// The length of the track up to the point, without the detours to rejected points.
    distance: f64,
    z: Option<f64>,
    time_ms: Option<i64>,
    starts_segment: bool,
    is_rejected: bool,
}

/// The line of a track.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlotTrack {
    name: String,
    points: Vec<PlotPoint>,
}

impl PlotTrack {
    /// Reads a line of `profile.rs`.
    pub(super) fn from_line(line: &Value) -> Self {
        let column = |names: [&str; 2]| {
            let array = names.into_iter().find_map(|name| line.get(name)?.as_array());
            array.map_or(&[][..], Vec::as_slice)
        };
        let number = |column: &[Value], index: usize| column.get(index).and_then(Value::as_f64);
        let distances = column(["distance_m", "distance"]);
        let elevations = column(["elevation_m", "elevation"]);
        let times = column(["time_ms", ""]);
        let rejected = column(["rejected", ""]);
        let coordinates = column(["coordinates", ""]);
        let points = coordinates.iter().enumerate().filter_map(|(index, at)| {
            Some(PlotPoint {
                at: [at.get(0)?.as_f64()?, at.get(1)?.as_f64()?],
                distance: number(distances, index).unwrap_or_default(),
                z: number(elevations, index),
                time_ms: times.get(index).and_then(Value::as_i64),
                starts_segment: false,
                is_rejected: rejected.get(index).is_some_and(Value::is_string),
            })
        });
        let mut points: Vec<_> = points.collect();
        for start in column(["segment_starts", ""]) {
            let start = start.as_u64().and_then(|index| points.get_mut(index as usize));
            if let Some(start) = start {
                start.starts_segment = true;
            }
        }
        Self { name: String::new(), points }
    }

    #[must_use]
    pub(super) fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the points that filters accept.
    fn accepted(&self) -> impl Iterator<Item = &PlotPoint> {
        self.points.iter().filter(|point| !point.is_rejected)
    }
}

/// The content of a picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plot {
    pub(super) title: String,
    /// The totals, as text.
    pub(super) totals: String,
    pub(super) tracks: Vec<PlotTrack>,
    /// The number of tracks that are not in `tracks`.
    pub(super) left_out: u64,
    pub(super) is_planar: bool,
    pub(super) units: Units,
}

impl Plot {
    /// Draws the picture.
    pub(super) fn to_svg(&self) -> String {
        page::draw(self)
    }
}

/// Colours that people with a colour vision deficiency can distinguish (Okabe and Ito 2008), without the red of rejected
/// points. They are readable on white.
const COLOURS: [&str; 7] =
    ["#0072b2", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#444444", "#e69f00"];

/// Returns the colour of a track.
fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

#[cfg(test)]
mod tests;
