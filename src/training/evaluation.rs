//! What is measured of a model during training and at its end: one function for both.

use std::ops::ControlFlow;

use super::config::{EvaluationConfig, Objective};
use crate::metrics::{
    Draws, HISTORY_CONDITIONS, LatentUse, Marginal, MarginalSummary, Part, Population, Scores, TestTerms, Weighting,
    draw_in_bulk, information, latent_use, latent_use_of, marginals, marginals_in_bulk, mean_by_row, tally_drawn,
    tally_model, test_prior_recon, test_prior_recon_on, test_terms, test_terms_on,
};
use crate::model::{BulkDecoder, Decode, EngineError, Model};
use crate::task::{Groups, Kind, Rows};

/// Metrics of a model at one moment.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Names of the given columns.
    pub given: Vec<String>,
    /// Losses on the test rows.
    pub test: TestTerms,
    /// The hybrid term on the test rows, paired as in training, nats.
    pub test_prior_recon: f64,
    /// Use of the latent dimensions on the test rows.
    pub latent: LatentUse,
    /// Greedy decoding over all conditions that are measured.
    pub greedy: Scores,
    /// Greedy decoding over the validation conditions, where there are any.
    pub greedy_validation: Option<Scores>,
    /// The exact marginals, where they are asked for.
    pub exact: Option<Exact>,
    /// Mutual information I(z; row | condition) of the encoder, mean over the test rows, nats; at the end only.
    pub information: Option<f64>,
}

/// Exact marginals over some conditions.
#[derive(Clone, Debug)]
pub struct Exact {
    /// Codes of each condition.
    pub codes: usize,
    /// The summaries that there are: of validation conditions only where some are held out.
    pub summaries: Vec<(Part, Weighting, MarginalSummary)>,
    /// The worst condition.
    pub worst: String,
}

/// What is measured on, ready for a model.
#[derive(Debug)]
pub struct TestData<'a> {
    /// The truth.
    pub population: &'a Population,
    /// Conditions that some training row has.
    pub train: Vec<usize>,
    /// Conditions that are held out of training for validation.
    pub validation: Vec<usize>,
    /// The held-out rows.
    pub rows: Rows,
    /// The same by condition.
    pub groups: Groups,
}

