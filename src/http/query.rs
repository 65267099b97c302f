//! The query string of a request.

use super::error::ApiError;
use crate::ingest;

/// Maximum number of parameters.
const PARAMETERS_MAX: usize = 100;

/// The parameters of a request. Each handler takes those that it knows, and the rest is an error.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string.
    ///
    /// # Errors
    /// If it has an escape that is not valid, text that is not UTF-8, a repeated parameter or too many.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in ingest::pairs(text.unwrap_or_default()) {
            let invalid = || ApiError::invalid("query", "it has an escape that is not valid UTF-8");
            let (name, value) = pair.ok_or_else(invalid)?;
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(ApiError::invalid(&excerpt(&name), "the parameter is repeated"));
            }
            if pairs.len() == PARAMETERS_MAX {
                let message = format!("it has more than {PARAMETERS_MAX} parameters");
                return Err(ApiError::invalid("query", message));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// Removes a parameter.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(index).1)
    }

    /// Removes a parameter that is true or false. Without a value it is true.
    ///
    /// # Errors
    /// If it has another value.
    pub(super) fn take_flag(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(_) => Err(ApiError::invalid(name, "it must be true or false")),
        }
    }

    /// Checks that no parameter is left.
    ///
    /// # Errors
    /// The first parameter that is left.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                Err(ApiError::invalid(&excerpt(name), "this request has no such parameter"))
            }
        }
    }

    /// Returns the parameters that are left.
    pub(super) fn rest(self) -> Vec<(String, String)> {
        self.0
    }
}

/// Returns the beginning of a text of the client.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_wrong_ones_are_errors() {
        let mut query = Query::parse(Some("a=%C3%A4+b%2f&flag&&c==")).unwrap();
        assert_eq!(query.take("a").as_deref(), Some("ä b/"));
        assert_eq!(query.take("c").as_deref(), Some("="));
        assert!(query.take_flag("flag").unwrap() && !query.take_flag("flag").unwrap());
        query.finish().unwrap();
        let many = (0..200).map(|index| format!("p{index}=1&")).collect::<String>();
        for bad in ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%ff", "a=1&a=2", "%61&a", &many] {
            assert!(Query::parse(Some(bad)).is_err(), "{bad}");
        }
        assert!(Query::parse(Some("x=1")).unwrap().finish().is_err());
        assert!(Query::parse(Some("x=1")).unwrap().take_flag("x").is_err());
    }
}
