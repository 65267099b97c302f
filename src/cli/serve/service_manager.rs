//! The protocols of service managers such as systemd: notifications about the state of the service, the watchdog, and
//! a listener that the manager has opened. Without a service manager nothing here has an effect.

use std::io;

use tokio::net::TcpListener;

/// Returns the listener that the service manager passes, if there is one.
///
/// # Errors
/// If what is passed is not exactly one TCP socket that listens.
pub(super) fn listener() -> Result<Option<TcpListener>, String> {
    let mut passed = listenfd::ListenFd::from_env();
    match passed.len() {
        0 => return Ok(None),
        1 => {}
        count => {
            return Err(format!(
                "the service manager passes {count} sockets (LISTEN_FDS); pass the one that the server listens on"
            ));
        }
    }
    let taken = passed.take_tcp_listener(0).and_then(|listener| {
        let listener = listener.ok_or(io::ErrorKind::NotFound)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Some)
    });
    taken.map_err(|error| format!("the socket of the service manager cannot be used: {error}"))
}

#[cfg(unix)]
pub(super) use self::systemd::{ready, reloading, start_watchdog, stopping};

#[cfg(unix)]
mod systemd {
    use std::time::Duration;

    use sd_notify::NotifyState;

    /// Reports that the service accepts connections.
    pub(in crate::cli::serve) fn ready() {
        notify(&[NotifyState::Ready]);
    }

    /// Reports that the service reads its settings again. [`ready`] has to follow.
    pub(in crate::cli::serve) fn reloading() {
        // systemd 253 and newer require the time.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
    }

    /// Reports that the service drains.
    pub(in crate::cli::serve) fn stopping() {
        notify(&[NotifyState::Stopping]);
    }

    /// Reports regularly that the runtime works, if the service manager expects that.
    pub(in crate::cli::serve) fn start_watchdog() {
        let Some(timeout) = sd_notify::watchdog_enabled() else { return };
        // Limits the notification rate.
        let mut ticks = tokio::time::interval((timeout / 2).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::spawn(async move {
            loop {
                ticks.tick().await;
                notify(&[NotifyState::Watchdog]);
            }
        });
    }

    fn notify(states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            tracing::warn!(%error, "the service manager cannot be notified (NOTIFY_SOCKET)");
        }
    }
}

#[cfg(not(unix))]
pub(super) fn ready() {}

#[cfg(not(unix))]
pub(super) fn reloading() {}

#[cfg(not(unix))]
pub(super) fn stopping() {}

#[cfg(not(unix))]
pub(super) fn start_watchdog() {}
