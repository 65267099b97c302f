//! The class `Fold`: a path that grows, and that is stored, sent and merged without a change of its bits.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyAttributeError, PyOverflowError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use waywiser::measure::PathError;
use waywiser::store::{path_from_bytes, path_to_bytes};
use waywiser::{Metric, PathAccumulator};

use crate::fixes::{Arguments, Fixes};
use crate::names::{OnInvalid, flag, metric_argument, on_invalid_argument, wrong_type};
use crate::options::{has_rules, options_with};
use crate::summary::summary;

/// A path that grows, and that is stored, sent and merged without a change of
/// its bits.
///
/// The results do not depend on how the points are divided into calls, on how
/// often the fold was stored as bytes or pickled, nor on how the parts of a
/// path are grouped when they are merged.
///
/// Parameters
/// ----------
/// metric : {"geodesic", "haversine", "planar"}
///     See length().
/// on_invalid : {"raise", "split", "skip"}
///     See length(). With "split" and "skip", invalid positions are counted in
///     summary().rejections.
/// **options
///     The options of measure(). Folds with filters, an estimate or windows
///     cannot be merged.
///
/// Raises
/// ------
/// TypeError
///     An option is unknown, or has a value of a wrong type.
/// ValueError
///     The value of an option is out of range.
///
/// Notes
/// -----
/// The state is about 200 bytes without options. If two threads extend or merge
/// into one fold at the same time, one of them gets a RuntimeError, and the
/// fold has the points of the other one.
///
/// Examples
/// --------
/// >>> import waywiser as ww
/// >>> a, b = ww.Fold(), ww.Fold()
/// >>> a.extend([13.0, 13.1], [46.0, 46.1])
/// >>> b.extend([13.2, 13.3], [46.2, 46.3])
/// >>> a.merge(b)  # with the leg from 13.1, 46.1 to 13.2, 46.2
/// >>> a.length_m == ww.length([13.0, 13.1, 13.2, 13.3], [46.0, 46.1, 46.2, 46.3])
/// True
#[pyclass(frozen, module = "waywiser")]
pub(crate) struct Fold {
    state: Mutex<State>,
}

#[derive(Clone)]
struct State {
    path: PathAccumulator,
    /// The number of changes.
    version: u64,
}

impl Fold {
    fn new(path: PathAccumulator) -> Self {
        Self { state: Mutex::new(State { path, version: 0 }) }
    }

    /// Locks the state. The lock is never kept while code of Python runs, so that it cannot be taken twice by one thread.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a copy of the state.
    fn snapshot(&self) -> State {
        self.lock().clone()
    }

    /// Replaces the path, if it was not changed since the state was read.
    fn replace(&self, State { path, version }: State) -> PyResult<()> {
        let mut state = self.lock();
        if state.version != version {
            return Err(PyRuntimeError::new_err(
                "another thread has changed the fold during this call, which has no effect; let one thread at a time \
                 change a fold, or merge the folds of several threads",
            ));
        }
        *state = State { path, version: version.wrapping_add(1) };
        Ok(())
    }

    fn metric(&self) -> Metric {
        self.lock().path.options().metric()
    }

    fn current_length(&self) -> f64 {
        self.snapshot().path.summary().length
    }
}

