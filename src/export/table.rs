//! The tables that are exported: their columns, and rows of typed cells.

use std::collections::HashMap;
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::path::Path;
use std::sync::LazyLock;

use crate::experiment::{ConfigFile, Outcome, RunTrial};
use crate::files::{self, FileError};
use crate::metrics::{Measure, Row, Source, Unit, Value};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit whole numbers.
    Int,
    /// 64-bit floats, infinity among them.
    Float,
    /// Text.
    Text,
    /// True or false.
    Bool,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

/// A value of the type of its column, or none.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Not there, or not measured.
    Null,
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// True or false.
    Bool(bool),
}

/// Writes a table to a file.
pub trait TableWriter: Sized {
    /// The end of its files' names.
    const EXTENSION: &'static str;

    /// Begins a table.
    ///
    /// # Errors
    /// Those of the file.
    fn begin(file: Box<dyn Write>, columns: Vec<Column>) -> io::Result<Self>;

    /// Adds a row, a cell for each column.
    ///
    /// # Errors
    /// Those of the file.
    fn add(&mut self, row: Vec<Cell>) -> io::Result<()>;

    /// Writes what is left.
    ///
    /// # Errors
    /// Those of the file.
    fn end(self) -> io::Result<()>;
}

/// A writer with the name of its file, for errors.
pub(super) struct Open<'a, W>(W, &'a Path);

impl<W: TableWriter> Open<'_, W> {
    pub(super) fn row(&mut self, row: Vec<Cell>) -> Result<(), FileError> {
        self.0.add(row).map_err(FileError::at("write", self.1))
    }
}

/// Replaces a table by what `fill` writes.
pub(super) fn replace<W: TableWriter>(
    path: &Path,
    columns: Vec<Column>,
    fill: impl FnOnce(&mut Open<'_, W>) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let mut failed = None;
    let replaced = files::replace(path, |partial| {
        let file = std::fs::File::options().write(true).open(partial)?;
        let mut open = Open(W::begin(Box::new(BufWriter::new(file)), columns)?, path);
        if let Err(error) = fill(&mut open) {
            failed = Some(error);
            return Err(io::ErrorKind::Other.into());
        }
        open.0.end()
    });
    // The error inside names the file that it is about.
    match failed {
        Some(error) => Err(error),
        None => replaced,
    }
}

/// The keys of a config with the type of their values.
static KEYS: LazyLock<Vec<(String, Kind)>> = LazyLock::new(|| {
    let defaults = ConfigFile::default().check().map(|config| config.values()).unwrap_or_default();
    let kind = |value: &toml::Value| match value {
        toml::Value::Integer(_) => Kind::Int,
        toml::Value::Float(_) => Kind::Float,
        toml::Value::Boolean(_) => Kind::Bool,
        _ => Kind::Text,
    };
    defaults.iter().map(|(key, value)| (key.clone(), kind(value))).collect()
});

/// The keys of a trial's config with typed values, in their order.
pub(super) fn config_cells(trial: &RunTrial) -> impl Iterator<Item = (&'static str, Cell)> {
    let values: HashMap<&str, &str> = trial.config.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    KEYS.iter().map(move |(key, kind)| {
        let cell = values.get(key.as_str()).map_or(Cell::Null, |text| cell_of(*kind, text));
        (key.as_str(), cell)
    })
}

fn cell_of(kind: Kind, text: &str) -> Cell {
    match kind {
        Kind::Int => text.parse().map_or(Cell::Null, Cell::Int),
        Kind::Float => text.parse().map_or(Cell::Null, Cell::Float),
        Kind::Bool => text.parse().map_or(Cell::Null, Cell::Bool),
        Kind::Text => Cell::Text(text.to_owned()),
    }
}

/// The value of a measure; what could not be measured is not there.
fn measured(row: &Row, measure: Measure) -> Cell {
    let number = row.number(measure);
    match (row.get(measure), kind_of(measure)) {
        (Some(Value::Text(text)), _) => Cell::Text(text.clone()),
        (Some(Value::Count(count)), Kind::Int) => i64::try_from(*count).map_or(Cell::Null, Cell::Int),
        (_, Kind::Float) if row.has(measure) && !number.is_nan() => Cell::Float(number),
        _ => Cell::Null,
    }
}

fn kind_of(measure: Measure) -> Kind {
    match measure.spec().unit {
        Unit::Text => Kind::Text,
        Unit::Count => Kind::Int,
        _ => Kind::Float,
    }
}

/// What tells trials apart, the first columns of both tables.
const NAMES: [&str; 2] = ["experiment", "trial"];

fn columns<'a>(rest: impl Iterator<Item = (&'a str, Kind)>) -> Vec<Column> {
    let names = NAMES.iter().map(|name| (*name, Kind::Text));
    names.chain(rest).map(|(name, kind)| Column { name: name.to_owned(), kind }).collect()
}

