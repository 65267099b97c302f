//! Inflates a gzip-compressed message in steps, up to a maximum size.
//!
//! A step reads and writes a limited number of bytes, so that a caller can do other work between two steps. A
//! deflate block costs about 2 us even if it has few bytes. Therefore the input of a step is limited as well.

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// An error in a compressed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GzipError {
    /// The payload is not one complete gzip member.
    #[error("it is marked as gzip, but is not a complete gzip member")]
    Corrupt,
    /// The inflated message is longer than the limit.
    #[error("it inflates to more than the {max_payload_bytes} bytes allowed")]
    TooLarge {
        /// The limit.
        max_payload_bytes: usize,
    },
}

/// A message buffer larger than this is released before the next message.
const MESSAGE_KEPT_BYTES: usize = 1024;

/// Maximum number of compressed bytes that a step reads. The most expensive input, empty blocks with a table of
/// their own, costs 170 ns per byte.
const STEP_COMPRESSED_BYTES: usize = 1024;
/// Maximum number of bytes that a step writes, at 3 ns per byte or less.
const STEP_INFLATED_BYTES: usize = 16 * 1024;

/// The result of one step of inflating a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InflateStep {
    /// Whether this is the first step of the message.
    pub is_first: bool,
    /// Number of compressed bytes that were read, including the header and the trailer of the member.
    pub compressed_bytes: usize,
    /// Number of bytes that were written.
    pub inflated_bytes: usize,
}

/// Inflates the messages of one stream, one after another. It reuses its buffers, because a stream of points has
/// millions of messages of a few bytes.
#[derive(Default)]
pub(super) struct Inflater {
    /// Allocated when the first compressed message arrives: it holds a window of 32 KiB.
    machine: Option<Box<Machine>>,
    message: Vec<u8>,
    stage: Stage,
}

