//! The methods of `waywiser.v1` that need no state in the client: recordings as they are stored, and whole paths in
//! batches. `recorder` writes recordings.

use std::sync::{Arc, OnceLock};

use futures::future::ready;
use futures::{StreamExt as _, stream};
use tokio_stream::Stream;
use tonic::Streaming;

use super::call::with_timeout;
use super::transport::Transport;
use super::{Client, ClientError, REPLY_TIMEOUT};
use crate::contract::points::{MESSAGE_POINTS_MAX, fix, points};
use crate::contract::time::unix_ms;
use crate::contract::{options, reason, summary};
use crate::measure::{Fix, InvalidPoints, Options, PathSummary};
use crate::proto::waywiser_v1 as pb;
use crate::recording::RecordingName;

pub(super) type Stub = pb::path_service_client::PathServiceClient<Transport>;

/// The durable state of a recording.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredPath {
    /// The name, such as `paths/morning-walk`.
    pub name: String,
    /// Whether the recording is finished.
    pub is_complete: bool,
    /// The number of durable points.
    pub committed_points: u64,
    /// The totals of these points. `None` if the server cannot read its stored state.
    pub summary: Option<PathSummary>,
    /// The options of the recording, with defaults filled in.
    pub(crate) options: Option<pb::PathOptions>,
    /// The time at which its first stream was opened, in milliseconds since 1970-01-01T00:00:00Z.
    pub create_unix_ms: Option<i64>,
    /// The time at which it last grew or was finished, in milliseconds since 1970-01-01T00:00:00Z.
    pub update_unix_ms: Option<i64>,
    /// The time at which it will be deleted unless it grows, in milliseconds since 1970-01-01T00:00:00Z.
    pub expire_unix_ms: Option<i64>,
    /// Where the receiver was most recently, with what the recording keeps of that fix. `None` from a server of an
    /// earlier version.
    pub last_fix: Option<Fix>,
}

impl StoredPath {
    /// Returns the options of the measurement. `None` if the server cannot read its stored state, or has options that
    /// this version does not know.
    pub fn measure_options(&self) -> Option<Options> {
        options::from_message(self.options.as_ref()?).ok()
    }
}

/// A page of recordings in the order of their names.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PathPage {
    /// The recordings of the page.
    pub paths: Vec<StoredPath>,
    /// The token of the next page. `None` on the last page.
    pub next_page_token: Option<String>,
}

/// A part of one of the paths that [`Client::measure_paths`] sends.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPart {
    /// Identifies the path in the answers. Has up to 128 characters.
    pub path_id: String,
    /// The options of the measurement. All parts of a path have the same options.
    pub options: Options,
    /// Fixes in the space of the options' metric. Those without a position require [`Options::invalid_points`].
    pub fixes: Vec<Fix>,
    /// Whether the path ends with these fixes.
    pub is_last: bool,
}

/// The answer to one path of a batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PathAnswer {
    /// The identifier of the path.
    pub path_id: String,
    /// The totals of the path, or its error.
    pub outcome: Result<PathSummary, PathRefusal>,
}

/// The error of one path of a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct PathRefusal {
    /// The status code that a call with this path alone would return.
    pub code: tonic::Code,
    /// The reason, in UPPER_SNAKE_CASE.
    pub reason: String,
    /// The error message.
    pub message: String,
}

impl Client {
    fn stub(&self) -> Stub {
        Stub::new(self.transport.clone())
    }

    /// Returns the durable state of a recording.
    ///
    /// # Errors
    /// The recording does not exist, or the call fails.
    pub async fn get_path(&self, name: &RecordingName) -> Result<StoredPath, ClientError> {
        with_timeout(REPLY_TIMEOUT, get_path(&mut self.stub(), name)).await
    }

    /// Returns a page of the recordings whose names start with `prefix`, such as `paths/trip-`. An empty prefix selects
    /// all recordings of the caller. A page may be empty although more follow. The page token `None` requests the first page.
    ///
    /// # Errors
    /// The prefix is not valid, or the call fails.
    pub async fn list_paths(
        &self,
        prefix: &str,
        page_token: Option<String>,
    ) -> Result<PathPage, ClientError> {
        let page_token = page_token.unwrap_or_default();
        let request =
            pb::ListPathsRequest { page_token, prefix: prefix.to_owned(), ..Default::default() };
        let mut stub = self.stub();
        let page = async { Ok(stub.list_paths(request).await.map_err(Box::new)?.into_inner()) };
        let page = with_timeout(REPLY_TIMEOUT, page).await?;
        // A server of an earlier version ignores the prefix, and a caller may delete what it receives. The names are
        // sorted, so that no later page has names with the prefix.
        let is_over = page.paths.last().is_some_and(|path| is_after(&path.name, prefix));
        let token = Some(page.next_page_token).filter(|token| !token.is_empty() && !is_over);
        let paths = page.paths.into_iter().filter(|path| path.name.starts_with(prefix));
        Ok(PathPage {
            paths: paths.map(stored_path).collect::<Result<_, _>>()?,
            next_page_token: token,
        })
    }

