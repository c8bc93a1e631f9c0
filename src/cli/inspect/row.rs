//! One condition's figures: a row of conditions.csv and a record of the JSON.

use serde::Serialize;

use super::Subject;
use crate::metrics::{
    Marginal, Tally, coverage, distinct, duplicates, entropy, expected_coverage, expected_entropy, expected_tv, tv,
};
use crate::task::Column;

/// The fields of a row before those that hold a given column's name, and after them.
const DRAWN: [&str; 19] = [
    "condition",
    "held_out",
    "split",
    "valid_dates",
    "samples",
    "passes",
    "pass_rate",
    "distinct",
    "duplicates",
    "coverage",
    "expected_coverage",
    "entropy",
    "expected_entropy",
    "tv",
    "expected_tv",
    "trained",
    "expected_trained",
    "held_out_coverage",
    "invalid_rows",
];
const EXACT: [&str; 7] =
    ["invalid_mass", "invalid_mass_error", "nll_gap", "nll_gap_error", "marginal_tv", "prior_mi", "entropy_given_z"];

/// What was measured of one condition; rates and shares 0..=1.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The condition.
    pub condition: String,
    /// Whether no training row has it.
    pub held_out: bool,
    /// Which part of the split it is of: train, validation or sealed.
    pub split: &'static str,
    /// Number of rows.
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
    /// Samples that are a row of no condition.
    pub invalid_rows: u64,
    /// Samples that miss each given column, in their order.
    pub wrong: Vec<u64>,
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
        let Tally { group, counts, failures, .. } = tally;
        let Subject { population, trained, .. } = subject;
        let (truth, floor, samples) = (population.probabilities(*group), population.entropy(*group), tally.samples());
        Self {
            condition: subject.label(*group),
            held_out: trained.is_held_out(*group),
            split: subject.part(*group),
            valid_dates: counts.len(),
            samples,
            passes: tally.passes(),
            pass_rate: tally.pass_rate(),
            distinct: distinct(counts),
            duplicates: duplicates(counts),
            coverage: coverage(counts),
            expected_coverage: expected_coverage(truth, samples),
            entropy: entropy(counts, floor),
            expected_entropy: expected_entropy(truth, floor, samples),
            tv: tv(counts, truth, failures.total),
            expected_tv: expected_tv(truth, samples),
            trained: trained.copied(tally),
            expected_trained: trained.share(population, *group),
            held_out_coverage: trained.held_out_coverage(tally),
            invalid_rows: failures.invalid,
            wrong: failures.missed.clone(),
            invalid_mass: None,
            invalid_mass_error: None,
            nll_gap: None,
            nll_gap_error: None,
            marginal_tv: None,
            prior_mi: None,
            entropy_given_z: None,
        }
    }

    /// Writes the table of these conditions as CSV.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write<W: std::io::Write>(rows: &[Self], given: &[Column], to: W) -> csv::Result<()> {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(to);
        let wrong: Vec<String> = given.iter().map(|column| format!("wrong_{}", column.name)).collect();
        let (drawn, exact) = (DRAWN.iter().copied(), EXACT.iter().copied());
        writer.write_record(drawn.chain(wrong.iter().map(String::as_str)).chain(exact))?;
        rows.iter().try_for_each(|row| writer.serialize(row))?;
        writer.flush()?;
        Ok(())
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
