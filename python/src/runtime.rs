//! The runtime of all recorders of the process.
//!
//! Its threads never call Python, so that they cannot wait for an interpreter that ends.

use std::process;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

const THREADS: usize = 2;

/// Returns the runtime of this process, which is started by the first call. A child process after a fork has none of the
/// threads of its parent, and starts a runtime of its own.
pub(crate) fn runtime(_: Python<'_>) -> PyResult<&'static Runtime> {
    // Locked only while the thread is attached to the interpreter, so that no fork can happen meanwhile.
    static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);
    let mut stored = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((pid, runtime)) = *stored
        && pid == process::id()
    {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("waywiser")
        .enable_all()
        .build()
        .map_err(|error| {
            PyOSError::new_err(format!("the threads of recorders cannot be started: {error}"))
        })?;
    // Never dropped: its threads run until the process ends.
    let runtime = Box::leak(Box::new(runtime));
    *stored = Some((process::id(), runtime));
    Ok(runtime)
}
