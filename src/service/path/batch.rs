//! MeasurePaths: whole paths, one after another, each answered by itself.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http::Request;
use tonic::body::Body;

use super::convert::summary_message;
use super::fold::Folder;
use super::request::{self, PathPiece};
use crate::measure::{Measurement, Metric, Options};
use crate::proto::waywiser_v1 as pb;
use crate::proto::waywiser_v1::measure_paths_response::Result as Answer;
use crate::service::StreamLimits;
use crate::service::body::RequestBody;
use crate::service::status::RpcError;
use crate::service::violation::FieldViolation;
use crate::wire::Messages;

/// The longest id of a path.
const PATH_ID_CHARS_MAX: usize = 128;

/// A stream of paths.
struct Batch {
    body: RequestBody,
    messages: Messages,
    /// What has come and was not read yet.
    chunk: Bytes,
    /// The path whose end has not come.
    open: Option<Open>,
    /// Those that were not taken yet: two at the most.
    answers: VecDeque<pb::MeasurePathsResponse>,
    /// Points of all paths.
    folded: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// The client has closed its side.
    Closed,
    Over,
}

/// A path that is being measured.
struct Open {
    path_id: String,
    stage: Stage,
    /// Points of it that are among those of the stream.
    counted: u64,
}

#[derive(PartialEq)]
enum Stage {
    Begun,
    Measured(Box<Measurement>),
    /// It was answered already: the rest of it is passed over.
    Failed,
}

/// Measures the paths of a stream; an answer each, in their order.
///
/// # Errors
/// When the encoding is not one we read.
pub(super) fn measure_paths(
    request: Request<Body>,
    limits: StreamLimits,
) -> Result<impl Stream<Item = Result<pb::MeasurePathsResponse, RpcError>> + Send, RpcError> {
    let (body, encoding) = RequestBody::open(request, &limits)?;
    let batch = Batch {
        body,
        messages: Messages::new(encoding, limits.message_bytes_max),
        chunk: Bytes::new(),
        open: None,
        answers: VecDeque::new(),
        folded: 0,
        state: State::Reading,
    };
    Ok(stream::unfold(batch, |mut batch| async {
        let answer = batch.next().await.transpose()?;
        if answer.is_err() {
            batch.state = State::Over;
        }
        Some((answer, batch))
    }))
}

impl Batch {
    /// The next answer; `None` behind the last one.
    ///
    /// # Errors
    /// When the stream cannot be read on.
    async fn next(&mut self) -> Result<Option<pb::MeasurePathsResponse>, RpcError> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Ok(Some(answer));
            }
            match self.state {
                State::Over => return Ok(None),
                State::Closed => {
                    self.messages.finish()?;
                    self.state = State::Over;
                    leave(&mut self.open, &mut self.answers);
                    continue;
                }
                State::Reading => {}
            }
            self.read()?;
            if self.answers.is_empty() {
                match self.body.chunk().await? {
                    Some(chunk) => self.chunk = chunk,
                    None => self.state = State::Closed,
                }
            }
        }
    }

    /// Reads what has come up to the next answer.
    fn read(&mut self) -> Result<(), RpcError> {
        let chunk = std::mem::take(&mut self.chunk);
        let mut rest = &chunk[..];
        let mut folder = Folder::default();
        while self.answers.is_empty() {
            let index = self.messages.message_count();
            let Some(message) = self.messages.next(&mut rest)? else { break };
            let piece = request::read::<pb::MeasurePathsRequest>(message, index)?;
            let begins_another =
                |open: &Open| !piece.name.is_empty() && piece.name != *open.path_id;
            if self.open.as_ref().is_some_and(begins_another) {
                folder.clear();
                leave(&mut self.open, &mut self.answers);
            }
            let open = self.open.get_or_insert_with(|| Open::new(piece.name.to_string()));
            let outcome = open.take(&piece, &mut folder);
            self.folded += open.newly_folded();
            match outcome {
                Ok(Some(summary)) => self.answers.push_back(pb::MeasurePathsResponse {
                    path_id: open.path_id.clone(),
                    result: Some(Answer::Summary(summary)),
                }),
                Ok(None) => {}
                Err(error) => self.answers.push_back(failure(open.path_id.clone(), &error)),
            }
            if piece.is_end {
                self.open = None;
            }
        }
        if let Some(open) = &mut self.open {
            if let Err(error) = open.fold(&mut folder) {
                self.answers.push_back(failure(open.path_id.clone(), &error));
            }
            self.folded += open.newly_folded();
        }
        let taken = chunk.len() - rest.len();
        self.chunk = chunk.slice(taken..);
        self.body.progress().set_points(self.folded);
        Ok(())
    }
}

