//! Work on other threads that takes longer than a poll of a task may, for a few requests at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::error::ApiError;

/// Runs work on another thread when a permit is free. A thread cannot be stopped: the permit returns when the work has ended, also
/// if this future was dropped before.
///
/// # Errors
/// If the work panics.
pub(super) async fn run<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    // The semaphore is never closed.
    let permit = Arc::clone(permits).acquire_owned().await;
    let task = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    task.await.map_err(|_| ApiError::internal("the work for this request stopped unexpectedly"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use futures::FutureExt as _;
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn no_more_work_runs_at_a_time_than_there_are_permits() {
        let (permits, running) = (Arc::new(Semaphore::new(2)), Arc::new(AtomicUsize::new(0)));
        let work = |_| {
            let running = Arc::clone(&running);
            run(&permits, move || {
                let others = running.fetch_add(1, Relaxed);
                std::thread::yield_now();
                running.fetch_sub(1, Relaxed);
                others
            })
        };
        let most = join_all((0..100).map(work)).await.into_iter().map(Result::unwrap).max();
        assert!(most <= Some(1), "{most:?}");
    }

    #[tokio::test]
    async fn work_whose_request_has_ended_keeps_its_permit() {
        let permits = Arc::new(Semaphore::new(1));
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let waiting = Arc::clone(&gate);
        let mut first = Box::pin(run(&permits, move || drop(waiting.lock())));
        assert!(first.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(permits.available_permits(), 0);
        drop(held);
        run(&permits, || ()).await.unwrap();
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_returns_its_permit() {
        let permits = Arc::new(Semaphore::new(1));
        let result: Result<(), _> = run(&permits, || panic!("expected by the test")).await;
        assert_eq!(result.unwrap_err().status(), 500);
        assert_eq!(permits.available_permits(), 1);
    }
}
