//! The calls of one caller, their answers, and the calls of the store that they cause.

use std::collections::HashMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::iter;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Response, Status};
use tonic_types::StatusExt as _;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::proto::waywiser_v1::path_service_client::PathServiceClient;

use crate::support::callers::Token;
use crate::support::traced::Traced;

/// Returns a message with the points of these offsets, which depend only on the offsets.
pub fn piece(name: &str, range: Range<usize>, finish_write: bool) -> pb::RecordPathRequest {
    let row = |i: usize| pb::Point { x: 3.0 * i as f64, y: 4.0 * i as f64, ..Default::default() };
    let options = pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() };
    pb::RecordPathRequest {
        name: name.to_owned(),
        options: Some(options),
        write_offset: Some(range.start as u64),
        points: range.map(row).collect(),
        finish_write,
        ..Default::default()
    }
}

/// Removes the times, which differ between two runs.
fn timeless(path: pb::Path) -> pb::Path {
    pb::Path { create_time: None, update_time: None, expire_time: None, ..path }
}

/// The client of one caller, and everything that it has received.
pub struct Transcript {
    client: PathServiceClient<InterceptedService<Channel, Token>>,
    store: Arc<Traced>,
    lines: Vec<String>,
    /// The start of the last append of each recording.
    appends: HashMap<String, Instant>,
    /// Whether an append came so late that the server may have ended the writer of its recording before. It opens the
    /// recording again then, which is other work.
    pub is_late: bool,
}

/// The time after which the server ends a writer without requests.
const IDLE_TIME: Duration = Duration::from_secs(10);

impl Transcript {
    pub fn new(
        client: PathServiceClient<InterceptedService<Channel, Token>>,
        store: Arc<Traced>,
    ) -> Self {
        Self { client, store, lines: Vec::new(), appends: HashMap::new(), is_late: false }
    }

    /// Adds the answer of a call, with all details of an error.
    pub fn add(&mut self, call: &str, answer: Result<impl Debug, Status>) {
        let answer = match answer {
            Ok(reply) => format!("{reply:?}"),
            Err(status) => {
                let details = status.get_error_details();
                let mut info = details.error_info().map(|info| {
                    let mut metadata: Vec<_> = info.metadata.clone().into_iter().collect();
                    metadata.sort();
                    (info.reason.clone(), metadata)
                });
                let rest = (details.bad_request(), details.retry_info());
                format!("{:?} {:?} {:?} {rest:?}", status.code(), status.message(), info.take())
            }
        };
        let work = self.store.take().join("; ");
        self.lines.push(format!("{call}: {answer} store: {work}"));
    }

    pub fn finish(self) -> Vec<String> {
        self.lines
    }

    pub async fn get(&mut self, name: &str) {
        let request = pb::GetPathRequest { name: name.to_owned(), include_recent_points: true };
        let answer = self.client.get_path(request).await;
        self.add(&format!("Get {name}"), answer.map(|reply| reply.into_inner().path.map(timeless)));
    }

    pub async fn delete(&mut self, name: &str, allow_missing: bool) {
        let request = pb::DeletePathRequest { name: name.to_owned(), allow_missing };
        let answer = self.client.delete_path(request).await.map(Response::into_inner);
        self.add(&format!("Delete {name}"), answer);
    }

    pub async fn record(&mut self, pieces: impl IntoIterator<Item = pb::RecordPathRequest>) {
        let pieces: Vec<_> = pieces.into_iter().collect();
        let call = format!("Record {}", pieces[0].name);
        let answer = self.client.record_path(iter(pieces)).await.map(Response::into_inner);
        self.add(&call, answer);
    }

    /// Adds points that repeat nothing, in one request.
    pub async fn append(&mut self, name: &str, range: Range<usize>) {
        let options = pb::PathOptions {
            model: pb::Model::Planar.into(),
            reorder_count: 8,
            drop_duplicates: true,
            ..Default::default()
        };
        let points = piece(name, range, false).points;
        let request = pb::AppendPointsRequest {
            name: name.to_owned(),
            options: Some(options),
            points,
            columns: None,
        };
        let start = Instant::now();
        let answer = self.client.append_points(request).await.map(Response::into_inner);
        let last = self.appends.insert(name.to_owned(), start);
        self.is_late |= last.is_some_and(|last| last.elapsed() >= IDLE_TIME);
        self.add(&format!("Append {name}"), answer);
    }

    /// Opens a stream, then another one for the same recording, and closes the first one.
    pub async fn fence(&mut self, name: &str, offset: usize) {
        let (first, pieces) = mpsc::channel(2);
        first.send(piece(name, offset..offset, false)).await.unwrap();
        let mut client = self.client.clone();
        let fenced =
            tokio::spawn(async move { client.record_path(ReceiverStream::new(pieces)).await });
        // The store reports the opening.
        while !self.store.has_opened() {
            tokio::task::yield_now().await;
        }
        self.store.take();
        self.record([piece(name, offset..offset, false)]).await;
        first.send(piece("", offset..offset + 1, false)).await.ok();
        drop(first);
        let answer = fenced.await.unwrap().map(Response::into_inner);
        self.add(&format!("Record {name}, fenced"), answer);
    }

    /// Watches a recording for up to `count` updates.
    pub async fn watch(&mut self, name: &str, allow_missing: bool, count: usize) {
        let call = format!("Watch {name}");
        let request =
            pb::WatchPathRequest { name: name.to_owned(), allow_missing, ..Default::default() };
        let updates = match self.client.watch_path(request).await {
            Ok(updates) => updates.into_inner(),
            Err(status) => return self.add(&call, Err::<(), _>(status)),
        };
        let mut updates = updates.take(count);
        while let Some(update) = updates.next().await {
            self.add(&call, update.map(|update| update.path.map(timeless)));
        }
    }

    /// Lists one page, and returns the token of the next one.
    pub async fn list(&mut self, prefix: &str, page_token: &str, page_size: i32) -> Option<String> {
        let (prefix, page_token) = (prefix.to_owned(), page_token.to_owned());
        let call = format!("List {prefix:?} {page_token:?} {page_size}");
        let request = pb::ListPathsRequest { page_size, page_token, prefix, ..Default::default() };
        let answer = self.client.list_paths(request).await.map(Response::into_inner);
        let answer = answer.map(|page| pb::ListPathsResponse {
            paths: page.paths.into_iter().map(timeless).collect(),
            ..page
        });
        let next = answer.as_ref().ok().map(|page| page.next_page_token.clone());
        self.add(&call, answer);
        next.filter(|token| !token.is_empty())
    }

    pub async fn list_all(&mut self, prefix: &str, page_size: i32) {
        let mut token = Some(String::new());
        while let Some(page_token) = token {
            token = self.list(prefix, &page_token, page_size).await;
        }
    }

    pub async fn measure(&mut self) {
        let point = |x, y| Some(pb::Point { x, y, ..Default::default() });
        let request = pb::ComputeDisplacementRequest {
            start: point(0.0, 0.0),
            end: point(3.0, 4.0),
            model: pb::Model::Planar.into(),
        };
        let answer = self.client.compute_displacement(request).await.map(Response::into_inner);
        self.add("ComputeDisplacement", answer);
        let part = pb::MeasurePathsRequest {
            path_id: "same".to_owned(),
            points: vec![pb::Point::default()],
            end_path: true,
            ..Default::default()
        };
        let mut answers = self.client.measure_paths(iter([part])).await.unwrap().into_inner();
        while let Some(answer) = answers.next().await {
            self.add("MeasurePaths", answer);
        }
    }
}
