//! MeasurePaths: one path after another in a stream, with one answer for each.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http::Request;
use tonic::body::Body;

use super::convert::summary_message;
use super::point_buffer::{Adder, PointBuffer};
use super::request::{self, PathMessage};
use crate::measure::PathAccumulator;
use crate::proto::waywiser_v1 as pb;
use crate::proto::waywiser_v1::measure_paths_response::Result as Answer;
use crate::service::StreamLimits;
use crate::service::body::RequestBody;
use crate::service::status::RpcError;
use crate::service::violation::FieldViolation;
use crate::service::work::{SMALL_MESSAGE_BYTES, Step, Work};
use crate::wire::Messages;

/// Maximum length of the id of a path.
const PATH_ID_CHARS_MAX: usize = 128;

/// A stream of paths.
struct Batch {
    body: RequestBody,
    messages: Messages,
    /// Received bytes that were not read yet.
    chunk: Bytes,
    /// The path that has not ended.
    open: Option<Open>,
    /// Answers that were not sent yet, at most two.
    answers: VecDeque<pb::MeasurePathsResponse>,
    /// Number of folded points of all paths.
    folded: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// The client has closed the stream.
    Closed,
    /// All answers are in the queue.
    Over,
}

/// A path that is being measured.
struct Open {
    path_id: String,
    stage: Stage,
    /// Number of its points that are counted in [`Batch::folded`].
    counted: u64,
}

impl Open {
    fn heap_bytes(&self) -> usize {
        if let Stage::Measured(path) = &self.stage { path.heap_bytes() } else { 0 }
    }
}

#[derive(PartialEq)]
enum Stage {
    Started,
    Measured(Box<PathAccumulator>),
    /// The error was sent as the answer. The rest of the path is skipped.
    Failed,
}

/// Measures the paths of a stream. Returns one answer for each, in their order.
///
/// # Errors
/// If the encoding is not supported.
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
    // The stream ends before its error is sent, so that the next call of the client finds it charged.
    Ok(stream::unfold(Some(batch), |batch| async {
        let mut batch = batch?;
        let answer = batch.next().await.transpose()?;
        let rest = answer.is_ok().then_some(batch);
        Some((answer, rest))
    }))
}

