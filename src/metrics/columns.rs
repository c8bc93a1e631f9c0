//! Which column a model's likelihood gap comes from.
//!
//! By the chain rule KL(truth, marginal) is a sum over columns. The first k columns of the rows have a divergence of
//! their own, and column k adds what it grows by (Cover and Thomas 2006, Theorem 2.5.3).

use std::collections::BTreeMap;

use super::marginal::{Estimate, Moments, codes_for, codes_of};
use super::parallel::{Progress, Stop, in_parallel};
use crate::model::{Decoder, DecoderBuffers, Model, exponentials};
use crate::task::{Rows, Truth};

/// A generated column, given the condition and the columns before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ColumnGap {
    /// Entropy of the truth, nats: 0 where the column is determined.
    pub entropy: f64,
    /// KL of the model from the truth, nats. The columns' sum is [`super::Marginal::nll_gap`].
    pub gap: Estimate,
}

/// The gap of each generated column, mean over these conditions by mass, each from `codes` codes of a stream of its own;
/// none where the progress asked for an end.
pub fn column_gaps(
    model: &Model,
    truth: &Truth,
    conditions: &[usize],
    codes: usize,
    (seed, threads): (u64, usize),
    progress: Progress<'_>,
) -> Option<Vec<ColumnGap>> {
    let codes = codes_of(model, codes);
    let work = |buffers: &mut DecoderBuffers, group: &usize, _: Stop<'_>| {
        let (rows, z) = (truth.rows(*group), codes_for(model, truth, *group, codes, seed));
        let mut prefixes = PrefixGaps::new(&rows, truth.schema().given.len(), truth.probabilities(*group));
        let mut each = |_: usize, logs: &[f32]| prefixes.longer(logs);
        Decoder { model }.log_probabilities_by_column(buffers, &rows, codes, &z, &mut each);
        prefixes.gaps
    };
    let gaps = in_parallel(threads, conditions, DecoderBuffers::default, work, progress)?;
    let of = |column: usize| {
        let parts = conditions.iter().zip(&gaps).map(move |(group, gaps)| (truth.mass(*group), gaps[column]));
        let mass: f64 = parts.clone().map(|(mass, _)| mass).sum();
        let entropy = parts.clone().map(|(mass, gap)| mass * gap.entropy).sum::<f64>() / mass;
        ColumnGap { entropy, gap: Estimate::weighted(parts.map(|(mass, gap)| (mass, gap.gap))) }
    };
    Some((0..truth.schema().generated.len()).map(of).collect())
}

/// The divergence of a condition's first columns, one column more at a time.
struct PrefixGaps<'a> {
    rows: &'a Rows,
    given: usize,
    truth: &'a [f64],
    /// Of the columns so far.
    gaps: Vec<ColumnGap>,
    /// Divergence and entropy of all of them together, and the divergence's slope by code.
    divergence: f64,
    entropy: f64,
    slopes: Vec<f64>,
}

impl<'a> PrefixGaps<'a> {
    fn new(rows: &'a Rows, given: usize, truth: &'a [f64]) -> Self {
        Self { rows, given, truth, gaps: Vec::new(), divergence: 0.0, entropy: 0.0, slopes: Vec::new() }
    }

    /// Adds a column, from the log probabilities `[rows, codes]` of all columns up to it.
    fn longer(&mut self, logs: &[f32]) {
        let codes = logs.len() / self.truth.len();
        let columns = self.given + self.gaps.len() + 1;
        // Each different beginning of a row once: its first row, and its probability.
        let mut prefixes = BTreeMap::<&[u16], (usize, f64)>::new();
        for (row, truth) in self.truth.iter().enumerate() {
            prefixes.entry(&self.rows.row(row)[..columns]).or_insert((row, 0.0)).1 += truth;
        }
        let mut probabilities = vec![0.0f32; codes];
        let (mut divergence, mut entropy, mut slopes) = (0.0, 0.0, vec![0.0; codes]);
        for (row, truth) in prefixes.into_values().filter(|(_, truth)| *truth > 0.0) {
            exponentials(&mut probabilities, &logs[row * codes..][..codes]);
            let mean = probabilities.iter().map(|p| f64::from(*p)).sum::<f64>() / codes as f64;
            let bias = Moments::of(&probabilities, mean).log_bias(codes as f64);
            divergence += truth * (truth.ln() - mean.ln() + bias);
            entropy -= truth * truth.ln();
            slopes.iter_mut().zip(&probabilities).for_each(|(slope, p)| *slope -= truth / mean * f64::from(*p));
        }
        self.slopes.resize(codes, 0.0);
        let added = slopes.iter().zip(&self.slopes).map(|(now, before)| now - before);
        let error = Estimate::over(added).error;
        let gap = Estimate { value: divergence - self.divergence, error };
        self.gaps.push(ColumnGap { entropy: (entropy - self.entropy).max(0.0), gap });
        (self.divergence, self.entropy, self.slopes) = (divergence, entropy, slopes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{MarginalSummary, Weighting, marginals, unwatched};
    use crate::model::{ModelConfig, Trunk};
    use crate::task::Task;

    #[test]
    fn the_gaps_of_all_columns_sum_to_the_gap_and_their_entropies_to_the_truths() {
        let truth = Task::named("permutations").unwrap().truth;
        for latent_dim in [0, 3] {
            let config = ModelConfig { latent_dim, hidden_dim: 16, trunk: Trunk::Additive, ..ModelConfig::default() };
            let model = Model::new(config, truth.schema().clone(), 5);
            let conditions = [3, 40, 41, 200];
            let run = (1, 2);
            let gaps = column_gaps(&model, &truth, &conditions, 64, run, &mut unwatched).unwrap();
            assert_eq!(gaps.len(), 8);
            let all = marginals(&model, &truth, &conditions, 64, run, &mut unwatched).unwrap();
            let summary = MarginalSummary::of(&all.iter().collect::<Vec<_>>(), Weighting::ByRow).unwrap();
            let sum: f64 = gaps.iter().map(|column| column.gap.value).sum();
            assert!((sum - summary.nll_gap.value).abs() < 1e-6, "{sum} {summary:?}");
            let mass: f64 = conditions.iter().map(|group| truth.mass(*group)).sum();
            let entropy: f64 = conditions.iter().map(|group| truth.mass(*group) * truth.entropy(*group)).sum();
            let entropies: f64 = gaps.iter().map(|column| column.entropy).sum();
            assert!((entropies - entropy / mass).abs() < 1e-9, "{entropies}");
            // The first element is given, and nothing is left to choose at the end.
            assert!(gaps[0].entropy.abs() < 1e-12 && gaps[7].entropy.abs() < 1e-12, "{gaps:?}");
            assert!(gaps[0].gap.value > 0.5 && gaps.iter().all(|column| column.gap.value > 0.0), "{gaps:?}");
            assert_eq!(gaps[3].gap.error > 0.0, latent_dim > 0);
        }
    }
}
