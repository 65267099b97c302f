//! The bytes of climbs, windows and the estimate, which came with version 5.
//!
//! | value | bytes |
//! |---|---|
//! | [`ClimbState`] | its fields |
//! | [`WindowsState`] | the number of windows; for each the difference of its key to the key before, the length in units of 2^-64 and the number of fixes; then the other fields |
//! | [`EstimateState`] | the number of the following bytes; [`MODEL_VERSION`]; its fields, in which times and positions are differences to a value before them where there is one |
//!
//! The numbers in lists have a variable length; see `compact.rs`.

use super::compact::{
    read_list, read_signed, read_unsigned, write_list, write_signed, write_unsigned,
};
use super::field::{Field, fields};
use crate::measure::{
    ClimbState, EstimateOptions, EstimateState, EstimatedLength, ExactSum, LegState, OpenTripState,
    PieceState, PlaceState, SlowTimeState, SmootherState, Stop, Trip, WindowOptions, WindowState,
    WindowUnit, WindowsState, Zone,
};

/// The version of the models of the estimate. Raise it when a model or a constant changes, because a recording cannot
/// continue with other filters.
const MODEL_VERSION: u8 = 1;

fields!(ClimbState { smoother, squares, square_count, ignores_times, leg, sums });

fields!(SmootherState { last_ns, offset_ns, sum, count, means, durations, closed });

fields!(LegState { from, to, is_confirmed });

impl Field for WindowOptions {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self.unit {
            WindowUnit::Hour => 0,
            WindowUnit::Day => 1,
            WindowUnit::Week => 2,
            WindowUnit::Month => 3,
            WindowUnit::Year => 4,
        });
        write_list(self.zone.to_string().as_bytes(), out, |&byte, out| out.push(byte));
        self.max_windows.write(out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let unit = match u8::read(input)? {
            0 => WindowUnit::Hour,
            1 => WindowUnit::Day,
            2 => WindowUnit::Week,
            3 => WindowUnit::Month,
            4 => WindowUnit::Year,
            _ => return None,
        };
        let zone = String::from_utf8(read_list(input, usize::from(u8::MAX), u8::read)?).ok()?;
        Some(Self { unit, zone: Zone::parse(&zone).ok()?, max_windows: Field::read(input)? })
    }
}

