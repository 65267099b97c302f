//! Signals that stop a command which has files to remove.

use std::io;

/// SIGINT, SIGTERM and SIGHUP, or their equivalents. While it exists, they do not end the process.
pub(super) struct Interrupt {
    #[cfg(unix)]
    signals: [(tokio::signal::unix::Signal, u8); 3],
}

impl Interrupt {
    /// Receives the signals from now on. Must be called on a runtime.
    ///
    /// # Errors
    /// If the system refuses it.
    #[cfg(unix)]
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // The exit status is 128 and the number of the signal, as shells report it.
        Ok(Self {
            signals: [
                (signal(SignalKind::hangup())?, 129),
                (signal(SignalKind::interrupt())?, 130),
                (signal(SignalKind::terminate())?, 143),
            ],
        })
    }

    /// Waits for a signal. Returns the exit status of a process that it ends.
    #[cfg(unix)]
    pub(super) async fn received(&mut self) -> u8 {
        let [(hangup, of_hangup), (interrupt, of_interrupt), (terminate, of_terminate)] =
            &mut self.signals;
        tokio::select! {
            _ = hangup.recv() => *of_hangup,
            _ = interrupt.recv() => *of_interrupt,
            _ = terminate.recv() => *of_terminate,
        }
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(super) async fn received(&mut self) -> u8 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        130
    }
}
