//! Definition messages, and the values of the data messages that they define.

use super::profile;

/// The bytes of a definition before its fields: reserved, byte order, message number, number of fields.
const FIXED_BYTES: usize = 5;
/// The bytes of a field in a definition: number, size, type.
const FIELD_BYTES: usize = 3;

/// The content of the data messages of a local type.
pub(super) struct Definition {
    /// The global number of the message.
    pub message: u16,
    /// The number of bytes of a data message, without its header.
    pub size: usize,
    is_big_endian: bool,
    /// The fields that the reader uses, in their slots.
    slots: Vec<Option<Field>>,
}

#[derive(Clone, Copy)]
struct Field {
    start: usize,
    size: usize,
    base_type: u8,
}

/// The types of values.
mod base_type {
    pub const ENUM: u8 = 0;
    pub const SINT8: u8 = 1;
    pub const UINT8: u8 = 2;
    pub const SINT16: u8 = 3;
    pub const UINT16: u8 = 4;
    pub const SINT32: u8 = 5;
    pub const UINT32: u8 = 6;
    pub const STRING: u8 = 7;
    pub const UINT8Z: u8 = 10;
    pub const UINT16Z: u8 = 11;
    pub const UINT32Z: u8 = 12;
    pub const BYTE: u8 = 13;
    /// The bits of the type; the others say that the byte order matters.
    pub const BITS: u8 = 0x1f;
    /// The number of bytes of a value of each type.
    pub const SIZES: [usize; 17] = [1, 1, 1, 2, 2, 4, 4, 1, 4, 8, 1, 2, 4, 1, 8, 8, 8];
}

/// Returns the number of bytes of a definition without the header. `start` has at least its first
/// [`Definition::START_BYTES`].
///
/// The developer fields follow the other fields, so that their number is known last.
pub(super) fn length(bytes: &[u8], has_developer_fields: bool) -> Option<usize> {
    let fields_end = FIXED_BYTES + FIELD_BYTES * usize::from(*bytes.get(FIXED_BYTES - 1)?);
    match has_developer_fields {
        true => Some(fields_end + 1 + FIELD_BYTES * usize::from(*bytes.get(fields_end)?)),
        false => Some(fields_end),
    }
}

impl Definition {
    /// The largest number of bytes of a definition without the header.
    pub(super) const BYTES_MAX: usize = FIXED_BYTES + 1 + 2 * 255 * FIELD_BYTES;

    /// Parses a complete definition. Returns `None` if it is not valid.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (fixed, fields) = bytes.split_at_checked(FIXED_BYTES)?;
        let is_big_endian = match (fixed[0], fixed[1]) {
            (0, 0) => false,
            (0, 1) => true,
            _ => return None,
        };
        let number = [fixed[2], fixed[3]];
        let message =
            if is_big_endian { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
        let wanted = profile::fields(message);
        let mut slots = vec![None; wanted.len()];
        let mut size = 0;
        let (fields, developer) = fields.split_at_checked(FIELD_BYTES * usize::from(fixed[4]))?;
        for field in fields.chunks_exact(FIELD_BYTES) {
            let value = Field { start: size, size: field[1].into(), base_type: field[2] };
            if let Some(slot) = wanted.iter().position(|&number| number == field[0]) {
                slots[slot] = Some(value);
            }
            size += value.size;
        }
        let developer = developer.get(1..).unwrap_or_default();
        size +=
            developer.chunks_exact(FIELD_BYTES).map(|field| usize::from(field[1])).sum::<usize>();
        Some(Self { message, size, is_big_endian, slots })
    }

    /// Returns whether a definition is valid in every detail, so that random bytes are unlikely to be one.
    pub(super) fn is_strict(bytes: &[u8]) -> bool {
        let Some((fixed, fields)) = bytes.split_at_checked(FIXED_BYTES) else { return false };
        let fields = fields.chunks_exact(FIELD_BYTES).take(fixed[4].into());
        let is_valid = |field: &[u8]| {
            let index = usize::from(field[2] & base_type::BITS);
            let size = base_type::SIZES.get(index).copied().unwrap_or(usize::MAX);
            field[1] > 0 && usize::from(field[1]) % size == 0
        };
        fixed[0] == 0 && fixed[1] <= 1 && fixed[4] > 0 && fields.clone().all(is_valid)
    }

    /// Returns the integer in a slot of a message. Returns `None` for the value that means a missing one.
    pub(super) fn integer(&self, payload: &[u8], slot: usize) -> Option<i64> {
        let field = (*self.slots.get(slot)?)?;
        let bytes = payload.get(field.start..field.start + field.size)?;
        let u8 = || bytes.first().copied();
        let u16 = || {
            let bytes = *bytes.first_chunk()?;
            Some(if self.is_big_endian {
                u16::from_be_bytes(bytes)
            } else {
                u16::from_le_bytes(bytes)
            })
        };
        let u32 = || {
            let bytes = *bytes.first_chunk()?;
            Some(if self.is_big_endian {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            })
        };
        let (value, missing): (i64, i64) = match field.base_type & base_type::BITS {
            base_type::ENUM | base_type::UINT8 | base_type::BYTE => (u8()?.into(), u8::MAX.into()),
            base_type::SINT8 => (u8()?.cast_signed().into(), i8::MAX.into()),
            base_type::UINT8Z => (u8()?.into(), 0),
            base_type::SINT16 => (u16()?.cast_signed().into(), i16::MAX.into()),
            base_type::UINT16 => (u16()?.into(), u16::MAX.into()),
            base_type::UINT16Z => (u16()?.into(), 0),
            base_type::SINT32 => (u32()?.cast_signed().into(), i32::MAX.into()),
            base_type::UINT32 => (u32()?.into(), u32::MAX.into()),
            base_type::UINT32Z => (u32()?.into(), 0),
            _ => return None,
        };
        (value != missing).then_some(value)
    }

    /// Returns the time in a message, in the unit of the file.
    pub(super) fn time(&self, payload: &[u8]) -> Option<u32> {
        self.integer(payload, profile::TIME).and_then(|time| u32::try_from(time).ok())
    }

    /// Returns the text in a slot of a message, if it is not empty.
    pub(super) fn text(&self, payload: &[u8], slot: usize) -> Option<String> {
        let field = (*self.slots.get(slot)?)?;
        let bytes = payload.get(field.start..field.start + field.size)?;
        let bytes = bytes.split(|&byte| byte == 0).next()?;
        let is_text = field.base_type & base_type::BITS == base_type::STRING && !bytes.is_empty();
        is_text.then(|| String::from_utf8_lossy(bytes).into_owned())
    }
}