impl Batch {
    /// Returns the next answer, or `None` after the last one.
    ///
    /// # Errors
    /// If the rest of the stream cannot be read.
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
                    end_unfinished(&mut self.open, &mut self.answers);
                    continue;
                }
                State::Reading => {}
            }
            self.read().await?;
            self.body.progress().set_messages(self.messages.message_count());
            self.body.set_held(self.messages.held_bytes());
            let path_bytes = self.open.as_ref().map_or(0, Open::heap_bytes);
            self.body.progress().set_path_bytes(path_bytes);
            if self.answers.is_empty() {
                match self.body.chunk().await? {
                    Some(chunk) => self.chunk = chunk,
                    None => self.state = State::Closed,
                }
            }
        }
    }

    /// Reads the received bytes up to the next answer. Yields between blocks of points and between steps of inflating.
    async fn read(&mut self) -> Result<(), RpcError> {
        let chunk = std::mem::take(&mut self.chunk);
        let mut rest = &chunk[..];
        let mut buffer = PointBuffer::default();
        loop {
            self.read_small(&mut rest, &mut buffer)?;
            if !self.answers.is_empty() {
                break;
            }
            if self.body.work().is_spent() {
                self.fold_open(&mut buffer);
                buffer.release();
                self.body.work().pause().await;
                continue;
            }
            if let Some(step) = self.messages.inflate_step(&mut rest)? {
                self.body.work().add_inflated(step);
                continue;
            }
            let index = self.messages.message_count();
            let Some(bytes) = self.messages.next(&mut rest)? else { break };
            let mut recoded = Vec::new();
            let message = match request::read_in_place::<pb::MeasurePathsRequest>(bytes, index)? {
                Some(message) => message,
                None => {
                    if self.body.work().is_spent_by_recoding(bytes.len()) {
                        self.body.work().pause().await;
                    }
                    request::recode::<pb::MeasurePathsRequest>(bytes, index, &mut recoded)?
                }
            };
            message.charge(bytes.len(), self.body.work());
            let open = current(&mut self.open, &mut self.answers, &message, &mut buffer);
            let admitted = open.admit(&message, &buffer);
            let mut result =
                admitted.and_then(|is_admitted| open.begin(is_admitted, &message, &buffer));
            while let Ok(adder) = &mut result {
                if self.body.work().is_spent() {
                    if let Err(error) = open.fold(&mut buffer, self.body.work()) {
                        result = Err(error);
                        break;
                    }
                    buffer.release();
                    self.folded += open.newly_folded();
                    self.body.progress().set_points(self.folded);
                    self.body.work().pause().await;
                }
                match open.add(adder, &mut buffer, self.body.work()) {
                    Ok(Step::Done) => break,
                    Ok(Step::Spent) => {}
                    Err(error) => result = Err(error),
                }
            }
            let result =
                result.and_then(|_| open.end_message(&message, &mut buffer, self.body.work()));
            let result = result.map_err(|error| open.failed(error, &mut buffer, self.body.work()));
            self.folded += open.newly_folded();
            conclude(&mut self.open, &mut self.answers, &message, result, self.body.work());
        }
        self.fold_open(&mut buffer);
        let taken = chunk.len() - rest.len();
        self.chunk = chunk.slice(taken..);
        Ok(())
    }

    /// Reads messages of a few points each up to the next answer, until the work budget is spent or another message
    /// follows. Does not yield; `record.rs` explains why.
    fn read_small(&mut self, rest: &mut &[u8], buffer: &mut PointBuffer) -> Result<(), RpcError> {
        let Self { body, messages, open, answers, folded, .. } = self;
        let mut recoded = Vec::new();
        while answers.is_empty() && !body.work().is_spent() {
            let index = messages.message_count();
            let Some(bytes) = messages.next_small(rest, SMALL_MESSAGE_BYTES) else { break };
            let message = request::read::<pb::MeasurePathsRequest>(bytes, index, &mut recoded)?;
            let work = body.work();
            message.charge(bytes.len(), work);
            let path = current(open, answers, &message, buffer);
            let result = path.take_all(&message, buffer, work);
            let result = result.map_err(|error| path.failed(error, buffer, work));
            *folded += path.newly_folded();
            conclude(open, answers, &message, result, work);
        }
        Ok(())
    }

    /// Folds the points in the buffer into the open path.
    fn fold_open(&mut self, buffer: &mut PointBuffer) {
        if let Some(open) = &mut self.open {
            if let Err(error) = open.fold(buffer, self.body.work()) {
                self.answers.push_back(failure(open.path_id.clone(), &error));
            }
            self.folded += open.newly_folded();
        }
        self.body.progress().set_points(self.folded);
    }
}

/// Returns the path of a message. If the message begins another path, the current one ends with an error.
fn current<'a>(
    open: &'a mut Option<Open>,
    answers: &mut VecDeque<pb::MeasurePathsResponse>,
    message: &PathMessage<'_>,
    buffer: &mut PointBuffer,
) -> &'a mut Open {
    let name = message.view.name;
    let begins_another = |open: &Open| !name.is_empty() && name != open.path_id;
    if open.as_ref().is_some_and(begins_another) {
        buffer.clear();
        end_unfinished(open, answers);
    }
    open.get_or_insert_with(|| Open::new(name.to_owned()))
}

