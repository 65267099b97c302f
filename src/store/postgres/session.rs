//! A connection that is opened again when it ends, with a growing pause between attempts that fail.
//!
//! When one connection of a store gets no answer, or finds another host, the other one is replaced, too. It may lead to
//! an old primary, which still accepts connections after a failover. When one connection is opened, the pause of the
//! other one ends.

use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::connect::{self, OpenFailure, Opened, Purpose};
use super::error::PostgresOpenError;
use super::link::Link;
use super::settings::PostgresSettings;
use super::stats::{Counters, Health, Role};

/// The pause after the first attempt that fails. It doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A connection that ends sooner than this counts as a failed attempt.
const LIFE_MIN: Duration = Duration::from_secs(1);

/// What the connections of a store know from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    /// Connections that were opened with a smaller number are replaced.
    number: u64,
    /// The index of the host to try first.
    host: usize,
    /// Number of connections that were opened.
    openings: u64,
}

/// Makes the connections of a store be opened again.
pub(super) fn replace_connections(route: &watch::Sender<Route>) {
    route.send_modify(|route| route.number += 1);
}

type Attempt = Pin<Box<dyn Future<Output = Result<Opened, OpenFailure>> + Send>>;

/// A connection, or the attempts to open it.
pub(super) struct Session {
    settings: PostgresSettings,
    role: Role,
    counters: Arc<Counters>,
    health: Arc<Health>,
    link: Option<Link>,
    opened_at: Instant,
    route: Arc<watch::Sender<Route>>,
    /// The route when the connection was opened.
    opened_route: Route,
    attempt: Option<Attempt>,
    next_attempt: Instant,
    /// The value of [`Route::openings`] at the start of the last attempt. A larger one shows that the database is
    /// available again.
    known_openings: u64,
    /// Number of attempts that failed since the last connection of the store was opened.
    failures: u32,
    /// Whether the last connection ended soon. The pause after it is never shortened.
    is_short_lived: bool,
    /// The error of the last attempt, or why the connection was lost, for clients.
    reason: String,
    /// The last error that was logged.
    logged: String,
}

