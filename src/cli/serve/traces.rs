//! The options of `waywiser serve` for traces.

use clap::{Args, ValueEnum};
use tokio::runtime::Runtime;

use super::admin::Admin;
use crate::cli::secret;
use crate::server::Server;
#[cfg(feature = "otlp")]
use crate::telemetry::otlp;

#[derive(Debug, Args)]
#[command(next_help_heading = "Observability")]
pub(super) struct TraceArgs {
    /// URL of an OpenTelemetry collector that receives a span of each call by OTLP over gRPC, such as
    /// http://127.0.0.1:4317 [default: OTEL_EXPORTER_OTLP_ENDPOINT, or no traces]
    ///
    /// Needs a build with the feature `otlp`.
    #[arg(long, value_name = "URL", env = "WAYWISER_OTLP_ENDPOINT", value_parser = endpoint)]
    otlp_endpoint: Option<String>,

    /// Share of the traces that are sent, from 0 to 1; a trusted client decides if it sends a traceparent
    #[arg(long, value_name = "RATIO", env = "WAYWISER_OTLP_SAMPLE_RATIO", default_value_t = 1.0, value_parser = ratio)]
    otlp_sample_ratio: f64,

    /// Clients whose traceparent decides whether a span is sent
    ///
    /// The spans of others begin a trace of their own, with a link to that of the client. With all, any client that
    /// reaches the port can cause a span for each of its calls.
    #[arg(
        long,
        value_enum,
        value_name = "CLIENTS",
        env = "WAYWISER_OTLP_TRUST_TRACEPARENT",
        default_value_t = TrustedClients::Authenticated
    )]
    otlp_trust_traceparent: TrustedClients,
}

/// The values of --otlp-trust-traceparent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TrustedClients {
    /// No client
    None,
    /// Clients that have authenticated
    Authenticated,
    /// All clients
    All,
}

#[cfg(feature = "otlp")]
impl From<TrustedClients> for otlp::TrustedParents {
    fn from(clients: TrustedClients) -> Self {
        match clients {
            TrustedClients::None => Self::None,
            TrustedClients::Authenticated => Self::Authenticated,
            TrustedClients::All => Self::All,
        }
    }
}

