//! Recordings on a server, which survive lost connections. The Python classes wait for changes and convert arguments.

use std::ops::Range;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::task::JoinHandle;
use waywiser::client::{RecordEvent, RetryPolicy};
use waywiser::measure::{EstimateOptions, FixError, WindowOptions};
use waywiser::recording::RecordingName;
use waywiser::{
    Fix, InvalidPoints, Options, OptionsError, PathAccumulator, Point, PointError, Space,
};

use crate::column::{BLOCK, Block, Column, Columns};
use crate::connection::Connection;
use crate::fixes::{self, Arguments, Fixes};
use crate::point_queue::{Flushes, PointQueue, Points, PushError, TaskEnd};
use crate::runtime::runtime;
use crate::{messages, options, summary};

create_exception!(
    waywiser,
    RecordingError,
    PyException,
    "A recording failed. The durable points stay on the server; a new recorder that sends the same points resumes it."
);

/// The maximum number of points that are added without the handling of signals.
const PUSH_POINTS_MAX: usize = 1 << 18;
/// The longest time without progress, a century.
const BUDGET_MAX_S: f64 = 100.0 * 365.0 * 86_400.0;
/// A time that is missing: the value of NaT.
const NO_TIME: i64 = i64::MIN;

/// The task of a recording, and the queue of its points.
#[pyclass(frozen, module = "waywiser._waywiser")]
pub(crate) struct RecorderCore {
    /// `None` after the drop of a copy in a child process.
    parts: Option<Parts>,
    /// The process that has the task.
    pid: u32,
    /// The file descriptor that becomes readable after a change. It belongs to the caller.
    wakeup_fd: Option<i32>,
    options: Options,
}