/// What a request finds.
pub(super) enum Access<'a> {
    /// A connection that can be used.
    Open(&'a Link),
    /// The first attempt after the start, after a lost connection or after another connection of the store was opened
    /// is not over, so the request waits for it.
    Connecting,
    /// The last attempt failed for this reason.
    Down(&'a str),
}

impl Session {
    /// Returns a session that connects when it is polled, or that has a connection already.
    pub(super) fn new(
        settings: PostgresSettings,
        role: Role,
        counters: Arc<Counters>,
        health: Arc<Health>,
        route: Arc<watch::Sender<Route>>,
        opened: Option<Opened>,
    ) -> Self {
        let now = Instant::now();
        let mut session = Self {
            settings,
            role,
            counters,
            health,
            link: None,
            opened_at: now,
            route,
            opened_route: Route::default(),
            attempt: None,
            next_attempt: now,
            known_openings: 0,
            failures: 0,
            is_short_lived: false,
            reason: String::new(),
            logged: String::new(),
        };
        if let Some(opened) = opened {
            session.apply(Ok(opened));
        }
        session
    }

    /// Waits until the connection ends, or until an attempt to open it ends. Cancellation loses nothing.
    pub(super) async fn changed(&mut self) {
        if let Some(link) = &self.link {
            let (mut routes, opened) = (self.route.subscribe(), self.opened_route);
            tokio::select! {
                () = link.closed() => {}
                _ = routes.wait_for(|route| route.number > opened.number) => {}
            }
            self.check();
            return;
        }
        if self.attempt.is_none() {
            let (mut routes, known) = (self.route.subscribe(), self.known_openings);
            let is_short_lived = self.is_short_lived;
            tokio::select! {
                () = sleep_until(self.next_attempt) => {}
                _ = routes.wait_for(|route| route.openings > known), if !is_short_lived => {}
            }
            self.end_pause_if_available();
        }
        let attempt = self.attempt.get_or_insert_with(|| {
            let route = *self.route.borrow();
            (self.known_openings, self.is_short_lived) = (route.openings, false);
            let (settings, host) = (self.settings.clone(), route.host);
            Box::pin(async move { connect::open(&settings, host, Purpose::Store).await })
        });
        let result = attempt.as_mut().await;
        self.attempt = None;
        self.apply(result);
    }

    fn apply(&mut self, result: Result<Opened, OpenFailure>) {
        match result {
            Ok(opened) => {
                self.counters.connections.fetch_add(1, Relaxed);
                self.health.connected(self.role, opened.conditions);
                self.logged.clear();
                self.route.send_modify(|route| {
                    route.number += u64::from(route.host != opened.host);
                    route.host = opened.host;
                    route.openings += 1;
                });
                self.opened_route = *self.route.borrow();
                self.known_openings = self.opened_route.openings;
                self.link = Some(opened.link);
                (self.failures, self.opened_at) = (0, Instant::now());
                let connection = self.role.name();
                // The log has the loss of the connection, or the reason why it could not be opened.
                match std::mem::take(&mut self.reason).is_empty() {
                    true => tracing::debug!(connection, "connected to the database"),
                    false => tracing::info!(connection, "the database is connected again"),
                }
            }
            Err(failure) => {
                self.counters.failures.fetch_add(1, Relaxed);
                self.reason = failure.for_clients();
                let error = PostgresOpenError::from(failure);
                let text = error.to_string();
                if text != self.logged {
                    tracing::warn!(
                        connection = self.role.name(),
                        error = text,
                        "the database is not available"
                    );
                }
                self.logged = text;
                self.health.failed(self.role, error);
                self.pause();
                let openings = self.route.borrow().openings;
                if openings > self.known_openings {
                    // The other connection was opened during this attempt. Requests get the error before the next one.
                    self.known_openings = openings;
                    self.failures = 0;
                    self.pause();
                }
            }
        }
    }

    fn pause(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.next_attempt = Instant::now() + pause(self.failures, RandomState::new().hash_one(0));
    }

    /// Drops a connection that has ended or has to be replaced. No request is running.
    fn check(&mut self) {
        let is_replaced = self.route.borrow().number > self.opened_route.number;
        let Some(link) = self.link.take_if(|link| is_replaced || !link.is_open()) else { return };
        if link.is_late() {
            replace_connections(&self.route);
        }
        self.reason = match link.is_open() {
            true => "the other connection to the database was lost".to_owned(),
            false => link.end_reason(),
        };
        tracing::info!(
            connection = self.role.name(),
            error = self.reason,
            "a connection to the database ended"
        );
        self.health.lost(self.role, self.reason.clone());
        self.next_attempt = Instant::now();
        if !is_replaced && self.opened_at.elapsed() < LIFE_MIN {
            self.is_short_lived = true;
            self.pause();
        }
    }

    /// Ends the pause if the other connection was opened after the start of the last attempt, unless the last connection of
    /// this session ended soon: connections that are closed again and again must not be opened without pauses.
    fn end_pause_if_available(&mut self) {
        let has_news = self.route.borrow().openings > self.known_openings;
        if self.link.is_none() && !self.is_short_lived && has_news {
            (self.failures, self.next_attempt) = (0, Instant::now());
        }
    }

    /// Returns what a request finds now.
    pub(super) fn access(&mut self) -> Access<'_> {
        self.check();
        self.end_pause_if_available();
        match &self.link {
            Some(link) => Access::Open(link),
            None if self.failures == 0 => Access::Connecting,
            None => Access::Down(&self.reason),
        }
    }
}

/// Returns the pause after `failures` failed attempts. A random part of up to a half is subtracted, so that the servers
/// of a cluster do not connect at the same moment.
fn pause(failures: u32, random: u64) -> Duration {
    let longest = PAUSE_MIN.saturating_mul(1 << failures.clamp(1, 10).saturating_sub(1));
    let longest = longest.min(PAUSE_MAX);
    let part = (random % 1_000) as u32;
    longest - longest / 2_000 * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_maximum() {
        assert_eq!(pause(1, 0), PAUSE_MIN);
        assert_eq!(pause(2, 1_000), 2 * PAUSE_MIN);
        assert_eq!(pause(u32::MAX, 0), PAUSE_MAX);
        assert_eq!(pause(0, 0), PAUSE_MIN);
        for random in 0..2_000 {
            let pause = pause(20, random);
            assert!(pause >= PAUSE_MAX / 2 && pause <= PAUSE_MAX, "{pause:?}");
        }
    }
}
