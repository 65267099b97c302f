//! One connection of a recording: asks which points are durable, sends the others, and removes them from the buffer as
//! they become durable.
//!
//! A `select!` polls the reply, the watch, the request body and the source, in this order. The module neither waits
//! between connections nor stops retrying; `mod.rs` does.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use prost::Message as _;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::{Code, Streaming};

use super::prefix::DurablePrefix;
use super::source::FixSource;
use super::{RecordError, RecordEvent, Recorded, Recorder};
use crate::client::call::{self, with_timeout};
use crate::client::message_body::{EncodedMessage, MessageBody};
use crate::client::paths::{self, Stub};
use crate::client::reauthentication::Reauthentication;
use crate::client::replay::ReplayBuffer;
use crate::client::request_abort::RequestAbort;
use crate::client::retry::{Retry, RetryPolicy, has_reason, is_transient};
use crate::client::transport::Transport;
use crate::client::{ClientError, ConnectionFault};
use crate::contract::method::v1::RECORD_PATH;
use crate::contract::points::{MESSAGE_POINTS_MAX, points};
use crate::contract::{options, reason, summary};
use crate::measure::Fix;
use crate::proto::waywiser_v1 as pb;

/// The error of a session.
pub(super) enum SessionError {
    /// The recording has failed.
    Fatal(RecordError),
    /// Another session may succeed.
    Transient(ClientError),
}

/// A recording in progress, across its connections.
pub(super) struct ActiveRecording<'a, S> {
    pub(super) recorder: Recorder,
    source: FixSource<'a, S>,
    replay: ReplayBuffer,
    retry: Retry,
    /// The retries until the server is reached.
    first_retry: Retry,
    /// Whether the server has answered a call.
    has_connected: bool,
    token: Reauthentication,
    /// The number of durable points in the last event.
    reported_points: Option<u64>,
    /// The number of points that the caller wants to be durable at once.
    flush_points: u64,
}

impl<'a, S: Stream<Item = Fix>> ActiveRecording<'a, S> {
    pub(super) fn new(recorder: Recorder, fixes: Pin<&'a mut S>) -> Self {
        let policy = recorder.retry_policy;
        let retry = Retry::new(policy);
        let budget = recorder.first_budget.unwrap_or(policy.budget);
        let first_retry = Retry::new(RetryPolicy { budget, ..policy });
        let token = Reauthentication::new(recorder.settings.token.clone());
        let replay = ReplayBuffer::new(recorder.window_points);
        let prefix = DurablePrefix::new(recorder.name.clone(), recorder.options);
        Self {
            recorder,
            source: FixSource::new(fixes, prefix),
            replay,
            retry,
            first_retry,
            has_connected: false,
            token,
            reported_points: None,
            flush_points: 0,
        }
    }

    /// Returns the number of points that are known to be durable.
    pub(super) fn committed_points(&self) -> u64 {
        self.replay.base()
    }

    /// Returns the wait before the next connection, or `None` if there is no time left.
    pub(super) fn next_wait(&mut self, error: &ClientError) -> Option<Duration> {
        match self.never_reached(error) {
            true => self.first_retry.next_wait_after(error),
            false => self.retry.next_wait_after(error),
        }
    }

    /// Returns the time without progress, and the rest of the time for retries.
    pub(super) fn retry_times(&mut self) -> (Duration, Duration) {
        (self.retry.elapsed(), self.retry.left())
    }

    /// Returns whether a limit for the first connection is set, and no server was reached yet.
    pub(super) fn never_reached(&self, error: &ClientError) -> bool {
        let is_unreached = match error {
            ClientError::Connect { .. } => true,
            // A server or a proxy that ends closes connections, too.
            ClientError::Connection { source, .. } => **source != ConnectionFault::Closed,
            _ => false,
        };
        is_unreached && !self.has_connected && self.recorder.first_budget.is_some()
    }

