//! One condition's figures: a row of conditions.csv and a record of the JSON.

use serde::Serialize;

use super::Subject;
use crate::dates::Condition;
use crate::metrics::{
    Marginal, Tally, coverage, distinct, duplicates, entropy, expected_coverage, expected_entropy, expected_tv, tv,
};

/// What was measured of one condition; rates and shares 0..=1.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The condition.
    pub condition: String,
    /// Whether no training date has it.
    pub held_out: bool,
    /// Number of valid dates.
    pub valid_dates: usize,
    /// Dates drawn.
    pub samples: u64,
    /// Dates that pass.
    pub passes: u64,
    /// Share that passes.
    pub pass_rate: f64,
    /// Distinct valid dates among them.
    pub distinct: usize,
    /// Passing dates that repeat an earlier one.
    pub duplicates: u64,
    /// Share of the valid dates that were drawn.
    pub coverage: f64,
    /// The same, expected of a perfect sampler.
    pub expected_coverage: f64,
    /// Normalised entropy over the valid dates.
    pub entropy: f64,
    /// The same, expected of a perfect sampler.
    pub expected_entropy: f64,
    /// Total variation distance from uniform.
    pub tv: f64,
    /// The same, expected of a perfect sampler.
    pub expected_tv: f64,
    /// Share of the samples that are training dates of the condition.
    pub trained: f64,
    /// The same, expected of a perfect sampler.
    pub expected_trained: f64,
    /// Share of the condition's held-out dates that were drawn; none where there are none.
    pub held_out_coverage: Option<f64>,
    /// Samples that are no date in range.
    pub no_date: u64,
    /// Samples on another weekday.
    pub wrong_weekday: u64,
    /// Samples in another month.
    pub wrong_month: u64,
    /// Samples of another leap-year flag.
    pub wrong_leap: u64,
    /// Samples in another decade.
    pub wrong_decade: u64,
    /// Exact failure rate of sampled decoding, with its standard error.
    pub invalid_mass: Option<f64>,
    pub invalid_mass_error: Option<f64>,
    /// KL(truth, marginal), nats, with its standard error.
    pub nll_gap: Option<f64>,
    pub nll_gap_error: Option<f64>,
    /// Total variation between truth and marginal, noise removed.
    pub marginal_tv: Option<f64>,
    /// Mutual information of z and the date under prior and decoder, nats.
    pub prior_mi: Option<f64>,
    /// What is left to chance given z, nats.
    pub entropy_given_z: Option<f64>,
}

impl Row {
    /// The figures of a tally.
    pub fn new(subject: &Subject, tally: &Tally) -> Self {
        let Tally { condition, counts, failures } = tally;
        let (dates, samples) = (counts.len(), tally.samples());
        Self {
            condition: condition.to_string(),
            held_out: is_held_out(subject, *condition),
            valid_dates: dates,
            samples,
            passes: tally.passes(),
            pass_rate: tally.pass_rate(),
            distinct: distinct(counts),
            duplicates: duplicates(counts),
            coverage: coverage(counts),
            expected_coverage: expected_coverage(dates, samples),
            entropy: entropy(counts),
            expected_entropy: expected_entropy(dates, samples),
            tv: tv(counts, failures.total),
            expected_tv: expected_tv(dates, samples),
            trained: subject.trained.copied(tally),
            expected_trained: subject.trained.share(*condition),
            held_out_coverage: subject.trained.held_out_coverage(tally),
            no_date: failures.no_date,
            wrong_weekday: failures.weekday,
            wrong_month: failures.month,
            wrong_leap: failures.leap,
            wrong_decade: failures.decade,
            invalid_mass: None,
            invalid_mass_error: None,
            nll_gap: None,
            nll_gap_error: None,
            marginal_tv: None,
            prior_mi: None,
            entropy_given_z: None,
        }
    }

    /// Adds the exact figures of the condition's marginal and its total variation.
    pub fn set_exact(&mut self, marginal: &Marginal, tv: f64) {
        self.invalid_mass = Some(marginal.invalid_mass.value);
        self.invalid_mass_error = Some(marginal.invalid_mass.error);
        self.nll_gap = Some(marginal.nll_gap.value);
        self.nll_gap_error = Some(marginal.nll_gap.error);
        self.marginal_tv = Some(tv);
        self.prior_mi = Some(marginal.prior_mi.value);
        self.entropy_given_z = Some(marginal.entropy_given_z.value);
    }
}

fn is_held_out(subject: &Subject, condition: Condition) -> bool {
    // The list is in order of index.
    subject.split.held_out.binary_search_by_key(&condition.index(), |held_out| held_out.index()).is_ok()
}
