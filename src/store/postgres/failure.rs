//! The failure of a request to the database, and what follows for the caller.
//!
//! The severity decides, and not the code alone. A full disk is an `ERROR` that changes nothing, or a `PANIC` during a
//! commit. Both have the same code.
//!
//! | failure | write | read |
//! |---|---|---|
//! | an `ERROR` of the server | nothing was changed | unavailable, or damaged |
//! | `FATAL`, `PANIC`, a lost connection, no answer in time, a `WARNING` | unknown | unavailable |
//! | the connection was lost before the request was sent | nothing was changed | unavailable |

use std::error::Error as _;
use std::fmt;

use tokio_postgres::error::Severity;

use crate::recording::{StoreError, StoreErrorCause};

/// The failure of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server has rolled it back.
    Refused(Refusal),
    /// The server may have carried it out.
    Unknown(String),
    /// It was not sent.
    NotSent(String),
}

/// An error with which the server has rolled a transaction back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The SQLSTATE.
    pub(super) code: String,
    pub(super) message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the database reports: {} (SQLSTATE {})", self.message, self.code)
    }
}

impl Refusal {
    /// Returns whether stored bytes are damaged: a checksum of a page, an index, or a value that cannot be read.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self.code.as_str(), "XX001" | "XX002")
    }

    /// Returns whether a row, or a page of the table or of an index, can be the reason, so that requests about other rows
    /// succeed: damage, an error of the disk, a missing file, or an internal error, which damage can cause, too.
    pub(super) fn is_of_rows(&self) -> bool {
        self.is_damage() || matches!(self.code.as_str(), "XX000" | "58030" | "58P01")
    }

    /// Returns whether the content of one request can be the reason, so that the others succeed without it.
    pub(super) fn is_of_one_request(&self) -> bool {
        let class = self.code.get(..2).unwrap_or_default();
        // Cardinality, data, integrity, program limits, and the protocol.
        matches!(class, "21" | "22" | "23" | "54") || self.code == "08P01" || self.is_of_rows()
    }

    /// Returns whether the same transaction can succeed at once: it waited for a lock, or was the victim of a deadlock.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self.code.as_str(), "55P03" | "40P01" | "40001")
    }

    /// Returns whether another connection may succeed where this one does not: the server does not accept writes any
    /// more, or has changed the schema.
    pub(super) fn needs_new_connection(&self) -> bool {
        matches!(
            self.code.as_str(),
            "25006" | "42P01" | "42703" | "42883" | "42501" | "0A000" | "26000"
        )
    }

    /// Returns the error of a request that changed nothing.
    fn store_error(&self) -> StoreError {
        let advice = match self.code.as_str() {
            "42P01" | "42703" | "42883" => "; run `waywiser store migrate`",
            "42501" => "; grant the privileges to the user of the database",
            "53100" => "; free space on the disk of the database",
            "58030" | "58P01" => "; check the disk of the database",
            _ => "",
        };
        let cause = StoreErrorCause::from(format!("{self}{advice}"));
        match self.is_damage() {
            true => StoreError::Damaged(cause),
            false => StoreError::Unavailable(cause),
        }
    }
}

impl Failure {
    /// Classifies an error of the client.
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else { return Self::Unknown(text(error)) };
        let is_error = match db.parsed_severity() {
            Some(severity) => severity == Severity::Error,
            None => db.severity() == "ERROR",
        };
        let refusal =
            Refusal { code: db.code().code().to_owned(), message: db.message().to_owned() };
        match is_error {
            true => Self::Refused(refusal),
            false => Self::Unknown(refusal.to_string()),
        }
    }

    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Returns the error of a request that changes something.
    pub(super) fn of_write(&self) -> StoreError {
        match self {
            Self::Refused(refusal) => refusal.store_error(),
            Self::Unknown(text) => StoreError::Unknown(text.as_str().into()),
            Self::NotSent(text) => StoreError::Unavailable(text.as_str().into()),
        }
    }

    /// Returns the error of one of many requests with this failure. It is not known which of them is the reason.
    pub(super) fn of_group(&self) -> StoreError {
        match self.of_write() {
            StoreError::Damaged(cause) => StoreError::Unavailable(cause),
            error => error,
        }
    }

    /// Returns the error of a request that changes nothing.
    pub(super) fn of_read(&self) -> StoreError {
        match self {
            Self::Refused(refusal) => refusal.store_error(),
            Self::Unknown(text) | Self::NotSent(text) => {
                StoreError::Unavailable(text.as_str().into())
            }
        }
    }
}

/// Returns the message of an error with those of its causes.
pub(super) fn text(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("the database reports: {} (SQLSTATE {})", db.message(), db.code().code());
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> Failure {
        Failure::Refused(Refusal { code: code.to_owned(), message: "m".to_owned() })
    }

    #[test]
    fn an_error_of_the_server_changes_nothing() {
        for code in
            ["57014", "55P03", "40P01", "25006", "53100", "42P01", "42501", "58030", "XX000"]
        {
            assert!(matches!(refused(code).of_write(), StoreError::Unavailable(_)), "{code}");
            assert!(matches!(refused(code).of_read(), StoreError::Unavailable(_)), "{code}");
        }
        for code in ["XX001", "XX002"] {
            assert!(matches!(refused(code).of_read(), StoreError::Damaged(_)), "{code}");
            assert!(matches!(refused(code).of_write(), StoreError::Damaged(_)), "{code}");
        }
    }

    #[test]
    fn without_an_answer_a_write_is_unknown_and_a_read_is_not() {
        let lost = Failure::Unknown("connection closed".into());
        assert_eq!(lost.of_write(), StoreError::Unknown("connection closed".into()));
        assert_eq!(lost.of_read(), StoreError::Unavailable("connection closed".into()));
        let not_sent = Failure::NotSent("connection closed".into());
        assert_eq!(not_sent.of_write(), StoreError::Unavailable("connection closed".into()));
    }

    #[test]
    fn codes_have_the_class_of_their_cause() {
        let is = |code: &str, of: fn(&Refusal) -> bool| of(refused(code).refusal().unwrap());
        for code in ["21000", "22P02", "22021", "23505", "54000", "08P01"] {
            assert!(is(code, Refusal::is_of_one_request) && !is(code, Refusal::is_of_rows));
        }
        for code in ["XX000", "XX001", "XX002", "58030", "58P01"] {
            assert!(is(code, Refusal::is_of_one_request) && is(code, Refusal::is_of_rows));
        }
        for code in ["58000", "53100", "57014"] {
            assert!(!is(code, Refusal::is_of_one_request) && !is(code, Refusal::is_of_rows));
        }
        for code in ["55P03", "40P01", "40001"] {
            assert!(is(code, Refusal::is_conflict) && !is(code, Refusal::is_of_one_request));
        }
        for code in ["25006", "0A000", "26000", "42P01"] {
            assert!(is(code, Refusal::needs_new_connection), "{code}");
        }
        assert!(!is("", Refusal::is_of_one_request));
    }
}
