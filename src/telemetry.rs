//! The log of the program: lines of text or JSON on standard error. The library only emits `tracing`
//! events; a program that embeds it installs its own subscriber.
//!
//! Lines go through a bounded queue to a writer thread. When standard error is full, closed or stalled,
//! lines are lost, but no call waits and nothing panics. The module has its own queue because the guard of
//! `tracing-appender` prints to standard output when its queue is full at the end, and panics if that
//! is closed.

mod filter;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::{EnvFilter, reload};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Aligned text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Maximum number of lines in the queue: about a megabyte.
const LINES_MAX: usize = 4096;
/// Maximum time that the program waits at its end until the queue is written.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// Sends the log to standard error. `filter` has the syntax of `RUST_LOG`: `info`, `waywiser=debug`.
///
/// Dropping the guard waits at most one second until the queued lines are written.
///
/// # Errors
/// If the filter is not valid or the writer thread cannot be started.
pub(crate) fn log_to_stderr(
    format: LogFormat,
    filter: &str,
) -> Result<(LogGuard, LogFilter), String> {
    let filter = filter::parse(filter)?;
    let ansi = io::stderr().is_terminal() && allows_colour();
    let (queue, guard) = start_writer(io::stderr(), LINES_MAX, FLUSH_TIME)
        .map_err(|error| format!("cannot start the log thread: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || QueueWriter(Arc::clone(&queue)))
        .log_internal_errors(false)
        .with_timer(SystemTime)
        .with_target(false)
        .with_ansi(ansi);
    // A subscriber that is already installed stays in use.
    let replace: Replace = match format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            Box::new(move |filter| handle.reload(filter))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            Box::new(move |filter| handle.reload(filter))
        }
    };
    Ok((guard, LogFilter { replace }))
}

/// Checks a filter in the syntax of `RUST_LOG`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_filter(filter: &str) -> Result<(), String> {
    filter::parse(filter).map(drop)
}

type Replace = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// Replaces the filter of the log.
pub(crate) struct LogFilter {
    replace: Replace,
}

impl LogFilter {
    /// Logs by this filter from now on.
    ///
    /// # Errors
    /// If the filter is not valid. The old one stays in use.
    pub(crate) fn set(&self, filter: &str) -> Result<(), String> {
        let filter = filter::parse(filter)?;
        (self.replace)(filter).map_err(|error| error.to_string())
    }
}

/// The queue of lines between the threads that log and the thread that writes.
struct Queue {
    state: Mutex<State>,
    /// Signals each change of `state`.
    changed: Condvar,
    lines_max: usize,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// The guard was dropped: the thread ends when the queue is empty.
    is_closed: bool,
    /// The thread has ended.
    is_ended: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next line. Returns `None` when the queue is closed and empty.
    fn next(&self) -> Option<Vec<u8>> {
        let is_idle = |state: &mut State| state.lines.is_empty() && !state.is_closed;
        let waited = self.changed.wait_while(self.lock(), is_idle);
        waited.unwrap_or_else(PoisonError::into_inner).lines.pop_front()
    }
}

/// Starts the thread that writes queued lines to `out`. The thread ignores write errors.
fn start_writer(
    mut out: impl Write + Send + 'static,
    lines_max: usize,
    flush_time: Duration,
) -> io::Result<(Arc<Queue>, LogGuard)> {
    let (state, changed) = (Mutex::default(), Condvar::new());
    let queue = Arc::new(Queue { state, changed, lines_max });
    let guard = LogGuard(LogQueue { queue: Arc::clone(&queue), flush_time });
    let source = Arc::clone(&queue);
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        while let Some(line) = source.next() {
            let _ = out.write_all(&line);
        }
        let _ = out.flush();
        source.lock().is_ended = true;
        source.changed.notify_all();
    })?;
    Ok((queue, guard))
}

/// Writes the queued lines when it is dropped.
pub(crate) struct LogGuard(LogQueue);

impl LogGuard {
    /// Returns the queue, for code that ends the process before the guard is dropped.
    pub(crate) fn queue(&self) -> LogQueue {
        self.0.clone()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// The queue of lines that wait to be written.
#[derive(Clone)]
pub(crate) struct LogQueue {
    queue: Arc<Queue>,
    flush_time: Duration,
}

impl LogQueue {
    /// Waits at most one second until the queued lines are written. Later lines are lost.
    pub(crate) fn finish(&self) {
        let mut state = self.queue.lock();
        state.is_closed = true;
        self.queue.changed.notify_all();
        let is_busy = |state: &mut State| !state.is_ended;
        let _ = self.queue.changed.wait_timeout_while(state, self.flush_time, is_busy);
    }
}

/// Puts each line of the subscriber into the queue.
struct QueueWriter(Arc<Queue>);

impl Write for QueueWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.lines.len() < self.0.lines_max && !state.is_closed {
            state.lines.push_back(line.to_vec());
            self.0.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns whether the user and the terminal allow colours (<https://no-color.org>).
fn allows_colour() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_color && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Sends each line to the test, after the test has allowed it.
    struct Gate {
        allowed: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.allowed.recv();
            self.written.send(line.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn the_queue_is_bounded_and_is_written_when_the_guard_is_dropped() {
        let (allow, allowed) = mpsc::channel();
        let (sender, written) = mpsc::channel();
        let gate = Gate { allowed, written: sender };
        let (queue, guard) = start_writer(gate, 2, Duration::MAX).unwrap();
        let mut log = QueueWriter(queue);
        log.write_all(b"first").unwrap();
        allow.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), b"first");
        // The thread takes at most one of these out of the queue and waits: at most three are kept.
        for number in 0..6_u8 {
            log.write_all(&[number]).unwrap();
        }
        (0..6).for_each(|_| allow.send(()).unwrap());
        drop(guard);
        let rest: Vec<_> = written.try_iter().collect();
        assert!(matches!(rest.len(), 2 | 3), "{rest:?}");
        assert_eq!(rest[..2], [[0], [1]]);
    }

    #[test]
    fn a_writer_that_stalls_or_fails_does_not_block_the_guard() {
        let (_allow, allowed) = mpsc::channel();
        let (sender, written) = mpsc::channel();
        let gate = Gate { allowed, written: sender };
        let (queue, guard) = start_writer(gate, 2, Duration::from_millis(1)).unwrap();
        let mut log = QueueWriter(queue);
        (0..9_u8).for_each(|number| log.write_all(&[number]).unwrap());
        drop(guard);
        assert_eq!(written.try_iter().count(), 0);

        let (allow, allowed) = mpsc::channel();
        let (sender, written) = mpsc::channel();
        drop((allow, written));
        let gate = Gate { allowed, written: sender };
        let (queue, guard) = start_writer(gate, 2, Duration::MAX).unwrap();
        QueueWriter(queue).write_all(b"lost").unwrap();
        drop(guard);
    }
}
