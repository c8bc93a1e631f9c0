//! Metrics: pass rates, diversity, likelihood and latent diagnostics.
//!
//! Each is one function, used alike in training, evaluation, inspection and reports. The valid dates of
//! every condition are known, so these are exact where other benchmarks estimate.

mod dataset;
mod diversity;
mod information;
mod interval;
mod latent;
mod likelihood;
mod novelty;
mod reference;
mod sampled;
mod summary;
mod tally;
mod variety;
mod warning;
mod workers;

pub use dataset::{Dataset, Groups, TestTerms, test_prior_recon, test_terms};
pub use diversity::{
    coverage, distinct, duplicates, entropy, expected_coverage, expected_entropy, expected_tv, shannon, tv,
};
pub use information::{information, mean_by_date};
pub use interval::half_width;
pub use latent::{LatentUse, Projection, latent_use, posterior_means, project};
pub use likelihood::{ConditionNll, Likelihood, likelihood};
pub use novelty::Trained;
pub use reference::Reference;
pub use sampled::{Scores, draw_samples, tally_model};
pub use summary::{Summary, Worst};
pub use tally::{Failures, Tally};
pub use variety::{Variety, change_rate, explained, variety};
pub use warning::{Figures, Warning, warnings};
pub use workers::{Answer, alone};
