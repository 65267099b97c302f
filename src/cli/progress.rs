//! A progress bar on standard error for long inputs. It appears after one second, and only on a terminal.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal;

/// The time after which the bar appears.
const DELAY: Duration = Duration::from_secs(1);

/// The number of files and bytes read, and the totals if they are known.
pub(super) struct Progress {
    bar: ProgressBar,
    file_total: u64,
    file_count: AtomicU64,
    /// The time at which the bar appears; `None` if standard error is not a terminal
    /// that can update a line.
    appears: Option<Instant>,
    has_appeared: AtomicBool,
}

impl Progress {
    /// Creates the progress of `files` with `bytes` in total.
    pub(super) fn new(files: usize, bytes: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::hidden());
        let template = match bytes {
            Some(_) => {
                "{wide_bar} {msg}{decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left"
            }
            None => "{spinner} {msg}{decimal_bytes} read, {decimal_bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let appears = terminal::can_update(&io::stderr()).then(|| Instant::now() + DELAY);
        let progress = Self::with(bar, files as u64, appears);
        progress.show_files(0);
        progress
    }

    /// Creates a progress that is never shown.
    pub(super) fn hidden() -> Self {
        Self::with(ProgressBar::hidden(), 0, None)
    }

    fn with(bar: ProgressBar, file_total: u64, appears: Option<Instant>) -> Self {
        let (file_count, has_appeared) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { bar, file_total, file_count, appears, has_appeared }
    }

    /// Hides the bar while `write` writes to the terminal.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Removes the bar from the terminal. It does not appear again.
    pub(super) fn finish(&self) {
        self.has_appeared.store(true, Ordering::Relaxed);
        self.bar.finish_and_clear();
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Counts a file that was read.
    pub(super) fn file_done(&self) {
        let file_count = self.file_count.fetch_add(1, Ordering::Relaxed) + 1;
        self.show_files(file_count);
    }

    fn show_files(&self, file_count: u64) {
        if self.file_total > 1 && self.appears.is_some() {
            self.bar.set_message(format!("{file_count} of {} files, ", self.file_total));
        }
    }

    /// Counts bytes that were read.
    pub(super) fn add(&self, bytes: u64) {
        // Several threads may read.
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
        self.finish();
    }
}
