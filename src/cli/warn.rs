//! The warnings that training raises at its end, raised for a model and its samples by any command.

use super::output;
use crate::analysis::{Duplicate, Figures, Warning, warnings};
use crate::dates::Holdout;
use crate::experiment::{Config, Metrics, Skipped};
use crate::metrics::{Measure, Population, Scores, Tally, latent_use, test_terms};
use crate::model::Model;
use crate::task::Split;

/// The warnings for a model, given its split and what it has generated.
pub fn warnings_of(
    model: &Model,
    population: &Population,
    split: &Split,
    tallies: &[Tally],
    seed: u64,
) -> Vec<Warning> {
    let Some(all) = Scores::of(population, tallies) else { return Vec::new() };
    let data = &split.test.rows;
    let (terms, usage) = (test_terms(model, data, seed), latent_use(model, data));
    warnings(&Figures {
        recon: terms.recon,
        floor: split.test.truth_entropy(population),
        kl: terms.kl,
        has_code: model.layout.latent > 0,
        active_units: usage.active_units(),
        greedy_pass: all.pass.mean,
        held_out_pass: Scores::of(population, &held_out(split, tallies)).map(|scores| scores.pass.mean),
        greedy_coverage: all.coverage_at_rows.mean,
        expected_coverage: all.expected_coverage_at_rows,
    })
}

/// The tallies of held-out conditions.
pub fn held_out(split: &Split, tallies: &[Tally]) -> Vec<Tally> {
    tallies.iter().filter(|tally| split.held_out.binary_search(&tally.group).is_ok()).cloned().collect()
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

/// Says where conditions were to be held out and are too few for it.
pub fn none_held_out(config: &Config, metrics: &Metrics) {
    let by_condition = config.data.split == Holdout::Conditions && !config.data.is_sample();
    if by_condition && metrics.count(Measure::ValidationConditions) == 0 {
        output::say!(
            "warning: there are too few conditions to hold out a share of {} (data.held_out): none was, and test figures are \
             of the rows trained on",
            config.data.held_out
        );
    }
}
