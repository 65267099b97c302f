//! The bytes of polylines, the filter, the statistics and the buffer in versions 5 and 6.
//!
//! Each struct has its fields in order. Flags come first, as the bits of a byte. Counts and sums have a variable
//! length. Places, times and elevations are differences to a value before them; see `compact.rs`.

use super::compact::{
    read_float, read_list, read_signed, read_signed_sum, read_sum, read_time, read_unsigned,
    write_float, write_list, write_signed, write_signed_sum, write_sum, write_time, write_unsigned,
};
use super::field::Field;
use crate::measure::{
    AttributesState, BufferedFixState, CandidateState, FilterState, FixState, PlacesState,
    PolylineState, REANCHOR_COUNT_MAX, RejectionState, Reorder, ReorderState, SegmentState,
    SkippedFixesState, SpeedRunState, SpeedRunsState, StatsState, TentativeState, TimedPlaceState,
};

/// The number of reasons with stored rejections. Those of later ones are counted in other parts of the state.
const STORED_REASONS: usize = 7;
/// Elevations and accuracies are mostly whole numbers of these parts of a metre.
const PARTS: f64 = 1e3;

/// Appends a byte with a bit for each flag.
fn write_flags<const N: usize>(flags: [bool; N], out: &mut Vec<u8>) {
    out.push(flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u8::from(flag)));
}

fn read_flags<const N: usize>(input: &mut &[u8]) -> Option<[bool; N]> {
    let bits = u8::read(input)?;
    (u32::from(bits) < 1 << N).then(|| std::array::from_fn(|index| bits >> index & 1 == 1))
}

/// Appends canonical coordinates, which are mostly whole numbers.
fn write_place(at: [f64; 2], near: [f64; 2], out: &mut Vec<u8>) {
    at.iter().zip(near).for_each(|(&value, near)| write_float(value, near, 1.0, out));
}

fn read_place(near: [f64; 2], input: &mut &[u8]) -> Option<[f64; 2]> {
    Some([read_float(near[0], 1.0, input)?, read_float(near[1], 1.0, input)?])
}

/// Appends a difference of offsets.
fn write_offset(offset: u64, near: u64, out: &mut Vec<u8>) {
    write_signed(offset.wrapping_sub(near) as i64, out);
}

fn read_offset(near: u64, input: &mut &[u8]) -> Option<u64> {
    read_signed(input).map(|difference| near.wrapping_add(difference as u64))
}

impl Field for PolylineState {
    fn write(&self, out: &mut Vec<u8>) {
        write_flags([self.places.is_some(), self.is_broken, self.is_broken_before_first], out);
        write_sum(self.length, out);
        write_unsigned(self.point_count.into(), out);
        write_unsigned(self.segment_count.into(), out);
        if let Some(places) = &self.places {
            places.write(out);
        }
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let [has_places, is_broken, is_broken_before_first] = read_flags(input)?;
        Some(Self {
            length: read_sum(input)?,
            point_count: read_unsigned(input)?,
            segment_count: read_unsigned(input)?,
            places: if has_places { Some(Field::read(input)?) } else { None },
            is_broken,
            is_broken_before_first,
        })
    }
}

/// Of the sectors, a number has a bit for each that has a range, and the ranges follow.
impl Field for PlacesState {
    fn write(&self, out: &mut Vec<u8>) {
        write_place(self.first, [0.0; 2], out);
        write_place(self.last, self.first, out);
        write_place(self.y, [self.first[1]; 2], out);
        let bits = self.x.iter().rev().fold(0_u16, |bits, x| bits << 1 | u16::from(x.is_some()));
        bits.write(out);
        let mut near = self.first[0];
        for &range in self.x.iter().flatten() {
            write_place(range, [near, range[0]], out);
            near = range[1];
        }
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let first = read_place([0.0; 2], input)?;
        let (last, y) = (read_place(first, input)?, read_place([first[1]; 2], input)?);
        let bits = u16::read(input)?;
        let mut x = [None; 16];
        let mut near = first[0];
        for (sector, range) in x.iter_mut().enumerate() {
            if bits >> sector & 1 == 1 {
                let start = read_float(near, 1.0, input)?;
                near = read_float(start, 1.0, input)?;
                *range = Some([start, near]);
            }
        }
        Some(Self { first, last, y, x })
    }
}

/// Appends a fix. Returns it, for the fix that follows.
fn write_fix(fix: FixState, near: FixState, out: &mut Vec<u8>) -> FixState {
    let AttributesState { z, unix_ns } = fix.attributes;
    write_flags([z.is_some(), unix_ns.is_some()], out);
    write_place(fix.at, near.at, out);
    if let Some(z) = z {
        write_float(z, near.attributes.z.unwrap_or_default(), PARTS, out);
    }
    if let Some(unix_ns) = unix_ns {
        write_time(unix_ns, near.attributes.unix_ns.unwrap_or_default(), out);
    }
    fix
}

