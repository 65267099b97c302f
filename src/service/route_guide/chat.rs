//! RouteChat: answers each note with the earlier notes at its place.

use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures::stream::{self, Stream};
use http::Request;
use prost::Message as _;
use tonic::body::Body;

use super::notes::{Cursor, Group, Notes, TEXT_BYTES_MAX};
use super::place::Place;
use crate::auth::{Principal, Role};
use crate::proto::routeguide as pb;
use crate::service::PermissionError;
use crate::service::StreamLimits;
use crate::service::body::RequestBody;
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, MessageRef};
use crate::wire::Messages;

/// One call of RouteChat.
struct Chat {
    body: RequestBody,
    messages: Messages,
    /// Received bytes that were not read yet. They stay here while answers are sent, so that a client that does not
    /// read answers cannot send more.
    chunk: Bytes,
    notes: Arc<Notes>,
    group: Group,
    /// The answers to the last note that were not sent yet.
    answers: Option<Cursor>,
}

/// Answers the notes of a stream, in their order.
///
/// # Errors
/// If the caller may not leave notes, or the encoding is not supported.
pub(super) fn chat(
    request: Request<Body>,
    limits: StreamLimits,
    notes: Arc<Notes>,
) -> Result<impl Stream<Item = Result<pb::RouteNote, RpcError>> + Send, RpcError> {
    let group = group_of(request.extensions())?;
    let (body, encoding) = RequestBody::open(request, &limits)?;
    let chat = Chat {
        body,
        messages: limits.messages(encoding),
        chunk: Bytes::new(),
        notes,
        group,
        answers: None,
    };
    // The stream ends before its error is sent, so that the next call of the client finds it charged.
    Ok(stream::unfold(Some(chat), |chat| async {
        let mut chat = chat?;
        let answer = chat.next().await.transpose()?;
        let rest = answer.is_ok().then_some(chat);
        Some((answer, rest))
    }))
}

/// Returns the group of a caller. Its members are the callers of a namespace; without authentication, all callers.
fn group_of(extensions: &http::Extensions) -> Result<Group, RpcError> {
    let Some(principal) = extensions.get::<Arc<Principal>>() else { return Ok(None) };
    let checked = PermissionError::check_role(principal.role, Role::Writer);
    checked.map_err(RpcError::PermissionDenied)?;
    Ok(principal.namespace.clone())
}

impl Chat {
    /// Returns the next answer, or `None` when the client has closed the stream.
    ///
    /// # Errors
    /// If a note is not valid, or the stream cannot be read.
    async fn next(&mut self) -> Result<Option<pb::RouteNote>, RpcError> {
        loop {
            self.body.progress().set_messages(self.messages.message_count());
            self.body.work().pause_if_spent().await;
            if let Some(cursor) = &mut self.answers {
                self.body.work().add_answer();
                if let Some(note) = self.notes.next(&self.group, cursor) {
                    return Ok(Some(note));
                }
                self.answers = None;
            }
            if self.read()? {
                continue;
            }
            self.body.set_held(self.messages.held_bytes());
            match self.body.chunk().await? {
                Some(chunk) => self.chunk = chunk,
                None => {
                    self.messages.finish()?;
                    return Ok(None);
                }
            }
        }
    }

    /// Does the next step with the received bytes: inflates a part of a message, or adds a note. Returns `false` if
    /// they have no complete message.
    fn read(&mut self) -> Result<bool, RpcError> {
        let mut rest = &self.chunk[..];
        let read = if let Some(step) = self.messages.inflate_step(&mut rest)? {
            self.body.work().add_inflated(step);
            true
        } else {
            let index = self.messages.message_count();
            match self.messages.next(&mut rest)? {
                None => false,
                Some(message) => {
                    self.body.work().add_decoded(message.len());
                    let place = MessageRef::Message(index);
                    let note = pb::RouteNote::decode(message)
                        .map_err(|error| RpcError::Request { place, error })?;
                    self.body.progress().keep();
                    self.answers = Some(add(&self.notes, &self.group, index, note)?);
                    true
                }
            }
        };
        let taken = self.chunk.len() - rest.len();
        self.chunk.advance(taken);
        Ok(read)
    }
}

/// Checks a note and adds it. Returns a cursor over its answers.
fn add(notes: &Notes, group: &Group, index: u64, note: pb::RouteNote) -> Result<Cursor, RpcError> {
    let place =
        Place::of_message(note.location).map_err(|error| RpcError::Point { index, error })?;
    let bytes = note.message.len();
    if bytes > TEXT_BYTES_MAX {
        let text = format!("it has {bytes} bytes, more than the limit of {TEXT_BYTES_MAX}");
        return Err(FieldViolation::new("message", text).at(MessageRef::Message(index)));
    }
    Ok(notes.add(group, place, note))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use futures::StreamExt as _;
    use http_body_util::Full;

    use super::*;
    use crate::contract::frame;
    use crate::service::Progress;

    #[tokio::test]
    async fn the_messages_of_a_call_are_counted() {
        for end in ["", "\0\0\0\0\u{1}\u{7f}"] {
            let note = pb::RouteNote { message: "a".to_owned(), ..Default::default() };
            let mut bytes = BytesMut::new();
            for _ in 0..3 {
                bytes.extend_from_slice(&frame::encode(&note));
            }
            bytes.extend_from_slice(end.as_bytes());
            let mut request = Request::new(Body::new(Full::new(bytes.freeze())));
            let progress = Arc::new(Progress::default());
            request.extensions_mut().insert(Arc::clone(&progress));
            let notes = Arc::new(Notes::default());
            let answers = chat(request, StreamLimits::default(), notes).unwrap();
            let answers: Vec<_> = answers.collect().await;
            let errors = answers.iter().filter(|answer| answer.is_err()).count();
            assert_eq!((answers.len() - errors, errors), (3, end.len().min(1)));
            assert!(progress.message_count() >= 3);
        }
    }
}
