//! Round trips of any checkpoint, damage of any byte, golden records of each version.

use proptest::prelude::*;

use super::*;
use crate::measure::{
    ClimbOptions, Elevation, EstimateOptions, Fix, InvalidPoints, Metric, Options, PathAccumulator,
    Point, Reorder, WindowOptions, WindowUnit, Zone,
};

pub(in crate::store) mod golden;
mod sizes;

fn name() -> RecordingName {
    RecordingName::from_id("any").unwrap()
}

fn options() -> impl Strategy<Value = Options> {
    let limit = || prop::option::weighted(0.3, 1.0..1e6_f64);
    let metrics = vec![Metric::Planar, Metric::Haversine, Metric::Geodesic];
    let limits = (limit(), limit(), limit(), limit(), limit());
    let modes = vec![InvalidPoints::RejectCall, InvalidPoints::Skip, InvalidPoints::Split];
    let modes = prop::sample::select(modes);
    let rest = (any::<bool>(), any::<bool>(), 1..5_u32, any::<Option<u32>>(), modes);
    let new = (any::<bool>(), any::<bool>(), 0..600_000_000_000_u64, any::<Option<u8>>());
    let units = vec![WindowUnit::Hour, WindowUnit::Day, WindowUnit::Month, WindowUnit::Year];
    let zones = vec!["Europe/Ljubljana", "UTC", "-03:30"];
    let windows =
        (prop::sample::select(units), prop::sample::select(zones), 1..20_u32, any::<bool>());
    let windows = prop::option::of(windows.prop_map(|(unit, zone, max_windows, keep_latest)| {
        WindowOptions { unit, zone: Zone::parse(zone).unwrap(), max_windows, keep_latest }
    }));
    let all = (prop::sample::select(metrics), limits, rest, new, windows);
    all.prop_map(|(metric, limits, rest, new, windows)| {
        let is_geographic = metric != Metric::Planar;
        let estimate = EstimateOptions { max_trips: 32, ..EstimateOptions::default() };
        Options::builder(metric)
            .elevation(if rest.0 { Elevation::ThreeDimensional } else { Elevation::Ignored })
            .max_gap_time_ns(rest.3.map(|ns| u64::from(ns) + 1))
            .max_gap(limits.0)
            .max_speed(limits.1)
            .reanchor_count(rest.2)
            .min_step(limits.2)
            .max_accuracy_m(limits.3)
            .reject_backward_time(rest.1)
            .stopped_speed(limits.4)
            .invalid_points(rest.4)
            .reject_zero_position(new.0)
            .climb(ClimbOptions { threshold: 2.5, smoothing_ns: new.2 })
            .estimate((new.1 && is_geographic).then_some(estimate))
            .windows(windows)
            .drop_duplicates(rest.1 && new.3.is_some())
            .reorder(new.3.map(|count| Reorder {
                count: u32::from(count) + 1,
                time_ns: new.0.then_some(u64::from(count) + 1),
            }))
            .build()
            .unwrap()
    })
}

fn fix() -> impl Strategy<Value = (f64, f64, Option<f64>, Option<i32>, Option<f64>, bool)> {
    let place = prop_oneof![3 => (-0.01..0.01_f64, -0.01..0.01_f64), 1 => (-180.0..180.0_f64, -90.0..90.0_f64)];
    let extras = (any::<Option<i16>>(), any::<Option<i32>>(), prop::option::of(0.0..2e6_f64));
    (place, extras, prop::bool::weighted(0.1)).prop_map(
        |((x, y), (z, second, accuracy), starts)| {
            (x, y, z.map(f64::from), second, accuracy, starts)
        },
    )
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let fixes = prop::collection::vec(fix(), 0..20);
    let times = any::<(i64, i64, i64)>();
    (any::<u64>(), any::<bool>(), options(), fixes, any::<bool>(), times).prop_map(
        |(epoch, complete, options, fixes, is_broken, times)| {
            let mut accumulator = PathAccumulator::new(options);
            for (x, y, z, second, accuracy, starts) in fixes {
                let point = Point::new(options.metric().space(), x, y).unwrap();
                // Of the fixes without an elevation, some have no position.
                let is_valid =
                    z.is_some() || x > 0.0 || options.invalid_points() == InvalidPoints::RejectCall;
                let mut fix = if is_valid { Fix::new(point) } else { Fix::without_position() };
                if let Some(second) = second {
                    fix = fix.at_unix_ns(i64::from(second) * 1_000_000_000).unwrap();
                }
                fix = z.map_or(fix, |z| fix.with_z(z).unwrap());
                fix = accuracy.map_or(fix, |accuracy| fix.with_accuracy_m(accuracy).unwrap());
                accumulator.extend(&[if starts { fix.starting_segment() } else { fix }]).unwrap();
            }
            if is_broken {
                accumulator.start_segment();
            }
            Checkpoint {
                epoch,
                complete,
                accumulator,
                create_unix_ms: times.0,
                update_unix_ms: times.1,
                expire_unix_ms: times.2,
            }
        },
    )
}