impl Field for WindowsState {
    fn write(&self, out: &mut Vec<u8>) {
        let mut key = 0;
        write_unsigned(self.windows.len() as u128, out);
        for window in &self.windows {
            write_signed(window.key.wrapping_sub(key), out);
            key = window.key;
            write_unsigned(u128::from_le_bytes(window.length.to_bytes()), out);
            write_unsigned(window.point_count.into(), out);
        }
        self.undated_length.write(out);
        self.undated_point_count.write(out);
        self.extra_crossings.write(out);
        self.is_dropped.write(out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let mut key = 0_i64;
        let windows = read_list(input, WindowOptions::WINDOWS_MAX as usize, |input| {
            key = key.wrapping_add(read_signed(input)?);
            let units: u128 = read_unsigned(input)?;
            let length = ExactSum::from_bytes(units.to_le_bytes());
            Some(WindowState { key, length, point_count: read_unsigned(input)? })
        })?;
        Some(Self {
            windows,
            undated_length: Field::read(input)?,
            undated_point_count: Field::read(input)?,
            extra_crossings: Field::read(input)?,
            is_dropped: Field::read(input)?,
        })
    }
}

/// The number of bytes is before the others, so that a program with other models can skip them.
impl Field for EstimateState {
    fn write(&self, out: &mut Vec<u8>) {
        let mut bytes = vec![MODEL_VERSION];
        write_estimate(self, &mut bytes);
        write_unsigned(bytes.len() as u128, out);
        out.extend(bytes);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let length: usize = read_unsigned(input)?;
        let (mut bytes, rest) = input.split_at_checked(length)?;
        *input = rest;
        let is_known = u8::read(&mut bytes)? == MODEL_VERSION;
        read_estimate(&mut bytes).filter(|_| is_known && bytes.is_empty())
    }
}

fn write_estimate(state: &EstimateState, out: &mut Vec<u8>) {
    state.piece.write(out);
    state.backward.write(out);
    state.last.write(out);
    state.slow.write(out);
    state.trip.write(out);
    state.stop.write(out);
    state.sums.write(out);
    for count in [
        state.leg_count,
        state.untimed_count,
        state.skipped_count,
        state.stop_count,
        state.trip_count,
        state.stopped_ns,
    ] {
        write_unsigned(count.into(), out);
    }
    write_list(&state.stops, out, Field::write);
    write_list(&state.trips, out, Field::write);
}

fn read_estimate(input: &mut &[u8]) -> Option<EstimateState> {
    let list_max = EstimateOptions::TRIPS_MAX as usize;
    Some(EstimateState {
        piece: Field::read(input)?,
        backward: Field::read(input)?,
        last: Field::read(input)?,
        slow: Field::read(input)?,
        trip: Field::read(input)?,
        stop: Field::read(input)?,
        sums: Field::read(input)?,
        leg_count: read_unsigned(input)?,
        untimed_count: read_unsigned(input)?,
        skipped_count: read_unsigned(input)?,
        stop_count: read_unsigned(input)?,
        trip_count: read_unsigned(input)?,
        stopped_ns: read_unsigned(input)?,
        stops: read_list(input, list_max, Field::read)?,
        trips: read_list(input, list_max, Field::read)?,
    })
}

impl Field for PieceState {
    fn write(&self, out: &mut Vec<u8>) {
        self.base.write(out);
        self.interval_ns.write(out);
        self.irregularity.write(out);
        // Their number is fixed.
        self.filters.iter().for_each(|value| value.write(out));
        write_list(&self.waiting, out, |difference, out| {
            difference.iter().for_each(|&number| write_signed(number, out));
        });
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        Some(Self {
            base: Field::read(input)?,
            interval_ns: Field::read(input)?,
            irregularity: Field::read(input)?,
            filters: (0..Self::FILTER_VALUES).map(|_| f32::read(input)).collect::<Option<_>>()?,
            waiting: read_list(input, Self::MAX_WAITING, |input| {
                Some([read_signed(input)?, read_signed(input)?, read_signed(input)?])
            })?,
        })
    }
}

fields!(PlaceState { longitude_e7, latitude_e7, unix_ns });

fields!(SlowTimeState { first, last, offsets_e7, count, still_ns, sums });

fields!(OpenTripState { first, last, sums });

impl Field for Stop {
    fn write(&self, out: &mut Vec<u8>) {
        self.position.write(out);
        self.arrival_unix_ns.write(out);
        write_signed(self.departure_unix_ns.wrapping_sub(self.arrival_unix_ns), out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let (position, arrival_unix_ns) = (Field::read(input)?, i64::read(input)?);
        let departure_unix_ns = arrival_unix_ns.wrapping_add(read_signed(input)?);
        Some(Self { position, arrival_unix_ns, departure_unix_ns })
    }
}

impl Field for Trip {
    fn write(&self, out: &mut Vec<u8>) {
        self.start_unix_ns.write(out);
        write_signed(self.end_unix_ns.wrapping_sub(self.start_unix_ns), out);
        self.start_position.write(out);
        self.end_position.write(out);
        self.length.write(out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let start_unix_ns = i64::read(input)?;
        Some(Self {
            start_unix_ns,
            end_unix_ns: start_unix_ns.wrapping_add(read_signed(input)?),
            start_position: Field::read(input)?,
            end_position: Field::read(input)?,
            length: Field::read(input)?,
        })
    }
}

fields!(EstimatedLength { length_m, low_m, high_m });
