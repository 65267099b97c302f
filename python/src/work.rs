//! Long computations: without the global interpreter lock, on several threads, and interrupted by signals.

use std::cell::Cell;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBool;

/// The number of points of one step of a thread: a few milliseconds, after which signals are handled.
pub(crate) const STEP: usize = 1 << 20;
/// Fewer points than this are measured without releasing the lock.
const SHORT: usize = 4096;
/// The time between two checks for signals.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// The number of calls of [`Interrupt::is_set`] of which one reads the clock.
const CALLS_PER_CHECK: u32 = 64;
/// The largest number of threads.
const THREADS_MAX: usize = 256;

/// The argument `threads`.
#[derive(Clone, Copy)]
pub(crate) struct Threads(pub(crate) usize);

impl FromPyObject<'_, '_> for Threads {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let advice =
            || format!("use 1 to {THREADS_MAX}, or None for one thread for each processor");
        let is_whole =
            !value.is_instance_of::<PyBool>() && value.hasattr(intern!(value.py(), "__index__"))?;
        if !is_whole {
            let found = value.get_type().name()?.to_string();
            return Err(PyTypeError::new_err(format!(
                "threads must be a whole number, not {found}; {}",
                advice()
            )));
        }
        match value.extract() {
            Ok(count @ 1..=THREADS_MAX) => Ok(Self(count)),
            Err(error) if !error.is_instance_of::<PyOverflowError>(value.py()) => Err(error),
            _ => Err(PyValueError::new_err(format!("threads is {}; {}", &*value, advice()))),
        }
    }
}

/// Returns the number of threads for an argument: `None` is the number of processors.
pub(crate) fn threads(argument: Option<Threads>) -> usize {
    let processors =
        || thread::available_parallelism().map_or(1, |count| count.get().min(THREADS_MAX));
    argument.map_or_else(processors, |Threads(count)| count)
}

/// Signals that arrive during a computation.
#[derive(Default)]
struct Signals {
    /// Whether a signal handler has raised an exception.
    is_raised: AtomicBool,
    exception: Mutex<Option<PyErr>>,
}

impl Signals {
    /// Runs the signal handlers of Python for the signals that have arrived. Only the main thread runs them.
    fn check(&self) {
        if let Err(exception) = Python::attach(|py| py.check_signals()) {
            self.exception.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(exception);
            self.is_raised.store(true, Ordering::Relaxed);
        }
    }

    /// Returns the exception of a signal handler.
    fn into_result(self) -> PyResult<()> {
        let exception = self.exception.into_inner().unwrap_or_else(PoisonError::into_inner);
        exception.map_or(Ok(()), Err)
    }
}

/// Reports to one thread of a computation whether it must stop.
pub(crate) struct Interrupt<'a> {
    signals: &'a Signals,
    /// The time of the next check for signals, in the thread of the caller.
    next_check: Option<Cell<Instant>>,
    calls: Cell<u32>,
}

impl<'a> Interrupt<'a> {
    fn of_caller(signals: &'a Signals) -> Self {
        let next_check = Some(Cell::new(Instant::now() + CHECK_INTERVAL));
        Self { signals, next_check, calls: Cell::new(0) }
    }

    fn of_worker(signals: &'a Signals) -> Self {
        Self { signals, next_check: None, calls: Cell::new(0) }
    }

    /// Returns whether the computation must stop. Its result is then ignored. For calls after each block of points:
    /// only some of them read the clock.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        let calls = self.calls.get().wrapping_add(1);
        self.calls.set(calls);
        match calls % CALLS_PER_CHECK {
            0 => self.check(),
            _ => self.signals.is_raised.load(Ordering::Relaxed),
        }
    }

    /// Returns whether the computation must stop, as `is_set` does. For calls after milliseconds of work.
    pub(crate) fn check(&self) -> bool {
        if let Some(next_check) = &self.next_check
            && Instant::now() >= next_check.get()
        {
            self.signals.check();
            next_check.set(Instant::now() + CHECK_INTERVAL);
        }
        self.signals.is_raised.load(Ordering::Relaxed)
    }
}

/// Calls `work` for consecutive ranges of `0..count` elements of `points` points on average, on up to `threads` threads
/// at a time, and `add` for the results in order. It handles signals between steps, so that a call can be interrupted.
/// For elements of bounded size.
pub(crate) fn in_steps<T: Send, E: Send>(
    py: Python<'_>,
    count: usize,
    points: usize,
    threads: usize,
    work: impl Fn(Range<usize>) -> Result<T, E> + Sync,
    add: impl FnMut(T) -> Result<(), E>,
    into_exception: impl Fn(E) -> PyErr,
) -> PyResult<()> {
    let work = |range, _: &Interrupt<'_>| work(range);
    in_interruptible_steps(py, count, points, threads, work, add, into_exception)
}

