//! The reader of JSON files: GeoJSON, Google location history, OwnTracks and Overland.
//!
//! serde_json is the streaming parser, and each point is passed on while it is parsed. The names of the members
//! decide which format a file has, not its first bytes, so that a large file without line ends is not searched
//! in advance. `items` has the objects that all formats share, and `values` the sequences of them.
//!
//! A value of a type that is not expected is ignored or a point without a position. Only text that is not JSON
//! ends the reading, or in a file with a value per line, costs this line.

mod bounded;
mod deferred;
mod geojson;
mod google;
mod groups;
mod items;
mod owntracks;
mod sample;
mod times;
mod values;
mod visit;

#[cfg(test)]
mod tests;

use std::io::{BufRead, BufReader};

use super::error::{FormatError, Position};
use super::format::Format;
use super::note::NoteKind;
use super::options::{PointsMode, ReadOptions, TrackColumn};
use super::sink::TrackKind;
use super::track_writer::{RawFix, TrackWriter};
use crate::measure::Space;
use bounded::{Bounded, InputPosition};
pub(super) use owntracks::matches_rec;
use sample::Sample;

/// The number of positions after which a file is rejected if all are projected coordinates.
const PROJECTED_MAX: u64 = 16;

/// Reads JSON from UTF-8 text.
pub(super) fn read(
    text: impl BufRead,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let position = InputPosition::default();
    let times = times::JsonTimes::new(options, position.clone())?;
    let mut walk = Walk::new(out, options, position.clone(), times);
    let mut input = Bounded::new(BufReader::new(text), position);
    let outcome = match values::read(&mut input, &mut walk) {
        Ok(()) => walk.end(),
        Err(error) => {
            if matches!(
                error,
                FormatError::Io(_) | FormatError::Malformed { .. } | FormatError::TooLarge { .. }
            ) {
                // The first error is the one to report.
                let _ = walk.cut();
            }
            Err(error)
        }
    };
    walk.times.report(outcome, walk.out)
}

/// The place of an object in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The whole file or a record of it.
    Document,
    /// An element of a list that is the whole file.
    Element,
    /// An element of `features`.
    Feature,
    /// A geometry in a Feature or a GeometryCollection.
    Geometry,
    /// An element of `locations`.
    Location,
    /// An element of `timelineObjects`, `semanticSegments` or `rawSignals`.
    Timeline,
}

/// The state of the reader.
struct Walk<'a, 'b> {
    out: &'a mut TrackWriter<'b>,
    options: &'a ReadOptions,
    position: InputPosition,
    times: times::JsonTimes,
    /// An error that is not one of the parser. It stays here while serde_json returns.
    failure: Option<FormatError>,
    /// The format, if it is known.
    format: Option<Format>,
    /// What a file in an unknown format contains.
    unknown: Option<String>,
    feature: geojson::Feature,
    deferred: deferred::Deferred,
    groups: groups::Groups,
    activities: google::phone::Activities,
    /// The number of tracks that were started.
    path_count: u64,
    polygon_count: u64,
    visit_count: u64,
    has_corrected_e7: bool,
    /// Whether the coordinates are not those of the space, so that nothing more is measured.
    is_rejected: bool,
    /// The number of positions that are degrees, and of those that are too large for degrees.
    degrees_count: u64,
    projected_count: u64,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(
        out: &'a mut TrackWriter<'b>,
        options: &'a ReadOptions,
        position: InputPosition,
        times: times::JsonTimes,
    ) -> Self {
        Self {
            out,
            options,
            position,
            times,
            failure: None,
            format: None,
            unknown: None,
            feature: geojson::Feature::default(),
            deferred: deferred::Deferred::default(),
            groups: groups::Groups::default(),
            activities: google::phone::Activities::default(),
            path_count: 0,
            polygon_count: 0,
            visit_count: 0,
            has_corrected_e7: false,
            is_rejected: false,
            degrees_count: 0,
            projected_count: 0,
        }
    }

    /// Sets the format of the file, if it is not known yet.
    fn claim(&mut self, format: Format) {
        self.format.get_or_insert(format);
    }

    /// Keeps the error and returns a placeholder for serde_json.
    fn checked<T, E: serde::de::Error>(&mut self, result: Result<T, FormatError>) -> Result<T, E> {
        result.map_err(|error| {
            self.failure = Some(error);
            E::custom("failed")
        })
    }

