//! One connection of a recording: it asks what is durable, sends what is not, and drops what becomes so.
//!
//! A `select!` over the reply, the watch, the way out and the source, in that order. It neither waits between
//! connections nor gives up; `mod.rs` does.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Code;
use tonic::body::Body;
use tonic::transport::Channel;

use super::super::body::Tie;
use super::super::call::{self, within};
use super::super::convert;
use super::super::paths::{self, Stub};
use super::super::pieces::{Piece, PieceBody};
use super::super::replay::Replay;
use super::super::retry::{Retry, has_reason, is_passing};
use super::super::{ClientError, innermost};
use super::source::Source;
use super::{RecordError, RecordEvent, Recorded, Recorder};
use crate::contract::method::v1::RECORD_PATH;
use crate::contract::points::{MESSAGE_POINTS_MAX, points};
use crate::contract::{options, reason};
use crate::measure::Fix;
use crate::proto::waywiser_v1 as pb;

/// Why a session is over.
pub(super) enum Break {
    Over(RecordError),
    Passing(ClientError),
}

/// A recording under way, across its connections.
pub(super) struct Run<'a, S> {
    pub(super) recorder: Recorder,
    source: Source<'a, S>,
    replay: Replay,
    pub(super) retry: Retry,
    /// How many points the last event said were durable.
    told: Option<u64>,
}

impl<'a, S: Stream<Item = Fix>> Run<'a, S> {
    /// Nothing is known yet.
    pub(super) fn new(recorder: Recorder, fixes: Pin<&'a mut S>) -> Self {
        let retry = Retry::new(recorder.patience);
        let replay = Replay::new(recorder.window_points);
        Self { recorder, source: Source::new(fixes), replay, retry, told: None }
    }

    /// How many points are known to be durable.
    pub(super) fn committed_points(&self) -> u64 {
        self.replay.base()
    }

