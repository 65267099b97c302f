//! Reads the body of a request into memory, with a limit.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tonic::Code;

use super::error::ApiError;
use crate::server::{BodyError, HeldBytes, OpenRequest};

/// The reason of the error of a body that was cut.
pub(super) const STREAM_RESET: &str = "STREAM_RESET";

/// Returns the error of a body above its limit.
pub(super) fn too_large(message: String) -> ApiError {
    let (status, code) = (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted);
    ApiError::new(status, code, "UPLOAD_TOO_LARGE", message)
}

/// Returns a number of bytes as text with a binary unit and at most one decimal place.
pub(super) fn size_text(bytes: usize) -> String {
    let (unit, name) = match bytes {
        0..0x400 => (1, "bytes"),
        0x400..0x10_0000 => (1 << 10, "KiB"),
        _ => (1 << 20, "MiB"),
    };
    let tenths = (bytes as u128 * 10 / unit) as f64;
    format!("{} {name}", tenths / 10.0)
}

/// Reads a body of at most `max_bytes`, which is charged to the memory budget until the second value is dropped.
///
/// # Errors
/// If the body is too large, arrives too slowly or is cut, or if the memory budget or a quota is used up.
pub(super) async fn read(
    open: &mut OpenRequest,
    mut body: Body,
    max_bytes: usize,
    too_large: impl Fn() -> ApiError,
) -> Result<(Bytes, Vec<HeldBytes>), ApiError> {
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut held) = (BytesMut::new(), Vec::new());
    let mut held_bytes = 0;
    while let Some(frame) = open.run(body.frame()).await? {
        let Ok(data) = frame.map_err(body_error)?.into_data() else { continue };
        if bytes.len() + data.len() > max_bytes {
            return Err(too_large());
        }
        // The buffer grows by doubling.
        bytes.extend_from_slice(&data);
        if bytes.capacity() > held_bytes {
            held.push(open.hold((bytes.capacity() - held_bytes) as u64)?);
            held_bytes = bytes.capacity();
        }
        open.received(data.len()).await?;
    }
    Ok((bytes.freeze(), held))
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
            ApiError::new(status, code, STREAM_RESET, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_and_few_digits() {
        let texts = [1, 1023, 1024, 100_000, 32 << 20, 33_000_000, 5 << 30].map(size_text);
        let expected =
            ["1 bytes", "1023 bytes", "1 KiB", "97.6 KiB", "32 MiB", "31.4 MiB", "5120 MiB"];
        assert_eq!(texts, expected);
        assert!(size_text(usize::MAX).ends_with(" MiB"));
    }
}
