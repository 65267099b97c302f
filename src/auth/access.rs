//! The authenticator of the program: tokens of a file, JSON Web Tokens and client certificates, reloaded while it runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::MissedTickBehavior;

use super::authenticator::{
    AuthError, Authenticator, Credentials, FailureLimit, Outage, PeerCertificate, Session,
    SessionCache,
};
use super::bearer;
use super::certificates::{CertificateNames, CertificateSessions};
use super::file::LoadError;
use super::jwt::{self, JwtSettings, JwtVerifier, KEYS_TIME, KeyChange, KeySetStatus};
use super::principal::Principal;
use super::reload_report::{ReloadCounts, ReloadReport};
use super::token::{Token, TokenHash};
use super::token_file::{Reloaded, TokenFile};

/// The credentials that a server accepts.
#[derive(Clone, Debug, Default)]
pub struct AccessSettings {
    /// A token file.
    pub tokens: Option<PathBuf>,
    /// JSON Web Tokens.
    pub jwt: Option<JwtSettings>,
    /// Client certificates, which the transport has verified. `None` accepts none.
    pub certificates: Option<CertificateNames>,
}

/// Authenticates callers by a bearer token or, without a token, by their client certificate.
///
/// A token is looked up in the token file first. Any other token must be a valid JSON Web Token. A certificate has the
/// principal that the token file names for it. [`CertificateNames`] decides about the other certificates.
pub struct Access {
    tokens: Option<TokenFile>,
    jwt: Option<JwtVerifier>,
    certificates: Option<CertificateSessions>,
    /// Held during a reload, so that an older content never replaces a newer one.
    reload: Mutex<()>,
    token_report: ReloadReport,
    key_report: ReloadReport,
}

/// How often credentials were loaded since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessCounts {
    /// The token file.
    pub tokens: ReloadCounts,
    /// The key set of the JSON Web Tokens.
    pub keys: ReloadCounts,
}

/// The time between two checks of the files. A change is applied when two checks find it.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

impl Access {
    /// Loads the files. [`Access::maintain`] fetches the keys of a URL; until then, JSON Web Tokens are UNAVAILABLE.
    ///
    /// # Errors
    /// If a file is not usable.
    pub fn load(settings: AccessSettings) -> Result<Self, LoadError> {
        let AccessSettings { tokens, jwt, certificates } = settings;
        let jwt = jwt.map(JwtVerifier::load).transpose()?;
        let has_keys = jwt.as_ref().is_some_and(JwtVerifier::has_keys);
        Ok(Self {
            tokens: tokens.map(|path| TokenFile::load(&path)).transpose()?,
            jwt,
            certificates: certificates.map(CertificateSessions::new),
            reload: Mutex::default(),
            token_report: ReloadReport::new(true),
            key_report: ReloadReport::new(has_keys),
        })
    }

