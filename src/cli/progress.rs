//! A progress bar on standard error for long inputs. It appears after one second, and only on a terminal.

use std::io::{self, IsTerminal, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The time after which the bar appears.
const DELAY: Duration = Duration::from_secs(1);

/// The number of bytes read, and the total if it is known.
pub(super) struct Progress {
    bar: ProgressBar,
    /// The time at which the bar appears; `None` if standard error is not a terminal.
    appears: Option<Instant>,
    has_appeared: AtomicBool,
}

impl Progress {
    /// Creates the progress of an input of `bytes`.
    pub(super) fn new(bytes: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::hidden());
        let template = match bytes {
            Some(_) => "{bar:40} {decimal_bytes} of {decimal_total_bytes}, {eta} to go",
            None => "{spinner} {decimal_bytes} read, {decimal_bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let appears = io::stderr().is_terminal().then(|| Instant::now() + DELAY);
        Self { bar, appears, has_appeared: AtomicBool::new(false) }
    }

    /// Creates a progress that is never shown.
    #[cfg(test)]
    pub(super) fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), appears: None, has_appeared: AtomicBool::new(false) }
    }

    /// Returns a reader of `input` that counts bytes.
    pub(super) fn count<'a>(&'a self, input: impl Read + 'a) -> impl Read + 'a {
        Counted { input, progress: self }
    }

    /// Hides the bar while `write` writes to the terminal.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    fn add(&self, bytes: u64) {
        // One thread reads while another may write.
        let is_due = |at| !self.has_appeared.load(Ordering::Relaxed) && Instant::now() >= at;
        if self.appears.is_some_and(is_due) {
            self.has_appeared.store(true, Ordering::Relaxed);
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

struct Counted<'a, R> {
    input: R,
    progress: &'a Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        self.progress.add(read as u64);
        Ok(read)
    }
}
