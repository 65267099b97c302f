//! Interprets the coordinates of a geometry: passes lines to the writer and stores points.

use super::super::super::error::{FormatError, Position};
use super::super::super::note::NoteKind;
use super::super::super::sink::TrackKind;
use super::super::super::track_writer::{Attribute, RawFix};
use super::super::Walk;
use super::super::deferred;
use super::super::sample::Sample;
use super::event::{Event, Fault};
use super::kind::Kind;
use super::times::Time;

/// The number of geometries and positions of a Feature that were passed on.
#[derive(Default)]
pub(super) struct Progress {
    kind: Option<Kind>,
    /// Whether the Feature has started a track.
    is_open: bool,
    lines: usize,
    in_line: usize,
    in_feature: usize,
}

/// Starts a geometry.
pub(super) fn start(walk: &mut Walk<'_, '_>, kind: Kind) {
    walk.feature.progress.kind = Some(kind);
}

/// Handles a part of the coordinates of the current geometry.
#[inline]
pub(super) fn event(
    walk: &mut Walk<'_, '_>,
    depth: u8,
    event: Event,
    position: Position,
) -> Result<(), FormatError> {
    let Some(kind) = walk.feature.progress.kind else { return Ok(()) };
    let Some(expected) = kind.depth() else { return Ok(()) };
    match event {
        Event::Position(values) if depth == expected => match kind.is_line() {
            true => fix(walk, values, position),
            false => point(walk, Ok(values), position),
        },
        Event::Open | Event::Empty if kind.is_line() && depth + 1 == expected => {
            line(walk, position)
        }
        Event::Open | Event::Empty if depth < expected => Ok(()),
        // The content of an element that was counted.
        _ if depth > expected => Ok(()),
        Event::Open => invalid(walk, kind, Fault::Found("a list"), position),
        Event::Empty => invalid(walk, kind, Fault::TooShort, position),
        Event::Position(_) => invalid(walk, kind, Fault::NoList, position),
        Event::NotPosition(fault) | Event::Value(fault) => invalid(walk, kind, fault, position),
    }
}

/// Starts a track if none is open.
fn open(walk: &mut Walk<'_, '_>, position: Position) -> Result<(), FormatError> {
    if walk.feature.progress.is_open {
        return Ok(());
    }
    walk.feature.progress.is_open = true;
    walk.path_count += 1;
    walk.out.start_track(TrackKind::Track, position)
}

fn line(walk: &mut Walk<'_, '_>, position: Position) -> Result<(), FormatError> {
    open(walk, position)?;
    let progress = &mut walk.feature.progress;
    progress.lines += 1;
    progress.in_line = 0;
    walk.out.start_segment();
    Ok(())
}

/// Returns the time of the next position.
fn next_time(walk: &mut Walk<'_, '_>) -> Result<Option<i64>, String> {
    let super::Feature { progress, properties, .. } = &mut walk.feature;
    let line = progress.lines.saturating_sub(1);
    let (in_line, in_feature) = (progress.in_line, progress.in_feature);
    progress.in_line += 1;
    progress.in_feature += 1;
    let times = &mut properties.times;
    if times.is_empty() {
        return Ok(None);
    }
    match times.get(line, in_line, in_feature) {
        Time::At(unix_ns) => Ok(Some(unix_ns)),
        Time::Missing => Ok(None),
        Time::Invalid => {
            Err(times.fault.clone().unwrap_or_else(|| "the time is not valid".to_owned()))
        }
    }
}

fn fix(
    walk: &mut Walk<'_, '_>,
    [x, y, z]: [f64; 3],
    position: Position,
) -> Result<(), FormatError> {
    let mut raw = RawFix::new(position, x, y);
    match next_time(walk) {
        Ok(time) => raw.unix_ns = time,
        Err(message) => walk.out.invalid_value(Attribute::Time, position, message)?,
    }
    if z.is_infinite() {
        let message = "the third value of a position is not a number";
        walk.out.invalid_value(Attribute::Elevation, position, message)?;
    } else if !z.is_nan() {
        raw.z = Some(z);
    }
    walk.point(&raw)
}

fn point(
    walk: &mut Walk<'_, '_>,
    values: Result<[f64; 3], String>,
    position: Position,
) -> Result<(), FormatError> {
    let mut sample = Sample::new(position, values.clone().map(|[x, y, _]| [x, y]));
    let time = next_time(walk);
    let properties = &walk.feature.properties;
    sample.set_time(match time {
        Ok(None) if walk.feature.progress.kind == Some(Kind::Point) => {
            properties.time(&mut walk.times)
        }
        other => other,
    });
    sample.set_elevation(match values {
        Ok([_, _, z]) if z.is_infinite() => {
            Err("the third value of a position is not a number".to_owned())
        }
        Ok([_, _, z]) if !z.is_nan() => Ok(Some(z)),
        _ => properties.elevation.result(),
    });
    sample.set_accuracy(properties.accuracy.result());
    sample.device = properties.device.value.clone();
    match walk.feature.is_overland {
        true => walk.add_sample(sample),
        false => deferred::add_point(walk, sample),
    }
}

fn invalid(
    walk: &mut Walk<'_, '_>,
    kind: Kind,
    fault: Fault,
    position: Position,
) -> Result<(), FormatError> {
    if !kind.is_line() {
        return point(walk, Err(fault.to_string()), position);
    }
    open(walk, position)?;
    let _ = next_time(walk);
    walk.out.invalid_point(position, fault.to_string())
}

/// Ends the track of a Feature, or of a geometry outside a Feature.
pub(super) fn end(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    if !std::mem::take(&mut walk.feature.progress.is_open) {
        return Ok(());
    }
    let position = walk.position.get();
    let properties = &walk.feature.properties;
    if walk.feature.pending.is_early && walk.feature.are_times_late {
        let message = "the times of a long line follow its coordinates and are ignored; write \
                       \"properties\" before \"geometry\"";
        walk.out.track_note(NoteKind::IgnoredContent, position, message)?;
    } else if let Some(message) =
        properties.times.mismatch().filter(|_| !properties.times.is_empty())
    {
        walk.out.track_note(NoteKind::AssumedNotation, position, message)?;
    }
    if let Some(name) = walk.feature.properties.name() {
        walk.out.set_name(name);
    }
    walk.out.end_track(position)
}

/// Ends the track of a Feature that could not be read to its end.
pub(super) fn abort(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    if !std::mem::take(&mut walk.feature.progress.is_open) {
        return Ok(());
    }
    if let Some(name) = walk.feature.properties.name() {
        walk.out.set_name(name);
    }
    walk.out.end_incomplete_track(walk.position.get())
}
