//! Setting up the log of the program: lines of text or JSON on standard error. The library only
//! emits `tracing` events; whoever embeds it brings a subscriber of their own.
//!
//! A log must not take down what it reports on. Lines go through a bounded queue to a thread of
//! their own; when standard error is full, closed or stalled, lines are lost and calls are not.

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// Lines that may wait to be written: about a megabyte.
const LINES_MAX: usize = 4096;

/// Sends the log to standard error. `filter` is what `RUST_LOG` has: `info`, `waywiser=debug`.
///
/// The lines that wait are written when the guard is dropped, which takes a second at the most.
///
/// # Errors
/// When the filter cannot be read; the message says where it goes wrong.
pub(crate) fn log_to_stderr(format: LogFormat, filter: &str) -> Result<WorkerGuard, String> {
    let filter = EnvFilter::builder().parse(filter).map_err(|error| error.to_string())?;
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_MAX)
        .finish(std::io::stderr());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .log_internal_errors(false)
        .with_timer(SystemTime)
        .with_target(false)
        .with_ansi(ansi);
    // A second call finds the log set up already, which is as good.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(guard)
}
