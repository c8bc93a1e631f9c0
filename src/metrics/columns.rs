//! Which column a model's likelihood gap and its invalid mass come from.
//!
//! By the chain rule KL(truth, marginal) is a sum over columns. The first k columns of the rows have a divergence of
//! their own, and column k adds what it grows by (Cover and Thomas 2006, Theorem 2.5.3). Rows that fail do so in the first
//! column after which no row of the condition begins as they do.

use std::collections::BTreeMap;

use super::marginal::{Estimate, Moments, codes_for, codes_of};
use super::parallel::{Progress, Stop, in_parallel};
use crate::model::{Decoder, Model, exponentials};
use crate::task::{Rows, Truth};

/// What a generated column makes of the figures, given the condition and the columns before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ColumnShare {
    /// Entropy of the truth, nats: 0 where the column is determined.
    pub entropy: f64,
    /// KL of the model from the truth, nats. The columns' sum is [`super::Marginal::nll_gap`].
    pub gap: Estimate,
    /// Probability that a sample fails in this column. The columns' sum is [`super::Marginal::invalid_mass`].
    pub invalid_mass: Estimate,
}

/// The shares of each generated column, mean over these conditions by mass, each from `codes` codes of a stream of its own;
/// none where the progress asked for an end.
pub fn column_shares(
    model: &Model,
    truth: &Truth,
    conditions: &[usize],
    codes: usize,
    (seed, threads): (u64, usize),
    progress: Progress<'_>,
) -> Option<Vec<ColumnShare>> {
    let codes = codes_of(model, codes);
    let work = |decoder: &mut Decoder<'_>, group: &usize, _: Stop<'_>| {
        let (rows, z) = (truth.rows(*group), codes_for(model, truth, *group, codes, seed));
        let mut prefixes = Prefixes::new(&rows, truth.schema().given.len(), truth.probabilities(*group));
        let mut each = |logs: &[f32]| prefixes.longer(logs);
        decoder.log_probabilities_by_column(&rows, codes, &z, &mut each);
        prefixes.shares
    };
    let shares = in_parallel(threads, conditions, || Decoder::new(model), work, progress)?;
    let of = |column: usize| {
        let parts = conditions.iter().zip(&shares).map(move |(group, shares)| (truth.mass(*group), shares[column]));
        let mass: f64 = parts.clone().map(|(mass, _)| mass).sum();
        let entropy = parts.clone().map(|(mass, share)| mass * share.entropy).sum::<f64>() / mass;
        let mean =
            |of: fn(ColumnShare) -> Estimate| Estimate::weighted(parts.clone().map(|(mass, share)| (mass, of(share))));
        ColumnShare { entropy, gap: mean(|share| share.gap), invalid_mass: mean(|share| share.invalid_mass) }
    };
    Some((0..truth.schema().generated.len()).map(of).collect())
}

/// The figures of a condition's first columns, one column more at a time.
struct Prefixes<'a> {
    rows: &'a Rows,
    given: usize,
    truth: &'a [f64],
    /// Of the columns so far.
    shares: Vec<ColumnShare>,
    /// Divergence and entropy of all of them together; by code the divergence's slope and the mass that is valid.
    divergence: f64,
    entropy: f64,
    by_code: Vec<[f64; 2]>,
}

impl<'a> Prefixes<'a> {
    fn new(rows: &'a Rows, given: usize, truth: &'a [f64]) -> Self {
        Self { rows, given, truth, shares: Vec::new(), divergence: 0.0, entropy: 0.0, by_code: Vec::new() }
    }

