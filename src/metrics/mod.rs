//! Metrics: pass rates, diversity, likelihood and latent diagnostics.
//!
//! Each is one function, used alike in training, evaluation, inspection and reports. The valid dates of
//! every condition are known, so these are exact where other benchmarks estimate.

mod dataset;
mod diversity;
mod latent;
mod sampled;
mod summary;
mod tally;
mod workers;

pub use dataset::{Dataset, TestTerms, test_terms};
pub use diversity::{coverage, expected_coverage, expected_tv, tv};
pub use latent::{LatentUse, latent_use};
pub use sampled::{Scores, draw_samples, tally_model};
pub use summary::{Summary, Worst};
pub use tally::{Failures, Tally};