    /// Deletes a recording.
    ///
    /// # Errors
    /// The recording does not exist, or the call fails.
    pub async fn delete_path(&self, name: &RecordingName) -> Result<(), ClientError> {
        let request = pb::DeletePathRequest { name: name.to_string(), allow_missing: false };
        let mut stub = self.stub();
        let deleted = async { Ok(stub.delete_path(request).await.map_err(Box::new)?) };
        with_timeout(REPLY_TIMEOUT, deleted).await?;
        Ok(())
    }

    /// Returns a stream of the durable states of a recording: the current one at once, then one whenever more points
    /// are durable, until the recording is finished. With `allow_missing` the stream waits for a recording that does
    /// not exist yet.
    ///
    /// # Errors
    /// The call fails, here or in an item of the stream. It can then be repeated. Only the start of the call has a
    /// timeout, because the time between two updates has no limit.
    pub async fn watch_path(
        &self,
        name: &RecordingName,
        allow_missing: bool,
    ) -> Result<impl Stream<Item = Result<StoredPath, ClientError>> + Send + use<>, ClientError>
    {
        let mut stub = self.stub();
        let watch = watch_path(&mut stub, name, allow_missing);
        let updates = with_timeout(REPLY_TIMEOUT, watch).await?;
        Ok(updates.map(|update| required_path(update.map_err(Box::new)?.path)))
    }

    /// Sends whole paths, one after another, each in one or more parts. Returns a stream with one answer for each path.
    /// A path with an error fails alone. Read the answers while the parts are sent.
    ///
    /// # Errors
    /// The call as a whole fails, here or in an item of the stream. It also ends at a fix without a position that the
    /// options do not allow, after the answers to the paths before it.
    pub async fn measure_paths<S>(
        &self,
        parts: S,
    ) -> Result<impl Stream<Item = Result<PathAnswer, ClientError>> + Send + use<S>, ClientError>
    where
        S: Stream<Item = PathPart> + Send + 'static,
    {
        let refused = Arc::<OnceLock<RefusedFix>>::default();
        let mut check = PositionCheck { refused: Arc::clone(&refused), path_id: None, count: 0 };
        let parts = parts.take_while(move |part| ready(check.admits(part)));
        let messages = parts.flat_map(|part| stream::iter(messages(part)));
        let answers = self.stub().measure_paths(messages).await.map_err(Box::new)?.into_inner();
        let answers = answers.map(|answer| path_answer(answer.map_err(Box::new)?));
        // The server reports that the path has no end.
        let of = Arc::clone(&refused);
        let answers = answers.filter(move |answer| {
            let is_refused = |answer: &PathAnswer| {
                of.get().is_some_and(|fix| fix.path_id == answer.path_id)
                    && matches!(&answer.outcome, Err(error) if error.reason == reason::PATH_NOT_ENDED)
            };
            ready(!answer.as_ref().is_ok_and(is_refused))
        });
        let error = stream::once(async move { refused.get().cloned() });
        let error = error.filter_map(|fix| {
            let error = fix.map(|RefusedFix { path_id, index }| {
                Err(ClientError::InvalidPosition { path_id, index })
            });
            ready(error)
        });
        Ok(answers.chain(error))
    }
}

/// A fix without a position that the options of its path do not allow.
#[derive(Clone, Debug)]
struct RefusedFix {
    path_id: String,
    /// The index of the fix in its path.
    index: u64,
}

/// Finds the first refused fix of a stream of parts.
struct PositionCheck {
    refused: Arc<OnceLock<RefusedFix>>,
    /// The path that has not ended, and the number of its fixes.
    path_id: Option<String>,
    count: u64,
}

