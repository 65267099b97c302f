//! gRPC framing of outgoing messages: a header of a flag and a length, then the message. Nothing is compressed.
//!
//! [`crate::wire`] reads frames.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;

pub(crate) use crate::wire::HEADER_BYTES;

/// Appends a message with its header.
pub(crate) fn append(message: &impl Message, bytes: &mut BytesMut) {
    let len = message.encoded_len();
    bytes.reserve(HEADER_BYTES + len);
    bytes.put_u8(0);
    // Messages are far below 4 GiB: a server accepts 64 KiB by default, and replies are at most 64 KiB.
    bytes.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    message.encode_raw(bytes);
}

/// Returns a message with its header.
pub(crate) fn encode(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    append(message, &mut bytes);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_a_flag_a_length_and_a_message() {
        let mut bytes = BytesMut::from(&encode(&17_u32)[..]);
        append(&0_u32, &mut bytes);
        assert_eq!(&bytes[..], [0, 0, 0, 0, 2, 8, 17, 0, 0, 0, 0, 0]);
    }
}
