//! The public keys of an issuer, from a JSON Web Key Set.

use std::sync::Arc;

use serde::Deserialize;

use super::algorithm::Algorithm;
use super::json::Object;
use super::key::{Key, Unusable};

/// Maximum size of a set.
pub(super) const KEY_SET_BYTES_MAX: u64 = 256 << 10;
/// Maximum number of keys in a set.
const KEYS_MAX: usize = 100;
/// Maximum number of keys that are tried for one token, and of missing keys in addition.
const TRIES_MAX: usize = 4;

/// A set of public keys.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
    /// Keys that the set had before. They are valid until the next set lacks them, too, or the whole set is too old.
    missing: Vec<Arc<Key>>,
    /// Number of keys of other kinds or sizes, or for other purposes.
    pub(super) ignored: usize,
}

/// The keys for a token.
pub(super) enum Candidates<'a> {
    /// The keys to try.
    Keys(Vec<&'a Arc<Key>>),
    /// No key has the id of the token.
    UnknownId,
    /// The token has no key id, and too many keys fit its algorithm.
    Ambiguous,
    /// No key fits the algorithm of the token.
    OtherAlgorithm,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Object>,
}

impl KeySet {
    /// Reads a set. Keys that `previous` has too are the same afterwards, so that their sessions continue.
    ///
    /// # Errors
    /// The reason why the text is not a set with a usable key.
    pub(super) fn parse(text: &str, previous: Option<&Self>) -> Result<Self, String> {
        let document: Document = serde_json::from_str(text).map_err(|error| {
            // The message of serde_json may contain values.
            let (line, column) = (error.line(), error.column());
            format!("is not a JSON Web Key Set (line {line}, column {column}): an object with a list \"keys\" is expected")
        })?;
        if document.keys.len() > KEYS_MAX {
            return Err(format!("has more keys than the limit of {KEYS_MAX}"));
        }
        let mut set = Self::default();
        for (index, jwk) in document.keys.iter().enumerate() {
            let number = index + 1;
            match Key::from_jwk(jwk) {
                Ok(key) => {
                    let known = previous.and_then(|previous| previous.find(&key));
                    set.keys.push(known.map_or_else(|| Arc::new(key), Arc::clone));
                }
                Err(Unusable::OtherKind) => set.ignored += 1,
                Err(Unusable::Invalid(reason)) => {
                    return Err(format!("key {number} is not valid: {reason}"));
                }
                Err(Unusable::Private) => {
                    return Err(format!(
                        "key {number} contains a private or secret key; publish the public part only, and replace the key"
                    ));
                }
            }
        }
        if set.keys.is_empty() {
            let algorithms = Algorithm::ALL.map(Algorithm::as_str).join(", ");
            return Err(format!(
                "has no key that can verify tokens ({algorithms}; RSA keys have 2048 to 4096 bits)"
            ));
        }
        Ok(set)
    }

    /// Keeps the keys that only `previous` has valid, unless they were missing there already: one wrong answer of a key
    /// server ends no session. Returns their number.
    pub(super) fn keep_missing(&mut self, previous: &Self) -> usize {
        let is_missing = |key: &&Arc<Key>| !self.keys.iter().any(|own| Arc::ptr_eq(own, key));
        self.missing = previous.keys.iter().filter(is_missing).map(Arc::clone).collect();
        self.missing.len()
    }

    /// Returns the number of keys, without those that are missing.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the number of keys that are valid although the last set lacks them.
    pub(super) fn missing_len(&self) -> usize {
        self.missing.len()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.iter().chain(&self.missing)
    }

    /// Returns the keys that may have signed a token with this algorithm and key id.
    pub(super) fn candidates(&self, algorithm: Algorithm, id: Option<&str>) -> Candidates<'_> {
        let with_id = |key: &&Arc<Key>| id.is_none() || key.id() == id;
        if !self.all().any(|key| with_id(&key)) {
            return Candidates::UnknownId;
        }
        let fits = |key: &&Arc<Key>| with_id(key) && key.fits(algorithm);
        let mut keys: Vec<_> = self.keys.iter().filter(fits).take(TRIES_MAX + 1).collect();
        if keys.len() > TRIES_MAX {
            return Candidates::Ambiguous;
        }
        keys.extend(self.missing.iter().filter(fits).take(TRIES_MAX));
        match keys.is_empty() {
            true => Candidates::OtherAlgorithm,
            false => Candidates::Keys(keys),
        }
    }

    /// Revokes the sessions of the keys that only `old` has. Returns the number of these keys.
    pub(super) fn revoke_others(&self, old: &Self) -> usize {
        let withdrawn = old.all().filter(|key| !self.all().any(|own| Arc::ptr_eq(own, key)));
        withdrawn.inspect(|key| key.revoked.change()).count()
    }

    fn find(&self, key: &Key) -> Option<&Arc<Key>> {
        self.all().find(|own| own.is_same(key))
    }
}
