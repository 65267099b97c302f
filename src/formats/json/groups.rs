//! Tracks of points that are records of their own: one track for each device.

use std::collections::HashMap;

use super::super::error::{FormatError, Position};
use super::super::note::NoteKind;
use super::super::options::TrackColumn;
use super::super::sink::TrackKind;
use super::super::value::truncate;
use super::Walk;
use super::sample::Sample;

/// Maximum number of devices.
pub(super) const GROUPS_MAX: usize = 1 << 12;
/// The bytes of an identifier that are compared.
const NAME_BYTES_MAX: usize = 256;

/// The tracks of the devices so far.
#[derive(Default)]
pub(super) struct Groups {
    /// The number of the track of each device. Points without a device have the blank name.
    by_name: HashMap<Box<str>, usize>,
    /// The device of the current track, with its number.
    current: Option<(Box<str>, usize)>,
}

/// Adds a point to the track of its device.
pub(super) fn add(walk: &mut Walk<'_, '_>, sample: &Sample) -> Result<(), FormatError> {
    let name = match walk.options.track_column {
        TrackColumn::None => "",
        _ => truncate(sample.device.as_deref().unwrap_or_default(), NAME_BYTES_MAX),
    };
    enter(walk, name, sample.position)?;
    sample.write(walk)
}

/// Makes the track of the device the current one.
fn enter(walk: &mut Walk<'_, '_>, name: &str, position: Position) -> Result<(), FormatError> {
    if let Some((current, index)) = &walk.groups.current
        && **current == *name
    {
        walk.out.switch_track(*index);
        return Ok(());
    }
    let index = match walk.groups.by_name.get(name) {
        Some(&index) => {
            walk.out.switch_track(index);
            index
        }
        None => {
            if walk.groups.by_name.len() == GROUPS_MAX {
                let message = format!(
                    "the points have more than {GROUPS_MAX} devices; use --track-column none to join them"
                );
                return Err(FormatError::TooLarge { position, message });
            }
            let index = walk.out.track_count();
            walk.out.start_track(TrackKind::Track, position)?;
            walk.path_count += 1;
            walk.groups.by_name.insert(name.into(), index);
            index
        }
    };
    walk.groups.current = Some((name.into(), index));
    Ok(())
}

/// Names the tracks, so that they have their names if the file cannot be read to its end.
fn set_names(walk: &mut Walk<'_, '_>) -> Vec<usize> {
    let mut groups: Vec<_> = std::mem::take(&mut walk.groups.by_name).into_iter().collect();
    walk.groups.current = None;
    groups.sort_unstable_by_key(|(_, index)| *index);
    let is_one = groups.len() == 1;
    for (name, index) in &groups {
        // The number of the only device is not a useful name.
        if !is_one || name.parse::<f64>().is_err() {
            walk.out.switch_track(*index);
            walk.out.set_name(name);
        }
    }
    groups.into_iter().map(|(_, index)| index).collect()
}

/// Ends the tracks after the last point.
pub(super) fn end(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    let indices = set_names(walk);
    if indices.len() > 1 {
        let message = format!(
            "the points are of {} devices, and each is a track; use --track-column none to join them",
            indices.len()
        );
        walk.out.file_note(NoteKind::GroupedRows, None, message)?;
    }
    let position = walk.position.get();
    for index in indices {
        walk.out.switch_track(index);
        walk.out.end_track(position)?;
    }
    Ok(())
}

/// Handles a file that cannot be read to its end. The tracks stay open.
pub(super) fn cut(walk: &mut Walk<'_, '_>) {
    set_names(walk);
}
