//! Arrays of Python as columns of numbers, without a copy of the array.
//!
//! This is the only file with `unsafe` code: it reads the memory of a buffer while other threads may run. Values are
//! copied to a block before they are checked, so that a change during a call can only change the result.

use std::mem::MaybeUninit;
use std::ops::Range;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use waywiser::measure::{ColumnError, FixBlock, LineMeter};
use waywiser::{Metric, Space};

use crate::error::filled;
use crate::work;

/// The number of values that are read at once.
pub(crate) const BLOCK: usize = LineMeter::CAPACITY;

/// A one-dimensional array of numbers of type `T`.
pub(crate) enum Column<T: pyo3::buffer::Element> {
    /// An array of Python.
    Array(PyBuffer<T>),
    /// A copy with another order.
    Copy(Vec<T>),
}

impl<T: pyo3::buffer::Element + Default> Column<T> {
    fn get(array: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Self>> {
        let Ok(buffer) = PyBuffer::<T>::get(array) else { return Ok(None) };
        // pyo3 0.30 takes big-endian formats for native ones on a little-endian machine.
        if matches!(buffer.format().to_bytes().first(), Some(b'>' | b'!' | b'<')) {
            return Ok(None);
        }
        if buffer.dimensions() == 0 {
            return Err(PyTypeError::new_err(format!("{name} is a number; use an array")));
        }
        if buffer.dimensions() != 1 {
            let shape =
                array.getattr("shape").and_then(|shape| shape.str()).map(|text| text.to_string());
            let shape = shape.unwrap_or_else(|_| format!("{} dimensions", buffer.dimensions()));
            return Err(PyValueError::new_err(format!(
                "{name} must have one dimension, but its shape is {shape}"
            )));
        }
        Ok(Some(Self::Array(buffer)))
    }

    /// Returns the column of an array, which must have as many values as there are points.
    pub(crate) fn of_len(array: &Bound<'_, PyAny>, name: &str, len: usize) -> PyResult<Self> {
        let column = Self::get(array, name)?.ok_or_else(|| {
            PyTypeError::new_err(format!("{name} cannot be converted to an array"))
        })?;
        check_len(name, column.len(), len)?;
        Ok(column)
    }

    /// Returns the number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Array(buffer) => buffer.item_count(),
            Self::Copy(values) => values.len(),
        }
    }

    /// Returns a copy in which each value is at the position that `positions` has for it. It handles signals.
    ///
    /// # Panics
    /// Panics if a position is not in the column.
    pub(crate) fn scattered(&self, py: Python<'_>, positions: &[u32]) -> PyResult<Self>
    where
        T: Send + Sync,
    {
        let mut values = filled(T::default(), self.len())?;
        work::in_order_infallible(py, positions.len(), |range| {
            let mut block = Block::new();
            for start in range.clone().step_by(BLOCK) {
                let rows = start..range.end.min(start + BLOCK);
                let block = self.read(rows.clone(), &mut block);
                for (&value, &position) in block.iter().zip(&positions[rows]) {
                    values[position as usize] = value;
                }
            }
        })?;
        Ok(Self::Copy(values))
    }

    /// Copies the values of a range to `block` and returns them.
    ///
    /// # Panics
    /// Panics if the range is not in the column, or longer than a block.
    #[inline]
    #[allow(unsafe_code)]
    pub(crate) fn read<'a>(&'a self, range: Range<usize>, block: &'a mut Block<T>) -> &'a [T] {
        assert!(range.end <= self.len() && range.start <= range.end && range.len() <= BLOCK);
        let buffer = match self {
            Self::Array(buffer) => buffer,
            Self::Copy(values) => return &values[range],
        };
        let stride = buffer.strides()[0];
        let to = block.0.as_mut_ptr().cast::<T>();
        // SAFETY: the buffer has `len` values, each `stride` bytes after the one before, and Python keeps it while
        // `buffer` exists. The range was checked. `PyBuffer::get` has checked the type, and the alignment of the first value. Every bit
        // pattern is a value of `T`. The block has space for the values, and all that are returned were written.
        unsafe {
            let first = buffer.buf_ptr().cast::<u8>().offset(stride * range.start as isize);
            if stride == size_of::<T>() as isize {
                std::ptr::copy_nonoverlapping(first.cast::<T>(), to, range.len());
            } else {
                for index in 0..range.len() {
                    let value = first.offset(stride * index as isize).cast::<T>();
                    // The stride of a field of records need not be a multiple of the alignment.
                    to.add(index).write(value.read_unaligned());
                }
            }
            std::slice::from_raw_parts(to, range.len())
        }
    }
}

