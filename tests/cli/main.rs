//! The program as a user meets it: commands, files, messages, exit codes.

mod common;
mod compare;
mod damage;
mod data;
mod docs;
mod eval;
mod face;
mod plot;
mod predict;
mod resume;
mod supply;
mod sweep;
mod train;
