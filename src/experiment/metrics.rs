//! metrics.csv: the final row of a finished trial.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::checksums::{self, ChecksumError, ChecksumPolicy};
use crate::files::{self, FileError};
use crate::metrics::{Measure, Row, Table, TableError};
use crate::printable::ShownPath;
use crate::training::{Evaluation, Phase};

/// The final metrics of a trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Row);

/// Why metrics could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its checksum.
    #[error(transparent)]
    Checksum(#[from] ChecksumError),
    /// Its cells.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The file is damaged.
    #[error(
        "{path}: {reason}; another version wrote it or it was edited, remove it and run the trial again",
        path = .path.shown()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Deref for Metrics {
    type Target = Row;

    fn deref(&self) -> &Row {
        &self.0
    }
}

impl From<Row> for Metrics {
    fn from(row: Row) -> Self {
        Self(row)
    }
}

impl Metrics {
    /// The metrics of a finished run.
    pub fn new(phase: Phase, train_seconds: f64, test_entropy_floor: f64, evaluation: &Evaluation) -> Self {
        let row = evaluation.row().with(Measure::Phase, phase.name()).with(Measure::TrainSeconds, train_seconds);
        Self(row.with(Measure::TestEntropyFloor, test_entropy_floor))
    }

    /// Writes the row with its header, after the checksums of the folder's other files, `names`, and its own.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write(&self, path: &Path, names: &[&str]) -> Result<(), MetricsError> {
        let columns = columns_of([&self.0]);
        let header: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        let bytes = format!("{}\n{}", header.join(","), self.0.line(&columns)).into_bytes();
        let (folder, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
        // This file comes last: its presence says that the trial is finished and the others are whole.
        checksums::write(folder, names, (&name.to_string_lossy(), &bytes))?;
        files::replace(path, |partial| std::fs::write(partial, &bytes))?;
        Ok(())
    }

    /// Reads what [`Metrics::write`] wrote.
    ///
    /// # Errors
    /// When the file can't be read, does not match its checksum or has none.
    pub fn read(path: &Path) -> Result<Self, MetricsError> {
        Self::read_with(path, ChecksumPolicy::Always)
    }

    /// Reads metrics whose checksum is demanded like this.
    ///
    /// # Errors
    /// As [`Metrics::read`].
    pub(super) fn read_with(path: &Path, demand: ChecksumPolicy) -> Result<Self, MetricsError> {
        let rows = Table::read(path, demand)?.measures()?;
        let damaged = |reason: &str| MetricsError::Format { path: path.to_owned(), reason: reason.to_owned() };
        let row = rows.into_iter().next().ok_or_else(|| damaged("it has no row"))?;
        // Every version has logged it.
        if row.has(Measure::GreedyPass) { Ok(Self(row)) } else { Err(damaged("it has no column greedy_pass")) }
    }
}

/// The columns of metrics.csv, and those of given columns that one of these rows has.
pub(super) fn columns_of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<Measure> {
    let mut columns = Measure::of_metrics([]);
    for measure in rows.into_iter().flat_map(Row::measures) {
        if measure.is_of_column() && !columns.contains(&measure) {
            columns.push(measure);
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_as_they_were_written_and_older_ones_lack_what_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let row = Row::default().with(Measure::GreedyPass, 0.5).with(Measure::Phase, "match");
        let metrics = Metrics::from(row.with(Measure::ActiveUnits, 7u64));
        metrics.write(&path, &[]).unwrap();
        assert_eq!(Metrics::read(&path).unwrap(), metrics);
        std::fs::write(&path, "greedy_pass,a_column_of_a_newer_version\n0.5,1\n").unwrap();
        let older = Metrics::read_with(&path, ChecksumPolicy::Listed);
        assert!(older.is_err(), "its checksum is another one");
        std::fs::remove_file(folder.path().join(checksums::SUMS)).unwrap();
        let older = Metrics::read_with(&path, ChecksumPolicy::WithSums).unwrap();
        assert!(older.number(Measure::GreedyPass) == 0.5 && !older.has(Measure::TestMi));
        std::fs::write(&path, "greedy_pass\n").unwrap();
        let error = Metrics::read_with(&path, ChecksumPolicy::WithSums).unwrap_err().to_string();
        assert!(error.contains("metrics.csv: it has no row"), "{error}");
    }
}
