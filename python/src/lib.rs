//! The extension module of the Python package `waywiser`.
//!
//! Each file has the functions of one part of the package. `column` reads arrays of Python, and `error` makes exceptions.
//! The Python files of the package convert other inputs to arrays, and results to tables.

mod by;
mod column;
mod error;
mod fixes;
mod fold;
mod length;
mod lines;
mod measure;
mod mixed_rows;
mod names;
mod options;
mod summary;
mod work;

use pyo3::prelude::*;

/// The functions and classes in Rust.
#[pymodule]
mod _waywiser {
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
}
