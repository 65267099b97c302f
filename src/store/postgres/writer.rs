//! The task of the writing connection: group commit. One batch is running while the next one collects requests.
//!
//! A batch has requests of one kind, each about another recording. If one request makes the database refuse a batch,
//! the batch is split, so that the others succeed.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;

use super::commits::Outcome;
use super::failure::{Failure, Refusal};
use super::link::{Link, TRANSACTION};
use super::request::{Commit, Deletion, Expiry, Kind, Opening, Removal, Write};
use super::space::Space;
use super::stats::Counters;
use super::ticket::Ticket;
use super::unproven::Unproven;
use super::worker::Work;
use super::{commits, openings, removals};
use crate::recording::StoreError;

/// Maximum number of requests in a batch.
const BATCH_MAX: usize = 500;
/// A batch ends when its content has this size.
const BATCH_BYTES: usize = 4 << 20;

/// Carries out the requests that change something.
pub(super) struct Writer {
    pub(super) space: Space,
    pub(super) counters: Arc<Counters>,
    pub(super) unproven: Arc<Unproven>,
}

/// A request with a name of its own in a batch.
trait Item: Sized {
    type Answer;

    fn into_parts(self) -> (Ticket<Self::Answer>, crate::recording::RecordingName);
    fn into_write(self) -> Write;
}

impl Item for Commit {
    type Answer = ();

    fn into_parts(self) -> (Ticket<()>, crate::recording::RecordingName) {
        (self.ticket, self.name)
    }

    fn into_write(self) -> Write {
        Write::Commit(Box::new(self))
    }
}

impl Item for Opening {
    type Answer = crate::recording::Checkpoint;

    fn into_parts(self) -> (Ticket<Self::Answer>, crate::recording::RecordingName) {
        (self.ticket, self.name)
    }

    fn into_write(self) -> Write {
        Write::Open(Box::new(self))
    }
}

impl Item for Deletion {
    type Answer = Option<u64>;

    fn into_parts(self) -> (Ticket<Self::Answer>, crate::recording::RecordingName) {
        (self.ticket, self.name)
    }

    fn into_write(self) -> Write {
        Write::Delete(self)
    }
}

impl Work for Writer {
    type Request = Write;

    fn take_batch(&mut self, waiting: &mut VecDeque<Write>) -> Vec<Write> {
        take_batch(waiting)
    }

    async fn run(&mut self, link: &Link, batch: Vec<Write>) -> Vec<Write> {
        let mut batch: Vec<Write> = batch.into_iter().filter(Write::send).collect();
        if !batch.is_empty() {
            self.counters.add_batch(batch.len());
        }
        let mut again = Vec::new();
        match batch.first().map(Write::kind) {
            None => {}
            Some(Kind::Commit) => {
                let items = batch.into_iter().filter_map(|write| match write {
                    Write::Commit(commit) => Some(*commit),
                    _ => None,
                });
                self.commit(link, items.collect(), &mut again).await;
            }
            Some(Kind::Open) => {
                let items = batch.into_iter().filter_map(|write| match write {
                    Write::Open(opening) => Some(*opening),
                    _ => None,
                });
                self.open(link, items.collect(), &mut again).await;
            }
            Some(Kind::Delete) => {
                let items = batch.into_iter().filter_map(|write| match write {
                    Write::Delete(deletion) => Some(deletion),
                    _ => None,
                });
                self.delete(link, items.collect(), &mut again).await;
            }
            Some(Kind::Remove | Kind::Expire) => match batch.pop() {
                Some(Write::Remove(removal)) => self.remove(link, removal).await,
                Some(Write::Expire(expiry)) => self.expire(link, expiry).await,
                _ => {}
            },
        }
        again
    }
}

/// Takes the first request and others of the same kind. The requests about one recording keep their order. Repeated
/// openings have batches of their own.
fn take_batch(waiting: &mut VecDeque<Write>) -> Vec<Write> {
    let class = |write: &Write| (write.kind(), write.is_repeated_opening());
    let Some(first) = waiting.front().map(class) else { return Vec::new() };
    if matches!(first.0, Kind::Remove | Kind::Expire) {
        return waiting.pop_front().into_iter().collect();
    }
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut names = HashSet::new();
    let mut rest = VecDeque::with_capacity(waiting.len());
    for write in waiting.drain(..) {
        let is_new = write.name().is_some_and(|name| names.insert(name.clone()));
        let has_space = batch.is_empty() || bytes + write.bytes() <= BATCH_BYTES;
        if is_new && class(&write) == first && has_space && batch.len() < BATCH_MAX {
            bytes += write.bytes();
            batch.push(write);
        } else {
            rest.push_back(write);
        }
    }
    *waiting = rest;
    batch
}

impl Writer {
    async fn commit(&mut self, link: &Link, items: Vec<Commit>, again: &mut Vec<Write>) {
        let mut parts = vec![items];
        while let Some(part) = parts.pop() {
            let result = commits::run(link, &part, deadline()).await;
            self.settle(result, part, Failure::of_write, &mut parts, again);
        }
    }

    async fn open(&mut self, link: &Link, items: Vec<Opening>, again: &mut Vec<Write>) {
        let mut parts = vec![items];
        while let Some(mut part) = parts.pop() {
            let result = openings::run(link, &mut part, &mut self.space).await;
            self.settle(result, part, Failure::of_write, &mut parts, again);
        }
    }

