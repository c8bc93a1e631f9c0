//! Baselines: counted in one pass and measured as trained models are. Their marginals are known in closed form, so that
//! their exact figures have no error.

use std::time::Instant;

use super::data::TrialData;
use super::evaluation::{EvalBudget, Evaluation, exact, exact_conditions};
use super::schedule::Phase;
use crate::metrics::{LatentUse, Marginal, Measure, Row, Scores, TestTerms, tally_drawn, unwatched};
use crate::model::{Baseline, ModelConfig};
use crate::task::{Rows, Truth};

/// A baseline that was measured.
#[derive(Debug)]
pub struct Counted {
    /// What was measured at its end.
    pub evaluation: Evaluation,
    /// The only row of its history: one pass over the training rows.
    pub row: Row,
    /// Seconds that counting took.
    pub seconds: f64,
}

/// Counts the training rows and measures the baseline; none without conditions to be measured.
pub fn count_baseline(
    config: &ModelConfig,
    train: &Truth,
    data: &TrialData<'_>,
    (samples, threads): (usize, usize),
) -> Option<Counted> {
    let started = Instant::now();
    let baseline = Baseline::new(config, train);
    let seconds = started.elapsed().as_secs_f64();
    let data = &data.test;
    let population = data.population;
    // Greedy decoding knows one row of each condition, however often it is asked.
    let conditions = data.conditions();
    let mut drawn = Rows::new(population.schema().generated.len());
    for group in &conditions {
        let row = baseline.law(population.condition(*group)).most_likely();
        (0..samples).for_each(|_| drawn.push(&row));
    }
    let tallies = tally_drawn(population, &conditions, &drawn, threads, &mut unwatched)?;
    let greedy = Scores::of(population, &tallies)?;
    let held_out = tallies.into_iter().filter(|tally| data.validation.binary_search(&tally.group).is_ok());
    let budget = EvalBudget { samples, codes: 1, end: true, threads };
    let (of_train, of_validation) = exact_conditions(data, budget);
    let marginal = |group: &usize| {
        let law = baseline.law(population.condition(*group));
        let logs: Vec<f32> = population.generated(*group).map(|row| law.log_probability(row) as f32).collect();
        Marginal::new(&logs, population.probabilities(*group), population.mass(*group))
    };
    let marginals: Vec<Marginal> = of_train.iter().chain(&of_validation).map(marginal).collect();
    let given = population.schema().given.len();
    let log = |row: &[u16]| baseline.law(&row[..given]).log_probability(&row[given..]);
    let nll = -data.rows.iter().map(log).sum::<f64>() / data.rows.len() as f64;
    let evaluation = Evaluation {
        given: population.schema().given.iter().map(|column| column.name.clone()).collect(),
        test: TestTerms { recon: nll, kl: 0.0 },
        test_prior_recon: nll,
        latent: LatentUse { kl: Vec::new(), mean_variance: Vec::new() },
        greedy,
        greedy_validation: Scores::of(population, &held_out.collect::<Vec<_>>()),
        exact: Some(exact(data, budget, (&of_train, &of_validation), &marginals)),
        information: Some(0.0),
    };
    let row = evaluation.row().with(Measure::Step, 1u64).with(Measure::Epoch, 1.0);
    let row = row.with(Measure::Phase, Phase::Align.name()).with(Measure::PhaseSince, 0u64);
    let row = row.with(Measure::TestLoss, nll).with(Measure::TrainSeconds, seconds);
    Some(Counted { evaluation, row, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Figure, Part, Population, Weighting};
    use crate::model::ModelKind;
    use crate::task::{Column, Kind, Schema, Split, SplitOptions, Task};

    fn counted(kind: ModelKind, truth: Truth, smoothing: f64) -> Row {
        let population = Population::new(truth);
        let split = Split::of(&population, &SplitOptions::of_conditions(0.1, 1)).unwrap();
        let config = ModelConfig { kind, smoothing, ..ModelConfig::default() };
        let data = TrialData::new(&population, &split);
        count_baseline(&config, &split.train.truth, &data, (20, 1)).unwrap().evaluation.row()
    }

    #[test]
    fn exact_figures_of_counts_are_those_computed_by_hand() {
        // Ten conditions of two equally likely rows of four; one condition is held out.
        let column = |name, size: usize| Column::new(name, (0..size).map(|value| value.to_string()));
        let mut rows = Rows::new(2);
        for given in 0..10 {
            rows.push(&[given, 0]);
            rows.push(&[given, 1]);
        }
        let schema = Schema::new(vec![column("a", 10)], vec![column("y", 4)]);
        let truth = Truth::new(schema, &rows, None, Kind::Exact);
        let row = counted(ModelKind::Counts, truth, 1.0);
        // Over all 18 training rows y is 0 or 1 in 9 each: (9 + 1/4) / 19. Under a condition: (1 + that) / 3.
        let base = 9.25 / 19.0;
        let seen = (1.0 + base) / 3.0;
        let of = |figure, part| row.number(Measure::exact(figure, part, Weighting::ByRow));
        for (part, p) in [(Part::Train, seen), (Part::Validation, base)] {
            assert!((of(Figure::InvalidMass, part) - (1.0 - 2.0 * p)).abs() < 1e-6);
            assert!((of(Figure::NllGap, part) - (0.5 / p).ln()).abs() < 1e-6);
            assert!((of(Figure::Tv, part) - (1.0 - 2.0 * p)).abs() < 1e-6);
            assert!(of(Figure::PriorMi, part) < 1e-6);
        }
        assert!((row.number(Measure::TestRecon) + base.ln()).abs() < 1e-9);
        let error = Measure::exact(Figure::NllGap, Part::All, Weighting::ByRow).spec().error.unwrap();
        assert_eq!((row.number(error), row.number(Measure::GreedyPass)), (0.0, 1.0));
        assert_eq!((row.count(Measure::Codes), row.count(Measure::ActiveUnits)), (1, 0));
    }

    #[test]
    fn of_dates_counts_know_the_conditions_seen_and_columns_do_not_know_which_day_goes_with_which_year() {
        let invalid = |kind, part| {
            let row = counted(kind, Task::named("dates").unwrap().truth, 1.0);
            row.number(Measure::exact(Figure::InvalidMass, part, Weighting::ByCondition))
        };
        let (seen, held_out) = (invalid(ModelKind::Counts, Part::Train), invalid(ModelKind::Counts, Part::Validation));
        assert!(seen < 0.07 && held_out > 0.99, "{seen} {held_out}");
        let columns = invalid(ModelKind::Columns, Part::Train);
        assert!((0.6..0.95).contains(&columns), "{columns}");
    }
}
