//! Decodes one point of the published contracts: two `int32` in the fields 1 and 2 (x and y, or latitude and
//! longitude).
//!
//! It accepts and rejects the same messages as prost and returns the same values. Fields can be in any order,
//! absent or repeated (the last one counts). Unknown fields of every kind and varints of up to ten bytes are
//! valid. A property test and a fuzz target check this.

/// Returns the fields 1 and 2 of a message. An absent field is 0.
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
/// Returns an error if the bytes are not a protobuf message, or if field 1 or 2 is not a varint.
#[inline]
pub fn decode_point(message: &[u8]) -> Result<(i32, i32), DecodeError> {
    let mut cursor = Cursor { message, position: 0 };
    let mut point = (0, 0);
    while cursor.position < message.len() {
        let start = cursor.position;
        let (field, wire_type) = cursor.key()?;
        match (field, wire_type) {
            // An `int32` is the low half of its varint. The varint of a negative number has ten bytes.
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

/// The maximum depth of nested groups, as in prost.
const GROUP_DEPTH_MAX: u32 = 100;

/// An error in the encoding of a point, with its position in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {byte_offset} of the message: {kind}")]
pub struct DecodeError {
    /// The index of the first byte of the invalid field or value.
    pub byte_offset: usize,
    /// The kind of the error.
    pub kind: DecodeErrorKind,
}

/// The kinds of errors in the encoding of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// A varint is incomplete or does not fit 64 bits.
    #[error("a varint is cut short or longer than 64 bits")]
    Varint,
    /// The field number is 0 or above 2^29 - 1, or the wire type does not exist.
    #[error("a field has the invalid key {0}")]
    Key(u64),
    /// The wire type of a coordinate is not varint.
    #[error("field {field} has wire type {wire_type}, an int32 has wire type 0")]
    WireType {
        /// The field number.
        field: u32,
        /// The wire type in the message.
        wire_type: u8,
    },
    /// A field is longer than the rest of the message.
    #[error("a field is longer than the rest of the message")]
    Length,
    /// A group ends that did not start.
    #[error("a group ends that did not start")]
    Group,
    /// Unknown groups are nested too deep.
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
                // The tenth byte can have one bit, the last of the 64.
                if index == 9 && byte > 1 {
                    break;
                }
                self.position = start + index + 1;
                return Ok(value);
            }
        }
        Err(DecodeError { byte_offset: start, kind: DecodeErrorKind::Varint })
    }

    /// Skips the value of an unknown field whose key starts at `start`.
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

    /// Generates bytes similar to fields. Arbitrary bytes are usually rejected at the first byte.
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
        let part = prop_oneof![4 => key, 2 => varint, 1 => padded, 1 => noise, 2 => group];
        prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn it_agrees_with_prost_on_arbitrary_bytes(
            message in prop_oneof![fields(), prop::collection::vec(any::<u8>(), 0..24)],
        ) {
            prop_assert_eq!(decode_point(&message).ok(), prost_point(&message));
        }

        #[test]
        fn points_of_prost_are_read(x: i32, y: i32) {
            prop_assert_eq!(decode_point(&Point { x, y }.encode_to_vec()), Ok((x, y)));
        }
    }

    #[test]
    fn the_depth_limit_of_groups_equals_that_of_prost() {
        for depth in 95..105 {
            let mut message = vec![0x1b; depth];
            message.extend(vec![0x1c; depth]);
            assert_eq!(decode_point(&message).ok(), prost_point(&message), "{depth}");
        }
        assert!(decode_point(&[0x1b; 100_000]).is_err());
    }

    #[test]
    fn errors_have_the_position_and_the_cause() {
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
        assert_eq!(error(&[0x1c]), "at byte 0 of the message: a group ends that did not start");
    }
}
