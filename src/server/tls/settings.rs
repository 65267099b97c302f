//! The active certificate, and its replacement when the files change.

use std::convert::Infallible;
use std::fmt;
use std::hash::RandomState;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::ProducesTickets;
use rustls::server::danger::ClientCertVerifier;
use tokio::time::MissedTickBehavior;

use super::config::TlsConfig;
use super::error::{Problem, TlsError};
use super::material::{Built, Fingerprint, Material};
use super::open_certificates::{OpenCertificates, withdraw_unless_valid};
use crate::server::client_certificate::ClientCertificate;

/// The interval between two reads of the files.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(5);

/// A failure that persists is logged again after this number of attempts in [`TlsSettings::follow_files`]: one hour.
const LOG_ATTEMPTS: u64 = 720;

/// The certificates that a server uses, which can change while it runs.
///
/// The files are read again every 5 seconds, and by [`TlsSettings::reload`]. If their content has changed and is valid,
/// new connections use it. A program that writes the files in place can be half done, so the regular reads use a change
/// when two of them in succession have found it. Otherwise the server keeps what it has. Connections that are open continue, except those of
/// clients whose certificate the new client CAs do not accept. Clones share their state.
#[derive(Clone)]
pub struct TlsSettings(Arc<Inner>);

struct Inner {
    config: TlsConfig,
    hasher: RandomState,
    active: RwLock<Arc<Active>>,
    /// Encrypts the sessions of clients without a certificate.
    tickets: Arc<dyn ProducesTickets>,
    open_certificates: OpenCertificates,
    /// Serializes reloads.
    attempts: Mutex<Attempts>,
    reload_failures: AtomicU64,
    /// Whether the files on disk cannot be used, so that the previous ones are active.
    is_stale: AtomicBool,
    handshake_failures: AtomicU64,
}

/// What new connections use.
pub(super) struct Active {
    built: Built,
    fingerprint: Fingerprint,
}

impl Active {
    pub(super) fn server_config(&self) -> &Arc<ServerConfig> {
        &self.built.config
    }

    /// Returns the configuration of a listener for HTTP/1.1 and HTTP/2.
    #[cfg(feature = "http")]
    pub(super) fn web_config(&self) -> &Arc<ServerConfig> {
        &self.built.web_config
    }

    fn client_verifier(&self) -> Option<&dyn ClientCertVerifier> {
        self.built.client_verifier.as_deref()
    }
}

/// The warning about the file of a key.
const READABLE_KEY: &str =
    "all users of this system can read the private key; restrict it with: chmod o=";
/// The end of a warning about the dates of a certificate.
const REFUSED: &str = "most clients will refuse it";

/// The earlier reads of [`TlsSettings::follow_files`].
#[derive(Default)]
struct Attempts {
    /// The number of consecutive failures.
    failed: u64,
    /// The last failure that was reported.
    message: String,
    /// The content that the last read has found, if it is not active.
    changed: Option<Fingerprint>,
}

/// The result of a reload without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// New connections use the new content of the files.
    Changed,
    /// The content of the files is that which new connections already use.
    Unchanged,
}

