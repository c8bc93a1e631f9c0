//! The warnings that training would raise, from the same figures.

use std::collections::HashSet;

use serde::Serialize;

use super::Subject;
use crate::dates::Condition;
use crate::metrics::{Dataset, Figures, Scores, Tally, Warning, latent_use, tally_model, test_terms, warnings};
use crate::model::Decode;

/// A warning for machines.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Caution {
    name: &'static str,
    text: String,
}

impl From<Warning> for Caution {
    fn from(warning: Warning) -> Self {
        Self { name: warning.name(), text: warning.to_string() }
    }
}

/// Dates drawn for each condition where none were drawn greedily: some tenths of a second.
const SAMPLES: usize = 20;

/// What the model is to be warned of; `tallies` are used where they were decoded greedily and cover all conditions.
pub(super) fn warnings_of(subject: &Subject, tallies: &[Tally], seed: u64) -> Vec<Warning> {
    let Subject { model, valid, split, .. } = subject;
    let conditions = valid.conditions();
    if subject.decode == Decode::Greedy && tallies.len() == conditions.len() {
        return of_greedy(subject, tallies, seed);
    }
    let tallies = tally_model(model, valid, &conditions, SAMPLES, Decode::Greedy, seed, |_| ());
    if split.test.is_empty() { Vec::new() } else { of_greedy(subject, &tallies, seed) }
}

fn of_greedy(subject: &Subject, tallies: &[Tally], seed: u64) -> Vec<Warning> {
    let Subject { model, valid, split, .. } = subject;
    let Some(all) = Scores::of(tallies) else { return Vec::new() };
    let data = Dataset::new(&split.test, model.device());
    let terms = test_terms(model, &data, seed);
    let conditions: Vec<Condition> = split.test.iter().map(|date| Condition::of(*date)).collect();
    warnings(&Figures {
        recon: terms.recon,
        floor: valid.mean_entropy(&conditions),
        kl: terms.kl,
        active_units: latent_use(model, &data).active_units(),
        greedy_pass: all.pass.mean,
        held_out_pass: Scores::of(&held_out(subject, tallies)).map(|scores| scores.pass.mean),
        greedy_coverage: all.coverage.mean,
        expected_coverage: all.expected_coverage,
    })
}

/// The tallies of held-out conditions.
pub(super) fn held_out(subject: &Subject, tallies: &[Tally]) -> Vec<Tally> {
    let held_out: HashSet<Condition> = subject.split.held_out.iter().copied().collect();
    tallies.iter().filter(|tally| held_out.contains(&tally.condition)).cloned().collect()
}

/// Tells warnings on standard error.
pub(super) fn show(warnings: &[Warning]) {
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
}
