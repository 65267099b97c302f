//! A checkpoint as columns of a table, for stores that change epoch, times and completeness without reading the fold.
//!
//! | column | content |
//! |---|---|
//! | options | the version of the fold, the options, and a CRC-32 of both followed by the name of the recording |
//! | state | the sealed fold, with its own version, number of points and checksum |
//!
//! The other values of a [`Header`] are columns of their own. No checksum covers them, except that the number of points
//! must be that of the fold. The options of one recording in one version always have the same bytes.

use super::field::Field;
use super::fold::{self, SealedFold};
use super::{Record, RecordError, VERSION, compare_checksums, write_header};
use crate::measure::{Options, PathAccumulator};
use crate::recording::{Checkpoint, RecordingName};
use crate::store::rules::Header;

/// Returns the column with the fold.
pub(in crate::store) fn seal_state(name: &RecordingName, accumulator: &PathAccumulator) -> Vec<u8> {
    let mut out = Vec::with_capacity(640);
    fold::seal(Some(name), accumulator, &mut out);
    out
}

/// Returns the column with the options.
pub(in crate::store) fn seal_options(name: &RecordingName, options: &Options) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.push(fold::version(options));
    options.write(&mut out);
    fold::checksum(Some(name), &out).write(&mut out);
    out
}

/// Decodes the column with the options.
///
/// # Errors
/// If the bytes are not options of this recording.
pub(in crate::store) fn read_options(
    name: &RecordingName,
    bytes: &[u8],
) -> Result<Options, RecordError> {
    let foreign = RecordError::Foreign(bytes.len());
    let (covered, stored) = bytes.split_last_chunk().ok_or(foreign.clone())?;
    let (&version, mut input) = covered.split_first().ok_or(foreign)?;
    check_version(version, bytes.len())?;
    compare_checksums(u32::from_le_bytes(*stored), fold::checksum(Some(name), covered))?;
    let options = fold::read_options(version, &mut input).filter(|_| input.is_empty());
    options.ok_or(RecordError::Content("options"))
}

/// Decodes a checkpoint.
///
/// # Errors
/// If the state is not the fold of this recording, or has another number of points than the header.
pub(in crate::store) fn checkpoint(
    name: &RecordingName,
    header: &Header,
    state: &[u8],
) -> Result<Checkpoint, RecordError> {
    Ok(Checkpoint {
        epoch: header.epoch,
        complete: header.complete,
        accumulator: read_state(name, header, state)?.accumulator()?,
        create_unix_ms: header.create_unix_ms,
        update_unix_ms: header.update_unix_ms,
        expire_unix_ms: header.expire_unix_ms,
    })
}

/// Returns the record of a checkpoint, with the fold as it is stored.
///
/// # Errors
/// Like [`checkpoint`], except that the fold is not decoded.
pub(in crate::store) fn record(
    name: &RecordingName,
    header: &Header,
    state: &[u8],
) -> Result<Vec<u8>, RecordError> {
    let fold = read_state(name, header, state)?;
    let mut out = Vec::with_capacity(64 + state.len());
    // The header has the version, too.
    if fold.is_current() {
        write_header(name, fold.version, header, &mut out);
        out.extend(fold.bytes);
    } else {
        let accumulator = fold.accumulator()?;
        write_header(name, fold::version(accumulator.options()), header, &mut out);
        fold::seal(Some(name), &accumulator, &mut out);
    }
    Ok(out)
}

/// Verifies the state without decoding it.
fn read_state<'a>(
    name: &RecordingName,
    header: &Header,
    state: &'a [u8],
) -> Result<SealedFold<'a>, RecordError> {
    let version = *state.first().ok_or(RecordError::Foreign(0))?;
    check_version(version, state.len())?;
    let fold = SealedFold::read(Some(name), version, state)?;
    match fold.point_count == header.committed_points {
        true => Ok(fold),
        false => Err(RecordError::Content("number of points")),
    }
}

