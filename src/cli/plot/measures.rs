//! The figures of finished trials that charts show.

use crate::experiment::{Run, Table, TableError};

/// A figure of a finished trial.
#[derive(Clone, Copy)]
pub struct Measure {
    /// Its name, with the unit.
    pub title: &'static str,
    /// Whether it is a share.
    pub share: bool,
    /// Whether large values are good; none where neither end is.
    pub rises: Option<bool>,
    /// A column without which it is left out; the other columns every trial has.
    optional: Option<&'static str>,
    /// Its value.
    pub of: fn(&Table) -> Result<f64, TableError>,
}

/// One number of a trial's metrics.
///
/// # Errors
/// When there is no such column, or no number in it.
pub fn number(table: &Table, column: &str) -> Result<f64, TableError> {
    Ok(table.numbers(column)?.first().copied().unwrap_or(f64::NAN))
}

pub const PASS: Measure = Measure {
    title: "greedy pass rate",
    share: true,
    rises: Some(true),
    optional: None,
    of: |table| number(table, "greedy_pass"),
};

pub const HELD_OUT: Measure = Measure {
    title: "greedy pass, held out",
    share: true,
    rises: Some(true),
    optional: None,
    of: |table| number(table, "greedy_pass_held_out"),
};

pub const SAMPLED: Measure = Measure {
    title: "sampled pass rate",
    share: true,
    rises: Some(true),
    optional: None,
    of: |table| number(table, "sampled_pass"),
};

pub const COVERAGE: Measure = Measure {
    title: "greedy coverage / perfect",
    share: true,
    rises: Some(true),
    optional: None,
    of: |table| Ok(number(table, "greedy_coverage")? / number(table, "expected_coverage")?),
};

pub const TV: Measure = Measure {
    title: "greedy tv above noise",
    share: false,
    rises: Some(false),
    optional: None,
    of: |table| Ok(number(table, "greedy_tv")? - number(table, "expected_tv")?),
};

pub const KL: Measure =
    Measure { title: "KL, nats", share: false, rises: None, optional: None, of: |table| number(table, "test_kl") };

pub const NLL: Measure = Measure {
    title: "NLL above floor, nats",
    share: false,
    rises: Some(false),
    optional: Some("test_nll_gap"),
    of: |table| number(table, "test_nll_gap"),
};

pub const INFORMATION: Measure = Measure {
    title: "I(z; date | condition), nats",
    share: false,
    rises: Some(true),
    optional: Some("test_mi"),
    of: |table| number(table, "test_mi"),
};

pub const ELBO: Measure = Measure {
    title: "−ELBO above floor, nats",
    share: false,
    rises: Some(false),
    optional: None,
    of: |table| Ok(number(table, "test_elbo")? - number(table, "test_entropy_floor")?),
};

impl Measure {
    /// Whether every finished trial of a run has it.
    pub fn is_in(&self, run: &Run) -> bool {
        let has = |column| run.trials.iter().filter_map(|trial| trial.metrics()).all(|table| table.has(column));
        self.optional.is_none_or(has)
    }

    /// A value in words.
    pub fn words(&self, value: f64) -> String {
        match (self.share, value) {
            (_, value) if !value.is_finite() => "–".to_owned(),
            // Nearly all is never written as all.
            (true, value) if value < 1.0 && value > 0.99995 => format!("{:.4}", (1e6 * value).floor() / 1e4),
            (true, value) if value >= 1.0 => "100".to_owned(),
            (true, value) if value > 0.99 => format!("{:.2}", 100.0 * value),
            (true, value) => format!("{:.1}", 100.0 * value),
            (false, value) if value.abs() < 0.095 => format!("{value:.3}"),
            (false, value) => format!("{value:.2}"),
        }
    }
}

/// Those of a list that a run has, and a note on those that it lacks.
pub fn present(measures: &[Measure], run: &Run) -> (Vec<Measure>, Option<String>) {
    let (there, lacking): (Vec<Measure>, Vec<Measure>) = measures.iter().partition(|measure| measure.is_in(run));
    let names: Vec<&str> = lacking.iter().filter_map(|measure| measure.optional).collect();
    let note = (!names.is_empty()).then(|| format!("Not every trial has a column {}: left out.", names.join(" and ")));
    (there, note)
}
