//! What is generated: schemas of columns, rows of value indices, and the tasks themselves.
//!
//! The model, the engines and training see schemas and rows. Only a task knows what they stand for.

pub mod dates;
mod rows;
mod schema;
mod truth;

pub use rows::{Groups, Rows};
pub use schema::{Column, ConditionError, Notation, Schema};
pub use truth::{Kind, Truth};

/// A task: what it is called, and the truth about it.
#[derive(Clone, Debug)]
pub struct Task {
    /// As configs and messages call it.
    pub name: String,
    /// The rows of every condition, with the columns.
    pub truth: Truth,
}

impl Task {
    /// The home task: every date with the condition that it meets.
    pub fn dates() -> Self {
        Self { name: "dates".to_owned(), truth: dates::truth(&dates::ValidDates::new()) }
    }
}
