//! The bytes of climbs, windows and the estimate, which came with version 5.
//!
//! | value | bytes |
//! |---|---|
//! | [`ClimbState`] | its fields |
//! | [`WindowsState`] | the number of windows; for each the difference of its key to the key before, the length in units of 2^-64 and the number of fixes; then the other fields. The last byte is 1 if the windows were dropped, 2 if the part of the earlier windows follows, and 0 otherwise |
//! | [`EstimateState`] | the number of the following bytes; [`MODEL_VERSION`]; its fields, in which times and positions are differences to a value before them where there is one |
//!
//! The numbers in lists have a variable length; see `compact.rs`.

use super::compact::{
    read_float, read_list, read_signed, read_sum, read_time, read_unsigned, write_float,
    write_list, write_signed, write_sum, write_time, write_unsigned,
};
use super::field::{Field, fields};
use crate::measure::{
    ClimbState, EarlierWindowsState, EstimateOptions, EstimateState, EstimatedLength, LegState,
    OpenTripState, PieceState, PlaceState, SlowTimeState, SmootherState, Stop, Trip, WindowOptions,
    WindowState, WindowUnit, WindowsState, Zone,
};

/// The version of the models of the estimate. Raise it when a model or a constant changes, because a recording cannot
/// continue with other filters.
const MODEL_VERSION: u8 = 1;

fields!(ClimbState { smoother, squares, square_count, ignores_times, leg, sums });

fields!(SmootherState { last_ns, offset_ns, sum, count, means, durations, closed });

fields!(LegState { from, to, is_confirmed });

/// The bit of the maximum number of windows that is set if the latest windows are kept.
const KEEP_LATEST: u32 = 1 << 31;

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
        // The options were checked: the number is at most 100 000.
        let keep_latest = if self.keep_latest { KEEP_LATEST } else { 0 };
        (self.max_windows | keep_latest).write(out);
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
        let text = String::from_utf8(read_list(input, usize::from(u8::MAX), u8::read)?).ok()?;
        // A zone is written in one way only, and parsed in any case.
        let zone = Zone::parse(&text).ok().filter(|zone| zone.to_string() == text)?;
        let bits = u32::read(input)?;
        let keep_latest = bits & KEEP_LATEST != 0;
        Some(Self { unit, zone, max_windows: bits & !KEEP_LATEST, keep_latest })
    }
}

impl Field for WindowsState {
    fn write(&self, out: &mut Vec<u8>) {
        let mut key = 0;
        write_unsigned(self.windows.len() as u128, out);
        for window in &self.windows {
            write_signed(window.key.wrapping_sub(key), out);
            key = window.key;
            write_sum(window.length, out);
            write_unsigned(window.point_count.into(), out);
        }
        self.undated_length.write(out);
        self.undated_point_count.write(out);
        self.extra_crossings.write(out);
        let Some(earlier) = self.earlier else { return self.is_dropped.write(out) };
        out.push(2);
        write_signed(earlier.first_key, out);
        write_signed(earlier.last_key.wrapping_sub(earlier.first_key), out);
        write_sum(earlier.length, out);
        write_unsigned(earlier.point_count.into(), out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let mut key = 0_i64;
        let windows = read_list(input, WindowOptions::WINDOWS_MAX as usize, |input| {
            key = key.wrapping_add(read_signed(input)?);
            let length = read_sum(input)?;
            Some(WindowState { key, length, point_count: read_unsigned(input)? })
        })?;
        let mut state = Self {
            windows,
            earlier: None,
            undated_length: Field::read(input)?,
            undated_point_count: Field::read(input)?,
            extra_crossings: Field::read(input)?,
            is_dropped: false,
        };
        match u8::read(input)? {
            0 => {}
            1 => state.is_dropped = true,
            2 => {
                let first_key = read_signed(input)?;
                state.earlier = Some(EarlierWindowsState {
                    first_key,
                    last_key: first_key.wrapping_add(read_signed(input)?),
                    length: read_sum(input)?,
                    point_count: read_unsigned(input)?,
                });
            }
            _ => return None,
        }
        Some(state)
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
    let mut near = Near::default();
    write_list(&state.stops, out, |stop, out| write_stop(stop, &mut near, out));
    let mut near = Near::default();
    write_list(&state.trips, out, |trip, out| write_trip(trip, &mut near, out));
}

fn read_estimate(input: &mut &[u8]) -> Option<EstimateState> {
    let list_max = EstimateOptions::TRIPS_MAX as usize;
    let (mut near_stop, mut near_trip) = (Near::default(), Near::default());
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
        stops: read_list(input, list_max, |input| read_stop(&mut near_stop, input))?,
        trips: read_list(input, list_max, |input| read_trip(&mut near_trip, input))?,
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
            let [longitude_e7, latitude_e7, ns] = *difference;
            write_signed(longitude_e7, out);
            write_signed(latitude_e7, out);
            write_time(ns, 0, out);
        });
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        Some(Self {
            base: Field::read(input)?,
            interval_ns: Field::read(input)?,
            irregularity: Field::read(input)?,
            filters: (0..Self::FILTER_VALUES).map(|_| f32::read(input)).collect::<Option<_>>()?,
            waiting: read_list(input, Self::MAX_WAITING, |input| {
                Some([read_signed(input)?, read_signed(input)?, read_time(0, input)?])
            })?,
        })
    }
}

