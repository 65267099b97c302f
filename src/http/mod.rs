//! The JSON API of the HTTP listener, for pages and apps, a page that uses it, and the requests of phone apps.
//!
//! [`HttpApi`] answers the requests that [`crate::server`] accepts: `guard` refuses those of other sites and adds the headers
//! of all answers, and `router` selects the handler. `paths` and `events` pass requests for recordings to the gRPC methods of
//! this server: `call` reads their answers, and `json` converts messages. `measure` measures uploaded files through the port
//! [`Measure`]. `ingest` passes the fixes of phone apps to the method AppendPoints. `page` has the files of the page, and `qr` draws
//! QR codes. `blocking` runs work on other threads, `body` reads bodies, `answer` is the form of answers and `error` that of all errors, `query` reads query strings,
//! and `openapi.json` describes the API.
//!
//! docs/http.md is the reference for users.

mod answer;
mod blocking;
mod body;
mod call;
mod error;
mod events;
mod guard;
mod ingest;
mod json;
mod measure;
mod page;
mod paths;
mod qr;
mod query;
mod router;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tower_service::Service as _;

use crate::measure::Zone;
use crate::server::{Answer, WebBody, WebService};
pub use ingest::{IngestCount, IngestStats};
pub use measure::{Measure, MeasureControl, MeasureError, MeasureJob, Measured};
#[cfg(feature = "cli")]
pub(crate) use page::report_page;
pub use page::{Tiles, TilesError};

/// The settings of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Maximum size of a file to measure. The server holds it in memory until it is measured.
    pub max_upload_bytes: usize,
    /// The interval of comments in a stream of events without events, so that proxies keep it open.
    pub heartbeat: Duration,
    /// The time zone of the days of new recordings of phones.
    pub ingest_time_zone: Zone,
    /// The tiles of the map of the page.
    pub tiles: Option<Tiles>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            max_upload_bytes: 32 << 20,
            heartbeat: Duration::from_secs(15),
            ingest_time_zone: Zone::UTC,
            tiles: None,
        }
    }
}

/// The JSON API.
pub struct HttpApi {
    router: Router,
    shared: Arc<Shared>,
}

/// What the handlers share.
pub(super) struct Shared {
    config: HttpConfig,
    measure: Option<Arc<dyn Measure>>,
    /// The files that are measured at the same time: one for each processor.
    measuring: Arc<Semaphore>,
    /// The QR codes that are drawn at the same time: one for each processor.
    drawing: Arc<Semaphore>,
    ingest: ingest::Ingest,
    page: page::Page,
}

impl HttpApi {
    /// Returns the API. Without `measure` it has no route for files.
    pub fn new(config: HttpConfig, measure: Option<Arc<dyn Measure>>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let shared = Arc::new(Shared {
            ingest: ingest::Ingest::new(config.ingest_time_zone, cores),
            page: page::Page::new(config.tiles.as_ref(), config.max_upload_bytes),
            config,
            measure,
            measuring: Arc::new(Semaphore::new(cores)),
            drawing: Arc::new(Semaphore::new(cores)),
        });
        Self { router: router::router(Arc::clone(&shared)), shared }
    }

    /// Returns the numbers of requests and fixes of phone apps.
    pub fn ingest_stats(&self) -> IngestStats {
        self.shared.ingest.counters.stats()
    }
}

impl WebService for HttpApi {
    fn routes(&self) -> &'static [&'static str] {
        &router::ROUTES
    }

    fn route(&self, path: &str) -> Option<usize> {
        router::route(path)
    }

    fn answer(&self, request: Request<WebBody>) -> Answer {
        let mut router = self.router.clone();
        Box::pin(async move {
            let response = match guard::check(&request) {
                Ok(()) => match router.call(request.map(axum::body::Body::new)).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                },
                Err(error) => error.response(),
            };
            guard::protect(response).map(Body::new)
        })
    }
}
