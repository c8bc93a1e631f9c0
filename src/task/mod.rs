//! What is generated: schemas of columns, rows of value indices, and the tasks themselves.
//!
//! The model, the engines and training see schemas and rows. Only a task knows what they stand for.

pub mod dates;
mod rows;
mod schema;

pub use rows::{Groups, Rows};
pub use schema::{Column, Schema};
