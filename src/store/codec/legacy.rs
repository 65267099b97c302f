//! Reads records of versions 1 and 2. They are never written.
//!
//! | bytes | content, little endian |
//! |---|---|
//! | 0..4 | `wayw` |
//! | 4 | the version: 1 or 2 |
//! | 5 | 1 if the recording is finished, else 0 |
//! | 6..8 | 0 |
//! | 8..16 | epoch |
//! | 16..24 | the number of points |
//! | 24..48 | the times of creation, of the last change, and of expiry, in milliseconds since 1970 |
//! | 48..n-4 | the fold, in the postcard format |
//! | n-4..n | CRC-32 of all bytes before it; in version 2 followed by the ID of the recording |
//!
//! In the [postcard format](https://postcard.jamesmunns.com/wire-format), integers are variable-length numbers of 7
//! bits a byte, signed ones in zigzag order. Variants are numbers. The rest is as in version 3.

use super::field::{Field, take};
use super::old_filter::{self, OldFilter, OldRejection};
use super::old_stats::{self, OldStats};
use super::{Header, RecordError, compare_checksums, fold};
use crate::measure::{
    AttributesState, ExactSum, ExtremesState, FixState, Metric, Options, PathAccumulator,
    PolylineState, SkippedFixesState, State,
};
use crate::recording::RecordingName;

/// The last version whose checksum does not cover the name.
const VERSION_WITHOUT_NAME: u8 = 1;
/// The last version of this layout.
pub(super) const VERSION_MAX: u8 = 2;
const CHECKSUM_BYTES: usize = 4;
/// The magic number and the version.
const PREFIX_BYTES: usize = 5;

/// A record whose checksum was verified.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LegacyRecord<'a> {
    pub(super) header: Header,
    fold: &'a [u8],
}

impl<'a> LegacyRecord<'a> {
    pub(super) fn read(
        name: &RecordingName,
        version: u8,
        bytes: &'a [u8],
    ) -> Result<Self, RecordError> {
        let cut_short = || RecordError::Foreign(bytes.len());
        let (covered, stored) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(cut_short)?;
        let computed = match version {
            VERSION_WITHOUT_NAME => crc32fast::hash(covered),
            _ => fold::checksum(Some(name), covered),
        };
        compare_checksums(u32::from_le_bytes(*stored), computed)?;
        let mut input = covered.get(PREFIX_BYTES..).ok_or_else(cut_short)?;
        let header = header(&mut input).ok_or(RecordError::Content("header"))?;
        Ok(Self { header, fold: input })
    }

    /// Decodes and validates the accumulator.
    pub(super) fn accumulator(&self) -> Result<PathAccumulator, RecordError> {
        let mut input = Postcard(self.fold);
        let state = input.state().filter(|_| input.0.is_empty());
        let state = state.ok_or(RecordError::Content("fold"))?;
        fold::restore(state, self.header.committed_points)
    }
}

fn header(input: &mut &[u8]) -> Option<Header> {
    let complete = bool::read(input)?;
    if take(input)? != [0, 0] {
        return None;
    }
    Some(Header {
        complete,
        epoch: Field::read(input)?,
        committed_points: Field::read(input)?,
        create_unix_ms: Field::read(input)?,
        update_unix_ms: Field::read(input)?,
        expire_unix_ms: Field::read(input)?,
    })
}

/// The rest of a fold in the postcard format. Each function reads one value.
struct Postcard<'a>(&'a [u8]);

