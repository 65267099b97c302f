//! Counts and logs the results of loading credentials.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::file::LoadError;

/// How often something was loaded since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadCounts {
    /// Number of successful loads after the start. Each successful fetch of a URL is one.
    pub loaded: u64,
    /// Number of attempts that failed. A file that stays wrong fails at each check, every few seconds.
    pub failed: u64,
    /// Whether the last attempt failed, so that the earlier content is still in use.
    pub is_failing: bool,
}

/// The time until an error that stays the same is logged again.
const REPEAT_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// The results of loading from one place.
#[derive(Debug, Default)]
pub(super) struct ReloadReport {
    /// Whether credentials from an earlier load are in use.
    has_credentials: AtomicBool,
    loaded: AtomicU64,
    failed: AtomicU64,
    logged: Mutex<Option<(LoadError, Instant)>>,
}

impl ReloadReport {
    /// Creates a report. `has_credentials` is whether the start has loaded credentials.
    pub(super) fn new(has_credentials: bool) -> Self {
        Self { has_credentials: AtomicBool::new(has_credentials), ..Self::default() }
    }

    /// Counts a result. Logs a new content by `log`, and an error unless it was logged a short time ago. `None` means
    /// that nothing was loaded, so that an earlier error persists.
    ///
    /// # Errors
    /// That of the result.
    pub(super) fn add<T>(
        &self,
        result: Result<Option<T>, LoadError>,
        log: impl FnOnce(T),
    ) -> Result<(), LoadError> {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(None) => Ok(()),
            Ok(Some(change)) => {
                let had_credentials = self.has_credentials.swap(true, Relaxed);
                if let Some((LoadError { place, .. }, _)) = logged.take() {
                    match had_credentials {
                        true => tracing::info!(place, "credentials can be loaded again"),
                        false => {
                            tracing::info!(
                                place,
                                "credentials are loaded for the first time, or after they had expired"
                            );
                        }
                    }
                }
                self.loaded.fetch_add(1, Relaxed);
                log(change);
                Ok(())
            }
            Err(error) => {
                self.failed.fetch_add(1, Relaxed);
                let is_known = logged
                    .as_ref()
                    .is_some_and(|(known, at)| *known == error && at.elapsed() < REPEAT_INTERVAL);
                if !is_known {
                    match self.has_credentials.load(Relaxed) {
                        true => {
                            tracing::warn!(%error, "credentials cannot be loaded; the earlier ones stay valid");
                        }
                        false => {
                            tracing::warn!(%error, "credentials cannot be loaded, and there are no earlier ones; calls with a token of this source fail");
                        }
                    }
                    *logged = Some((error.clone(), Instant::now()));
                }
                Err(error)
            }
        }
    }

    /// Records that the credentials are no longer in use although nothing has replaced them, because they are too old.
    pub(super) fn lose(&self) {
        self.has_credentials.store(false, Relaxed);
    }

    /// Returns the error that was logged last, if no load has succeeded since.
    pub(super) fn last_error(&self) -> Option<LoadError> {
        let logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.as_ref().map(|(error, _)| error.clone())
    }

    /// Returns the counts.
    pub(super) fn counts(&self) -> ReloadCounts {
        let logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        ReloadCounts {
            loaded: self.loaded.load(Relaxed),
            failed: self.failed.load(Relaxed),
            is_failing: logged.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_stays_is_counted_and_logged_once() {
        let report = ReloadReport::default();
        let error = |reason: &str| LoadError {
            place: "tokens.toml".to_owned(),
            line: Some(3),
            reason: reason.to_owned(),
        };
        let logged_at = || report.logged.lock().unwrap().as_ref().map(|(_, at)| *at);
        let add = |reason| report.add(Err::<Option<()>, _>(error(reason)), |()| unreachable!());
        assert_eq!(add("a"), Err(error("a")));
        let first = logged_at().unwrap();
        assert!(add("a").is_err());
        assert_eq!(logged_at(), Some(first));
        assert!(add("b").is_err());
        assert_ne!(logged_at(), Some(first));
        let second = logged_at();
        assert_eq!(report.add(Ok(None::<()>), |()| unreachable!()), Ok(()));
        assert_eq!(logged_at(), second, "nothing was loaded");
        assert!(report.counts().is_failing);
        assert!(!report.has_credentials.load(Relaxed));
        let mut loaded = 0;
        assert_eq!(report.add(Ok(Some(7)), |change| loaded = change), Ok(()));
        assert_eq!(logged_at(), None);
        assert!(report.has_credentials.load(Relaxed));
        assert_eq!(
            (loaded, report.counts()),
            (7, ReloadCounts { loaded: 1, failed: 3, is_failing: false })
        );
    }
}
