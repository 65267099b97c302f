//! Durations and timestamps of the contract as nanoseconds and milliseconds, with their ranges.

use prost_types::{Duration, Timestamp};

use crate::measure;

const NS_PER_S: i64 = 1_000_000_000;

/// Converts nanoseconds into a duration.
pub(crate) fn duration(ns: u64) -> Duration {
    let ns_per_s = NS_PER_S as u64;
    // Both fit: 2^64 ns are 584 years, and the remainder is below 10^9.
    Duration { seconds: (ns / ns_per_s) as i64, nanos: (ns % ns_per_s) as i32 }
}

/// Returns a duration in nanoseconds. Returns `None` if it is negative, longer than 584 years, or has more than
/// 999 999 999 ns in addition to its seconds.
pub(crate) fn duration_ns(time: &Duration) -> Option<u64> {
    let Duration { seconds, nanos } = *time;
    // The seconds and nanoseconds of a duration have the same sign.
    let nanos = u64::try_from(nanos).ok().filter(|&ns| ns < NS_PER_S as u64)?;
    u64::try_from(seconds).ok()?.checked_mul(NS_PER_S as u64)?.checked_add(nanos)
}

/// Converts milliseconds since 1970-01-01T00:00:00Z into a timestamp.
pub(crate) fn timestamp(unix_ms: i64) -> Timestamp {
    let nanos = unix_ms.rem_euclid(1000) as i32 * 1_000_000;
    Timestamp { seconds: unix_ms.div_euclid(1000), nanos }
}

/// Returns a timestamp in milliseconds since 1970-01-01T00:00:00Z. Saturates.
pub(crate) fn unix_ms(time: Timestamp) -> i64 {
    time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos) / 1_000_000)
}

/// Converts the time of a fix, in nanoseconds since 1970-01-01T00:00:00Z, into a timestamp.
pub(crate) fn timestamp_of_ns(unix_ns: i64) -> Timestamp {
    Timestamp { seconds: unix_ns.div_euclid(NS_PER_S), nanos: unix_ns.rem_euclid(NS_PER_S) as i32 }
}

/// Returns the seconds and nanoseconds of a timestamp as the time of a fix, in nanoseconds since
/// 1970-01-01T00:00:00Z. Returns `None` outside the range of [`measure::unix_ns`].
#[inline]
pub(crate) fn unix_ns((seconds, nanos): (i64, i32)) -> Option<i64> {
    let nanos = u32::try_from(nanos).ok().filter(|&nanos| i64::from(nanos) < NS_PER_S)?;
    measure::unix_ns(seconds, nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_from_0_to_584_years() {
        let read = |seconds, nanos| duration_ns(&Duration { seconds, nanos });
        assert_eq!(read(0, 0), Some(0));
        assert_eq!(read(1, 999_999_999), Some(1_999_999_999));
        assert_eq!(read(18_446_744_073, 709_551_615), Some(u64::MAX));
        assert_eq!(duration_ns(&duration(u64::MAX)), Some(u64::MAX));
        for (seconds, nanos) in [
            (1, -5),
            (1, 1_000_000_000),
            (1, 2_000_000_000),
            (-1, 0),
            (-1, 1),
            (0, -1),
            (18_446_744_073, 709_551_616),
            (i64::MAX, 0),
            (i64::MIN, i32::MIN),
        ] {
            assert_eq!(read(seconds, nanos), None, "{seconds} s {nanos} ns");
        }
    }

    #[test]
    fn the_time_of_a_fix_is_in_the_years_1678_to_2261() {
        let at = |seconds, nanos| unix_ns((seconds, nanos));
        assert_eq!(at(1, 5), Some(1_000_000_005));
        assert_eq!(at(-1, 999_999_999), Some(-1));
        assert_eq!(at(0, -1), None);
        assert_eq!(at(0, 1_000_000_000), None);
        assert_eq!(at(253_402_300_799, 0), None);
        // 1678-01-01T00:00:00Z and 2262-01-01T00:00:00Z.
        assert!(at(-9_214_560_000, 0).is_some() && at(-9_214_560_001, 0).is_none());
        assert!(at(9_214_646_399, 0).is_some() && at(9_214_646_400, 0).is_none());
        for ns in [-1, 0, 1_999_999_999, -9_214_560_000_000_000_000] {
            let Timestamp { seconds, nanos } = timestamp_of_ns(ns);
            assert_eq!(at(seconds, nanos), Some(ns));
        }
    }

    #[test]
    fn a_timestamp_has_milliseconds_on_both_sides_of_1970() {
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_000_000 });
        for ms in [-1, 0, 1, 1_700_000_060_123] {
            assert_eq!(unix_ms(timestamp(ms)), ms);
        }
        assert_eq!(unix_ms(Timestamp { seconds: i64::MAX, nanos: 0 }), i64::MAX);
    }
}
