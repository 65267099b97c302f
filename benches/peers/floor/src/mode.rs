//! What is done with the bytes of a stream, step by step more of the job.

use std::str::FromStr;

use waywiser::internals::wire::{Encoding, Messages, decode_point};
use waywiser::internals::{PointBlock, Polyline};
use waywiser::{Metric, Space};

use crate::Outcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bytes are read and forgotten: the cost of TCP.
    Discard,
    /// Points are decoded and forgotten.
    Decode,
    /// Points are decoded and folded.
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
            _ => Err(format!("no mode {name}: discard, decode, planar or haversine")),
        }
    }
}

/// The longest message, as in the server.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// A stream while it is read.
pub struct Stream {
    mode: Mode,
    messages: Messages,
    /// Every coordinate goes in here, so that the compiler cannot leave the decoding out.
    checksum: i64,
    path: Polyline,
    /// Empty between two chunks; kept, so that it need not be cleared again for each.
    block: PointBlock,
}

/// All points that end in a chunk, to `take` in columns of up to a block: field 1, field 2.
///
/// The one place that knows the decoder: it follows `waywiser::service`, step for step.
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

/// Adds columns of at most a block to a path. The one place that knows how a block is filled.
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

    /// Takes the next bytes of the stream, in whatever pieces they come.
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

    /// The reply without the CPU time: what was counted and what it came to.
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
