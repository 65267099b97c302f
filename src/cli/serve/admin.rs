//! The listener for operators of `waywiser serve`, and the metrics that it serves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use clap::Args;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cli::logged_store::LoggedStore;
use crate::metrics::{self, AdminServer, CallMetrics, Metrics, Readiness, Source};
use crate::server::{Server, TlsSettings};

#[derive(Debug, Args)]
#[command(next_help_heading = "Observability")]
pub(super) struct AdminArgs {
    /// Address or port for operators, over HTTP/1.1: /metrics, /healthz and /readyz; a port alone means 127.0.0.1
    ///
    /// The listener has no authentication, so it must not be reachable by others. It stops last in a drain.
    #[arg(long, value_name = "[HOST:]PORT", env = "WAYWISER_ADMIN_LISTEN", value_parser = address)]
    admin_listen: Option<SocketAddr>,
}

/// Parses a port of loopback, or a host and a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let advice = "use a port, or HOST:PORT such as 127.0.0.1:9464 or [::1]:9464";
    let mut found = text.to_socket_addrs().map_err(|error| format!("{error}; {advice}"))?;
    found.next().ok_or_else(|| format!("the host has no address; {advice}"))
}

/// The metrics of the process, and the listener for operators while it runs.
pub(super) struct Admin {
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    listener: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// The warning about a listener that others may reach.
const EXPOSED: &str = "the listener for operators has no authentication, and its address is not loopback: make sure \
                       that only operators can reach it";

impl AdminArgs {
    /// Returns the warning that [`Self::start`] logs about the address, for a program that only checks it.
    pub(super) fn warning(&self) -> Option<String> {
        let address = self.admin_listen.filter(|address| !is_loopback(address.ip()))?;
        Some(format!("--admin-listen {address}: {EXPOSED}"))
    }

    /// Starts the listener if there is one. The server is not ready until [`Admin::observe`].
    ///
    /// # Errors
    /// If the address cannot be used. The message says what to do.
    pub(super) fn start(&self, runtime: &Runtime) -> Result<Admin, String> {
        let metrics = Arc::new(Metrics::default());
        let readiness = Arc::new(Readiness::default());
        let Some(address) = self.admin_listen else {
            return Ok(Admin { metrics, readiness, listener: None });
        };
        metrics.add(metrics::process());
        let listener = runtime.block_on(super::listeners::bind(address, "--admin-listen"))?;
        let address = listener.local_addr().unwrap_or(address);
        tracing::info!(%address, "listening for operators: /metrics, /healthz, /readyz");
        if !is_loopback(address.ip()) {
            tracing::warn!(%address, "{EXPOSED}");
        }
        let (stop, stopped) = oneshot::channel();
        let server = AdminServer::new(Arc::clone(&metrics), Arc::clone(&readiness));
        let task = runtime.spawn(server.run(listener, async {
            let _ = stopped.await;
        }));
        Ok(Admin { metrics, readiness, listener: Some((stop, task)) })
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

impl Admin {
    /// Adds the metrics of the store and of the server, and makes the server ready when it accepts calls. Without a
    /// listener it does nothing, so that calls cost nothing.
    pub(super) fn observe(&self, store: &Arc<LoggedStore>, server: Server) -> Server {
        if self.listener.is_none() {
            return server;
        }
        self.readiness.set_store(Arc::clone(store) as _);
        self.readiness.set_server(server.monitor());
        self.metrics.add_shared(Arc::clone(store) as _);
        self.metrics.add(metrics::server(server.monitor()));
        self.metrics.add(metrics::http(server.monitor()));
        let calls = Arc::new(CallMetrics::default());
        self.metrics.add_shared(Arc::clone(&calls) as _);
        server.with_observer(calls)
    }

    /// Adds the metrics of the certificates.
    pub(super) fn observe_tls(&self, tls: &TlsSettings) {
        self.add(metrics::tls(tls.clone()));
    }

    /// Adds the metrics of another part of the process, if there is a listener.
    pub(super) fn add(&self, source: impl Source) {
        if self.listener.is_some() {
            self.metrics.add(source);
        }
    }

    /// Stops the listener, after the server has ended.
    pub(super) async fn stop(self) {
        if let Some((stop, task)) = self.listener {
            let _ = stop.send(());
            let _ = task.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_loopback() {
        assert_eq!(address("9464").unwrap().to_string(), "127.0.0.1:9464");
        assert_eq!(address("[::1]:0").unwrap().to_string(), "[::1]:0");
        for text in ["", "99999", "9464/metrics", "127.0.0.1", "http://127.0.0.1:9464"] {
            let error = address(text).unwrap_err();
            assert!(error.ends_with("such as 127.0.0.1:9464 or [::1]:9464"), "{text}: {error}");
        }
    }

    #[test]
    fn loopback_addresses_are_recognized_in_both_families() {
        for (text, expected) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(text.parse().unwrap()), expected, "{text}");
        }
    }
}
