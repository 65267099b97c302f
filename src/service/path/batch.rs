//! MeasurePaths: whole paths, one after another, each answered by itself.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http::Request;
use tonic::body::Body;

use super::convert::summary_message;
use super::fold::{Adder, Folder};
use super::request::{self, PathPiece};
use crate::measure::PathAccumulator;
use crate::proto::waywiser_v1 as pb;
use crate::proto::waywiser_v1::measure_paths_response::Result as Answer;
use crate::service::StreamLimits;
use crate::service::body::RequestBody;
use crate::service::status::RpcError;
use crate::service::violation::FieldViolation;
use crate::service::work::{SMALL_MESSAGE_BYTES, Step, Work};
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
    Measured(Box<PathAccumulator>),
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
        messages: limits.messages(encoding),
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
            self.read().await?;
            self.body.set_held(self.messages.held_bytes());
            if self.answers.is_empty() {
                match self.body.chunk().await? {
                    Some(chunk) => self.chunk = chunk,
                    None => self.state = State::Closed,
                }
            }
        }
    }

    /// Reads what has arrived, up to the next answer. Yields between blocks of points and between steps of inflating.
    async fn read(&mut self) -> Result<(), RpcError> {
        let chunk = std::mem::take(&mut self.chunk);
        let mut rest = &chunk[..];
        let mut folder = Folder::default();
        loop {
            self.read_small(&mut rest, &mut folder)?;
            if !self.answers.is_empty() {
                break;
            }
            if self.body.work().is_spent() {
                self.fold_open(&mut folder);
                folder.release();
                self.body.work().pause().await;
                continue;
            }
            if let Some(step) = self.messages.inflate_step(&mut rest)? {
                self.body.work().add_inflated(step);
                continue;
            }
            let index = self.messages.message_count();
            let Some(message) = self.messages.next(&mut rest)? else { break };
            let piece = match request::read_in_place::<pb::MeasurePathsRequest>(message, index)? {
                Some(piece) => piece,
                None => {
                    if self.body.work().is_spent_by_recoding(message.len()) {
                        self.body.work().pause().await;
                    }
                    request::recode::<pb::MeasurePathsRequest>(message, index)?
                }
            };
            piece.charge(message.len(), self.body.work());
            let open = current(&mut self.open, &mut self.answers, &piece, &mut folder);
            let admitted = open.admit(&piece, &folder);
            let mut outcome =
                admitted.and_then(|is_admitted| open.begin(is_admitted, &piece, &folder));
            while let Ok(adder) = &mut outcome {
                if self.body.work().is_spent() {
                    if let Err(error) = open.fold(&mut folder, self.body.work()) {
                        outcome = Err(error);
                        break;
                    }
                    folder.release();
                    self.folded += open.newly_folded();
                    self.body.progress().set_points(self.folded);
                    self.body.work().pause().await;
                }
                match open.add(adder, &mut folder, self.body.work()) {
                    Ok(Step::Done) => break,
                    Ok(Step::Spent) => {}
                    Err(error) => outcome = Err(error),
                }
            }
            let outcome =
                outcome.and_then(|_| open.end_message(&piece, &mut folder, self.body.work()));
            let outcome =
                outcome.map_err(|error| open.failed(error, &mut folder, self.body.work()));
            self.folded += open.newly_folded();
            conclude(&mut self.open, &mut self.answers, &piece, outcome, self.body.work());
        }
        self.fold_open(&mut folder);
        let taken = chunk.len() - rest.len();
        self.chunk = chunk.slice(taken..);
        Ok(())
    }

    /// Reads messages of a few points each up to the next answer, until the work is spent or another message follows.
    /// There is no place to yield, see `record.rs`.
    fn read_small(&mut self, rest: &mut &[u8], folder: &mut Folder) -> Result<(), RpcError> {
        let Self { body, messages, open, answers, folded, .. } = self;
        while answers.is_empty() && !body.work().is_spent() {
            let index = messages.message_count();
            let Some(message) = messages.next_small(rest, SMALL_MESSAGE_BYTES) else { break };
            let piece = request::read::<pb::MeasurePathsRequest>(message, index)?;
            let work = body.work();
            piece.charge(message.len(), work);
            let path = current(open, answers, &piece, folder);
            let outcome = path.take_all(&piece, folder, work);
            let outcome = outcome.map_err(|error| path.failed(error, folder, work));
            *folded += path.newly_folded();
            conclude(open, answers, &piece, outcome, work);
        }
        Ok(())
    }

    /// Folds what is in the folder into the open path.
    fn fold_open(&mut self, folder: &mut Folder) {
        if let Some(open) = &mut self.open {
            if let Err(error) = open.fold(folder, self.body.work()) {
                self.answers.push_back(failure(open.path_id.clone(), &error));
            }
            self.folded += open.newly_folded();
        }
        self.body.progress().set_points(self.folded);
    }
}

/// The path of a message. The one before it is left if the message begins another.
fn current<'a>(
    open: &'a mut Option<Open>,
    answers: &mut VecDeque<pb::MeasurePathsResponse>,
    piece: &PathPiece<'_>,
    folder: &mut Folder,
) -> &'a mut Open {
    let begins_another = |open: &Open| !piece.name.is_empty() && piece.name != *open.path_id;
    if open.as_ref().is_some_and(begins_another) {
        folder.clear();
        leave(open, answers);
    }
    open.get_or_insert_with(|| Open::new(piece.name.to_string()))
}

