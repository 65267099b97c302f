//! Points that are a path only if the file has no lines: Point features, and the raw signals of a phone.
//!
//! Whether a file has lines is known at its end, so the points are stored up to a limit. If there are more in
//! front of the first line, they are read as a path.

use std::collections::HashMap;

use super::super::error::{FormatError, Position};
use super::super::note::NoteKind;
use super::super::options::PointsMode;
use super::super::track_writer::Attribute;
use super::Walk;
use super::groups;
use super::sample::Sample;

/// Maximum number of points that are stored: about 20 MiB of memory.
const POINTS_MAX: usize = 1 << 18;

/// The content that the points are in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Content {
    #[default]
    PointFeatures,
    RawSignals,
}

/// A stored point.
#[derive(Clone, Copy)]
struct Stored {
    /// NaN if the position is not valid.
    xy: [f64; 2],
    z: f64,
    accuracy_m: f64,
    unix_ns: Option<i64>,
    line: u32,
    column: u32,
    /// The index of the device.
    device: u32,
    /// The bit of each value that cannot be read.
    faults: u8,
}

/// The points so far.
#[derive(Default)]
pub(super) struct Deferred {
    points: Vec<Stored>,
    devices: Vec<Option<String>>,
    device_indices: HashMap<Option<String>, u32>,
    /// The first message for a position, time, elevation and accuracy that cannot be read.
    messages: [Option<String>; 4],
    /// Whether the points are passed on at once.
    is_streaming: bool,
    ignored_count: u64,
    first_ignored: Option<Position>,
    content: Content,
}

const ATTRIBUTES: [Attribute; 3] = [Attribute::Time, Attribute::Elevation, Attribute::Accuracy];

/// Adds a Point feature.
pub(super) fn add_point(walk: &mut Walk<'_, '_>, sample: Sample) -> Result<(), FormatError> {
    if walk.options.points == PointsMode::Ignore {
        walk.deferred.ignored_count += 1;
        return Ok(());
    }
    add(walk, sample, Content::PointFeatures)
}

/// Adds a point.
pub(super) fn add(
    walk: &mut Walk<'_, '_>,
    sample: Sample,
    content: Content,
) -> Result<(), FormatError> {
    if walk.deferred.is_streaming {
        return groups::add(walk, &sample);
    }
    walk.deferred.content = content;
    if walk.path_count > 0 || walk.deferred.is_full(&sample) {
        if walk.path_count > 0 {
            walk.deferred.ignore(sample.position);
            return Ok(());
        }
        note_path(walk, "")?;
        write(walk)?;
        walk.deferred.is_streaming = true;
        return groups::add(walk, &sample);
    }
    walk.deferred.store(sample);
    Ok(())
}

impl Deferred {
    /// Returns whether the point, or the device of the point, exceeds a limit.
    fn is_full(&self, sample: &Sample) -> bool {
        self.points.len() == POINTS_MAX
            || (self.devices.len() == groups::GROUPS_MAX
                && !self.device_indices.contains_key(&sample.device))
    }

    fn ignore(&mut self, position: Position) {
        self.ignored_count += 1;
        self.first_ignored.get_or_insert(position);
    }

    fn store(&mut self, sample: Sample) {
        let (line, column) = match sample.position {
            Position::Text { line, column } => (line, column.unwrap_or(1)),
            _ => (1, 1),
        };
        let saturated = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let mut faults = 0;
        for (attribute, message) in sample.faults {
            let index = 1 + ATTRIBUTES.iter().position(|known| *known == attribute).unwrap_or(0);
            faults |= 1 << index;
            self.messages[index].get_or_insert(message);
        }
        let xy = sample.xy.unwrap_or_else(|message| {
            self.messages[0].get_or_insert(message);
            [f64::NAN; 2]
        });
        let device = self.device(sample.device);
        self.points.push(Stored {
            xy,
            z: sample.z.unwrap_or(f64::NAN),
            accuracy_m: sample.accuracy_m.unwrap_or(f64::NAN),
            unix_ns: sample.unix_ns,
            line: saturated(line),
            column: saturated(column),
            device,
            faults,
        });
    }

