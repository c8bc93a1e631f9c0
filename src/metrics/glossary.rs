//! The glossary of measures as Markdown: docs/columns.md.

use super::measure::{Direction, Measure, Source, Spec};

/// Training and validation conditions whose marginals a row of a history is measured by, at the most.
pub const HISTORY_CONDITIONS: [usize; 2] = [512, 256];

/// The glossary: what every column is, and what is computed from columns.
pub fn glossary() -> String {
    let (logged, derived): (Vec<Measure>, Vec<Measure>) =
        Measure::all().partition(|measure| !matches!(measure.spec().source, Source::Derived { .. }));
    format!(
        "# Columns\n\n\
         <!-- Made from src/metrics/registry.rs; `make docs` writes it again. -->\n\n\
         `history.csv` has a row for each evaluation, `metrics.csv` one row for the finished trial; both lie in the \
         [run folder](run-folders.md). [Metrics](metrics.md) explains the figures.\n\n\
         Losses are in nats per row. \"Greedy\" columns describe raw samples with z from the prior. Figures are over \
         all conditions or, where the name says so, the validation or training ones; sealed conditions are in none. \
         Those of the marginal are exact but for the choice of codes; in a history they are of at most {} training and \
         {} validation conditions. `NaN` means that there was nothing to measure. A column that an older version did \
         not log is read as \"not logged\". Each given column of the task adds `greedy_pass_<column>`: the share of \
         greedy samples that are rows of some condition with the right value of it.\n\n{}\n\
         ## Computed from them\n\n\
         `cvae compare` and `cvae plot` compute these when they read a trial; no file holds them.\n\n{}",
        HISTORY_CONDITIONS[0],
        HISTORY_CONDITIONS[1],
        table(&logged),
        table(&derived)
    )
}

fn table(measures: &[Measure]) -> String {
    let rows: Vec<[String; 6]> = measures.iter().map(|measure| cells(measure.spec())).collect();
    let mut text =
        "| column | logged in | unit | better | perfect model | meaning |\n|---|---|---|---|---|---|\n".to_owned();
    rows.iter().for_each(|row| text += &format!("| {} |\n", row.join(" | ")));
    text
}

fn cells(spec: &Spec) -> [String; 6] {
    let logged = match spec.source {
        Source::History => "history",
        Source::Metrics => "metrics",
        Source::Both => "both",
        Source::Derived { .. } => "computed",
    };
    let better = match spec.direction {
        Direction::Higher => "higher",
        Direction::Lower => "lower",
        Direction::Neither => "",
    };
    let error = spec.error.map(|error| format!(" Standard error: `{}`.", error.name())).unwrap_or_default();
    let meaning = format!("{}{error}", spec.meaning);
    [format!("`{}`", spec.name), logged.into(), spec.unit.name().into(), better.into(), spec.perfect.into(), meaning]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_has_its_row() {
        let glossary = glossary();
        for measure in Measure::all() {
            assert_eq!(glossary.matches(&format!("\n| `{}` |", measure.name())).count(), 1, "{measure:?}");
        }
    }
}
