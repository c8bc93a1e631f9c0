//! What is generated: schemas of columns, rows of value indices, and the tasks themselves.
//!
//! The model, the engines and training see schemas and rows. Only a task knows what they stand for.

pub mod dates;
mod description;
mod listing;
pub mod network;
mod notation;
mod rows;
mod schema;
mod split;
pub mod suite;
pub mod table;
mod truth;

pub use notation::ConditionError;
pub use rows::{Groups, Rows};
pub use schema::{Column, Notation, Schema};
pub use split::{Part, Split, SplitOptions};
pub use truth::{Kind, Truth};

/// What the home task is called.
pub const DATES: &str = "dates";

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
        Self { name: DATES.to_owned(), truth: dates::truth(&dates::ValidDates::new()) }
    }

    /// The task of this name: dates, or one of the suite.
    pub fn named(name: &str) -> Option<Self> {
        if name == DATES {
            return Some(Self::dates());
        }
        let entry = suite::SUITE.iter().find(|entry| entry.name == name)?;
        Some(Self { name: name.to_owned(), truth: (entry.truth)() })
    }

    /// The names of all tasks that the program knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        [DATES].into_iter().chain(suite::SUITE.iter().map(|entry| entry.name))
    }
}
