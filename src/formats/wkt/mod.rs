//! The reader of well-known text (WKT), also in the extended form of PostGIS.
//!
//! Each geometry with lines is a track, and each line in it is a segment. If the text has no lines, its points
//! are one track. Z is the elevation, and M is ignored with a note. A geometry with an SRID of another system than
//! WGS 84 is not read, which is an error after the other geometries.
//!
//! `scanner` splits the text, `geometry` parses it, and `points` has the separate points. All of them read a stream,
//! so a line of any length is read in constant memory.

mod geometry;
mod points;
mod reference;
mod scanner;

use std::io::BufRead;

use super::error::{FormatError, Position};
use super::format::Format;
use super::note::NoteKind;
use super::options::ReadOptions;
use super::projection::Projection;
use super::sink::TrackKind;
use super::track_writer::{Attribute, RawFix, TrackWriter};
pub(super) use geometry::{Each, Event};
use geometry::{Outcome, Parser};
use points::SeparatePoints;
pub(super) use reference::{Reference, reference};

pub(super) const IGNORED_MEASURES: &str = "the m values of a geometry are ignored";

/// Returns whether a text that starts with `head` is in this format.
pub(super) fn matches(head: &[u8]) -> bool {
    geometry::starts_geometry(head)
}

/// Parses the geometries in the field of a table. The positions of the events are those in the field.
///
/// # Errors
/// Returns the message of the first violation of the grammar as [`FormatError::Malformed`], after the events
/// before it, and the errors of `each`.
pub(super) fn parse(field: &[u8], each: &mut Each<'_>) -> Result<(), FormatError> {
    let mut parser = Parser::new(field);
    loop {
        match parser.next(each)? {
            Outcome::Complete => {}
            Outcome::End => return Ok(()),
            Outcome::Cut(position) => return Err(FormatError::malformed(position, CUT)),
            Outcome::Damaged(position, reason) => {
                return Err(FormatError::malformed(position, reason));
            }
        }
    }
}

const CUT: &str = "the text ends within a geometry";

/// Reads the tracks of a file from UTF-8 text.
pub(super) fn read(
    text: impl BufRead,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let mut parser = Parser::new(text);
    let points = SeparatePoints::new(options);
    let mut file = File {
        points,
        line: None,
        has_points: false,
        projection: Projection::default(),
        damage: None,
        skips: false,
        other: None,
        out,
    };
    let outcome = loop {
        let outcome = parser.next(&mut |position, event| file.add(position, event))?;
        if let Outcome::Cut(position) = outcome {
            break Err(FormatError::malformed(position, CUT));
        }
        file.end_geometry(parser_position(&outcome))?;
        match outcome {
            Outcome::End => break Ok(()),
            Outcome::Damaged(position, reason) => {
                let message = format!("not well-known text, because {reason}");
                file.damage.get_or_insert_with(|| format!("{position}: {message}"));
                file.out.file_note(NoteKind::SkippedLines, Some(position), message)?;
            }
            _ => {}
        }
    };
    let is_cut = outcome.is_err();
    let projection = file.projection.end();
    file.finish(is_cut)?;
    outcome?;
    match file.other {
        Some(other) => Err(other.into_error()),
        None => projection,
    }
}

fn parser_position(outcome: &Outcome) -> Position {
    match outcome {
        Outcome::Cut(position) | Outcome::Damaged(position, _) => *position,
        _ => Position::line(1),
    }
}

/// The geometries in other reference systems.
struct Other {
    position: Position,
    message: String,
    count: u64,
}

impl Other {
    fn into_error(self) -> FormatError {
        let message = match self.count {
            1 => self.message,
            count => format!("{}; {count} such geometries are not read", self.message),
        };
        FormatError::malformed(self.position, message)
    }
}

/// The content of a file so far.
struct File<'f, 'w> {
    points: SeparatePoints,
    /// The track of the current geometry.
    line: Option<usize>,
    /// Whether the next point is a separate one.
    has_points: bool,
    projection: Projection,
    /// The first violation of the grammar.
    damage: Option<String>,
    /// Whether the geometry is in another reference system and is not read.
    skips: bool,
    other: Option<Other>,
    out: &'f mut TrackWriter<'w>,
}

impl File<'_, '_> {
    fn add(&mut self, position: Position, event: Event) -> Result<(), FormatError> {
        match event {
            Event::Srid(srid) => {
                self.skips = false;
                match reference(srid, self.out.space()) {
                    Reference::Known => Ok(()),
                    Reference::Assumed(message) => {
                        let kind = NoteKind::AssumedReferenceSystem;
                        self.out.file_note(kind, Some(position), message)
                    }
                    Reference::Other(message) => {
                        self.skips = true;
                        let other = self.other.get_or_insert(Other { position, message, count: 0 });
                        other.count += 1;
                        Ok(())
                    }
                }
            }
            _ if self.skips => Ok(()),
            Event::StartLine => {
                self.has_points = false;
                self.points.found_line(self.out)?;
                if let Some(track) = self.line {
                    self.out.switch_track(track);
                    self.out.start_segment();
                } else {
                    self.line = Some(self.out.track_count());
                    self.out.start_track(TrackKind::Track, position)?;
                }
                Ok(())
            }
            Event::StartPoint => {
                self.has_points = true;
                Ok(())
            }
            Event::Point { x, y, z } => {
                let raw = RawFix { z, ..RawFix::new(position, x, y) };
                self.projection.check(&raw, self.out.space())?;
                match self.has_points {
                    true => self.points.add(raw, self.out),
                    false => self.out.point(&raw),
                }
            }
            Event::InvalidPoint(message) => match self.has_points {
                true => self.points.add_invalid(position, message, self.out),
                false => self.out.invalid_point(position, message),
            },
            Event::InvalidElevation(message) => match self.has_points {
                true => self.out.file_note(NoteKind::InvalidElevation, Some(position), message),
                false => self.out.invalid_value(Attribute::Elevation, position, message),
            },
            Event::IgnoredMeasures => {
                self.out.file_note(NoteKind::IgnoredContent, Some(position), IGNORED_MEASURES)
            }
            Event::IgnoredGeometry(name) => {
                let message = format!("a {name} is ignored, because it is not a path");
                self.out.file_note(NoteKind::IgnoredContent, Some(position), message)
            }
        }
    }

    fn end_geometry(&mut self, position: Position) -> Result<(), FormatError> {
        (self.has_points, self.skips) = (false, false);
        match self.line.take() {
            Some(track) => {
                self.out.switch_track(track);
                self.out.end_track(position)
            }
            None => Ok(()),
        }
    }

    fn finish(&mut self, is_cut: bool) -> Result<(), FormatError> {
        self.points.finish(is_cut, self.out)?;
        if self.out.track_count() > 0 || is_cut || self.other.is_some() {
            return Ok(());
        }
        let found = match self.damage.take() {
            Some(damage) => damage,
            None if self.points.are_ignored() => {
                "only points, which --points ignore leaves out".to_owned()
            }
            None => "no LINESTRING and no POINT".to_owned(),
        };
        Err(FormatError::NoTracks { format: Format::Wkt, found })
    }
}

#[cfg(test)]
mod tests;
