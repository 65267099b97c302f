//! A recording that survives lost connections, restarted servers and restarted clients.
//!
//! Every fix stays in a buffer ([`ReplayBuffer`](super::replay::ReplayBuffer)) until WatchPath reports it as
//! durable. After a lost connection GetPath returns the offset to resume from, and the fixes in the buffer are sent
//! again. `session` handles one connection, `source` the fixes of the caller, `prefix` those that are durable. This file
//! opens the next connection. The module knows no file and no terminal.

mod error;
mod prefix;
mod session;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use tokio_stream::Stream;
use tonic::transport::{Channel, Endpoint};

pub use self::error::RecordError;
use self::session::{ActiveRecording, SessionError};
use super::retry::{RetryPolicy, server_delay};
use super::transport::CallSettings;
use super::{Client, ClientError, REPLY_TIMEOUT};
use crate::measure::{Fix, Options, PathSummary};
use crate::recording::RecordingName;

/// Opens a connection.
type Connect = Box<dyn Fn(Endpoint) -> BoxFuture<'static, Result<Channel, ClientError>> + Send>;

/// Records one path under a name. [`Client::recorder`] creates it, and its methods configure it.
pub struct Recorder {
    connect: Connect,
    endpoint: Endpoint,
    settings: Arc<CallSettings>,
    name: RecordingName,
    options: Options,
    window_points: usize,
    retry_policy: RetryPolicy,
    first_budget: Option<Duration>,
    stall_timeout: Duration,
    on_event: Box<dyn FnMut(RecordEvent) + Send>,
    flushes: Pin<Box<dyn Stream<Item = u64> + Send>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("settings", &self.settings)
            .field("name", &self.name)
            .field("options", &self.options)
            .field("window_points", &self.window_points)
            .field("retry_policy", &self.retry_policy)
            .field("stall_timeout", &self.stall_timeout)
            .finish_non_exhaustive()
    }
}

/// A progress event of a recording.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RecordEvent {
    /// A stream is about to continue after the durable points.
    Connected {
        /// The number of durable points.
        committed_points: u64,
    },
    /// More points are durable.
    Committed {
        /// The number of durable points.
        committed_points: u64,
    },
    /// The stream was lost and will be opened again.
    Retrying {
        /// The wait before the next stream is opened.
        wait: Duration,
        /// The error of the lost stream.
        reason: String,
    },
}

/// A finished recording.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recorded {
    /// The number of points.
    pub point_count: u64,
    /// The totals of the points. They are bit-identical however often the stream was lost.
    pub summary: PathSummary,
}

impl Client {
    /// Returns a recorder of one path. The options apply to the whole path: the server refuses other options than those
    /// of the first stream.
    pub fn recorder(&self, name: RecordingName, options: Options) -> Recorder {
        let parts = Arc::clone(&self.parts);
        Recorder {
            connect: Box::new(move |endpoint| {
                let parts = Arc::clone(&parts);
                Box::pin(async move { parts.connect(&endpoint).await })
            }),
            endpoint: self.parts.endpoint.clone(),
            settings: Arc::clone(&self.parts.settings),
            name,
            options,
            window_points: 1 << 18,
            retry_policy: RetryPolicy::default(),
            first_budget: None,
            stall_timeout: REPLY_TIMEOUT,
            on_event: Box::new(|_| {}),
            flushes: Box::pin(stream::pending()),
        }
    }
}

impl Recorder {
    /// Sets the maximum number of points in memory that are not durable, 262 144 by default. Each point takes 80 bytes.
    /// The recorder does not poll its source when the limit is reached, nor while no server is reachable: a source that
    /// cannot wait needs a queue of its own.
    pub fn window_points(self, window_points: usize) -> Self {
        Self { window_points, ..self }
    }

    /// Sets the retry policy. If no point became durable for half of its budget, the recorder closes the stream, so that the
    /// server commits the points, and continues with another one. A server whose commits are further apart would otherwise
    /// exceed the budget.
    pub fn retry_policy(self, retry_policy: RetryPolicy) -> Self {
        Self { retry_policy, ..self }
    }

