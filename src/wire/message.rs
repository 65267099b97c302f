//! Messages out of chunks: framing, and decompression where the stream has it.

use super::frame::{Deframer, FrameError};
use super::gzip::{GzipError, Inflater};
use super::run::{POINT_BYTES_MAX, decode_run};

/// How the messages of a stream may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// Each message, or some of them, as a gzip member.
    Gzip,
}

/// Finds and, where need be, inflates the messages of a stream.
#[derive(Debug)]
pub struct Messages {
    deframer: Deframer,
    encoding: Encoding,
    payload_bytes_max: usize,
    inflater: Inflater,
}

/// Why a stream of messages could not be read on. Nothing behind this place can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The framing is wrong.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message is marked as compressed in a stream that declared no compression.
    #[error(
        "message {message_index}: it is marked as compressed, and the call names no grpc-encoding"
    )]
    Undeclared {
        /// The index of the message, counted from 0.
        message_index: u64,
    },
    /// A compressed message could not be inflated.
    #[error("message {message_index}: {kind}")]
    Gzip {
        /// The index of the message, counted from 0.
        message_index: u64,
        /// What is wrong with it.
        kind: GzipError,
    },
}

impl MessageError {
    /// The index of the message that could not be read, counted from 0.
    pub fn message_index(&self) -> u64 {
        match *self {
            Self::Frame(FrameError { message_index, .. })
            | Self::Undeclared { message_index }
            | Self::Gzip { message_index, .. } => message_index,
        }
    }
}

impl Messages {
    /// A reader of messages of at most `payload_bytes_max`, compressed or not.
    pub fn new(encoding: Encoding, payload_bytes_max: usize) -> Self {
        Self {
            deframer: Deframer::new(payload_bytes_max),
            encoding,
            payload_bytes_max,
            inflater: Inflater::default(),
        }
    }

    /// How many messages were handed out or failed to inflate.
    pub fn message_count(&self) -> u64 {
        self.deframer.message_count()
    }

    /// Decodes points from the front of `chunk` into the columns, field 1 and field 2 of each, as far
    /// as they come in the shape that nearly every encoder gives them. Gives their number.
    ///
    /// It is a short cut for [`Messages::next`] and [`decode_point`](super::decode_point) that reads
    /// what they would read, several times as fast, and may stop anywhere: whoever calls it goes on
    /// with them, and comes back.
    #[inline]
    pub fn next_points(
        &mut self,
        chunk: &mut &[u8],
        first: &mut [i32],
        second: &mut [i32],
    ) -> usize {
        if !self.deframer.is_between_messages() || self.payload_bytes_max < POINT_BYTES_MAX {
            return 0;
        }
        let (points, bytes) = decode_run(chunk, first, second);
        *chunk = &chunk[bytes..];
        self.deframer.skip(points, bytes);
        points
    }

    /// Takes the next message from the front of `chunk`; see [`Deframer::next`].
    ///
    /// # Errors
    /// When the stream cannot be read further.
    #[inline]
    pub fn next<'a, 'c: 'a>(
        &'a mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<&'a [u8]>, MessageError> {
        let message_index = self.deframer.message_count();
        match self.deframer.next(chunk)? {
            None => Ok(None),
            Some(frame) if !frame.compressed => Ok(Some(frame.payload)),
            Some(_) if self.encoding == Encoding::Identity => {
                Err(MessageError::Undeclared { message_index })
            }
            Some(frame) => {
                let inflated = self.inflater.inflate(frame.payload, self.payload_bytes_max);
                Ok(Some(inflated.map_err(|kind| MessageError::Gzip { message_index, kind })?))
            }
        }
    }

    /// Tells whether the stream may end here.
    ///
    /// # Errors
    /// When it ends inside a message.
    pub fn finish(&self) -> Result<(), MessageError> {
        Ok(self.deframer.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gzip_stream_may_mix_compressed_and_plain_messages() {
        use flate2::{Compression, write::GzEncoder};
        use std::io::Write as _;

        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&[8, 1]).unwrap();
        let packed = encoder.finish().unwrap();
        let mut bytes = vec![0, 0, 0, 0, 1, 42, 1, 0, 0, 0, packed.len() as u8];
        bytes.extend(packed);

        let mut chunk = &bytes[..];
        let mut messages = Messages::new(Encoding::Gzip, 100);
        assert_eq!(messages.next(&mut chunk).unwrap(), Some(&[42][..]));
        assert_eq!(messages.next(&mut chunk).unwrap(), Some(&[8, 1][..]));
        assert_eq!(messages.next(&mut chunk).unwrap(), None);
        assert_eq!(messages.finish(), Ok(()));

        let mut chunk = &bytes[..];
        let mut messages = Messages::new(Encoding::Identity, 100);
        messages.next(&mut chunk).unwrap();
        assert_eq!(
            messages.next(&mut chunk).unwrap_err().to_string(),
            "message 1: it is marked as compressed, and the call names no grpc-encoding"
        );
    }
}
