//! The values of measures, from an evaluation: the one place that fills them.

use super::evaluation::{Code, Evaluation};
use crate::metrics::{Measure, Row, Scores};

impl Evaluation {
    /// The values of all measures that an evaluation gives.
    pub fn row(&self) -> Row {
        let Self { test, test_prior_recon, latent, greedy, greedy_held_out, sampled, sampled_held_out, code } = self;
        let mut row = Row::default()
            .with(Measure::Samples, greedy.samples)
            .with(Measure::Conditions, greedy.pass.conditions)
            .with(Measure::HeldOutConditions, greedy_held_out.map_or(0, |scores| scores.pass.conditions));
        greedy_values(&mut row, greedy, greedy_held_out.as_ref());
        sampled_values(&mut row, sampled, sampled_held_out.as_ref());
        row.set(Measure::ExpectedCoverage, greedy.expected_coverage);
        row.set(Measure::ExpectedTv, greedy.expected_tv);
        row.set(Measure::TestRecon, test.recon);
        row.set(Measure::TestKl, test.kl);
        row.set(Measure::TestPriorRecon, *test_prior_recon);
        row.set(Measure::TestElbo, test.elbo());
        let of_code = |figure: fn(&Code) -> f64| code.as_ref().map_or(f64::NAN, figure);
        row.set(Measure::TestNll, of_code(|code| code.likelihood.nll));
        row.set(Measure::TestNllError, of_code(|code| code.likelihood.error));
        row.set(Measure::TestNllGap, of_code(|code| code.likelihood.nll - code.likelihood.floor));
        row.set(Measure::TestMi, of_code(|code| code.information));
        row.set(Measure::ActiveUnits, latent.active_units());
        row
    }
}

fn greedy_values(row: &mut Row, all: &Scores, held_out: Option<&Scores>) {
    let over_held_out = |figure: fn(&Scores) -> f64| held_out.map_or(f64::NAN, figure);
    row.set(Measure::GreedyPass, all.pass.mean);
    row.set(Measure::GreedyPassHeldOut, over_held_out(|scores| scores.pass.mean));
    row.set(Measure::GreedyPassWorst, all.pass.worst);
    row.set(Measure::GreedyPassWorstCondition, all.pass.worst_condition.to_string());
    let fields =
        [Measure::GreedyPassWeekday, Measure::GreedyPassMonth, Measure::GreedyPassLeap, Measure::GreedyPassDecade];
    fields.into_iter().zip(all.pass_by_field).for_each(|(measure, rate)| row.set(measure, rate));
    row.set(Measure::GreedyValidDate, all.valid_date);
    row.set(Measure::GreedyCoverage, all.coverage.mean);
    row.set(Measure::GreedyCoverageHeldOut, over_held_out(|scores| scores.coverage.mean));
    row.set(Measure::GreedyTv, all.tv.mean);
    row.set(Measure::GreedyTvHeldOut, over_held_out(|scores| scores.tv.mean));
}

fn sampled_values(row: &mut Row, all: &Scores, held_out: Option<&Scores>) {
    let over_held_out = |figure: fn(&Scores) -> f64| held_out.map_or(f64::NAN, figure);
    row.set(Measure::SampledPass, all.pass.mean);
    row.set(Measure::SampledPassHeldOut, over_held_out(|scores| scores.pass.mean));
    row.set(Measure::SampledPassWorst, all.pass.worst);
    row.set(Measure::SampledPassWorstCondition, all.pass.worst_condition.to_string());
    row.set(Measure::SampledValidDate, all.valid_date);
    row.set(Measure::SampledCoverage, all.coverage.mean);
    row.set(Measure::SampledCoverageHeldOut, over_held_out(|scores| scores.coverage.mean));
    row.set(Measure::SampledTv, all.tv.mean);
    row.set(Measure::SampledTvHeldOut, over_held_out(|scores| scores.tv.mean));
}
