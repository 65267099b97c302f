//! The errors of calls.

use std::error::Error;

use tonic::{Code, Status};

use super::fault::ConnectionFault;
use super::token::TokenError;
use super::transport::CallError;
pub use crate::contract::summary::SummaryError;
use crate::measure::Space;

/// The error of a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is not a valid server address.
    #[error(
        "{url} is not the address of a server; it should look like http://127.0.0.1:50051, without a path"
    )]
    Url {
        /// The URL.
        url: String,
    },
    /// The connection could not be opened.
    #[error("no connection to {url}: {}; is a server running there?", root_cause(.source))]
    Connect {
        /// The URL of the server.
        url: String,
        /// The error of the transport.
        source: tonic::transport::Error,
    },
    /// The URL has a user name or a password, which would be shown in messages.
    #[error(
        "the address of a server must not have a user name or a password; pass a token instead (--token-file FILE)"
    )]
    UrlSecret,
    /// The port is open, but the connection cannot be used: TLS fails, or the server is of another protocol.
    #[error("{url}: {source}")]
    Connection {
        /// The URL of the server.
        url: String,
        /// The reason.
        source: Box<ConnectionFault>,
    },
    /// A setting of TLS is not valid.
    #[error("{0}")]
    Tls(String),
    /// A header cannot be added to calls.
    #[error("the header {name:?} cannot be added: {reason}")]
    Header {
        /// The name of the header.
        name: String,
        /// The reason.
        reason: String,
    },
    /// The source of the token has no valid token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token would be readable on the network.
    #[error(
        "{url}: a token is only sent over https://, except to this machine; every machine on the way could read and use it"
    )]
    PlaintextToken {
        /// The URL of the server.
        url: String,
    },
    /// A point is not in the space of the method. The stream was reset.
    #[error("point {index} is {space}, and this call takes {wanted} points")]
    Space {
        /// The index of the point, counted from 0.
        index: u64,
        /// The space of the point.
        space: Space,
        /// The space of the method.
        wanted: Space,
    },
    /// A coordinate is not a whole number of 32 bits, and the method rounds nothing. Scale the points to a finer unit,
    /// or round them. The stream was reset.
    #[error("point {index} is ({x}, {y}), and this call takes whole numbers of 32 bits")]
    NotInt32 {
        /// The index of the point, counted from 0.
        index: u64,
        /// Its x.
        x: f64,
        /// Its y.
        y: f64,
    },
    /// A fix of a batch has no valid position, and the options of its path do not skip such fixes.
    #[error(
        "point {index} of path {path_id} has no valid position; set invalid_points to skip such points or to start a segment after them"
    )]
    InvalidPosition {
        /// The identifier of the path.
        path_id: String,
        /// The index of the point in its path, counted from 0.
        index: u64,
    },
    /// The server refused the call, or the connection was lost.
    #[error("{}", status_text(.0))]
    Status(#[source] Box<Status>),
    /// The connection is alive, but the server did not answer within the timeout.
    #[error(
        "the connection is open, but the server does not answer; it may hang, or a proxy may have lost the connection"
    )]
    Timeout,
    /// The points of a recording did not become durable in time, although the connection is alive.
    #[error(
        "the connection is open, but the points that were sent do not become durable; the server or its disk may hang"
    )]
    NotDurable,
    /// The server ended the stream of a recording before the path was finished.
    #[error("the stream was closed before the path was finished")]
    Unfinished,
    /// The reply is not valid.
    #[error("the server's reply is invalid: {0}")]
    Reply(#[source] ReplyError),
}

/// The error of an invalid reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The reply does not follow the contract.
    #[error("{0}")]
    Contract(String),
    /// The bytes are not a message of the method.
    #[error(transparent)]
    Decode(#[from] prost::DecodeError),
    /// The summary of a path is not valid.
    #[error(transparent)]
    Summary(#[from] SummaryError),
}

impl ClientError {
    /// Returns the error for a reply that does not follow the contract.
    pub(crate) fn reply(text: impl Into<String>) -> Self {
        Self::Reply(ReplyError::Contract(text.into()))
    }

    /// Returns whether the connection could not be opened because no server listens at the address.
    #[cfg(feature = "cli")]
    pub(crate) fn is_refused(&self) -> bool {
        let Self::Connect { source, .. } = self else { return false };
        let mut error: &dyn Error = source;
        while let Some(source) = error.source() {
            error = source;
        }
        let error = error.downcast_ref::<std::io::Error>();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    }

    /// Returns the root cause if the transport failed. Returns `None` if the server sent a status.
    pub(crate) fn transport_failure(&self) -> Option<String> {
        match self {
            Self::Status(status) => transport_failure(status),
            _ => None,
        }
    }
}

impl From<Box<Status>> for ClientError {
    /// Converts a status of the server, or one that this process made from the error of a call.
    fn from(status: Box<Status>) -> Self {
        let mut source = status.source();
        while let Some(error) = source {
            match error.downcast_ref::<CallError>() {
                Some(CallError::Token(error)) => return error.clone().into(),
                Some(CallError::Fault { url, fault }) => {
                    return Self::Connection { url: url.to_string(), source: fault.clone().into() };
                }
                _ => source = error.source(),
            }
        }
        Self::Status(status)
    }
}

impl From<prost::DecodeError> for ClientError {
    fn from(error: prost::DecodeError) -> Self {
        Self::Reply(error.into())
    }
}

impl From<SummaryError> for ClientError {
    fn from(error: SummaryError) -> Self {
        Self::Reply(error.into())
    }
}

/// Returns the root cause of a status that this process made from an error of the transport.
fn transport_failure(status: &Status) -> Option<String> {
    status.source().map(root_cause)
}

fn status_text(status: &Status) -> String {
    let (code, message) = (status.code(), status.message());
    match transport_failure(status) {
        Some(reason) => format!("the connection was lost: {reason}"),
        None if code == Code::Unimplemented => format!(
            "the server does not know this method; is it waywiser, and new enough? it answered {code:?}: {message}"
        ),
        None => format!("the server answered {code:?}: {message}"),
    }
}

/// Returns the text of the innermost source. Transports wrap the error of the operating system several times.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    let io_error = error.downcast_ref::<std::io::Error>();
    match io_error.map(std::io::Error::kind) {
        // The text of TLS has the address of a manual for programmers.
        Some(std::io::ErrorKind::UnexpectedEof) => {
            "the connection was closed without a message".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_transport_differs_from_a_status_of_the_server() {
        let text = |status| ClientError::from(Box::new(status)).to_string();
        let answered = text(Status::data_loss("it cannot be read"));
        insta::assert_snapshot!(answered, @"the server answered DataLoss: it cannot be read");
        let unknown = text(Status::unimplemented("no such method"));
        insta::assert_snapshot!(
            unknown,
            @"the server does not know this method; is it waywiser, and new enough? it answered Unimplemented: no such method"
        );
        let reset = std::io::Error::other("connection reset by peer");
        let lost = text(Status::from_error(reset.into()));
        insta::assert_snapshot!(lost, @"the connection was lost: connection reset by peer");
    }

    #[test]
    fn an_error_keeps_its_source() {
        let error = ClientError::from(SummaryError::Model(9));
        insta::assert_snapshot!(error, @"the server's reply is invalid: its summary has the unknown model 9");
        let reply: &ReplyError = error.source().unwrap().downcast_ref().unwrap();
        assert!(matches!(reply, ReplyError::Summary(SummaryError::Model(9))));
        let error = ClientError::from(Box::new(Status::aborted("x")));
        assert!(error.source().unwrap().to_string().contains("aborted"));
    }
}
