//! What SIGHUP reloads, and the metric of the results.

use crate::metrics::{Samples, Source};

/// Reads something again. An error is the reason why the old state stays in use.
type Action = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The parts of the server that are read again on SIGHUP, each under a name for the log.
#[derive(Default)]
pub(super) struct Reloads {
    actions: Vec<(&'static str, Action)>,
}

impl Reloads {
    /// Adds a part.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        action: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.actions.push((name, Box::new(action)));
    }

    /// Returns the names of the parts. If there are none, SIGHUP starts a drain.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.actions.iter().map(|(name, _)| *name).collect()
    }

    /// Reads all parts again, and logs the result of each. Blocks while it reads files.
    pub(super) fn run(&self) {
        for (name, action) in &self.actions {
            match action() {
                Ok(()) => tracing::info!(part = name, "reloaded"),
                Err(error) => {
                    tracing::error!(part = name, %error, "cannot reload; the old state stays in use");
                }
            }
        }
    }
}

/// Returns whether the last reload of a part was successful.
type Status = Box<dyn Fn() -> bool + Send + Sync>;

/// The parts whose last reload the metrics report, also those that are read again without a signal.
#[derive(Default)]
pub(super) struct ReloadStatus(Vec<(&'static str, Status)>);

impl ReloadStatus {
    /// Adds a part.
    pub(super) fn add(
        &mut self,
        part: &'static str,
        is_successful: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        self.0.push((part, Box::new(is_successful)));
    }
}

impl Source for ReloadStatus {
    fn collect(&self, samples: &mut Samples<'_>) {
        let help = "0 as long as a part cannot be loaded, so that its earlier content stays in use, otherwise 1";
        samples.gauge("waywiser_config_last_reload_successful", help, |family| {
            for (part, is_successful) in &self.0 {
                family.add(&[("part", part)], is_successful());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[test]
    fn a_part_that_fails_does_not_prevent_the_next_one() {
        let runs = Arc::new(AtomicUsize::new(0));
        let mut reloads = Reloads::default();
        assert!(reloads.names().is_empty());
        reloads.add("tokens", || Err("half of a file".to_owned()));
        let counted = Arc::clone(&runs);
        reloads.add("settings", move || {
            counted.fetch_add(1, Relaxed);
            Ok(())
        });
        reloads.run();
        reloads.run();
        assert_eq!((reloads.names(), runs.load(Relaxed)), (vec!["tokens", "settings"], 2));
    }
}
