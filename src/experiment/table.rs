//! A CSV file read by the names of its columns, for those who need a few of them.

use std::path::{Path, PathBuf};

use crate::checksums::{self, ChecksumError, Demand};

/// A CSV file in memory.
#[derive(Clone, Debug)]
pub struct Table {
    path: PathBuf,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Why a table can't be read, or lacks what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file could not be read, or is not as it was written.
    #[error(transparent)]
    Checksum(#[from] ChecksumError),
    /// The file is no CSV.
    #[error("{path}: {reason}; restore the file, or remove it and run the trial again")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A column is missing.
    #[error(
        "{path}: no column {column:?}; it was edited or written by another version: run the trial again, or restore the file"
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A value is no number.
    #[error("{path}, row {row}, column {column:?}: {value:?} is no number; restore the file, or run the trial again")]
    Number {
        /// The file.
        path: PathBuf,
        /// The row, from 1 below the header.
        row: usize,
        /// The column.
        column: String,
        /// What stands there.
        value: String,
    },
    /// A number is none that a run could come to.
    #[error("{path}, row {row}, column {column:?}: {value} is {fault}; restore the file, or run the trial again")]
    Impossible {
        /// The file.
        path: PathBuf,
        /// The row, from 1 below the header.
        row: usize,
        /// The column.
        column: String,
        /// What stands there.
        value: f64,
        /// Why it can't be.
        fault: &'static str,
    },
    /// A row says otherwise than the trial's own files.
    #[error(
        "{path}: {column:?} of {trial} is {found:?} there and {expected:?} in its folder; the table is damaged, was \
         edited or is older than the trial: remove it, and cvae compare FOLDER --csv or cvae sweep makes it anew"
    )]
    Stale {
        /// The file.
        path: PathBuf,
        /// The trial.
        trial: String,
        /// The column.
        column: String,
        /// What stands there.
        found: String,
        /// What the trial's folder says.
        expected: String,
    },
}

/// A loss of a run that diverged may grow without end; what is larger than this counts as infinite.
const HIGHEST: f64 = 1e30;
/// Nats, rates, steps and seconds: none is negative, but for estimates a little below 0.
const LOWEST: f64 = -1000.0;

impl Table {
    /// Reads a file; where its folder has checksums, it must match its own.
    ///
    /// # Errors
    /// When it can't be read, is not as it was written, or is no CSV with a header.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let text = checksums::read_text(path, Demand::WithSums)?;
        let damaged = |error: csv::Error| TableError::Format { path: path.to_owned(), reason: error.to_string() };
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().map_err(damaged)?.iter().map(str::to_owned).collect();
        let rows = reader.records().map(|record| Ok(record.map_err(damaged)?.iter().map(str::to_owned).collect()));
        Ok(Self { path: path.to_owned(), header, rows: rows.collect::<Result<_, TableError>>()? })
    }

    /// The columns' names.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it has this column.
    pub fn has(&self, column: &str) -> bool {
        self.header.iter().any(|name| name == column)
    }

    /// A table of this one's row alone.
    pub fn row(&self, row: usize) -> Self {
        Self {
            path: self.path.clone(),
            header: self.header.clone(),
            rows: self.rows.get(row).cloned().into_iter().collect(),
        }
    }

    /// A column's values as they stand there.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn texts(&self, column: &str) -> Result<impl Iterator<Item = &str>, TableError> {
        let place = self.header.iter().position(|name| name == column);
        let place = place.ok_or_else(|| TableError::Column { path: self.path.clone(), column: column.to_owned() })?;
        Ok(self.rows.iter().map(move |row| row[place].as_str()))
    }

    /// A column of numbers; those of a loss that grew beyond all bounds are infinite.
    ///
    /// # Errors
    /// When there is no such column, or something in it is no number, or none that it could hold.
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>, TableError> {
        let number = |(row, text): (usize, &str)| {
            let (path, row, column) = (self.path.clone(), row + 1, column.to_owned());
            let Ok(value) = text.parse::<f64>() else {
                return Err(TableError::Number { path, row, column, value: text.to_owned() });
            };
            match impossible(&column, value) {
                Some(fault) => Err(TableError::Impossible { path, row, column, value, fault }),
                None if value > HIGHEST => Ok(f64::INFINITY),
                None => Ok(value),
            }
        };
        self.texts(column)?.enumerate().map(number).collect()
    }
}

/// Why a column can't hold a number, where it can't. NaN stands for what was not measured.
fn impossible(column: &str, value: f64) -> Option<&'static str> {
    let share = ["_pass", "_coverage", "_valid_date", "_tv"].iter().any(|part| column.contains(part));
    match value {
        value if value.is_nan() => None,
        value if share && !(-1e-9..=1.0 + 1e-9).contains(&value) => Some("no share from 0 to 1"),
        value if value < LOWEST => Some("lower than any figure of a run"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "beta,name\ninf,a\n0.5,b\n").unwrap();
        let table = Table::read(&path).unwrap();
        assert_eq!(table.numbers("beta").unwrap(), [f64::INFINITY, 0.5]);
        assert_eq!(table.row(1).texts("name").unwrap().collect::<Vec<_>>(), ["b"]);
        let error = table.numbers("kl").unwrap_err().to_string();
        assert!(error.contains("a.csv: no column \"kl\""), "{error}");
        let error = table.numbers("name").unwrap_err().to_string();
        assert!(error.contains("row 1, column \"name\": \"a\" is no number"), "{error}");
        std::fs::write(&path, "a,b\n1\n").unwrap();
        assert!(Table::read(&path).unwrap_err().to_string().contains("restore the file"));
    }

    #[test]
    fn numbers_that_no_run_could_come_to_are_refused_and_endless_losses_are_infinite() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let numbers = |column: &str, value: &str| {
            std::fs::write(&path, format!("{column}\n{value}\n")).unwrap();
            Table::read(&path).unwrap().numbers(column).map_err(|error| error.to_string())
        };
        for (column, value) in
            [("test_kl", "-0.001"), ("greedy_pass", "1"), ("greedy_tv_held_out", "0"), ("lr", "1e-9")]
        {
            assert_eq!(numbers(column, value), Ok(vec![value.parse().unwrap()]), "{column}");
        }
        assert!(numbers("greedy_pass_held_out", "NaN").unwrap()[0].is_nan());
        assert_eq!(numbers("test_loss", "1e308"), Ok(vec![f64::INFINITY]));
        for (column, value, fault) in [
            ("greedy_pass", "-1e308", "no share from 0 to 1"),
            ("sampled_coverage", "1.01", "no share from 0 to 1"),
            ("test_kl", "-1e308", "lower than any figure of a run"),
            ("test_recon", "-inf", "lower than any figure of a run"),
        ] {
            let error = numbers(column, value).unwrap_err();
            assert!(error.contains(fault) && error.contains(&format!("row 1, column {column:?}")), "{error}");
        }
    }

    #[test]
    fn a_table_beside_checksums_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "a\n1\n").unwrap();
        checksums::write(folder.path(), &[], ("a.csv", b"a\n1\n")).unwrap();
        assert_eq!(Table::read(&path).unwrap().numbers("a").unwrap(), [1.0]);
        std::fs::write(&path, "a\n2\n").unwrap();
        assert!(matches!(Table::read(&path), Err(TableError::Checksum(ChecksumError::Damaged { .. }))));
    }
}