    /// Runs one connection: asks which points are durable, and sends the others.
    pub(super) async fn session(&mut self) -> Result<Recorded, SessionError> {
        self.token.begin().map_err(|error| self.classify(error))?;
        let endpoint = self.recorder.endpoint.clone();
        let channel = (self.recorder.connect)(endpoint).await;
        let channel = channel.map_err(|error| self.classify(error))?;
        self.retry.set_reached();
        let channel = Transport::new(channel, Arc::clone(&self.recorder.settings));
        let mut stub = Stub::new(channel.clone());
        let name = self.recorder.name.clone();
        let stored = with_timeout(self.reply_timeout(), paths::get_path(&mut stub, &name)).await;
        let stored = match stored {
            Ok(stored) => Some(stored),
            Err(ClientError::Status(status)) if status.code() == Code::NotFound => None,
            Err(error) => return Err(self.classify(error)),
        };
        self.has_connected = true;
        self.token.accepted();
        let committed_points = stored.as_ref().map_or(0, |stored| stored.committed_points);
        let stored_options = stored.as_ref().and_then(|stored| stored.options.as_ref());
        // An older server does not set all fields. A field that is not set has its default.
        let is_other = |stored: &pb::PathOptions| {
            options::from_message(stored).ok().as_ref() != Some(&self.recorder.options)
        };
        if stored_options.is_some_and(is_other) {
            // The bounds depend on the options, so the source cannot be compared. The server refuses the options
            // and names the fields that differ.
            self.open(channel.clone(), committed_points, false).await?;
        }
        let last_fix = stored.as_ref().and_then(|stored| stored.last_fix);
        if let Some(summary) = stored.as_ref().and_then(|stored| stored.summary.clone()) {
            self.source.prefix.expect(summary, last_fix);
        }
        self.set_committed(committed_points, last_fix)?;
        (self.recorder.on_event)(RecordEvent::Connected { committed_points });
        if stored.is_some_and(|stored| stored.is_complete) {
            return self.confirm_finished(channel).await;
        }

        loop {
            if let Some(recorded) = self.stream(channel.clone(), &mut stub).await? {
                return Ok(recorded);
            }
        }
    }

    /// Sends the fixes after the durable ones and returns the result. Returns `None` after a flush, which closes the
    /// stream: another stream continues the recording.
    async fn stream(
        &mut self,
        channel: Transport,
        stub: &mut Stub,
    ) -> Result<Option<Recorded>, SessionError> {
        let name = self.recorder.name.clone();
        let abort = Arc::<RequestAbort>::default();
        let (messages, body) = MessageBody::new(Arc::clone(&abort));
        let mut reply = pin!(call::call(channel, RECORD_PATH, Body::new(body), abort));
        // A proxy may hold back the start of the reply until the first update, which follows a commit of this stream.
        let mut opening = pin!(paths::watch_path(stub, &name, true));
        let mut watch = None::<Streaming<pb::WatchPathResponse>>;
        // The offset of the next fix to send on this stream.
        let mut sent = self.replay.base();
        let mut is_first = true;
        let mut is_closed = false;
        let mut is_watching = true;
        // Points became durable that this stream has not sent.
        let mut is_overtaken = false;
        // The number of points when the stream was closed so that the server commits them.
        let mut flushed_points = None;
        let started = Instant::now();
        // The number of points that were sent when the time for a commit by the server was over.
        let mut overdue_points = 0;
        loop {
            if is_first {
                // An earlier stream may have committed more points after GetPath was answered.
                sent = sent.max(self.replay.base());
            }
            let is_waiting = !self.replay.is_empty() || is_closed || is_overtaken;
            let (deadline, commit_deadline) = match is_waiting {
                true => (self.retry.answer_deadline(), self.commit_deadline(started, sent)),
                // The recorder waits for its source and not for the server.
                false => (self.retry.pause(), started),
            };
            let needs_flush = !self.source.is_exhausted
                && [self.flush_points, overdue_points]
                    .iter()
                    .any(|points| (self.replay.base() + 1..=sent).contains(points));
            let can_be_overdue = is_waiting
                && !(needs_flush || is_closed || is_overtaken || self.source.is_exhausted)
                && sent > self.replay.base();
            tokio::select! {
                biased;
                reply = &mut reply => {
                    let reply = reply.map_err(|error| self.classify(error))?;
                    return self.end_stream(reply, flushed_points);
                }
                opened = &mut opening, if watch.is_none() => {
                    watch = Some(opened.map_err(|error| self.classify(error))?);
                }
                update = next_update(&mut watch), if is_watching && watch.is_some() => match update {
                    Ok(Some(update)) => {
                        let path = update.path.unwrap_or_default();
                        // More points are durable than this stream has sent: another stream sent them. A stream is
                        // one contiguous range of offsets, so this one cannot skip them. It is closed, and the reply
                        // says whether the other stream is newer or an earlier stream's last commit.
                        is_overtaken |= !is_first && path.committed_points > sent;
                        if !is_overtaken {
                            let committed_points = path.committed_points;
                            let last_fix = paths::last_fix_of(&path, &self.recorder.options);
                            if is_first && let Some(summary) = paths::summary_of(path) {
                                // They may be of another client.
                                self.source.prefix.expect(summary, last_fix);
                            }
                            // The reply also reports a finished path.
                            self.set_committed(committed_points, last_fix)?;
                        }
                    }
                    // The watch ends when the recording is finished.
                    Ok(None) => is_watching = false,
                    // The recording was deleted. The reply may report it first, as PATH_DELETED, which is transient
                    // too. The next connection creates the recording again, or finds that durable points are lost.
                    Err(status) if status.code() == Code::NotFound => {
                        return Err(SessionError::Transient(Box::new(status).into()));
                    }
                    Err(status) => return Err(self.classify(Box::new(status).into())),
                },
                Some(points) = self.recorder.flushes.next() => {
                    self.flush_points = self.flush_points.max(points);
                }
                permit = messages.reserve(), if !is_closed && (is_overtaken || needs_flush || sent < self.replay.end() || (self.source.is_exhausted && self.source.skip == 0)) => {
                    let Ok(permit) = permit else {
                        // The body was dropped, and the reply says why.
                        let reply = with_timeout(self.reply_timeout(), reply.as_mut()).await;
                        let reply = reply.map_err(|error| self.classify(error))?;
                        return self.end_stream(reply, flushed_points);
                    };
                    if is_overtaken || needs_flush {
                        // Closes the stream without finish_write: the recording has points of another stream, or more
                        // points follow.
                        permit.send(EncodedMessage::end());
                        flushed_points = (!is_overtaken).then_some(sent);
                        is_closed = true;
                        continue;
                    }
                    let fixes: Vec<Fix> = self.replay.from(sent, MESSAGE_POINTS_MAX).collect();
                    let end = sent + fixes.len() as u64;
                    is_closed = self.source.is_exhausted && end == self.replay.end();
                    let points = points(&fixes, &self.recorder.options);
                    let message = pb::RecordPathRequest {
                        name: if is_first { name.to_string() } else { String::new() },
                        options: is_first.then(|| options::to_message(&self.recorder.options)),
                        write_offset: Some(sent),
                        points: points.rows,
                        columns: points.columns,
                        finish_write: is_closed,
                    };
                    permit.send(EncodedMessage::new(&message, is_closed));
                    (sent, is_first) = (end, false);
                }
                filled = self.source.fill(&mut self.replay, &self.recorder.options),
                    if !is_overtaken && !self.source.is_exhausted && sent == self.replay.end() && !self.replay.is_full() =>
                {
                    filled.map_err(SessionError::Fatal)?;
                    self.check_source()?;
                }
                () = tokio::time::sleep_until(deadline), if is_waiting => {
                    return Err(SessionError::Transient(ClientError::NotDurable));
                }
                () = tokio::time::sleep_until(commit_deadline), if can_be_overdue => {
                    overdue_points = sent;
                }
            }
        }
    }

