//! Numbers of variable length, for the lists in a fold: 7 bits a byte, the lowest first, and the highest bit of a byte
//! is set if another byte follows (LEB128). Signed numbers are in zigzag order. Each number has one encoding.

use super::field::take;

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

/// Appends the number of values, and the values.
pub(super) fn write_list<T>(values: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
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
    }

    #[test]
    fn other_encodings_are_refused() {
        let read = |bytes: &[u8]| read_unsigned::<u128>(&mut &*bytes);
        assert_eq!(read(&[0x7f]), Some(127));
        assert_eq!(read(&[0x80, 1]), Some(128));
        assert_eq!([&[0x80_u8, 0][..], &[0x80], &[], &[0xff; 19]].map(read), [None; 4]);
        assert_eq!(read_unsigned::<u8>(&mut &[0x80, 2][..]), None);
        assert_eq!(read_list(&mut &[2, 5][..], 9, |input| take::<1>(input)), None);
        assert_eq!(read_list(&mut &[2, 5, 6][..], 1, |input| take::<1>(input)), None);
    }
}
