//! The signals that stop or reload the server.

use std::io;
use std::sync::Arc;

use super::reload::Reloads;
use super::service_manager;

/// A signal to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(unix), allow(dead_code))]
enum Kind {
    /// SIGINT or an equivalent.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    Hangup,
}

impl Kind {
    /// Returns the exit status of a process that the signal ends: 128 and its number, as shells report it.
    fn exit_status(self) -> i32 {
        128 + match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }
}

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
    async fn next(&mut self) -> Kind {
        tokio::select! {
            _ = self.interrupt.recv() => Kind::Interrupt,
            _ = self.terminate.recv() => Kind::Terminate,
            _ = self.hangup.recv() => Kind::Hangup,
        }
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> Kind {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Kind::Interrupt
    }

    /// Completes at the first signal to stop; the second one ends the process. SIGHUP reloads, or stops if there is
    /// nothing to reload.
    pub(super) async fn stop(mut self, reloads: Reloads) {
        let reloads = Arc::new(reloads);
        let is_reloading = !reloads.names().is_empty();
        while self.next().await == Kind::Hangup && is_reloading {
            service_manager::reloading();
            let reloads = Arc::clone(&reloads);
            // A part that panics must not stop the server.
            let _ = tokio::task::spawn_blocking(move || reloads.run()).await;
            service_manager::ready();
        }
        service_manager::stopping();
        tokio::spawn(async move {
            let mut last = self.next().await;
            while last == Kind::Hangup && is_reloading {
                tracing::warn!("SIGHUP has no effect during a drain");
                last = self.next().await;
            }
            tracing::warn!("second signal: ending without a drain");
            std::process::exit(last.exit_status());
        });
    }
}
