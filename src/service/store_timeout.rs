//! The time limit of calls of the store. All of them go through it.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use crate::recording::StoreError;

/// The time limit of a call of the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreTimeout(Duration);

/// The store has not answered in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it did not answer within {} s", .0.as_secs_f64())]
pub(super) struct StoreLate(Duration);

impl Default for StoreTimeout {
    /// Returns the limit of ten seconds, within which a working disk answers.
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

impl StoreTimeout {
    #[cfg(test)]
    pub(super) fn new(limit: Duration) -> Self {
        Self(limit)
    }

    /// Returns a limit that is longer by `time`, for a call that starts after a pause.
    pub(super) fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// Waits for a result.
    ///
    /// # Errors
    /// If it takes longer than the limit.
    pub(super) async fn limit<F: Future>(self, future: F) -> Result<F::Output, StoreLate> {
        timeout(self.0, future).await.map_err(|_| StoreLate(self.0))
    }

    /// Waits for the answer of the store.
    ///
    /// # Errors
    /// The error of the store, or [`StoreError::Unknown`] if it does not answer in time.
    pub(super) async fn call<T>(
        self,
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let late = |late: StoreLate| Err(StoreError::Unknown(late.to_string().into()));
        self.limit(request).await.unwrap_or_else(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_has_an_unknown_result() {
        let timeout = StoreTimeout::default();
        assert_eq!(timeout.call(async { Ok(7) }).await, Ok(7));
        assert_eq!(
            timeout.call(std::future::pending::<Result<(), _>>()).await,
            Err(StoreError::Unknown("it did not answer within 10 s".into()))
        );
    }
}