    /// Adds a column, from the log probabilities `[rows, codes]` of all columns up to it.
    fn longer(&mut self, logs: &[f32]) {
        let codes = logs.len() / self.truth.len();
        let columns = self.given + self.shares.len() + 1;
        // Each different beginning of a row once: its first row, and its probability.
        let mut prefixes = BTreeMap::<&[u16], (usize, f64)>::new();
        for (row, truth) in self.truth.iter().enumerate() {
            prefixes.entry(&self.rows.row(row)[..columns]).or_insert((row, 0.0)).1 += truth;
        }
        let mut probabilities = vec![0.0f32; codes];
        let (mut divergence, mut entropy, mut by_code) = (0.0, 0.0, vec![[0.0; 2]; codes]);
        for (row, truth) in prefixes.into_values() {
            exponentials(&mut probabilities, &logs[row * codes..][..codes]);
            by_code.iter_mut().zip(&probabilities).for_each(|([_, valid], p)| *valid += f64::from(*p));
            if truth <= 0.0 {
                continue;
            }
            let mean = probabilities.iter().map(|p| f64::from(*p)).sum::<f64>() / codes as f64;
            let bias = Moments::of(&probabilities, mean).log_bias(codes as f64);
            divergence += truth * (truth.ln() - mean.ln() + bias);
            entropy -= truth * truth.ln();
            by_code.iter_mut().zip(&probabilities).for_each(|([slope, _], p)| *slope -= truth / mean * f64::from(*p));
        }
        // Before the first column nothing has failed.
        self.by_code.resize(codes, [0.0, 1.0]);
        let changes =
            || by_code.iter().zip(&self.by_code).map(|(now, before)| [now[0] - before[0], before[1] - now[1]]);
        let error = Estimate::over(changes().map(|[slope, _]| slope)).error;
        self.shares.push(ColumnShare {
            entropy: (entropy - self.entropy).max(0.0),
            gap: Estimate { value: divergence - self.divergence, error },
            invalid_mass: Estimate::over(changes().map(|[_, failed]| failed)),
        });
        (self.divergence, self.entropy, self.by_code) = (divergence, entropy, by_code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{MarginalSummary, Weighting, marginals, unwatched};
    use crate::model::{ModelConfig, Trunk};
    use crate::task::Task;

    #[test]
    fn the_shares_of_all_columns_sum_to_the_gap_the_invalid_mass_and_the_entropy() {
        let truth = Task::named("permutations").unwrap().truth;
        for latent_dim in [0, 3] {
            let config = ModelConfig { latent_dim, hidden_dim: 16, trunk: Trunk::Additive, ..ModelConfig::default() };
            let model = Model::new(config, truth.schema().clone(), 5);
            let conditions = [3, 40, 41, 200];
            let run = (1, 2);
            let shares = column_shares(&model, &truth, &conditions, 64, run, &mut unwatched).unwrap();
            assert_eq!(shares.len(), 8);
            let all = marginals(&model, &truth, &conditions, 64, run, &mut unwatched).unwrap();
            let summary = MarginalSummary::of(&all.iter().collect::<Vec<_>>(), Weighting::ByRow).unwrap();
            let sum = |of: fn(&ColumnShare) -> f64| shares.iter().map(of).sum::<f64>();
            assert!((sum(|column| column.gap.value) - summary.nll_gap.value).abs() < 1e-6, "{shares:?} {summary:?}");
            let failed = sum(|column| column.invalid_mass.value);
            assert!((failed - summary.invalid_mass.value).abs() < 1e-6, "{shares:?} {summary:?}");
            let mass: f64 = conditions.iter().map(|group| truth.mass(*group)).sum();
            let entropy: f64 = conditions.iter().map(|group| truth.mass(*group) * truth.entropy(*group)).sum();
            let entropies = sum(|column| column.entropy);
            assert!((entropies - entropy / mass).abs() < 1e-9, "{entropies}");
            // The first element is given, and nothing is left to choose at the end.
            assert!(shares[0].entropy.abs() < 1e-12 && shares[7].entropy.abs() < 1e-12, "{shares:?}");
            assert!(shares[0].gap.value > 0.5 && shares.iter().all(|column| column.gap.value > 0.0), "{shares:?}");
            assert!(shares.iter().all(|column| column.invalid_mass.value > -1e-9), "{shares:?}");
            assert_eq!(shares[3].gap.error > 0.0, latent_dim > 0);
        }
    }
}
