//! What is measured of a model during training and at its end: one function for both.

use std::cell::Cell;
use std::ops::ControlFlow;

use super::config::{EvaluationConfig, Objective};
use crate::dates::{Condition, Split, ValidDates};
use crate::metrics::{
    Dataset, Groups, LatentUse, Likelihood, Scores, TestTerms, information, latent_use, likelihood, mean_by_date,
    tally_model, test_prior_recon, test_terms,
};
use crate::model::{Decode, Model};

/// Metrics of a model at one moment.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Losses on the test dates.
    pub test: TestTerms,
    /// The hybrid term on the test dates, paired as in training, nats.
    pub test_prior_recon: f64,
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
    /// What takes longest and is measured at the end only.
    pub code: Option<Code>,
}

/// How likely the test dates are, and what their code carries.
#[derive(Clone, Debug)]
pub struct Code {
    /// -log p(date | condition) of the test dates.
    pub likelihood: Likelihood,
    /// Mutual information I(z; date | condition), mean over the test dates, nats.
    pub information: f64,
}

/// The test dates, ready for a model.
#[derive(Debug)]
pub struct TestData<'a> {
    /// All valid dates.
    pub valid: &'a ValidDates,
    /// What is held out.
    pub split: &'a Split,
    /// The held-out dates.
    pub dates: Dataset,
    /// The same by condition.
    pub groups: Groups,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Samples of each condition.
    pub samples: usize,
    /// Draws of z for each test date in the likelihood; 0 leaves [`Code`] out.
    pub importance: u32,
}

impl Effort {
    /// What a config asks for during training, or at the end.
    pub fn of(config: &EvaluationConfig, end: bool) -> Self {
        if end {
            Self { samples: config.final_samples, importance: config.importance }
        } else {
            Self { samples: config.samples, importance: 0 }
        }
    }
}

/// Draws of z for each date in the mutual information.
const INFORMATION_DRAWS: i64 = 16;

/// Measures a model; `progress` is told the share that is done, several times a second, and may ask for an early end:
/// then there is nothing.
pub fn evaluate(
    model: &Model,
    data: &TestData<'_>,
    objective: &Objective,
    effort: Effort,
    seed: u64,
    mut progress: impl FnMut(f64) -> ControlFlow<()>,
) -> Option<Evaluation> {
    let TestData { valid, split, dates, groups } = data;
    let conditions = valid.conditions();
    let held_out: std::collections::HashSet<Condition> = split.held_out.iter().copied().collect();
    // Each decoding, and the likelihood where it is asked for, is taken for an equal part of the work.
    let parts = if effort.importance > 0 { 3.0 } else { 2.0 };
    let stopped = Cell::new(false);
    let mut progress = |share| {
        let answer = progress(share);
        stopped.set(stopped.get() || answer.is_break());
        answer
    };
    let mut scores = |decode, part: f64| {
        let of = |done: usize| (part + done as f64 / conditions.len() as f64) / parts;
        let tallies = tally_model(model, valid, &conditions, effort.samples, decode, seed, |done| progress(of(done)));
        let all = Scores::of(&tallies);
        let tallies: Vec<_> = tallies.into_iter().filter(|tally| held_out.contains(&tally.condition)).collect();
        (!stopped.get()).then_some((all?, Scores::of(&tallies)))
    };
    let (greedy, greedy_held_out) = scores(Decode::Greedy, 0.0)?;
    let (sampled, sampled_held_out) = scores(Decode::Sample { temperature: 1.0 }, 1.0)?;
    let code = match effort.importance {
        0 => None,
        samples => {
            let of = |done: usize| (2.0 + done as f64 / groups.len as f64) / parts;
            let likelihood = likelihood(model, valid, &split.test, i64::from(samples), seed, |done| progress(of(done)));
            let likelihood = likelihood.filter(|_| !stopped.get())?;
            let tested: Vec<Condition> = likelihood.conditions.iter().map(|part| part.condition).collect();
            let nats = information(model, valid, &tested, INFORMATION_DRAWS, seed);
            Some(Code { information: mean_by_date(valid, &nats), likelihood })
        }
    };
    Some(Evaluation {
        test: test_terms(model, dates, seed),
        test_prior_recon: test_prior_recon(model, dates, groups, (objective.pairing, objective.codes), seed),
        latent: latent_use(model, dates),
        greedy,
        greedy_held_out,
        sampled,
        sampled_held_out,
        code,
    })
}
