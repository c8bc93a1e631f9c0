//! The values of measures, from an evaluation: the one place that fills them.

use super::evaluation::{Evaluation, Exact};
use crate::metrics::{Figure, Measure, Part, Row, Scores, Weighting};

impl Evaluation {
    /// The values of all measures that an evaluation gives.
    pub fn row(&self) -> Row {
        let Self { given, test, test_prior_recon, latent, greedy, greedy_validation, exact, information } = self;
        let mut row = Row::default()
            .with(Measure::Samples, greedy.samples)
            .with(Measure::Conditions, greedy.pass.conditions)
            .with(Measure::ValidationConditions, greedy_validation.as_ref().map_or(0, |scores| scores.pass.conditions));
        greedy_values(&mut row, given, greedy, greedy_validation.as_ref());
        if let Some(exact) = exact {
            exact_values(&mut row, exact);
        }
        row.set(Measure::TestRecon, test.recon);
        row.set(Measure::TestKl, test.kl);
        row.set(Measure::TestPriorRecon, *test_prior_recon);
        row.set(Measure::TestElbo, test.elbo());
        row.set(Measure::TestMi, information.unwrap_or(f64::NAN));
        row.set(Measure::ActiveUnits, latent.active_units());
        row
    }
}

fn greedy_values(row: &mut Row, given: &[String], all: &Scores, validation: Option<&Scores>) {
    let over_validation = |figure: fn(&Scores) -> f64| validation.map_or(f64::NAN, figure);
    row.set(Measure::GreedyPass, all.pass.mean);
    row.set(Measure::GreedyPassValidation, over_validation(|scores| scores.pass.mean));
    row.set(Measure::GreedyValidRow, all.valid_row);
    for (column, rate) in given.iter().zip(&all.pass_by_column) {
        row.set(Measure::greedy_pass_of(column), *rate);
    }
    row.set(Measure::GreedyCoverage, all.coverage_at_rows.mean);
    row.set(Measure::GreedyCoverageValidation, over_validation(|scores| scores.coverage_at_rows.mean));
    row.set(Measure::PerfectCoverage, all.expected_coverage_at_rows);
    row.set(Measure::GreedyTv, all.tv.value);
    row.set(Measure::GreedyTvError, all.tv.error);
    row.set(Measure::GreedyTvValidation, over_validation(|scores| scores.tv.value));
}

fn exact_values(row: &mut Row, exact: &Exact) {
    let mut both = |measure: Measure, value: f64, error: f64| {
        row.set(measure, value);
        if let Some(column) = measure.spec().error {
            row.set(column, error);
        }
    };
    for (part, weighting, summary) in &exact.summaries {
        for figure in Figure::ALL {
            let estimate = summary.of_figure(figure);
            both(Measure::exact(figure, *part, *weighting), estimate.value, estimate.error);
        }
    }
    // Without validation conditions there is nothing to measure there.
    if !exact.summaries.iter().any(|(part, ..)| *part == Part::Validation) {
        for (figure, weighting) in
            Figure::ALL.into_iter().flat_map(|figure| [(figure, Weighting::ByRow), (figure, Weighting::ByCondition)])
        {
            both(Measure::exact(figure, Part::Validation, weighting), f64::NAN, f64::NAN);
        }
    }
    if let Some((.., summary)) = exact.summaries.iter().find(|(part, ..)| *part == Part::All) {
        both(Measure::WorstInvalidMass, summary.worst_invalid_mass.value, summary.worst_invalid_mass.error);
    }
    row.set(Measure::WorstCondition, exact.worst.clone());
    row.set(Measure::Codes, exact.codes);
}
