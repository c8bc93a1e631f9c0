//! What is measured of a model during training and at its end: one function for both.

use std::ops::ControlFlow;

use rand::RngExt;

use super::config::{EvaluationConfig, Objective};
use crate::dates::{Condition, Split, ValidDates};
use crate::metrics::{
    Draws, LatentUse, Likelihood, Scores, TestTerms, information, latent_use, likelihood, mean_by_date, tally_drawn,
    tally_model, test_prior_recon, test_terms,
};
use crate::model::{BulkDecoder, Decode, EngineError, Model};
use crate::random::{Purpose, stream};
use crate::task::{Groups, Rows, dates};

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
    /// The held-out rows.
    pub rows: Rows,
    /// The same by condition.
    pub groups: Groups,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct EvalBudget {
    /// Samples of each condition.
    pub samples: usize,
    /// Draws of z for each test date in the likelihood; 0 leaves [`Code`] out.
    pub importance: u32,
    /// Threads.
    pub threads: usize,
}

impl EvalBudget {
    /// What a config asks for during training, or at the end.
    pub fn of(config: &EvaluationConfig, end: bool, threads: usize) -> Self {
        if end {
            Self { samples: config.final_samples, importance: config.importance, threads }
        } else {
            Self { samples: config.samples, importance: 0, threads }
        }
    }
}

/// Draws of z for each row in the mutual information.
const INFORMATION_DRAWS: usize = 16;

/// Rows drawn by a [`BulkDecoder`] for all conditions that can be met.
#[derive(Debug)]
pub struct Drawn {
    greedy: Rows,
    sampled: Rows,
}

impl Drawn {
    /// Draws what [`evaluate`] needs; a condition's rows depend on the seed alone.
    ///
    /// # Errors
    /// When the device fails.
    pub fn new(
        decoder: &dyn BulkDecoder,
        valid: &ValidDates,
        budget: EvalBudget,
        seed: u64,
    ) -> Result<Self, EngineError> {
        let conditions = valid.conditions();
        let (mut asked, mut seeds) = (Rows::new(dates::schema().given.len()), Vec::with_capacity(conditions.len()));
        for condition in conditions {
            asked.push(&condition.row());
            seeds.push(stream(seed, Purpose::Samples, condition.index() as u64).random());
        }
        let draw = |decode| decoder.draw(&asked, &seeds, budget.samples, decode);
        Ok(Self { greedy: draw(Decode::Greedy)?, sampled: draw(Decode::Sample { temperature: 1.0 })? })
    }
}

/// Measures a model, from rows that were drawn already or from its own; none where the progress, told the share that is done, asked for an end.
pub fn evaluate(
    model: &Model,
    data: &TestData<'_>,
    objective: &Objective,
    (budget, drawn): (EvalBudget, Option<&Drawn>),
    seed: u64,
    progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Option<Evaluation> {
    let TestData { valid, split, rows, groups } = data;
    let conditions = valid.conditions();
    let held_out: std::collections::HashSet<Condition> = split.held_out.iter().copied().collect();
    // Each decoding, and the likelihood where it is asked for, counts as an equal part of the work.
    let parts = if budget.importance > 0 { 3.0 } else { 2.0 };
    let threads = budget.threads;
    let mut scores = |decode, part: f64| {
        let mut of = |done: usize| progress((part + done as f64 / conditions.len() as f64) / parts);
        let tallies = match drawn {
            Some(Drawn { greedy, sampled }) => {
                let drawn = if decode == Decode::Greedy { greedy } else { sampled };
                tally_drawn(valid, &conditions, drawn, threads, &mut of)?
            }
            None => {
                let draws = Draws { samples: budget.samples, decode, seed, threads };
                tally_model(model, valid, &conditions, draws, &mut of)?
            }
        };
        let all = Scores::of(&tallies);
        let tallies: Vec<_> = tallies.into_iter().filter(|tally| held_out.contains(&tally.condition)).collect();
        Some((all, Scores::of(&tallies)))
    };
    let (greedy, greedy_held_out) = scores(Decode::Greedy, 0.0)?;
    let (sampled, sampled_held_out) = scores(Decode::Sample { temperature: 1.0 }, 1.0)?;
    let code = match budget.importance {
        0 => None,
        samples => {
            let mut of = |done: usize| progress((2.0 + done as f64 / groups.len() as f64) / parts);
            let likelihood = likelihood(model, valid, &split.test, samples as usize, (seed, threads), &mut of)?;
            let tested: Vec<Condition> = likelihood.conditions.iter().map(|part| part.condition).collect();
            let nats = information(model, valid, &tested, INFORMATION_DRAWS, seed);
            Some(Code { information: mean_by_date(valid, &nats), likelihood })
        }
    };
    let pairing = (objective.pairing, objective.codes as usize);
    Some(Evaluation {
        test: test_terms(model, rows, seed),
        test_prior_recon: test_prior_recon(model, groups, pairing, seed),
        latent: latent_use(model, rows),
        // The task has conditions, and each is drawn for: there are scores.
        greedy: greedy?,
        greedy_held_out,
        sampled: sampled?,
        sampled_held_out,
        code,
    })
}
