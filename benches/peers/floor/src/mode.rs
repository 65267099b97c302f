//! The modes of the server: each does one more step with the bytes of a stream.

use std::str::FromStr;

use waywiser::internals::wire::{Encoding, Messages, decode_point};
use waywiser::internals::{PointBlock, Polyline};
use waywiser::{Metric, Space};

use crate::Outcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Discards the bytes, which is the cost of TCP.
    Discard,
    /// Decodes the points and discards them.
    Decode,
    /// Decodes and folds the points.
    Fold(Metric),
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "discard" => Ok(Self::Discard),
            "decode" => Ok(Self::Decode),
            "planar" => Ok(Self::Fold(Metric::Planar)),
            "haversine" => Ok(Self::Fold(Metric::Haversine)),
            _ => Err(format!(
                "unknown mode {name}; the modes are discard, decode, planar and haversine"
            )),
        }
    }
}

/// The limit of the size of a message, as in the server.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The state of a stream.
pub struct Stream {
    mode: Mode,
    messages: Messages,
    /// The sum of all coordinates, so that the compiler cannot remove the decoding.
    checksum: i64,
    path: Polyline,
    /// Reused for all chunks, because clearing a new block costs time. It is empty between two chunks.
    block: PointBlock,
}

/// Decodes all points that end in a chunk, and calls `take` with columns of fields 1 and 2, of at most one block.
///
/// This does the same steps as `waywiser::service`.
fn decode(
    messages: &mut Messages,
    mut chunk: &[u8],
    mut take: impl FnMut(&[i32], &[i32]) -> Outcome<()>,
) -> Outcome<()> {
    let (mut first, mut second) = ([0; PointBlock::CAPACITY], [0; PointBlock::CAPACITY]);
    let mut len = 0;
    loop {
        len += messages.next_points(&mut chunk, &mut first[len..], &mut second[len..]);
        if len < PointBlock::CAPACITY {
            let Some(message) = messages.next(&mut chunk)? else {
                return take(&first[..len], &second[..len]);
            };
            (first[len], second[len]) = decode_point(message)?;
            len += 1;
        }
        if len == PointBlock::CAPACITY {
            take(&first, &second)?;
            len = 0;
        }
    }
}

/// Adds columns of at most one block to a path.
fn fold(path: &mut Polyline, block: &mut PointBlock, first: &[i32], second: &[i32]) -> Outcome<()> {
    let space = block.space();
    // Fields 1 and 2 are x and y, or latitude and longitude.
    let (x, y) = if space == Space::Planar { (first, second) } else { (second, first) };
    block.extend_i32(x, y).map_err(|(_, error)| error)?;
    Ok(path.fold(block)?)
}

impl Stream {
    pub fn new(mode: Mode) -> Self {
        let metric = if let Mode::Fold(metric) = mode { metric } else { Metric::Planar };
        Self {
            mode,
            messages: Messages::new(Encoding::Identity, MESSAGE_BYTES_MAX),
            checksum: 0,
            path: Polyline::new(metric),
            block: PointBlock::new(metric.space()),
        }
    }

    /// Takes the next bytes of the stream, which may be cut anywhere.
    pub fn chunk(&mut self, chunk: &[u8]) -> Outcome<()> {
        let Self { mode, messages, checksum, path, block } = self;
        match mode {
            Mode::Discard => Ok(()),
            Mode::Decode => decode(messages, chunk, |first, second| {
                *checksum += first.iter().chain(second).map(|&each| i64::from(each)).sum::<i64>();
                Ok(())
            }),
            Mode::Fold(_) => {
                decode(messages, chunk, |first, second| fold(path, block, first, second))
            }
        }
    }

    /// Returns the reply without the CPU time: the counts and the result.
    pub fn finish(&self) -> Outcome<String> {
        self.messages.finish()?;
        let points = self.messages.message_count();
        Ok(match self.mode {
            Mode::Discard => "mode=discard".to_owned(),
            Mode::Decode => format!("mode=decode points={points} checksum={}", self.checksum),
            Mode::Fold(metric) => {
                format!("mode={metric} points={points} length={}", self.path.summary().length)
            }
        })
    }
}