    /// Sets how long the recorder tries to reach a server that it has not reached yet. By default it is the budget of the
    /// retry policy. Zero fails at once if the first connection is refused.
    pub fn first_connection_budget(self, budget: Duration) -> Self {
        Self { first_budget: Some(budget), ..self }
    }

    /// Sets the timeout after which a connection counts as lost, 30 s by default: without any data from the server, or
    /// without a reply that is due.
    pub fn stall_timeout(self, timeout: Duration) -> Self {
        let endpoint = self.endpoint.http2_keep_alive_interval(timeout / 2);
        let endpoint = endpoint.keep_alive_timeout(timeout / 2);
        Self { endpoint, stall_timeout: timeout, ..self }
    }

    /// Sets a callback for progress events. The recording task calls it, so it must not block.
    pub fn on_event(self, on_event: impl FnMut(RecordEvent) + Send + 'static) -> Self {
        Self { on_event: Box::new(on_event), ..self }
    }

    /// Sets a stream of requests to make points durable at once. An item is a number of points, counted from the first
    /// one of the source.
    ///
    /// By default a server commits points once a second. When the points of a request were sent, the recorder closes the
    /// stream without finishing the path, so that the server commits them and answers. It then continues with another
    /// stream. [`RecordEvent::Committed`] reports the durable points.
    pub fn flush_requests(self, points: impl Stream<Item = u64> + Send + 'static) -> Self {
        Self { flushes: Box::pin(points.fuse()), ..self }
    }

    /// Records the fixes of a source and finishes the path when the source ends.
    ///
    /// The source yields the whole path from its first fix on. If the server already has the first n fixes, from this
    /// process or an earlier one, the recorder takes them from the source and does not send them. When a
    /// connection first finds points on the server, it checks that their lengths, bounds, times, climbs, windows, counts and the
    /// last point equal those of the source. Later it checks the last durable point, if the options reject and reorder
    /// no points.
    /// If the recording is already finished, the recorder returns the stored result, provided that the source has the same
    /// number of fixes.
    ///
    /// Dropping the future resets the stream. The server keeps the points that it has received. The recording stays
    /// unfinished unless its end was already sent.
    ///
    /// # Errors
    /// The server refuses the recording, another client writes it, the source is not the path of the recording, or the
    /// budget of the retry policy is spent.
    pub async fn record(
        self,
        fixes: impl Stream<Item = Fix> + Send,
    ) -> Result<Recorded, RecordError> {
        let fixes = pin!(fixes);
        let mut recording = ActiveRecording::new(self, fixes);
        loop {
            let error = match recording.session().await {
                Ok(recorded) => return Ok(recorded),
                Err(SessionError::Fatal(error)) => return Err(error),
                Err(SessionError::Transient(error)) => error,
            };
            match recording.next_wait(&error) {
                Some(wait) => {
                    let reason = error.to_string();
                    (recording.recorder.on_event)(RecordEvent::Retrying { wait, reason });
                    tokio::time::sleep(wait).await;
                }
                None if recording.never_reached(&error) => {
                    let name = recording.recorder.name;
                    return Err(RecordError::Refused { name, source: error });
                }
                None => {
                    let committed_points = recording.committed_points();
                    let (elapsed, left) = recording.retry_times();
                    let name = recording.recorder.name;
                    // A short delay, which each failed try has, is not the reason.
                    let is_reason = |delay: &Duration| *delay >= left && *delay > elapsed;
                    return Err(match server_delay(&error).filter(is_reason) {
                        Some(delay) => RecordError::RetryTooLate {
                            name,
                            committed_points,
                            delay,
                            source: error,
                        },
                        None => {
                            RecordError::TimedOut { name, committed_points, elapsed, source: error }
                        }
                    });
                }
            }
        }
    }
}
