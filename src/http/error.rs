//! The one form of all errors: the status of HTTP, and the code and reason of gRPC.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::contract::reason;
use crate::server::status_name;

/// An error of a request.
#[derive(Debug)]
pub(super) struct ApiError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    code: Code,
    reason: Cow<'static, str>,
    message: String,
    metadata: BTreeMap<String, String>,
    retry_after: Option<Duration>,
    allow: Option<HeaderValue>,
    /// Whether the content of the request is the reason.
    is_rejection: bool,
}

impl ApiError {
    pub(super) fn new(
        status: StatusCode,
        code: Code,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let (metadata, retry_after, allow) = Default::default();
        let (reason, message) = (reason.into(), message.into());
        Self(Box::new(Parts {
            status,
            code,
            reason,
            message,
            metadata,
            retry_after,
            allow,
            is_rejection: false,
        }))
    }

    /// Returns the error of a value that is not valid.
    pub(super) fn invalid(field: &str, message: impl std::fmt::Display) -> Self {
        let text = format!("{field}: {message}");
        let mut error =
            Self::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, "FIELD_INVALID", text);
        error.0.metadata.insert("field".to_owned(), field.to_owned());
        error
    }

    /// Returns the error of a fault of this server.
    pub(super) fn internal(message: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "INTERNAL", message)
    }

    /// Returns the error of a method that a route does not have. `allow` lists those that it has.
    pub(super) fn method_unknown(method: &Method, allow: &'static str) -> Self {
        let message = match method.as_str().len() {
            0..=16 => format!("this route has no method {method}; use {allow}"),
            _ => format!("this route has no such method; use {allow}"),
        };
        let (status, code) = (StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented);
        let mut error = Self::new(status, code, "METHOD_UNKNOWN", message);
        error.0.allow = Some(HeaderValue::from_static(allow));
        error
    }

    /// Sets the time after which the client may try again.
    pub(super) fn retry_after(mut self, time: Duration) -> Self {
        self.0.retry_after = Some(time);
        self
    }

    /// Marks the error as one of the content of a request, for the metrics.
    pub(super) fn into_rejection(mut self) -> Self {
        self.0.is_rejection = true;
        self
    }

    /// Returns whether the content of the request is the reason.
    pub(super) fn is_rejection(&self) -> bool {
        self.0.is_rejection
    }

    /// Returns the reason.
    pub(super) fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Returns the status of HTTP.
    pub(super) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns the error as a status of gRPC, for the log and the metrics of calls.
    pub(super) fn to_status(&self) -> Status {
        let info = ErrorDetails::with_error_info(&*self.0.reason, reason::DOMAIN, []);
        Status::with_error_details(self.0.code, self.0.message.clone(), info)
    }

    /// Returns the error as a JSON object.
    pub(super) fn json(&self) -> serde_json::Value {
        json!({ "error": {
            "status": self.0.status.as_u16(),
            "code": status_name(self.0.code),
            "reason": self.0.reason,
            "message": self.0.message,
            "metadata": self.0.metadata,
        }})
    }

    pub(super) fn response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{}\n", self.json())));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(time) = self.0.retry_after {
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            for challenge in ["Bearer realm=\"waywiser\"", "Basic realm=\"waywiser\""] {
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
        }
        if let Some(allow) = self.0.allow {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.response()
    }
}

impl From<Status> for ApiError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let reason = info.map_or_else(|| "UNKNOWN".to_owned(), |info| info.reason.clone());
        let metadata = info.map(|info| info.metadata.clone()).unwrap_or_default();
        Self(Box::new(Parts {
            status: http_status(status.code(), &reason),
            code: status.code(),
            reason: reason.into(),
            message: status.message().to_owned(),
            metadata: metadata.into_iter().collect(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
            allow: None,
            is_rejection: false,
        }))
    }
}

impl From<Box<Status>> for ApiError {
    fn from(status: Box<Status>) -> Self {
        (*status).into()
    }
}

fn http_status(code: Code, reason: &str) -> StatusCode {
    match (code, reason) {
        (_, "METADATA_TOO_LARGE") => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        (_, "MESSAGE_TOO_LARGE") => StatusCode::PAYLOAD_TOO_LARGE,
        (_, "SERVER_MEMORY" | "STORE_FULL") => StatusCode::SERVICE_UNAVAILABLE,
        (Code::Ok, _) => StatusCode::OK,
        (Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition, _) => {
            StatusCode::BAD_REQUEST
        }
        (Code::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (Code::PermissionDenied, _) => StatusCode::FORBIDDEN,
        (Code::NotFound, _) => StatusCode::NOT_FOUND,
        (Code::AlreadyExists | Code::Aborted, _) => StatusCode::CONFLICT,
        (Code::ResourceExhausted, _) => StatusCode::TOO_MANY_REQUESTS,
        (Code::Unimplemented, _) => StatusCode::NOT_IMPLEMENTED,
        (Code::Unavailable | Code::Cancelled, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Code::DeadlineExceeded, _) => StatusCode::GATEWAY_TIMEOUT,
        (Code::Unknown | Code::Internal | Code::DataLoss, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
