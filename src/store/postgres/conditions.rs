//! The settings and the clock of the database that decide about durability and expiry. They are read for each connection
//! and at regular intervals. Each change is logged once.

use std::time::SystemTime;

use tokio_postgres::Row;

/// A difference of the clocks from which there is a warning.
const SKEW_WARNED_MS: i64 = 10_000;
/// A difference of the clocks from which the database is not used.
const SKEW_REFUSED_MS: i64 = 3_600_000;

/// Reads the time in milliseconds, and whether settings are off. A transaction of the store may have changed a setting for
/// itself, so this reads the values of the session.
pub(super) const READ: &str = "\
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
  coalesce(bool_or(name = 'synchronous_commit' AND reset_val = 'off'), false),
  coalesce(bool_or(name = 'fsync' AND reset_val = 'off'), false),
  coalesce(bool_or(name = 'full_page_writes' AND reset_val = 'off'), false)
FROM pg_settings WHERE name IN ('synchronous_commit', 'fsync', 'full_page_writes')";

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    is_asynchronous: bool,
    has_no_fsync: bool,
    has_no_full_pages: bool,
    /// The connection leaves this machine without encryption. This is known from the connection only.
    pub(super) is_exposed: bool,
    /// The time of the database minus that of this machine.
    pub(super) skew_ms: i64,
}

impl Conditions {
    /// Returns conditions without a warning except for the clock.
    #[cfg(test)]
    pub(super) fn skewed(skew_ms: i64) -> Self {
        Self { skew_ms, ..Self::default() }
    }

    /// Reads a row of [`READ`] that was requested and received at these times. Returns `None` if it is not such a row.
    pub(super) fn of(row: &Row, before_unix_ms: i64, after_unix_ms: i64) -> Option<Self> {
        Some(Self {
            skew_ms: skew(row.try_get(0).ok()?, before_unix_ms, after_unix_ms),
            is_asynchronous: row.try_get(1).ok()?,
            has_no_fsync: row.try_get(2).ok()?,
            has_no_full_pages: row.try_get(3).ok()?,
            is_exposed: false,
        })
    }

    /// Returns whether the clocks differ too much to use the database.
    pub(super) fn is_refused(&self) -> bool {
        self.skew_ms.saturating_abs() >= SKEW_REFUSED_MS
    }

    /// Returns the warnings about this database.
    pub(super) fn warnings(&self) -> Vec<&'static str> {
        let warnings = [
            (
                self.is_asynchronous,
                "the database has synchronous_commit = off; the commits of waywiser wait for the disk anyway",
            ),
            (
                self.has_no_fsync,
                "the database has fsync = off: a crash of its machine can lose or damage recordings",
            ),
            (
                self.has_no_full_pages,
                "the database has full_page_writes = off: a crash of its machine can damage recordings, unless its file \
                 system writes whole pages",
            ),
            (
                self.skew_ms.saturating_abs() >= SKEW_WARNED_MS,
                "the clock of the database differs from that of this machine: synchronise both with NTP",
            ),
            (
                self.is_exposed,
                "the connection to the database is not encrypted: set sslmode=verify-full, unless the network is private",
            ),
        ];
        warnings.into_iter().filter_map(|(applies, text)| applies.then_some(text)).collect()
    }
}

/// Logs the warnings that have appeared or disappeared since the last check.
pub(super) fn log_changes(before: &Conditions, now: &Conditions) {
    for (text, has_appeared) in changes(&before.warnings(), &now.warnings()) {
        match has_appeared {
            true => tracing::warn!(skew_ms = now.skew_ms, "{text}"),
            false => tracing::info!(skew_ms = now.skew_ms, "no longer: {text}"),
        }
    }
}

/// Returns the texts that are in one list only, and whether it is the second one.
fn changes(before: &[&'static str], now: &[&'static str]) -> Vec<(&'static str, bool)> {
    let appeared = now.iter().filter(|text| !before.contains(text)).map(|&text| (text, true));
    let gone = before.iter().filter(|text| !now.contains(text)).map(|&text| (text, false));
    appeared.chain(gone).collect()
}

/// Returns the smallest difference of the clocks that explains the time `now` of an answer between `before` and `after`.
fn skew(now: i64, before: i64, after: i64) -> i64 {
    if now < before {
        now.saturating_sub(before)
    } else if now > after {
        now.saturating_sub(after)
    } else {
        0
    }
}

/// Returns the time in milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn unix_ms() -> i64 {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_answer_is_not_a_difference_of_the_clocks() {
        assert_eq!(skew(150, 100, 200), 0);
        assert_eq!(skew(90, 100, 200), -10);
        assert_eq!(skew(250, 100, 200), 50);
        assert_eq!(skew(i64::MIN, i64::MAX, i64::MAX), i64::MIN);
    }

    #[test]
    fn each_condition_has_a_warning() {
        let warned = |conditions: Conditions| conditions.warnings().join("; ");
        let skewed = Conditions::skewed;
        assert_eq!(warned(skewed(9_999)), "");
        assert!(warned(skewed(-10_000)).contains("clock"));
        assert!(!skewed(-3_599_999).is_refused() && skewed(i64::MIN).is_refused());
        let asynchronous = Conditions { is_asynchronous: true, ..Conditions::default() };
        assert!(warned(asynchronous).contains("synchronous_commit"));
        let unsafe_ = Conditions { has_no_fsync: true, has_no_full_pages: true, ..skewed(0) };
        assert_eq!(unsafe_.warnings().len(), 2);
        let exposed = Conditions { is_exposed: true, ..skewed(0) };
        assert!(warned(exposed).contains("not encrypted"));
    }

    #[test]
    fn each_change_is_logged_once() {
        assert_eq!(changes(&[], &["a", "b"]), [("a", true), ("b", true)]);
        assert_eq!(changes(&["a", "b"], &["a", "b"]), []);
        assert_eq!(changes(&["a", "b"], &["b", "c"]), [("c", true), ("a", false)]);
    }
}
