//! history.csv: one row for each evaluation, appended whole.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checksums::{self, ChecksumError, Demand, sha256};
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
    /// Its text so far: a few kilobytes.
    text: String,
}

/// Why a history could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its checksum.
    #[error(transparent)]
    Checksum(#[from] ChecksumError),
    /// It is not the history that the checkpoint was written with.
    #[error(
        "{0} is missing rows, damaged or of another run: it does not fit the checkpoint beside it; \
         restore it from a copy, or remove the run's folder and train again"
    )]
    Torn(PathBuf),
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
    /// Begins the history of a run.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn begin(path: &Path) -> Result<Self, HistoryError> {
        Self::of_text(path, to_csv(&[], true))
    }

    /// Resumes the history of a run, whose rows up to the checkpoint have this digest: later rows, whose checkpoint
    /// never came, are dropped, and so is a last line that a kill cut short.
    ///
    /// # Errors
    /// When the file can't be read or written, or does not begin as the checkpoint's digest has it.
    pub fn resume(path: &Path, digest: &str) -> Result<Self, HistoryError> {
        let text = files::read_text(path)?;
        let ends = text.match_indices('\n').map(|(place, _)| place + 1);
        let kept = ends.map(|end| &text[..end]).find(|kept| sha256(kept.as_bytes()) == digest);
        let kept = kept.ok_or_else(|| HistoryError::Torn(path.to_owned()))?.to_owned();
        Self::of_text(path, kept)
    }

    fn of_text(path: &Path, text: String) -> Result<Self, HistoryError> {
        files::replace_text(path, &text)?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> String {
        sha256(self.text.as_bytes())
    }

    /// Appends a row; it is on disk before the checkpoint that counts on it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn append(&mut self, row: &Row) -> Result<(), HistoryError> {
        let text = to_csv(std::slice::from_ref(row), false);
        let append = || {
            let mut file = OpenOptions::new().append(true).open(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.sync_data()
        };
        append().map_err(FileError::at("write", &self.path))?;
        self.text += &text;
        Ok(())
    }

    /// All rows of a history file; that of a finished trial is checked.
    ///
    /// # Errors
    /// When the file can't be read, does not match its checksum or a row is damaged.
    pub fn read(path: &Path) -> Result<Vec<Row>, HistoryError> {
        let text = checksums::read_text(path, Demand::WithSums)?;
        let rows = parse(&text).collect::<Result<_, _>>();
        rows.map_err(|source| HistoryError::Format { path: path.to_owned(), source })
    }
}

fn parse(text: &str) -> impl Iterator<Item = Result<Row, csv::Error>> {
    csv::Reader::from_reader(text.as_bytes()).into_deserialize()
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

    fn begun(steps: &[u64]) -> (tempfile::TempDir, PathBuf, History) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let mut history = History::begin(&path).unwrap();
        steps.iter().for_each(|step| history.append(&row(*step)).unwrap());
        (folder, path, history)
    }

    #[test]
    fn the_header_names_the_fields_in_their_order() {
        let (_folder, path, _) = begun(&[10]);
        let text = files::read_text(&path).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap().split(',').collect::<Vec<_>>(), Row::COLUMNS);
        assert!(lines.next().unwrap().starts_with("10,1.5,code,3.5,4.5,5.5"));
        assert_eq!(History::read(&path).unwrap(), [row(10)]);
    }

    #[test]
    fn rows_after_the_checkpoint_and_half_rows_are_dropped() {
        let (_folder, path, mut history) = begun(&[10, 20]);
        let digest = history.digest();
        history.append(&row(30)).unwrap();
        let whole = files::read_text(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let resumed = History::resume(&path, &digest).unwrap();
        assert_eq!(resumed.digest(), digest);
        assert_eq!(History::read(&path).unwrap(), [row(10), row(20)]);
        std::fs::write(&path, whole).unwrap();
        History::resume(&path, &digest).unwrap();
        assert_eq!(History::read(&path).unwrap(), [row(10), row(20)]);
    }

    #[test]
    fn a_history_that_does_not_fit_its_checkpoint_is_not_taken_up() {
        let (_folder, path, history) = begun(&[10, 20]);
        let whole = files::read_text(&path).unwrap();
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        let swapped = [lines[0], lines[2], lines[1]].concat();
        let (short, flipped) = (lines[..2].concat(), whole.replacen("3.5", "3.4", 1));
        for damaged in [swapped.as_str(), &short, &flipped, lines[0], ""] {
            std::fs::write(&path, damaged).unwrap();
            let error = History::resume(&path, &history.digest()).unwrap_err().to_string();
            assert!(error.contains("history.csv is missing rows, damaged or of another run"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(History::resume(&path, &history.digest()), Err(HistoryError::File(_))));
    }

    #[test]
    fn a_damaged_row_is_named() {
        let (_folder, path, _) = begun(&[10]);
        let text = files::read_text(&path).unwrap().replace("code", "cold");
        std::fs::write(&path, text).unwrap();
        let error = History::read(&path).unwrap_err().to_string();
        assert!(error.contains("history.csv") && error.contains("line: 2"), "{error}");
    }
}
