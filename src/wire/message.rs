//! Reads messages from chunks: framing and, if the stream is compressed, decompression.
//!
//! A caller can decompress in steps. A stream is refused if it inflates to too many times its size.

use super::frame::{Deframer, FrameError};
use super::gzip::{GzipError, InflateStep, Inflater};
use super::run::{POINT_BYTES_MAX, decode_run};

/// The compression of the messages of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// No message is compressed.
    Identity,
    /// Messages can be gzip members; the flag of each frame defines it.
    Gzip,
}

/// Finds the messages of a stream and inflates the compressed ones.
#[derive(Debug)]
pub struct Messages {
    deframer: Deframer,
    encoding: Encoding,
    max_payload_bytes: usize,
    max_inflation_ratio: u32,
    /// Bytes of the compressed messages so far, including their headers.
    compressed_bytes: u64,
    /// Bytes of the same messages after inflation.
    inflated_bytes: u64,
    inflater: Inflater,
}

/// The number of inflated bytes of a stream up to which its ratio is not limited. Short runs of equal points
/// compress to a thousandth.
const INFLATED_BYTES_FREE: u64 = 1 << 20;

/// The header of a frame: the flag byte and the length.
const HEADER_BYTES: u64 = 5;

/// An error in a stream of messages. The rest of the stream cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The framing is invalid.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message is marked as compressed in a stream that declared no compression.
    #[error(
        "message {message_index}: it is marked as compressed, but the call has no grpc-encoding header"
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
        /// The cause.
        #[source]
        kind: GzipError,
    },
    /// The ratio of inflated to compressed bytes is above the limit.
    #[error(
        "message {message_index}: the compressed messages so far have {compressed_bytes} bytes and inflate to \
         {inflated_bytes}, more than {max_inflation_ratio} times as many; send them without compression, or with \
         fewer points per message"
    )]
    InflationRatio {
        /// The index of the message, counted from 0.
        message_index: u64,
        /// Bytes of the compressed messages up to this one, including their headers.
        compressed_bytes: u64,
        /// Inflated bytes of these messages so far.
        inflated_bytes: u64,
        /// The limit.
        max_inflation_ratio: u32,
    },
}

impl MessageError {
    /// Returns the index of the message that could not be read, counted from 0.
    pub fn message_index(&self) -> u64 {
        match *self {
            Self::Frame(FrameError { message_index, .. })
            | Self::Undeclared { message_index }
            | Self::Gzip { message_index, .. }
            | Self::InflationRatio { message_index, .. } => message_index,
        }
    }
}

impl Messages {
    /// Returns a reader of messages of at most `max_payload_bytes`, without a limit on the ratio.
    pub fn new(encoding: Encoding, max_payload_bytes: usize) -> Self {
        Self {
            deframer: Deframer::new(max_payload_bytes),
            encoding,
            max_payload_bytes,
            max_inflation_ratio: u32::MAX,
            compressed_bytes: 0,
            inflated_bytes: 0,
            inflater: Inflater::default(),
        }
    }

    /// Sets the largest ratio of inflated to compressed bytes. The limit applies when the compressed messages have
    /// inflated to more than 1 MiB. The ratio of deflate is always below 1033.
    #[must_use]
    pub fn with_max_inflation_ratio(self, max_inflation_ratio: u32) -> Self {
        Self { max_inflation_ratio, ..self }
    }

    /// Returns the bytes of memory between two chunks: an incomplete message and the state of an inflater.
    pub fn held_bytes(&self) -> usize {
        self.deframer.held_bytes() + self.inflater.held_bytes()
    }

    /// Returns the number of messages that were returned or could not be inflated.
    pub fn message_count(&self) -> u64 {
        self.deframer.message_count()
    }

