//! JSON Web Tokens: signed by an issuer whose public keys the server knows.
//!
//! A token is accepted in these steps: `jws` reads its parts, `key_set` finds the key, `key` verifies the signature,
//! and `claims` checks the claims and names the principal. `cache` keeps the result. The keys are in a file, or
//! `fetch` gets them from a URL while the server runs (`source`, `refresh`).

mod algorithm;
mod cache;
mod claims;
mod fetch;
mod json;
mod jws;
mod key;
mod key_set;
mod refresh;
mod source;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};

pub use self::algorithm::{Algorithm, AlgorithmError};
use self::cache::{Cache, Verified};
use self::claims::ClaimRules;
use self::fetch::Fetcher;
use self::key_set::{Candidates, KEY_SET_BYTES_MAX, KeySet};
use self::refresh::{Fetched, Refresh};
pub use self::source::{KeySetUrl, KeySource};
use super::authenticator::{AuthError, FailureLimit, Session};
use super::file::{Content, LoadError, WatchedFile};
use super::token::TokenHash;

pub(super) use self::jws::is_compact;

/// The rules for the JSON Web Tokens that a server accepts.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// The place of the public keys of the issuer.
    pub keys: KeySource,
    /// The issuer: the claim `iss`.
    pub issuer: String,
    /// The name of this server: the claim `aud`, or one of its items.
    pub audience: String,
    /// The accepted algorithms.
    pub algorithms: Vec<Algorithm>,
    /// The difference of the clocks that is tolerated.
    pub clock_skew: Duration,
    /// The name of the claim that has the namespace.
    pub namespace_claim: String,
    /// The name of the claim that has the role.
    pub role_claim: String,
}

/// Maximum number of verified tokens in the cache: about 10 MB.
const CACHED_TOKENS_MAX: usize = 20_000;

/// The keys of a URL are no longer accepted this long after the start of the last fetch that succeeded: the issuer may
/// have withdrawn them.
pub(super) const KEYS_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The state of a set of keys for JSON Web Tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeySetStatus {
    /// The issuer of the tokens.
    pub issuer: String,
    /// The time since the set was last fetched from its URL, or checked in its file, with success. Before the first
    /// success, the time since the start.
    pub age: Duration,
    /// Number of keys that are accepted, without the missing ones.
    pub keys: usize,
    /// Number of keys that are accepted although the last answer of the key server lacks them.
    pub missing: usize,
}

/// Verifies JSON Web Tokens.
pub(super) struct JwtVerifier {
    algorithms: Vec<Algorithm>,
    rules: ClaimRules,
    /// The keys. `None` until they were fetched for the first time, and when they are too old.
    keys: RwLock<Option<Arc<KeySet>>>,
    /// The time for which the keys are known to be those of the issuer, or the start.
    current_at: Mutex<Instant>,
    source: Source,
    cache: Cache,
}

enum Source {
    File(WatchedFile),
    Url(Box<Fetcher>, Refresh),
}

impl JwtVerifier {
    /// Loads the keys of a file. Those of a URL are fetched by [`JwtVerifier::fetch_forever`].
    ///
    /// # Errors
    /// If the file is not usable.
    pub(super) fn load(settings: JwtSettings) -> Result<Self, LoadError> {
        let (source, keys) = match settings.keys {
            KeySource::File(path) => {
                let file = WatchedFile::new(&path, Content::Public, KEY_SET_BYTES_MAX);
                let text = file.read()?;
                let keys = KeySet::parse(&text, None).map_err(|reason| file.error(None, reason))?;
                (Source::File(file), Some(Arc::new(keys)))
            }
            KeySource::Url(url) => {
                let place = url.to_string();
                let fetcher =
                    Fetcher::new(url).map_err(|reason| LoadError { place, line: None, reason })?;
                (Source::Url(Box::new(fetcher), Refresh::default()), None)
            }
        };
        Ok(Self {
            algorithms: settings.algorithms,
            rules: ClaimRules {
                issuer: settings.issuer,
                audience: settings.audience,
                clock_skew: settings.clock_skew,
                namespace_claim: settings.namespace_claim,
                role_claim: settings.role_claim,
            },
            keys: RwLock::new(keys),
            current_at: Mutex::new(Instant::now()),
            source,
            cache: Cache::new(CACHED_TOKENS_MAX),
        })
    }

