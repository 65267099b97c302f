//! Numbers of variable length, for the lists in a fold: 7 bits a byte, the lowest first, and the highest bit of a byte
//! is set if another byte follows (LEB128). Signed numbers are in zigzag order. Each number has one encoding.

use super::field::take;
use crate::measure::{ExactSum, SignedSum};

const NS_PER_MS: i64 = 1_000_000;
/// A bound of the numbers that are written as whole numbers of units.
const UNITS_END: f64 = (1_u64 << 53) as f64;

/// Appends a number.
pub(super) fn write_unsigned(mut value: u128, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a number. Returns `None` if the bytes are not its shortest encoding, or if it is out of range.
pub(super) fn read_unsigned<T: TryFrom<u128>>(input: &mut &[u8]) -> Option<T> {
    let (mut value, mut shift) = (0_u128, 0);
    loop {
        let [byte] = take(input)?;
        let bits = u128::from(byte & 0x7f);
        value |= bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits)?;
        if byte & 0x80 == 0 {
            let is_shortest = byte != 0 || shift == 0;
            return is_shortest.then_some(value).and_then(|value| value.try_into().ok());
        }
        shift += 7;
    }
}

/// Appends a signed number.
pub(super) fn write_signed(value: i64, out: &mut Vec<u8>) {
    let zigzag = (value << 1) ^ (value >> 63);
    write_unsigned((zigzag as u64).into(), out);
}

/// Reads a signed number.
pub(super) fn read_signed(input: &mut &[u8]) -> Option<i64> {
    let zigzag: u64 = read_unsigned(input)?;
    Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
}

/// Appends an exact sum as its number of units of 2^-64.
pub(super) fn write_sum(sum: ExactSum, out: &mut Vec<u8>) {
    write_unsigned(u128::from_le_bytes(sum.to_bytes()), out);
}

/// Reads an exact sum.
pub(super) fn read_sum(input: &mut &[u8]) -> Option<ExactSum> {
    read_unsigned(input).map(|units: u128| ExactSum::from_bytes(units.to_le_bytes()))
}

/// Appends a signed sum as its number of units of 2^-64.
pub(super) fn write_signed_sum(sum: SignedSum, out: &mut Vec<u8>) {
    let units = i128::from_le_bytes(sum.to_bytes());
    write_unsigned(((units << 1) ^ (units >> 127)) as u128, out);
}

/// Reads a signed sum.
pub(super) fn read_signed_sum(input: &mut &[u8]) -> Option<SignedSum> {
    let zigzag: u128 = read_unsigned(input)?;
    let units = (zigzag >> 1) as i128 ^ -((zigzag & 1) as i128);
    Some(SignedSum::from_bytes(units.to_le_bytes()))
}

/// Appends the difference of a time to another one: milliseconds, or else nanoseconds.
pub(super) fn write_time(unix_ns: i64, near_ns: i64, out: &mut Vec<u8>) {
    let difference = unix_ns.wrapping_sub(near_ns);
    match difference % NS_PER_MS {
        0 => write_tagged(difference / NS_PER_MS, false, out),
        _ => write_tagged(difference, true, out),
    }
}

/// Reads a time.
pub(super) fn read_time(near_ns: i64, input: &mut &[u8]) -> Option<i64> {
    let difference = match read_tagged(input)? {
        (ms, false) => ms.checked_mul(NS_PER_MS)?,
        (ns, true) => Some(ns).filter(|ns| ns % NS_PER_MS != 0)?,
    };
    Some(near_ns.wrapping_add(difference))
}

/// Appends the difference of a number to another one: in units of 1 / `scale` if the number is a whole number of
/// them, or else of the bit patterns.
pub(super) fn write_float(value: f64, near: f64, scale: f64, out: &mut Vec<u8>) {
    match whole(value, scale) {
        Some(units) => write_tagged(units - nearest(near, scale), false, out),
        None => write_tagged(value.to_bits().wrapping_sub(near.to_bits()) as i64, true, out),
    }
}

/// Reads a number.
pub(super) fn read_float(near: f64, scale: f64, input: &mut &[u8]) -> Option<f64> {
    let (difference, is_bits) = read_tagged(input)?;
    let (value, units) = match is_bits {
        false => {
            let units = nearest(near, scale).checked_add(difference)?;
            (units as f64 / scale, Some(units))
        }
        true => (f64::from_bits(near.to_bits().wrapping_add(difference as u64)), None),
    };
    (whole(value, scale) == units).then_some(value)
}

/// Returns the number of units of a value that is a whole number of them, below 2^53.
fn whole(value: f64, scale: f64) -> Option<i64> {
    let units = (value * scale).round();
    let is_whole =
        units.abs() < UNITS_END && (units as i64 as f64 / scale).to_bits() == value.to_bits();
    is_whole.then_some(units as i64)
}

/// Returns the nearest number of units of any value, below 2^53.
fn nearest(value: f64, scale: f64) -> i64 {
    // NaN becomes 0.
    (value * scale).round().clamp(-UNITS_END, UNITS_END) as i64
}

/// Appends a signed number and a bit.
fn write_tagged(value: i64, tag: bool, out: &mut Vec<u8>) {
    let zigzag = (value << 1) ^ (value >> 63);
    write_unsigned(u128::from(zigzag as u64) << 1 | u128::from(tag), out);
}