impl<T: pyo3::buffer::Element + Default> Column<T> {
    /// Copies the values of some rows to `block` and returns them.
    ///
    /// # Panics
    /// Panics if a row is not in the column, or if there are more rows than fit a block.
    #[inline]
    #[allow(unsafe_code)]
    pub(crate) fn read_rows<'a>(&'a self, rows: Rows<'_>, block: &'a mut Block<T>) -> &'a [T] {
        let indices = match rows {
            Rows::Range(start, end) => return self.read(start..end, block),
            Rows::Indices(indices) => indices,
        };
        assert!(indices.len() <= BLOCK);
        match self {
            Self::Array(buffer) => {
                let (len, stride) = (buffer.item_count(), buffer.strides()[0]);
                let first = buffer.buf_ptr().cast::<u8>();
                for (to, &index) in block.0.iter_mut().zip(indices) {
                    assert!((index as usize) < len);
                    // SAFETY: as in `read`; the index was checked.
                    to.write(unsafe {
                        first.offset(stride * index as isize).cast::<T>().read_unaligned()
                    });
                }
            }
            Self::Copy(values) => {
                for (to, &index) in block.0.iter_mut().zip(indices) {
                    to.write(values[index as usize]);
                }
            }
        }
        // SAFETY: this many values were written.
        unsafe { std::slice::from_raw_parts(block.0.as_ptr().cast::<T>(), indices.len()) }
    }

    /// Calls `found` for each value. It handles signals in between.
    fn for_each(&self, py: Python<'_>, mut found: impl FnMut(T) -> PyResult<()>) -> PyResult<()> {
        let mut block = Block::new();
        for from in (0..self.len()).step_by(BLOCK) {
            for &value in self.read(from..self.len().min(from + BLOCK), &mut block) {
                found(value)?;
            }
            if (from + BLOCK) % work::STEP < BLOCK {
                py.check_signals()?;
            }
        }
        Ok(())
    }
}

/// Checks that a column has as many values as there are points.
pub(crate) fn check_len(name: &str, found: usize, points: usize) -> PyResult<()> {
    match found == points {
        true => Ok(()),
        false => Err(PyValueError::new_err(format!(
            "{name} has {found} values for {points} points; they must be equally long"
        ))),
    }
}

/// Some rows of columns, in order.
#[derive(Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// Consecutive rows, from the first one to before the second one.
    Range(usize, usize),
    /// The rows with these indices.
    Indices(&'a [u32]),
}

impl Rows<'_> {
    /// Returns the number of rows.
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Range(start, end) => end - start,
            Self::Indices(indices) => indices.len(),
        }
    }

    /// Returns the rows from the position `start` to before the position `end`.
    ///
    /// # Panics
    /// Panics if there are fewer rows.
    #[inline]
    pub(crate) fn slice(self, start: usize, end: usize) -> Self {
        match self {
            Self::Range(first, last) => {
                assert!(start <= end && end <= last - first);
                Self::Range(first + start, first + end)
            }
            Self::Indices(indices) => Self::Indices(&indices[start..end]),
        }
    }

    /// Returns the index in the column of the row at a position, or the position itself if there is no such row.
    pub(crate) fn index(self, position: usize) -> usize {
        match self {
            Self::Range(start, _) => start + position,
            Self::Indices(indices) => {
                indices.get(position).map_or(position, |&index| index as usize)
            }
        }
    }
}

/// Memory for the values that are read at once. It is not initialised.
pub(crate) struct Block<T>([MaybeUninit<T>; BLOCK]);

