//! The protobuf of one point: two `int32` in the fields 1 and 2, as both published contracts have
//! it (x and y; latitude and longitude).
//!
//! It takes and refuses exactly what prost does, and gives the same values: fields in any order or
//! absent, repeated (the last one counts), unknown fields of every kind, varints of up to ten
//! bytes. A property test and a fuzz target hold it to that.

/// The fields 1 and 2 of a message; an absent one is 0.
///
/// ```
/// use waywiser::internals::wire::decode_point;
///
/// assert_eq!(decode_point(&[0x08, 0x96, 0x01, 0x10, 0x02]), Ok((150, 2)));
/// assert_eq!(decode_point(&[]), Ok((0, 0)));
/// assert!(decode_point(&[0x08]).is_err());
/// ```
///
/// # Errors
/// When the bytes are not a protobuf message, or field 1 or 2 in it is no varint.
#[inline]
pub fn decode_point(message: &[u8]) -> Result<(i32, i32), DecodeError> {
    let mut cursor = Cursor { message, position: 0 };
    let mut point = (0, 0);
    while cursor.position < message.len() {
        let start = cursor.position;
        let (field, wire_type) = cursor.key()?;
        match (field, wire_type) {
            // An int32 is the low half of its varint: negative ones are ten bytes long.
            (1, VARINT) => point.0 = cursor.varint()? as i32,
            (2, VARINT) => point.1 = cursor.varint()? as i32,
            (1 | 2, _) => {
                let kind = DecodeErrorKind::WireType { field, wire_type };
                return Err(DecodeError { byte_offset: start, kind });
            }
            _ => cursor.skip(field, wire_type, start, GROUP_DEPTH_MAX)?,
        }
    }
    Ok(point)
}

/// Wire types of the protobuf encoding.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;
const START_GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED_32: u8 = 5;

/// How deep groups may nest, as in prost.
const GROUP_DEPTH_MAX: u32 = 100;

/// Why bytes are not a point, and at which byte of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {byte_offset} of the message: {kind}")]
pub struct DecodeError {
    /// Where the field or value that is wrong begins.
    pub byte_offset: usize,
    /// What is wrong with it.
    pub kind: DecodeErrorKind,
}

/// What can be wrong with the bytes of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// A number that does not end, or does not fit 64 bits.
    #[error("a varint is cut short or longer than 64 bits")]
    Varint,
    /// A field number of 0, a number past 2^29 - 1, or a wire type that does not exist.
    #[error("a field has the invalid key {0}")]
    Key(u64),
    /// A coordinate in another wire type than a varint.
    #[error("field {field} has wire type {wire_type}, an int32 has wire type 0")]
    WireType {
        /// The field's number.
        field: u32,
        /// The wire type it came in.
        wire_type: u8,
    },
    /// An unknown field that is longer than the message.
    #[error("a field is longer than the rest of the message")]
    Length,
    /// The end of a group that was not begun.
    #[error("a group ends that was not begun")]
    Group,
    /// Unknown groups inside one another.
    #[error("groups are nested more than {GROUP_DEPTH_MAX} deep")]
    Depth,
}

struct Cursor<'a> {
    message: &'a [u8],
    position: usize,
}

