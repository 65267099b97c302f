//! The bytes of single values in versions 3 to 5: little endian, of fixed size, one encoding for each value.
//!
//! | type | bytes |
//! |---|---|
//! | integer | all its bytes |
//! | `bool` | 0 or 1 |
//! | `f64` | the bytes of its bit pattern |
//! | exact sum | 16, the number of units of 2^-64 |
//! | array, pair | one element after another |
//! | `Option` | 0, or 1 and the value |
//! | struct | one field after another |

use crate::measure::{ExactSum, SignedSum};

/// A value that is written to bytes and read from them.
pub(super) trait Field: Sized {
    fn write(&self, out: &mut Vec<u8>);

    /// Reads a value from the start of `input` and moves `input` past it. Returns `None` if the bytes are not the
    /// encoding of a value.
    fn read(input: &mut &[u8]) -> Option<Self>;
}

/// Takes `N` bytes from the start of `input`.
pub(super) fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*taken)
}

macro_rules! number {
    ($($number:ty),*) => { $(
        impl Field for $number {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }

            fn read(input: &mut &[u8]) -> Option<Self> {
                take(input).map(Self::from_le_bytes)
            }
        }
    )* };
}

number!(f32, i32, u8, u16, u32, u64, i64, u128, f64);

impl Field for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        match u8::read(input)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Field> Field for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        match bool::read(input)? {
            true => T::read(input).map(Some),
            false => Some(None),
        }
    }
}

impl<T: Field + Copy + Default, const N: usize> Field for [T; N] {
    fn write(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.write(out));
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = T::read(input)?;
        }
        Some(values)
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        Some((A::read(input)?, B::read(input)?))
    }
}

impl Field for ExactSum {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.to_bytes());
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        take(input).map(Self::from_bytes)
    }
}

impl Field for SignedSum {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.to_bytes());
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        take(input).map(Self::from_bytes)
    }
}

/// Encodes a struct as its fields, in the order of the list.
macro_rules! fields {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl Field for $type {
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)*
            }

            fn read(input: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: Field::read(input)?),* })
            }
        }
    };
}
pub(super) use fields;
