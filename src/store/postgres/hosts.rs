//! Tries the hosts of a URL. If a host does not answer soon, the next one is tried at the same time, so that a host that is
//! away or paused does not delay the use of another one.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

/// The time after which the next host is tried, too.
const HEAD_START: Duration = Duration::from_millis(250);
/// Maximum number of hosts that are tried at the same time.
const ATTEMPTS_MAX: usize = 4;

/// Returns the result of the first attempt that succeeds. If several have succeeded, the first one in the order of
/// `attempts` is preferred. The others are cancelled. An attempt starts when an earlier one has failed, or has not ended
/// soon.
///
/// # Errors
/// The errors of all attempts in their order, if none succeeds.
pub(super) async fn first_success<T, E, F>(
    attempts: impl IntoIterator<Item = F>,
) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = attempts.into_iter().enumerate().peekable();
    let mut running = Vec::<(usize, Pin<Box<F>>)>::new();
    let mut errors = Vec::new();
    loop {
        if running.len() < ATTEMPTS_MAX
            && let Some((index, attempt)) = waiting.next()
        {
            running.push((index, Box::pin(attempt)));
        }
        if running.is_empty() {
            errors.sort_by_key(|&(index, _)| index);
            return Err(errors.into_iter().map(|(_, error)| error).collect());
        }
        let may_start = running.len() < ATTEMPTS_MAX && waiting.peek().is_some();
        let ended = poll_fn(|context| {
            for (position, (_, attempt)) in running.iter_mut().enumerate() {
                if let Poll::Ready(result) = attempt.as_mut().poll(context) {
                    return Poll::Ready((position, result));
                }
            }
            Poll::Pending
        });
        tokio::select! {
            biased;
            (position, result) = ended => {
                let (index, _) = running.remove(position);
                match result {
                    Ok(success) => return Ok(success),
                    Err(error) => errors.push((index, error)),
                }
            }
            () = sleep(HEAD_START), if may_start => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use futures::future::BoxFuture;
    use tokio::time::Instant;

    use super::*;

    type Attempt = BoxFuture<'static, Result<&'static str, &'static str>>;

    fn after(ms: u64, result: Result<&'static str, &'static str>) -> Attempt {
        Box::pin(async move {
            sleep(Duration::from_millis(ms)).await;
            result
        })
    }

    fn never() -> Attempt {
        Box::pin(std::future::pending())
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_answer_delays_the_next_one_by_the_head_start_only() {
        let start = Instant::now();
        let attempts = [never(), after(0, Err("read-only")), after(7, Ok("third"))];
        assert_eq!(first_success(attempts).await, Ok("third"));
        assert!(start.elapsed() < 2 * HEAD_START);
    }

    #[tokio::test(start_paused = true)]
    async fn the_order_decides_between_hosts_that_answer() {
        assert_eq!(
            first_success([after(200, Ok("first")), after(0, Ok("second"))]).await,
            Ok("first")
        );
        let same = [after(260, Ok("first")), after(10, Ok("second"))];
        assert_eq!(first_success(same).await, Ok("first"));
        let errors = [after(300, Err("first")), after(0, Err("second"))];
        assert_eq!(first_success(errors).await, Err(vec!["first", "second"]));
        assert_eq!(first_success(Vec::<Attempt>::new()).await, Err(Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_attempts_at_the_same_time_is_bounded() {
        static OPEN: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let attempt = || async {
            MOST.fetch_max(OPEN.fetch_add(1, SeqCst) + 1, SeqCst);
            sleep(10 * HEAD_START).await;
            OPEN.fetch_sub(1, SeqCst);
            Err::<(), _>(())
        };
        let errors = first_success((0..16).map(|_| attempt())).await;
        assert_eq!(errors, Err(vec![(); 16]));
        assert_eq!(MOST.load(SeqCst), ATTEMPTS_MAX);
    }
}
