//! The body of an answer. It ends when the call must end, also if the service would continue.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::call_record::CallRecord;
use super::cutoff::Cutoff;
use super::message_limit::Refusal;
use crate::service::{CallLoad, RpcError};

/// The body of an answer.
pub(super) struct CallBody {
    body: Body,
    /// The call, until its status is known.
    call: Option<OpenCall>,
}

/// A call whose answer is being sent.
struct OpenCall {
    record: CallRecord,
    cutoff: Cutoff,
    load: CallLoad,
    refusal: Option<Refusal>,
}

impl CallBody {
    /// Returns the body of a call that has ended. No cutoff ends it early.
    pub(super) fn finished(body: Body) -> Self {
        Self { body, call: None }
    }

    /// Answers a call with the response of its service.
    pub(super) fn answer(
        mut record: CallRecord,
        response: Response<Body>,
        mut cutoff: Cutoff,
        load: CallLoad,
        refusal: Option<Refusal>,
    ) -> Response<Self> {
        record.set_answer(&response);
        cutoff.answered();
        response.map(|body| Self { body, call: Some(OpenCall { record, cutoff, load, refusal }) })
    }

    /// Completes when the call must end although its client reads nothing. No status reaches the client then.
    pub(super) fn poll_cutoff(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(call) = &mut self.call else { return Poll::Pending };
        let error = ready!(call.cutoff.poll(cx, call.record.progress().point_count()));
        call.record.set_status(error.into());
        Poll::Ready(())
    }

    /// Reports the call as one whose answer the client has not read for this long.
    pub(super) fn set_unread(&mut self, unread_time: Duration) {
        if let Some(call) = &mut self.call {
            call.record.set_status(RpcError::Unread { unread_time }.into());
        }
    }

    /// Ends the answer with an error instead of the rest of the service's answer.
    fn end_with(&mut self, error: RpcError) -> Frame<Bytes> {
        let status = Status::from(error);
        let mut trailers = HeaderMap::new();
        // The message and the details of our own errors always fit into headers.
        let _ = status.add_header(&mut trailers);
        if let Some(call) = &mut self.call {
            call.record.set_status(status);
        }
        *self = Self::finished(Body::empty());
        Frame::trailers(trailers)
    }
}

impl http_body::Body for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let body = Pin::new(&mut this.body);
        let Some(call) = &mut this.call else { return body.poll_frame(cx) };
        let frame = call.load.poll(|| body.poll_frame(cx));
        if let Some(error) = call.refusal.as_ref().and_then(|refusal| refusal.get()).cloned() {
            return Poll::Ready(Some(Ok(this.end_with(error))));
        }
        match frame {
            Poll::Ready(frame) => {
                call.record.progress().keep();
                if let Some(Ok(frame)) = &frame
                    && let Some(status) = frame.trailers_ref().and_then(Status::from_header_map)
                {
                    if status.code() == Code::Ok {
                        call.load.complete();
                    }
                    call.record.set_status(status);
                    this.call = None;
                }
                Poll::Ready(frame)
            }
            Poll::Pending if call.load.is_refused() => {
                Poll::Ready(Some(Ok(this.end_with(RpcError::Busy))))
            }
            Poll::Pending => {
                let error = ready!(call.cutoff.poll(cx, call.record.progress().point_count()));
                let error = call.record.shared().end_error(error);
                Poll::Ready(Some(Ok(this.end_with(error))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
