//! A progress bar for inputs that take a while, on a terminal only. Nothing is drawn during the
//! first second, so that short runs stay quiet, and nothing ever when standard error is no terminal.

use std::io::{self, IsTerminal, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a run must take to be worth a bar.
const QUIET: Duration = Duration::from_secs(1);

/// How many bytes were read, and of how many if that is known.
pub(super) struct Progress {
    bar: ProgressBar,
    /// When the bar is to appear; `None` if it never will.
    appears: Option<Instant>,
    has_appeared: AtomicBool,
}

impl Progress {
    /// Progress through `bytes` of input, drawn on standard error if that is a terminal.
    pub(super) fn new(bytes: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::hidden());
        let template = match bytes {
            Some(_) => "{bar:40} {decimal_bytes} of {decimal_total_bytes}, {eta} to go",
            None => "{spinner} {decimal_bytes} read, {decimal_bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let appears = io::stderr().is_terminal().then(|| Instant::now() + QUIET);
        Self { bar, appears, has_appeared: AtomicBool::new(false) }
    }

    /// Progress that is never shown.
    #[cfg(test)]
    pub(super) fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), appears: None, has_appeared: AtomicBool::new(false) }
    }

    /// `input`, counted while it is read.
    pub(super) fn count<'a>(&'a self, input: impl Read + 'a) -> impl Read + 'a {
        Counted { input, progress: self }
    }

    /// Runs something that writes to the terminal without the bar in its way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    fn add(&self, bytes: u64) {
        // One thread reads, another may write.
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
