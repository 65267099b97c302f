//! The bytes of a stored checkpoint: what stores decide by at fixed places, then the fold, then a checksum
//! over all of it and over the name under which it is stored. It knows no store; any bytes at all may be read,
//! and never do worse than be refused.
//!
//! | bytes | what, little endian |
//! |---|---|
//! | 0..4 | `wayw` |
//! | 4 | the version of all that follows, the fields of the fold included: 2 |
//! | 5 | 1 if the recording is finished, else 0 |
//! | 6..8 | 0 |
//! | 8..16 | epoch |
//! | 16..24 | committed points |
//! | 24..48 | when it was created, grew, expires: milliseconds since 1970 |
//! | 48..n-4 | the accumulator, by postcard |
//! | n-4..n | CRC-32 of all before, then of the id of the recording; in version 1 without the id |

use crate::measure::PathAccumulator;

use super::rules::Standing;
use crate::recording::{Checkpoint, RecordingName, StoreError};

/// The version that is written. Raise it when a field of [`PathAccumulator`] or of what it is made of changes:
/// the fold is stored by the order of its fields.
pub const VERSION: u8 = 2;
/// The last version in which a record does not say whose it is.
const VERSION_WITHOUT_NAME: u8 = 1;
const MAGIC: [u8; 4] = *b"wayw";
const HEAD_BYTES: usize = 48;
const CHECKSUM_BYTES: usize = 4;

/// Why bytes are no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Something else, or the rest is missing.
    #[error("it is not a checkpoint or cut short ({0} bytes)")]
    Foreign(usize),
    /// A later program wrote it.
    #[error("it has format {0} and this program knows up to {VERSION}: use the newer program")]
    Newer(u8),
    /// Some bit is not as it was written, or it is that of another recording.
    #[error("its checksum is {stored:08x} and its bytes and its name come to {computed:08x}")]
    Checksum {
        /// What it should be.
        stored: u32,
        /// What it is.
        computed: u32,
    },
    /// The checksum is right and the rest is not.
    #[error("its {0} makes no sense")]
    Content(&'static str),
}

impl From<RecordError> for StoreError {
    fn from(error: RecordError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// What stores decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) standing: Standing,
    pub(super) create_unix_ms: i64,
    pub(super) update_unix_ms: i64,
    pub(super) expire_unix_ms: i64,
}

impl Head {
    /// Reads it without looking at the fold, the checksum over which is checked all the same.
    pub(super) fn read(name: &RecordingName, bytes: &[u8]) -> Result<Self, RecordError> {
        split(name, bytes).map(|(head, _)| head)
    }
}

/// The bytes to store.
///
/// # Errors
/// When the fold cannot be written down, which none is known to do.
pub fn encode(name: &RecordingName, checkpoint: &Checkpoint) -> Result<Vec<u8>, RecordError> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend(MAGIC);
    bytes.extend([VERSION, checkpoint.complete.into(), 0, 0]);
    bytes.extend(checkpoint.epoch.to_le_bytes());
    bytes.extend(checkpoint.committed_points().to_le_bytes());
    bytes.extend(checkpoint.create_unix_ms.to_le_bytes());
    bytes.extend(checkpoint.update_unix_ms.to_le_bytes());
    bytes.extend(checkpoint.expire_unix_ms.to_le_bytes());
    let mut bytes = postcard::to_extend(&checkpoint.accumulator, bytes)
        .map_err(|_| RecordError::Content("accumulator"))?;
    let checksum = checksum(name, VERSION, &bytes);
    bytes.extend(checksum.to_le_bytes());
    Ok(bytes)
}

fn checksum(name: &RecordingName, version: u8, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes);
    if version > VERSION_WITHOUT_NAME {
        hasher.update(name.id().as_bytes());
    }
    hasher.finalize()
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When it did not write these bytes.
pub fn decode(name: &RecordingName, bytes: &[u8]) -> Result<Checkpoint, RecordError> {
    let (head, fold) = split(name, bytes)?;
    let (accumulator, rest) = postcard::take_from_bytes::<PathAccumulator>(fold)
        .map_err(|_| RecordError::Content("accumulator"))?;
    if !rest.is_empty() || accumulator.point_count() != head.standing.committed_points {
        return Err(RecordError::Content("accumulator"));
    }
    Ok(Checkpoint {
        epoch: head.standing.epoch,
        complete: head.standing.complete,
        accumulator,
        create_unix_ms: head.create_unix_ms,
        update_unix_ms: head.update_unix_ms,
        expire_unix_ms: head.expire_unix_ms,
    })
}

