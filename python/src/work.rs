//! Long computations: without the global interpreter lock, on several threads, and interrupted by signals.

use std::ops::Range;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The number of points of one step of a thread: a few milliseconds, after which signals are handled.
const STEP: usize = 1 << 20;
/// Fewer points than this are measured without releasing the lock.
const SHORT: usize = 4096;
/// The largest number of threads.
const THREADS_MAX: usize = 256;

/// Returns the number of threads for an argument: `None` is the number of processors.
pub(crate) fn threads(argument: Option<usize>) -> PyResult<usize> {
    match argument {
        Some(count @ 1..=THREADS_MAX) => Ok(count),
        Some(count) => Err(PyValueError::new_err(format!(
            "threads is {count}; use 1 to {THREADS_MAX}, or None for one thread for each processor"
        ))),
        None => {
            Ok(std::thread::available_parallelism().map_or(1, |count| count.get().min(THREADS_MAX)))
        }
    }
}

/// Calls `work` for consecutive ranges of `0..count` elements of `points` points on average, on up to `threads` threads at a time, and `add` for the results in
/// order. Between steps it handles signals, so that a call can be interrupted.
pub(crate) fn in_steps<T: Send, E: Send>(
    py: Python<'_>,
    count: usize,
    points: usize,
    threads: usize,
    work: impl Fn(Range<usize>) -> Result<T, E> + Sync,
    mut add: impl FnMut(T) -> Result<(), E>,
    into_exception: impl Fn(E) -> PyErr,
) -> PyResult<()> {
    if count.saturating_mul(points) <= SHORT {
        return work(0..count).and_then(add).map_err(into_exception);
    }
    let mut done = 0;
    while done < count {
        let step = (STEP / points).max(1).saturating_mul(threads);
        let step_end = count.min(done.saturating_add(step));
        let share = (step_end - done).div_ceil(threads);
        let ranges =
            (done..step_end).step_by(share.max(1)).map(|from| from..step_end.min(from + share));
        let results: Vec<_> = py.detach(|| match threads {
            1 => ranges.map(&work).collect(),
            _ => std::thread::scope(|scope| {
                let running: Vec<_> = ranges.map(|range| scope.spawn(|| work(range))).collect();
                running
                    .into_iter()
                    .map(|thread| {
                        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    })
                    .collect()
            }),
        });
        for result in results {
            result.and_then(&mut add).map_err(&into_exception)?;
        }
        done = step_end;
        py.check_signals()?;
    }
    Ok(())
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