#[pymethods]
impl Fold {
    #[new]
    #[pyo3(
        signature = (*, metric = Metric::Geodesic, on_invalid = OnInvalid::Raise, **options),
        text_signature = "(*, metric='geodesic', on_invalid='raise', **options)"
    )]
    fn __new__(
        #[pyo3(from_py_with = metric_argument)] metric: Metric,
        #[pyo3(from_py_with = on_invalid_argument)] on_invalid: OnInvalid,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let options = options_with("Fold", metric, on_invalid, options)?;
        Ok(Self::new(PathAccumulator::new(options)))
    }

    /// Append points.
    ///
    /// Parameters
    /// ----------
    /// lon, lat : array_like
    ///     Longitudes and latitudes, as for length().
    /// time, elevation, accuracy : array_like, optional
    ///     As for measure().
    ///
    /// Raises
    /// ------
    /// ValueError
    ///     A value is not valid, or the arrays differ in length. The message
    ///     has the index. The fold is unchanged.
    /// RuntimeError
    ///     Another thread has changed the fold during the call. The call has
    ///     no effect.
    #[pyo3(signature = (lon, lat, *, time = None, elevation = None, accuracy = None))]
    fn extend(
        &self,
        py: Python<'_>,
        lon: &Bound<'_, PyAny>,
        lat: &Bound<'_, PyAny>,
        time: Option<&Bound<'_, PyAny>>,
        elevation: Option<&Bound<'_, PyAny>>,
        accuracy: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let mut state = self.snapshot();
        let arguments = Arguments { lon, lat, time, elevation, accuracy };
        let fixes = Fixes::get(py, &arguments, state.path.options())?;
        fixes.add_to(py, &mut state.path)?;
        self.replace(state)
    }

    /// End the segment: no leg joins the last point and the next one.
    fn end_segment(&self) {
        let mut state = self.lock();
        state.path.start_segment();
        state.version = state.version.wrapping_add(1);
    }

    /// Append the path of another fold, as if its points were added one by
    /// one.
    ///
    /// Parameters
    /// ----------
    /// other : Fold
    ///     The path that follows. It is not changed.
    /// joined : bool
    ///     Whether a leg joins the last point of this path and the first point
    ///     of the other one. Without it, the order of the merges does not
    ///     change the length.
    ///
    /// Raises
    /// ------
    /// ValueError
    ///     The folds have different options, filters, an estimate, windows,
    ///     times or elevations. The fold is unchanged.
    /// RuntimeError
    ///     Another thread has changed the fold during the call. The call has
    ///     no effect.
    #[pyo3(signature = (other, *, joined = true), text_signature = "($self, other, *, joined=True)")]
    fn merge(
        &self,
        other: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = joined_argument)] joined: bool,
    ) -> PyResult<()> {
        let next = other.cast::<Self>().map_err(|_| wrong_type("other", "a Fold", other))?;
        let next = next.get().snapshot().path;
        let mut state = self.snapshot();
        if !joined {
            state.path.start_segment();
        }
        state.path.merge(&next).map_err(|error| merge_error(&error, &state.path, &next))?;
        self.replace(state)
    }

    /// Return the fold as bytes, for from_bytes(). Equal folds have equal bytes.
    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &path_to_bytes(&self.snapshot().path))
    }

    /// Return the fold of bytes(fold). The bytes are checked, and may come
    /// from anywhere.
    ///
    /// Raises
    /// ------
    /// ValueError
    ///     The bytes are damaged, of something else, or of a later version.
    #[staticmethod]
    fn from_bytes(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let bytes = match data.cast::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            // Also `bytearray` and `memoryview`.
            Err(_) => match pyo3::buffer::PyBuffer::<u8>::get(data) {
                Ok(buffer) => PyBytes::new(data.py(), &buffer.to_vec(data.py())?),
                Err(_) => return Err(wrong_type("data", "bytes", data)),
            },
        };
        match path_from_bytes(bytes.as_bytes()) {
            Ok(path) => Ok(Self::new(path)),
            Err(error) => Err(PyValueError::new_err(format!("the bytes are not a fold: {error}"))),
        }
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let from_bytes = slf.get_type().getattr("from_bytes")?;
        Ok((from_bytes, (slf.get().__bytes__(slf.py()),)))
    }

    /// Return a copy of the fold.
    fn copy(&self) -> Self {
        Self::new(self.snapshot().path)
    }

    fn __copy__(&self) -> Self {
        self.copy()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        self.copy()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let Ok(other) = other.cast::<Self>() else { return false };
        let path = self.snapshot().path;
        path == other.get().snapshot().path
    }

    fn __repr__(&self) -> String {
        let path = self.snapshot().path;
        let unit = if path.options().metric() == Metric::Planar { "length" } else { "length_m" };
        let (metric, count, length) =
            (path.options().metric(), path.point_count(), path.summary().length);
        format!("Fold(metric='{metric}', point_count={count}, {unit}={length:?})")
    }

    /// The length in metres, or in the unit of x and y with metric="planar".
    #[getter]
    fn length(&self) -> f64 {
        self.current_length()
    }

    /// The length in metres. A fold with metric="planar" has only length.
    #[getter]
    fn length_m(&self) -> PyResult<f64> {
        match self.metric() {
            Metric::Planar => Err(PyAttributeError::new_err(
                "a planar path has no length in metres; use length, which is in the unit of x and y",
            )),
            _ => Ok(self.current_length()),
        }
    }

    /// The number of points, including rejected and invalid ones.
    #[getter]
    fn point_count(&self) -> u64 {
        self.lock().path.point_count()
    }

    /// Return the summary of the points so far, as measure() does.
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        summary(py, &self.snapshot().path)
    }
}

fn joined_argument(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    flag("joined", value)
}

/// Returns the exception for two paths that cannot be merged.
fn merge_error(error: &PathError, path: &PathAccumulator, next: &PathAccumulator) -> PyErr {
    let (options, next_options) = (path.options(), next.options());
    let message = match error {
        PathError::Overflow(overflow) => return PyOverflowError::new_err(overflow.to_string()),
        _ if options != next_options => {
            "the folds have different options; create both with the same arguments"
        }
        _ if has_rules(options) => {
            "folds with filters, an estimate, windows or elevation_mode cannot be merged, because these results depend on \
             the points before; extend one fold in order, or use folds without options"
        }
        _ => {
            "folds with times or elevations cannot be merged, because a fold does not keep those of its first point; \
             extend one fold in order, or leave out time and elevation"
        }
    };
    PyValueError::new_err(message)
}
