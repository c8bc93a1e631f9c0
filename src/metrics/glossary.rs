//! The glossary of measures as Markdown: docs/columns.md.

use super::measure::{Direction, Source, Spec};
use super::registry::Measure;

/// The glossary: what every column is, and what is computed from columns.
pub fn glossary() -> String {
    let (logged, derived): (Vec<Measure>, Vec<Measure>) =
        Measure::ALL.iter().partition(|measure| !matches!(measure.spec().source, Source::Derived { .. }));
    format!(
        "# Columns\n\n\
         <!-- Made from src/metrics/registry.rs; `make docs` writes it again. -->\n\n\
         `history.csv` has a row for each evaluation, `metrics.csv` one row for the finished trial; both lie in the \
         [run folder](run-folders.md). [Metrics](metrics.md) explains the figures.\n\n\
         Losses are in nats per date. \"Greedy\" and \"sampled\" (temperature 1) columns describe raw samples with z \
         from the prior, over all conditions or, where the name says so, the held-out ones. `NaN` means that there was \
         nothing to measure. A column that an older version did not log is read as \"not logged\". The last row of a \
         history has more samples per condition than the others: its \"worst\" columns are not comparable with \
         theirs.\n\n{}\n\
         ## Computed from them\n\n\
         `cvae compare` and `cvae plot` compute these when they read a trial; no file holds them.\n\n{}",
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
        for measure in Measure::ALL {
            assert_eq!(glossary.matches(&format!("\n| `{}` |", measure.name())).count(), 1, "{measure:?}");
        }
    }
}