/// The open path gets no more messages.
fn leave(open: &mut Option<Open>, answers: &mut VecDeque<pb::MeasurePathsResponse>) {
    if let Some(open) = open.take().filter(|open| open.stage != Stage::Failed) {
        answers.push_back(failure(open.path_id, &RpcError::PathNotEnded));
    }
}

impl Open {
    fn new(path_id: String) -> Self {
        Self { path_id, stage: Stage::Begun, counted: 0 }
    }

    fn point_count(&self) -> u64 {
        match &self.stage {
            Stage::Measured(measurement) => measurement.point_count(),
            Stage::Begun | Stage::Failed => self.counted,
        }
    }

    /// How many points were folded since the last call.
    fn newly_folded(&mut self) -> u64 {
        let point_count = self.point_count();
        point_count - std::mem::replace(&mut self.counted, point_count)
    }

    /// Takes a message, and gives the summary if it is the last one. After an error the rest of the path
    /// is passed over.
    fn take(
        &mut self,
        piece: &PathPiece<'_>,
        folder: &mut Folder,
    ) -> Result<Option<pb::PathSummary>, RpcError> {
        if self.stage == Stage::Failed {
            return Ok(None);
        }
        self.measure(piece, folder).map_err(|error| {
            // What came before it is at fault first.
            let folded = self.fold(folder);
            self.fail(folder);
            folded.err().unwrap_or(error)
        })
    }

    /// Folds what is in the folder. After an error the rest of the path is passed over.
    fn fold(&mut self, folder: &mut Folder) -> Result<(), RpcError> {
        let Stage::Measured(measurement) = &mut self.stage else { return Ok(()) };
        folder.flush(measurement).inspect_err(|_| self.fail(folder))
    }

    fn fail(&mut self, folder: &mut Folder) {
        self.stage = Stage::Failed;
        folder.clear();
    }

    fn measure(
        &mut self,
        piece: &PathPiece<'_>,
        folder: &mut Folder,
    ) -> Result<Option<pb::PathSummary>, RpcError> {
        let sent = piece.check(self.point_count() + folder.len())?;
        if let Stage::Begun = self.stage {
            if self.path_id.chars().count() > PATH_ID_CHARS_MAX {
                let text = format!("it is longer than {PATH_ID_CHARS_MAX} characters");
                return Err(FieldViolation::new("path_id", text).at(piece.place()));
            }
            let options = sent.as_deref().copied();
            let options = options.unwrap_or_else(|| Options::new(Metric::Geodesic));
            self.stage = Stage::Measured(Box::new(Measurement::new(options)));
        }
        let Stage::Measured(measurement) = &mut self.stage else { return Ok(None) };
        if sent.is_some_and(|sent| *sent != *measurement.options()) {
            let text = "they differ from those of the path's first message";
            return Err(FieldViolation::new("options", text).at(piece.place()));
        }
        folder.add(measurement, &piece.points, 0)?;
        if !piece.is_end {
            return Ok(None);
        }
        folder.flush(measurement)?;
        Ok(Some(summary_message(measurement.options(), &measurement.summary())))
    }
}

fn failure(path_id: String, error: &RpcError) -> pb::MeasurePathsResponse {
    let (code, reason) = error.kind();
    let failure = pb::PathFailure {
        code: code.into(),
        message: error.to_string(),
        reason: reason.to_owned(),
        metadata: error.metadata(),
    };
    // One that is too long is told as far as it may go.
    let path_id = path_id.chars().take(PATH_ID_CHARS_MAX).collect();
    pb::MeasurePathsResponse { path_id, result: Some(Answer::Failure(failure)) }
}
