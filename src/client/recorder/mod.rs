//! A recording that goes on through lost connections, restarted servers and restarted clients.
//!
//! Every fix is kept (`replay.rs`) until the server has told by WatchPath that it is durable. When a
//! stream is lost, GetPath tells where to go on, and what is kept is sent again: `session.rs` is one
//! connection, and here is who begins the next. It knows no file and no terminal.

mod session;
mod source;

use std::pin::pin;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio_stream::Stream;
use tonic::transport::{Channel, Endpoint, Error};

use self::session::{Break, Run};
use super::retry::Patience;
use super::{ANSWER_TIME, Client, ClientError};
use crate::measure::{Fix, Options, PathSummary, Space};
use crate::recording::RecordingName;

/// How to come by a connection.
type Connect = Box<dyn Fn(Endpoint) -> BoxFuture<'static, Result<Channel, Error>> + Send>;

/// Records one path under a name. Made by [`Client::recorder`].
pub struct Recorder {
    connect: Connect,
    endpoint: Endpoint,
    url: String,
    name: RecordingName,
    options: Options,
    window_points: usize,
    patience: Patience,
    stall_time: Duration,
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
        name: RecordingName,
        /// What it said.
        error: ClientError,
    },
    /// Another client has begun to write the recording.
    #[error("{name} is now written by another client, which goes on from what was sent so far")]
    Fenced {
        /// The recording.
        name: RecordingName,
    },
    /// Nothing became durable for too long.
    #[error(
        "{name}: nothing became durable for {} s behind the first {committed_points} points: {error}",
        budget.as_secs_f64()
    )]
    GaveUp {
        /// The recording.
        name: RecordingName,
        /// How many points are durable, as far as is known.
        committed_points: u64,
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
        name: RecordingName,
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
        name: RecordingName,
        /// How many points it has.
        stored: u64,
        /// How many the source has; `None` if more than that.
        source_points: Option<u64>,
    },
    /// The first fixes of the source are not those that the recording has.
    #[error(
        "{name} has {stored} points already, and the first {stored} of the source are others; record another path under another name"
    )]
    Other {
        /// The recording.
        name: RecordingName,
        /// How many points it has.
        stored: u64,
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
    pub fn recorder(&self, name: RecordingName, options: Options) -> Recorder {
        Recorder {
            connect: Box::new(|endpoint| Box::pin(async move { endpoint.connect().await })),
            endpoint: self.endpoint.clone(),
            url: self.url.clone(),
            name,
            options,
            window_points: 1 << 18,
            patience: Patience::default(),
            stall_time: ANSWER_TIME,
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

    /// After how long without a sign of life a connection counts as broken, and so does one whose other end
    /// lives and does not answer. 30 s unless set.
    pub fn stall_time(self, time: Duration) -> Self {
        let endpoint = self.endpoint.http2_keep_alive_interval(time / 2);
        let endpoint = endpoint.keep_alive_timeout(time / 2);
        Self { endpoint, stall_time: time, ..self }
    }

    /// Whom to tell how it fares. It is called from the task that records, and must not block.
    pub fn on_event(self, on_event: impl FnMut(RecordEvent) + Send + 'static) -> Self {
        Self { on_event: Box::new(on_event), ..self }
    }

    /// Records the fixes of a source and finishes the path where the source ends.
    ///
    /// The source is the whole path from its first fix on. If the server has the first n of them, from
    /// this process or one before, these are taken from the source and passed over; that they come to the
    /// same length and bounds is checked. A recording that is finished already is answered as it is stored if
    /// the source has as many fixes.
    ///
    /// Dropping the future resets the stream: what the server had is kept there, unfinished unless the end was
    /// on its way.
    ///
    /// # Errors
    /// When the server refuses, another client writes the recording, or the budget is spent.
    pub async fn record(
        self,
        fixes: impl Stream<Item = Fix> + Send,
    ) -> Result<Recorded, RecordError> {
        let fixes = pin!(fixes);
        let mut run = Run::new(self, fixes);
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
                    let committed_points = run.committed_points();
                    let name = run.recorder.name;
                    return Err(RecordError::GaveUp { name, committed_points, budget, error });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