    /// Returns whether there are keys that are not too old.
    pub(super) fn has_keys(&self) -> bool {
        self.keys().is_some()
    }

    /// Returns the state of the key set.
    pub(super) fn status(&self) -> KeySetStatus {
        let keys = self.keys();
        KeySetStatus {
            issuer: self.rules.issuer.clone(),
            age: self.current_at().elapsed(),
            keys: keys.as_ref().map_or(0, |keys| keys.len()),
            missing: keys.as_ref().map_or(0, |keys| keys.missing_len()),
        }
    }

    /// Returns the session of the token with this hash. A token that was accepted before costs no check of its signature.
    ///
    /// # Errors
    /// If the token is not valid now, there are no current keys, or its sender has reached the limit of failed checks.
    pub(super) fn session(
        &self,
        token: &str,
        hash: TokenHash,
        now: SystemTime,
        failures: Option<&dyn FailureLimit>,
    ) -> Result<Session, AuthError> {
        match self.cache.get(&hash).map(|verified| verified.session(now)) {
            // The key was withdrawn, and may be in the set again.
            None | Some(Err(AuthError::Revoked)) => {}
            Some(result) => return result,
        }
        let verified = Arc::new(self.verify(token, now, failures)?);
        let session = verified.session(now)?;
        self.cache.insert(hash, verified);
        Ok(session)
    }

    fn verify(
        &self,
        token: &str,
        now: SystemTime,
        failures: Option<&dyn FailureLimit>,
    ) -> Result<Verified, AuthError> {
        let text = token;
        let token = jws::parse(text)?;
        // The issuer may have a new key. The whole token is remembered: another caller may have sent the id of a key before
        // its issuer has published it.
        let unknown = |refusal| self.unknown_key(text, refusal);
        if !self.algorithms.contains(&token.algorithm) {
            return Err(AuthError::Invalid("the algorithm of the token is not accepted"));
        }
        let Some(keys) = self.keys() else {
            return Err(AuthError::Unavailable {
                reason: "the server has no current keys of the token issuer",
                retry_after: Duration::from_secs(1),
            });
        };
        let candidates = match keys.candidates(token.algorithm, token.key_id.as_deref()) {
            Candidates::Keys(keys) => keys,
            Candidates::UnknownId => {
                return Err(unknown("the key of the token is unknown or was withdrawn"));
            }
            Candidates::Ambiguous => {
                return Err(AuthError::Invalid(
                    "the token has no key id (kid), and too many keys fit its algorithm",
                ));
            }
            Candidates::OtherAlgorithm => {
                let refusal = "the algorithm of the token is not that of its key";
                return Err(match token.key_id {
                    Some(_) => AuthError::Invalid(refusal),
                    None => unknown(refusal),
                });
            }
        };
        // The expensive part: a signature check for each candidate.
        if failures.is_some_and(FailureLimit::is_reached) {
            return Err(AuthError::Throttled);
        }
        let verifies = |key: &&&Arc<_>| {
            key::Key::verifies(key, token.algorithm, token.signed, &token.signature)
        };
        let verified = match candidates.iter().find(verifies) {
            None => {
                let refusal = "the signature of the token does not match";
                Err(match token.key_id {
                    Some(_) => AuthError::Invalid(refusal),
                    None => unknown(refusal),
                })
            }
            // A valid signature is checked again for each call, as long as the claims are not valid.
            Some(key) => claims::check(&token.payload, &self.rules, now).map(|checked| {
                let (principal, expires_at) = checked;
                Verified { principal, expires_at, key: Arc::clone(key) }
            }),
        };
        verified.inspect_err(|_| {
            if let Some(failures) = failures {
                failures.add();
            }
        })
    }

    /// Returns the error for a token whose key is not in the set. If the issuer can have published the key since the last
    /// fetch, the set is fetched again, at most once in 30 seconds, and the token is refused after that.
    fn unknown_key(&self, key: &str, refusal: &'static str) -> AuthError {
        let wait = match &self.source {
            Source::Url(_, refresh) => refresh.unknown(key),
            Source::File(_) => None,
        };
        match wait {
            Some(retry_after) => AuthError::Unavailable {
                reason: "the key of the token is unknown, and the keys of its issuer will be fetched",
                retry_after,
            },
            None => AuthError::Invalid(refusal),
        }
    }

