//! The signals that stop or reload the server.

use std::io;
use std::ops::ControlFlow;
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
    /// SIGHUP reloads, or stops if there is nothing to reload. During a drain it has no effect. A signal to stop does not
    /// wait for a reload, which may wait for a file system or a resolver.
    pub(super) async fn stop(mut self, reloads: Reloads, log: LogQueue) {
        let reloads = Arc::new(reloads);
        let is_reloading = !reloads.names().is_empty();
        while self.next().await == Received::Hangup && is_reloading {
            if reload(&reloads, async || self.next().await).await.is_break() {
                break;
            }
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

/// Reloads, and once more if SIGHUP arrives meanwhile. Returns at once on a signal to stop.
async fn reload(
    reloads: &Arc<Reloads>,
    mut next: impl AsyncFnMut() -> Received,
) -> ControlFlow<()> {
    let mut is_requested = true;
    while std::mem::take(&mut is_requested) {
        service_manager::reloading();
        let reloads = Arc::clone(reloads);
        // A part that panics must not stop the server.
        let mut reload = tokio::task::spawn_blocking(move || reloads.run());
        loop {
            tokio::select! {
                _ = &mut reload => break,
                received = next() => match received {
                    Received::Hangup => is_requested = true,
                    Received::Stop { .. } => return ControlFlow::Break(()),
                },
            }
        }
        service_manager::ready();
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::{Mutex, mpsc};

    use super::*;

    #[tokio::test]
    async fn a_signal_to_stop_does_not_wait_for_a_reload() {
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Mutex::new(blocked);
        let mut reloads = Reloads::default();
        reloads.add("blocked", move || blocked.lock().unwrap().recv().map_err(|e| e.to_string()));
        let ended = reload(&Arc::new(reloads), async || INTERRUPT).await;
        assert!(ended.is_break());
        drop(release);
    }

    #[tokio::test]
    async fn a_request_during_a_reload_is_followed_by_another_reload() {
        let (release, blocked) = mpsc::channel::<()>();
        let (blocked, runs) = (Mutex::new(blocked), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&runs);
        let mut reloads = Reloads::default();
        reloads.add("counted", move || {
            counted.fetch_add(1, SeqCst);
            // The first run waits for the signals. The others do not.
            let _ = blocked.lock().unwrap().recv();
            Ok(())
        });
        let mut release = Some(release);
        let mut hangups = 2;
        let next = async || {
            if hangups == 0 {
                release = None;
                std::future::pending::<()>().await;
            }
            hangups -= 1;
            Received::Hangup
        };
        assert!(reload(&Arc::new(reloads), next).await.is_continue());
        assert_eq!(runs.load(SeqCst), 2);
    }
}
