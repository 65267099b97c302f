//! Tests of the bulk decoder against single varints.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn every_level_counts_the_same_ends(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let surveys: Vec<_> = Level::all().into_iter().map(|level| survey(level, &bytes)).collect();
        prop_assert!(surveys.iter().all(|survey| *survey == surveys[0]));
        prop_assert_eq!(surveys[0].0, bytes.iter().filter(|&&byte| byte < 0x80).count() as u64);
    }

    #[test]
    fn the_count_is_the_number_of_complete_varints(
        varints in prop::collection::vec((0..13_usize, any::<u8>()), 0..20),
    ) {
        let mut bytes = Vec::new();
        let mut is_good = true;
        for &(continued, last) in &varints {
            bytes.extend(vec![0xff; continued]);
            bytes.push(last & 0x7f);
            is_good &= continued < 9 || (continued == 9 && last & 0x7f <= 1);
        }
        prop_assert_eq!(count(&bytes), is_good.then_some(varints.len()));
        bytes.push(0x80);
        prop_assert_eq!(count(&bytes), None);
    }

    #[test]
    fn every_level_decodes_the_same_sums_as_single_varints(
        bytes in prop::collection::vec(any::<u8>(), 0..400), shape in 0..4_u8, cut in 0..300_usize,
    ) {
        // Varints of all lengths, of one byte, of two bytes, and of up to two bytes.
        let shaped = bytes.iter().enumerate().map(|(index, byte)| match shape {
            0 => *byte,
            1 => byte & 0x7f,
            2 => byte & 0x7f | if index % 2 == 0 { 0x80 } else { 0 },
            _ => byte & if index % 2 == 0 { 0xff } else { 0x7f },
        });
        let mut bytes: Vec<_> = shaped.collect();
        // Remove an incomplete varint at the end.
        while count(&bytes).is_none() {
            bytes.pop();
        }
        let len = count(&bytes).unwrap_or_default();
        let mut expected = vec![0; len];
        let (mut cursor, mut expected_overflow) = (Cursor::new(&bytes), 0);
        for out in &mut expected {
            *out = cursor.next_sum(&mut expected_overflow);
        }
        for level in Level::all() {
            let (mut cursor, mut out) = (Cursor::new(&bytes), vec![0; len]);
            let (first, second) = out.split_at_mut(cut.min(len));
            let overflow = decode(level, &mut cursor, first) | decode(level, &mut cursor, second);
            prop_assert_eq!(&out, &expected);
            prop_assert_eq!(overflow < 0, expected_overflow < 0);
            prop_assert_eq!(cursor.at, bytes.len());
        }
    }
}