/// Arbitrary bytes, as they are and with a checksum that fits, are refused or mean what they say; a
/// target for a fuzzer.
///
/// # Panics
/// When they do not.
#[doc(hidden)]
pub fn check_any(bytes: &[u8]) {
    let Ok(name) = RecordingName::from_id("any") else { return };
    let version = bytes.get(4).copied().unwrap_or_default();
    let checksum = checksum(&name, version, bytes).to_le_bytes();
    for bytes in [bytes, &[bytes, &checksum].concat()] {
        let Ok(checkpoint) = decode(&name, bytes) else { continue };
        let again = encode(&name, &checkpoint).map(|bytes| (decode(&name, &bytes), bytes));
        let Ok((Ok(again), bytes)) = again else {
            unreachable!("what was read cannot be written: {again:?}");
        };
        assert_eq!(encode(&name, &again), Ok(bytes), "it reads otherwise than it was written");
    }
}

fn split<'a>(name: &RecordingName, bytes: &'a [u8]) -> Result<(Head, &'a [u8]), RecordError> {
    let foreign = RecordError::Foreign(bytes.len());
    let Some(&[m0, m1, m2, m3, version, ..]) = bytes.first_chunk::<HEAD_BYTES>() else {
        return Err(foreign);
    };
    if [m0, m1, m2, m3] != MAGIC || version == 0 {
        return Err(foreign);
    }
    if version > VERSION {
        return Err(RecordError::Newer(version));
    }
    let (covered, stored) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(foreign.clone())?;
    let (stored, computed) = (u32::from_le_bytes(*stored), checksum(name, version, covered));
    if stored != computed {
        return Err(RecordError::Checksum { stored, computed });
    }
    let (head, fold) = covered.split_first_chunk::<HEAD_BYTES>().ok_or(foreign)?;
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&head[at..at + 8]);
        word
    };
    let complete = match head[5..8] {
        [0, 0, 0] => false,
        [1, 0, 0] => true,
        _ => return Err(RecordError::Content("head")),
    };
    let head = Head {
        standing: Standing {
            epoch: u64::from_le_bytes(word(8)),
            complete,
            committed_points: u64::from_le_bytes(word(16)),
        },
        create_unix_ms: i64::from_le_bytes(word(24)),
        update_unix_ms: i64::from_le_bytes(word(32)),
        expire_unix_ms: i64::from_le_bytes(word(40)),
    };
    Ok((head, fold))
}

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::{Fix, Metric, Options, Point};

    fn checkpoint() -> impl Strategy<Value = Checkpoint> {
        let points = prop::collection::vec((-180.0..180.0_f64, -90.0..90.0_f64), 0..20);
        let times = any::<(i64, i64, i64)>();
        (any::<u64>(), any::<bool>(), points, any::<Option<u32>>(), times).prop_map(
            |(epoch, complete, points, max_gap, times)| {
                let max_gap = max_gap.map(|max_gap| f64::from(max_gap) + 1.0);
                let options = Options::builder(Metric::Haversine).max_gap(max_gap).build().unwrap();
                let mut accumulator = PathAccumulator::new(options);
                let fixes = points.iter().zip(0..).map(|(&(x, y), unix_ns)| {
                    Fix::new(Point::geographic(y, x).unwrap()).at_unix_ns(unix_ns).unwrap()
                });
                accumulator.extend(&fixes.collect::<Vec<_>>()).unwrap();
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

    fn name() -> RecordingName {
        RecordingName::from_id("any").unwrap()
    }

    fn encode(checkpoint: &Checkpoint) -> Result<Vec<u8>, RecordError> {
        super::encode(&name(), checkpoint)
    }

    fn decode(bytes: &[u8]) -> Result<Checkpoint, RecordError> {
        super::decode(&name(), bytes)
    }

    /// With the checksum made right again.
    fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        bytes.extend(checksum(&name(), bytes[4], &bytes).to_le_bytes());
        bytes
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(checkpoint in checkpoint()) {
            let bytes = encode(&checkpoint).unwrap();
            prop_assert_eq!(Head::read(&name(), &bytes).unwrap().standing, Standing::from(&checkpoint));
            prop_assert_eq!(Head::read(&name(), &bytes).unwrap().expire_unix_ms, checkpoint.expire_unix_ms);
            let again = decode(&bytes).unwrap();
            prop_assert_eq!(encode(&again).unwrap(), bytes);
            prop_assert_eq!(again, checkpoint);
        }

        #[test]
        fn a_flipped_bit_or_a_cut_is_noticed(checkpoint in checkpoint(), at: prop::sample::Index) {
            let bytes = encode(&checkpoint).unwrap();
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= 1 << at.index(8);
            prop_assert!(decode(&flipped).is_err() && Head::read(&name(), &flipped).is_err());
            prop_assert!(decode(&bytes[..at.index(bytes.len())]).is_err());
        }

        #[test]
        fn any_bytes_are_refused_or_mean_what_they_say(
            checkpoint in checkpoint(),
            at: prop::sample::Index,
            patch in prop::collection::vec(any::<u8>(), 0..9),
            any in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            check_any(&any);
            // A fold that was written wrong and sealed right.
            let mut bytes = encode(&checkpoint).unwrap();
            bytes.truncate(bytes.len() - CHECKSUM_BYTES);
            let at = at.index(bytes.len());
            bytes.splice(at..(at + patch.len()).min(bytes.len()), patch);
            check_any(&bytes);
        }
    }

    #[test]
    fn the_head_is_at_its_place() {
        let bytes = encode(&example()).unwrap();
        let head = [
            b"wayw".as_slice(),
            &[2, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0],
            &[0; 8],
            &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
            &[0xff; 8],
        ];
        assert_eq!(bytes[..HEAD_BYTES], head.concat());
    }

    /// The whole record, to the byte. When this fails, a field of the fold was changed: raise [`VERSION`] and
    /// read the old one too.
    #[test]
    fn version_2_stays_as_it_is() {
        let options = Options::builder(Metric::Planar)
            .elevation(crate::measure::Elevation::ThreeDimensional)
            .max_gap_time_ns(60_000_000_000_u64)
            .max_gap(1000.0)
            .max_speed(2.0)
            .min_step(1.0)
            .max_accuracy_m(30.0)
            .reject_backward_time(true)
            .stopped_speed(0.5)
            .build()
            .unwrap();
        let mut accumulator = PathAccumulator::new(options);
        // Accepted, accepted, too short a step, too fast.
        for (second, x) in [(0, 0.0), (2, 3.0), (3, 3.5), (4, 1e3)] {
            let fix = Fix::new(Point::planar(x, 4.0).unwrap());
            let fix = fix.at_unix_ns(second * 1_000_000_000).unwrap();
            accumulator.extend(&[fix.with_z(x).unwrap()]).unwrap();
        }
        let bytes = encode(&Checkpoint { accumulator, ..example() }).unwrap();
        let lines = bytes[HEAD_BYTES..]
            .chunks(48)
            .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
        0001000000000000f03f000000000000f03f0180b09dc2df01010000000000408f400100000000000000400301000000
        000000f03f010000000000003e400101000000000000e03f00808080808080808080d00f040100000000000000000000
        000000408f40000000000000104000000000000010400000000000000000000000000000f0ff01000000000000000000
        000000000010400000000000408f40000000000000104000000100808080808080808080060201000000000000000000
        00000000000840000000000000104000000000000010400000000000000000000000000000f0ff010000000000000000
        000000000000104000000000000008400000000000001040000001000000000000084000000000000010400100000000
        000008400180d0acf30e010000000000408f400000000000001040010000000000408f400180a0d9e61d010000000000
        000103808080808080808080c90f010280808080808080808001010080d0acf30e0180a8d6b90701000000000000f83f
        0180808080808080808006008080d9d9fde6ec8ebe0800002e174860
        ");
    }

    #[test]
    fn golden_records_of_all_versions_are_read() {
        for golden in golden::records() {
            for hex in golden.versions {
                let checkpoint = super::decode(&golden::name(), &golden::bytes(hex));
                assert_eq!(checkpoint.as_ref(), Ok(&golden.checkpoint));
            }
        }
    }

    #[test]
    fn version_1_is_read_too() {
        let mut bytes = encode(&example()).unwrap();
        bytes[4] = 1;
        let bytes = resealed(bytes);
        assert_eq!(
            bytes.last_chunk(),
            Some(&crc32fast::hash(&bytes[..bytes.len() - 4]).to_le_bytes())
        );
        assert_eq!(decode(&bytes), Ok(example()));
    }

    #[test]
    fn a_record_under_another_name_is_none() {
        let bytes = encode(&example()).unwrap();
        let other = RecordingName::from_id("anx").unwrap();
        assert!(matches!(super::decode(&other, &bytes), Err(RecordError::Checksum { .. })));
        assert!(Head::read(&other, &bytes).is_err());
    }

    #[test]
    fn what_is_refused_is_refused_with_words() {
        let bytes = encode(&example()).unwrap();
        let patched = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            decode(&resealed(bytes)).unwrap_err()
        };
        insta::assert_snapshot!(
            patched(4, 3),
            @"it has format 3 and this program knows up to 2: use the newer program"
        );
        assert_eq!(patched(4, 0), RecordError::Foreign(bytes.len()));
        assert_eq!(patched(5, 2), RecordError::Content("head"));
        insta::assert_snapshot!(patched(16, 1), @"its accumulator makes no sense");
        insta::assert_snapshot!(
            decode(b"wayw").unwrap_err(),
            @"it is not a checkpoint or cut short (4 bytes)"
        );
        let long = [&bytes[..bytes.len() - CHECKSUM_BYTES], &[0; 1 + CHECKSUM_BYTES]].concat();
        assert_eq!(decode(&resealed(long)), Err(RecordError::Content("accumulator")));
    }
}