impl TestData<'_> {
    /// All conditions that are measured, in order.
    pub(super) fn conditions(&self) -> Vec<usize> {
        let mut conditions: Vec<usize> = self.train.iter().chain(&self.validation).copied().collect();
        conditions.sort_unstable();
        conditions
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct EvalBudget {
    /// Samples of each condition.
    pub samples: usize,
    /// Codes of each condition in the exact marginals; 0 leaves them out.
    pub codes: usize,
    /// Whether it is the end: marginals of all conditions, and the encoder's information.
    pub end: bool,
    /// Threads.
    pub threads: usize,
}

/// Codes of a condition in the rows of a history, at the most.
const HISTORY_CODES: usize = 128;

impl EvalBudget {
    /// What a config asks for in every row of a history.
    pub fn of_history(config: &EvaluationConfig, threads: usize) -> Self {
        let codes = (config.codes as usize).min(HISTORY_CODES);
        Self { samples: config.samples, codes, end: false, threads }
    }

    /// What a config asks for at the end.
    pub fn of_end(config: &EvaluationConfig, threads: usize) -> Self {
        Self { samples: config.final_samples, codes: config.codes as usize, end: true, threads }
    }
}

/// Draws of z for each row in the mutual information.
const INFORMATION_DRAWS: usize = 16;

/// What a [`BulkDecoder`] measures of a model, which leaves the scores to the cores.
#[derive(Debug)]
pub struct Drawn {
    /// Rows drawn greedily for all conditions that are measured.
    greedy: Rows,
    /// The marginals of the conditions that [`exact_conditions`] gives.
    marginals: Vec<Marginal>,
    test: TestTerms,
    test_prior_recon: f64,
    latent: LatentUse,
}

impl Drawn {
    /// Measures what [`evaluate`] needs; a condition's rows and codes depend on the seed alone.
    ///
    /// # Errors
    /// When the device fails.
    pub fn new(
        (model, decoder): (&Model, &dyn BulkDecoder),
        data: &TestData<'_>,
        objective: &Objective,
        budget: EvalBudget,
        seed: u64,
    ) -> Result<Self, EngineError> {
        let TestData { population, rows, groups, .. } = data;
        let latent = model.layout.latent;
        let greedy = draw_in_bulk(decoder, population, &data.conditions(), budget.samples, Decode::Greedy, seed)?;
        // Without z every code is the same.
        let codes = if latent == 0 { budget.codes.min(1) } else { codes(data, budget) };
        let marginals = match codes {
            0 => Vec::new(),
            codes => {
                let (train, validation) = exact_conditions(data, budget);
                // The device waits for them, and so do all other trials.
                let cores = std::thread::available_parallelism().map_or(budget.threads, usize::from);
                marginals_in_bulk(decoder, population, &[train, validation].concat(), codes, (seed, cores))?
            }
        };
        let posterior = decoder.encode(rows)?;
        let pairing = (objective.pairing, objective.codes as usize);
        Ok(Self {
            greedy,
            marginals,
            test: test_terms_on(decoder, &posterior, rows, seed)?,
            test_prior_recon: test_prior_recon_on(decoder, latent, groups, pairing, seed)?,
            latent: latent_use_of(&posterior, rows.len()),
        })
    }
}

/// Measures a model, from rows that were drawn already or from its own; none where the progress, told the share that is
/// done, asked for an end.
pub fn evaluate(
    model: &Model,
    data: &TestData<'_>,
    objective: &Objective,
    (budget, drawn): (EvalBudget, Option<&Drawn>),
    seed: u64,
    progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Option<Evaluation> {
    let TestData { population, validation, rows, groups, .. } = data;
    let conditions = data.conditions();
    // Draws, and marginals where they are asked for, count as equal parts of the work.
    let parts = if budget.codes > 0 { 2.0 } else { 1.0 };
    let mut of = |done: usize| progress(done as f64 / conditions.len() as f64 / parts);
    let tallies = match drawn {
        Some(drawn) => tally_drawn(population, &conditions, &drawn.greedy, budget.threads, &mut of)?,
        None => {
            let draws = Draws { samples: budget.samples, decode: Decode::Greedy, seed, threads: budget.threads };
            tally_model(model, population, &conditions, draws, &mut of)?
        }
    };
    let greedy = Scores::of(population, &tallies);
    let held_out = tallies.into_iter().filter(|tally| validation.binary_search(&tally.group).is_ok());
    let greedy_validation = Scores::of(population, &held_out.collect::<Vec<_>>());
    let exact = match budget.codes {
        0 => None,
        _ => {
            let (train, validation) = exact_conditions(data, budget);
            let conditions = [train.as_slice(), &validation].concat();
            let mut of = |done: usize| progress((1.0 + done as f64 / conditions.len() as f64) / parts);
            let run = (seed, budget.threads);
            let measured = match drawn {
                Some(drawn) => drawn.marginals.clone(),
                None => marginals(model, population, &conditions, codes(data, budget), run, &mut of)?,
            };
            Some(exact(data, budget, (&train, &validation), &measured))
        }
    };
    let tested = || -> Vec<usize> {
        let given = population.schema().given.len();
        let first = (0..groups.len()).map(|group| &groups.rows().row(groups.range(group).start)[..given]);
        first.filter_map(|given| population.find(given)).collect()
    };
    let information = if budget.end && budget.codes > 0 {
        let run = (INFORMATION_DRAWS, seed);
        Some(mean_by_row(population, &information(model, population, &tested(), run, &mut || progress(1.0))?))
    } else {
        None
    };
    let pairing = (objective.pairing, objective.codes as usize);
    Some(Evaluation {
        given: population.schema().given.iter().map(|column| column.name.clone()).collect(),
        test: drawn.map_or_else(|| test_terms(model, rows, seed), |drawn| drawn.test),
        test_prior_recon: drawn
            .map_or_else(|| test_prior_recon(model, groups, pairing, seed), |drawn| drawn.test_prior_recon),
        latent: drawn.map_or_else(|| latent_use(model, rows), |drawn| drawn.latent.clone()),
        // The task has conditions, and each is drawn for: there are scores.
        greedy: greedy?,
        greedy_validation,
        exact,
        information,
    })
}

/// The conditions whose marginals are measured, of training and of validation: all at the end, some spread evenly over
/// them before.
pub(super) fn exact_conditions(data: &TestData<'_>, budget: EvalBudget) -> (Vec<usize>, Vec<usize>) {
    let [most_train, most_validation] = if budget.end { [usize::MAX; 2] } else { HISTORY_CONDITIONS };
    (spread(&data.train, most_train), spread(&data.validation, most_validation))
}

/// Values times codes in the marginals of a sample, at about the most: a minute of two cores.
const MOST_CELLS: usize = 150_000_000;
/// Codes that are left of those that a config asks for, however large a sample is.
const LEAST_CODES: usize = 64;

/// Codes of each condition in the marginals: fewer than asked for, where a large sample is measured.
fn codes(data: &TestData<'_>, budget: EvalBudget) -> usize {
    if data.population.kind() == Kind::Exact {
        return budget.codes;
    }
    let (train, validation) = exact_conditions(data, budget);
    let rows: usize = train.iter().chain(&validation).map(|group| data.population.count(*group)).sum();
    let cells = rows * data.population.schema().generated.len();
    budget.codes.min((MOST_CELLS / cells.max(1)).max(LEAST_CODES))
}

/// What the marginals of these conditions come to.
pub(super) fn exact(
    data: &TestData<'_>,
    budget: EvalBudget,
    (train, validation): (&[usize], &[usize]),
    measured: &[Marginal],
) -> Exact {
    let conditions = [train, validation].concat();
    let all: Vec<&Marginal> = measured.iter().collect();
    let mut summaries = Vec::new();
    // A sample of conditions has the parts in other shares than all conditions have: it counts them as all do.
    let (of_train, of_validation) = all.split_at(train.len());
    for weighting in [Weighting::ByRow, Weighting::ByCondition] {
        for (part, marginals) in [(Part::Validation, of_validation), (Part::Train, of_train)] {
            summaries.extend(MarginalSummary::of(marginals, weighting).map(|summary| (part, weighting, summary)));
        }
        let mass = |conditions: &[usize]| match weighting {
            Weighting::ByRow => conditions.iter().map(|group| data.population.mass(*group)).sum::<f64>(),
            Weighting::ByCondition => conditions.len() as f64,
        };
        let sampled =
            [(of_train, mass(&data.train), mass(train)), (of_validation, mass(&data.validation), mass(validation))];
        let shares: Vec<f64> = sampled
            .iter()
            .flat_map(|(part, all, some)| vec![if *some > 0.0 { all / some } else { 0.0 }; part.len()])
            .collect();
        summaries.extend(MarginalSummary::with_shares(&all, weighting, &shares).map(|all| (Part::All, weighting, all)));
    }
    let worst = summaries.iter().find(|(part, ..)| *part == Part::All).map(|(.., summary)| conditions[summary.worst]);
    let schema = data.population.schema();
    let worst = worst.map(|group| schema.label(data.population.condition(group))).unwrap_or_default();
    Exact { codes: codes(data, budget), summaries, worst }
}

/// At most so many of these conditions, spread evenly over them.
fn spread(conditions: &[usize], most: usize) -> Vec<usize> {
    let count = conditions.len().min(most);
    (0..count).map(|place| conditions[place * conditions.len() / count]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_conditions_is_spread_over_all() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(spread(&all, 4), [0, 25, 50, 75]);
        assert_eq!(spread(&all, 1000), all);
        assert!(spread(&[], 4).is_empty());
    }
}
