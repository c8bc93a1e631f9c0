//! What is measured of a model during training and at its end: one function for both.

use crate::dates::{Condition, Split, ValidDates};
use crate::metrics::{Dataset, LatentUse, Scores, TestTerms, latent_use, tally_model, test_terms};
use crate::model::{Decode, Model};

/// Metrics of a model at one moment.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Losses on the test dates.
    pub test: TestTerms,
    /// Use of the latent dimensions on the test dates.
    pub latent: LatentUse,
    /// Greedy decoding over all satisfiable conditions.
    pub greedy: Scores,
    /// Greedy decoding over the held-out conditions, where there are any.
    pub greedy_held_out: Option<Scores>,
    /// Categorical decoding at temperature 1 over all satisfiable conditions.
    pub sampled: Scores,
    /// The same over the held-out conditions.
    pub sampled_held_out: Option<Scores>,
}

/// Measures a model with so many samples of each condition; `progress` is told the share that is done.
pub fn evaluate(
    model: &Model,
    valid: &ValidDates,
    split: &Split,
    test: &Dataset,
    samples: usize,
    seed: u64,
    mut progress: impl FnMut(f64),
) -> Option<Evaluation> {
    let conditions = valid.conditions();
    let held_out: std::collections::HashSet<Condition> = split.held_out.iter().copied().collect();
    let mut scores = |decode, part: f64| {
        let of = |done: usize| part + 0.5 * done as f64 / conditions.len() as f64;
        let tallies = tally_model(model, valid, &conditions, samples, decode, seed, |done| progress(of(done)));
        let all = Scores::of(&tallies);
        let tallies: Vec<_> = tallies.into_iter().filter(|tally| held_out.contains(&tally.condition)).collect();
        (all, Scores::of(&tallies))
    };
    let (greedy, greedy_held_out) = scores(Decode::Greedy, 0.0);
    let (sampled, sampled_held_out) = scores(Decode::Sample { temperature: 1.0 }, 0.5);
    Some(Evaluation {
        test: test_terms(model, test, seed),
        latent: latent_use(model, test),
        greedy: greedy?,
        greedy_held_out,
        sampled: sampled?,
        sampled_held_out,
    })
}
