//! Arrays of Python as columns of numbers, without a copy of the array.
//!
//! This is the only file with `unsafe` code: it reads the memory of a buffer while other threads may run. Values are
//! copied to a block before they are checked, so that a change during a call can only change the result.

use std::ops::Range;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use waywiser::measure::{ColumnError, LineMeter};

/// The number of values that are read at once.
pub(crate) const BLOCK: usize = LineMeter::CAPACITY;

/// A one-dimensional array of numbers of type `T`.
pub(crate) struct Column<T: pyo3::buffer::Element> {
    buffer: PyBuffer<T>,
}

impl<T: pyo3::buffer::Element> Column<T> {
    fn get(array: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Self>> {
        let Ok(buffer) = PyBuffer::<T>::get(array) else { return Ok(None) };
        if buffer.dimensions() != 1 {
            let shape =
                array.getattr("shape").and_then(|shape| shape.str()).map(|text| text.to_string());
            let shape = shape.unwrap_or_else(|_| format!("{} dimensions", buffer.dimensions()));
            return Err(PyValueError::new_err(format!(
                "{name} must have one dimension, but its shape is {shape}"
            )));
        }
        Ok(Some(Self { buffer }))
    }

    /// Returns the number of values.
    pub(crate) fn len(&self) -> usize {
        self.buffer.item_count()
    }

    /// Copies the values of a range to the start of `block` and returns them.
    ///
    /// # Panics
    /// Panics if the range is not in the column, or longer than the block.
    #[inline]
    #[allow(unsafe_code)]
    pub(crate) fn read<'a>(&self, range: Range<usize>, block: &'a mut [T]) -> &'a [T] {
        assert!(range.end <= self.len() && range.start <= range.end);
        let values = &mut block[..range.len()];
        let stride = self.buffer.strides()[0];
        // SAFETY: the buffer has `len` values, each `stride` bytes after the one before, and Python keeps it while
        // `self.buffer` exists. The range was checked. The type was checked by `PyBuffer::get`, which also checks the
        // alignment. Every bit pattern is a value of `T`.
        unsafe {
            let first = self.buffer.buf_ptr().cast::<u8>().offset(stride * range.start as isize);
            if stride == size_of::<T>() as isize {
                std::ptr::copy_nonoverlapping(first.cast::<T>(), values.as_mut_ptr(), values.len());
            } else {
                for (index, value) in (0..).zip(&mut *values) {
                    *value = first.offset(stride * index).cast::<T>().read();
                }
            }
        }
        values
    }
}

/// The columns of the points of a call, of equal length.
pub(crate) enum Columns {
    /// Longitudes and latitudes in degrees, or x and y in the caller's unit.
    Float(Column<f64>, Column<f64>),
    /// Longitudes and latitudes in units of 1e-7 degree, or x and y in the caller's unit.
    Int(Column<i32>, Column<i32>),
}

impl Columns {
    /// Returns the columns of two array-like objects. Arrays of numpy that have a supported type are not copied.
    pub(crate) fn get(
        x: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        names: [&str; 2],
    ) -> PyResult<Self> {
        let columns = match (Any::get(x, names[0])?, Any::get(y, names[1])?) {
            (Any::Float(x), Any::Float(y)) => Self::Float(x, y),
            (Any::Int(x), Any::Int(y)) => Self::Int(x, y),
            _ => {
                return Err(PyTypeError::new_err(format!(
                    "one of {} and {} has degrees (float64) and the other units of 1e-7 degree (int32); convert one of them",
                    names[0], names[1]
                )));
            }
        };
        let (x_len, y_len) = columns.lens();
        if x_len != y_len {
            return Err(PyValueError::new_err(format!(
                "{} has {x_len} values and {} has {y_len}; they must be equally long",
                names[0], names[1]
            )));
        }
        Ok(columns)
    }

    fn lens(&self) -> (usize, usize) {
        match self {
            Self::Float(x, y) => (x.len(), y.len()),
            Self::Int(x, y) => (x.len(), y.len()),
        }
    }

    /// Returns the number of points.
    pub(crate) fn len(&self) -> usize {
        self.lens().0
    }

    /// Returns whether latitudes are out of range, and no longitude is out of the range of latitudes.
    pub(crate) fn may_be_swapped(&self) -> bool {
        let limit = match self {
            Self::Float(..) => 90.0,
            Self::Int(..) => 90.0e7,
        };
        let mut blocks = ([0.0; BLOCK], [0.0; BLOCK]);
        let mut exceeds = false;
        for from in (0..self.len()).step_by(BLOCK) {
            let range = from..self.len().min(from + BLOCK);
            let (x, y) = self.read_as_float(range, &mut blocks);
            if x.iter().any(|x| x.abs() > limit) {
                return false;
            }
            exceeds |= y.iter().any(|y| y.abs() > limit);
        }
        exceeds
    }

