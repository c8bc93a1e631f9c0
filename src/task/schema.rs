//! The columns of a task: which are given, which are generated, in which order, and what their values are called.

use std::sync::Arc;

use super::table::bin_of;

/// One categorical column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name in weights, tables and messages.
    pub name: String,
    /// Names of its values, in order of their index.
    pub values: Arc<[String]>,
    /// Whether the given columns determine it: its head can be narrow.
    pub determined: bool,
    /// Edges of bins, where the values are bins of numbers: the last values, one fewer than edges.
    pub edges: Arc<[f64]>,
}

impl Column {
    /// A column of these values that the given columns do not determine.
    pub fn new(name: &str, values: impl IntoIterator<Item = String>) -> Self {
        Self { name: name.to_owned(), values: values.into_iter().collect(), determined: false, edges: Arc::default() }
    }

    /// Number of values.
    pub fn size(&self) -> usize {
        self.values.len()
    }

    /// The name of a value; empty for one that the column has not.
    pub fn value(&self, index: u16) -> &str {
        self.values.get(usize::from(index)).map_or("", String::as_str)
    }

    /// The index of the value of this name; a number that lies in a bin stands for the bin.
    pub fn find(&self, name: &str) -> Option<u16> {
        let in_bin = || {
            let bin = bin_of(&self.edges, name.parse().ok()?)?;
            Some(self.size() - (self.edges.len() - 1) + bin)
        };
        self.values.iter().position(|value| value == name).or_else(in_bin).map(|index| index as u16)
    }
}

/// How conditions and rows are written on one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notation {
    /// `age=30-39,sex=F`, quoted as in CSV where a name has a comma or a quote in it.
    #[default]
    Named,
    /// `[MON] [DEC] [False] [196]` and `3-12-1962`.
    Dates,
}

/// Given columns, then generated ones in the order of generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// What a condition states.
    pub given: Vec<Column>,
    /// What the model generates, in this order.
    pub generated: Vec<Column>,
    /// How both are written.
    pub notation: Notation,
}

impl Schema {
    /// Columns in named notation.
    pub fn new(given: Vec<Column>, generated: Vec<Column>) -> Self {
        Self { given, generated, notation: Notation::Named }
    }

    /// Number of columns, given and generated.
    pub fn width(&self) -> usize {
        self.given.len() + self.generated.len()
    }

    /// All columns, given ones first.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.given.iter().chain(&self.generated)
    }

    /// Numbers of values, given columns first.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.columns().map(Column::size)
    }
}
