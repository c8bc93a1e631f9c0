//! The warnings that training raises at its end, raised for a model and its samples by any command.

use std::collections::HashSet;

use super::output;
use crate::analysis::{Duplicate, Figures, Warning, warnings};
use crate::dates::{Condition, Split, ValidDates};
use crate::experiment::Skipped;
use crate::metrics::{Scores, Tally, latent_use, test_terms};
use crate::model::Model;

/// The warnings for a model, given its split and what it has generated.
pub fn warnings_of(model: &Model, valid: &ValidDates, split: &Split, tallies: &[Tally], seed: u64) -> Vec<Warning> {
    let Some(all) = Scores::of(tallies) else { return Vec::new() };
    let data = crate::dates::rows(&split.test);
    let conditions: Vec<Condition> = split.test.iter().map(|date| Condition::of(*date)).collect();
    let (terms, usage) = (test_terms(model, &data, seed), latent_use(model, &data));
    warnings(&Figures {
        recon: terms.recon,
        floor: valid.mean_entropy(&conditions),
        kl: terms.kl,
        active_units: usage.active_units(),
        greedy_pass: all.pass.mean,
        held_out_pass: Scores::of(&held_out(split, tallies)).map(|scores| scores.pass.mean),
        greedy_coverage: all.coverage.mean,
        expected_coverage: all.expected_coverage,
    })
}

/// The tallies of held-out conditions.
pub fn held_out(split: &Split, tallies: &[Tally]) -> Vec<Tally> {
    let held_out: HashSet<Condition> = split.held_out.iter().copied().collect();
    tallies.iter().filter(|tally| held_out.contains(&tally.condition)).cloned().collect()
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