    /// Loads the points of a range, at most [`BLOCK`].
    #[inline]
    pub(crate) fn load(
        &self,
        range: Range<usize>,
        meter: &mut LineMeter,
    ) -> Result<(), ColumnError> {
        match self {
            Self::Float(x, y) => {
                let mut blocks = ([0.0; BLOCK], [0.0; BLOCK]);
                meter.load_xy(x.read(range.clone(), &mut blocks.0), y.read(range, &mut blocks.1))
            }
            Self::Int(x, y) => {
                let mut blocks = ([0; BLOCK], [0; BLOCK]);
                meter.load_i32(x.read(range.clone(), &mut blocks.0), y.read(range, &mut blocks.1))
            }
        }
    }

    fn read_as_float<'a>(
        &self,
        range: Range<usize>,
        blocks: &'a mut ([f64; BLOCK], [f64; BLOCK]),
    ) -> (&'a [f64], &'a [f64]) {
        let (x, y) = blocks;
        match self {
            Self::Float(from_x, from_y) => (from_x.read(range.clone(), x), from_y.read(range, y)),
            Self::Int(from_x, from_y) => {
                let count = range.len();
                let mut ints = [0; BLOCK];
                for (column, out) in [(from_x, &mut *x), (from_y, &mut *y)] {
                    for (out, &int) in out.iter_mut().zip(column.read(range.clone(), &mut ints)) {
                        *out = f64::from(int);
                    }
                }
                (&x[..count], &y[..count])
            }
        }
    }
}

/// A column of one of the supported types.
enum Any {
    Float(Column<f64>),
    Int(Column<i32>),
}

impl Any {
    fn get(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        let py = object.py();
        // A subclass, such as a masked array, may have a meaning that its buffer does not show.
        if object.get_type().is(ndarray(py)?)
            && let Some(column) = Self::of_array(object, name)?
        {
            return Ok(column);
        }
        let array = converter(py)?.call1((object, name))?;
        match Self::of_array(&array, name)? {
            Some(column) => Ok(column),
            None => Err(PyTypeError::new_err(format!(
                "{name} cannot be converted to an array of float64"
            ))),
        }
    }

    fn of_array(array: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Self>> {
        if let Some(column) = Column::get(array, name)? {
            return Ok(Some(Self::Float(column)));
        }
        Ok(Column::get(array, name)?.map(Self::Int))
    }
}

/// Returns a column of 64-bit integers of an array.
pub(crate) fn int64_column(array: &Bound<'_, PyAny>, name: &str) -> PyResult<Column<i64>> {
    required(Column::get(array, name)?, name, "int64")
}

fn required<T>(column: Option<T>, name: &str, dtype: &str) -> PyResult<T> {
    column.ok_or_else(|| PyTypeError::new_err(format!("{name} is not an array of {dtype}")))
}

/// An array for results.
pub(crate) struct Output {
    buffer: PyBuffer<f64>,
}

impl Output {
    /// Returns the output for an array that can be written.
    pub(crate) fn get(array: &Bound<'_, PyAny>, len: usize) -> PyResult<Self> {
        let buffer = PyBuffer::<f64>::get(array)?;
        let is_valid = buffer.dimensions() == 1 && buffer.item_count() == len && !buffer.readonly();
        match is_valid && buffer.is_c_contiguous() {
            true => Ok(Self { buffer }),
            false => Err(PyValueError::new_err(format!(
                "out is not an array of {len} float64 that can be written"
            ))),
        }
    }

    /// Writes values from an index on.
    ///
    /// # Panics
    /// Panics if they do not fit.
    #[allow(unsafe_code)]
    pub(crate) fn write(&self, _: Python<'_>, from: usize, values: &[f64]) {
        assert!(
            from <= self.buffer.item_count() && values.len() <= self.buffer.item_count() - from
        );
        // SAFETY: the buffer has `item_count` consecutive values that can be written, Python keeps it while
        // `self.buffer` exists, and the range was checked.
        unsafe {
            let to = self.buffer.buf_ptr().cast::<f64>().add(from);
            std::ptr::copy_nonoverlapping(values.as_ptr(), to, values.len());
        }
    }
}

/// Returns the type of arrays of numpy.
fn ndarray(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static NDARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    NDARRAY.import(py, "numpy", "ndarray")
}

/// Returns the function that converts other objects to arrays.
fn converter(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CONVERTER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CONVERTER.import(py, "waywiser._arrays", "coordinates")
}
