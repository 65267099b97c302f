//! The task of one connection: collects requests while a batch is running, and answers them while there is no
//! connection.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::link::Link;
use super::session::{Access, Session};
use crate::recording::StoreError;

/// Maximum number of requests that the task holds, in addition to those in its queue.
const HELD_MAX: usize = 4_096;

/// The shortest and the longest pause before a request whose row was locked is sent again.
const LOCKED: Duration = Duration::from_millis(50);
const LOCKED_MAX: Duration = Duration::from_millis(500);
/// The pause is this many times as long as the batch took, so that most of the time is left for other requests.
const LOCKED_PART: u32 = 2;

/// A request in the queue of a connection.
pub(super) trait Request: Send + 'static {
    /// Returns whether its caller does not wait for it any more.
    fn is_abandoned(&self) -> bool;
    /// Answers with an error.
    fn refuse(self, error: StoreError);
}

/// The work of a task.
pub(super) trait Work: Send + 'static {
    /// The requests.
    type Request: Request;

    /// Takes the next batch out of the waiting requests, which are not empty. The batch includes the first one.
    fn take_batch(&mut self, waiting: &mut VecDeque<Self::Request>) -> Vec<Self::Request>;

    /// Carries out a batch and answers its requests. Returns those that could not be carried out because another
    /// transaction holds their rows. They are tried again.
    fn run<'a>(
        &'a mut self,
        link: &'a Link,
        batch: Vec<Self::Request>,
    ) -> impl Future<Output = Vec<Self::Request>> + Send + 'a;
}

/// Works until the queue is closed and all requests are answered.
pub(super) async fn work<W: Work>(
    mut work: W,
    mut session: Session,
    mut queue: mpsc::Receiver<W::Request>,
) {
    let mut waiting = VecDeque::new();
    let mut locked = Vec::<(Instant, W::Request)>::new();
    let mut received = Vec::new();
    let mut is_closed = false;
    loop {
        let space = HELD_MAX.saturating_sub(waiting.len() + locked.len());
        while received.len() < space
            && let Ok(request) = queue.try_recv()
        {
            received.push(request);
        }
        waiting.extend(received.drain(..));
        let is_ready = !waiting.is_empty() && matches!(session.access(), Access::Open(_));
        if !is_ready {
            if is_closed && waiting.is_empty() && locked.is_empty() {
                return;
            }
            let due = locked.iter().map(|(due, _)| *due).min();
            let is_due = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                count = queue.recv_many(&mut received, space), if space > 0 && !is_closed => {
                    is_closed = count == 0;
                }
                () = session.changed() => {}
                () = is_due => {}
            }
            waiting.extend(received.drain(..));
        }
        let now = Instant::now();
        waiting.extend(locked.extract_if(.., |(due, _)| *due <= now).map(|(_, request)| request));
        waiting.retain(|request: &W::Request| !request.is_abandoned());
        match session.access() {
            Access::Open(_) if waiting.is_empty() => {}
            Access::Open(link) => {
                let batch = work.take_batch(&mut waiting);
                let start = Instant::now();
                let again = work.run(link, batch).await;
                let pause = (start.elapsed() * LOCKED_PART).clamp(LOCKED, LOCKED_MAX);
                let due = Instant::now() + pause;
                locked.extend(again.into_iter().map(|request| (due, request)));
            }
            Access::Connecting => {}
            Access::Down(reason) => {
                for request in waiting.drain(..) {
                    request.refuse(StoreError::Unavailable(reason.into()));
                }
            }
        }
    }
}