/// Answers after a message, if it ends the path or is in error.
fn conclude(
    open: &mut Option<Open>,
    answers: &mut VecDeque<pb::MeasurePathsResponse>,
    piece: &PathPiece<'_>,
    outcome: Result<Option<pb::PathSummary>, RpcError>,
    work: &mut Work,
) {
    let path_id = || open.as_ref().map(|open| open.path_id.clone()).unwrap_or_default();
    let answer = match outcome {
        Ok(None) => None,
        Ok(Some(summary)) => Some(pb::MeasurePathsResponse {
            path_id: path_id(),
            result: Some(Answer::Summary(summary)),
        }),
        Err(error) => Some(failure(path_id(), &error)),
    };
    if let Some(answer) = answer {
        work.add_answer();
        answers.push_back(answer);
    }
    if piece.is_end {
        *open = None;
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
            Stage::Measured(accumulator) => accumulator.point_count(),
            Stage::Begun | Stage::Failed => self.counted,
        }
    }

    /// How many points were folded since the last call.
    fn newly_folded(&mut self) -> u64 {
        let point_count = self.point_count();
        point_count - std::mem::replace(&mut self.counted, point_count)
    }

    /// The error of a message. The rest of the path is skipped, and the error of a message before comes first.
    fn failed(&mut self, error: RpcError, folder: &mut Folder, work: &mut Work) -> RpcError {
        let folded = self.fold(folder, work);
        self.fail(folder);
        folded.err().unwrap_or(error)
    }

    /// Folds what is in the folder. After an error the rest of the path is skipped.
    fn fold(&mut self, folder: &mut Folder, work: &mut Work) -> Result<(), RpcError> {
        let Stage::Measured(accumulator) = &mut self.stage else { return Ok(()) };
        folder.flush(accumulator, work).inspect_err(|_| self.fail(folder))
    }

    fn fail(&mut self, folder: &mut Folder) {
        self.stage = Stage::Failed;
        folder.clear();
    }

    /// Takes a message of a few points; the summary if it is the last one.
    fn take_all(
        &mut self,
        piece: &PathPiece<'_>,
        folder: &mut Folder,
        work: &mut Work,
    ) -> Result<Option<pb::PathSummary>, RpcError> {
        if self.admit(piece, folder)?
            && let Stage::Measured(accumulator) = &mut self.stage
        {
            folder.add_all(accumulator, &piece.points, 0, work)?;
        }
        self.end_message(piece, folder, work)
    }

    /// Checks a message against the path. Returns whether its points are to be added.
    fn admit(&mut self, piece: &PathPiece<'_>, folder: &Folder) -> Result<bool, RpcError> {
        if self.stage == Stage::Failed {
            return Ok(false);
        }
        let sent = piece.check(self.point_count() + folder.len())?;
        if let Stage::Begun = self.stage {
            if self.path_id.chars().count() > PATH_ID_CHARS_MAX {
                let text = format!("it is longer than {PATH_ID_CHARS_MAX} characters");
                return Err(FieldViolation::new("path_id", text).at(piece.place()));
            }
            let options = sent.as_deref().copied();
            let options = options.unwrap_or_default();
            self.stage = Stage::Measured(Box::new(PathAccumulator::new(options)));
        }
        let Stage::Measured(accumulator) = &mut self.stage else { return Ok(false) };
        if sent.is_some_and(|sent| *sent != *accumulator.options()) {
            let text = "they differ from those of the path's first message";
            return Err(FieldViolation::new("options", text).at(piece.place()));
        }
        Ok(true)
    }

    /// Prepares to add the points of a message.
    fn begin<'a>(
        &self,
        is_admitted: bool,
        piece: &'a PathPiece<'_>,
        folder: &Folder,
    ) -> Result<Adder<'a>, RpcError> {
        match &self.stage {
            Stage::Measured(accumulator) if is_admitted => {
                folder.begin(accumulator, &piece.points, 0)
            }
            _ => Ok(Adder::NOTHING),
        }
    }

    /// Adds points of a message that was admitted, until there are no more or the work is spent.
    fn add(
        &mut self,
        adder: &mut Adder<'_>,
        folder: &mut Folder,
        work: &mut Work,
    ) -> Result<Step, RpcError> {
        let Stage::Measured(accumulator) = &mut self.stage else { return Ok(Step::Done) };
        folder.add(accumulator, adder, work)
    }

    /// Returns the summary if the message, all of whose points were added, is the last one of the path.
    fn end_message(
        &mut self,
        piece: &PathPiece<'_>,
        folder: &mut Folder,
        work: &mut Work,
    ) -> Result<Option<pb::PathSummary>, RpcError> {
        let Stage::Measured(accumulator) = &mut self.stage else { return Ok(None) };
        if !piece.is_end {
            return Ok(None);
        }
        folder.flush(accumulator, work)?;
        Ok(Some(summary_message(accumulator.options(), &accumulator.summary())))
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
