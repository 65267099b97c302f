//! A recording that goes on through lost connections, restarted servers and restarted clients.
//!
//! Every fix is kept (`replay.rs`) until the server has told by WatchPath that it is durable. When a
//! stream is lost, GetPath tells where to go on, and what is kept is sent again. It knows no file and no
//! terminal.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt as _;
use prost::Message as _;
use tokio_stream::Stream;
use tonic::Code;
use tonic::body::Body;
use tonic::transport::Endpoint;

use super::body::Tie;
use super::columns::{self, MESSAGE_POINTS_MAX};
use super::convert::{self, options_message};
use super::paths::{self, Stub};
use super::pieces::{Piece, PieceBody};
use super::replay::Replay;
use super::retry::{Patience, Retry, is_passing};
use super::{Client, ClientError, call};
use crate::checkpoint::PathName;
use crate::measure::{Fix, Options, PathSummary, Space};
use crate::proto::waywiser_v1 as pb;

pub(crate) const RECORD_PATH: &str = "/waywiser.v1.PathService/RecordPath";

/// Records one path under a name. Made by [`Client::recorder`].
pub struct Recorder {
    endpoint: Endpoint,
    url: String,
    name: PathName,
    options: Options,
    window_points: usize,
    patience: Patience,
    on_event: Box<dyn FnMut(RecordEvent) + Send>,
}

/// How a recording fares.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RecordEvent {
    /// A stream is about to go on from what is durable.
    Connected {
        /// How many points that is.
        committed_points: u64,
    },
    /// More has become durable.
    Committed {
        /// How many points are.
        committed_points: u64,
    },
    /// The stream was lost and will be opened again.
    Retrying {
        /// After how long.
        wait: Duration,
        /// Why.
        reason: String,
    },
}

/// A recording that is finished.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// How many points it has.
    pub point_count: u64,
    /// What they come to: the same bits whatever happened on the way.
    pub summary: PathSummary,
}

/// Why a recording is not finished. What was durable stays, and can be gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The server refused, and would again.
    #[error("{name}: {error}")]
    Refused {
        /// The recording.
        name: PathName,
        /// What it said.
        error: ClientError,
    },
    /// Another client has begun to write the recording.
    #[error("{name} is now written by another client, which goes on from what was sent so far")]
    Fenced {
        /// The recording.
        name: PathName,
    },
    /// Nothing became durable for too long.
    #[error("{name}: nothing became durable for {} s: {error}", budget.as_secs_f64())]
    GaveUp {
        /// The recording.
        name: PathName,
        /// The budget.
        budget: Duration,
        /// What went wrong last.
        error: ClientError,
    },
    /// The server has less than it had said was durable: it was deleted, or its disk was lost.
    #[error(
        "{name}: the server has {got} points, and had {durable}; it was deleted or lost, record it again from the start"
    )]
    Lost {
        /// The recording.
        name: PathName,
        /// How many points were durable.
        durable: u64,
        /// How many there are now.
        got: u64,
    },
    /// The source is not the one that the recording was begun with.
    #[error(
        "{name} has {stored} points already, and the source {}; record another path under another name",
        source_words(*source_points)
    )]
    Source {
        /// The recording.
        name: PathName,
        /// How many points it has.
        stored: u64,
        /// How many the source has; `None` if more than that.
        source_points: Option<u64>,
    },
    /// A fix lies in the other space than the metric's.
    #[error("fix {offset} is {space}, and the metric takes {wanted} ones")]
    Space {
        /// Its offset.
        offset: u64,
        /// Where it lies.
        space: Space,
        /// Where it should.
        wanted: Space,
    },
}

fn source_words(points: Option<u64>) -> String {
    points.map_or_else(|| "has more".to_owned(), |points| format!("has {points}"))
}

impl Client {
    /// A recorder of one path. The options are those of the whole path: a recording that was begun with
    /// others is refused.
    pub fn recorder(&self, name: PathName, options: Options) -> Recorder {
        Recorder {
            endpoint: self.endpoint.clone(),
            url: self.url.clone(),
            name,
            options,
            window_points: 1 << 18,
            patience: Patience::default(),
            on_event: Box::new(|_| {}),
        }
    }
}

impl Recorder {
    /// How many points that are not durable it keeps at the most; the source waits when there are so
    /// many. Each takes about 80 bytes. 262 144 unless set.
    pub fn window_points(self, window_points: usize) -> Self {
        Self { window_points, ..self }
    }

    /// How long it puts up with a server that is away.
    pub fn patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// After how long without a sign of life a connection counts as broken. Two times 15 s unless set.
    pub fn stall_time(self, time: Duration) -> Self {
        let endpoint = self.endpoint.http2_keep_alive_interval(time / 2);
        Self { endpoint: endpoint.keep_alive_timeout(time / 2), ..self }
    }

    /// Whom to tell how it fares. It is called from the task that records, and must not block.
    pub fn on_event(self, on_event: impl FnMut(RecordEvent) + Send + 'static) -> Self {
        Self { on_event: Box::new(on_event), ..self }
    }