fn example() -> Checkpoint {
    Checkpoint {
        epoch: 3,
        complete: true,
        accumulator: PathAccumulator::new(Options::new(Metric::Planar)),
        create_unix_ms: 1,
        update_unix_ms: 2,
        expire_unix_ms: -1,
    }
}

fn read_header(bytes: &[u8]) -> Result<Header, RecordError> {
    Record::read(&name(), bytes).map(|record| record.header())
}

/// Returns the bytes with one byte changed and valid checksums.
fn patched(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len() - 4].to_vec();
    bytes[at] = byte;
    sealed(&name(), &bytes)
}

proptest! {
    #[test]
    fn a_checkpoint_is_decoded_as_it_was_encoded(checkpoint in checkpoint()) {
        let bytes = encode(&name(), &checkpoint);
        let record = Record::read(&name(), &bytes).unwrap();
        prop_assert_eq!(record.header(), Header::from(&checkpoint));
        prop_assert_eq!(record.options(), Ok(*checkpoint.accumulator.options()));
        let decoded = decode(&name(), &bytes).unwrap();
        prop_assert_eq!(encode(&name(), &decoded), bytes);
        prop_assert_eq!(decoded, checkpoint);
    }

    #[test]
    fn folding_continues_with_the_same_bits(
        checkpoint in checkpoint(),
        points in prop::collection::vec((-180.0..180.0_f64, -90.0..90.0_f64), 1..9),
    ) {
        let mut decoded = decode(&name(), &encode(&name(), &checkpoint)).unwrap();
        let mut checkpoint = checkpoint;
        let space = checkpoint.accumulator.options().metric().space();
        for (index, (x, y)) in points.into_iter().enumerate() {
            let fix = Fix::new(Point::new(space, x, y).unwrap());
            let fix = fix.at_unix_ns(index as i64).unwrap().with_z(x).unwrap();
            checkpoint.accumulator.extend(&[fix]).unwrap();
            decoded.accumulator.extend(&[fix]).unwrap();
        }
        prop_assert_eq!(encode(&name(), &decoded), encode(&name(), &checkpoint));
    }

    #[test]
    fn another_header_leaves_the_fold_as_it_is(checkpoint in checkpoint(), epoch: u64, expire_unix_ms: i64) {
        let bytes = encode(&name(), &checkpoint);
        let record = Record::read(&name(), &bytes).unwrap();
        let header = Header { epoch, expire_unix_ms, ..record.header() };
        let changed = record.with_header(&name(), &header).unwrap();
        prop_assert_eq!(&changed[HEADER_BYTES..], &bytes[HEADER_BYTES..]);
        let expected = Checkpoint { epoch, expire_unix_ms, ..checkpoint };
        prop_assert_eq!(decode(&name(), &changed), Ok(expected));
    }

    #[test]
    fn a_changed_bit_or_a_missing_end_is_detected(checkpoint in checkpoint(), at: prop::sample::Index) {
        let bytes = encode(&name(), &checkpoint);
        let mut flipped = bytes.clone();
        flipped[at.index(bytes.len())] ^= 1 << at.index(8);
        prop_assert!(decode(&name(), &flipped).is_err() && read_header(&flipped).is_err());
        prop_assert!(decode(&name(), &bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn any_bytes_are_refused_or_decoded_exactly(
        checkpoint in checkpoint(),
        at: prop::sample::Index,
        patch in prop::collection::vec(any::<u8>(), 0..9),
        any in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        check_any(&any);
        let versions = golden::records().into_iter().flat_map(|golden| golden.versions);
        let records = versions.map(|hex| golden::bytes(hex)).chain([encode(&name(), &checkpoint)]);
        for mut bytes in records {
            bytes.truncate(bytes.len() - 4);
            let at = at.index(bytes.len());
            bytes.splice(at..(at + patch.len()).min(bytes.len()), patch.iter().copied());
            check_any(&bytes);
        }
    }

    /// Every byte of a fold is part of a value or of a structure that is checked.
    #[test]
    fn a_changed_fold_is_refused_or_is_another_fold(checkpoint in checkpoint(), at: prop::sample::Index, byte: u8) {
        let bytes = encode(&name(), &checkpoint);
        let at = HEADER_BYTES + at.index(bytes.len() - HEADER_BYTES - 4);
        prop_assume!(bytes[at] != byte);
        if let Ok(decoded) = decode(&name(), &patched(&bytes, at, byte)) {
            prop_assert_ne!(encode(&name(), &decoded), bytes);
        }
    }
}

#[test]
fn golden_records_of_all_versions_are_read() {
    for golden in golden::records() {
        for (hex, version) in golden.versions.iter().zip(golden.first_version..) {
            let bytes = golden::bytes(hex);
            assert_eq!(bytes[4], version);
            let decoded = decode(&golden::name(), &bytes).unwrap();
            let expected = golden.read_as(version);
            assert_eq!(decoded, expected);
            let current = encode(&golden::name(), &expected);
            assert_eq!(encode(&golden::name(), &decoded), current);
            let record = Record::read(&golden::name(), &bytes).unwrap();
            assert_eq!(record.options(), Ok(*decoded.accumulator.options()));
            assert_eq!(record.with_header(&golden::name(), &record.header()), Ok(current));
        }
    }
}

/// The ledger of an earlier version was another one. The rest is part of the gaps, and the sum stays exact.
#[test]
fn the_ledger_of_an_earlier_version_continues() {
    let records = golden::records();
    let filtered =
        records.iter().find(|golden| golden.checkpoint.accumulator.state().filter.is_some());
    let hex = filtered.unwrap().versions[3];
    let mut path = decode(&golden::name(), &golden::bytes(hex)).unwrap().accumulator;
    let before = path.summary();
    assert_eq!((before.raw_length, before.length, before.gap_length), (1010.5, 5.25, -1.5));
    let fix = Fix::new(Point::planar(7.25, 4.0).unwrap()).at_unix_ns(8_000_000_000).unwrap();
    path.extend(&[fix]).unwrap();
    let after = path.summary();
    // The leg from the last accepted point has 2, and that from the last point 1007.25.
    assert_eq!((after.length, after.raw_length), (7.25, 1010.5 + 1007.25));
    let rejected: f64 = after.rejections.iter().map(|rejection| rejection.rejected_length).sum();
    assert_eq!(after.length + rejected + after.gap_length, after.raw_length);
    assert!(PathAccumulator::try_from(path.state()).is_ok());
}

#[test]
fn a_changed_golden_record_is_detected() {
    for golden in golden::records() {
        for bytes in golden.versions.iter().map(|hex| golden::bytes(hex)) {
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 0x10;
                assert!(decode(&golden::name(), &changed).is_err(), "byte {at}");
                assert!(decode(&golden::name(), &bytes[..at]).is_err(), "{at} bytes");
            }
        }
    }
}

/// If this fails, the format has changed: raise the version, and keep reading this one.
#[test]
fn versions_5_to_7_do_not_change() {
    for golden in golden::records() {
        let current = golden.versions.last().unwrap();
        assert_eq!(encode(&golden::name(), &golden.checkpoint), golden::bytes(current));
    }
}

/// Programs of versions 5 and 6 refuse later versions by their numbers. No version has bytes of another one.
#[test]
fn the_version_says_which_options_are_set() {
    let mut versions = Vec::new();
    for golden in golden::records() {
        let bytes = golden::bytes(golden.versions.last().unwrap());
        let options = golden.checkpoint.accumulator.options();
        let keeps_latest = options.windows().is_some_and(|windows| windows.keep_latest);
        let expected = match (keeps_latest, options.drop_duplicates()) {
            (true, _) => 7,
            (false, true) => 6,
            (false, false) => 5,
        };
        assert_eq!((bytes[4], bytes[HEADER_BYTES]), (expected, expected));
        versions.push(expected);
        for other in (5..=7).filter(|&version| version != expected) {
            let mut bytes = bytes[..bytes.len() - 4].to_vec();
            (bytes[4], bytes[HEADER_BYTES]) = (other, other);
            let bytes = super::sealed(&golden::name(), &bytes);
            assert_eq!(decode(&golden::name(), &bytes), Err(RecordError::Content("fold")));
            let record = Record::read(&golden::name(), &bytes).unwrap();
            assert_eq!(record.options(), Err(RecordError::Content("options")));
        }
    }
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions, [5, 6, 7]);
}

#[test]
fn a_record_of_another_recording_is_refused() {
    let bytes = encode(&name(), &example());
    let other = RecordingName::from_id("anx").unwrap();
    assert!(matches!(decode(&other, &bytes), Err(RecordError::Checksum { .. })));
    // A fold of another recording below a valid header.
    let mixed = [&bytes[..HEADER_BYTES], &encode(&other, &example())[HEADER_BYTES..]].concat();
    assert!(matches!(decode(&name(), &mixed), Err(RecordError::Checksum { .. })));
    for hex in &golden::records()[0].versions[1..] {
        let record = golden::bytes(hex);
        assert!(matches!(decode(&name(), &record), Err(RecordError::Checksum { .. })));
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let bytes = encode(&name(), &example());
    let error = |at: usize, byte: u8| decode(&name(), &patched(&bytes, at, byte)).unwrap_err();
    insta::assert_snapshot!(
        error(4, 8),
        @"it has format 8, and this program reads formats up to 7: use the newer program"
    );
    assert_eq!(error(4, 0), RecordError::Foreign(bytes.len()));
    assert_eq!(error(0, b'W'), RecordError::Foreign(bytes.len()));
    insta::assert_snapshot!(error(5, 2), @"its header is not valid");
    insta::assert_snapshot!(error(7, 1), @"its header is not valid");
    insta::assert_snapshot!(error(HEADER_BYTES, 2), @"its fold is not valid");
    insta::assert_snapshot!(error(HEADER_BYTES + 1, 1), @"its number of points is not valid");
    insta::assert_snapshot!(error(HEADER_BYTES + 9, 9), @"its fold is not valid");
    // The sign of xy_resolution.
    insta::assert_snapshot!(error(HEADER_BYTES + 18, 0xbf), @"its fold is not valid");
    let (record, mut state) = (&bytes[..HEADER_BYTES + 9], example().accumulator.state());
    state.raw.segment_count = 1;
    let mut record = record.to_vec();
    state.write(&mut record);
    insta::assert_snapshot!(
        decode(&name(), &sealed(&name(), &record)).unwrap_err(),
        @"invalid state of a path: all fixes: there are counts or a length, but no coordinates"
    );
    insta::assert_snapshot!(
        decode(&name(), b"wayw").unwrap_err(),
        @"it is not a checkpoint, or it is cut short (4 bytes)"
    );
    let longer = sealed(&name(), &[&bytes[..bytes.len() - 4], &[0]].concat());
    assert_eq!(decode(&name(), &longer), Err(RecordError::Content("fold")));
    let record = patched(&bytes, HEADER_BYTES + 18, 0xbf);
    let record = Record::read(&name(), &record).unwrap();
    assert_eq!(record.options(), Err(RecordError::Content("options")));
    assert_eq!(
        StoreError::from(error(5, 2)).to_string(),
        "its checkpoint is damaged: its header is not valid"
    );
}
