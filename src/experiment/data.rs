//! The task that a config's `[data]` describes.

use std::path::Path;

use super::check::Invalid;
use super::config_file::{DataConfig, TruthKind};
use crate::task::dates::SplitError;
use crate::task::network::{Network, NetworkError};
use crate::task::table::{self, TableError, TableOptions};
use crate::task::{self, Kind, Split, SplitOptions, Task, Truth};

/// Passes over the observations of a sample. Trained for longer, models of samples learn them by heart.
const PASSES: f64 = 20.0;
/// The least and the most steps of a sample.
const STEPS: (f64, f64) = (1000.0, 18_000.0);

/// Steps that a sample is trained for where nothing is said: some passes over its observations.
pub fn steps_of_sample(truth: &Truth, batch_size: i64) -> u64 {
    let observations: u64 = truth.observations().iter().sum();
    (PASSES * observations as f64 / batch_size as f64).clamp(STEPS.0, STEPS.1) as u64
}

/// Why the data of a config can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A table.
    #[error("data.{section}{0}", section = if matches!(.0, TableError::Option { .. }) { "" } else { "table: " })]
    Table(#[source] TableError),
    /// A network.
    #[error("data.{section}{0}", section = if .0.is_about_lists() { "" } else { "network: " })]
    Network(#[source] NetworkError),
    /// A task that there is not.
    #[error("data.task: there is no task {name:?}; there are {known}", known = Task::names().collect::<Vec<_>>().join(", "))]
    Task {
        /// Its name.
        name: String,
    },
}

impl DataConfig {
    /// Whether this is the home task.
    pub fn is_dates(&self) -> bool {
        self.network.is_empty() && self.table.is_empty() && self.task == task::DATES
    }

    /// Whether single observations are held out, of a table.
    pub fn is_sample(&self) -> bool {
        !self.table.is_empty() && self.truth == TruthKind::Sample
    }

    /// Whether nothing can be wrong with them: built-in dates, whose conditions can always be split.
    pub fn are_sound(&self) -> bool {
        self.is_dates() && self.split_by.is_empty()
    }

    /// Whether both describe the same task, however it is split.
    pub fn is_same_task(&self, other: &Self) -> bool {
        let Self { split, held_out, sealed, split_by, seed, .. } = other.clone();
        Self { split, held_out, sealed, split_by, seed, ..self.clone() } == *other
    }

    /// Makes the task: lists a population, or reads a file. Paths are relative to the working directory.
    ///
    /// # Errors
    /// When a file can't be read or does not fit the other keys.
    pub fn load(&self) -> Result<Task, DataError> {
        if !self.network.is_empty() {
            let network = Network::load(Path::new(&self.network)).map_err(DataError::Network)?;
            let truth = network.truth(&self.given, &self.generate).map_err(DataError::Network)?;
            return Ok(Task { name: self.network.clone(), truth });
        }
        if !self.table.is_empty() {
            let kind = match self.truth {
                TruthKind::Sample => Kind::Sample,
                TruthKind::Population => Kind::Exact,
            };
            let truth = table::load(Path::new(&self.table), &self.table_options(), kind).map_err(DataError::Table)?;
            return Ok(Task { name: self.table.clone(), truth });
        }
        Task::named(&self.task).ok_or_else(|| DataError::Task { name: self.task.clone() })
    }

    /// Splits the task's truth.
    ///
    /// # Errors
    /// When a part would be empty, or `split_by` names no given column.
    pub fn split(&self, truth: &Truth) -> Result<Split, SplitError> {
        let (held, by) = (self.split, self.split_by.clone());
        let options = SplitOptions { held, by, held_out: self.held_out, sealed: self.sealed, seed: self.seed };
        Split::of(truth, &options)
    }

    fn table_options(&self) -> TableOptions {
        TableOptions {
            given: self.given.clone(),
            generate: self.generate.clone(),
            weight: (!self.weight.is_empty()).then(|| self.weight.clone()),
            bins: self.bins.clone(),
        }
    }

    /// Checks the keys beside each other.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let (network, table) = (!self.network.is_empty(), !self.table.is_empty());
        let invalid =
            |key, with: &'static [&'static str], problem: &str| Err(Invalid { key, with, problem: problem.to_owned() });
        if network && table {
            return invalid("data.network", &["data.table"], "a table is named as well; keep one of the two");
        }
        if !network && !table && Task::names().all(|name| name != self.task) {
            let problem = DataError::Task { name: self.task.clone() }.to_string();
            let problem = problem.trim_start_matches("data.task: ");
            return invalid("data.task", &[], problem);
        }
        if (network || table) && self.task != task::DATES {
            return invalid(
                "data.task",
                &["data.network", "data.table"],
                "a file is named as well; keep one of the two",
            );
        }
        if (network || table) && self.given.is_empty() {
            return invalid("data.given", &["data.network", "data.table"], "name the columns that are given");
        }
        let only = |key, set: bool, applies: bool, what: &str| match set && !applies {
            true => invalid(key, &["data.network", "data.table"], &format!("it belongs to {what}, and none is named")),
            false => Ok(()),
        };
        only("data.given", !self.given.is_empty(), network || table, "a table or a network")?;
        only("data.generate", !self.generate.is_empty(), network || table, "a table or a network")?;
        only("data.weight", !self.weight.is_empty(), table, "a table")?;
        only("data.bins", !self.bins.is_empty(), table, "a table")?;
        only("data.truth", self.truth != TruthKind::default(), table, "a table")
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::{Origin, Source};
    use super::*;
    use crate::experiment::Override;

    fn resolve(text: &str) -> Result<DataConfig, String> {
        let source = Source::of_text(text, Path::new("a.toml")).map_err(|error| error.to_string())?;
        let none = std::iter::empty::<(&Override, Origin)>();
        source.resolve(none).map(|config| config.data.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_that_do_not_fit_each_other_are_refused_where_they_stand() {
        for (text, expected) in [
            (
                "task = \"algebr\"",
                "a.toml:2:8: data.task: there is no task \"algebr\"; there are dates, weighted_dates",
            ),
            ("network = \"a.bif\"\ntable = \"b.csv\"\ngiven = [\"a\"]", "data.network: a table is named as well"),
            ("network = \"a.bif\"", "data.given: name the columns that are given"),
            ("given = [\"a\"]", "data.given: it belongs to a table or a network, and none is named"),
            ("network = \"a.bif\"\ngiven = [\"a\"]\nbins = { a = 3 }", "data.bins: it belongs to a table"),
            ("task = \"dyck\"\ntable = \"b.csv\"\ngiven = [\"a\"]", "data.task: a file is named as well"),
            ("truth = \"population\"", "data.truth: it belongs to a table"),
            ("truth = \"guess\"", "line 2"),
        ] {
            let error = resolve(&format!("[data]\n{text}\n")).unwrap_err();
            assert!(error.contains(expected), "{error}\n{expected}");
        }
    }

    #[test]
    fn tasks_are_loaded_from_all_three_sources() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("t.csv");
        std::fs::write(&table, "a,b\n1,2\n1,3\n").unwrap();
        let of = |text: &str| resolve(&format!("[data]\n{text}\n")).unwrap();
        let read = of(&format!("table = {table:?}\ngiven = [\"a\"]\nbins = {{ b = 1 }}")).load().unwrap().truth;
        assert_eq!((read.kind(), read.schema().generated[0].values.to_vec()), (Kind::Sample, vec!["2-3".to_owned()]));
        let read = of(&format!("table = {table:?}\ngiven = [\"a\"]\ntruth = \"population\"")).load().unwrap().truth;
        assert_eq!((read.kind(), read.count(0)), (Kind::Exact, 2));
        assert_eq!(of("task = \"permutations\"").load().unwrap().truth.len(), 310);
        assert!(of("").is_dates());
        let error = of("network = \"missing.bif\"\ngiven = [\"a\"]").load().unwrap_err().to_string();
        assert!(error.contains("missing.bif"), "{error}");
        let error = of(&format!("table = {table:?}\ngiven = [\"x\"]")).load().unwrap_err().to_string();
        assert!(error.starts_with("data.given: the table has no column \"x\""), "{error}");
    }
}
