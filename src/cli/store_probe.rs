//! Finds out when a store that was not available answers again, so that the metrics do not wait for the next request.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::store_metrics::Requests;
use crate::recording::StoreError;

/// The time between two requests to a store that is down.
const INTERVAL: Duration = Duration::from_secs(5);
/// The time for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Asks the store until it is available. `ask` returns `None` if there is no store any more. Only one probe runs at a
/// time, and none while the store is available.
pub(super) async fn until_up<F>(requests: Arc<Requests>, mut ask: impl FnMut() -> Option<F>)
where
    F: Future<Output = Result<(), StoreError>>,
{
    loop {
        sleep(INTERVAL).await;
        let Some(answer) = ask() else { return };
        if let Ok(answer) = timeout(ANSWER_TIME, answer).await {
            requests.set_state(answer.as_ref().err());
        }
        if requests.ends_probe() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;
    use crate::cli::store_metrics::Operation;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_down_is_asked_until_it_answers_and_never_else() {
        let requests = Arc::new(Requests::default());
        requests.record(Operation::Load, None);
        assert!(!requests.begins_probe());
        let unavailable = || StoreError::Unavailable("disk".into());
        requests.record(Operation::Commit, Some(&unavailable()));
        assert!(requests.begins_probe());
        assert!(!requests.begins_probe(), "one probe at a time");
        let asked = AtomicU32::new(0);
        // The first request has no answer, and the second one an error.
        until_up(Arc::clone(&requests), || {
            let count = asked.fetch_add(1, Relaxed);
            Some(async move {
                match count {
                    0 => std::future::pending().await,
                    1 => Err(unavailable()),
                    _ => Ok(()),
                }
            })
        })
        .await;
        assert_eq!(asked.load(Relaxed), 3);
        assert!(!requests.is_down() && !requests.begins_probe());
        requests.record(Operation::Commit, Some(&unavailable()));
        assert!(requests.begins_probe(), "the next failure begins another one");
    }
}