struct Machine {
    decompress: Decompress,
    crc: Crc,
    /// The index of the first deflated byte in the payload.
    deflated_at: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// No message was started.
    #[default]
    Idle,
    /// A part of the message was inflated.
    Running,
    /// The complete message was inflated and not taken yet.
    Done,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Inflater {
    /// Returns the bytes of memory of the buffers.
    pub(super) fn held_bytes(&self) -> usize {
        /// The state of miniz_oxide's inflater with its window.
        const DECOMPRESS_BYTES: usize = 43 * 1024;
        self.message.capacity() + if self.machine.is_some() { DECOMPRESS_BYTES } else { 0 }
    }

    /// Returns whether no message was started.
    pub(super) fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    /// Returns whether a complete message is ready for [`Inflater::take`].
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Returns the message that was inflated.
    pub(super) fn take(&mut self) -> &[u8] {
        self.stage = Stage::Idle;
        &self.message
    }

    /// Inflates the next part of `payload`, which must be exactly one gzip member. Pass the same payload in every
    /// step until [`Inflater::is_done`].
    ///
    /// # Errors
    /// Returns an error if the payload is not a gzip member or is too long when inflated. The message is then
    /// discarded.
    pub(super) fn step(
        &mut self,
        payload: &[u8],
        max_payload_bytes: usize,
    ) -> Result<InflateStep, GzipError> {
        let outcome = self.try_step(payload, max_payload_bytes);
        if outcome.is_err() {
            self.stage = Stage::Idle;
        }
        outcome
    }

    fn try_step(
        &mut self,
        payload: &[u8],
        max_payload_bytes: usize,
    ) -> Result<InflateStep, GzipError> {
        let mut step = InflateStep::default();
        if self.is_idle() {
            step.is_first = true;
            step.compressed_bytes = payload.len() - self.begin(payload)?;
        }
        let Self { machine: Some(machine), message, stage } = self else {
            return Err(GzipError::Corrupt);
        };
        let Machine { decompress, crc, deflated_at } = &mut **machine;
        let member = payload.get(*deflated_at..).and_then(<[u8]>::split_last_chunk);
        let (deflated, trailer) = member.ok_or(GzipError::Corrupt)?;
        let trailer: &[u8; TRAILER_BYTES] = trailer;

        let taken = decompress.total_in() as usize;
        let rest = deflated.get(taken..).unwrap_or_default();
        let input = &rest[..rest.len().min(STEP_COMPRESSED_BYTES)];
        let before = message.len();
        // One byte more than the limit shows that the message is too long.
        let remaining = max_payload_bytes.saturating_add(1) - before;
        let len = (4 * input.len()).max(before).clamp(64, STEP_INFLATED_BYTES).min(remaining);
        if message.capacity() - before < len {
            message.reserve_exact(len.max(before).min(remaining));
        }
        message.resize(before + len, 0);
        let out = &mut message[before..];
        let status = decompress.decompress(input, out, FlushDecompress::None);
        let status = status.map_err(|_| GzipError::Corrupt)?;
        step.inflated_bytes = (decompress.total_out() as usize).saturating_sub(before);
        let read = (decompress.total_in() as usize).saturating_sub(taken);
        step.compressed_bytes += read;
        message.truncate(before + step.inflated_bytes);
        if message.len() > max_payload_bytes {
            return Err(GzipError::TooLarge { max_payload_bytes });
        }
        crc.update(&message[before..]);
        if status != Status::StreamEnd {
            *stage = Stage::Running;
            // There was input and output space, but no progress: the payload ends too early.
            let is_stuck = read == 0 && step.inflated_bytes == 0;
            return if is_stuck { Err(GzipError::Corrupt) } else { Ok(step) };
        }
        let expected = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
        // Bytes after the member are invalid.
        if decompress.total_in() as usize != deflated.len() || trailer[..] != expected {
            return Err(GzipError::Corrupt);
        }
        *stage = Stage::Done;
        Ok(step)
    }

    /// Prepares for a new message. Returns the number of its deflated bytes.
    fn begin(&mut self, payload: &[u8]) -> Result<usize, GzipError> {
        let (deflated_at, deflated_bytes) = member(payload).ok_or(GzipError::Corrupt)?;
        let machine = self.machine.get_or_insert_with(|| {
            let decompress = Decompress::new(false);
            Box::new(Machine { decompress, crc: Crc::new(), deflated_at })
        });
        machine.decompress.reset(false);
        machine.crc.reset();
        machine.deflated_at = deflated_at;
        self.message.clear();
        self.message.shrink_to(MESSAGE_KEPT_BYTES);
        Ok(deflated_bytes)
    }
}

const TRAILER_BYTES: usize = 8;

/// Returns the index of the first deflated byte of a gzip member, and their number; see RFC 1952, section 2.3.
fn member(payload: &[u8]) -> Option<(usize, usize)> {
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;

    let (header, mut rest) = payload.split_first_chunk::<10>()?;
    let [0x1f, 0x8b, 8, flags, ..] = *header else { return None };
    if flags >= 1 << 5 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (length, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some((payload.len() - rest.len(), rest.len().checked_sub(TRAILER_BYTES)?))
}

/// Returns a gzip member of `count` deflate blocks with tables of their own and without content.
#[cfg(test)]
pub(crate) fn empty_dynamic_blocks(count: usize) -> Vec<u8> {
    // Type 2, 257 + 1 codes, 18 code lengths. The symbol 18 has one bit; 0 and 1 have two bits.
    let mut fields = vec![(2_u32, 2), (0, 5), (0, 5), (14, 4)];
    fields.extend((0..18).map(|at| {
        (
            match at {
                2 => 1,
                3 | 17 => 2,
                _ => 0,
            },
            3,
        )
    }));
    // Length 1 for the literal 0, 138 + 117 zeros, length 1 for the end of the block, length 0 for distances; then
    // the end of the block.
    fields.extend([(3, 2), (0, 1), (127, 7), (0, 1), (106, 7), (3, 2), (1, 2), (1, 1)]);
    let mut bits = Vec::new();
    for block in 1..=count {
        bits.push(block == count);
        for &(value, len) in &fields {
            bits.extend((0..len).map(|bit| value >> bit & 1 == 1));
        }
    }
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    member.extend(
        bits.chunks(8)
            .map(|byte| byte.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit))),
    );
    member.extend([0; TRAILER_BYTES]);
    member
}

#[cfg(test)]
mod tests;