    /// Reads the file of the keys again. Returns `None` if it has not changed. For a URL, asks for a fetch if
    /// `is_forced`.
    ///
    /// # Errors
    /// If the file is not usable. The keys stay as they were.
    pub(super) fn reload(&self, is_forced: bool) -> Result<Option<KeyChange>, LoadError> {
        let (file, text) = match &self.source {
            Source::File(file) if is_forced => (file, file.read()?),
            Source::File(file) => match file.read_change()? {
                Some(text) => (file, text),
                None => {
                    self.set_current_at(Instant::now());
                    return Ok(None);
                }
            },
            Source::Url(_, refresh) => {
                if is_forced {
                    refresh.force();
                }
                return Ok(None);
            }
        };
        let now = Instant::now();
        let change = self.replace_keys(&text, false).map_err(|reason| {
            file.forget();
            file.error(None, reason)
        })?;
        self.set_current_at(now);
        Ok(Some(change))
    }

    /// Fetches the keys of a URL now, and again when that is due. Reports each result, and the number of keys that are
    /// no longer accepted because all fetches for [`KEYS_TIME`] have failed. Never completes.
    pub(super) async fn fetch_forever(
        &self,
        report: impl Fn(Result<KeyChange, LoadError>),
        report_expired: impl Fn(usize),
    ) {
        let Source::Url(fetcher, refresh) = &self.source else {
            return std::future::pending().await;
        };
        loop {
            refresh.begin();
            let begun_at = Instant::now();
            let result = match fetcher.fetch().await {
                Ok(text) => self.replace_keys(&text, true),
                Err(reason) => Err(reason),
            };
            if result.is_ok() {
                self.set_current_at(begun_at);
            }
            let fetched = match &result {
                Ok(KeyChange { missing: 0, .. }) => Fetched::Keys,
                Ok(_) => Fetched::KeysMissing,
                Err(_) if self.has_keys() => Fetched::Failed,
                Err(_) => Fetched::FailedFirst,
            };
            let place = || fetcher.url().to_string();
            report(result.map_err(|reason| LoadError { place: place(), line: None, reason }));
            refresh.end(fetched);
            let mut due = pin!(refresh.due(fetched));
            tokio::select! {
                () = &mut due => {}
                () = sleep_until(self.current_at() + KEYS_TIME), if self.has_keys() => {
                    report_expired(self.remove_keys());
                    due.await;
                }
            }
        }
    }

    /// Removes the keys. Calls with their tokens end, and further ones are UNAVAILABLE until there are keys again.
    /// Returns the number of keys.
    fn remove_keys(&self) -> usize {
        let old = self.keys.write().unwrap_or_else(PoisonError::into_inner).take();
        let removed = old.map_or(0, |old| KeySet::default().revoke_others(&old));
        self.cache.clear();
        removed
    }

    fn current_at(&self) -> Instant {
        *self.current_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_current_at(&self, at: Instant) {
        *self.current_at.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the keys. `keeps_missing` is whether keys that are missing for the first time stay valid.
    fn replace_keys(&self, text: &str, keeps_missing: bool) -> Result<KeyChange, String> {
        let mut current = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut keys = KeySet::parse(text, current.as_deref())?;
        let missing = match &*current {
            Some(previous) if keeps_missing => keys.keep_missing(previous),
            _ => 0,
        };
        let keys = Arc::new(keys);
        let old = current.replace(Arc::clone(&keys));
        drop(current);
        let withdrawn = old.as_ref().map_or(0, |old| keys.revoke_others(old));
        let is_changed =
            missing > 0 || withdrawn > 0 || old.is_none_or(|old| old.len() != keys.len());
        if withdrawn > 0 {
            self.cache.clear();
        }
        Ok(KeyChange { keys: keys.len(), ignored: keys.ignored, missing, withdrawn, is_changed })
    }
}

/// The result of loading a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyChange {
    /// Number of usable keys.
    pub(super) keys: usize,
    /// Number of keys of other kinds or sizes, or for other purposes.
    pub(super) ignored: usize,
    /// Number of earlier keys that are missing in this answer of a key server. They stay valid until the next one.
    pub(super) missing: usize,
    /// Number of keys that were withdrawn.
    pub(super) withdrawn: usize,
    /// Whether the usable keys have changed.
    pub(super) is_changed: bool,
}
