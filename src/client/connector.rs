//! Opens connections: TCP, then TLS for https, with a check of the first bytes of the server.

use std::io;
use std::pin::Pin;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

use super::checked_stream::{CheckedStream, LastFault};
#[cfg(feature = "tls")]
use super::tls::{Tls, TlsError};

/// The timeout for opening a connection, and for the handshake of TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The error of a connection that could not be opened.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Opens connections to one server.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    #[cfg(feature = "tls")]
    tls: Option<Arc<Tls>>,
    /// Refuses other machines, because calls send a token without TLS.
    is_loopback_only: bool,
    pub(super) last_fault: LastFault,
}

impl Connector {
    pub(super) fn new(is_loopback_only: bool) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self {
            tcp,
            #[cfg(feature = "tls")]
            tls: None,
            is_loopback_only,
            last_fault: LastFault::default(),
        }
    }

    /// Sets the settings of TLS. Without them, connections are plaintext.
    #[cfg(feature = "tls")]
    pub(super) fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(Arc::new(tls)), ..self }
    }

    /// Opens a connection to the host and port of `uri`.
    ///
    /// # Errors
    /// The host is unknown, no server listens there, or TLS fails.
    pub(crate) async fn open(mut self, uri: Uri) -> Result<CheckedStream<Stream>, BoxError> {
        self.last_fault.set(None);
        let tcp = self.tcp.call(uri).await?.into_inner();
        if self.is_loopback_only && !tcp.peer_addr()?.ip().to_canonical().is_loopback() {
            let text = "the name resolves to another machine, and a token is only sent there over https://";
            return Err(text.into());
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls {
            let handshake = tokio::time::timeout(CONNECT_TIMEOUT, tls.connect(tcp));
            let stream = match handshake.await {
                Ok(Ok(stream)) => stream,
                Ok(Err(TlsError::Fault(fault))) => {
                    self.last_fault.set(Some(fault.clone()));
                    return Err(fault.into());
                }
                Ok(Err(TlsError::Transport(error))) => {
                    return Err(handshake_error(&error));
                }
                Err(_) => {
                    return Err(
                        "the port accepts connections, but TLS is not answered there".into()
                    );
                }
            };
            let explain = move |error: &io::Error| tls.fault(error);
            let stream = Stream::Tls(Box::new(stream));
            return Ok(CheckedStream::new(stream, Some(Box::new(explain)), self.last_fault));
        }
        Ok(CheckedStream::new(Stream::Plain(tcp), None, self.last_fault))
    }
}

/// Returns the error of a handshake that the transport has ended. A server without TLS closes the connection, and a proxy
/// without a server does too.
#[cfg(feature = "tls")]
fn handshake_error(error: &io::Error) -> BoxError {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let closed = [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof];
    match closed.contains(&error.kind()) {
        true => "it closed the connection during the TLS handshake; it may not speak TLS (http://)"
            .into(),
        false => format!("TLS failed: {error}").into(),
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<CheckedStream<Stream>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opened = self.clone().open(uri);
        Box::pin(async { Ok(TokioIo::new(opened.await?)) })
    }
}

/// A connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// Calls a method of the inner stream.
macro_rules! inner {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Plain($inner) => $call,
            #[cfg(feature = "tls")]
            Stream::Tls($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        inner!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        inner!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inner!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        inner!(self, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}
