//! A CSV file read by the names of its columns, for those who need a few of them.

use std::path::{Path, PathBuf};

use crate::files::{self, FileError};

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
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
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
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read or is no CSV with a header.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let text = files::read_text(path)?;
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

    /// A column of numbers.
    ///
    /// # Errors
    /// When there is no such column, or something in it is no number.
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>, TableError> {
        let number = |(row, value): (usize, &str)| {
            value.parse().map_err(|_| TableError::Number {
                path: self.path.clone(),
                row: row + 1,
                column: column.to_owned(),
                value: value.to_owned(),
            })
        };
        self.texts(column)?.enumerate().map(number).collect()
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
}