    /// Records the fixes of a source and finishes the path where the source ends.
    ///
    /// The source is the whole path from its first fix on. If the server has the first n of them, from
    /// this process or one before, these are taken from the source and passed over. A recording that is
    /// finished already is answered as it is stored if the source has as many fixes.
    ///
    /// Dropping the future resets the stream: what the server had is kept there, unfinished.
    ///
    /// # Errors
    /// When the server refuses, another client writes the recording, or the budget is spent.
    pub async fn record(
        self,
        fixes: impl Stream<Item = Fix> + Send,
    ) -> Result<Recorded, RecordError> {
        let retry = Retry::new(self.patience);
        let replay = Replay::new(self.window_points);
        let fixes = pin!(fixes);
        let mut run =
            Run { recorder: self, fixes, replay, retry, skip: 0, is_exhausted: false, told: None };
        loop {
            let error = match run.session().await {
                Ok(recorded) => return Ok(recorded),
                Err(Break::Over(error)) => return Err(error),
                Err(Break::Passing(error)) => error,
            };
            match run.retry.next_wait() {
                Some(wait) => {
                    let reason = error.to_string();
                    (run.recorder.on_event)(RecordEvent::Retrying { wait, reason });
                    tokio::time::sleep(wait).await;
                }
                None => {
                    let Patience { budget, .. } = run.recorder.patience;
                    return Err(RecordError::GaveUp { name: run.recorder.name, budget, error });
                }
            }
        }
    }
}

/// Why a session is over.
enum Break {
    Over(RecordError),
    Passing(ClientError),
}

/// A recording under way, across its connections.
struct Run<'a, S> {
    recorder: Recorder,
    fixes: Pin<&'a mut S>,
    replay: Replay,
    retry: Retry,
    /// Fixes that the source has yet to give and the server has.
    skip: u64,
    /// The source has ended.
    is_exhausted: bool,
    /// How many points the last event said were durable.
    told: Option<u64>,
}