fn check_version(version: u8, len: usize) -> Result<(), RecordError> {
    match version {
        fold::VERSION_MIN..=VERSION => Ok(()),
        0..fold::VERSION_MIN => Err(RecordError::Foreign(len)),
        newer => Err(RecordError::Newer(newer)),
    }
}

/// The columns of a record.
#[derive(Debug)]
pub(in crate::store) struct Columns {
    pub(in crate::store) header: Header,
    /// The accumulator, whose fold is in `state`.
    pub(in crate::store) accumulator: PathAccumulator,
    pub(in crate::store) options: Vec<u8>,
    pub(in crate::store) state: Vec<u8>,
}

/// Decodes a record of any version into columns of the current version.
///
/// # Errors
/// If the bytes are not a record of this recording.
pub(in crate::store) fn from_record(
    name: &RecordingName,
    bytes: &[u8],
) -> Result<Columns, RecordError> {
    let record = Record::read(name, bytes)?;
    let accumulator = record.checkpoint()?.accumulator;
    Ok(Columns {
        header: record.header(),
        options: seal_options(name, accumulator.options()),
        state: seal_state(name, &accumulator),
        accumulator,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{decode, encode};
    use super::*;
    use crate::measure::{Fix, Metric, Point};

    fn name(text: &str) -> RecordingName {
        text.parse().unwrap()
    }

    fn some() -> Checkpoint {
        let mut accumulator = PathAccumulator::new(Options::new(Metric::Planar));
        let fix = |i: u64| Fix::new(Point::planar(i as f64, 0.5).unwrap());
        accumulator.extend(&(0..9).map(fix).collect::<Vec<_>>()).unwrap();
        Checkpoint {
            epoch: 7 << 20,
            complete: true,
            accumulator,
            create_unix_ms: -1,
            update_unix_ms: 2,
            expire_unix_ms: i64::MAX,
        }
    }

    #[test]
    fn a_record_and_its_columns_are_the_same_checkpoint() {
        for name in [name("paths/a"), name("namespaces/n/paths/a")] {
            let stored = some();
            let columns = from_record(&name, &encode(&name, &stored)).unwrap();
            assert_eq!(columns.header, (&stored).into());
            assert_eq!(checkpoint(&name, &columns.header, &columns.state), Ok(stored.clone()));
            assert_eq!(read_options(&name, &columns.options), Ok(*stored.accumulator.options()));
            let record = record(&name, &columns.header, &columns.state).unwrap();
            assert_eq!(record, encode(&name, &stored));
            assert_eq!(decode(&name, &record), Ok(stored));
        }
    }

    #[test]
    fn a_changed_byte_or_another_name_is_an_error() {
        let (name, other, stored) = (name("paths/a"), name("paths/b"), some());
        let header = Header::from(&stored);
        let state = seal_state(&name, &stored.accumulator);
        let options = seal_options(&name, stored.accumulator.options());
        for at in 0..state.len() {
            let mut changed = state.clone();
            changed[at] ^= 1;
            assert!(checkpoint(&name, &header, &changed).is_err(), "byte {at}");
            assert!(checkpoint(&name, &header, &state[..at]).is_err(), "{at} bytes");
        }
        for at in 0..options.len() {
            let mut changed = options.clone();
            changed[at] ^= 1;
            assert!(read_options(&name, &changed).is_err(), "byte {at}");
            assert!(read_options(&name, &options[..at]).is_err(), "{at} bytes");
        }
        assert!(checkpoint(&other, &header, &state).is_err());
        assert!(read_options(&other, &options).is_err());
        let shorter = Header { committed_points: 8, ..header };
        let error = RecordError::Content("number of points");
        assert_eq!(checkpoint(&name, &shorter, &state), Err(error.clone()));
        assert_eq!(record(&name, &shorter, &state), Err(error));
        let mut newer = state;
        newer[0] = VERSION + 1;
        assert_eq!(checkpoint(&name, &header, &newer), Err(RecordError::Newer(VERSION + 1)));
    }
}