fn read_fix(near: FixState, input: &mut &[u8]) -> Option<FixState> {
    let [has_z, has_time] = read_flags(input)?;
    let at = read_place(near.at, input)?;
    let mut attributes = AttributesState::default();
    if has_z {
        let near = near.attributes.z.unwrap_or_default();
        attributes.z = Some(read_float(near, PARTS, input)?);
    }
    if has_time {
        let near = near.attributes.unix_ns.unwrap_or_default();
        attributes.unix_ns = Some(read_time(near, input)?);
    }
    Some(FixState { at, attributes })
}

/// Returns a fix at the last accepted place.
fn last_accepted(accepted: &PolylineState) -> FixState {
    let at = accepted.places.map_or([0.0; 2], |places| places.last);
    FixState { at, attributes: AttributesState::default() }
}

impl Field for FilterState {
    fn write(&self, out: &mut Vec<u8>) {
        self.accepted.write(out);
        self.screened.write(out);
        let mut near = last_accepted(&self.accepted);
        let before = self.tentative.map(|tentative| tentative.before);
        let timed = self.segment.map(|segment| segment.timed);
        let flags = [
            self.segment.is_some(),
            timed.flatten().is_some(),
            self.tentative.is_some(),
            before.flatten().is_some(),
        ];
        write_flags(flags, out);
        if let Some(SegmentState { accepted, checked, timed }) = self.segment {
            near = write_fix(accepted, near, out);
            write_place(checked, near.at, out);
            if let Some(TimedPlaceState { at, unix_ns }) = timed {
                write_place(at, checked, out);
                write_time(unix_ns, near.attributes.unix_ns.unwrap_or_default(), out);
            }
        }
        if let Some(TentativeState { offset, before }) = self.tentative {
            write_unsigned(offset.into(), out);
            before.iter().for_each(|&before| write_place(before, near.at, out));
        }
        let mut near_offset = 0;
        write_list(&self.candidates, out, |candidate, out| {
            near = write_fix(candidate.fix, near, out);
            write_offset(candidate.offset, near_offset, out);
            near_offset = candidate.offset;
            candidate.reason.write(out);
        });
        for RejectionState { count, first_offset, length } in
            self.rejections.iter().take(STORED_REASONS)
        {
            write_unsigned((*count).into(), out);
            write_unsigned((*first_offset).into(), out);
            write_signed_sum(*length, out);
        }
        write_signed_sum(self.gap_length, out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let accepted = Field::read(input)?;
        let screened = Field::read(input)?;
        let mut near = last_accepted(&accepted);
        let [has_segment, has_timed, has_tentative, has_before] = read_flags(input)?;
        if has_timed && !has_segment || has_before && !has_tentative {
            return None;
        }
        let mut segment = None;
        if has_segment {
            near = read_fix(near, input)?;
            let (checked, mut timed) = (read_place(near.at, input)?, None);
            if has_timed {
                let at = read_place(checked, input)?;
                let near_ns = near.attributes.unix_ns.unwrap_or_default();
                timed = Some(TimedPlaceState { at, unix_ns: read_time(near_ns, input)? });
            }
            segment = Some(SegmentState { accepted: near, checked, timed });
        }
        let mut tentative = None;
        if has_tentative {
            let offset = read_unsigned(input)?;
            let before = if has_before { Some(read_place(near.at, input)?) } else { None };
            tentative = Some(TentativeState { offset, before });
        }
        let mut near_offset = 0;
        let candidates = read_list(input, REANCHOR_COUNT_MAX as usize, |input| {
            near = read_fix(near, input)?;
            near_offset = read_offset(near_offset, input)?;
            Some(CandidateState { fix: near, offset: near_offset, reason: Field::read(input)? })
        })?;
        let mut rejections = [RejectionState::default(); _];
        for rejection in rejections.iter_mut().take(STORED_REASONS) {
            *rejection = RejectionState {
                count: read_unsigned(input)?,
                first_offset: read_unsigned(input)?,
                length: read_signed_sum(input)?,
            };
        }
        let gap_length = read_signed_sum(input)?;
        Some(Self { accepted, screened, segment, tentative, candidates, rejections, gap_length })
    }
}

impl Field for StatsState {
    fn write(&self, out: &mut Vec<u8>) {
        let flags = [
            self.checked_times.is_some(),
            self.accepted_times.is_some(),
            self.moving_ns.is_some(),
            self.max_speed.is_some(),
            self.speed_runs.is_some(),
            self.climb.is_some(),
        ];
        write_flags(flags, out);
        let mut near_ns = 0;
        for unix_ns in [self.checked_times, self.accepted_times].into_iter().flatten().flatten() {
            write_time(unix_ns, near_ns, out);
            near_ns = unix_ns;
        }
        self.moving_ns.iter().for_each(|&ns| write_unsigned(ns.into(), out));
        self.max_speed.iter().for_each(|speed| speed.write(out));
        if let Some(SpeedRunsState { open, length, last_unix_ns }) = &self.speed_runs {
            write_time(*last_unix_ns, near_ns, out);
            write_sum(*length, out);
            near_ns = *last_unix_ns;
            write_list(open, out, |run, out| {
                write_time(run.unix_ns, near_ns, out);
                write_sum(run.length, out);
                near_ns = run.unix_ns;
            });
        }
        self.climb.iter().flatten().for_each(|&sum| write_sum(sum, out));
        write_sum(self.length_3d, out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let [has_checked, has_accepted, has_moving, has_speed, has_runs, has_climb] =
            read_flags(input)?;
        let mut state = Self::default();
        let mut near_ns = 0;
        let mut times = |has_times: bool, input: &mut &[u8]| {
            let mut times = has_times.then_some([0; 2]);
            for unix_ns in times.iter_mut().flatten() {
                near_ns = read_time(near_ns, input)?;
                *unix_ns = near_ns;
            }
            Some(times)
        };
        state.checked_times = times(has_checked, input)?;
        state.accepted_times = times(has_accepted, input)?;
        if has_moving {
            state.moving_ns = Some(read_unsigned(input)?);
        }
        if has_speed {
            state.max_speed = Some(Field::read(input)?);
        }
        if has_runs {
            let last_unix_ns = read_time(near_ns, input)?;
            let length = read_sum(input)?;
            near_ns = last_unix_ns;
            let open = read_list(input, u16::MAX.into(), |input| {
                near_ns = read_time(near_ns, input)?;
                Some(SpeedRunState { unix_ns: near_ns, length: read_sum(input)? })
            })?;
            state.speed_runs = Some(SpeedRunsState { open, length, last_unix_ns });
        }
        if has_climb {
            state.climb = Some([read_sum(input)?, read_sum(input)?]);
        }
        state.length_3d = read_sum(input)?;
        Some(state)
    }
}

impl Field for ReorderState {
    fn write(&self, out: &mut Vec<u8>) {
        let SkippedFixesState { count, first_offset } = self.duplicates;
        let flags = [
            self.left_unix_ns.is_some(),
            self.sent_unix_ns.is_some(),
            self.left_at.is_some(),
            count > 0,
        ];
        write_flags(flags, out);
        let mut near = BufferedFixState::default();
        for unix_ns in [self.left_unix_ns, self.sent_unix_ns].into_iter().flatten() {
            write_time(unix_ns, near.key_unix_ns, out);
            near.key_unix_ns = unix_ns;
        }
        if let Some(at) = self.left_at {
            write_place(at, near.at, out);
            near.at = at;
        }
        if count > 0 {
            write_unsigned(count.into(), out);
            write_unsigned(first_offset.into(), out);
        }
        write_list(&self.waiting, out, |fix, out| {
            // A fix with a time has it as its key.
            let AttributesState { z, unix_ns } = fix.attributes;
            write_flags([z.is_some(), unix_ns.is_some(), fix.accuracy_m.is_some()], out);
            write_time(fix.key_unix_ns, near.key_unix_ns, out);
            write_place(fix.at, near.at, out);
            let number = |value: Option<f64>, near: Option<f64>, out: &mut Vec<u8>| {
                value
                    .iter()
                    .for_each(|&value| write_float(value, near.unwrap_or_default(), PARTS, out));
            };
            number(z, near.attributes.z, out);
            number(fix.accuracy_m, near.accuracy_m, out);
            write_offset(fix.offset, near.offset, out);
            near = *fix;
        });
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let [has_left, has_sent, has_place, has_duplicates] = read_flags(input)?;
        let mut near = BufferedFixState::default();
        let mut time = |has_time: bool, input: &mut &[u8]| {
            if !has_time {
                return Some(None);
            }
            near.key_unix_ns = read_time(near.key_unix_ns, input)?;
            Some(Some(near.key_unix_ns))
        };
        let (left_unix_ns, sent_unix_ns) = (time(has_left, input)?, time(has_sent, input)?);
        let left_at = match has_place {
            true => Some(read_place(near.at, input)?),
            false => None,
        };
        near.at = left_at.unwrap_or(near.at);
        let duplicates = match has_duplicates {
            true => SkippedFixesState {
                // The flag is set for 1 or more.
                count: read_unsigned(input).filter(|&count| count > 0)?,
                first_offset: read_unsigned(input)?,
            },
            false => SkippedFixesState::default(),
        };
        let waiting = read_list(input, Reorder::COUNT_MAX as usize, |input| {
            let [has_z, has_time, has_accuracy] = read_flags(input)?;
            let key_unix_ns = read_time(near.key_unix_ns, input)?;
            let at = read_place(near.at, input)?;
            let number = |has_number: bool, near: Option<f64>, input: &mut &[u8]| match has_number {
                false => Some(None),
                true => read_float(near.unwrap_or_default(), PARTS, input).map(Some),
            };
            let z = number(has_z, near.attributes.z, input)?;
            let accuracy_m = number(has_accuracy, near.accuracy_m, input)?;
            let attributes = AttributesState { z, unix_ns: has_time.then_some(key_unix_ns) };
            let offset = read_offset(near.offset, input)?;
            near = BufferedFixState { at, key_unix_ns, attributes, accuracy_m, offset };
            Some(near)
        })?;
        Some(Self { waiting, left_unix_ns, left_at, sent_unix_ns, duplicates })
    }
}