    /// Returns the index of the device.
    fn device(&mut self, device: Option<String>) -> u32 {
        if let Some(&index) = self.device_indices.get(&device) {
            return index;
        }
        // The number of points is limited, so that it fits.
        let index = u32::try_from(self.devices.len()).unwrap_or(u32::MAX);
        self.devices.push(device.clone());
        self.device_indices.insert(device, index);
        index
    }

    /// Sorts the points by time, if all have one and their order in the file is another. Returns whether it did.
    fn sort(&mut self) -> bool {
        let mut last: Vec<Option<i64>> = vec![None; self.devices.len()];
        let mut is_sorted = true;
        for point in &self.points {
            if point.unix_ns.is_none() {
                return false;
            }
            if let Some(last) = last.get_mut(point.device as usize) {
                is_sorted &= *last <= point.unix_ns;
                *last = point.unix_ns;
            }
        }
        if !is_sorted {
            self.points.sort_by_key(|point| point.unix_ns);
        }
        !is_sorted
    }

    fn sample(&self, point: &Stored) -> Sample {
        let position = Position::column(point.line.into(), point.column.into());
        let message = |index: usize| self.messages[index].clone().unwrap_or_default();
        let xy = if point.xy[0].is_nan() { Err(message(0)) } else { Ok(point.xy) };
        let mut sample = Sample::new(position, xy);
        sample.z = Some(point.z).filter(|z| !z.is_nan());
        sample.accuracy_m = Some(point.accuracy_m).filter(|accuracy_m| !accuracy_m.is_nan());
        sample.unix_ns = point.unix_ns;
        sample.device = self.devices.get(point.device as usize).cloned().flatten();
        for (index, attribute) in (1..).zip(ATTRIBUTES) {
            if point.faults & (1 << index) != 0 {
                sample.faults.push((attribute, message(index)));
            }
        }
        sample
    }
}

fn note_path(walk: &mut Walk<'_, '_>, order: &str) -> Result<(), FormatError> {
    let message = match walk.deferred.content {
        Content::PointFeatures => format!(
            "the file has no lines, and its points are read as a path{order}; use --points ignore to \
             ignore them"
        ),
        Content::RawSignals => {
            format!("the file has no paths, and its raw signals are read as a path{order}")
        }
    };
    let first = walk.deferred.points.first();
    let position = first.map(|point| walk.deferred.sample(point).position);
    walk.out.file_note(NoteKind::JoinedPoints, position, message)
}

/// Passes the stored points on.
fn write(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    let points = std::mem::take(&mut walk.deferred.points);
    for point in &points {
        let sample = walk.deferred.sample(point);
        groups::add(walk, &sample)?;
    }
    Ok(())
}

/// Handles the end of the file: passes the points on, or notes that they are ignored.
pub(super) fn end(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    if walk.path_count == 0 && !walk.deferred.points.is_empty() {
        let order = match walk.deferred.sort() {
            true => ", in the order of their times, because their order in the file is another",
            false => "",
        };
        note_path(walk, order)?;
        return write(walk);
    }
    let stored = std::mem::take(&mut walk.deferred.points);
    let first = stored.first().map(|point| walk.deferred.sample(point).position);
    let count = walk.deferred.ignored_count + stored.len() as u64;
    if count == 0 || walk.path_count == 0 || walk.options.points == PointsMode::Ignore {
        return Ok(());
    }
    let message = match walk.deferred.content {
        Content::PointFeatures => format!("points next to lines are ignored ({count})"),
        Content::RawSignals => format!("raw signals next to paths are ignored ({count})"),
    };
    walk.out.file_note(NoteKind::IgnoredContent, first.or(walk.deferred.first_ignored), message)
}

/// Passes the points of a file on that cannot be read to its end.
pub(super) fn cut(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    match walk.path_count {
        0 => write(walk),
        _ => Ok(()),
    }
}

/// Returns the number of points that were ignored.
pub(super) fn ignored_count(walk: &Walk<'_, '_>) -> u64 {
    walk.deferred.ignored_count
}