/// Adds the answer to a message that ends its path or has an error.
fn conclude(
    open: &mut Option<Open>,
    answers: &mut VecDeque<pb::MeasurePathsResponse>,
    message: &PathMessage<'_>,
    result: Result<Option<pb::PathSummary>, RpcError>,
    work: &mut Work,
) {
    let path_id = || open.as_ref().map(|open| open.path_id.clone()).unwrap_or_default();
    let answer = match result {
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
    if message.view.is_end {
        *open = None;
    }
}

/// Ends the open path, because another one begins or the stream was closed.
fn end_unfinished(open: &mut Option<Open>, answers: &mut VecDeque<pb::MeasurePathsResponse>) {
    if let Some(open) = open.take().filter(|open| open.stage != Stage::Failed) {
        answers.push_back(failure(open.path_id, &RpcError::PathNotEnded));
    }
}

impl Open {
    fn new(path_id: String) -> Self {
        Self { path_id, stage: Stage::Started, counted: 0 }
    }

    fn point_count(&self) -> u64 {
        match &self.stage {
            Stage::Measured(accumulator) => accumulator.point_count(),
            Stage::Started | Stage::Failed => self.counted,
        }
    }

    /// Returns the number of points that were folded since the last call.
    fn newly_folded(&mut self) -> u64 {
        let point_count = self.point_count();
        point_count - std::mem::replace(&mut self.counted, point_count)
    }

    /// Returns the error of a message, or that of an earlier message. The rest of the path is skipped.
    fn failed(&mut self, error: RpcError, buffer: &mut PointBuffer, work: &mut Work) -> RpcError {
        let folded = self.fold(buffer, work);
        self.fail(buffer);
        folded.err().unwrap_or(error)
    }

    /// Folds the points in the buffer. After an error the rest of the path is skipped.
    fn fold(&mut self, buffer: &mut PointBuffer, work: &mut Work) -> Result<(), RpcError> {
        let Stage::Measured(accumulator) = &mut self.stage else { return Ok(()) };
        buffer.flush(accumulator, work).inspect_err(|_| self.fail(buffer))
    }

    fn fail(&mut self, buffer: &mut PointBuffer) {
        self.stage = Stage::Failed;
        buffer.clear();
    }

    /// Adds the points of a small message. Returns the summary if it is the last one of the path.
    fn take_all(
        &mut self,
        message: &PathMessage<'_>,
        buffer: &mut PointBuffer,
        work: &mut Work,
    ) -> Result<Option<pb::PathSummary>, RpcError> {
        if self.admit(message, buffer)?
            && let Stage::Measured(accumulator) = &mut self.stage
        {
            buffer.add_all(accumulator, &message.view, 0, work)?;
        }
        self.end_message(message, buffer, work)
    }

    /// Checks a message against the path. Returns whether its points are to be added.
    fn admit(&mut self, message: &PathMessage<'_>, buffer: &PointBuffer) -> Result<bool, RpcError> {
        if self.stage == Stage::Failed {
            return Ok(false);
        }
        let sent = message.check(self.point_count() + buffer.len())?;
        if let Stage::Started = self.stage {
            if self.path_id.chars().count() > PATH_ID_CHARS_MAX {
                let text = format!("it is longer than {PATH_ID_CHARS_MAX} characters");
                return Err(FieldViolation::new("path_id", text).at(message.place()));
            }
            let options = sent.unwrap_or_default();
            self.stage = Stage::Measured(Box::new(PathAccumulator::new(options)));
        }
        let Stage::Measured(accumulator) = &mut self.stage else { return Ok(false) };
        if sent.is_some_and(|sent| sent != *accumulator.options()) {
            let text = "they differ from those of the path's first message";
            return Err(FieldViolation::new("options", text).at(message.place()));
        }
        Ok(true)
    }

    /// Prepares to add the points of a message.
    fn begin<'a>(
        &self,
        is_admitted: bool,
        message: &PathMessage<'a>,
        buffer: &PointBuffer,
    ) -> Result<Adder<'a>, RpcError> {
        match &self.stage {
            Stage::Measured(accumulator) if is_admitted => {
                buffer.begin(accumulator, &message.view, 0)
            }
            _ => Ok(Adder::NOTHING),
        }
    }

    /// Adds points of a message that was admitted, until there are no more or the work budget is spent.
    fn add(
        &mut self,
        adder: &mut Adder<'_>,
        buffer: &mut PointBuffer,
        work: &mut Work,
    ) -> Result<Step, RpcError> {
        let Stage::Measured(accumulator) = &mut self.stage else { return Ok(Step::Done) };
        buffer.add(accumulator, adder, work)
    }

    /// Returns the summary if the message, all of whose points were added, is the last one of the path.
    fn end_message(
        &mut self,
        message: &PathMessage<'_>,
        buffer: &mut PointBuffer,
        work: &mut Work,
    ) -> Result<Option<pb::PathSummary>, RpcError> {
        let Stage::Measured(accumulator) = &mut self.stage else { return Ok(None) };
        if !message.view.is_end {
            return Ok(None);
        }
        buffer.flush(accumulator, work)?;
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
    // An id that is too long is cut.
    let path_id = path_id.chars().take(PATH_ID_CHARS_MAX).collect();
    pb::MeasurePathsResponse { path_id, result: Some(Answer::Failure(failure)) }
}
