//! The warnings that training raises at its end, raised for a model and its samples by any command.

use std::collections::HashSet;

use super::output;
use crate::analysis::{Duplicate, Figures, Warning, warnings};
use crate::dates::{self, Split};
use crate::experiment::Skipped;
use crate::metrics::{Population, Scores, Tally, latent_use, test_terms};
use crate::model::Model;
use crate::task::Rows;

/// The warnings for a model, given its split and what it has generated.
pub fn warnings_of(
    model: &Model,
    population: &Population,
    split: &Split,
    tallies: &[Tally],
    seed: u64,
) -> Vec<Warning> {
    let Some(all) = Scores::of(population, tallies) else { return Vec::new() };
    let data = dates::rows(&split.test);
    let (terms, usage) = (test_terms(model, &data, seed), latent_use(model, &data));
    warnings(&Figures {
        recon: terms.recon,
        floor: mean_floor(population, &data),
        kl: terms.kl,
        active_units: usage.active_units(),
        greedy_pass: all.pass.mean,
        held_out_pass: Scores::of(population, &held_out(population, split, tallies)).map(|scores| scores.pass.mean),
        greedy_coverage: all.coverage_at_rows.mean,
        expected_coverage: all.expected_coverage_at_rows,
    })
}

/// The tallies of held-out conditions.
pub fn held_out(population: &Population, split: &Split, tallies: &[Tally]) -> Vec<Tally> {
    let held_out: HashSet<usize> =
        split.held_out.iter().filter_map(|condition| population.find(&condition.row())).collect();
    tallies.iter().filter(|tally| held_out.contains(&tally.group)).cloned().collect()
}

/// Mean entropy of the truth given the condition over these rows, nats.
fn mean_floor(population: &Population, rows: &Rows) -> f64 {
    let given = population.schema().given.len();
    let entropy = |row: &[u16]| population.find(&row[..given]).map_or(0.0, |group| population.entropy(group));
    rows.iter().map(entropy).sum::<f64>() / rows.len() as f64
}

/// Prints warnings to standard error.
pub fn show(warnings: &[Warning]) {
    warnings.iter().for_each(|warning| output::say!("warning: {warning}"));
}

/// Names the trials that can't be read; returns how many they are.
pub fn skipped(trials: &[Skipped]) -> usize {
    trials.iter().for_each(|trial| output::say!("warning: {trial}"));
    trials.len()
}

/// Names the trials that are there twice, the first few one by one.
pub fn duplicates(trials: &[Duplicate]) {
    const SHOWN: usize = 5;
    trials.iter().take(SHOWN).for_each(|trial| output::say!("warning: {trial}"));
    if let Some(more) = trials.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        output::say!("warning: {more} other trials are there twice and counted once");
    }
}
