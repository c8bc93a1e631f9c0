//! Trials as a page holds them: what tells them apart, their figures, and their histories in columns.

use serde::Serialize;

use crate::analysis::varying;
use crate::experiment::{Outcome, Run, RunTrial};
use crate::metrics::{Direction, Measure, Row, Source};

/// What a page knows of a measure.
#[derive(Debug, Serialize)]
pub struct MeasureInfo {
    name: &'static str,
    heading: &'static str,
    title: &'static str,
    unit: &'static str,
    digits: usize,
    /// 1 where high values are good, -1 where low ones are, else 0.
    better: i8,
    meaning: &'static str,
    /// Whether the table of trials shows it from the start.
    shown: bool,
}

/// The figures that a table of trials begins with.
const SHOWN: [Measure; 6] = [
    Measure::GreedyPass,
    Measure::GreedyPassValidation,
    Measure::INVALID_MASS,
    Measure::NLL_GAP,
    Measure::GreedyTv,
    Measure::PRIOR_MI,
];

fn is_figure(measure: &Measure) -> bool {
    matches!(measure.spec().source, Source::Metrics | Source::Both | Source::Derived { .. })
}

impl MeasureInfo {
    /// All that a finished trial has figures of.
    pub(super) fn all() -> Vec<Self> {
        let info = |measure: &Measure| {
            let spec = measure.spec();
            let better = match spec.direction {
                Direction::Higher => 1,
                Direction::Lower => -1,
                Direction::Neither => 0,
            };
            let (name, heading, title, unit) = (spec.name, spec.heading, spec.title, spec.unit.name());
            let shown = SHOWN.contains(measure);
            Self { name, heading, title, unit, digits: spec.digits, better, meaning: spec.meaning, shown }
        };
        Measure::all().filter(is_figure).map(|measure| info(&measure)).collect()
    }
}

/// A chart of a trial's history: its title, its unit, and a line for each measure.
#[derive(Debug, Serialize)]
pub struct Facet {
    title: &'static str,
    unit: &'static str,
    lines: Vec<(&'static str, &'static str)>,
}

/// Title, and measures with what the legend calls them.
const FACETS: [(&str, &[(Measure, &str)]); 7] = [
    ("Loss", &[(Measure::TrainLoss, "training"), (Measure::TestLoss, "validation")]),
    ("Reconstruction", &[(Measure::TrainRecon, "training"), (Measure::TestRecon, "validation")]),
    ("KL", &[(Measure::TrainKl, "training"), (Measure::TestKl, "validation")]),
    ("−ELBO", &[(Measure::TestElbo, "validation")]),
    (
        "Pass rate",
        &[
            (Measure::GreedyPass, "greedy"),
            (Measure::GreedyPassValidation, "greedy, validation"),
            (Measure::SampledPass, "sampled"),
        ],
    ),
    ("Coverage", &[(Measure::GreedyCoverage, "greedy"), (Measure::PerfectCoverage, "perfect")]),
    ("KL weight β", &[(Measure::Beta, "")]),
];

impl Facet {
    /// The charts that a trial's curves are drawn as.
    pub(super) fn all() -> Vec<Self> {
        let facet = |(title, measures): &(&'static str, &[(Measure, &'static str)])| Self {
            title,
            unit: measures[0].0.spec().unit.name(),
            lines: measures.iter().map(|(measure, name)| (measure.name(), *name)).collect(),
        };
        FACETS.iter().map(facet).collect()
    }
}

/// An experiment.
#[derive(Debug, Serialize)]
pub struct PageRun {
    name: String,
    /// The keys that its trials differ in.
    keys: Vec<String>,
    /// The columns of the histories: steps, then what charts show.
    history: Vec<&'static str>,
    trials: Vec<PageTrial>,
}

#[derive(Debug, Serialize)]
struct PageTrial {
    name: String,
    seed: String,
    state: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Values of the keys that trials differ in.
    values: Vec<String>,
    /// By measure; what was not measured is not there.
    figures: serde_json::Map<String, serde_json::Value>,
    /// By column: a number for each evaluation.
    history: Vec<Vec<Option<f64>>>,
}

impl PageRun {
    /// What a page holds of an experiment.
    pub fn new(run: &Run) -> Self {
        let keys = varying(&run.trials);
        let logged =
            |measure: &Measure| run.trials.iter().flat_map(|trial| &trial.history).any(|row| row.has(*measure));
        let charted = FACETS.iter().flat_map(|(_, measures)| measures.iter().map(|(measure, _)| *measure));
        let columns: Vec<Measure> = [Measure::Step, Measure::Epoch].into_iter().chain(charted).filter(logged).collect();
        let trials = run.trials.iter().map(|trial| PageTrial::new(trial, &keys, &columns)).collect();
        let history = columns.iter().map(|column| column.name()).collect();
        Self { name: run.name.clone(), keys, history, trials }
    }
}

impl PageTrial {
    fn new(trial: &RunTrial, keys: &[String], columns: &[Measure]) -> Self {
        let value = |key: &str| trial.value(key).unwrap_or_default().to_owned();
        let (state, error) = match &trial.outcome {
            Outcome::Finished(_) => ("finished", None),
            Outcome::Failed(reason) => ("failed", Some(reason.clone())),
            Outcome::Unfinished => ("unfinished", None),
        };
        Self {
            name: trial.name.clone(),
            seed: value("seed"),
            state,
            error,
            values: keys.iter().map(|key| value(key)).collect(),
            figures: trial.metrics().map(|metrics| figures(metrics)).unwrap_or_default(),
            history: columns.iter().map(|column| history(&trial.history, *column)).collect(),
        }
    }
}

fn figures(row: &Row) -> serde_json::Map<String, serde_json::Value> {
    let measures = Measure::all().filter(|measure| is_figure(measure) && row.has(*measure));
    let figure = |measure: Measure| {
        let value = match row.words(measure) {
            "" => short(row.number(measure))?.into(),
            words => words.into(),
        };
        Some((measure.name().to_owned(), value))
    };
    measures.filter_map(figure).collect()
}

fn history(rows: &[Row], measure: Measure) -> Vec<Option<f64>> {
    rows.iter().map(|row| short(row.number(measure))).collect()
}

/// A number to seven digits, which charts and tables do not exceed; none where it is not finite.
fn short(value: f64) -> Option<f64> {
    value.is_finite().then(|| format!("{value:.7e}").parse().unwrap_or(value))
}