    /// Returns the time at which the recorder closes its stream so that the server commits the points, if none of them
    /// became durable before. A server with long intervals between its commits would otherwise exceed the budget.
    fn commit_deadline(&mut self, stream_started: Instant, sent: u64) -> Instant {
        /// The maximum wait if the buffer is full, so that the source waits too.
        const FULL_BUFFER_WAIT: Duration = Duration::from_secs(5);
        let is_full = self.replay.is_full() && sent == self.replay.end();
        let limit = if is_full { FULL_BUFFER_WAIT } else { Duration::MAX };
        self.retry.half_time(stream_started, limit)
    }

    /// Returns the timeout of a reply that is due from now on: the stall timeout, or the rest of the budget if that is
    /// shorter.
    fn reply_timeout(&mut self) -> Duration {
        let rest = self.retry.answer_deadline().saturating_duration_since(Instant::now());
        self.recorder.stall_timeout.min(rest)
    }

    /// Removes durable points from the buffer and reports an event if their number has increased. `last_fix` is the last
    /// checked one of them, if it is known.
    fn set_committed(
        &mut self,
        committed_points: u64,
        last_fix: Option<Fix>,
    ) -> Result<(), SessionError> {
        let committed = self.replay.set_committed(committed_points).map_err(|lost| {
            let (name, durable) = (self.recorder.name.clone(), lost.base);
            SessionError::Fatal(RecordError::PointsLost { name, durable, got: committed_points })
        });
        let (mut removed, skip) = committed?;
        self.source.prefix.expect_last(committed_points, last_fix);
        removed.try_for_each(|fix| self.source.prefix.push(fix)).map_err(SessionError::Fatal)?;
        drop(removed);
        self.source.skip += skip;
        if self.reported_points.is_none_or(|reported| committed_points > reported) {
            self.retry.reset();
            if self.reported_points.is_some() {
                (self.recorder.on_event)(RecordEvent::Committed { committed_points });
            }
            self.reported_points = Some(committed_points);
        }
        self.check_source()
    }