impl PositionCheck {
    /// Returns whether a part may be sent.
    fn admits(&mut self, part: &PathPart) -> bool {
        if self.path_id.as_ref() != Some(&part.path_id) {
            (self.path_id, self.count) = (Some(part.path_id.clone()), 0);
        }
        if part.options.invalid_points() == InvalidPoints::RejectCall
            && let Some(index) = part.fixes.iter().position(|fix| fix.point().is_none())
        {
            let (path_id, index) = (part.path_id.clone(), self.count + index as u64);
            let _ = self.refused.set(RefusedFix { path_id, index });
            return false;
        }
        self.count += part.fixes.len() as u64;
        if part.is_last {
            self.path_id = None;
        }
        true
    }
}

/// Calls GetPath.
pub(super) async fn get_path(
    stub: &mut Stub,
    name: &RecordingName,
) -> Result<StoredPath, ClientError> {
    let request = pb::GetPathRequest { name: name.to_string(), include_recent_points: false };
    required_path(stub.get_path(request).await.map_err(Box::new)?.into_inner().path)
}

/// Calls WatchPath and waits for the start of the reply.
pub(super) async fn watch_path(
    stub: &mut Stub,
    name: &RecordingName,
    allow_missing: bool,
) -> Result<Streaming<pb::WatchPathResponse>, ClientError> {
    let request =
        pb::WatchPathRequest { name: name.to_string(), allow_missing, ..Default::default() };
    Ok(stub.watch_path(request).await.map_err(Box::new)?.into_inner())
}

/// Returns the totals of a recording. `None` if it has none, or if they cannot be read.
pub(super) fn summary_of(path: pb::Path) -> Option<PathSummary> {
    stored_path(path).ok()?.summary
}

/// Returns the last checked fix of a recording, if the reply has a valid one.
pub(super) fn last_fix_of(path: &pb::Path, options: &Options) -> Option<Fix> {
    fix(options.metric().space(), path.last_point.as_ref()?)
}

/// Reads the recording of a reply that must have one.
fn required_path(path: Option<pb::Path>) -> Result<StoredPath, ClientError> {
    stored_path(path.ok_or_else(|| ClientError::reply("it has no path"))?)
}

/// Returns whether a name is after all names with the prefix.
fn is_after(name: &str, prefix: &str) -> bool {
    name > prefix && !name.starts_with(prefix)
}

fn stored_path(path: pb::Path) -> Result<StoredPath, ClientError> {
    let model = path.summary.as_ref().and_then(|summary| summary.options.as_ref());
    let metric = model.and_then(|options| options::metric(options.model));
    let last = path.last_point.as_ref().zip(metric);
    let last_fix = last.map(|(point, metric)| {
        let fix = fix(metric.space(), point);
        fix.ok_or_else(|| ClientError::reply("its last point is not valid"))
    });
    Ok(StoredPath {
        name: path.name,
        is_complete: path.complete,
        committed_points: path.committed_points,
        options: path.summary.as_ref().and_then(|summary| summary.options.clone()),
        summary: path.summary.as_ref().map(summary::from_message).transpose()?,
        create_unix_ms: path.create_time.map(unix_ms),
        update_unix_ms: path.update_time.map(unix_ms),
        expire_unix_ms: path.expire_time.map(unix_ms),
        last_fix: last_fix.transpose()?,
    })
}

/// Converts a part into messages of limited size, at least one.
fn messages(part: PathPart) -> Vec<pb::MeasurePathsRequest> {
    let options = options::to_message(&part.options);
    let mut messages: Vec<_> = part
        .fixes
        .chunks(MESSAGE_POINTS_MAX)
        .map(|fixes| {
            let points = points(fixes, &part.options);
            pb::MeasurePathsRequest {
                path_id: part.path_id.clone(),
                options: Some(options.clone()),
                points: points.rows,
                columns: points.columns,
                end_path: false,
            }
        })
        .collect();
    if messages.is_empty() {
        messages.push(pb::MeasurePathsRequest {
            path_id: part.path_id,
            options: Some(options),
            ..Default::default()
        });
    }
    if let Some(last) = messages.last_mut() {
        last.end_path = part.is_last;
    }
    messages
}

fn path_answer(answer: pb::MeasurePathsResponse) -> Result<PathAnswer, ClientError> {
    use pb::measure_paths_response::Result::{Failure, Summary};
    let outcome = match answer.result {
        Some(Summary(message)) => Ok(summary::from_message(&message)?),
        Some(Failure(failure)) => Err(PathRefusal {
            code: failure.code.into(),
            reason: failure.reason,
            message: failure.message,
        }),
        None => return Err(ClientError::reply("it has no result")),
    };
    Ok(PathAnswer { path_id: answer.path_id, outcome })
}