impl<S: Stream<Item = Fix>> Run<'_, S> {
    /// One connection: from asking what is durable to the reply.
    async fn session(&mut self) -> Result<Recorded, Break> {
        let channel = self.recorder.endpoint.connect().await.map_err(|error| {
            let reason = super::innermost(&error);
            Break::Passing(ClientError::Connect { url: self.recorder.url.clone(), reason })
        })?;
        let mut stub = Stub::new(channel.clone());
        let name = self.recorder.name.clone();
        let stored = match paths::path(&mut stub, &name).await {
            Ok(stored) => Some(stored),
            Err(ClientError::Status(status)) if status.code() == Code::NotFound => None,
            Err(error) => return Err(self.sort(error)),
        };
        let committed_points = stored.as_ref().map_or(0, |stored| stored.committed_points);
        self.committed(committed_points)?;
        (self.recorder.on_event)(RecordEvent::Connected { committed_points });
        if let Some(stored) = stored.filter(|stored| stored.is_complete) {
            let summary = stored.summary.ok_or_else(|| {
                self.sort(convert::reply("the finished path has no summary".to_owned()))
            })?;
            return self.finished(summary).await;
        }

        let request = pb::WatchPathRequest { name: name.to_string(), allow_missing: true };
        let watch = stub.watch_path(request).await;
        let mut watch = watch.map_err(|status| self.sort(Box::new(status).into()))?.into_inner();
        let tie = Arc::<Tie>::default();
        let (pieces, body) = PieceBody::new(Arc::clone(&tie));
        let mut reply = pin!(call::call(channel, RECORD_PATH, Body::new(body), tie));
        // How far this stream has got.
        let mut sent = committed_points;
        let mut is_first = true;
        let mut is_closed = false;
        let mut is_watching = true;
        loop {
            let is_waiting = !self.replay.is_empty() || is_closed;
            let deadline = self.retry.deadline();
            tokio::select! {
                biased;
                answer = &mut reply => {
                    let answer = answer.map_err(|error| self.sort(error))?;
                    return self.answered(answer);
                }
                told = watch.message(), if is_watching => match told {
                    Ok(Some(told)) => {
                        let path = told.path.unwrap_or_default();
                        // One that is finished is told by the reply, too.
                        self.committed(path.committed_points)?;
                    }
                    // It ends with the recording.
                    Ok(None) => is_watching = false,
                    // The recording was deleted: the stream is about to be told so.
                    Err(status) if status.code() == Code::NotFound => is_watching = false,
                    Err(status) => return Err(self.sort(Box::new(status).into())),
                },
                permit = pieces.reserve(), if !is_closed && (sent < self.replay.end() || (self.is_exhausted && self.skip == 0)) => {
                    let Ok(permit) = permit else {
                        // The body is gone, and the reply tells why.
                        let answer = reply.as_mut().await.map_err(|error| self.sort(error))?;
                        return self.answered(answer);
                    };
                    let fixes: Vec<Fix> = self.replay.from(sent, MESSAGE_POINTS_MAX).collect();
                    let end = sent + fixes.len() as u64;
                    is_closed = self.is_exhausted && end == self.replay.end();
                    let points = columns::points(&fixes, &self.recorder.options);
                    let message = pb::RecordPathRequest {
                        name: if is_first { name.to_string() } else { String::new() },
                        options: is_first.then(|| options_message(&self.recorder.options)),
                        write_offset: sent,
                        points: points.rows,
                        columns: points.columns,
                        finish_write: is_closed,
                    };
                    permit.send(Piece::new(&message, is_closed));
                    (sent, is_first) = (end, false);
                }
                filled = fill(&mut self.fixes, &mut self.replay, &mut self.skip, &mut self.is_exhausted, self.recorder.options.metric.space()),
                    if !self.is_exhausted && sent == self.replay.end() && !self.replay.is_full() =>
                {
                    filled.map_err(Break::Over)?;
                    self.check_source()?;
                    if is_waiting == self.replay.is_empty() {
                        self.retry.progress();
                    }
                }
                () = tokio::time::sleep_until(deadline), if is_waiting => {
                    let text = "the server answers, but what was sent does not become durable";
                    return Err(Break::Passing(convert::reply(text.to_owned())));
                }
            }
        }
    }

    /// Notes that so many points are durable.
    fn committed(&mut self, committed_points: u64) -> Result<(), Break> {
        let skip = self.replay.committed(committed_points).map_err(|lost| {
            let (name, durable) = (self.recorder.name.clone(), lost.base);
            Break::Over(RecordError::Lost { name, durable, got: committed_points })
        })?;
        self.skip += skip;
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
        if !self.is_exhausted || self.skip == 0 {
            return Ok(());
        }
        let (name, stored) = (self.recorder.name.clone(), self.replay.base());
        let source_points = Some(stored - self.skip);
        Err(Break::Over(RecordError::Source { name, stored, source_points }))
    }

    /// The recording is finished; the source has to end where it does.
    async fn finished(&mut self, summary: PathSummary) -> Result<Recorded, Break> {
        let stored = self.replay.base();
        let space = self.recorder.options.metric.space();
        while !self.is_exhausted && self.replay.is_empty() {
            let Self { fixes, replay, skip, is_exhausted, .. } = self;
            fill(fixes, replay, skip, is_exhausted, space).await.map_err(Break::Over)?;
            self.check_source()?;
        }
        match self.replay.is_empty() {
            true => Ok(Recorded { point_count: stored, summary }),
            false => {
                let name = self.recorder.name.clone();
                Err(Break::Over(RecordError::Source { name, stored, source_points: None }))
            }
        }
    }

    /// The stream was answered.
    fn answered(&mut self, message: bytes::Bytes) -> Result<Recorded, Break> {
        let answer = pb::RecordPathResponse::decode(message)
            .map_err(|error| Break::Passing(convert::reply(error.to_string())))?;
        self.committed(answer.committed_points)?;
        if !answer.complete {
            let text = "it was closed before the path was finished".to_owned();
            return Err(Break::Passing(convert::reply(text)));
        }
        if !self.is_exhausted || !self.replay.is_empty() {
            // Somebody else has finished it.
            let (name, stored) = (self.recorder.name.clone(), answer.committed_points);
            return Err(Break::Over(RecordError::Source { name, stored, source_points: None }));
        }
        let summary = answer.summary.ok_or_else(|| convert::reply("it has no summary".to_owned()));
        let summary = summary.and_then(convert::summary).map_err(|error| self.sort(error))?;
        Ok(Recorded { point_count: answer.committed_points, summary })
    }

    /// Whether an error may pass.
    fn sort(&self, error: ClientError) -> Break {
        let name = self.recorder.name.clone();
        match error {
            error if is_passing(&error) => Break::Passing(error),
            ClientError::Status(status) if is_fenced(&status) => {
                Break::Over(RecordError::Fenced { name })
            }
            error => Break::Over(RecordError::Refused { name, error }),
        }
    }
}

fn is_fenced(status: &tonic::Status) -> bool {
    use tonic_types::StatusExt as _;
    status.get_details_error_info().is_some_and(|info| info.reason == "WRITER_FENCED")
}

/// Takes what the source has ready, at least one fix, as far as there is room; no more at a time than goes
/// into a message.
async fn fill<S: Stream<Item = Fix>>(
    fixes: &mut Pin<&mut S>,
    replay: &mut Replay,
    skip: &mut u64,
    is_exhausted: &mut bool,
    wanted: Space,
) -> Result<(), RecordError> {
    let mut count = 0;
    poll_fn(|cx| {
        while count < MESSAGE_POINTS_MAX && !replay.is_full() {
            match fixes.poll_next_unpin(cx) {
                Poll::Ready(Some(fix)) if fix.point().space() != wanted => {
                    let (offset, space) = (replay.end() - *skip, fix.point().space());
                    return Poll::Ready(Err(RecordError::Space { offset, space, wanted }));
                }
                Poll::Ready(Some(_)) if *skip > 0 => *skip -= 1,
                // There is room.
                Poll::Ready(Some(fix)) => drop(replay.push(fix)),
                Poll::Ready(None) => {
                    *is_exhausted = true;
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending if count == 0 => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(())),
            }
            count += 1;
        }
        Poll::Ready(Ok(()))
    })
    .await
}