impl Postcard<'_> {
    fn varint(&mut self) -> Option<u128> {
        let (mut value, mut shift) = (0_u128, 0);
        loop {
            let [byte] = take(&mut self.0)?;
            let bits = u128::from(byte & 0x7f);
            let shifted = bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits)?;
            value |= shifted;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }

    fn u32(&mut self) -> Option<u32> {
        self.varint()?.try_into().ok()
    }

    fn u64(&mut self) -> Option<u64> {
        self.varint()?.try_into().ok()
    }

    fn i64(&mut self) -> Option<i64> {
        let zigzag = self.u64()?;
        Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    fn f64(&mut self) -> Option<f64> {
        f64::read(&mut self.0)
    }

    fn bool(&mut self) -> Option<bool> {
        bool::read(&mut self.0)
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Some(None) }
    }

    fn sum(&mut self) -> Option<ExactSum> {
        self.varint().map(|units| ExactSum::from_bytes(units.to_le_bytes()))
    }

    fn place(&mut self) -> Option<[f64; 2]> {
        Some([self.f64()?, self.f64()?])
    }

    fn state(&mut self) -> Option<State> {
        let options = self.options()?;
        let metric = options.metric();
        let raw = self.polyline(metric)?;
        let filter = self.option(|input| input.filter(metric))?;
        let filter = match filter {
            Some(filter) => Some(filter.into_state(&raw)?),
            None => None,
        };
        let stats = self.stats()?.into_state(&options)?;
        Some(State {
            options,
            raw,
            filter,
            climb: old_stats::climb(&stats),
            stats,
            last: self.attributes()?,
            invalid_points: SkippedFixesState::default(),
            seen: old_filter::seen(&raw),
            reorder: None,
            windows: None,
            estimate: None,
        })
    }

    fn options(&mut self) -> Option<Options> {
        let metric = fold::metric(self.u32()?)?;
        let options = Options::builder(metric)
            .elevation(fold::elevation(self.u32()?)?)
            .xy_resolution(self.f64()?)
            .z_resolution(self.f64()?)
            .max_gap_time_ns(self.option(Self::u64)?)
            .max_gap(self.option(Self::f64)?)
            .max_speed(self.option(Self::f64)?)
            .reanchor_count(old_filter::reanchor_count(self.u32()?))
            .min_step(self.option(Self::f64)?)
            .max_accuracy_m(self.option(Self::f64)?)
            .reject_backward_time(self.bool()?)
            .stopped_speed(old_filter::stopped_speed(self.option(Self::f64)?, metric))
            .build();
        options.ok()
    }

    /// Reads a polyline, which repeats the metric of the options.
    fn polyline(&mut self, metric: Metric) -> Option<PolylineState> {
        if fold::metric(self.u32()?)? != metric {
            return None;
        }
        let (length, point_count, segment_count) = (self.sum()?, self.u64()?, self.u64()?);
        let [min_x, max_x] = self.place()?;
        let [min_y, max_y] = self.place()?;
        let [min_east, max_west] = self.place()?;
        let has_both_sides = min_x < 0.0 && max_x >= 0.0;
        // Without points, all minima are positive infinity, and all maxima negative infinity.
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        let is_empty =
            [min_x, max_x, min_y, max_y, min_east, max_west] == [low, high, low, high, low, high];
        let is_one_sided = match min_x >= 0.0 {
            true => [min_east, max_west] == [min_x, high],
            false => [min_east, max_west] == [low, max_x],
        };
        let places = self.option(|input| {
            let extremes = ExtremesState {
                first: input.place()?,
                last: input.place()?,
                min: [min_x, min_y],
                max: [max_x, max_y],
                x_around_zero: has_both_sides.then_some([max_west, min_east]),
            };
            extremes.places(metric.space()).ok()
        })?;
        let is_valid = match places {
            Some(_) => has_both_sides || is_one_sided,
            None => is_empty,
        };
        if !is_valid {
            return None;
        }
        Some(PolylineState {
            length,
            point_count,
            segment_count,
            places,
            is_broken: self.bool()?,
            is_broken_before_first: self.bool()?,
        })
    }

    fn filter(&mut self, metric: Metric) -> Option<OldFilter> {
        let (accepted, reference) = (self.polyline(metric)?, self.option(Self::fix)?);
        // The last fix that was rejected for time or speed, and the number of consistent ones up to it.
        self.option(|input| Some((input.fix()?, input.u32()?)))?;
        Some(OldFilter {
            accepted,
            reference,
            rejections: [
                self.rejection()?,
                self.rejection()?,
                self.rejection()?,
                self.rejection()?,
            ],
        })
    }

    fn rejection(&mut self) -> Option<OldRejection> {
        Some(OldRejection { count: self.u64()?, first_offset: self.u64()?, length: self.sum()? })
    }

    fn fix(&mut self) -> Option<FixState> {
        Some(FixState { at: self.place()?, attributes: self.attributes()? })
    }

    fn attributes(&mut self) -> Option<AttributesState> {
        Some(AttributesState { z: self.option(Self::f64)?, unix_ns: self.option(Self::i64)? })
    }

    fn stats(&mut self) -> Option<OldStats> {
        Some(OldStats {
            times: self.option(|input| Some([input.i64()?, input.i64()?]))?,
            moving_ns: self.option(Self::varint)?,
            max_speed: self.option(Self::f64)?,
            climb: self.option(|input| Some([input.sum()?, input.sum()?]))?,
            length_3d: self.sum()?,
        })
    }
}