    async fn delete(&mut self, link: &Link, items: Vec<Deletion>, again: &mut Vec<Write>) {
        self.space.freed();
        let mut parts = vec![items];
        while let Some(part) = parts.pop() {
            let result = removals::delete(link, &part, deadline()).await;
            self.settle(result, part, Failure::of_write, &mut parts, again);
        }
    }

    /// Deletes selected recordings. One that cannot be deleted stays.
    async fn remove(&mut self, link: &Link, removal: Removal) {
        self.space.freed();
        let (mut removed, mut parts) = (Vec::new(), vec![removal.selected]);
        while let Some(mut part) = parts.pop() {
            match removals::remove(link, &part, deadline()).await {
                Ok(more) => removed.extend(more),
                Err(failure) if !failure.refusal().is_some_and(Refusal::is_of_one_request) => {
                    return removal.ticket.answer(Err(failure.of_write()));
                }
                Err(_) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                Err(failure) => {
                    let name = part.first().map(|(name, _)| name.to_string());
                    tracing::error!(name, error = %failure.of_write(), "a recording cannot be removed");
                }
            }
        }
        removed.sort();
        removal.ticket.answer(Ok(removed));
    }

    async fn expire(&mut self, link: &Link, expiry: Expiry) {
        let result = removals::expire(link, expiry.now_unix_ms, deadline()).await;
        if !matches!(&result, Ok(removed) if removed.is_empty()) {
            self.space.freed();
        }
        expiry.ticket.answer(Ok(result));
    }

    /// Answers the requests of a batch, splits it, or leaves requests for later.
    fn settle<I: Item>(
        &self,
        result: Result<Vec<Outcome<I::Answer>>, Failure>,
        mut items: Vec<I>,
        error: fn(&Failure) -> StoreError,
        parts: &mut Vec<Vec<I>>,
        again: &mut Vec<Write>,
    ) {
        let put_back = |item: I| {
            let write = item.into_write();
            write.put_back();
            write
        };
        let failure = match result {
            Ok(outcomes) => {
                for (item, outcome) in items.into_iter().zip(outcomes) {
                    match outcome {
                        Some(result) => self.answer(item, result),
                        None => again.push(put_back(item)),
                    }
                }
                return;
            }
            Err(failure) => failure,
        };
        let refusal = failure.refusal();
        if refusal.is_some_and(|refusal| refusal.is_conflict()) {
            again.extend(items.into_iter().map(put_back));
        } else if items.len() > 1 && refusal.is_some_and(|refusal| refusal.is_of_one_request()) {
            let second = items.split_off(items.len() / 2);
            parts.extend([second, items]);
        } else {
            let error = error(&failure);
            items.into_iter().for_each(|item| self.answer(item, Err(error.clone())));
        }
    }

    fn answer<I: Item>(&self, item: I, result: Result<I::Answer, StoreError>) {
        let (ticket, name) = item.into_parts();
        if matches!(result, Err(StoreError::Unknown(_))) {
            self.counters.unknown_outcomes.fetch_add(1, Relaxed);
            self.unproven.insert(&name);
        } else if result.is_ok() {
            // The transaction held the row, and is durable.
            self.unproven.remove(&name);
        }
        ticket.answer(result);
    }
}

fn deadline() -> Instant {
    Instant::now() + TRANSACTION
}

#[cfg(test)]
mod tests {
    use super::super::ticket::{Effect, Queue};
    use super::*;
    use crate::recording::RecordingName;

    /// Returns requests with these kinds and names, as they arrive in the queue.
    async fn requests(texts: &[(Kind, &str)]) -> VecDeque<Write> {
        let (queue, mut receiver) = Queue::<Write>::new(Effect::Write);
        let mut writes = VecDeque::new();
        for &(kind, text) in texts {
            let name: RecordingName = format!("paths/{text}").parse().unwrap();
            let ask = async {
                match kind {
                    Kind::Expire => {
                        let expire = |ticket| Write::Expire(Expiry { now_unix_ms: 0, ticket });
                        drop(queue.ask(1, expire).await);
                    }
                    _ => {
                        drop(queue.ask(1, |ticket| Write::Delete(Deletion { name, ticket })).await);
                    }
                }
            };
            tokio::select! {
                biased;
                () = ask => unreachable!(),
                write = receiver.recv() => writes.extend(write),
            }
        }
        writes
    }

    fn names(writes: &[Write]) -> Vec<String> {
        writes.iter().map(|write| write.name().map_or("-", RecordingName::id).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_batch_has_requests_of_one_kind_with_distinct_names() {
        let (delete, expire) = (Kind::Delete, Kind::Expire);
        let mut waiting =
            requests(&[(delete, "a"), (delete, "b"), (expire, "x"), (delete, "a"), (delete, "c")])
                .await;
        assert_eq!(names(&take_batch(&mut waiting)), ["a", "b", "c"]);
        assert_eq!(names(&take_batch(&mut waiting)), ["-"]);
        assert_eq!(names(&take_batch(&mut waiting)), ["a"]);
        assert!(take_batch(&mut waiting).is_empty());
    }

    #[tokio::test]
    async fn the_size_of_a_batch_is_bounded() {
        let texts: Vec<String> = (0..=BATCH_MAX).map(|number| number.to_string()).collect();
        let texts: Vec<_> = texts.iter().map(|text| (Kind::Delete, text.as_str())).collect();
        let mut waiting = requests(&texts).await;
        assert_eq!(take_batch(&mut waiting).len(), BATCH_MAX);
        assert_eq!(names(&take_batch(&mut waiting)), [BATCH_MAX.to_string()]);
    }
}
