//! The extension module of the Python package `waywiser`.
//!
//! Each file has the functions of one part of the package. `column` reads arrays of Python, and `error` makes exceptions.
//! The Python files of the package convert other inputs to arrays, and results to tables.

mod by;
mod column;
mod connection;
mod error;
mod fixes;
mod fold;
mod length;
mod lines;
mod measure;
mod messages;
mod mixed_rows;
mod names;
mod options;
mod point_queue;
mod read;
mod recorder;
mod runtime;
mod summary;
mod suspicion;
mod track_measure;
mod tracks;
mod work;

use pyo3::prelude::*;

/// The functions and classes in Rust.
#[pymodule]
mod _waywiser {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::by::{group_integers, lengths_by, time_zone};
    #[pymodule_export]
    use super::fold::Fold;
    #[pymodule_export]
    use super::length::{legs, length};
    #[pymodule_export]
    use super::lines::ragged_lengths;
    #[pymodule_export]
    use super::measure::measure;
    #[pymodule_export]
    use super::read::{check_read_options, read_files};
    #[pymodule_export]
    use super::recorder::{RecorderCore, RecordingError};
    #[pymodule_export]
    use super::track_measure::measure_track;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