/// Parses the URL of a collector, which messages may show.
fn endpoint(text: &str) -> Result<String, String> {
    match text {
        "" => Err("use a URL such as http://127.0.0.1:4317".to_owned()),
        _ if secret::may_contain(text) => {
            Err("must not contain a user name, a password or a query, which the log would show"
                .to_owned())
        }
        url => Ok(url.to_owned()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

/// The variable of OpenTelemetry for the endpoint.
const STANDARD_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The traces of calls, while they are sent.
pub(super) struct Traces {
    #[cfg(feature = "otlp")]
    sent: Option<otlp::Traces>,
    #[cfg(feature = "otlp")]
    trusted: otlp::TrustedParents,
}

impl TraceArgs {
    /// Returns the URL of the collector and the name of its source, if there is one.
    ///
    /// # Errors
    /// If the URL is not valid, or this build cannot send traces. The message says what to do.
    #[cfg(feature = "otlp")]
    fn collector(&self) -> Result<Option<(String, &'static str)>, String> {
        let standard = std::env::var(STANDARD_VARIABLE).ok().filter(|url| !url.is_empty());
        let (url, source) = match (&self.otlp_endpoint, standard) {
            (Some(url), _) => (url.clone(), "--otlp-endpoint"),
            (None, Some(url)) => {
                let url = endpoint(&url).map_err(|error| format!("{STANDARD_VARIABLE} {error}"))?;
                (url, STANDARD_VARIABLE)
            }
            (None, None) => return Ok(None),
        };
        otlp::check_url(&url).map_err(|error| format!("{source}: {error}"))?;
        Ok(Some((url, source)))
    }

    /// Checks the URL of the collector. Returns a warning if a variable has no effect.
    ///
    /// # Errors
    /// If the URL is not valid, or this build cannot send traces. The message says what to do.
    #[cfg(feature = "otlp")]
    pub(super) fn check(&self) -> Result<Option<String>, String> {
        self.collector().map(|_| None)
    }

    /// Checks that there is no URL of a collector. Returns a warning if a variable has no effect.
    ///
    /// # Errors
    /// If there is a URL. The message says what to do.
    #[cfg(not(feature = "otlp"))]
    pub(super) fn check(&self) -> Result<Option<String>, String> {
        if self.otlp_endpoint.is_some() {
            return Err(
                "--otlp-endpoint: this program was built without the feature otlp; build it with cargo build \
                 --release --features otlp"
                    .to_owned(),
            );
        }
        let standard = std::env::var_os(STANDARD_VARIABLE).filter(|url| !url.is_empty());
        Ok(standard.map(|_| {
            format!(
                "{STANDARD_VARIABLE} is set, but this program was built without the feature otlp: no traces are sent"
            )
        }))
    }

    /// Starts to send traces if there is an endpoint.
    ///
    /// # Errors
    /// If [`Self::check`] returns one, or the exporter cannot be started.
    #[cfg(feature = "otlp")]
    pub(super) fn start(&self, runtime: &Runtime) -> Result<Traces, String> {
        let trusted = self.otlp_trust_traceparent.into();
        let Some((url, source)) = self.collector()? else {
            return Ok(Traces { sent: None, trusted });
        };
        let _context = runtime.enter();
        let traces = otlp::Traces::start(&url, self.otlp_sample_ratio)
            .map_err(|error| format!("{source}: {error}"))?;
        tracing::info!(ratio = self.otlp_sample_ratio, "sending traces to the collector at {url}");
        Ok(Traces { sent: Some(traces), trusted })
    }

    /// Logs the warning of [`Self::check`].
    ///
    /// # Errors
    /// If it returns one.
    #[cfg(not(feature = "otlp"))]
    pub(super) fn start(&self, _: &Runtime) -> Result<Traces, String> {
        self.check()?.into_iter().for_each(|warning| tracing::warn!("{warning}"));
        Ok(Traces {})
    }
}

impl Traces {
    /// Makes the server send a span of each call, and adds the metrics of the spans.
    #[cfg(feature = "otlp")]
    pub(super) fn observe(&self, server: Server, admin: &Admin) -> Server {
        let Some(traces) = &self.sent else { return server };
        let counts = std::sync::Arc::clone(traces.counts());
        admin.add(move |samples: &mut crate::metrics::Samples<'_>| {
            let help = "Spans that were sent to the collector";
            samples.counter("waywiser_trace_spans_sent", help, |family| {
                family.add(&[], counts.sent());
            });
            let help = "Spans that the collector did not accept";
            samples.counter("waywiser_trace_spans_failed", help, |family| {
                family.add(&[], counts.failed());
            });
        });
        server.with_observer(traces.observer(self.trusted))
    }

    /// Returns the server without a change.
    #[cfg(not(feature = "otlp"))]
    pub(super) fn observe(&self, server: Server, _: &Admin) -> Server {
        server
    }

    /// Sends the spans that wait, within two seconds.
    pub(super) fn stop(self) {
        #[cfg(feature = "otlp")]
        if let Some(traces) = self.sent {
            traces.shutdown();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_no_secret() {
        assert_eq!(endpoint("https://a:4317"), Ok("https://a:4317".to_owned()));
        for url in
            ["http://user:hunter2@a", "http://hunter2@a", "user:hunter2@a", "http://a?k=hunter2"]
        {
            let error = endpoint(url).unwrap_err();
            assert!(error.starts_with("must not contain") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_ratio_is_between_0_and_1() {
        assert_eq!((ratio("0"), ratio("0.25"), ratio("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for text in ["", "-0.1", "1.1", "NaN", "10%"] {
            assert_eq!(ratio(text), Err("must be a number from 0 to 1".to_owned()), "{text}");
        }
    }
}
