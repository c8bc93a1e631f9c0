//! The program as a user meets it: commands, files, messages, exit codes.

mod common;
mod data;
mod docs;
mod eval;
mod plot;
mod predict;
mod resume;
mod sweep;
mod train;
