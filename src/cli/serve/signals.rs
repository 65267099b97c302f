//! The signals that stop or reload the server.

use std::io;
use std::sync::Arc;

use super::reload::Reloads;
use super::service_manager;
use crate::telemetry::LogQueue;

/// A signal to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    /// SIGINT, SIGTERM or an equivalent, with the exit status of a process that it ends: 128 and its number, as shells
    /// report it.
    Stop { exit_status: i32 },
    /// SIGHUP.
    #[cfg_attr(not(unix), allow(dead_code))]
    Hangup,
}

const INTERRUPT: Received = Received::Stop { exit_status: 130 };
#[cfg(unix)]
const TERMINATE: Received = Received::Stop { exit_status: 143 };

/// SIGINT, SIGTERM and SIGHUP, or their equivalents.
pub(super) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    /// Receives the signals from now on.
    #[cfg(unix)]
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPT,
            _ = self.terminate.recv() => TERMINATE,
            _ = self.hangup.recv() => Received::Hangup,
        }
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> Received {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        INTERRUPT
    }

    /// Completes at the first signal to stop; the second one writes the queued lines of the log and ends the process.
    /// SIGHUP reloads, or stops if there is nothing to reload. During a drain it has no effect.
    pub(super) async fn stop(mut self, reloads: Reloads, log: LogQueue) {
        let reloads = Arc::new(reloads);
        let is_reloading = !reloads.names().is_empty();
        while self.next().await == Received::Hangup && is_reloading {
            service_manager::reloading();
            let reloads = Arc::clone(&reloads);
            // A part that panics must not stop the server.
            let _ = tokio::task::spawn_blocking(move || reloads.run()).await;
            service_manager::ready();
        }
        service_manager::stopping();
        tokio::spawn(async move {
            let exit_status = loop {
                match self.next().await {
                    Received::Hangup => tracing::warn!("SIGHUP has no effect during a drain"),
                    Received::Stop { exit_status } => break exit_status,
                }
            };
            tracing::warn!("second signal: ending without a drain");
            log.finish();
            std::process::exit(exit_status);
        });
    }
}
