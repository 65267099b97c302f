//! RecordPath: a stream of messages with the points of one path. The answer follows when the client closes it.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use http::Request;
use tonic::body::Body;

use super::point_buffer::PointBuffer;
use super::recent::{POINTS_MAX, Samples};
use super::request;
use super::scope::Scope;
use super::shared::Shared;
use super::target::{Opener, Target, empty_reply};
use crate::proto::waywiser_v1 as pb;
use crate::service::body::RequestBody;
use crate::service::status::RpcError;
use crate::service::work::{SMALL_MESSAGE_BYTES, Step, Work};
use crate::service::{Creations, StreamLimits};
use crate::wire::Messages;

/// Records a stream.
///
/// # Errors
/// At the first message that is not valid, and if the stream ends without being closed. The points of a recording
/// that came before the error are committed.
pub(super) async fn record_path(
    mut request: Request<Body>,
    limits: StreamLimits,
    shared: Arc<Shared>,
) -> Result<pb::RecordPathResponse, RpcError> {
    let scope = Scope::of(request.extensions());
    let creations = Creations::of_request(request.extensions_mut());
    let (body, encoding) = RequestBody::open(request, &limits)?;
    let messages = limits.messages(encoding);
    let opener = Opener { shared, scope, creations };
    let mut stream = RecordStream { body, messages, opener, target: None };
    match stream.read_all().await {
        Ok(()) => match stream.target {
            Some(target) => target.reply().await,
            None => Ok(empty_reply()),
        },
        Err(StreamError::Ended(error)) => Err(error),
        Err(StreamError::Message(error)) => Err(match &mut stream.target {
            Some(target) => target.flush_after(error).await,
            None => error,
        }),
    }
}

/// The error of a stream.
enum StreamError {
    /// The stream ended without being closed, or its writer has ended.
    Ended(RpcError),
    /// A message is not valid, or the stream is above its rate limits. The points before it are committed before the answer.
    Message(RpcError),
}

impl StreamError {
    /// Classifies an error that no message caused. A stream above its rate limits still has a client that resumes.
    fn before_chunk(error: RpcError) -> Self {
        match error {
            RpcError::Quota(_) => Self::Message(error),
            error => Self::Ended(error),
        }
    }
}

/// A stream that is being read.
struct RecordStream {
    body: RequestBody,
    messages: Messages,
    opener: Opener,
    /// The path that the points go to, once the first message has arrived.
    target: Option<Target>,
}

impl RecordStream {
    /// Reads until the client closes the stream.
    async fn read_all(&mut self) -> Result<(), StreamError> {
        while let Some(chunk) = self.next_chunk().await.map_err(StreamError::before_chunk)? {
            let mut buffer = match self.target.as_mut().map(Target::writer) {
                // The first message opens the recording.
                None => PointBuffer::sampled(Samples::new(POINTS_MAX)),
                Some(None) => PointBuffer::default(),
                Some(Some(writer)) => PointBuffer::sampled(writer.samples()),
            };
            let taken = self.take_chunk(&chunk, &mut buffer).await;
            // The points before an error are valid, so they are folded.
            let mut folded = Ok(());
            if let Some(target) = &mut self.target {
                folded = target.fold(&mut buffer, self.body.work());
                self.body.progress().set_points(target.point_count());
                let path_bytes = target.heap_bytes();
                self.body.progress().set_path_bytes(path_bytes);
            }
            self.body.progress().set_messages(self.messages.message_count());
            self.body.set_held(self.messages.held_bytes());
            folded.and(taken).map_err(StreamError::Message)?;
        }
        self.messages.finish().map_err(|error| StreamError::Message(error.into()))
    }

    /// Returns the next bytes of the stream. Commits of a recording proceed during the wait, and the stream does not
    /// wait for them.
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, RpcError> {
        let writer = self.target.as_mut().and_then(Target::writer);
        let Some(writer) = writer else { return self.body.chunk().await };
        loop {
            tokio::select! {
                biased;
                result = writer.progress() => result?,
                chunk = self.body.chunk() => return chunk,
            }
        }
    }

