//! Run folders as columns.

use std::path::PathBuf;

use cvae::experiment::{Outcome, Reading, Run, RunTrial};
use cvae::metrics::{Measure, Row, Value};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use crate::input_error;

/// A column's name and its cells, one for each row.
type Column = (String, Vec<Py<PyAny>>);

fn found(py: Python<'_>, path: &PathBuf, histories: bool) -> PyResult<Vec<Run>> {
    let runs = py.detach(|| Run::find(path, Reading { histories, ..Reading::ALL })).map_err(input_error)?;
    match runs.is_empty() {
        false => Ok(runs),
        true => Err(input_error(format!(
            "no run (config.toml or results.csv) in {}; name a folder that cvae train or cvae sweep wrote",
            path.display()
        ))),
    }
}

fn trials_of(runs: &[Run]) -> Vec<(&Run, &RunTrial)> {
    runs.iter().flat_map(|run| run.trials.iter().map(move |trial| (run, trial))).collect()
}

fn column<'a, T>(
    py: Python<'_>,
    name: &str,
    rows: &'a [T],
    cell: impl Fn(&'a T) -> PyResult<Py<PyAny>>,
) -> PyResult<Column> {
    let _ = py;
    Ok((name.to_owned(), rows.iter().map(cell).collect::<PyResult<_>>()?))
}

/// A value of a config: a number where it reads as one.
fn config_value(py: Python<'_>, text: Option<&str>) -> PyResult<Py<PyAny>> {
    match text {
        None => Ok(py.None()),
        Some("true") => true.into_py_any(py),
        Some("false") => false.into_py_any(py),
        Some(text) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => number.into_py_any(py),
            (_, Ok(number)) => number.into_py_any(py),
            _ => text.into_py_any(py),
        },
    }
}

fn measured(py: Python<'_>, row: Option<&Row>, measure: Measure) -> PyResult<Py<PyAny>> {
    let Some(row) = row.filter(|row| row.has(measure)) else { return Ok(py.None()) };
    match row.get(measure) {
        Some(Value::Text(text)) => text.into_py_any(py),
        Some(Value::Count(count)) => count.into_py_any(py),
        _ => row.number(measure).into_py_any(py),
    }
}

/// Columns of all trials at a path: where they are, their state, their config and their metrics. Then the folders that
/// could not be read, with the reason.
#[pyfunction]
pub fn trials(py: Python<'_>, path: PathBuf) -> PyResult<(Vec<Column>, Vec<String>)> {
    let runs = found(py, &path, false)?;
    let rows = trials_of(&runs);
    let state = |trial: &RunTrial| match &trial.outcome {
        Outcome::Finished(_) => ("finished", None),
        Outcome::Failed(reason) => ("failed", Some(reason.clone())),
        Outcome::Unfinished => ("unfinished", None),
    };
    let mut columns = vec![
        column(py, "experiment", &rows, |(run, _)| run.name.as_str().into_py_any(py))?,
        column(py, "trial", &rows, |(_, trial)| trial.name.as_str().into_py_any(py))?,
        column(py, "state", &rows, |(_, trial)| state(trial).0.into_py_any(py))?,
        column(py, "error", &rows, |(_, trial)| state(trial).1.into_py_any(py))?,
        column(py, "folder", &rows, |(_, trial)| {
            trial.folder.as_ref().map(|folder| folder.display().to_string()).into_py_any(py)
        })?,
    ];
    let keys = rows.first().map(|(_, trial)| trial.config.clone()).unwrap_or_default();
    for (key, _) in &keys {
        columns.push(column(py, key, &rows, |(_, trial)| config_value(py, trial.value(key)))?);
    }
    let metrics = |trial: &RunTrial| trial.metrics().map(|metrics| Row::clone(metrics));
    let figures: Vec<Option<Row>> = rows.iter().map(|(_, trial)| metrics(trial)).collect();
    let of_columns = figures.iter().flatten().flat_map(Row::measures).filter(|measure| measure.is_of_column());
    let of_columns: std::collections::BTreeSet<Measure> = of_columns.collect();
    for measure in Measure::of_metrics([]).into_iter().chain(of_columns) {
        if figures.iter().flatten().any(|row| row.has(measure)) {
            columns.push(column(py, measure.name(), &figures, |row| measured(py, row.as_ref(), measure))?);
        }
    }
    let skipped = runs.iter().flat_map(|run| run.skipped.iter().map(ToString::to_string)).collect();
    Ok((columns, skipped))
}

/// Columns of the evaluations of all trials at a path.
#[pyfunction]
pub fn histories(py: Python<'_>, path: PathBuf) -> PyResult<Vec<Column>> {
    let runs = found(py, &path, true)?;
    let trials = trials_of(&runs);
    let rows: Vec<(&Run, &RunTrial, &Row)> =
        trials.iter().flat_map(|(run, trial)| trial.history.iter().map(move |row| (*run, *trial, row))).collect();
    let mut columns = vec![
        column(py, "experiment", &rows, |(run, ..)| run.name.as_str().into_py_any(py))?,
        column(py, "trial", &rows, |(_, trial, _)| trial.name.as_str().into_py_any(py))?,
    ];
    let of_columns = rows.iter().flat_map(|(.., row)| row.measures()).filter(|measure| measure.is_of_column());
    let of_columns: std::collections::BTreeSet<Measure> = of_columns.collect();
    for measure in Measure::of_history([]).into_iter().chain(of_columns) {
        if rows.iter().any(|(.., row)| row.has(measure)) {
            columns.push(column(py, measure.name(), &rows, |(.., row)| measured(py, Some(*row), measure))?);
        }
    }
    Ok(columns)
}
