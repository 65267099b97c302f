//! The framing of messages: their headers, and the decision where messages start after damaged bytes.
//!
//! FIT has no marks between messages. The reader detects that it is out of step by a message without a
//! definition, or by a time that is far from the others and is not followed by messages. It then searches for
//! a place with several messages in sequence whose times continue those before.

use super::definition::{self, Definition};

/// The bytes of the header of a file, without its checksum.
pub(super) const HEADER_BYTES: usize = 12;
/// The number of bytes in which a sequence of messages is searched.
pub(super) const WINDOW_BYTES: usize = 16 << 10;
/// The number of messages of a sequence that are checked.
const SEQUENCE_MESSAGES: usize = 3;
/// The number of bytes in which [`Definitions::has_restart`] searches.
const RESTART_BYTES: usize = 1 << 10;
/// The number of seconds that a time may differ from the time before.
const NEAR_S: u32 = 86_400;
/// The smallest time that is a date. Smaller ones count from the start of the device.
pub(super) const DATE_MIN: u32 = 0x1000_0000;

/// Returns whether bytes start with the header of a FIT file.
pub(super) fn is_header(bytes: &[u8]) -> bool {
    bytes.get(8..HEADER_BYTES) == Some(b".FIT") && usize::from(bytes[0]) >= HEADER_BYTES
}

/// Returns whether the header of a message is that of a definition.
pub(super) fn is_definition(header: u8) -> bool {
    header & 0xc0 == 0x40
}

/// Returns whether the header of a message has bits that no message has.
pub(super) fn has_reserved_bits(header: u8) -> bool {
    match has_compressed_time(header) {
        true => false,
        false if is_definition(header) => header & 0x10 != 0,
        false => header & 0x30 != 0,
    }
}

/// Returns whether a definition has developer fields.
pub(super) fn has_developer_fields(header: u8) -> bool {
    header & 0x20 != 0
}

fn has_compressed_time(header: u8) -> bool {
    header & 0x80 != 0
}

/// Returns the time in the header of a data message, which has the lowest five bits.
pub(super) fn compressed_time(header: u8, last_time: Option<u32>) -> Option<u32> {
    const LOW: u32 = 0x1f;
    let last = last_time.filter(|_| has_compressed_time(header))?;
    let low = u32::from(header) & LOW;
    let time = (last & !LOW) + low;
    let wraps = low < last & LOW;
    Some(if wraps { time.saturating_add(LOW + 1) } else { time })
}

/// Returns whether two times differ by at most a day.
pub(super) fn is_near(time: u32, other: u32) -> bool {
    time.abs_diff(other) <= NEAR_S
}

/// The definitions of the local message types.
#[derive(Default)]
pub(super) struct Definitions([Option<Definition>; 16]);

/// What a sequence of bytes contains.
struct Sequence {
    message_count: usize,
    /// The number of messages with a time that continues the times before.
    timed_count: usize,
    /// Whether the file ends after these messages.
    is_at_end: bool,
}

impl Definitions {
    /// Returns the definition of a data message.
    pub(super) fn get(&self, header: u8) -> Option<&Definition> {
        self.0.get(usize::from(local_type(header)))?.as_ref()
    }

    /// Stores a definition.
    pub(super) fn set(&mut self, header: u8, definition: Definition) {
        if let Some(slot) = self.0.get_mut(usize::from(header & 0x0f)) {
            *slot = Some(definition);
        }
    }

    /// Returns whether the bytes may be messages: nothing in them is wrong.
    pub(super) fn is_sequence(&self, bytes: &[u8], times: &[Option<u32>]) -> bool {
        self.sequence(bytes, times).is_some_and(|found| found.message_count > 0 || found.is_at_end)
    }

    /// Returns whether the bytes are messages with times that continue those before. Random bytes are unlikely
    /// to be such messages.
    pub(super) fn is_restart(&self, bytes: &[u8], last_time: Option<u32>) -> bool {
        let Some(found) = self.sequence(bytes, &[last_time]) else { return false };
        let is_last = found.timed_count == 1 && found.is_at_end && last_time.is_some();
        found.timed_count >= 2 || is_last
    }

    /// Returns whether messages that continue the time before start in these bytes, but not at once.
    pub(super) fn has_restart(&self, bytes: &[u8], last_time: u32) -> bool {
        (1..bytes.len().min(RESTART_BYTES))
            .any(|start| self.is_restart(&bytes[start..], Some(last_time)))
    }

    /// Parses the first messages. Returns `None` if the bytes are not messages.
    fn sequence(&self, bytes: &[u8], times: &[Option<u32>]) -> Option<Sequence> {
        let mut found = Sequence { message_count: 0, timed_count: 0, is_at_end: false };
        let ends_in_window = bytes.len() < WINDOW_BYTES;
        let mut first_time = None;
        // A definition in the sequence applies to the messages after it.
        let mut new: Option<(u8, Definition)> = None;
        let mut rest = bytes;
        while found.message_count < SEQUENCE_MESSAGES {
            let is_crc = rest.len() == super::CRC_BYTES;
            let is_file_end = ends_in_window && (rest.is_empty() || is_crc);
            if is_file_end || is_header(rest) || rest.get(2..).is_some_and(is_header) {
                found.is_at_end = true;
                break;
            }
            let (&header, content) = rest.split_first()?;
            if has_reserved_bits(header) {
                return None;
            }
            let length = if is_definition(header) {
                let length = definition::length(content, has_developer_fields(header))?;
                let definition = content.get(..length)?;
                if !Definition::is_strict(definition) {
                    return None;
                }
                new = Some((local_type(header), Definition::parse(definition)?));
                length
            } else {
                let definition = match &new {
                    Some((local, definition)) if *local == local_type(header) => definition,
                    _ => self.get(header)?,
                };
                let payload = content.get(..definition.size)?;
                if let Some(time) = definition.time(payload) {
                    let continues = |known: &Option<u32>| match known.or(first_time) {
                        Some(known) => is_near(time, known),
                        None => time >= DATE_MIN,
                    };
                    if !times.iter().any(continues) {
                        return None;
                    }
                    first_time = first_time.or(Some(time));
                    found.timed_count += 1;
                }
                definition.size
            };
            rest = content.get(length..)?;
            found.message_count += 1;
        }
        Some(found)
    }
}

/// Returns whether a message header is that of a data message with this definition.
pub(super) fn is_data_of(header: u8, definition: u8) -> bool {
    !is_definition(header) && local_type(header) == local_type(definition)
}

/// Returns the local type in the header of a message.
fn local_type(header: u8) -> u8 {
    if has_compressed_time(header) { (header >> 5) & 0x03 } else { header & 0x0f }
}
