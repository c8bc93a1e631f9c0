//! `cvae compare`: trials side by side.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::exit::{BadInput, Exit};
use super::{output, warn};
use crate::analysis::{Setting, complete, distinct, groups, mixed_provenance, ranked};
use crate::dates::{self, ValidDates};
use crate::experiment::{Outcome, Reading, Run, RunTrial, to_csv};
use crate::metrics::{Measure, Reference, Source, Unit};
use crate::printable::ShownPath;
use crate::task;

/// Compare trials in a table, best first; trials that differ only in their seed share a row
///
/// A row over several seeds shows means over those that finished, with 95 % confidence intervals (Student's t). Seeds of
/// splits (data.seed) are averaged over as well, unless nothing else differs. Trials that failed or are unfinished
/// are counted beside them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae compare runs/quick
  cvae compare runs/baselines --references
  cvae compare runs/ablation --sort nll-gap --markdown
  cvae compare runs/seeds --each --columns greedy-pass,greedy-tv,invalid-mass,tv
  cvae compare runs/* --csv > all.csv

Without --wide, columns that do not fit the terminal are left out. docs/columns.md explains the measures.")]
pub struct Compare {
    /// Folders of trials, or folders that hold such
    #[arg(value_name = "RUNS", required = true, value_parser = super::place())]
    runs: Vec<PathBuf>,
    /// What to sort by, best first
    #[arg(long, value_enum, default_value_t = Column(Measure::GreedyPassValidation))]
    sort: Column,
    /// Which measures to show, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "COLUMNS", default_values_t = DEFAULT.map(Column))]
    columns: Vec<Column>,
    /// A row for each trial, seeds apart
    #[arg(long)]
    each: bool,
    /// Add what random dates and random valid dates score, where a trial is of dates
    #[arg(long)]
    references: bool,
    /// All columns, however wide the terminal is
    #[arg(long)]
    wide: bool,
    /// As a Markdown table
    #[arg(long, conflicts_with_all = ["csv", "wide"])]
    markdown: bool,
    /// One CSV row per finished trial, with every key of its config and every metric
    #[arg(long, conflicts_with_all = ["references", "columns", "sort", "wide", "each"])]
    csv: bool,
}

/// What is shown unless something else is asked for.
const DEFAULT: [Measure; 9] = [
    Measure::GreedyPass,
    Measure::GreedyPassValidation,
    Measure::GreedyCoverageRatio,
    Measure::GreedyTv,
    Measure::INVALID_MASS,
    Measure::NLL_GAP,
    Measure::TV,
    Measure::PRIOR_MI,
    Measure::TrainSeconds,
];

/// A measure as an option names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Column(Measure);

impl ValueEnum for Column {
    fn value_variants<'a>() -> &'a [Self] {
        static COLUMNS: OnceLock<Vec<Column>> = OnceLock::new();
        COLUMNS.get_or_init(|| {
            let shown = |measure: &Measure| {
                let spec = measure.spec();
                !matches!(spec.source, Source::History) && spec.unit != Unit::Text
            };
            let dates = dates::schema().given;
            let of_dates = dates.iter().map(|column| Measure::greedy_pass_of(&column.name));
            Measure::all().chain(of_dates).filter(shown).map(Column).collect()
        })
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(option(self.0)).help(self.0.spec().meaning);
        // What stands beside a mean of seeds is the seeds' interval.
        Some(value.hide(self.0.name().ends_with("_error")))
    }
}

/// A measure's name as options are written.
fn option(measure: Measure) -> &'static str {
    static NAMES: OnceLock<HashMap<&'static str, &'static str>> = OnceLock::new();
    // clap wants names that last; they are made once.
    let of = |Column(measure): &Column| (measure.name(), &*measure.name().replace('_', "-").leak());
    NAMES
        .get_or_init(|| Column::value_variants().iter().map(of).collect())
        .get(measure.name())
        .copied()
        .unwrap_or_default()
}

impl Compare {
    /// Reads the trials and prints them.
    ///
    /// # Errors
    /// When a folder can't be read or none holds a finished trial.
    pub fn run(self) -> anyhow::Result<Exit> {
        super::check_there(&self.runs)?;
        let (mut trials, mut skipped) = (Vec::new(), Vec::new());
        for path in &self.runs {
            for run in Run::find(path, Reading::METRICS)? {
                trials.extend(run.trials);
                skipped.extend(run.skipped);
            }
        }
        let (mut trials, duplicates) = distinct(trials);
        if trials.iter().all(|trial| trial.metrics().is_none()) {
            // The only trial that was named, say: its damage is the answer.
            let first = (!skipped.is_empty()).then(|| skipped.remove(0));
            warn::skipped(&skipped);
            return Err(first.map_or_else(|| self.nothing(&trials).into(), |first| first.reason.into()));
        }
        warn::skipped(&skipped);
        warn::duplicates(&duplicates);
        complete(&mut trials);
        if self.csv {
            output::print(to_csv(&trials)?.trim_end())?;
            return Ok(Exit::Done);
        }
        let settings = ranked(groups(&trials, self.each), self.sort.0);
        mixed_provenance(&settings).iter().for_each(|mixed| output::say!("warning: {mixed}"));
        self.print(&settings)?;
        Ok(Exit::Done)
    }

    fn nothing(&self, trials: &[RunTrial]) -> BadInput {
        let names: Vec<String> = self.runs.iter().map(|path| path.shown().to_string()).collect();
        let failed = trials.iter().filter(|trial| matches!(trial.outcome, Outcome::Failed(_))).count();
        let found = match (trials.len(), failed) {
            (0, _) => String::new(),
            (all, 0) => format!(", where {all} are unfinished"),
            (all, failed) => format!(", where {failed} of {all} failed (error.txt says why)"),
        };
        let names = names.join(", ");
        BadInput(format!("no finished trial (metrics.csv) in {names}{found}; name folders of runs, such as runs/quick"))
    }

    fn print(&self, settings: &[Setting<'_>]) -> anyhow::Result<()> {
        let measures: Vec<Measure> = self.columns.iter().map(|column| column.0).collect();
        let header: Vec<&str> =
            ["trials", "seeds"].into_iter().chain(measures.iter().map(|measure| measure.spec().heading)).collect();
        let row = |setting: &Setting| {
            let cell = |measure: &Measure| {
                let mean = setting.mean(*measure);
                measure.text(mean.mean, mean.half)
            };
            [setting.label.clone(), setting.count()].into_iter().chain(measures.iter().map(cell)).collect()
        };
        let mut rows: Vec<Vec<String>> = settings.iter().map(row).collect();
        let is_of_dates = |trial: &&RunTrial| {
            let of_file =
                ["data.table", "data.network"].iter().any(|key| trial.value(key).is_some_and(|file| !file.is_empty()));
            !of_file && trial.value("data.task").is_none_or(|task| task == task::DATES)
        };
        let any_of_dates = settings.iter().flat_map(|setting| &setting.trials).any(is_of_dates);
        if self.references && !any_of_dates {
            output::say!("no references are shown: they are of dates, and no trial is of them");
        }
        if self.references && any_of_dates {
            for reference in Reference::all(&ValidDates::new()) {
                let cells = measures.iter().map(|measure| measure.text(reference.of(*measure), f64::NAN));
                rows.push([format!("({})", reference.name), String::new()].into_iter().chain(cells).collect());
            }
        }
        if self.markdown {
            return Ok(output::print(&output::markdown(&header, &rows))?);
        }
        let sorted = measures.iter().position(|measure| *measure == self.sort.0).map(|place| place + 2);
        let kept: Vec<usize> = [0, 1].into_iter().chain(sorted).collect();
        let hidden_sort = rows.len() > 1 && sorted.is_none();
        output::print_table(&header, rows, (!self.wide).then_some(&kept))?;
        if hidden_sort {
            output::say!("sorted by {} (--sort), equal ones by coverage, then by NLL gap", option(self.sort.0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_final_measure_can_be_named() {
        let named = |name: &str| Column::from_str(name, false).map(|column| column.0);
        assert_eq!(named("greedy-coverage-ratio"), Ok(Measure::GreedyCoverageRatio));
        assert_eq!(named("nll-gap"), Ok(Measure::NLL_GAP));
        assert_eq!(named("nll-gap-by-condition-validation").map(Measure::name), Ok("nll_gap_by_condition_validation"));
        assert_eq!(named("greedy-pass-weekday"), Ok(Measure::greedy_pass_of("weekday")));
        assert_eq!(named("active-units"), Ok(Measure::ActiveUnits));
        assert!(named("train-loss").is_err() && named("phase").is_err());
        assert!(DEFAULT.iter().all(|measure| Column::value_variants().contains(&Column(*measure))));
    }
}