    fn too_large<E: serde::de::Error>(&mut self, message: String) -> Result<(), E> {
        let position = self.position.get();
        self.checked(Err(FormatError::TooLarge { position, message }))
    }

    fn file_note(&mut self, kind: NoteKind, message: impl Into<String>) -> Result<(), FormatError> {
        self.out.file_note(kind, Some(self.position.get()), message)
    }

    /// Returns the name of the property that identifies tracks, if the options have one.
    fn track_property(&self) -> Option<&'a str> {
        match &self.options.track_column {
            TrackColumn::Named(name) => Some(name),
            TrackColumn::Auto | TrackColumn::None => None,
        }
    }

    /// Passes a point to the current track.
    fn point(&mut self, raw: &RawFix) -> Result<(), FormatError> {
        if self.degrees_count == 0 && self.out.space() == Space::Geographic {
            // Placeholders for a missing position, such as 181 and 91, are smaller.
            if raw.x.abs() > 360.0 || raw.y.abs() > 360.0 {
                self.projected_count += 1;
                if self.projected_count == PROJECTED_MAX {
                    return self.check_projected(raw.position);
                }
            } else if raw.x.abs() <= 180.0 && raw.y.abs() <= 90.0 {
                self.degrees_count = 1;
            }
        }
        self.out.point(raw)
    }

    /// Returns an error if there were only projected coordinates.
    fn check_projected(&mut self, position: Position) -> Result<(), FormatError> {
        if self.degrees_count > 0 || self.projected_count == 0 {
            return Ok(());
        }
        self.is_rejected = true;
        let message = "no position is in degrees: these look like projected coordinates; use --model \
                       planar to measure in their plane, or convert the file to WGS 84";
        Err(FormatError::malformed(position, message))
    }

    /// Adds a point that is a record of its own to the track of its device.
    fn add_sample(&mut self, sample: Sample) -> Result<(), FormatError> {
        groups::add(self, &sample)
    }

    /// Starts a track that [`Walk::write_path`] ends.
    fn start_path(&mut self) -> Result<(), FormatError> {
        self.path_count += 1;
        self.out.start_track(TrackKind::Track, self.position.get())
    }

    fn write_path(
        &mut self,
        name: Option<&str>,
        device_length_m: Option<f64>,
        samples: &[Sample],
    ) -> Result<(), FormatError> {
        if let Some(name) = name {
            self.out.set_name(name);
        }
        if let Some(length_m) = device_length_m {
            self.out.set_device_length_m(length_m);
        }
        for sample in samples {
            sample.write(self)?;
        }
        self.out.end_track(self.position.get())
    }

    /// Ends the file.
    fn end(&mut self) -> Result<(), FormatError> {
        google::phone::end(self)?;
        deferred::end(self)?;
        self.check_projected(self.position.get())?;
        groups::end(self)?;
        if self.path_count > 0 {
            return Ok(());
        }
        let Some(format) = self.format else {
            return Err(FormatError::Unrecognised {
                found: self
                    .unknown
                    .take()
                    .unwrap_or_else(|| "JSON without a known member".to_owned()),
                advice: "GeoJSON, Google location history, OwnTracks and Overland are the supported JSON \
                         formats; convert it to one of them first",
            });
        };
        Err(FormatError::NoTracks { format, found: self.content(format) })
    }

    /// Returns what a file without tracks contains.
    fn content(&self, format: Format) -> String {
        let points = deferred::ignored_count(self);
        match format {
            Format::GeoJson if points > 0 && self.options.points == PointsMode::Ignore => {
                format!("it has points ({points}) but no line, and --points ignore is set")
            }
            Format::GeoJson if self.polygon_count > 0 => {
                format!("it has polygons ({}) but no line", self.polygon_count)
            }
            Format::GeoJson => "it has no line and no point".to_owned(),
            Format::GoogleTimeline if self.visit_count > 0 => {
                format!("it has visits of places ({}) but no path", self.visit_count)
            }
            _ => "it has no position".to_owned(),
        }
    }

    /// Passes on what was read of a file that cannot be read to its end. The open tracks stay open.
    fn cut(&mut self) -> Result<(), FormatError> {
        if self.is_rejected {
            return Ok(());
        }
        geojson::cut(self)?;
        google::phone::end(self)?;
        deferred::cut(self)?;
        groups::cut(self);
        Ok(())
    }
}