fields!(PlaceState { longitude_e7, latitude_e7, unix_ns });

impl Field for SlowTimeState {
    fn write(&self, out: &mut Vec<u8>) {
        self.first.write(out);
        write_place(self.last, self.first, out);
        self.offsets_e7.iter().for_each(|&offset| write_signed(offset, out));
        write_unsigned(self.count.into(), out);
        write_unsigned(self.still_ns.into(), out);
        self.sums.write(out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let first = PlaceState::read(input)?;
        Some(Self {
            first,
            last: read_place(first, input)?,
            offsets_e7: [read_signed(input)?, read_signed(input)?],
            count: read_unsigned(input)?,
            still_ns: read_unsigned(input)?,
            sums: Field::read(input)?,
        })
    }
}

impl Field for OpenTripState {
    fn write(&self, out: &mut Vec<u8>) {
        self.first.write(out);
        write_place(self.last, self.first, out);
        self.sums.write(out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let first = PlaceState::read(input)?;
        Some(Self { first, last: read_place(first, input)?, sums: Field::read(input)? })
    }
}

/// Appends the differences of a fix to another one.
fn write_place(place: PlaceState, near: PlaceState, out: &mut Vec<u8>) {
    write_signed(i64::from(place.longitude_e7) - i64::from(near.longitude_e7), out);
    write_signed(i64::from(place.latitude_e7) - i64::from(near.latitude_e7), out);
    write_time(place.unix_ns, near.unix_ns, out);
}

fn read_place(near: PlaceState, input: &mut &[u8]) -> Option<PlaceState> {
    let coordinate = |near: i32, difference: i64| {
        i64::from(near).checked_add(difference).and_then(|value| value.try_into().ok())
    };
    Some(PlaceState {
        longitude_e7: coordinate(near.longitude_e7, read_signed(input)?)?,
        latitude_e7: coordinate(near.latitude_e7, read_signed(input)?)?,
        unix_ns: read_time(near.unix_ns, input)?,
    })
}

/// The time and the position in degrees of the value before another one in a list.
#[derive(Clone, Copy, Default)]
struct Near {
    unix_ns: i64,
    position: [f64; 2],
}

impl Near {
    fn write_time(&mut self, unix_ns: i64, out: &mut Vec<u8>) {
        write_time(unix_ns, self.unix_ns, out);
        self.unix_ns = unix_ns;
    }

    fn read_time(&mut self, input: &mut &[u8]) -> Option<i64> {
        self.unix_ns = read_time(self.unix_ns, input)?;
        Some(self.unix_ns)
    }

    fn write_position(&mut self, position: [f64; 2], out: &mut Vec<u8>) {
        position
            .iter()
            .zip(self.position)
            .for_each(|(&value, near)| write_float(value, near, 1e7, out));
        self.position = position;
    }

    fn read_position(&mut self, input: &mut &[u8]) -> Option<[f64; 2]> {
        let [x, y] = self.position;
        self.position = [read_float(x, 1e7, input)?, read_float(y, 1e7, input)?];
        Some(self.position)
    }
}

fn write_stop(stop: &Stop, near: &mut Near, out: &mut Vec<u8>) {
    near.write_position(stop.position, out);
    near.write_time(stop.arrival_unix_ns, out);
    near.write_time(stop.departure_unix_ns, out);
}

fn read_stop(near: &mut Near, input: &mut &[u8]) -> Option<Stop> {
    Some(Stop {
        position: near.read_position(input)?,
        arrival_unix_ns: near.read_time(input)?,
        departure_unix_ns: near.read_time(input)?,
    })
}

fn write_trip(trip: &Trip, near: &mut Near, out: &mut Vec<u8>) {
    near.write_time(trip.start_unix_ns, out);
    near.write_time(trip.end_unix_ns, out);
    near.write_position(trip.start_position, out);
    near.write_position(trip.end_position, out);
    trip.length.write(out);
}

fn read_trip(near: &mut Near, input: &mut &[u8]) -> Option<Trip> {
    Some(Trip {
        start_unix_ns: near.read_time(input)?,
        end_unix_ns: near.read_time(input)?,
        start_position: near.read_position(input)?,
        end_position: near.read_position(input)?,
        length: Field::read(input)?,
    })
}

fields!(EstimatedLength { length_m, low_m, high_m });
