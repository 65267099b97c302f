//! The HTTP listener of `waywiser serve`: its address, its limits, and the metrics of phone apps.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;

use super::admin::{Admin, address};
use crate::cli::measure::PostedFiles;
use crate::cli::units::{Size, positive_size};
use crate::http::{HttpApi, HttpConfig, IngestCount, Tiles};
use crate::measure::Zone;
use crate::metrics::{Samples, Source};
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
    #[arg(long, value_name = "SIZE", value_parser = positive_size::<usize>, default_value_t = Size(HttpConfig::default().max_upload_bytes))]
    max_upload_bytes: Size<usize>,

    /// Time zone of the days of new recordings of phones: an IANA name such as Europe/Ljubljana
    ///
    /// Phone apps send their positions to the routes /ingest of the HTTP listener. docs/phones.md describes them. A recording
    /// keeps the zone with which it was created.
    #[arg(long, value_name = "ZONE", value_parser = Zone::parse, default_value = "UTC")]
    ingest_time_zone: Zone,

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
    pub(super) fn serve(
        &self,
        listener: Option<TcpListener>,
        server: Server,
        admin: &Admin,
    ) -> Server {
        let Some(listener) = listener else { return server };
        let Size(max_upload_bytes) = self.max_upload_bytes;
        let ingest_time_zone = self.ingest_time_zone;
        // The parser of the option has checked the template.
        let tiles = self.tiles.as_ref().and_then(|template| Tiles::new(template).ok());
        let credit = self.tiles_attribution.clone().unwrap_or_default();
        let tiles = tiles.map(|tiles| tiles.with_attribution(credit));
        let config =
            HttpConfig { max_upload_bytes, ingest_time_zone, tiles, ..HttpConfig::default() };
        let api = Arc::new(HttpApi::new(config, Some(Arc::new(PostedFiles))));
        admin.add(ingest_metrics(Arc::clone(&api)));
        server.with_http(listener, api)
    }
}

/// Returns the metrics of the requests of phone apps.
fn ingest_metrics(api: Arc<HttpApi>) -> impl Source {
    move |samples: &mut Samples<'_>| {
        let stats = api.ingest_stats();
        let help = "Requests of phone apps and trackers, by protocol and outcome";
        samples.counter("waywiser_ingest_requests", help, |family| {
            for IngestCount { protocol, result, count, .. } in stats.requests {
                family.add(&[("protocol", protocol), ("outcome", result)], count);
            }
        });
        let help = "Fixes of phone apps and trackers, by protocol and result: accepted, or the problem of a fix that was dropped";
        samples.counter("waywiser_ingest_fixes", help, |family| {
            for IngestCount { protocol, result, count, .. } in stats.fixes {
                family.add(&[("protocol", protocol), ("result", result)], count);
            }
        });
    }
}
