//! Decides whether a call whose token was refused is repeated: once its source has another token.

use http::HeaderValue;
use tonic::Code;

use super::ClientError;
use super::token::{TokenError, TokenSource};

/// The tokens of repeated calls.
#[derive(Debug)]
pub(crate) struct Reauthentication {
    source: Option<TokenSource>,
    /// The token of the current call.
    current: Option<HeaderValue>,
    /// The token that the server no longer accepts.
    rejected: Option<HeaderValue>,
    /// The server has accepted a call, so that a later refusal means that the token has expired.
    was_accepted: bool,
}

impl Reauthentication {
    pub(crate) fn new(source: Option<TokenSource>) -> Self {
        Self { source, current: None, rejected: None, was_accepted: false }
    }

    /// Remembers the token of the next call.
    ///
    /// # Errors
    /// The source has no token, or only the one that the server no longer accepts.
    pub(crate) fn begin(&mut self) -> Result<(), ClientError> {
        let Some(source) = &self.source else { return Ok(()) };
        let token = source.header()?;
        if self.rejected.as_ref() == Some(&token) {
            return Err(TokenError::not_renewed().into());
        }
        self.current = Some(token);
        Ok(())
    }

    /// Reports that the server has accepted the call.
    pub(crate) fn accepted(&mut self) {
        self.was_accepted = true;
    }

    /// Returns whether another token may help: the token was accepted before, or its source already has another one.
    pub(crate) fn is_expired(&mut self, error: &ClientError) -> bool {
        let Some(source) = self.source.as_ref().filter(|source| source.may_change()) else {
            return false;
        };
        match error {
            // The file may be missing while it is replaced.
            ClientError::Token(_) => self.was_accepted,
            ClientError::Status(status) if status.code() == Code::Unauthenticated => {
                let has_other = source.header().is_ok_and(|token| Some(token) != self.current);
                if self.was_accepted || has_other {
                    self.rejected = self.current.take();
                    return true;
                }
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tonic::Status;

    use super::*;

    fn refused() -> ClientError {
        ClientError::from(Box::new(Status::unauthenticated("expired")))
    }

    #[test]
    fn wrong_credentials_fail_and_expired_ones_wait_for_another_token() {
        let token = Arc::new(Mutex::new("a".to_owned()));
        let source = Arc::clone(&token);
        let source = TokenSource::callback(move || Ok(source.lock().unwrap().clone()));
        let mut state = Reauthentication::new(Some(source.clone()));
        state.begin().unwrap();
        assert!(!state.is_expired(&refused()));

        state.accepted();
        assert!(state.is_expired(&refused()));
        // The same token is not sent again.
        let error = state.begin().unwrap_err();
        assert!(state.is_expired(&error), "{error}");
        *token.lock().unwrap() = "b".to_owned();
        state.begin().unwrap();

        // The token changes between the start of a call and its refusal.
        let mut state = Reauthentication::new(Some(source));
        state.begin().unwrap();
        *token.lock().unwrap() = "c".to_owned();
        assert!(state.is_expired(&refused()));
        state.begin().unwrap();
    }

    #[test]
    fn a_token_that_never_changes_is_refused_at_once() {
        for source in [None, Some(TokenSource::value("a"))] {
            let mut state = Reauthentication::new(source);
            state.begin().unwrap();
            state.accepted();
            assert!(!state.is_expired(&refused()));
        }
    }
}
