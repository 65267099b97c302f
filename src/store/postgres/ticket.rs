//! A request on its way through the queue of a connection: the caller waits for the answer for a limited time.
//!
//! When the time is over, the caller knows whether the request was sent. If it was not, nothing was changed, and it is
//! not sent any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::recording::StoreError;

/// The time that a request may take, including the time in the queue. It is less than the time limit of the service.
const REQUEST: Duration = Duration::from_secs(8);

/// A request that was put back is not sent again in this last part of its time, so that it ends with a known result.
const LAST_PART: Duration = Duration::from_millis(500);

/// Maximum number of requests in a queue.
const QUEUE: usize = 4_096;
/// The size of all requests in a queue, in KiB, as far as their content counts.
const QUEUE_KIB: usize = 64 << 10;

const QUEUED: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

/// The part of a request that the task of the connection holds.
#[derive(Debug)]
pub(super) struct Ticket<T> {
    reply: oneshot::Sender<Result<T, StoreError>>,
    phase: Arc<AtomicU8>,
    deadline: Instant,
    was_put_back: AtomicBool,
    _space: OwnedSemaphorePermit,
}

impl<T> Ticket<T> {
    /// Marks the request as sent. Returns whether the caller still waits for it; if not, it must not be sent.
    pub(super) fn send(&self) -> bool {
        if self.is_abandoned() {
            return false;
        }
        let sent = self.phase.compare_exchange(QUEUED, SENT, SeqCst, SeqCst);
        sent.is_ok() || sent == Err(SENT)
    }

    /// Marks the request as not carried out. It will be sent again.
    pub(super) fn put_back(&self) {
        // The caller may have stopped waiting. It has reported an unknown result then.
        let _ = self.phase.compare_exchange(SENT, QUEUED, SeqCst, SeqCst);
        self.was_put_back.store(true, SeqCst);
    }

    /// Returns whether the request was put back before.
    pub(super) fn was_put_back(&self) -> bool {
        self.was_put_back.load(SeqCst)
    }

    /// Returns whether the caller does not wait any more: its time is over, or it has dropped its future. An opening that
    /// is carried out later would fence a writer that has opened the recording in the meantime.
    pub(super) fn is_abandoned(&self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let needed = if self.was_put_back() { LAST_PART } else { Duration::ZERO };
        self.reply.is_closed() || left <= needed || self.phase.load(SeqCst) == ABANDONED
    }

    /// Answers the request.
    pub(super) fn answer(self, result: Result<T, StoreError>) {
        // The caller may have dropped its future.
        let _ = self.reply.send(result);
    }
}

/// What the caller knows if there is no answer to a request that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It may have changed something.
    Write,
    /// It changes nothing.
    Read,
}

/// The queue of a connection.
#[derive(Debug)]
pub(super) struct Queue<R> {
    sender: mpsc::Sender<R>,
    space: Arc<Semaphore>,
    effect: Effect,
}

impl<R> Queue<R> {
    /// Returns an empty queue, and the receiver of its requests.
    pub(super) fn new(effect: Effect) -> (Self, mpsc::Receiver<R>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { sender, space: Arc::new(Semaphore::new(QUEUE_KIB)), effect }, receiver)
    }

    /// Sends a request with `bytes` bytes of content, and waits for the answer.
    ///
    /// # Errors
    /// The error of the store.
    pub(super) async fn ask<T>(
        &self,
        bytes: usize,
        request: impl FnOnce(Ticket<T>) -> R,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + REQUEST;
        let full = || StoreError::Unavailable("too many requests wait for the database".into());
        let stopped = || StoreError::Unavailable("the connection task has stopped".into());
        let kib = u32::try_from((bytes >> 10).clamp(1, QUEUE_KIB)).unwrap_or(1);
        let space = timeout_at(deadline, Arc::clone(&self.space).acquire_many_owned(kib)).await;
        let space = space.map_err(|_| full())?.map_err(|_| stopped())?;
        let phase = Arc::new(AtomicU8::new(QUEUED));
        let (reply, answer) = oneshot::channel();
        let request = request(Ticket {
            reply,
            phase: Arc::clone(&phase),
            deadline,
            was_put_back: AtomicBool::new(false),
            _space: space,
        });
        let sent = timeout_at(deadline, self.sender.send(request)).await;
        sent.map_err(|_| full())?.map_err(|_| stopped())?;
        let late = match timeout_at(deadline, answer).await {
            Ok(Ok(result)) => return result,
            Ok(Err(_)) => "the database did not carry it out in time",
            Err(_) => "the database did not answer in time",
        };
        let abandoned = phase.compare_exchange(QUEUED, ABANDONED, SeqCst, SeqCst);
        match (abandoned, self.effect) {
            (Err(_), Effect::Write) => Err(StoreError::Unknown(late.into())),
            _ => Err(StoreError::Unavailable(late.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_not_sent_has_changed_nothing() {
        let (queue, mut receiver) = Queue::<Ticket<()>>::new(Effect::Write);
        let result = queue.ask(1, |ticket| ticket).await;
        let late = "the database did not answer in time";
        assert_eq!(result, Err(StoreError::Unavailable(late.into())));
        let ticket = receiver.recv().await.unwrap();
        assert!(ticket.is_abandoned() && !ticket.send());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_whose_caller_is_gone_is_not_sent() {
        let (queue, mut receiver) = Queue::<Ticket<()>>::new(Effect::Write);
        // The caller drops its future.
        let ticket = tokio::select! {
            biased;
            _ = queue.ask(1, |ticket| ticket) => unreachable!(),
            ticket = receiver.recv() => ticket.unwrap(),
        };
        assert!(ticket.is_abandoned() && !ticket.send());
        // The time is over while the row is locked, so that the request would be sent again.
        let tried = async {
            let ticket = receiver.recv().await.unwrap();
            assert!(ticket.send());
            tokio::time::sleep(REQUEST).await;
            ticket.put_back();
            assert!(ticket.is_abandoned() && !ticket.send());
        };
        let (result, ()) = tokio::join!(queue.ask(1, |ticket| ticket), tried);
        assert!(result.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_sent_has_an_unknown_result() {
        for (effect, expected) in [
            (Effect::Write, StoreError::Unknown("the database did not answer in time".into())),
            (Effect::Read, StoreError::Unavailable("the database did not answer in time".into())),
        ] {
            let (queue, mut receiver) = Queue::<Ticket<()>>::new(effect);
            let serve = async {
                let ticket = receiver.recv().await.unwrap();
                assert!(ticket.send());
                std::future::pending::<()>().await;
                drop(ticket);
            };
            tokio::select! {
                result = queue.ask(1, |ticket| ticket) => assert_eq!(result, Err(expected)),
                () = serve => unreachable!(),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_size_of_the_queue_is_bounded() {
        let (queue, mut receiver) = Queue::<Ticket<()>>::new(Effect::Read);
        let large = queue.ask(QUEUE_KIB << 10, |ticket| ticket);
        let (large, small) = tokio::join!(large, queue.ask(1, |ticket| ticket));
        assert!(matches!(large, Err(StoreError::Unavailable(_))));
        let full = StoreError::Unavailable("too many requests wait for the database".into());
        assert_eq!(small, Err(full));
        receiver.recv().await.unwrap().answer(Ok(()));
        assert!(receiver.try_recv().is_err());
        let next = async { receiver.recv().await.unwrap().answer(Ok(())) };
        assert_eq!(tokio::join!(queue.ask(1, |ticket| ticket), next).0, Ok(()));
    }
}
