// Matrix products need it, in one module, which allows it.
#![deny(unsafe_code)]
#![warn(missing_docs)]
//! `cvae`: a research workbench for conditional variational autoencoders.
pub mod analysis;
pub mod checksums;
pub mod cli;
pub mod experiment;
pub mod figures;
pub mod files;
pub mod metrics;
pub mod model;
pub mod printable;
pub mod random;
mod signals;
pub mod task;
pub mod training;

pub use task::dates;
