//! The notes about a server that is not available: one when it becomes unavailable or the reason changes, so that a log
//! does not grow with every retry.

use std::time::Duration;

/// An outage in progress.
#[derive(Debug, Default)]
pub(super) struct Outage {
    reason: Option<String>,
}

impl Outage {
    /// Returns the note about a failed try, unless the last note has the same reason.
    pub(super) fn note(&mut self, reason: &str, wait: Duration) -> Option<String> {
        if self.reason.as_deref() == Some(reason) {
            return None;
        }
        self.reason = Some(reason.to_owned());
        Some(retry_text(reason, wait))
    }

    /// Ends the outage. Returns whether there was one.
    pub(super) fn end(&mut self) -> bool {
        self.reason.take().is_some()
    }
}

/// Returns the text about a failed call that is repeated.
pub(super) fn retry_text(reason: &str, wait: Duration) -> String {
    match wait.as_secs_f64() {
        // It would be rounded to 0.
        seconds if seconds < 0.05 => format!("{reason}; retrying now"),
        seconds => format!("{reason}; retrying in {seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_has_one_note_for_each_reason() {
        let mut outage = Outage::default();
        let wait = Duration::from_millis(1250);
        assert!(!outage.end());
        assert_eq!(outage.note("refused", wait).unwrap(), "refused; retrying in 1.2 s");
        assert_eq!(outage.note("refused", wait * 2), None);
        assert_eq!(retry_text("refused", Duration::from_millis(49)), "refused; retrying now");
        assert_eq!(retry_text("refused", Duration::from_millis(50)), "refused; retrying in 0.1 s");
        assert!(outage.note("timed out", wait).is_some());
        assert!(outage.end());
        assert!(!outage.end());
        assert!(outage.note("timed out", wait).is_some());
    }
}