/// Reads a signed number and a bit.
fn read_tagged(input: &mut &[u8]) -> Option<(i64, bool)> {
    let tagged: u128 = read_unsigned(input)?;
    let zigzag = u64::try_from(tagged >> 1).ok()?;
    Some(((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64), tagged & 1 == 1))
}

/// Appends the number of values, and the values.
pub(super) fn write_list<T>(
    values: &[T],
    out: &mut Vec<u8>,
    mut write: impl FnMut(&T, &mut Vec<u8>),
) {
    write_unsigned(values.len() as u128, out);
    values.iter().for_each(|value| write(value, out));
}

/// Reads values and their number, which is at most `max`.
pub(super) fn read_list<T>(
    input: &mut &[u8],
    max: usize,
    mut read: impl FnMut(&mut &[u8]) -> Option<T>,
) -> Option<Vec<T>> {
    let count: usize = read_unsigned(input)?;
    // A value has at least a byte, so that a wrong number cannot cause a large allocation.
    if count > max || count > input.len() {
        return None;
    }
    (0..count).map(|_| read(input)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_survive_a_round_trip(unsigned: u128, shift in 0..128_u32, signed: i64) {
            let unsigned = unsigned >> shift;
            let mut bytes = Vec::new();
            write_unsigned(unsigned, &mut bytes);
            write_signed(signed, &mut bytes);
            let input = &mut &bytes[..];
            prop_assert_eq!(read_unsigned::<u128>(input), Some(unsigned));
            prop_assert_eq!(read_signed(input), Some(signed));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn times_floats_and_sums_survive_a_round_trip(
            (time, near_ns) in (any::<i64>(), any::<i64>()),
            ms in -1_000_000_i64..1_000_000,
            (units, bits, near_bits) in any::<(i32, u64, u64)>(),
            (sum, signed) in any::<([u8; 16], [u8; 16])>(),
            scale in prop::sample::select(vec![1.0, 1e3, 1e7]),
        ) {
            let (sum, signed) = (ExactSum::from_bytes(sum), SignedSum::from_bytes(signed));
            let mut bytes = Vec::new();
            write_sum(sum, &mut bytes);
            write_signed_sum(signed, &mut bytes);
            let times = [time, near_ns, near_ns.wrapping_add(ms * NS_PER_MS), i64::MIN, i64::MAX];
            times.iter().for_each(|&time| write_time(time, near_ns, &mut bytes));
            let floats = [f64::from_bits(bits), f64::from(units) / scale, -0.0, 0.0, f64::INFINITY, 1e300];
            let nears = [f64::from_bits(near_bits), f64::from(units), f64::NAN, -1e300];
            for near in nears {
                floats.iter().for_each(|&value| write_float(value, near, scale, &mut bytes));
            }
            let input = &mut &bytes[..];
            prop_assert_eq!((read_sum(input), read_signed_sum(input)), (Some(sum), Some(signed)));
            for time in times {
                prop_assert_eq!(read_time(near_ns, input), Some(time));
            }
            for near in nears {
                for value in floats {
                    let read = read_float(near, scale, input);
                    prop_assert_eq!(read.map(f64::to_bits), Some(value.to_bits()));
                }
            }
            prop_assert!(input.is_empty());
        }

        #[test]
        fn a_number_that_is_read_is_written_as_the_same_bytes(
            bytes in prop::collection::vec(any::<u8>(), 1..12),
            (near_ns, near) in any::<(i64, f64)>(),
            scale in prop::sample::select(vec![1.0, 1e3, 1e7]),
        ) {
            let (mut input, mut out) = (&bytes[..], Vec::new());
            if let Some(time) = read_time(near_ns, &mut input) {
                write_time(time, near_ns, &mut out);
                prop_assert_eq!(&out, &bytes[..bytes.len() - input.len()]);
            }
            (input, out) = (&bytes[..], Vec::new());
            if let Some(value) = read_float(near, scale, &mut input) {
                write_float(value, near, scale, &mut out);
                prop_assert_eq!(&out, &bytes[..bytes.len() - input.len()]);
            }
        }
    }

    #[test]
    fn near_numbers_are_short() {
        let float = |value: f64, near: f64, scale: f64| {
            let mut bytes = Vec::new();
            write_float(value, near, scale, &mut bytes);
            bytes.len()
        };
        assert_eq!((float(138_000_031.0, 138_000_000.0, 1.0), float(601.3, 600.0, 1e3)), (1, 2));
        assert_eq!(float(138_000_000.3, 138_000_000.7, 1.0), 4);
        let mut bytes = Vec::new();
        write_time(1_700_000_001_500_000_000, 1_700_000_000_000_000_000, &mut bytes);
        assert_eq!(bytes.len(), 2);
    }

    #[test]
    fn other_encodings_are_refused() {
        let read = |bytes: &[u8]| read_unsigned::<u128>(&mut &*bytes);
        assert_eq!(read(&[0x7f]), Some(127));
        assert_eq!(read(&[0x80, 1]), Some(128));
        assert_eq!([&[0x80_u8, 0][..], &[0x80], &[], &[0xff; 19]].map(read), [None; 4]);
        assert_eq!(read_unsigned::<u8>(&mut &[0x80, 2][..]), None);
        assert_eq!(read_list(&mut &[2, 5][..], 9, take::<1>), None);
        assert_eq!(read_list(&mut &[2, 5, 6][..], 1, take::<1>), None);
    }
}
