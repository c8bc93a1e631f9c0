//! `cvae` for Python: a thin layer over the crate's public functions.
//!
//! Rows cross the border as bytes of 16-bit value indices and numbers as bytes of 64-bit floats, so that neither numpy
//! nor a frame library is needed to build or to import the package. `python/cvae/` makes frames of them.

mod config;
mod model;
mod runs;
mod training;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// What all functions here raise: input that is wrong, with its place, as `ValueError`.
fn input_error(error: impl std::fmt::Display) -> PyErr {
    // Values that Python gives are no arguments of a command.
    PyValueError::new_err(error.to_string().trim_start_matches("--set ").to_owned())
}

/// What went wrong at work, as `RuntimeError`.
fn failure(error: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// Numbers as bytes.
fn floats<'py>(py: Python<'py>, values: impl Iterator<Item = f64>) -> Bound<'py, PyBytes> {
    let bytes: Vec<u8> = values.flat_map(f64::to_ne_bytes).collect();
    PyBytes::new(py, &bytes)
}

/// The compiled part of the package `cvae`.
#[pymodule]
mod _cvae {
    #[pymodule_export]
    use super::config::Config;
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::runs::{histories, trials};
    #[pymodule_export]
    use super::training::fit;

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
