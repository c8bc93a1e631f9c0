//! A CSV file read by the names of its columns.

use std::path::{Path, PathBuf};

use super::measure::Measure;
use super::row::{CellError, Row};
use crate::checksums::{self, ChecksumError, ChecksumPolicy};
use crate::printable::ShownPath;

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
    /// The file is not CSV.
    #[error("{path}: {reason}; restore the file, or remove it and run the trial again", path = .path.shown())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A column is missing.
    #[error(
        "{path}: no column {column:?}; it was edited or written by another version: run the trial again, or restore the file",
        path = .path.shown()
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A value does not fit its column.
    #[error(
        "{path}, row {row}, column {column:?}: {fault}; restore the file, or run the trial again",
        path = .path.shown()
    )]
    Cell {
        /// The file.
        path: PathBuf,
        /// The row, from 1 below the header.
        row: usize,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        fault: CellError,
    },
    /// A row says otherwise than the trial's own files.
    #[error(
        "{path}: {column:?} of {trial} is {found:?} there and {expected:?} in its folder; the table is damaged, was \
         edited or is older than the trial: remove it, and cvae compare FOLDER --csv or cvae sweep makes it again",
        path = .path.shown()
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

impl Table {
    /// Reads a file, whose checksum is demanded like this.
    ///
    /// # Errors
    /// When it can't be read, does not match its checksum, or is not CSV with a header.
    pub fn read(path: &Path, demand: ChecksumPolicy) -> Result<Self, TableError> {
        Self::parse(path, &checksums::read_text(path, demand)?)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it is not CSV with a header.
    pub fn parse(path: &Path, text: &str) -> Result<Self, TableError> {
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

    /// The rows as values of the measures that its columns are named after; other columns are left out. Earlier versions
    /// logged total variations with the noise of sampling in them, and that noise: it is removed in quadrature.
    ///
    /// # Errors
    /// When a cell does not fit its measure.
    pub fn measures(&self) -> Result<Vec<Row>, TableError> {
        let columns: Vec<(usize, Measure)> =
            self.header.iter().enumerate().filter_map(|(place, name)| Some((place, Measure::named(name)?))).collect();
        let noise = self.header.iter().position(|name| name == "expected_tv");
        let read = |(number, cells): (usize, &Vec<String>)| {
            let mut row = Row::default();
            for (place, measure) in &columns {
                row.read(*measure, &cells[*place]).map_err(|fault| TableError::Cell {
                    path: self.path.clone(),
                    row: number + 1,
                    column: measure.name(),
                    fault,
                })?;
            }
            if let Some(noise) = noise.and_then(|place| cells[place].parse::<f64>().ok()) {
                for measure in [Measure::GreedyTv, Measure::GreedyTvValidation] {
                    if row.has(measure) {
                        row.set(measure, (row.number(measure).powi(2) - noise * noise).max(0.0).sqrt());
                    }
                }
            }
            Ok(row)
        };
        self.rows.iter().enumerate().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_what_is_wrong_is_named() {
        let path = Path::new("a.csv");
        let table = Table::parse(path, "beta,name,step\ninf,a,1\n0.5,b,2\n").unwrap();
        let rows = table.measures().unwrap();
        assert_eq!([0, 1].map(|row| rows[row].number(Measure::Beta)), [f64::INFINITY, 0.5]);
        assert!(rows[1].count(Measure::Step) == 2 && !rows[0].has(Measure::TestKl));
        assert_eq!(table.row(1).texts("name").unwrap().collect::<Vec<_>>(), ["b"]);
        let error = table.texts("kl").err().unwrap().to_string();
        assert!(error.contains("a.csv: no column \"kl\""), "{error}");
        let damaged = Table::parse(path, "step,greedy_pass\n1,0.5\n2,1.5\n").unwrap().measures();
        let error = damaged.unwrap_err().to_string();
        assert!(error.contains("a.csv, row 2, column \"greedy_pass\": 1.5 is not between 0 and 1"), "{error}");
        assert!(Table::parse(path, "a,b\n1\n").unwrap_err().to_string().contains("restore the file"));
    }

    #[test]
    fn noise_is_removed_from_distances_of_earlier_versions_and_what_is_gone_is_left_out() {
        let text = "greedy_tv,expected_tv,greedy_tv_held_out,test_nll_gap\n0.5,0.3,0.2,0.01\n";
        let row = Table::parse(Path::new("a.csv"), text).unwrap().measures().unwrap().remove(0);
        assert!((row.number(Measure::GreedyTv) - 0.4).abs() < 1e-12);
        assert_eq!((row.number(Measure::GreedyTvValidation), row.measures().count()), (0.0, 2));
    }

    #[test]
    fn a_table_beside_checksums_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "beta\n1\n").unwrap();
        checksums::write(folder.path(), &[], ("a.csv", b"beta\n1\n")).unwrap();
        let read = || Table::read(&path, ChecksumPolicy::WithSums);
        assert_eq!(read().unwrap().measures().unwrap()[0].number(Measure::Beta), 1.0);
        std::fs::write(&path, "beta\n2\n").unwrap();
        assert!(matches!(read(), Err(TableError::Checksum(ChecksumError::Damaged { .. }))));
    }
}