impl Cursor<'_> {
    fn key(&mut self) -> Result<(u32, u8), DecodeError> {
        let start = self.position;
        let key = self.varint()?;
        let wire_type = (key & 7) as u8;
        match u32::try_from(key >> 3) {
            Ok(field) if key <= u64::from(u32::MAX) && field > 0 && wire_type <= FIXED_32 => {
                Ok((field, wire_type))
            }
            _ => Err(DecodeError { byte_offset: start, kind: DecodeErrorKind::Key(key) }),
        }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, DecodeError> {
        let start = self.position;
        let mut value = 0;
        for (index, &byte) in self.message[start..].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                // The tenth byte has one bit left of the 64.
                if index == 9 && byte > 1 {
                    break;
                }
                self.position = start + index + 1;
                return Ok(value);
            }
        }
        Err(DecodeError { byte_offset: start, kind: DecodeErrorKind::Varint })
    }

    /// Passes over the value of an unknown field whose key began at `start`.
    fn skip(
        &mut self,
        field: u32,
        wire_type: u8,
        start: usize,
        depth_left: u32,
    ) -> Result<(), DecodeError> {
        let error = |kind| DecodeError { byte_offset: start, kind };
        if depth_left == 0 {
            return Err(error(DecodeErrorKind::Depth));
        }
        let length = match wire_type {
            VARINT => self.varint().map(|_| 0)?,
            FIXED_64 => 8,
            FIXED_32 => 4,
            LENGTH_DELIMITED => self.varint()?,
            START_GROUP => loop {
                let start = self.position;
                let (inner, wire_type) = self.key()?;
                if wire_type != END_GROUP {
                    self.skip(inner, wire_type, start, depth_left - 1)?;
                } else if inner == field {
                    break 0;
                } else {
                    return Err(DecodeError { byte_offset: start, kind: DecodeErrorKind::Group });
                }
            },
            _ => return Err(error(DecodeErrorKind::Group)),
        };
        if length > (self.message.len() - self.position) as u64 {
            return Err(error(DecodeErrorKind::Length));
        }
        self.position += length as usize; // at most the message's length
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::proto::my_package::Point;

    fn prost_point(message: &[u8]) -> Option<(i32, i32)> {
        Point::decode(message).ok().map(|point| (point.x, point.y))
    }

    /// Bytes that look like fields: arbitrary ones are refused at the first byte too often.
    fn fields() -> impl Strategy<Value = Vec<u8>> {
        let key = (0..4_u8, 0..8_u8).prop_map(|(field, wire_type)| vec![field << 3 | wire_type]);
        let varint = any::<u64>().prop_map(|value| {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value >> (value % 64), &mut bytes);
            bytes
        });
        let padded = (0..12_usize, 0..3_u8).prop_map(|(length, last)| {
            let mut bytes = vec![0x80; length];
            bytes.push(last);
            bytes
        });
        let noise = prop::collection::vec(any::<u8>(), 0..6);
        let group = prop::sample::select(vec![vec![0x1b], vec![0x1c], vec![0x23], vec![0x24]]);
        let piece = prop_oneof![4 => key, 2 => varint, 1 => padded, 1 => noise, 2 => group];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn it_agrees_with_prost_on_every_byte_string(
            message in prop_oneof![fields(), prop::collection::vec(any::<u8>(), 0..24)],
        ) {
            prop_assert_eq!(decode_point(&message).ok(), prost_point(&message));
        }

        #[test]
        fn it_reads_what_prost_writes(x: i32, y: i32) {
            prop_assert_eq!(decode_point(&Point { x, y }.encode_to_vec()), Ok((x, y)));
        }
    }

    #[test]
    fn groups_nest_as_deep_as_in_prost_and_no_deeper() {
        for depth in 95..105 {
            let mut message = vec![0x1b; depth];
            message.extend(vec![0x1c; depth]);
            assert_eq!(decode_point(&message).ok(), prost_point(&message), "{depth}");
        }
        assert!(decode_point(&[0x1b; 100_000]).is_err());
    }

    #[test]
    fn errors_say_what_and_where() {
        let error = |bytes: &[u8]| decode_point(bytes).unwrap_err().to_string();
        assert_eq!(
            error(&[0x08, 0x01, 0x15, 0, 0, 0, 0]),
            "at byte 2 of the message: field 2 has wire type 5, an int32 has wire type 0"
        );
        assert_eq!(
            error(&[0x08, 0xff]),
            "at byte 1 of the message: a varint is cut short or longer than 64 bits"
        );
        assert_eq!(
            error(&[0x1a, 0x05, 0x00]),
            "at byte 0 of the message: a field is longer than the rest of the message"
        );
        assert_eq!(error(&[0x00]), "at byte 0 of the message: a field has the invalid key 0");
        assert_eq!(error(&[0x1c]), "at byte 0 of the message: a group ends that was not begun");
    }
}
