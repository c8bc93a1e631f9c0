//! The columns of a task: which are given, which are generated, and in which order.

/// One categorical column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in weights, tables and messages.
    pub name: String,
    /// Number of values.
    pub size: usize,
    /// Whether the given columns determine it: its head can be narrow.
    pub determined: bool,
}

impl Column {
    /// A column of so many values that the given columns do not determine.
    pub fn new(name: &str, size: usize) -> Self {
        Self { name: name.to_owned(), size, determined: false }
    }
}

/// Given columns, then generated ones in the order of generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// What a condition states.
    pub given: Vec<Column>,
    /// What the model generates, in this order.
    pub generated: Vec<Column>,
}

impl Schema {
    /// Number of columns, given and generated.
    pub fn width(&self) -> usize {
        self.given.len() + self.generated.len()
    }

    /// Numbers of values, given columns first.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.given.iter().chain(&self.generated).map(|column| column.size)
    }
}