impl<T> Block<T> {
    pub(crate) fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; BLOCK])
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
    /// Returns the columns of two array-like objects: longitudes and latitudes or, for the planar metric, x and y. Arrays
    /// of numpy that have a supported type are not copied.
    pub(crate) fn get(
        x: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        metric: Metric,
    ) -> PyResult<Self> {
        let py = x.py();
        let planar = metric == Metric::Planar;
        let names = if planar { ["x", "y"] } else { ["lon", "lat"] };
        // A subclass of an array, such as a masked array, may have a meaning that its buffer does not show.
        let ndarray = ndarray(py)?;
        let is_array = x.get_type().is(ndarray) && y.get_type().is(ndarray);
        let direct = if is_array { Self::of_arrays(x, y, names)? } else { None };
        let columns = match direct {
            Some(columns) => columns,
            None => {
                let arrays = converter(py)?.call1((x, y, names, planar))?;
                let (x, y) = arrays.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
                Self::of_arrays(&x, &y, names)?.ok_or_else(|| {
                    PyTypeError::new_err(format!(
                        "{} and {} cannot be converted to float64",
                        names[0], names[1]
                    ))
                })?
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

    /// Returns the columns of two arrays if they are of one supported type.
    fn of_arrays(
        x: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        names: [&str; 2],
    ) -> PyResult<Option<Self>> {
        if let Some(x) = Column::get(x, names[0])? {
            return Ok(Column::get(y, names[1])?.map(|y| Self::Float(x, y)));
        }
        let Some(x) = Column::get(x, names[0])? else { return Ok(None) };
        Ok(Column::get(y, names[1])?.map(|y| Self::Int(x, y)))
    }

    fn lens(&self) -> (usize, usize) {
        match self {
            Self::Float(x, y) => (x.len(), y.len()),
            Self::Int(x, y) => (x.len(), y.len()),
        }
    }

    /// Returns copies in which each value is at the position that `positions` has for it.
    pub(crate) fn scattered(&self, py: Python<'_>, positions: &[u32]) -> PyResult<Self> {
        Ok(match self {
            Self::Float(x, y) => {
                Self::Float(x.scattered(py, positions)?, y.scattered(py, positions)?)
            }
            Self::Int(x, y) => Self::Int(x.scattered(py, positions)?, y.scattered(py, positions)?),
        })
    }

    /// Returns the number of points.
    pub(crate) fn len(&self) -> usize {
        self.lens().0
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
                let (mut x_block, mut y_block) = (Block::new(), Block::new());
                meter.load_xy(x.read(range.clone(), &mut x_block), y.read(range, &mut y_block))
            }
            Self::Int(x, y) => {
                let (mut x_block, mut y_block) = (Block::new(), Block::new());
                meter.load_i32(x.read(range.clone(), &mut x_block), y.read(range, &mut y_block))
            }
        }
    }
}

impl Columns {
    /// Adds the points of some rows, at most [`BLOCK`], to a block that has no points.
    #[inline]
    pub(crate) fn extend(&self, rows: Rows<'_>, block: &mut FixBlock) -> Result<(), ColumnError> {
        match self {
            Self::Float(x, y) => {
                let (mut x_block, mut y_block) = (Block::new(), Block::new());
                block.extend_xy(x.read_rows(rows, &mut x_block), y.read_rows(rows, &mut y_block))
            }
            Self::Int(x, y) => {
                let (mut x_values, mut y_values) = ([0; BLOCK], [0; BLOCK]);
                for (column, values) in [(x, &mut x_values), (y, &mut y_values)] {
                    let mut block = Block::new();
                    for (to, &value) in values.iter_mut().zip(column.read_rows(rows, &mut block)) {
                        *to = i64::from(value);
                    }
                }
                let resolution = match block.metric().space() {
                    Space::Geographic => 1e-7,
                    Space::Planar => 1.0,
                };
                let count = rows.len();
                block.extend_scaled(&x_values[..count], &y_values[..count], resolution)
            }
        }
    }
}

/// Calls `found` for the whole numbers of an array of int64 or int32 until it returns an error.
pub(crate) fn read_integers(
    array: &Bound<'_, PyAny>,
    name: &str,
    mut found: impl FnMut(i64) -> PyResult<()>,
) -> PyResult<()> {
    if let Some(column) = Column::<i64>::get(array, name)? {
        return column.for_each(array.py(), found);
    }
    match Column::<i32>::get(array, name)? {
        Some(column) => column.for_each(array.py(), |value| found(value.into())),
        None => Err(PyTypeError::new_err(format!("{name} must be an array of int64 or int32"))),
    }
}

/// An array for results.
pub(crate) struct Output {
    buffer: PyBuffer<f64>,
}

impl Output {
    /// Returns a new array of numpy for `len` values, and the output that writes to it.
    pub(crate) fn new(py: Python<'_>, len: usize) -> PyResult<(Bound<'_, PyAny>, Self)> {
        static EMPTY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let array = EMPTY.import(py, "numpy", "empty")?.call1((len,))?;
        let buffer = PyBuffer::<f64>::get(&array)?;
        let is_valid = buffer.item_count() == len && !buffer.readonly() && buffer.is_c_contiguous();
        match is_valid {
            true => Ok((array, Self { buffer })),
            false => Err(PyTypeError::new_err("numpy.empty has returned another array")),
        }
    }

    /// Writes values from an index on. Threads may write at the same time, each its own part.
    ///
    /// # Panics
    /// Panics if the values do not fit.
    #[allow(unsafe_code)]
    pub(crate) fn write(&self, from: usize, values: &[f64]) {
        let len = self.buffer.item_count();
        assert!(from <= len && values.len() <= len - from);
        // SAFETY: the buffer has `len` consecutive values that can be written, Python keeps it while `self.buffer` exists,
        // and the range was checked. The array is new, so that nothing else reads or writes it before it is returned.
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
