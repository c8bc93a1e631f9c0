//! The program as a user meets it: commands, files, messages, exit codes.

mod baselines;
mod common;
mod compare;
mod continuation;
mod damage;
mod data;
mod docs;
mod eval;
mod face;
mod launchers;
mod messages;
mod migrate;
mod page;
mod plot;
mod predict;
mod provenance;
mod resume;
mod shipped;
mod signals;
mod streams;
mod supply;
mod sweep;
mod tasks;
mod terminal;
mod train;
mod watch;
