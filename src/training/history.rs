//! history.csv: one row for each evaluation, appended whole.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};

/// One row. The order of the fields is the order of the columns; README.md explains each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Row {
    pub step: u64,
    pub epoch: f64,
    pub phase: super::Phase,
    pub beta: f64,
    pub lr: f64,
    pub train_loss: f64,
    pub train_recon: f64,
    pub train_kl: f64,
    pub train_prior_recon: f64,
    pub test_loss: f64,
    pub test_recon: f64,
    pub test_kl: f64,
    pub test_prior_recon: f64,
    pub test_elbo: f64,
    pub greedy_pass: f64,
    pub greedy_pass_held_out: f64,
    pub greedy_pass_worst: f64,
    pub greedy_pass_weekday: f64,
    pub greedy_pass_month: f64,
    pub greedy_pass_leap: f64,
    pub greedy_pass_decade: f64,
    pub greedy_valid_date: f64,
    pub greedy_coverage: f64,
    pub greedy_tv: f64,
    pub sampled_pass: f64,
    pub sampled_pass_held_out: f64,
    pub sampled_coverage: f64,
    pub sampled_tv: f64,
    pub expected_coverage: f64,
    pub expected_tv: f64,
    pub active_units: usize,
    pub dates_per_second: f64,
    pub train_seconds: f64,
}

/// A history file of a run in progress.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
}

/// Why a history could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A row is damaged.
    #[error("{path}: {source}; it was written by another version or edited, remove the run's folder and train again")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        source: csv::Error,
    },
}

impl History {
    /// Takes up the history of a run at this step: later rows, whose checkpoint never came, are dropped,
    /// and so is a last line that a kill cut short.
    ///
    /// # Errors
    /// When the file can't be read or written, or an earlier row is damaged.
    pub fn resume(path: &Path, step: u64) -> Result<Self, HistoryError> {
        let history = Self { path: path.to_owned() };
        let kept: Vec<Row> = if step > 0 && path.exists() {
            let text = files::read_text(path)?;
            let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
            history.parse(whole)?.into_iter().filter(|row| row.step <= step).collect()
        } else {
            Vec::new()
        };
        files::replace_text(path, &to_csv(&kept, true))?;
        Ok(history)
    }

    /// Appends a row.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn append(&self, row: &Row) -> Result<(), HistoryError> {
        let text = to_csv(std::slice::from_ref(row), false);
        let append = || OpenOptions::new().append(true).open(&self.path)?.write_all(text.as_bytes());
        append().map_err(FileError::at("write", &self.path))?;
        Ok(())
    }

    /// All rows of a history file.
    ///
    /// # Errors
    /// When the file can't be read or a row is damaged.
    pub fn read(path: &Path) -> Result<Vec<Row>, HistoryError> {
        Self { path: path.to_owned() }.parse(&files::read_text(path)?)
    }

    fn parse(&self, text: &str) -> Result<Vec<Row>, HistoryError> {
        let rows = csv::Reader::from_reader(text.as_bytes()).into_deserialize().collect::<Result<_, _>>();
        rows.map_err(|source| HistoryError::Format { path: self.path.clone(), source })
    }
}

fn to_csv(rows: &[Row], header: bool) -> String {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    // Writing plain numbers to memory cannot fail.
    for row in rows {
        writer.serialize(row).expect("a row of plain numbers serialises");
    }
    let body = String::from_utf8(writer.into_inner().expect("memory can be flushed")).expect("numbers are text");
    if header { format!("{}\n{body}", Row::COLUMNS.join(",")) } else { body }
}

impl Row {
    /// The columns in order.
    pub const COLUMNS: [&'static str; 33] = [
        "step",
        "epoch",
        "phase",
        "beta",
        "lr",
        "train_loss",
        "train_recon",
        "train_kl",
        "train_prior_recon",
        "test_loss",
        "test_recon",
        "test_kl",
        "test_prior_recon",
        "test_elbo",
        "greedy_pass",
        "greedy_pass_held_out",
        "greedy_pass_worst",
        "greedy_pass_weekday",
        "greedy_pass_month",
        "greedy_pass_leap",
        "greedy_pass_decade",
        "greedy_valid_date",
        "greedy_coverage",
        "greedy_tv",
        "sampled_pass",
        "sampled_pass_held_out",
        "sampled_coverage",
        "sampled_tv",
        "expected_coverage",
        "expected_tv",
        "active_units",
        "dates_per_second",
        "train_seconds",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64) -> Row {
        // Every field a number of its own, by way of the columns' order.
        let fields = Row::COLUMNS.iter().enumerate().map(|(index, column)| match *column {
            "step" => step.to_string(),
            "phase" => "code".to_owned(),
            "active_units" => "3".to_owned(),
            _ => format!("{index}.5"),
        });
        let line = fields.collect::<Vec<_>>().join(",");
        let text = format!("{}\n{line}\n", Row::COLUMNS.join(","));
        csv::Reader::from_reader(text.as_bytes()).into_deserialize().next().unwrap().unwrap()
    }

    #[test]
    fn the_header_names_the_fields_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let history = History::resume(&path, 0).unwrap();
        history.append(&row(10)).unwrap();
        let text = files::read_text(&path).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap().split(',').collect::<Vec<_>>(), Row::COLUMNS);
        assert!(lines.next().unwrap().starts_with("10,1.5,code,3.5,4.5,5.5"));
        assert_eq!(History::read(&path).unwrap(), [row(10)]);
    }

    #[test]
    fn rows_after_the_checkpoint_and_half_rows_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let history = History::resume(&path, 0).unwrap();
        [10, 20, 30].iter().for_each(|step| history.append(&row(*step)).unwrap());
        let whole = files::read_text(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        History::resume(&path, 20).unwrap();
        assert_eq!(History::read(&path).unwrap(), [row(10), row(20)]);
    }

    #[test]
    fn a_damaged_row_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        History::resume(&path, 0).unwrap().append(&row(10)).unwrap();
        let text = files::read_text(&path).unwrap().replace("code", "cold");
        std::fs::write(&path, text).unwrap();
        let error = History::read(&path).unwrap_err().to_string();
        assert!(error.contains("history.csv") && error.contains("line: 2"), "{error}");
    }
}
