//! Splits rows without quotes in one pass, eight bytes at a time.

use super::super::decimal::{EACH_BYTE, HIGH_BITS};

/// Adds the fields of a row that a delimiter ends, from the offset `from` on. Returns the offset of the line end or
/// quote after them, or `None` if `text`, which starts with the row, has neither.
pub(super) fn split(
    text: &[u8],
    from: usize,
    delimiter: u8,
    fields: &mut Vec<(usize, usize)>,
) -> Option<usize> {
    let mut field_start = fields.last().map_or(0, |(_, end)| end + 1);
    let mut ends_row = |at: usize, byte: u8| {
        if byte == delimiter {
            fields.push((field_start, at));
            field_start = at + 1;
        }
        matches!(byte, b'\n' | b'\r' | b'"')
    };
    let mut at = from;
    for word in text[from..].chunks_exact(8) {
        let mut marks = marks(word, delimiter);
        while marks != 0 {
            let index = (marks.trailing_zeros() / 8) as usize;
            if ends_row(at + index, word[index]) {
                return Some(at + index);
            }
            marks &= marks - 1;
        }
        at += 8;
    }
    text[at..].iter().position(|byte| {
        at += 1;
        ends_row(at - 1, *byte)
    })?;
    Some(at - 1)
}

/// Returns the high bit of each byte that may be a delimiter, a line end or a quote. Other bytes may be marked, too.
#[inline]
fn marks(word: &[u8], delimiter: u8) -> u64 {
    let word = word.try_into().map_or(0, u64::from_le_bytes);
    let difference = word ^ (EACH_BYTE * u64::from(delimiter));
    let is_delimiter = difference.wrapping_sub(EACH_BYTE) & !difference;
    let is_small = word.wrapping_sub(EACH_BYTE * u64::from(b'"' + 1)) & !word;
    (is_delimiter | is_small) & HIGH_BITS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_are_those_of_a_search_byte_by_byte(
            text in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b','), 5 => b'-'..b'9', 1 => b'+'..b'/'], 0..60),
            delimiter in prop::sample::select(b",;\t| \xff".to_vec()),
            split_at in 0..60_usize,
        ) {
            let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r' | b'"') && *byte != delimiter);
            let mut expected = Vec::new();
            let mut start = 0;
            for at in (0..end.unwrap_or(text.len())).filter(|at| text[*at] == delimiter) {
                expected.push((start, at));
                start = at + 1;
            }
            // The text may arrive in two parts.
            let first = &text[..split_at.min(text.len())];
            let mut fields = Vec::new();
            let found = match split(first, 0, delimiter, &mut fields) {
                Some(at) => Some(at),
                None => split(&text, first.len(), delimiter, &mut fields),
            };
            prop_assert_eq!((found, fields), (end, expected));
        }
    }
}
