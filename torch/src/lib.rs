//! The models of `cvae` in libtorch, for a GPU or a CPU: trials of one shape train as one model with a leading
//! dimension of trials, each with its own weights, data, noise and settings.
//!
//! [`Shape`] says what is trained and how weights lie in a flat slice, [`Trials`] takes steps, [`model`] is the model.

mod data;
pub mod decoder;
pub mod engine;
mod kernels;
pub mod layout;
mod lean;
pub mod model;
mod random;
pub mod step;
pub mod synthetic;

pub use data::{Data, PairedData, PriorData, RandomData, Settings};
pub use kernels::{allow_tf32, peak_memory};
pub use layout::{Column, Heads, Shape, Trunk};
pub use step::Trials;
