//! The geometries of a Feature that are stored until its properties and types are known.
//!
//! The times of a line may be in `properties`, and these may follow the geometry. So the geometry is stored up
//! to a limit. A longer line is passed on as it is read, and then only times before it can be used.

use super::super::super::error::{FormatError, Position};
use super::super::Walk;
use super::emit;
use super::event::Event;
use super::kind::Kind;

/// Maximum number of positions of known type that are stored: 10 MiB of memory.
const KNOWN_MAX: usize = 1 << 18;
/// Maximum number of positions before their type: 40 MiB of memory.
const UNKNOWN_MAX: usize = 1 << 20;

/// A stored part of a geometry.
#[derive(Clone, Copy)]
pub(super) enum Item {
    /// A geometry starts; `None` if its type is not known yet.
    Geometry(Option<Kind>),
    /// The depth of the next events.
    Depth(u8),
    Event(Event),
}

#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub item: Item,
    line: u32,
    column: u32,
}

impl Entry {
    fn position(self) -> Position {
        Position::column(self.line.into(), self.column.into())
    }
}

/// The geometries that are stored, and the state of the current one.
#[derive(Default)]
pub(super) struct Pending {
    entries: Vec<Entry>,
    depth: u8,
    /// The type of the current geometry.
    kind: Option<Kind>,
    /// Whether events are passed on at once.
    pub is_direct: bool,
    /// Whether positions were passed on before the properties were known.
    pub is_early: bool,
}

impl Pending {
    fn push(&mut self, item: Item, position: Position) {
        let (line, column) = match position {
            Position::Text { line, column } => (line, column.unwrap_or(1)),
            _ => (1, 1),
        };
        let saturated = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        self.entries.push(Entry { item, line: saturated(line), column: saturated(column) });
    }
}

/// Starts the coordinates of a geometry. Returns the number of its entry, for [`set_kind`].
pub(super) fn start(walk: &mut Walk<'_, '_>, kind: Option<Kind>) -> Result<usize, FormatError> {
    let position = walk.position.get();
    let pending = &mut walk.feature.pending;
    (pending.kind, pending.depth) = (kind, u8::MAX);
    match kind {
        Some(kind) if pending.is_direct => {
            emit::start(walk, kind);
            Ok(usize::MAX)
        }
        _ => {
            // A stored geometry must not be passed on after a later one.
            pending.is_direct = false;
            pending.push(Item::Geometry(kind), position);
            Ok(pending.entries.len() - 1)
        }
    }
}

/// Sets the type of a geometry whose coordinates came first.
pub(super) fn set_kind(walk: &mut Walk<'_, '_>, index: usize, kind: Option<Kind>) {
    if let Some(entry) = walk.feature.pending.entries.get_mut(index)
        && let Item::Geometry(known) = &mut entry.item
    {
        *known = kind;
    }
}

/// Handles a part of coordinates.
#[inline]
pub(super) fn event(walk: &mut Walk<'_, '_>, depth: u8, event: Event) -> Result<(), FormatError> {
    let position = walk.position.get();
    let pending = &mut walk.feature.pending;
    if pending.is_direct {
        return emit::event(walk, depth, event, position);
    }
    if pending.kind.is_some_and(|kind| kind.depth().is_none()) {
        return Ok(());
    }
    if pending.depth != depth {
        pending.depth = depth;
        pending.push(Item::Depth(depth), position);
    }
    pending.push(Item::Event(event), position);
    let count = pending.entries.len();
    match pending.kind {
        Some(_) if count >= KNOWN_MAX => {
            pending.is_early = true;
            flush(walk)?;
            walk.feature.pending.is_direct = true;
            Ok(())
        }
        None if count >= UNKNOWN_MAX => {
            let message =
                "too many coordinates before their \"type\", which must be stored; write \
                           \"type\" first"
                    .to_owned();
            Err(FormatError::TooLarge { position, message })
        }
        _ => Ok(()),
    }
}

/// Passes the stored geometries on.
pub(super) fn flush(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    let entries = std::mem::take(&mut walk.feature.pending.entries);
    let mut depth = 0;
    let mut is_known = false;
    for entry in entries {
        match entry.item {
            Item::Geometry(kind) => {
                is_known = kind.is_some();
                if let Some(kind) = kind {
                    emit::start(walk, kind);
                }
            }
            Item::Depth(next) => depth = next,
            Item::Event(event) if is_known => emit::event(walk, depth, event, entry.position())?,
            Item::Event(_) => {}
        }
    }
    Ok(())
}