impl TlsSettings {
    /// Reads and checks the certificates. Logs a warning if the certificate has expired, or if all users of the system
    /// can read the key file.
    ///
    /// # Errors
    /// If a file cannot be read or used. The message names the file and the reason.
    pub fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let hasher = RandomState::new();
        let material = Material::read(&config)?;
        let tickets = new_tickets(&config)?;
        let built = material.build(&config, Arc::clone(&tickets))?;
        let fingerprint = material.fingerprint(&hasher);
        if let Some(warning) = readable_key(&config) {
            tracing::warn!("{warning}");
        }
        let settings = Self(Arc::new(Inner {
            config,
            hasher,
            active: RwLock::new(Arc::new(Active { built, fingerprint })),
            tickets,
            open_certificates: OpenCertificates::default(),
            attempts: Mutex::default(),
            reload_failures: AtomicU64::new(0),
            is_stale: AtomicBool::new(false),
            handshake_failures: AtomicU64::new(0),
        }));
        settings.log_active("TLS is enabled");
        Ok(settings)
    }

    /// Returns the warnings that [`Self::load`] logs, for a program that only checks the files.
    pub fn warnings(&self) -> Vec<String> {
        let Inner { config, .. } = &*self.0;
        let (key, certificate) = (readable_key(config), config.certificate.subject());
        let date = self.active().built.problem(SystemTime::now());
        let date = date.map(|problem| format!("{certificate}: {problem}; {REFUSED}"));
        key.into_iter().chain(date).collect()
    }

    /// Reads the files now. Blocks the thread while it reads. An unusable file changes nothing.
    ///
    /// # Errors
    /// If a file cannot be read or used. The failure is counted and logged.
    pub fn reload(&self) -> Result<Reloaded, TlsError> {
        let mut attempts = self.attempts();
        let result = self.try_reload();
        match &result {
            Ok(_) => self.reset(&mut attempts),
            Err(error) => {
                self.report_failure(error);
                // The regular reads do not report it again.
                *attempts = Attempts { failed: 1, message: error.to_string(), changed: None };
            }
        }
        result
    }

    /// Returns the number of reloads that failed.
    pub fn reload_failures(&self) -> u64 {
        self.0.reload_failures.load(Relaxed)
    }

    /// Returns whether the files on disk are those that are active. Stays `false` until they can be used again.
    pub fn is_last_reload_successful(&self) -> bool {
        !self.0.is_stale.load(Relaxed)
    }

    /// Returns the number of TLS handshakes that failed, including those of clients without TLS.
    pub fn handshake_failures(&self) -> u64 {
        self.0.handshake_failures.load(Relaxed)
    }

    /// Returns the time at which the active certificate expires.
    pub fn expires_at(&self) -> SystemTime {
        self.active().built.validity.not_after
    }

    /// Adds the certificate of a client that was verified with `used`. It is withdrawn when other client CAs do not
    /// accept it.
    pub(super) fn register(&self, certificate: &Arc<ClientCertificate>, used: &Active) {
        self.0.open_certificates.add(certificate);
        // A reload that began before the certificate was added has not verified it.
        let active = self.active();
        if !active.fingerprint.has_same_client_ca(used.fingerprint)
            && let Some(verifier) = active.client_verifier()
        {
            withdraw_unless_valid(certificate, verifier);
        }
    }

    pub(super) fn count_handshake_failure(&self) {
        self.0.handshake_failures.fetch_add(1, Relaxed);
    }

    /// Reads the files regularly. Never completes.
    pub(in crate::server) async fn follow_files(self) -> Infallible {
        if !self.0.config.has_files() {
            return std::future::pending().await;
        }
        let mut ticks = tokio::time::interval(FOLLOW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let settings = self.clone();
            // Reading files blocks. A panic would leave the active certificate as it is.
            let _ = tokio::task::spawn_blocking(move || settings.follow_once()).await;
        }
    }

    /// Reads the files once. A change is applied, and a failure reported, when two reads in a row find it. The reason
    /// is that a writer may replace one file after the other, or write a file in parts.
    fn follow_once(&self) {
        let mut attempts = self.attempts();
        let applied = match self.read_change() {
            Ok(Some((_, fingerprint))) if attempts.changed != Some(fingerprint) => {
                attempts.changed = Some(fingerprint);
                return;
            }
            Ok(Some((material, fingerprint))) => self.apply(&material, fingerprint),
            Ok(None) => Ok(()),
            Err(error) => {
                attempts.changed = None;
                Err(error)
            }
        };
        let Err(error) = applied else {
            self.reset(&mut attempts);
            return;
        };
        attempts.failed += 1;
        let message = error.to_string();
        let is_new = attempts.message != message;
        if attempts.failed >= 2 && (is_new || attempts.failed.is_multiple_of(LOG_ATTEMPTS)) {
            self.report_failure(&error);
            attempts.message = message;
        }
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reset(&self, attempts: &mut Attempts) {
        *attempts = Attempts::default();
        if self.0.is_stale.swap(false, Relaxed) {
            tracing::info!("the TLS files can be used again");
        }
    }

    fn report_failure(&self, error: &TlsError) {
        self.0.reload_failures.fetch_add(1, Relaxed);
        self.0.is_stale.store(true, Relaxed);
        tracing::error!(%error, "the TLS files have changed and cannot be used; the previous ones stay active");
    }

    fn try_reload(&self) -> Result<Reloaded, TlsError> {
        match self.read_change()? {
            None => Ok(Reloaded::Unchanged),
            Some((material, fingerprint)) => {
                self.apply(&material, fingerprint)?;
                Ok(Reloaded::Changed)
            }
        }
    }

    /// Reads the files. Returns `None` if their content is active.
    fn read_change(&self) -> Result<Option<(Material, Fingerprint)>, TlsError> {
        let material = Material::read(&self.0.config)?;
        let fingerprint = material.fingerprint(&self.0.hasher);
        let is_active = fingerprint == self.active().fingerprint;
        Ok((!is_active).then_some((material, fingerprint)))
    }

    /// Makes new connections use this content of the files.
    fn apply(&self, material: &Material, fingerprint: Fingerprint) -> Result<(), TlsError> {
        let active = self.active();
        let built = material.build(&self.0.config, Arc::clone(&self.0.tickets))?;
        let new = Arc::new(Active { built, fingerprint });
        *self.0.active.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        self.log_active("new TLS files are active");
        if !fingerprint.has_same_client_ca(active.fingerprint)
            && let Some(verifier) = new.client_verifier()
        {
            let closed_connections = self.0.open_certificates.verify(verifier);
            tracing::info!(closed_connections, "new client CAs are active");
        }
        Ok(())
    }

    pub(super) fn active(&self) -> Arc<Active> {
        Arc::clone(&self.0.active.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn log_active(&self, event: &str) {
        let active = self.active();
        let now = SystemTime::now();
        if let Some(problem) = active.built.problem(now) {
            tracing::warn!(
                certificate = %self.0.config.certificate.subject(),
                "{problem}; {REFUSED}"
            );
        }
        let valid = active.built.validity.not_after.duration_since(now).unwrap_or_default();
        tracing::info!(expires_in_days = valid.as_secs() / 86_400, "{event}");
    }
}

/// Returns the warning about the file of the key, if all users of the system can read it.
fn readable_key(config: &TlsConfig) -> Option<String> {
    let path = config.key.path().filter(|_| config.key.is_readable_by_others())?;
    Some(format!("{}: {READABLE_KEY} {}", config.key.subject(), path.display()))
}

fn new_tickets(config: &TlsConfig) -> Result<Arc<dyn ProducesTickets>, TlsError> {
    Ticketer::new().map_err(|error| {
        TlsError::new(&config.certificate.subject(), Problem::Rustls(error.to_string()))
    })
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("config", &self.0.config)
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