/// The kind of an event, the durable points, the wait in seconds, and the reason.
type RawEvent = (&'static str, Option<u64>, Option<f64>, Option<String>);

struct Parts {
    queue: Arc<PointQueue>,
    task: JoinHandle<()>,
}

fn push_error(error: PushError) -> PyErr {
    match error {
        PushError::Failed(message) => RecordingError::new_err(message),
        PushError::Finishing => {
            PyValueError::new_err("the recorder is finishing; it takes no more points")
        }
        PushError::Finished => {
            PyValueError::new_err("the recorder is finished; it takes no more points")
        }
    }
}

fn value_error(error: &dyn std::error::Error) -> PyErr {
    PyValueError::new_err(messages::with_python_names(&error.to_string()))
}

/// Returns the options with the limits that servers have for the lists of a recording.
fn with_short_lists(options: Options) -> Result<Options, OptionsError> {
    let estimate = options.estimate().map(|estimate| EstimateOptions {
        max_trips: estimate.max_trips.min(EstimateOptions::RECORDING_TRIPS_MAX),
        ..estimate
    });
    let windows = options.windows().map(|windows| match windows.max_windows {
        WindowOptions::WINDOWS_MAX => {
            WindowOptions { max_windows: WindowOptions::RECORDING_WINDOWS_MAX, ..windows }
        }
        // The caller has chosen the number, and the server refuses it if it is too large.
        _ => windows,
    });
    options.to_builder().estimate(estimate).windows(windows).build()
}

#[pymethods]
impl RecorderCore {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "the Python classes call it with positions")]
    fn new(
        py: Python<'_>,
        url: &str,
        name: &str,
        connection: Connection,
        retry_for: f64,
        buffer_points: usize,
        has_wakeup_fd: bool,
        metric: &str,
        on_invalid: &str,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let options = options::options("Recorder", metric, on_invalid, Some(options))?;
        let options = with_short_lists(options).map_err(|error| value_error(&error))?;
        let name = match name.contains('/') {
            true => name.parse(),
            false => RecordingName::from_id(name),
        };
        let name = name.map_err(|error| value_error(&error))?;
        if !(0.0..=BUDGET_MAX_S).contains(&retry_for) {
            return Err(PyValueError::new_err(format!(
                "retry_for is {retry_for} s; use 0 to {BUDGET_MAX_S} s"
            )));
        }
        if buffer_points == 0 {
            return Err(PyValueError::new_err("buffer_points is 0; use at least 1"));
        }
        let runtime = runtime(py)?;
        let _context = runtime.enter();
        let client =
            connection.client(py, url)?.connect_lazy().map_err(|error| value_error(&error))?;
        let (queue, wakeup_fd) = PointQueue::new(buffer_points, has_wakeup_fd)?;
        let (events, points) = (Arc::clone(&queue), Points::of(Arc::clone(&queue)));
        let (flushes, end) = (Flushes::of(Arc::clone(&queue)), TaskEnd(Arc::clone(&queue)));
        let budget = Duration::from_secs_f64(retry_for);
        let recorder = client
            .recorder(name, options)
            // The queue limits the points. The task has space for one more, so that it reads the end of a full queue.
            .window_points(buffer_points.saturating_add(1))
            .retry_policy(RetryPolicy { budget, ..RetryPolicy::default() })
            .flush_requests(flushes)
            .on_event(move |event| events.add_event(event));
        let task = runtime.spawn(async move {
            let outcome = recorder.record(points).await;
            end.finish(outcome);
        });
        Ok(Self { parts: Some(Parts { queue, task }), pid: process::id(), wakeup_fd, options })
    }

    /// The file descriptor that becomes readable after a change. The caller closes it.
    #[getter]
    fn wakeup_fd(&self) -> Option<i32> {
        self.wakeup_fd
    }

    /// The version, which each change increases.
    #[getter]
    fn version(&self) -> PyResult<u64> {
        Ok(self.queue()?.version())
    }

    /// The number of points that were accepted.
    #[getter]
    fn sent_points(&self) -> PyResult<u64> {
        Ok(self.queue()?.counts().0)
    }

    /// The number of durable points.
    #[getter]
    fn committed_points(&self) -> PyResult<u64> {
        Ok(self.queue()?.counts().1)
    }

    /// Returns whether the first points are durable, and were compared with those that the server had.
    fn is_durable(&self, points: u64) -> PyResult<bool> {
        Ok(self.queue()?.is_durable(points))
    }

    /// Adds one point. Returns whether there was space.
    fn push_one(
        &self,
        lon: f64,
        lat: f64,
        time: i64,
        elevation: f64,
        accuracy: f64,
    ) -> PyResult<bool> {
        let point = Point::new(self.options.metric().space(), lon, lat);
        let fix = self.fix(point, time, elevation, accuracy).map_err(PyValueError::new_err)?;
        self.queue()?.push_one(fix).map_err(push_error)
    }

    /// Starts an array: the recorder takes no other points until `end_array` is called.
    fn start_array(&self) -> PyResult<()> {
        self.queue()?.set_in_array(true);
        Ok(())
    }

    /// Ends an array.
    fn end_array(&self) -> PyResult<()> {
        self.queue()?.set_in_array(false);
        Ok(())
    }

    /// Checks columns of points, as `measure` does.
    fn check(
        &self,
        py: Python<'_>,
        lon: &Bound<'_, PyAny>,
        lat: &Bound<'_, PyAny>,
        time: Option<&Bound<'_, PyAny>>,
        elevation: Option<&Bound<'_, PyAny>>,
        accuracy: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let given = Arguments { lon, lat, time, elevation, accuracy };
        let options = Options::builder(self.options.metric());
        let options = options.invalid_points(self.options.invalid_points()).build();
        let options = options.map_err(|error| value_error(&error))?;
        Fixes::get(py, &given, &options)?.add_to(py, &mut PathAccumulator::new(options))
    }

    /// Adds the points of columns from an index on while there is space, up to a limit. Returns the index of the first
    /// point that was not added, and whether the caller must wait for space. The columns are arrays that were checked.
    fn push(
        &self,
        lon: &Bound<'_, PyAny>,
        lat: &Bound<'_, PyAny>,
        time: Option<&Bound<'_, PyAny>>,
        elevation: Option<&Bound<'_, PyAny>>,
        accuracy: Option<&Bound<'_, PyAny>>,
        from: usize,
    ) -> PyResult<(usize, bool)> {
        let positions = Columns::get(lon, lat, self.options.metric())?;
        let len = positions.len();
        let times = time.map(|array| Column::<i64>::of_len(array, "time", len)).transpose()?;
        let number = |array: Option<&Bound<'_, PyAny>>, name| {
            array.map(|array| Column::<f64>::of_len(array, name, len)).transpose()
        };
        let (elevations, accuracies) =
            (number(elevation, "elevation")?, number(accuracy, "accuracy")?);
        let end = len.min(from.saturating_add(PUSH_POINTS_MAX));
        let (mut at, mut fixes) = (from, Vec::with_capacity(BLOCK));
        while at < end {
            let range = at..end.min(at + BLOCK);
            let points = self.points(&positions, range.clone());
            let mut blocks = (Block::new(), Block::new(), Block::new());
            let times = times.as_ref().map(|times| times.read(range.clone(), &mut blocks.0));
            let elevations = elevations.as_ref().map(|z| z.read(range.clone(), &mut blocks.1));
            let accuracies = accuracies.as_ref().map(|radius| radius.read(range, &mut blocks.2));
            fixes.clear();
            for (index, point) in points.into_iter().enumerate() {
                let fix = self.fix(
                    point,
                    times.map_or(NO_TIME, |times| times[index]),
                    elevations.map_or(f64::NAN, |elevations| elevations[index]),
                    accuracies.map_or(f64::NAN, |accuracies| accuracies[index]),
                );
                let place =
                    |message| PyValueError::new_err(format!("index {}: {message}", at + index));
                fixes.push(fix.map_err(place)?);
            }
            let count = self.queue()?.push(&fixes).map_err(push_error)?;
            at += count;
            if count < fixes.len() {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    /// Requests that the first `points` points become durable at once.
    fn flush(&self, points: u64) -> PyResult<()> {
        self.queue()?.flush(points);
        Ok(())
    }

    /// Declares that no more points follow.
    fn end(&self) -> PyResult<()> {
        self.queue()?.end();
        Ok(())
    }

    /// Whether `end` was called.
    #[getter]
    fn is_ended(&self) -> PyResult<bool> {
        Ok(self.queue()?.is_ended())
    }

    /// Whether the task has not ended. False in a child process.
    #[getter]
    fn is_running(&self) -> bool {
        self.queue().is_ok_and(|queue| queue.outcome().is_none())
    }

    /// Returns whether the recording is finished. Raises the error of a recording that has failed.
    fn is_finished(&self) -> PyResult<bool> {
        match self.queue()?.outcome() {
            None => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(message)) => Err(RecordingError::new_err(message)),
        }
    }

    /// Returns the summary, if the recording is finished.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.queue()?.outcome() {
            None => Ok(None),
            Some(Ok(recorded)) => {
                summary::of_values(py, &recorded.summary, &self.options).map(Some)
            }
            Some(Err(message)) => Err(RecordingError::new_err(message)),
        }
    }

    /// Resets the stream. Returns whether the task has ended.
    fn abort(&self) -> PyResult<bool> {
        let queue = self.queue()?;
        if let Some(parts) = &self.parts {
            parts.task.abort();
        }
        Ok(queue.outcome().is_some())
    }

    /// Waits until the version differs from `seen`, at most `seconds`.
    fn wait(&self, py: Python<'_>, seen: u64, seconds: f64) -> PyResult<()> {
        let queue = self.queue()?;
        let timeout = Duration::from_secs_f64(seconds.clamp(0.0, 1.0));
        py.detach(|| queue.wait(seen, timeout));
        Ok(())
    }

    /// Removes the events: kind, durable points, wait in seconds and reason.
    fn take_events(&self) -> PyResult<Vec<RawEvent>> {
        let events = self.queue()?.take_events();
        let event = |event| match event {
            RecordEvent::Connected { committed_points } => {
                Some(("connected", Some(committed_points), None, None))
            }
            RecordEvent::Committed { committed_points } => {
                Some(("committed", Some(committed_points), None, None))
            }
            RecordEvent::Retrying { wait, reason } => {
                let reason = messages::with_python_names(&reason);
                Some(("retrying", None, Some(wait.as_secs_f64()), Some(reason)))
            }
            _ => None,
        };
        Ok(events.into_iter().filter_map(event).collect())
    }
}

