//! Listeners, and the classification of their errors for the accept loop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use super::acceptor::ByteStream;

/// A source of connections.
pub(super) trait Listener {
    type Stream: ByteStream;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Replies are small, and clients wait for them. The option fails only if the connection is already closed.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

/// The subject of an error of `accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AcceptError {
    /// The connection that was to be accepted.
    Connection,
    /// The state of the system, which may change.
    Transient,
    /// The listener itself.
    Listener,
}

pub(super) fn classify(error: &io::Error) -> AcceptError {
    const EBADF: i32 = 9;
    const EINVAL: i32 = 22;
    const ENONET: i32 = 64;
    const EPROTO: i32 = 71;
    const ENOTSOCK: i32 = 88;
    const ENOPROTOOPT: i32 = 92;
    const EOPNOTSUPP: i32 = 95;
    const ENETDOWN: i32 = 100;
    const ENETUNREACH: i32 = 101;
    const EHOSTDOWN: i32 = 112;
    const EHOSTUNREACH: i32 = 113;
    use io::ErrorKind as Kind;
    match (error.raw_os_error(), error.kind()) {
        (Some(EBADF | EINVAL | ENOTSOCK), _) => AcceptError::Listener,
        // Linux reports network errors of the new socket here: accept(2), "Error handling".
        (
            Some(
                ENONET | EPROTO | ENOPROTOOPT | EOPNOTSUPP | ENETDOWN | ENETUNREACH | EHOSTDOWN
                | EHOSTUNREACH,
            ),
            _,
        )
        | (
            _,
            Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::Interrupted
            | Kind::PermissionDenied
            | Kind::TimedOut
            | Kind::WouldBlock,
        ) => AcceptError::Connection,
        _ => AcceptError::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_listener_the_connection_and_the_system_are_distinguished() {
        let of = |code| classify(&io::Error::from_raw_os_error(code));
        assert_eq!([of(9), of(22), of(88)], [AcceptError::Listener; 3]);
        assert_eq!([of(71), of(103), of(4), of(113)], [AcceptError::Connection; 4]);
        assert_eq!([of(23), of(24), of(105), of(12), of(5)], [AcceptError::Transient; 5]);
    }
}
