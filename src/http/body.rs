//! Reads the body of a request into memory.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tonic::Code;

use super::error::ApiError;
use crate::server::{BodyError, HeldBytes, OpenRequest};

/// Reads a body of at most `max_bytes`. It is charged to the memory budget while the second value exists.
///
/// # Errors
/// `too_large` if the body is larger, and the reason why it cannot be read.
pub(super) async fn read(
    open: &mut OpenRequest,
    mut body: Body,
    max_bytes: usize,
    too_large: impl Fn() -> ApiError,
) -> Result<(Bytes, Vec<HeldBytes>), ApiError> {
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(too_large());
    }
    let (mut content, mut held) = (BytesMut::new(), Vec::new());
    let mut held_bytes = 0;
    while let Some(frame) = open.run(body.frame()).await? {
        let Ok(data) = frame.map_err(body_error)?.into_data() else { continue };
        if content.len() + data.len() > max_bytes {
            return Err(too_large());
        }
        // The buffer grows by doubling.
        content.extend_from_slice(&data);
        if content.capacity() > held_bytes {
            held.push(open.hold((content.capacity() - held_bytes) as u64)?);
            held_bytes = content.capacity();
        }
        open.received(data.len()).await?;
    }
    Ok((content.freeze(), held))
}

/// Returns the error of a request body.
fn body_error(error: axum::Error) -> ApiError {
    let error = error.into_inner();
    let is_slow = matches!(error.downcast_ref::<BodyError>(), Some(BodyError::Slow { .. }));
    let message = error.to_string();
    match is_slow {
        true => {
            let (status, code) = (StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded);
            ApiError::new(status, code, "STREAM_IDLE", message)
        }
        false => {
            let (status, code) = (StatusCode::BAD_REQUEST, Code::Cancelled);
            ApiError::new(status, code, "STREAM_RESET", message)
        }
    }
}
