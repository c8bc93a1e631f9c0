//! Tables: the schema and the truth of a file of categories, CSV or Parquet.

mod bins;
mod coding;
mod columns;
mod pages;
mod parquet;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Column, Kind, Rows, Schema, Truth};
use crate::files::FileError;

pub use bins::{bin_of, labels};
pub use coding::Coder;
use columns::Raw;
pub(crate) use read::open as open_csv;
pub use read::{NOT_UTF8, Records};

/// Integers of more different values than this are refused unless they are binned.
pub const MOST_INTEGERS: usize = 100;
/// The same for numbers with a fraction.
pub const MOST_REALS: usize = 20;
/// Names of more different values than this are refused.
pub const MOST_NAMES: usize = 5000;

/// Which columns of a table play which part.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// Given columns, in this order.
    pub given: Vec<String>,
    /// Generated columns, in this order; all others in the order of the file where none are named.
    pub generate: Vec<String>,
    /// The column of weights, if any.
    pub weight: Option<String>,
    /// Numbers of bins, by column; 0 keeps every value of the column apart.
    pub bins: BTreeMap<String, u32>,
}

/// Why a table gives no task. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The table as a whole, or one of its rows.
    #[error("{}{}: {problem}", path.display(), if *line == 0 { String::new() } else { format!(":{line}") })]
    Format {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1; 0 for the whole file.
        line: u64,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// Columns that can't be used as they are.
    #[error("{}: {}", path.display(), problems.join("\n"))]
    Columns {
        /// The file.
        path: PathBuf,
        /// One sentence for each column.
        problems: Vec<String>,
    },
    /// A list of columns that the table does not have so.
    #[error("{key}: {problem}")]
    Option {
        /// The option.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads a table with a header.
///
/// # Errors
/// When the file is no table, or its columns can't be used as the options say: with line, column and remedy.
pub fn load(path: &Path, options: &TableOptions, kind: Kind) -> Result<Truth, TableError> {
    read(open_csv(path)?, path, options, kind)
}

/// Reads a table from any source; `path` is for messages.
///
/// # Errors
/// As [`load`].
pub fn read(source: impl std::io::Read, path: &Path, options: &TableOptions, kind: Kind) -> Result<Truth, TableError> {
    let raw = Raw::read(source, path, options)?;
    let parts = Parts::of(&raw.names, options)?;
    let mut problems = Vec::new();
    let mut columns = Vec::new();
    for place in parts.given.iter().chain(&parts.generated) {
        match raw.column(*place, options.bins.get(&raw.names[*place]).copied()) {
            Ok(column) => columns.push(column),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(TableError::Columns { path: path.to_owned(), problems });
    }
    let width = columns.len();
    let mut rows = Rows::new(width);
    let mut row = vec![0; width];
    for number in 0..raw.rows {
        row.iter_mut().zip(&columns).for_each(|(value, column)| *value = column.codes[number]);
        rows.push(&row);
    }
    let mut columns: Vec<Column> = columns.into_iter().map(|column| column.column).collect();
    let generated = columns.split_off(parts.given.len());
    let truth = Truth::new(Schema::new(columns, generated), &rows, raw.weights.as_deref(), kind);
    if truth.is_empty() {
        let problem = "no row has a weight above 0".to_owned();
        return Err(TableError::Format { path: path.to_owned(), line: 0, problem });
    }
    Ok(truth)
}

/// Places of the given and of the generated columns.
struct Parts {
    given: Vec<usize>,
    generated: Vec<usize>,
}

impl Parts {
    fn of(names: &[String], options: &TableOptions) -> Result<Self, TableError> {
        let mut taken: Vec<usize> = Vec::new();
        if let Some(weight) = &options.weight {
            taken.push(place(names, "weight", weight)?);
        }
        let mut places = |key: &'static str, wanted: &[String]| -> Result<Vec<usize>, TableError> {
            wanted
                .iter()
                .map(|name| {
                    let place = place(names, key, name)?;
                    if taken.contains(&place) {
                        let problem = format!("the column {name:?} is named twice among given, generate and weight");
                        return Err(TableError::Option { key, problem });
                    }
                    taken.push(place);
                    Ok(place)
                })
                .collect()
        };
        let given = places("given", &options.given)?;
        let mut generated = places("generate", &options.generate)?;
        if given.is_empty() {
            let problem = format!("name the columns that are given; the table has {}", names.join(", "));
            return Err(TableError::Option { key: "given", problem });
        }
        if generated.is_empty() {
            // pandas writes the numbers of rows into Parquet as a column of this name.
            let is_index = |place: &usize| names[*place].starts_with("__index_level_");
            generated = (0..names.len()).filter(|place| !taken.contains(place) && !is_index(place)).collect();
        }
        if generated.is_empty() {
            let problem = "no column is left to generate; name fewer in given".to_owned();
            return Err(TableError::Option { key: "generate", problem });
        }
        for name in options.bins.keys() {
            place(names, "bins", name)?;
        }
        Ok(Self { given, generated })
    }
}

/// The place of a column.
fn place(names: &[String], key: &'static str, name: &str) -> Result<usize, TableError> {
    names.iter().position(|known| known == name).ok_or_else(|| {
        const SHOWN: usize = 20;
        let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
        let known = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        TableError::Option { key, problem: format!("the table has no column {name:?}; it has {known}{more}") }
    })
}
