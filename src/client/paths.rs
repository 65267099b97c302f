//! Recordings as they are stored, and whole paths in batches: the methods of `waywiser.v1` that need no
//! memory of their own. Recording is in `recorder`.

use futures::StreamExt as _;
use tokio_stream::Stream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::call::within;
use super::convert::{self, reply};
use super::{ANSWER_TIME, Client, ClientError};
use crate::contract::options;
use crate::contract::points::{MESSAGE_POINTS_MAX, points};
use crate::measure::{Fix, Options, PathSummary};
use crate::proto::waywiser_v1 as pb;
use crate::recording::RecordingName;

pub(super) type Stub = pb::path_service_client::PathServiceClient<Channel>;

/// A recording as far as it is durable.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredPath {
    /// `paths/{path}`.
    pub name: String,
    /// Whether it is finished.
    pub is_complete: bool,
    /// How many points are durable.
    pub committed_points: u64,
    /// The totals of these points; `None` if the server cannot read what it has stored.
    pub summary: Option<PathSummary>,
    /// The options of the recording, with defaults filled in.
    pub(crate) options: Option<pb::PathOptions>,
    /// When its first stream was opened, in milliseconds since 1970-01-01T00:00:00Z.
    pub create_unix_ms: Option<i64>,
    /// When it last grew or was finished, in the same.
    pub update_unix_ms: Option<i64>,
    /// When it will be deleted unless it grows, in the same.
    pub expire_unix_ms: Option<i64>,
}

/// Recordings in the order of their names.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPage {
    /// Some of them.
    pub paths: Vec<StoredPath>,
    /// For the next page; `None` on the last one.
    pub next_page_token: Option<String>,
}

/// A part of one of the paths that [`Client::measure_paths`] sends.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPart {
    /// Names the path in the answers; up to 128 characters.
    pub path_id: String,
    /// How the path is measured; the first part counts.
    pub options: Options,
    /// Fixes of the space of the options' metric.
    pub fixes: Vec<Fix>,
    /// Whether the path ends with them.
    pub is_last: bool,
}

/// What became of one path of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct PathAnswer {
    /// As its parts have it.
    pub path_id: String,
    /// What it comes to, or why it could not be measured.
    pub outcome: Result<PathSummary, PathRefusal>,
}

/// Why one path of a batch could not be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathRefusal {
    /// The code that a call with this path alone would have ended with.
    pub code: tonic::Code,
    /// The reason, in UPPER_SNAKE.
    pub reason: String,
    /// What was wrong and where.
    pub message: String,
}

impl Client {
    fn stub(&self) -> Stub {
        Stub::new(self.channel.clone())
    }

    /// A recording as far as it is durable.
    ///
    /// # Errors
    /// When there is none of that name, and when the call fails.
    pub async fn path(&self, name: &RecordingName) -> Result<StoredPath, ClientError> {
        within(ANSWER_TIME, path(&mut self.stub(), name)).await
    }

    /// A page of recordings.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn list_paths(&self, page_token: Option<String>) -> Result<PathPage, ClientError> {
        let page_token = page_token.unwrap_or_default();
        let request = pb::ListPathsRequest { page_size: 0, page_token };
        let mut stub = self.stub();
        let page = async { Ok(stub.list_paths(request).await.map_err(Box::new)?.into_inner()) };
        let page = within(ANSWER_TIME, page).await?;
        Ok(PathPage {
            paths: page.paths.into_iter().map(convert::stored_path).collect::<Result<_, _>>()?,
            next_page_token: Some(page.next_page_token).filter(|token| !token.is_empty()),
        })
    }

    /// Deletes a recording.
    ///
    /// # Errors
    /// When there is none of that name, and when the call fails.
    pub async fn delete_path(&self, name: &RecordingName) -> Result<(), ClientError> {
        let request = pb::DeletePathRequest { name: name.to_string(), allow_missing: false };
        let mut stub = self.stub();
        let deleted = async { Ok(stub.delete_path(request).await.map_err(Box::new)?) };
        within(ANSWER_TIME, deleted).await?;
        Ok(())
    }

    /// A recording now and each time that more of it has become durable, until it is finished. With
    /// `allow_missing` one that does not exist yet is waited for.
    ///
    /// # Errors
    /// When the call fails, at the beginning or later; it can then be made again. What is there is told at
    /// once, and how long more takes is up to the recording.
    pub async fn watch_path(
        &self,
        name: &RecordingName,
        allow_missing: bool,
    ) -> Result<impl Stream<Item = Result<StoredPath, ClientError>> + Send + use<>, ClientError>
    {
        let told = within(ANSWER_TIME, watch(&mut self.stub(), name, allow_missing)).await?;
        Ok(told.map(|told| {
            let told = told.map_err(Box::new)?.path;
            convert::stored_path(told.ok_or_else(|| reply("it has no path".to_owned()))?)
        }))
    }

    /// Sends whole paths, one after another and each in one or more parts, and gives an answer for each
    /// as it is measured. A path that is bad fails alone. Answers have to be taken while parts are sent.
    ///
    /// # Errors
    /// When the call as a whole fails, at the beginning or later.
    pub async fn measure_paths<S>(
        &self,
        parts: S,
    ) -> Result<impl Stream<Item = Result<PathAnswer, ClientError>> + Send + use<S>, ClientError>
    where
        S: Stream<Item = PathPart> + Send + 'static,
    {
        let messages = parts.flat_map(|part| futures::stream::iter(messages(part)));
        let answers = self.stub().measure_paths(messages).await.map_err(Box::new)?.into_inner();
        Ok(answers.map(|answer| path_answer(answer.map_err(Box::new)?)))
    }
}

/// GetPath.
pub(super) async fn path(stub: &mut Stub, name: &RecordingName) -> Result<StoredPath, ClientError> {
    let request = pb::GetPathRequest { name: name.to_string() };
    let path = stub.get_path(request).await.map_err(Box::new)?.into_inner().path;
    convert::stored_path(path.ok_or_else(|| reply("it has no path".to_owned()))?)
}

/// WatchPath, as far as to its first answer, which says that there will be more.
pub(super) async fn watch(
    stub: &mut Stub,
    name: &RecordingName,
    allow_missing: bool,
) -> Result<Streaming<pb::WatchPathResponse>, ClientError> {
    let request = pb::WatchPathRequest { name: name.to_string(), allow_missing };
    Ok(stub.watch_path(request).await.map_err(Box::new)?.into_inner())
}

fn messages(part: PathPart) -> Vec<pb::MeasurePathsRequest> {
    let options = options::to_message(&part.options);
    let mut messages: Vec<_> = part
        .fixes
        .chunks(MESSAGE_POINTS_MAX)
        .map(|fixes| {
            let points = points(fixes, &part.options);
            pb::MeasurePathsRequest {
                path_id: part.path_id.clone(),
                options: Some(options),
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
        Some(Summary(summary)) => Ok(convert::summary(&summary)?),
        Some(Failure(failure)) => Err(PathRefusal {
            code: failure.code.into(),
            reason: failure.reason,
            message: failure.message,
        }),
        None => return Err(reply("it has no result".to_owned())),
    };
    Ok(PathAnswer { path_id: answer.path_id, outcome })
}