    /// Decodes points from the front of `chunk` into the columns: field 1 into `first` and field 2 into `second`.
    /// It stops at the first message that is not in the common encoding. Returns the number of points.
    ///
    /// The result equals that of [`Messages::next`] and [`decode_point`](super::decode_point), and is several times
    /// as fast. The function can stop at any message. The caller reads the next message with those two functions and
    /// then calls this function again.
    #[inline]
    pub fn next_points(
        &mut self,
        chunk: &mut &[u8],
        first: &mut [i32],
        second: &mut [i32],
    ) -> usize {
        if !self.deframer.is_between_messages() || self.max_payload_bytes < POINT_BYTES_MAX {
            return 0;
        }
        let (points, bytes) = decode_run(chunk, first, second);
        *chunk = &chunk[bytes..];
        self.deframer.skip(points, bytes);
        points
    }

    /// Removes and returns the next message of `chunk` if it has at most `payload_bytes` bytes, is not compressed
    /// and is complete in the chunk. Otherwise it removes no bytes; call [`Messages::next`] then.
    #[inline]
    pub fn next_small<'c>(
        &mut self,
        chunk: &mut &'c [u8],
        payload_bytes: usize,
    ) -> Option<&'c [u8]> {
        self.deframer.next_small(chunk, payload_bytes)
    }

    /// Inflates a part of the next message if it is compressed and complete. Returns `None` if there is no more to
    /// inflate before [`Messages::next`].
    ///
    /// A caller that must yield in time calls this function until it returns `None`, and then [`Messages::next`],
    /// which otherwise inflates the complete message. Pass the same `chunk` to both.
    ///
    /// # Errors
    /// Returns an error if the rest of the stream cannot be read.
    #[inline]
    pub fn inflate_step(&mut self, chunk: &mut &[u8]) -> Result<Option<InflateStep>, MessageError> {
        if self.encoding == Encoding::Identity || self.inflater.is_done() {
            return Ok(None);
        }
        self.inflate_next(chunk)
    }

    fn inflate_next(&mut self, chunk: &mut &[u8]) -> Result<Option<InflateStep>, MessageError> {
        let message_index = self.deframer.message_count();
        let frame = match self.deframer.peek(chunk)? {
            Some(frame) if frame.compressed => frame,
            _ => return Ok(None),
        };
        if self.inflater.is_idle() {
            self.compressed_bytes += HEADER_BYTES + frame.payload.len() as u64;
        }
        let outcome = self.inflater.step(frame.payload, self.max_payload_bytes);
        let outcome = outcome.map_err(|kind| MessageError::Gzip { message_index, kind });
        let outcome = outcome.and_then(|step| {
            self.inflated_bytes += step.inflated_bytes as u64;
            self.check_ratio(message_index).map(|()| step)
        });
        if outcome.is_err() {
            self.deframer.advance(chunk)?;
        }
        outcome.map(Some)
    }

    fn check_ratio(&self, message_index: u64) -> Result<(), MessageError> {
        let Self { compressed_bytes, inflated_bytes, max_inflation_ratio, .. } = *self;
        let allowed = compressed_bytes.saturating_mul(max_inflation_ratio.into());
        if inflated_bytes <= allowed.max(INFLATED_BYTES_FREE) {
            return Ok(());
        }
        Err(MessageError::InflationRatio {
            message_index,
            compressed_bytes,
            inflated_bytes,
            max_inflation_ratio,
        })
    }

    /// Removes the next message from the front of `chunk` and returns it; see [`Deframer::next`].
    ///
    /// # Errors
    /// Returns an error if the rest of the stream cannot be read.
    #[inline]
    pub fn next<'a, 'c: 'a>(
        &'a mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<&'a [u8]>, MessageError> {
        while self.inflate_step(chunk)?.is_some() {}
        let message_index = self.deframer.message_count();
        match self.deframer.next(chunk)? {
            None => Ok(None),
            Some(frame) if !frame.compressed => Ok(Some(frame.payload)),
            Some(_) if self.encoding == Encoding::Identity => {
                Err(MessageError::Undeclared { message_index })
            }
            Some(_) => Ok(Some(self.inflater.take())),
        }
    }

    /// Checks that the stream may end here.
    ///
    /// # Errors
    /// Returns an error if the stream ends inside a message.
    pub fn finish(&self) -> Result<(), MessageError> {
        Ok(self.deframer.finish()?)
    }
}

#[cfg(test)]
mod tests;
