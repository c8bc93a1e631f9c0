//! Metrics: pass rates, diversity, likelihood and latent diagnostics.
//!
//! Each is one function, used alike in training, evaluation, inspection and reports, for any task. The rows of every
//! condition and their probabilities are known, so these are exact where other benchmarks estimate.

mod bulk;
mod columns;
mod distance;
mod diversity;
mod exact;
mod family;
mod glossary;
mod information;
mod interval;
mod latent;
mod losses;
mod marginal;
mod measure;
mod novelty;
mod parallel;
mod population;
mod reference;
mod registry;
mod row;
mod sampled;
mod summary;
mod table;
mod tally;
mod variety;

pub use bulk::{draw_in_bulk, marginals_in_bulk};
pub use columns::{ColumnShare, column_shares};
pub use distance::{Difference, Distance};
pub use diversity::{
    coverage, distinct, duplicates, entropy, expected_coverage, expected_entropy, expected_tv, rarefied_coverage,
    shannon, tv,
};
pub use exact::{Figure, Part, Weighting};
pub use glossary::{HISTORY_CONDITIONS, glossary};
pub use information::{information, mean_by_row};
pub use interval::half_width;
pub use latent::{LatentUse, Projection, latent_use, latent_use_of, posterior_means, project};
pub use losses::{
    TestTerms, draw_codes, draw_into, marginal_nll, paired_candidates, test_prior_recon, test_prior_recon_on,
    test_terms, test_terms_on,
};
pub use marginal::{Estimate, Marginal, MarginalSummary, marginals, mean_distance};
pub use measure::{Direction, Measure, Source, Spec, Unit, percent};
pub use novelty::Trained;
pub use parallel::Progress;
pub use population::{Met, Outcome, Population, stream_index};
pub use reference::Reference;
pub use row::{CellError, Row, Value};
pub use sampled::{Draws, Scores, decode_condition, draw_samples, tally_drawn, tally_model, unwatched};
pub use summary::{Summary, Worst};
pub use table::{Table, TableError};
pub use tally::{Failures, Tally};
pub use variety::{Variety, change_rate, explained, variety};