    /// Adds the points of the messages of a chunk. Some may still be in the buffer afterwards. Yields between blocks
    /// of points and between steps of inflating. If the caller drops the future there, a part of a message may be
    /// folded.
    async fn take_chunk(
        &mut self,
        mut chunk: &[u8],
        buffer: &mut PointBuffer,
    ) -> Result<(), RpcError> {
        let Self { body, messages, opener, target } = self;
        loop {
            if let Some(target) = target {
                take_small(target, messages, &mut chunk, buffer, body.work())?;
            }
            if body.work().is_spent() {
                pause(target.as_mut(), body, buffer).await?;
                continue;
            }
            if let Some(step) = messages.inflate_step(&mut chunk)? {
                body.work().add_inflated(step);
                continue;
            }
            let index = messages.message_count();
            let Some(bytes) = messages.next(&mut chunk)? else { return Ok(()) };
            let mut recoded = Vec::new();
            let message = match request::read_in_place::<pb::RecordPathRequest>(bytes, index)? {
                Some(message) => message,
                None => {
                    if body.work().is_spent_by_recoding(bytes.len()) {
                        pause(target.as_mut(), body, buffer).await?;
                    }
                    request::recode::<pb::RecordPathRequest>(bytes, index, &mut recoded)?
                }
            };
            message.charge(bytes.len(), body.work());
            let target = match target {
                Some(target) => target,
                // Boxed, since this future is larger than everything else that the stream keeps.
                None => {
                    let target = target.insert(Box::pin(opener.open(&message)).await?);
                    if target.writer().is_some() {
                        body.progress().keep();
                    }
                    body.progress().set_earlier_points(target.point_count());
                    if target.writer().is_some() {
                        // The recording is open, and its earlier writer has ended.
                        body.progress().keep();
                    }
                    target
                }
            };
            if let Some(skip) = target.admit(&message, buffer)?
                && let Some(accumulator) = target.accumulator()
            {
                let mut adder = buffer.begin(accumulator, &message.view, skip)?;
                loop {
                    if body.work().is_spent() {
                        pause(Some(&mut *target), body, buffer).await?;
                    }
                    let Some(accumulator) = target.accumulator() else { break };
                    if buffer.add(accumulator, &mut adder, body.work())? == Step::Done {
                        break;
                    }
                }
            }
            target.end_message(&message, buffer, body.work())?;
        }
    }
}

/// Adds the points of messages of a few points each, until the work budget is spent or another message follows.
/// Without a point at which it yields, the compiler keeps parts of the messages in registers, which halves the cost of
/// such a message.
fn take_small(
    target: &mut Target,
    messages: &mut Messages,
    chunk: &mut &[u8],
    buffer: &mut PointBuffer,
    work: &mut Work,
) -> Result<(), RpcError> {
    let mut recoded = Vec::new();
    while !work.is_spent() {
        let index = messages.message_count();
        let Some(bytes) = messages.next_small(chunk, SMALL_MESSAGE_BYTES) else { return Ok(()) };
        let message = request::read::<pb::RecordPathRequest>(bytes, index, &mut recoded)?;
        message.charge(bytes.len(), work);
        if let Some(skip) = target.admit(&message, buffer)?
            && let Some(accumulator) = target.accumulator()
        {
            buffer.add_all(accumulator, &message.view, skip, work)?;
        }
        target.end_message(&message, buffer, work)?;
    }
    Ok(())
}

/// Folds the points in the buffer, lets a commit proceed, and yields. A recording contains the points even if the
/// stream is dropped while it yields.
///
/// # Errors
/// If a total is out of range, and if the writer has ended.
async fn pause(
    target: Option<&mut Target>,
    body: &mut RequestBody,
    buffer: &mut PointBuffer,
) -> Result<(), RpcError> {
    if let Some(target) = target {
        target.fold(buffer, body.work())?;
        body.progress().set_points(target.point_count());
        if let Some(writer) = target.writer() {
            writer.progress().now_or_never().unwrap_or(Ok(()))?;
        }
    }
    buffer.release();
    body.work().pause().await;
    Ok(())
}
