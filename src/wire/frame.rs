//! gRPC length-prefixed framing: a flag byte, a length of four bytes, and the message.
//!
//! See "gRPC over HTTP2", section "Length-Prefixed-Message". The chunks of a body are independent of the
//! messages in it. A message that is complete in one chunk is returned in place. A message that is cut is
//! assembled in a small carry buffer.

/// The flag byte and the length.
pub(crate) const HEADER_BYTES: usize = 5;

/// A carry buffer larger than this is shrunk after its message, so that one large message does not use memory
/// until the end of the stream.
const CARRY_KEPT_BYTES: usize = 1024;

/// Finds the messages in a stream of bytes that arrives in chunks of any size.
///
/// The memory grows with the received bytes, not with the length in a header. The buffer holds at most
/// one message.
///
/// ```
/// use waywiser::internals::wire::Deframer;
///
/// let mut deframer = Deframer::new(1024);
/// let mut chunk: &[u8] = &[0, 0, 0, 0, 2, 8, 1, /* the next message: */ 0, 0, 0];
/// assert_eq!(deframer.next(&mut chunk)?.unwrap().payload, [8, 1]);
/// assert_eq!(deframer.next(&mut chunk)?, None); // the second message is incomplete
/// assert!(deframer.finish().is_err());
/// # Ok::<(), waywiser::internals::wire::FrameError>(())
/// ```
#[derive(Debug)]
pub struct Deframer {
    max_payload_bytes: usize,
    /// An incomplete frame, or the frame that was returned last.
    carry: Vec<u8>,
    /// Whether the message in `carry` was returned.
    carry_done: bool,
    /// The number of returned messages.
    message_count: u64,
    /// The bytes of the returned messages, including their headers.
    byte_count: u64,
}

/// One framed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Whether the payload is compressed, according to the flag.
    pub compressed: bool,
    /// The message, possibly compressed.
    pub payload: &'a [u8],
}

/// An error in the framing, with its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message {message_index}, at byte {byte_offset} of the stream: {kind}")]
pub struct FrameError {
    /// The index of the message, counted from 0.
    pub message_index: u64,
    /// The index of the first byte of its frame in the stream, counted from 0.
    pub byte_offset: u64,
    /// The kind of the error.
    pub kind: FrameErrorKind,
}

/// The kinds of framing errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameErrorKind {
    /// The flag byte is invalid: the sender does not use gRPC framing, or the position is wrong.
    #[error("the compressed flag is {0}, not 0 or 1")]
    Flag(u8),
    /// The message is longer than the limit.
    #[error("it has {payload_bytes} bytes, more than the {max_payload_bytes} allowed")]
    TooLarge {
        /// The length in the header.
        payload_bytes: u32,
        /// The limit.
        max_payload_bytes: usize,
    },
    /// The stream ended inside a message.
    #[error("the stream ended after {received_bytes} of its {frame_bytes} bytes")]
    Truncated {
        /// The received bytes of the frame.
        received_bytes: usize,
        /// The length of the frame, or that of the header if the header is incomplete.
        frame_bytes: usize,
    },
}

impl Deframer {
    /// Returns a deframer for messages of at most `max_payload_bytes`.
    pub fn new(max_payload_bytes: usize) -> Self {
        Self {
            max_payload_bytes,
            carry: Vec::new(),
            carry_done: false,
            message_count: 0,
            byte_count: 0,
        }
    }

    /// Returns the bytes of memory for an incomplete message.
    pub(super) fn held_bytes(&self) -> usize {
        self.carry.capacity()
    }

    /// Returns the number of returned messages.
    pub fn message_count(&self) -> u64 {
        self.message_count
    }

    /// Returns whether the next byte is the first byte of a frame.
    #[inline]
    pub(super) fn is_between_messages(&self) -> bool {
        self.carry_done || self.carry.is_empty()
    }

    /// Counts complete messages that the caller read directly.
    #[inline]
    pub(super) fn skip(&mut self, messages: usize, bytes: usize) {
        debug_assert!(self.is_between_messages());
        self.message_count += messages as u64;
        self.byte_count += bytes as u64;
    }

    /// Removes the next message from the front of `chunk` and returns it. If no message is complete, removes all
    /// bytes and returns `None`.
    ///
    /// Call it until it returns `None`, and then with the next chunk.
    ///
    /// # Errors
    /// Returns an error if the framing is invalid or the message is too long. The rest of the stream cannot be
    /// read then.
    #[inline]
    pub fn next<'a, 'c: 'a>(
        &'a mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Frame<'a>>, FrameError> {
        self.release_carry();
        if self.carry.is_empty() {
            let whole: &'c [u8] = chunk;
            if let Some((header, rest)) = whole.split_first_chunk::<HEADER_BYTES>() {
                let (compressed, length) = self.parse(*header)?;
                if let Some((payload, rest)) = rest.split_at_checked(length) {
                    *chunk = rest;
                    self.count(length);
                    return Ok(Some(Frame { compressed, payload }));
                }
            }
        }
        self.next_carried(chunk)
    }

