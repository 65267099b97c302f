//! The HTTP listener of `waywiser serve`: its address and its limits.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;

use super::admin::address;
use crate::cli::measure::PostedFiles;
use crate::cli::units::Size;
use crate::http::{HttpApi, HttpConfig};
use crate::server::Server;

#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub(super) struct HttpArgs {
    /// Address or port of a listener for HTTP/1.1 and HTTP/2 with a JSON API; a port alone means 127.0.0.1
    ///
    /// It has the TLS, the authentication, the quotas and the limits of the gRPC listener. docs/http.md describes the API.
    #[arg(long, value_name = "[HOST:]PORT", value_parser = address)]
    http: Option<SocketAddr>,

    /// Maximum size of a file that a client of the HTTP listener sends to be measured
    ///
    /// The server holds the file in memory, within --max-memory.
    #[arg(long, value_name = "SIZE", default_value_t = Size(HttpConfig::default().max_upload_bytes))]
    max_upload_bytes: Size<usize>,
}

impl HttpArgs {
    /// Returns the address of the listener, if there is one.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Opens the listener, if there is one.
    ///
    /// # Errors
    /// If the address cannot be used. The message says what to do.
    pub(super) async fn bind(&self) -> Result<Option<TcpListener>, String> {
        match self.http {
            Some(address) => super::listeners::bind(address, "--http").await.map(Some),
            None => Ok(None),
        }
    }

    /// Makes the server answer on the listener.
    pub(super) fn serve(&self, listener: Option<TcpListener>, server: Server) -> Server {
        let Some(listener) = listener else { return server };
        let Size(max_upload_bytes) = self.max_upload_bytes;
        let config = HttpConfig { max_upload_bytes, ..HttpConfig::default() };
        server.with_http(listener, Arc::new(HttpApi::new(config, Some(Arc::new(PostedFiles)))))
    }
}