    /// Applies changes of the files, and fetches the keys of a URL. Never completes. It must run exactly once.
    pub async fn maintain(self: Arc<Self>) {
        let files = async {
            let mut ticks = tokio::time::interval(CHECK_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let access = Arc::clone(&self);
                // The check cannot panic, and has logged its errors.
                let _ = tokio::task::spawn_blocking(move || access.check_files(false)).await;
            }
        };
        let keys = async {
            match &self.jwt {
                Some(jwt) => {
                    // The report has logged an error.
                    let report = |result: Result<_, _>| drop(self.report_keys(result.map(Some)));
                    jwt.fetch_forever(report, |keys| self.report_expired_keys(keys)).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::join!(files, keys);
    }

    /// Loads the files as they are now, and asks for a fetch of the keys of a URL.
    ///
    /// # Errors
    /// The first file that is not usable. It changes nothing, and the other one is loaded.
    pub fn reload(&self) -> Result<(), LoadError> {
        self.check_files(true)
    }

    /// Returns whether client certificates are accepted, but no entry of the token file names one, so that all of them
    /// are refused.
    pub fn refuses_all_certificates(&self) -> bool {
        let accepted = self.certificates.as_ref().map(CertificateSessions::accepted);
        accepted == Some(CertificateNames::Listed)
            && !self.tokens.as_ref().is_some_and(TokenFile::has_certificate_names)
    }

    /// Returns the principals of the token file, ordered by name.
    pub fn listed_principals(&self) -> Vec<Arc<Principal>> {
        self.tokens.as_ref().map(TokenFile::principals).unwrap_or_default()
    }

    /// Returns how often credentials were loaded.
    pub fn counts(&self) -> AccessCounts {
        AccessCounts { tokens: self.token_report.counts(), keys: self.key_report.counts() }
    }

    /// Returns the state of the keys for JSON Web Tokens, if they are accepted.
    pub fn key_set(&self) -> Option<KeySetStatus> {
        self.jwt.as_ref().map(JwtVerifier::status)
    }

    fn check_files(&self, is_forced: bool) -> Result<(), LoadError> {
        let _reload = self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = self.tokens.as_ref().map_or(Ok(()), |tokens| {
            let result = tokens.reload(is_forced).map(|reloaded| {
                let certificates = self.certificates.as_ref();
                reloaded.map(|reloaded| {
                    (reloaded, certificates.map_or(0, |sessions| sessions.recheck(Some(tokens))))
                })
            });
            self.token_report.add(result, |(reloaded, certificates)| {
                let Reloaded { principals, revoked } = reloaded;
                tracing::info!(principals, revoked = revoked + certificates, "token file loaded");
            })
        });
        let keys = self.jwt.as_ref().map_or(Ok(()), |jwt| self.report_keys(jwt.reload(is_forced)));
        tokens.and(keys)
    }

    fn report_keys(&self, result: Result<Option<KeyChange>, LoadError>) -> Result<(), LoadError> {
        self.key_report.add(result, |change| {
            let KeyChange { keys, ignored, missing, withdrawn, is_changed } = change;
            if missing > 0 {
                tracing::warn!(
                    keys,
                    missing,
                    "the answer of the key server lacks keys, which stay valid until the next answer lacks them, too"
                );
            }
            if is_changed {
                tracing::info!(keys, ignored, missing, withdrawn, "key set loaded");
            }
        })
    }

    fn report_expired_keys(&self, keys: usize) {
        self.key_report.lose();
        tracing::error!(
            keys,
            "the key set could not be fetched for {} h, so its keys are no longer accepted; JSON Web Tokens are UNAVAILABLE until it is fetched",
            KEYS_TIME.as_secs() / 3600
        );
    }

    fn token_session(
        &self,
        authorization: &[u8],
        failures: Option<&dyn FailureLimit>,
    ) -> Result<Session, AuthError> {
        let token = bearer::token(authorization)?;
        if self.tokens.is_none() && self.jwt.is_none() {
            return Err(AuthError::Invalid(
                "this server accepts client certificates and no tokens",
            ));
        }
        // The file may have the hash of a token that can be guessed, if another program made it.
        if token.len() < Token::BYTES_MIN {
            return Err(AuthError::Malformed("the token has fewer than 32 characters"));
        }
        let hash = TokenHash::of(token);
        if let Some(session) = self.tokens.as_ref().and_then(|tokens| tokens.session(&hash)) {
            return Ok(session);
        }
        match &self.jwt {
            Some(jwt) if jwt::is_compact(token) => {
                jwt.session(token, hash, SystemTime::now(), failures)
            }
            Some(_) if self.tokens.is_none() => {
                Err(AuthError::Malformed("the token is not a JSON Web Token in compact form"))
            }
            _ => Err(AuthError::Invalid("the token is unknown or was revoked")),
        }
    }

    fn certificate_session(
        &self,
        sessions: &CertificateSessions,
        certificate: &PeerCertificate,
        cache: Option<&SessionCache>,
    ) -> Result<Session, AuthError> {
        let look_up = || sessions.session(certificate, self.tokens.as_ref());
        let session = match cache {
            Some(cache) => cache.get_or_look_up(sessions.generation(), look_up),
            None => look_up(),
        }?;
        // The transport has verified it when the connection began.
        if certificate.not_after.is_some_and(|end| SystemTime::now() > end) {
            return Err(AuthError::Expired);
        }
        Ok(Session { expires_at: certificate.not_after, ..session })
    }
}

impl Authenticator for Access {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Session, AuthError> {
        match (credentials.authorization, credentials.certificate, &self.certificates) {
            (Some(authorization), _, _) => self.token_session(authorization, credentials.failures),
            (None, Some(certificate), Some(sessions)) => {
                self.certificate_session(sessions, certificate, credentials.certificate_session)
            }
            _ => Err(AuthError::Missing),
        }
    }

    /// Returns an outage while the keys of a URL were not fetched yet, or too long ago.
    fn outage(&self) -> Option<Outage> {
        if self.jwt.as_ref().is_none_or(JwtVerifier::has_keys) {
            return None;
        }
        let reason = match self.key_report.last_error() {
            Some(error) if self.key_report.counts().loaded > 0 => {
                let hours = KEYS_TIME.as_secs() / 3600;
                format!("no keys for JSON Web Tokens could be fetched for {hours} h: {error}")
            }
            Some(error) => format!("no keys for JSON Web Tokens could be fetched yet: {error}"),
            None => "the keys for JSON Web Tokens are being fetched".to_owned(),
        };
        Some(Outage { reason, is_total: self.tokens.is_none() && self.certificates.is_none() })
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
