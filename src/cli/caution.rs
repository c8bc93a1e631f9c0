//! The warnings that training raises at its end, raised of a model and its samples by any command.

use std::collections::HashSet;

use serde::Serialize;

use super::output;
use crate::dates::{Condition, Split, ValidDates};
use crate::metrics::{Figures, Scores, Tally, Warning, latent_use, test_terms, warnings};
use crate::model::Model;

/// A warning for machines.
#[derive(Clone, Debug, Serialize)]
pub struct Caution {
    name: &'static str,
    text: String,
}

impl From<Warning> for Caution {
    fn from(warning: Warning) -> Self {
        Self { name: warning.name(), text: warning.to_string() }
    }
}

/// What is to be warned of, given a model, its split and what it has generated.
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

/// Tells warnings on standard error.
pub fn show(warnings: &[Warning]) {
    warnings.iter().for_each(|warning| output::say!("warning: {warning}"));
}