impl RecorderCore {
    fn queue(&self) -> PyResult<&Arc<PointQueue>> {
        // Another thread of the parent process may have had the lock of the queue at the time of the fork.
        match &self.parts {
            Some(parts) if self.pid == process::id() => Ok(&parts.queue),
            _ => Err(PyRuntimeError::new_err(
                "the recorder belongs to the parent process; create a recorder after the fork",
            )),
        }
    }

    /// Returns the points of a range of at most [`BLOCK`].
    fn points(&self, columns: &Columns, range: Range<usize>) -> Vec<Result<Point, PointError>> {
        let space = self.options.metric().space();
        match columns {
            Columns::Float(x, y) => {
                let (mut x_block, mut y_block) = (Block::new(), Block::new());
                let x = x.read(range.clone(), &mut x_block);
                let y = y.read(range, &mut y_block);
                x.iter().zip(y).map(|(&x, &y)| Point::new(space, x, y)).collect()
            }
            Columns::Int(x, y) => {
                let (mut x_block, mut y_block) = (Block::new(), Block::new());
                let x = x.read(range.clone(), &mut x_block);
                let y = y.read(range, &mut y_block);
                let point = |(&x, &y): (&i32, &i32)| match space {
                    Space::Geographic => Point::from_e7(y, x),
                    Space::Planar => Point::planar(x.into(), y.into()),
                };
                x.iter().zip(y).map(point).collect()
            }
        }
    }

    /// Returns a checked fix. NaN and [`NO_TIME`] are missing values.
    fn fix(
        &self,
        point: Result<Point, PointError>,
        time: i64,
        elevation: f64,
        accuracy: f64,
    ) -> Result<Fix, String> {
        let mut fix = match point {
            Ok(point) => Fix::new(point),
            Err(error) if self.options.invalid_points() == InvalidPoints::RejectCall => {
                let advice = match error {
                    PointError::NotFinite { .. } => {
                        "; use on_invalid=\"split\" or \"skip\" for missing positions"
                    }
                    _ => "",
                };
                return Err(format!("{error}{advice}"));
            }
            // `measure` ignores the other values of such a point, too.
            Err(_) => return Ok(Fix::without_position()),
        };
        let checked =
            |result: Result<Fix, FixError>| result.map_err(|error| fixes::attribute_error(&error));
        if time != NO_TIME {
            fix = checked(fix.at_unix_ns(time))?;
        }
        if !elevation.is_nan() {
            fix = checked(fix.with_z(elevation))?;
        }
        if !accuracy.is_nan() {
            fix = checked(fix.with_accuracy_m(accuracy))?;
        }
        Ok(fix)
    }
}

impl Drop for RecorderCore {
    fn drop(&mut self) {
        match self.parts.take() {
            Some(parts) if self.pid == process::id() => parts.task.abort(),
            // The locks of the task may be held by threads that the child process does not have.
            parts => std::mem::forget(parts),
        }
    }
}
