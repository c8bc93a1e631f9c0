//! history.csv: one row for each evaluation, appended whole.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::checksums::{ChecksumPolicy, sha256};
use crate::files::{self, FileError};
use crate::metrics::{Measure, Row, Table, TableError};
use crate::printable::ShownPath;

/// A history file of a run in progress.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    /// The columns: those of its header, which an older version may have written. What that version logged and this one
    /// does not stays empty.
    columns: Vec<Option<Measure>>,
    /// Its text so far: a few kilobytes.
    text: String,
}

/// Why a history could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A column that this version does not know.
    #[error(
        "{path}: unknown column {column:?}; a newer version wrote it: resume the run with that version",
        path = .path.shown()
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// It is not the history that the checkpoint was written with.
    #[error(
        "{0} is missing rows, damaged or of another run: it does not fit the checkpoint beside it; \
         restore it from a copy, or remove the run's folder and train again"
    )]
    Torn(PathBuf),
}

impl History {
    /// Begins the history of a run with these columns.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn begin(path: &Path, columns: &[Measure]) -> Result<Self, HistoryError> {
        let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        let columns = columns.iter().copied().map(Some).collect();
        Self::of_text(path, columns, format!("{}\n", names.join(",")))
    }

    /// Resumes the history of a run, whose rows up to the checkpoint have this digest: later rows, whose checkpoint
    /// was never written, are dropped, and so is a last line that a kill cut short.
    ///
    /// # Errors
    /// When the file can't be read or written, does not begin with what has the digest, or a newer version wrote it.
    pub fn resume(path: &Path, digest: &str) -> Result<Self, HistoryError> {
        let text = files::read_text(path)?;
        let ends = text.match_indices('\n').map(|(place, _)| place + 1);
        let kept = ends.map(|end| &text[..end]).find(|kept| sha256(kept.as_bytes()) == digest);
        let kept = kept.ok_or_else(|| HistoryError::Torn(path.to_owned()))?.to_owned();
        let column = |name: &str| {
            let unknown = || HistoryError::Column { path: path.to_owned(), column: name.to_owned() };
            if Measure::is_retired(name) { Ok(None) } else { Measure::named(name).map(Some).ok_or_else(unknown) }
        };
        let header = kept.lines().next().unwrap_or_default();
        let columns = header.split(',').map(column).collect::<Result<_, _>>()?;
        Self::of_text(path, columns, kept)
    }

    fn of_text(path: &Path, columns: Vec<Option<Measure>>, text: String) -> Result<Self, HistoryError> {
        files::replace_text(path, &text)?;
        Ok(Self { path: path.to_owned(), columns, text })
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
        let text = row.line_of(&self.columns);
        let append = || {
            let mut file = OpenOptions::new().append(true).open(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.sync_data()
        };
        append().map_err(FileError::at("write", &self.path))?;
        self.text += &text;
        Ok(())
    }

    /// All rows of a history file; that of a finished trial is checked against its checksum.
    ///
    /// # Errors
    /// When the file can't be read, does not match its checksum or has a damaged row.
    pub fn read(path: &Path) -> Result<Vec<Row>, TableError> {
        Table::read(path, ChecksumPolicy::WithSums)?.measures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Unit;

    fn columns() -> Vec<Measure> {
        Measure::of_history(["weekday", "month"])
    }

    /// A row with a number of its own for every measure.
    fn row(step: u64) -> Row {
        let mut row = Row::default();
        for (place, measure) in columns().into_iter().enumerate() {
            match measure.spec().unit {
                _ if measure == Measure::Step => row.set(measure, step),
                Unit::Text => row.set(measure, "code"),
                Unit::Count => row.set(measure, place),
                Unit::Share | Unit::Distance | Unit::Mass => row.set(measure, 0.5 / (1 + place) as f64),
                _ => row.set(measure, place as f64 + 0.5),
            }
        }
        row
    }

    fn begun(steps: &[u64]) -> (tempfile::TempDir, PathBuf, History) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let mut history = History::begin(&path, &columns()).unwrap();
        steps.iter().for_each(|step| history.append(&row(*step)).unwrap());
        (folder, path, history)
    }

    #[test]
    fn the_header_names_the_measures_in_their_order() {
        let (_folder, path, _) = begun(&[10]);
        let text = files::read_text(&path).unwrap();
        let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        assert_eq!(names[..6], ["step", "epoch", "phase", "phase_since", "beta", "lr"]);
        assert!(text.lines().nth(1).unwrap().starts_with("10,1.5,code,3,4.5,5.5"));
        assert_eq!(History::read(&path).unwrap(), [row(10)]);
    }

    #[test]
    fn a_history_of_an_older_version_is_resumed_with_its_own_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let old = "step,greedy_pass,expected_tv,epoch\n10,0.5,0.1,1.5\n";
        std::fs::write(&path, old).unwrap();
        let mut history = History::resume(&path, &sha256(old.as_bytes())).unwrap();
        history.append(&Row::default().with(Measure::Step, 20u64).with(Measure::GreedyPass, 0.75)).unwrap();
        assert_eq!(files::read_text(&path).unwrap(), format!("{old}20,0.75,,\n"));
        let newer = "step,unheard_of\n10,0.5\n";
        std::fs::write(&path, newer).unwrap();
        let error = History::resume(&path, &sha256(newer.as_bytes())).unwrap_err().to_string();
        assert!(error.contains("history.csv: unknown column \"unheard_of\""), "{error}");
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
        let (short, flipped) = (lines[..2].concat(), whole.replacen("4.5", "4.4", 1));
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
        let text = files::read_text(&path).unwrap().replace("4.5", "three");
        std::fs::write(&path, text).unwrap();
        let error = History::read(&path).unwrap_err().to_string();
        assert!(error.contains("history.csv, row 1, column \"beta\": \"three\""), "{error}");
    }
}
