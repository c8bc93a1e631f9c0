//! Metrics: pass rates, diversity, likelihood and latent diagnostics.
//!
//! Each is one function, used alike in training, evaluation, inspection and reports. The valid dates of
//! every condition are known, so these are exact where other benchmarks estimate.

mod diversity;
mod glossary;
mod information;
mod interval;
mod latent;
mod likelihood;
mod losses;
mod marginal;
mod measure;
mod novelty;
mod parallel;
mod reference;
mod registry;
mod row;
mod sampled;
mod summary;
mod table;
mod tally;
mod variety;

pub use diversity::{
    coverage, distinct, duplicates, entropy, expected_coverage, expected_entropy, expected_tv, shannon, tv,
};
pub use glossary::glossary;
pub use information::{information, mean_by_date};
pub use interval::half_width;
pub use latent::{LatentUse, Projection, latent_use, posterior_means, project};
pub use likelihood::{ConditionNll, Likelihood, likelihood};
pub use losses::{TestTerms, draw_codes, paired_candidates, test_prior_recon, test_terms};
pub use marginal::{Estimate, Marginal, MarginalSummary, Weighting, marginals};
pub use measure::{Direction, Source, Spec, Unit, percent};
pub use novelty::Trained;
pub use parallel::Progress;
pub use reference::Reference;
pub use registry::Measure;
pub use row::{CellError, Row, Value};
pub use sampled::{Draws, Scores, decode_condition, draw_samples, tally_drawn, tally_model, unwatched};
pub use summary::{Summary, Worst};
pub use table::{Table, TableError};
pub use tally::{Failures, Tally};
pub use variety::{Variety, change_rate, explained, variety};