/// The measures of both tables: all that a history or metrics hold, and what is computed from it.
#[derive(Debug)]
pub struct Measures {
    /// Those of evaluations.
    pub history: Vec<Measure>,
    /// Those of finished trials.
    pub metrics: Vec<Measure>,
}

impl Measures {
    /// Those of some trials, by the headers of their files: a task's given columns have measures of their own.
    pub fn of<'a>(folders: impl Iterator<Item = &'a Path>) -> Self {
        let none = std::iter::empty::<&str>;
        let mut measures = Self { history: Measure::of_history(none()), metrics: Measure::of_metrics(none()) };
        for folder in folders {
            for (name, known) in [("history.csv", &mut measures.history), ("metrics.csv", &mut measures.metrics)] {
                // Earlier versions logged what is computed now.
                let is_own = |measure: &Measure| {
                    measure.is_of_column() || matches!(measure.spec().source, Source::Derived { .. })
                };
                let own = header(&folder.join(name)).into_iter().filter(is_own);
                let new: Vec<Measure> = own.filter(|measure| !known.contains(measure)).collect();
                known.extend(new);
            }
        }
        for logged in [&mut measures.history, &mut measures.metrics] {
            let computed = |measure: &Measure| match measure.spec().source {
                Source::Derived { from, .. } => from.iter().all(|from| logged.contains(from)),
                _ => false,
            };
            let computed: Vec<Measure> =
                Measure::all().filter(|measure| !logged.contains(measure) && computed(measure)).collect();
            logged.extend(computed);
        }
        measures
    }
}

/// The measures that the header of a table names.
fn header(path: &Path) -> Vec<Measure> {
    let mut line = String::new();
    // What can't be read here is told of where the trial is read.
    const MOST: u64 = 1 << 20;
    let opened = crate::files::open_regular(path).map(|file| io::BufReader::new(file.take(MOST)));
    let _ = opened.map(|mut reader| reader.read_line(&mut line));
    line.trim_end().split(',').filter_map(Measure::named).collect()
}

/// The columns of the table of evaluations.
pub fn history_columns(measures: &Measures) -> Vec<Column> {
    columns(measures.history.iter().map(|measure| (measure.name(), kind_of(*measure))))
}

/// A row for each evaluation of a trial.
pub(super) fn history_rows<'a>(
    measures: &'a Measures,
    experiment: &'a str,
    trial: &'a RunTrial,
) -> impl Iterator<Item = Vec<Cell>> + 'a {
    trial.history.iter().map(move |row| {
        let names = [Cell::Text(experiment.to_owned()), Cell::Text(trial.name.clone())];
        names.into_iter().chain(measures.history.iter().map(|measure| measured(row, *measure))).collect()
    })
}

/// The columns of the table of trials: state, config, final metrics.
pub fn trial_columns(measures: &Measures) -> Vec<Column> {
    let keys = KEYS.iter().map(|(key, kind)| (key.as_str(), *kind));
    let metrics = measures.metrics.iter().map(|measure| (measure.name(), kind_of(*measure)));
    columns([("state", Kind::Text), ("error", Kind::Text)].into_iter().chain(keys).chain(metrics))
}

/// The row of a trial.
pub(super) fn trial_row(measures: &Measures, experiment: &str, trial: &RunTrial) -> Vec<Cell> {
    let (state, error) = match &trial.outcome {
        Outcome::Finished(_) => ("finished", Cell::Null),
        Outcome::Failed(reason) => ("failed", Cell::Text(reason.clone())),
        Outcome::Unfinished => ("unfinished", Cell::Null),
    };
    let names = [experiment, &trial.name, state].map(|text| Cell::Text(text.to_owned()));
    let none = Row::default();
    let metrics = trial.metrics().map_or(&none, |metrics| metrics);
    let metrics = measures.metrics.iter().map(|measure| measured(metrics, *measure));
    names.into_iter().chain([error]).chain(config_cells(trial).map(|(_, cell)| cell)).chain(metrics).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_types_of_their_values() {
        let kind = |columns: &[Column], name: &str| columns.iter().find(|column| column.name == name).map(|it| it.kind);
        let measures = Measures::of(std::iter::empty());
        let (history, trials) = (history_columns(&measures), trial_columns(&measures));
        for (name, expected) in
            [("trial", Kind::Text), ("step", Kind::Int), ("beta", Kind::Float), ("phase", Kind::Text)]
        {
            assert_eq!(kind(&history, name), Some(expected), "{name}");
        }
        for (name, expected) in [("seed", Kind::Int), ("beta.high", Kind::Float), ("model.trunk", Kind::Text)] {
            assert_eq!(kind(&trials, name), Some(expected), "{name}");
        }
        let names: std::collections::HashSet<&str> = trials.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names.len(), trials.len(), "no two columns share a name");
        assert_eq!(cell_of(Kind::Float, "inf"), Cell::Float(f64::INFINITY));
        assert_eq!(cell_of(Kind::Int, "many"), Cell::Null);
    }
}