    /// One connection: from asking what is durable to the reply.
    pub(super) async fn session(&mut self) -> Result<Recorded, Break> {
        let endpoint = self.recorder.endpoint.clone();
        let channel = (self.recorder.connect)(endpoint).await.map_err(|error| {
            let reason = innermost(&error);
            Break::Passing(ClientError::Connect { url: self.recorder.url.clone(), reason })
        })?;
        let mut stub = Stub::new(channel.clone());
        let name = self.recorder.name.clone();
        let stored = match within(self.answer_time(), paths::path(&mut stub, &name)).await {
            Ok(stored) => Some(stored),
            Err(ClientError::Status(status)) if status.code() == Code::NotFound => None,
            Err(error) => return Err(self.sort(error)),
        };
        let committed_points = stored.as_ref().map_or(0, |stored| stored.committed_points);
        let stored_options = stored.as_ref().and_then(|stored| stored.options.as_ref());
        if stored_options
            .is_some_and(|stored| *stored != options::to_message(&self.recorder.options))
        {
            // The bounds depend on the options, so the source cannot be compared. The server refuses the options
            // and names the fields that differ.
            self.open(channel.clone(), committed_points, false).await?;
        }
        if self.told.is_none()
            && let Some(summary) = stored.as_ref().and_then(|stored| stored.summary.clone())
        {
            self.source.expect(summary, &self.recorder.options);
        }
        self.committed(committed_points)?;
        (self.recorder.on_event)(RecordEvent::Connected { committed_points });
        if stored.is_some_and(|stored| stored.is_complete) {
            return self.finished(channel).await;
        }

        let watch = within(self.answer_time(), paths::watch(&mut stub, &name, true)).await;
        let mut watch = watch.map_err(|error| self.sort(error))?;
        let tie = Arc::<Tie>::default();
        let (pieces, body) = PieceBody::new(Arc::clone(&tie));
        let mut reply = pin!(call::call(channel, RECORD_PATH, Body::new(body), tie));
        // How far this stream has got.
        let mut sent = committed_points;
        let mut is_first = true;
        let mut is_closed = false;
        let mut is_watching = true;
        // Points became durable that were never here.
        let mut is_overtaken = false;
        loop {
            if is_first {
                // An earlier stream may have committed more points after GetPath was answered.
                sent = sent.max(self.replay.base());
            }
            let is_waiting = !self.replay.is_empty() || is_closed || is_overtaken;
            let deadline = match is_waiting {
                true => self.retry.deadline(),
                // The server is there and owes nothing: a source that is silent spends no budget.
                false => self.retry.rest(),
            };
            tokio::select! {
                biased;
                answer = &mut reply => {
                    let answer = answer.map_err(|error| self.sort(error))?;
                    return self.answered(answer);
                }
                told = watch.message(), if is_watching => match told {
                    Ok(Some(told)) => {
                        let path = told.path.unwrap_or_default();
                        // More points are durable than this stream has sent: another stream sent them. A stream is
                        // one contiguous range of offsets, so this one cannot skip them. It is closed, and the reply
                        // says whether the other stream is newer or an earlier stream's last commit.
                        is_overtaken |= !is_first && path.committed_points > sent;
                        if !is_overtaken {
                            // The reply reports a finished path, too.
                            self.committed(path.committed_points)?;
                        }
                    }
                    // It ends with the recording.
                    Ok(None) => is_watching = false,
                    // The recording was deleted. The reply may report it first, as PATH_DELETED; `sort` does the
                    // same. The next connection creates the recording again, or finds that durable points are lost.
                    Err(status) if status.code() == Code::NotFound => {
                        return Err(Break::Passing(Box::new(status).into()));
                    }
                    Err(status) => return Err(self.sort(Box::new(status).into())),
                },
                permit = pieces.reserve(), if !is_closed && (is_overtaken || sent < self.replay.end() || (self.source.is_exhausted && self.source.skip == 0)) => {
                    let Ok(permit) = permit else {
                        // The body is gone, and the reply tells why.
                        let answer = within(self.answer_time(), reply.as_mut()).await;
                        return self.answered(answer.map_err(|error| self.sort(error))?);
                    };
                    if is_overtaken {
                        // Without the mark of the end: that is not for this one to say.
                        permit.send(Piece::end());
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
                    permit.send(Piece::new(&message, is_closed));
                    (sent, is_first) = (end, false);
                }
                filled = self.source.fill(&mut self.replay, &name, &self.recorder.options),
                    if !is_overtaken && !self.source.is_exhausted && sent == self.replay.end() && !self.replay.is_full() =>
                {
                    filled.map_err(Break::Over)?;
                    self.check_source()?;
                }
                () = tokio::time::sleep_until(deadline), if is_waiting => {
                    let text = "the server answers, but what was sent does not become durable";
                    return Err(Break::Passing(convert::reply(text.to_owned())));
                }
            }
        }
    }

    /// How long an answer may take that is owed from now on: longer than that, or than the budget lasts, nobody
    /// tells a server that hangs from a connection that is lost.
    fn answer_time(&mut self) -> Duration {
        let rest = self.retry.deadline().saturating_duration_since(Instant::now());
        self.recorder.stall_time.min(rest)
    }

    /// Notes that so many points are durable.
    fn committed(&mut self, committed_points: u64) -> Result<(), Break> {
        let skip = self.replay.committed(committed_points).map_err(|lost| {
            let (name, durable) = (self.recorder.name.clone(), lost.base);
            Break::Over(RecordError::Lost { name, durable, got: committed_points })
        })?;
        self.source.skip += skip;
        if self.told.is_none_or(|told| committed_points > told) {
            self.retry.progress();
            if self.told.is_some() {
                (self.recorder.on_event)(RecordEvent::Committed { committed_points });
            }
            self.told = Some(committed_points);
        }
        self.check_source()
    }

    /// The server cannot have more than the source.
    fn check_source(&self) -> Result<(), Break> {
        if !self.source.is_exhausted || self.source.skip == 0 {
            return Ok(());
        }
        let (name, stored) = (self.recorder.name.clone(), self.replay.base());
        let source_points = Some(stored - self.source.skip);
        Err(Break::Over(RecordError::Source { name, stored, source_points }))
    }

    /// Opens a stream with its options, without points, and returns the reply.
    async fn open(
        &mut self,
        channel: Channel,
        write_offset: u64,
        finish_write: bool,
    ) -> Result<bytes::Bytes, Break> {
        let tie = Arc::<Tie>::default();
        let (pieces, body) = PieceBody::new(Arc::clone(&tie));
        let message = pb::RecordPathRequest {
            name: self.recorder.name.to_string(),
            options: Some(options::to_message(&self.recorder.options)),
            write_offset: Some(write_offset),
            finish_write,
            ..Default::default()
        };
        // The channel has capacity for one message.
        let _ = pieces.try_send(Piece::new(&message, true));
        let answer = call::call(channel, RECORD_PATH, Body::new(body), tie);
        let answer = within(self.answer_time(), answer).await;
        answer.map_err(|error| self.sort(error))
    }

    /// The recording is finished. It is sent again from its end on, so that it is the server who says whether
    /// it was recorded with these options; and the source has to end where it does.
    async fn finished(&mut self, channel: Channel) -> Result<Recorded, Break> {
        let stored = self.replay.base();
        let answer = self.open(channel, stored, true).await?;
        let recorded = self.recorded(answer)?;
        while !self.source.is_exhausted && self.replay.is_empty() {
            let Self { source, replay, recorder, .. } = self;
            let filled = source.fill(replay, &recorder.name, &recorder.options).await;
            filled.map_err(Break::Over)?;
            self.check_source()?;
        }
        match self.replay.is_empty() {
            true => Ok(recorded),
            false => {
                let name = self.recorder.name.clone();
                Err(Break::Over(RecordError::Source { name, stored, source_points: None }))
            }
        }
    }

    /// The stream was answered.
    fn answered(&mut self, answer: bytes::Bytes) -> Result<Recorded, Break> {
        let recorded = self.recorded(answer)?;
        if !self.source.is_exhausted || !self.replay.is_empty() {
            // Somebody else has finished it.
            let (name, stored) = (self.recorder.name.clone(), recorded.point_count);
            return Err(Break::Over(RecordError::Source { name, stored, source_points: None }));
        }
        Ok(recorded)
    }

    /// What an answer says.
    fn recorded(&mut self, answer: bytes::Bytes) -> Result<Recorded, Break> {
        let answer = pb::RecordPathResponse::decode(answer)
            .map_err(|error| Break::Passing(convert::reply(error.to_string())))?;
        self.committed(answer.committed_points)?;
        if !answer.complete {
            let text = "it was closed before the path was finished".to_owned();
            return Err(Break::Passing(convert::reply(text)));
        }
        let summary = answer.summary.ok_or_else(|| convert::reply("it has no summary".to_owned()));
        let summary = summary
            .and_then(|summary| convert::summary(&summary))
            .map_err(|error| self.sort(error))?;
        Ok(Recorded { point_count: answer.committed_points, summary })
    }

    /// Whether an error may pass.
    fn sort(&self, error: ClientError) -> Break {
        let name = self.recorder.name.clone();
        match error {
            error if is_passing(&error) => Break::Passing(error),
            ClientError::Status(status) if has_reason(&status, reason::WRITER_FENCED) => {
                Break::Over(RecordError::Fenced { name })
            }
            error => Break::Over(RecordError::Refused { name, error }),
        }
    }
}