    /// Fails if the source has ended with fewer fixes than the server has.
    fn check_source(&self) -> Result<(), SessionError> {
        if !self.source.is_exhausted || self.source.skip == 0 {
            return Ok(());
        }
        let stored = self.replay.base();
        Err(self.source_length(stored, Some(stored - self.source.skip)))
    }

    fn source_length(&self, stored: u64, source_points: Option<u64>) -> SessionError {
        let name = self.recorder.name.clone();
        SessionError::Fatal(RecordError::SourceLength { name, stored, source_points })
    }

    /// Opens a stream with the options and without points, closes it, and returns the reply.
    async fn open(
        &mut self,
        channel: Transport,
        write_offset: u64,
        finish_write: bool,
    ) -> Result<Bytes, SessionError> {
        let abort = Arc::<RequestAbort>::default();
        let (messages, body) = MessageBody::new(Arc::clone(&abort));
        let message = pb::RecordPathRequest {
            name: self.recorder.name.to_string(),
            options: Some(options::to_message(&self.recorder.options)),
            write_offset: Some(write_offset),
            finish_write,
            ..Default::default()
        };
        // The channel has capacity for one message.
        let _ = messages.try_send(EncodedMessage::new(&message, true));
        let reply = call::call(channel, RECORD_PATH, Body::new(body), abort);
        let reply = with_timeout(self.reply_timeout(), reply).await;
        reply.map_err(|error| self.classify(error))
    }

    /// Confirms a recording that is already finished. Finishes it again at its end, so that the server checks the
    /// options, and checks that the source has the same number of fixes.
    async fn confirm_finished(&mut self, channel: Transport) -> Result<Recorded, SessionError> {
        let stored = self.replay.base();
        let reply = self.open(channel, stored, true).await?;
        let recorded = self.read_reply(reply)?;
        let recorded = recorded.ok_or(SessionError::Transient(ClientError::Unfinished))?;
        while !self.source.is_exhausted && self.replay.is_empty() {
            let Self { source, replay, recorder, .. } = self;
            let filled = source.fill(replay, &recorder.options).await;
            filled.map_err(SessionError::Fatal)?;
            self.check_source()?;
        }
        match self.replay.is_empty() {
            true => Ok(recorded),
            false => Err(self.source_length(stored, None)),
        }
    }

    /// Returns the result of a stream that was closed, or `None` after a flush.
    fn end_stream(
        &mut self,
        reply: Bytes,
        flushed_points: Option<u64>,
    ) -> Result<Option<Recorded>, SessionError> {
        let Some(recorded) = self.read_reply(reply)? else {
            let is_flushed = flushed_points.is_some_and(|points| self.replay.base() >= points);
            return match is_flushed {
                true => Ok(None),
                false => Err(SessionError::Transient(ClientError::Unfinished)),
            };
        };
        if !self.source.is_exhausted || !self.replay.is_empty() {
            // Another client has finished the recording.
            return Err(self.source_length(recorded.point_count, None));
        }
        Ok(Some(recorded))
    }

    /// Reads the reply of RecordPath. Returns `None` if the path is not finished.
    fn read_reply(&mut self, reply: Bytes) -> Result<Option<Recorded>, SessionError> {
        let reply = pb::RecordPathResponse::decode(reply)
            .map_err(|error| SessionError::Transient(error.into()))?;
        self.set_committed(reply.committed_points, None)?;
        if !reply.complete {
            return Ok(None);
        }
        let summary = reply.summary.ok_or_else(|| ClientError::reply("it has no summary"));
        let summary = summary.and_then(|message| Ok(summary::from_message(&message)?));
        let summary = summary.map_err(|error| self.classify(error))?;
        Ok(Some(Recorded { point_count: reply.committed_points, summary }))
    }

    /// Returns whether an error is transient or ends the recording.
    fn classify(&mut self, error: ClientError) -> SessionError {
        let name = self.recorder.name.clone();
        match error {
            error if is_transient(&error) => SessionError::Transient(error),
            error if self.token.is_expired(&error) => SessionError::Transient(error),
            // The server was reached before, so that a proxy or a new certificate may be the reason.
            error @ ClientError::Connection { .. } if self.has_connected => {
                SessionError::Transient(error)
            }
            ClientError::Status(status) if has_reason(&status, reason::WRITER_FENCED) => {
                SessionError::Fatal(RecordError::Fenced { name })
            }
            source => SessionError::Fatal(RecordError::Refused { name, source }),
        }
    }
}

/// Returns the next update of a watch that has started. Never completes before that.
async fn next_update(
    watch: &mut Option<Streaming<pb::WatchPathResponse>>,
) -> Result<Option<pb::WatchPathResponse>, tonic::Status> {
    match watch {
        Some(watch) => watch.message().await,
        None => std::future::pending().await,
    }
}