    /// Removes and returns the next message if it is complete in `chunk`, is not compressed and has at most
    /// `payload_bytes` bytes. Otherwise it removes no bytes; call [`Deframer::next`] then.
    #[inline]
    pub(super) fn next_small<'c>(
        &mut self,
        chunk: &mut &'c [u8],
        payload_bytes: usize,
    ) -> Option<&'c [u8]> {
        if !self.is_between_messages() {
            return None;
        }
        let whole: &'c [u8] = chunk;
        let (&[flag, length @ ..], rest) = whole.split_first_chunk::<HEADER_BYTES>()?;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        if flag != 0 || length > payload_bytes.min(self.max_payload_bytes) {
            return None;
        }
        let (payload, rest) = rest.split_at_checked(length)?;
        *chunk = rest;
        self.count(length);
        Some(payload)
    }

    /// Returns the next message if it is cut by the end of a chunk.
    fn next_carried<'a, 'c: 'a>(
        &'a mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Frame<'a>>, FrameError> {
        let Some(compressed) = self.fill_carry(chunk)? else { return Ok(None) };
        self.carry_done = true;
        self.count(self.carry.len() - HEADER_BYTES);
        Ok(Some(Frame { compressed, payload: &self.carry[HEADER_BYTES..] }))
    }

    /// Returns the next message without consuming it; [`Deframer::advance`] consumes it. May move the bytes of
    /// a message that is cut from `chunk` into the carry buffer.
    ///
    /// # Errors
    /// See [`Deframer::next`].
    pub(super) fn peek<'a, 'c: 'a>(
        &'a mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Frame<'a>>, FrameError> {
        self.release_carry();
        if self.carry.is_empty() {
            let whole: &'c [u8] = chunk;
            if let Some((header, rest)) = whole.split_first_chunk::<HEADER_BYTES>() {
                let (compressed, length) = self.parse(*header)?;
                if let Some(payload) = rest.get(..length) {
                    return Ok(Some(Frame { compressed, payload }));
                }
            }
        }
        let Some(compressed) = self.fill_carry(chunk)? else { return Ok(None) };
        Ok(Some(Frame { compressed, payload: &self.carry[HEADER_BYTES..] }))
    }

    /// Consumes the message that [`Deframer::peek`] returned, at the front of the same `chunk`.
    ///
    /// # Errors
    /// See [`Deframer::next`].
    pub(super) fn advance(&mut self, chunk: &mut &[u8]) -> Result<(), FrameError> {
        self.next(chunk).map(drop)
    }

    /// Moves bytes from the chunk until the carry buffer holds a whole frame. Returns its compressed flag, or
    /// `None` if the chunk ends before the frame does.
    fn fill_carry(&mut self, chunk: &mut &[u8]) -> Result<Option<bool>, FrameError> {
        self.fill(chunk, HEADER_BYTES);
        let Some(header) = self.carry.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let (compressed, length) = self.parse(*header)?;
        self.fill(chunk, HEADER_BYTES + length);
        Ok((self.carry.len() == HEADER_BYTES + length).then_some(compressed))
    }

    /// Clears the carry buffer if its message was returned.
    #[inline]
    fn release_carry(&mut self) {
        if self.carry_done {
            self.carry_done = false;
            self.carry.clear();
            self.carry.shrink_to(CARRY_KEPT_BYTES);
        }
    }

    /// Moves bytes from the chunk until the carry buffer holds `bytes`.
    fn fill(&mut self, chunk: &mut &[u8], bytes: usize) {
        let missing = bytes.saturating_sub(self.carry.len());
        let (head, rest) = chunk.split_at(missing.min(chunk.len()));
        self.carry.extend_from_slice(head);
        *chunk = rest;
    }

    /// Returns the checked flag and length.
    #[inline]
    fn parse(&self, header: [u8; HEADER_BYTES]) -> Result<(bool, usize), FrameError> {
        let [flag, length @ ..] = header;
        let payload_bytes = u32::from_be_bytes(length);
        if flag > 1 {
            return Err(self.error(FrameErrorKind::Flag(flag)));
        }
        let max_payload_bytes = self.max_payload_bytes;
        match usize::try_from(payload_bytes) {
            Ok(length) if length <= max_payload_bytes => Ok((flag == 1, length)),
            _ => Err(self.error(FrameErrorKind::TooLarge { payload_bytes, max_payload_bytes })),
        }
    }

    #[inline]
    fn count(&mut self, length: usize) {
        self.message_count += 1;
        self.byte_count += (HEADER_BYTES + length) as u64;
    }

    #[cold]
    fn error(&self, kind: FrameErrorKind) -> FrameError {
        FrameError { message_index: self.message_count, byte_offset: self.byte_count, kind }
    }

    /// Checks that the stream may end here.
    ///
    /// # Errors
    /// Returns an error if the stream ends inside a message.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.is_between_messages() {
            return Ok(());
        }
        let length = match self.carry.first_chunk::<HEADER_BYTES>() {
            Some(header) => self.parse(*header)?.1,
            None => 0,
        };
        Err(self.error(FrameErrorKind::Truncated {
            received_bytes: self.carry.len(),
            frame_bytes: HEADER_BYTES + length,
        }))
    }
}

#[cfg(test)]
mod tests;
