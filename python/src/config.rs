//! Configs as Python sees them.

use std::path::PathBuf;

use cvae::experiment::{Config as Checked, ConfigFile, Override, trial_name};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::input_error;

/// A config whose values have been checked.
#[pyclass(frozen, from_py_object, module = "cvae._cvae")]
#[derive(Clone)]
pub struct Config {
    pub(crate) config: Checked,
    /// The experiment that trials of this config belong to.
    #[pyo3(get)]
    pub(crate) experiment: String,
}

#[pymethods]
impl Config {
    /// The defaults or a file, with these values replaced: dotted keys, or sections as dictionaries.
    #[new]
    #[pyo3(signature = (path=None, **values))]
    fn new(path: Option<PathBuf>, values: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut replaced = Vec::new();
        for (key, value) in values.into_iter().flatten() {
            let key: String = key.extract()?;
            replaced.push(Override { value: toml_value(&key, &value)?, key });
        }
        let config = match &path {
            Some(path) => ConfigFile::load(path, &replaced),
            None => ConfigFile::of_text("", std::path::Path::new("the defaults"), &replaced),
        };
        let stem = path.as_deref().and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
        let experiment = stem.unwrap_or_else(|| "python".to_owned());
        Ok(Self { config: config.map_err(input_error)?, experiment })
    }

    /// The name of its trial.
    #[getter]
    fn name(&self) -> String {
        trial_name(&self.config)
    }

    /// Twelve hexadecimal digits that tell its trial from others.
    #[getter]
    fn hash(&self) -> String {
        self.config.hash()
    }

    /// Every key with its value as text.
    fn flat(&self) -> Vec<(String, String)> {
        self.config.flat()
    }

    /// The config as TOML.
    fn to_toml(&self) -> String {
        self.config.to_toml(None)
    }
}

/// A Python value as TOML.
fn toml_value(key: &str, value: &Bound<'_, PyAny>) -> PyResult<toml::Value> {
    // A bool is an int to Python: it comes first.
    if value.is_instance_of::<PyBool>() {
        return Ok(toml::Value::Boolean(value.extract()?));
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(toml::Value::Integer(value.extract()?));
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(toml::Value::Float(value.extract()?));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(toml::Value::String(value.extract()?));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = value.try_iter()?.map(|item| toml_value(key, &item?));
        return Ok(toml::Value::Array(items.collect::<PyResult<_>>()?));
    }
    let Ok(section) = value.cast::<PyDict>() else {
        // The path of a table, as pathlib has it.
        if let Ok(path) = value.extract::<PathBuf>() {
            return Ok(toml::Value::String(path.display().to_string()));
        }
        let kind = value.get_type().name()?;
        return Err(input_error(format!(
            "{key}: a {kind} is not a value of a config; give a bool, int, float, str, list or dict"
        )));
    };
    let mut table = toml::Table::new();
    for (inner, value) in section {
        let inner: String = inner.extract()?;
        table.insert(inner.clone(), toml_value(&format!("{key}.{inner}"), &value)?);
    }
    Ok(toml::Value::Table(table))
}
