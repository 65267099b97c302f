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
use super::splitting::Splitting;
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

    fn ticket(&self) -> &Ticket<Self::Answer>;
    fn into_parts(self) -> (Ticket<Self::Answer>, crate::recording::RecordingName);
    fn into_write(self) -> Write;
}

impl Item for Commit {
    type Answer = ();

    fn ticket(&self) -> &Ticket<()> {
        &self.ticket
    }

    fn into_parts(self) -> (Ticket<()>, crate::recording::RecordingName) {
        (self.ticket, self.name)
    }

    fn into_write(self) -> Write {
        Write::Commit(Box::new(self))
    }
}

impl Item for Opening {
    type Answer = crate::recording::Checkpoint;

    fn ticket(&self) -> &Ticket<Self::Answer> {
        &self.ticket
    }

    fn into_parts(self) -> (Ticket<Self::Answer>, crate::recording::RecordingName) {
        (self.ticket, self.name)
    }

    fn into_write(self) -> Write {
        Write::Open(Box::new(self))
    }
}

impl Item for Deletion {
    type Answer = Option<u64>;

    fn ticket(&self) -> &Ticket<Self::Answer> {
        &self.ticket
    }

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
        let mut parts = Parts::of(items);
        while let Some(part) = parts.next(again) {
            let result = commits::run(link, &part, parts.splitting.deadline()).await;
            self.settle(result, part, &mut parts, again);
        }
    }

    async fn open(&mut self, link: &Link, items: Vec<Opening>, again: &mut Vec<Write>) {
        let mut parts = Parts::of(items);
        while let Some(mut part) = parts.next(again) {
            let splitting = &mut parts.splitting;
            let result = openings::run(link, &mut part, &mut self.space, splitting).await;
            self.settle(result, part, &mut parts, again);
        }
        self.space.end_batch();
    }

    async fn delete(&mut self, link: &Link, items: Vec<Deletion>, again: &mut Vec<Write>) {
        self.space.freed();
        let mut parts = Parts::of(items);
        while let Some(part) = parts.next(again) {
            let result = removals::delete(link, &part, parts.splitting.deadline()).await;
            self.settle(result, part, &mut parts, again);
        }
    }

    /// Deletes selected recordings. One that cannot be deleted stays. So do the rest, if another error follows.
    async fn remove(&mut self, link: &Link, removal: Removal) {
        self.space.freed();
        let (mut removed, mut parts) = (Vec::new(), vec![removal.selected]);
        let mut splitting = Splitting::new();
        while let Some(mut part) = parts.pop() {
            if !removal.ticket.send() || !splitting.may_continue() {
                break;
            }
            let result = removals::remove(link, &part, splitting.deadline()).await;
            splitting.count(&result);
            match result {
                Ok(more) => removed.extend(more),
                Err(failure) if !failure.refusal().is_some_and(Refusal::is_of_one_request) => {
                    if removed.is_empty() {
                        return removal.ticket.answer(Err(failure.of_write()));
                    }
                    let error = failure.of_write();
                    tracing::warn!(%error, "a part of the recordings could not be removed");
                    break;
                }
                Err(failure) if splitting.is_hopeless() => {
                    return removal.ticket.answer(Err(failure.of_group()));
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
        let deadline = Instant::now() + TRANSACTION;
        let result = removals::expire(link, expiry.now_unix_ms, deadline).await;
        if !matches!(&result, Ok(removed) if removed.is_empty()) {
            self.space.freed();
        }
        expiry.ticket.answer(Ok(result));
    }

    /// Answers the requests of a part of a batch, splits it, or leaves requests for later.
    fn settle<I: Item>(
        &self,
        result: Result<Vec<Outcome<I::Answer>>, Failure>,
        mut items: Vec<I>,
        parts: &mut Parts<I>,
        again: &mut Vec<Write>,
    ) {
        parts.splitting.count(&result);
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
        } else if refusal.is_some_and(|refusal| refusal.is_of_one_request())
            && (items.len() > 1 || parts.splitting.is_hopeless())
        {
            if parts.splitting.is_hopeless() {
                let rest = items.into_iter().chain(parts.waiting.drain(..).flatten());
                rest.for_each(|item| self.answer(item, Err(failure.of_group())));
                return;
            }
            let second = items.split_off(items.len() / 2);
            parts.waiting.extend([second, items]);
        } else {
            let error = failure.of_write();
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

/// The parts of a batch that were not carried out yet.
struct Parts<I> {
    waiting: Vec<Vec<I>>,
    splitting: Splitting,
}

impl<I: Item> Parts<I> {
    fn of(items: Vec<I>) -> Self {
        Self { waiting: vec![items], splitting: Splitting::new() }
    }

    /// Returns the next part, without the requests whose callers do not wait any more. Leaves all of them for later if
    /// the batch has reached its limits.
    fn next(&mut self, again: &mut Vec<Write>) -> Option<Vec<I>> {
        if !self.splitting.may_continue() {
            again.extend(self.waiting.drain(..).flatten().map(put_back));
        }
        while let Some(part) = self.waiting.pop() {
            let part: Vec<I> = part.into_iter().filter(|item| item.ticket().send()).collect();
            if !part.is_empty() {
                return Some(part);
            }
        }
        None
    }
}

fn put_back<I: Item>(item: I) -> Write {
    let write = item.into_write();
    write.put_back();
    write
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
    async fn a_part_has_no_requests_whose_callers_are_gone() {
        let deletions = async || -> Vec<Deletion> {
            let waiting = requests(&[(Kind::Delete, "a"), (Kind::Delete, "b")]).await;
            let deletion = |write| match write {
                Write::Delete(deletion) => Some(deletion),
                _ => None,
            };
            waiting.into_iter().filter_map(deletion).collect()
        };
        let (mut parts, mut again) = (Parts::of(deletions().await), Vec::new());
        assert!(parts.next(&mut again).is_none() && again.is_empty());
        // A batch that has failed often leaves the rest for later.
        let mut parts = Parts::of(deletions().await);
        (0..64).for_each(|_| parts.splitting.count(&Err::<(), _>(())));
        assert!(parts.next(&mut again).is_none());
        assert_eq!(names(&again), ["a", "b"]);
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
