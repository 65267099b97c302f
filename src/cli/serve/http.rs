//! The HTTP listener of `waywiser serve`: its address and its limits.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;

use super::admin::address;
use crate::cli::measure::PostedFiles;
use crate::cli::units::Size;
use crate::http::{HttpApi, HttpConfig, Tiles};
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

    /// Template of the URL of map tiles, with {z}, {x} and {y}, such as https://tiles.example.org/{z}/{x}/{y}.png
    ///
    /// Browsers that show the page then load tiles from this server, which learns what they look at. Without this option
    /// they load nothing from elsewhere, and the map shows an outline of the land.
    #[arg(long, value_name = "URL", requires = "http", value_parser = Tiles::check)]
    tiles: Option<String>,

    /// Text about the origin of the map tiles, which the page shows on the map
    #[arg(long, value_name = "TEXT", requires = "tiles")]
    tiles_attribution: Option<String>,
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
        // The parser of the option has checked the template.
        let tiles = self.tiles.as_ref().and_then(|template| Tiles::new(template).ok());
        let credit = self.tiles_attribution.clone().unwrap_or_default();
        let tiles = tiles.map(|tiles| tiles.with_attribution(credit));
        let config = HttpConfig { max_upload_bytes, tiles, ..HttpConfig::default() };
        server.with_http(listener, Arc::new(HttpApi::new(config, Some(Arc::new(PostedFiles)))))
    }
}