/// Computes like [`in_steps`], for elements of any size. `work` asks the [`Interrupt`] after each block of points whether
/// it must stop, because an element may have all points.
pub(crate) fn in_interruptible_steps<T: Send, E: Send>(
    py: Python<'_>,
    count: usize,
    points: usize,
    threads: usize,
    work: impl Fn(Range<usize>, &Interrupt<'_>) -> Result<T, E> + Sync,
    mut add: impl FnMut(T) -> Result<(), E>,
    into_exception: impl Fn(E) -> PyErr,
) -> PyResult<()> {
    if count.saturating_mul(points) <= SHORT {
        let signals = Signals::default();
        let result = work(0..count, &Interrupt::of_worker(&signals));
        return result.and_then(add).map_err(into_exception);
    }
    let mut done = 0;
    while done < count {
        let step = (STEP / points).max(1).saturating_mul(threads);
        let step_end = count.min(done.saturating_add(step));
        let share = (step_end - done).div_ceil(threads).max(1);
        let ranges = (done..step_end).step_by(share).map(|from| from..step_end.min(from + share));
        let signals = Signals::default();
        let results = py.detach(|| on_threads(ranges.collect(), &work, &signals));
        signals.into_result()?;
        for result in results {
            result.and_then(&mut add).map_err(&into_exception)?;
        }
        done = step_end;
        py.check_signals()?;
    }
    Ok(())
}

/// Returns the results of `work` for ranges. The calling thread takes the last range, and those for which the system
/// starts no thread. It checks for signals during its work, and while it waits for the other threads.
fn on_threads<T: Send>(
    mut ranges: Vec<Range<usize>>,
    work: &(impl Fn(Range<usize>, &Interrupt<'_>) -> T + Sync),
    signals: &Signals,
) -> Vec<T> {
    let caller = Interrupt::of_caller(signals);
    let last = ranges.pop();
    if ranges.is_empty() {
        return last.into_iter().map(|range| work(range, &caller)).collect();
    }
    thread::scope(|scope| {
        // Nothing is sent. The channel is disconnected when the last thread drops its sender.
        let (sender, receiver) = mpsc::channel::<()>();
        let start = |range: Range<usize>| {
            let (sender, own_range) = (sender.clone(), range.clone());
            let task = move || {
                let _sender = sender;
                work(own_range, &Interrupt::of_worker(signals))
            };
            thread::Builder::new().spawn_scoped(scope, task).map_err(|_refused| range)
        };
        let threads: Vec<_> = ranges.into_iter().map(start).collect();
        drop(sender);
        let last = last.map(|range| work(range, &caller));
        let computed: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.map_err(|range| work(range, &caller)))
            .collect();
        while receiver.recv_timeout(CHECK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            signals.check();
        }
        let result = |computed: Result<thread::ScopedJoinHandle<'_, T>, T>| match computed {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(result) => result,
        };
        computed.into_iter().map(result).chain(last).collect()
    })
}

/// The reason why work has stopped.
pub(crate) enum Stopped<E> {
    /// The work has failed.
    Error(E),
    /// A signal handler has raised an exception.
    Exception(PyErr),
}

/// Calls `work` for consecutive ranges of `0..count` points, one after another. Between them it handles signals, so that a
/// call can be interrupted.
pub(crate) fn in_order<E: Send>(
    py: Python<'_>,
    count: usize,
    mut work: impl FnMut(Range<usize>) -> Result<(), E> + Send,
) -> Result<(), Stopped<E>> {
    if count <= SHORT {
        return work(0..count).map_err(Stopped::Error);
    }
    for from in (0..count).step_by(STEP) {
        let range = from..count.min(from.saturating_add(STEP));
        py.detach(|| work(range)).map_err(Stopped::Error)?;
        py.check_signals().map_err(Stopped::Exception)?;
    }
    Ok(())
}

/// Calls `work`, which cannot fail, like [`in_order`]. Returns the exceptions of signal handlers.
pub(crate) fn in_order_infallible(
    py: Python<'_>,
    count: usize,
    mut work: impl FnMut(Range<usize>) + Send,
) -> PyResult<()> {
    let work = |range| {
        work(range);
        Ok::<_, Infallible>(())
    };
    match in_order(py, count, work) {
        Ok(()) => Ok(()),
        Err(Stopped::Exception(exception)) => Err(exception),
        Err(Stopped::Error(never)) => match never {},
    }
}
