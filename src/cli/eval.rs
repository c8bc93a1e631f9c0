//! `cvae eval`: scores a file of conditions and dates, whoever made it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::exit::{BadInput, Exit};
use super::input::Input;
use super::score::score_file;
use super::{output, warn};
use crate::analysis::{Warning, WarningRecord};
use crate::dates::{self, Condition, Date, DateError, DateTokens, LineError, ValidDates};
use crate::files::FileError;
use crate::metrics::{Failures, Population, Tally};
use crate::task::Notation;

/// Score a file of `conditions date` lines, overall and per condition
///
/// A line passes when its date exists, lies in 1-1-1800 to 31-12-2200, and meets all four conditions.
/// A line without a date, or with something that is none, fails.
///
/// With a --model of another task or of a table, the file is CSV, scored as by cvae score.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae eval predictions.txt
  cvae eval data/data.txt --json | jq .pass_rate
  cvae eval predictions.txt --model runs/quick/latent_dim4-seed1-0a1b2c3d4e5f")]
pub struct Eval {
    /// File to score; - for standard input
    #[arg(value_name = "FILE", value_parser = super::stream())]
    file: PathBuf,
    /// Everything as JSON, with a record for each condition
    #[arg(long)]
    json: bool,
    /// Folder of the model that made the file: its warnings are raised from the file's dates
    #[arg(long, value_name = "DIR", value_parser = super::place())]
    model: Option<PathBuf>,
    /// Number of worst conditions and of failures to show
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = super::count, allow_negative_numbers = true)]
    show: usize,
}

#[derive(Debug, Serialize)]
struct Report {
    lines: u64,
    passes: u64,
    pass_rate: f64,
    valid_date_rate: f64,
    weekday_rate: f64,
    month_rate: f64,
    leap_rate: f64,
    decade_rate: f64,
    /// By part of the model's split, where one is named.
    splits: Vec<SplitReport>,
    conditions: Vec<ConditionReport>,
    failures: Vec<Failure>,
    warnings: Vec<WarningRecord>,
}

/// Lines whose conditions are of one part of a split.
#[derive(Debug, Serialize)]
struct SplitReport {
    split: &'static str,
    lines: u64,
    passes: u64,
    pass_rate: f64,
}

#[derive(Clone, Debug, Serialize)]
struct ConditionReport {
    condition: String,
    lines: u64,
    passes: u64,
    pass_rate: f64,
    valid_dates: usize,
    distinct_valid_dates: usize,
}

#[derive(Debug, Serialize)]
struct Failure {
    line: u64,
    text: String,
    reason: String,
}

/// Faulty lines that are shown one by one.
const SHOWN: usize = 10;

/// What was counted of each condition, and what failed.
type Tallied = (Vec<(Condition, Tally)>, Vec<Failure>);

impl Eval {
    /// Scores the file and prints the result.
    ///
    /// # Errors
    /// When the file can't be read, holds nothing, or a line has no conditions.
    pub fn run(self) -> anyhow::Result<Exit> {
        if let Some(folder) = &self.model
            && let (model, config) = super::load_model(Some(folder))?
            && model.schema.notation == Notation::Named
        {
            return score_file(&super::inspect::truth(&model, &config)?, &self.file, self.json);
        }
        let valid = ValidDates::new();
        let mut input = Input::open(&self.file)?;
        let population = Population::new(dates::truth(&valid));
        let (tallies, failures) = self.tally(&mut input, &population)?;
        let (warnings, splits) = self.of_model(&population, &tallies)?;
        warn::show(&warnings);
        let report = report(&tallies, failures, &warnings, splits);
        output::print(&if self.json { output::json(&report)? } else { self.text(&report) })?;
        Ok(Exit::Done)
    }

    /// Counts by condition, and the first failing lines.
    fn tally(&self, input: &mut Input, population: &Population) -> anyhow::Result<Tallied> {
        let name = input.name();
        let mut tallies: BTreeMap<usize, (Condition, Tally)> = BTreeMap::new();
        let mut failures = Vec::new();
        let mut bad = 0;
        let mut empty = true;
        for line in input.lines()? {
            let line = line.map_err(FileError::at("read", Path::new(&name)))?;
            let parsed = line.parse().and_then(|parsed| parsed.alone(&line.text).map(|()| parsed));
            match parsed {
                Ok(parsed) => {
                    empty &= parsed.rest.trim().is_empty();
                    let date = parsed.rest.parse::<Date>();
                    let condition = parsed.condition;
                    let (_, tally) = tallies.entry(condition.index()).or_insert_with(|| {
                        let group = population.find(&condition.row());
                        let columns = population.schema().given.len();
                        (
                            condition,
                            group.map_or_else(|| Tally::of_nothing(columns), |group| Tally::new(population, group)),
                        )
                    });
                    match &date {
                        Err(_) => tally.add_invalid(),
                        Ok(date) if tally.counts.is_empty() => tally.add_failure(condition.misses(*date).by_field()),
                        Ok(date) => tally.add(population, &DateTokens::of(*date).row()),
                    }
                    let reason = reason(parsed.condition, parsed.rest, &date);
                    if !reason.is_empty() && failures.len() < self.show {
                        failures.push(Failure { line: line.number, text: line.text.trim_end().to_owned(), reason });
                    }
                }
                Err(error) => {
                    bad += 1;
                    show_fault(&name, line.number, &error, bad);
                }
            }
        }
        if bad > SHOWN {
            output::say!("... and {} more bad lines", bad - SHOWN);
        }
        if bad > 0 {
            let what = "have no readable conditions or hold two lines; mend or remove them";
            let hint = if self.model.is_none() { super::of_table(&self.file) } else { "" };
            return Err(BadInput(format!("{bad} lines of {name} {what}{hint}")).into());
        }
        let tallies: Vec<(Condition, Tally)> = tallies.into_values().collect();
        if tallies.is_empty() {
            return Err(BadInput(format!("{name} holds no lines")).into());
        }
        if empty {
            output::say!("warning: no line of {name} has a date; is it an input of predict?");
        }
        Ok((tallies, failures))
    }

    /// What the model, where one is named, is to be warned of, and how the conditions of each part of its split fare.
    fn of_model(
        &self,
        population: &Population,
        tallies: &[(Condition, Tally)],
    ) -> anyhow::Result<(Vec<Warning>, Vec<SplitReport>)> {
        let Some(folder) = &self.model else { return Ok((Vec::new(), Vec::new())) };
        let (model, config) = super::load_model(Some(folder))?;
        let split = config.data.split(population)?;
        let of = |(name, groups): (&'static str, &[usize])| {
            let own = tallies.iter().map(|(_, tally)| tally).filter(|tally| groups.binary_search(&tally.group).is_ok());
            let (lines, passes) =
                own.fold((0, 0), |(lines, passes), tally| (lines + tally.samples(), passes + tally.passes()));
            SplitReport { split: name, lines, passes, pass_rate: passes as f64 / lines as f64 }
        };
        let parts = [("train", split.seen.as_slice()), ("validation", &split.held_out), ("sealed", &split.sealed)];
        let parts = parts.map(of).into_iter().filter(|part| part.lines > 0).collect();
        // What a sealed condition shows is nobody's business before the end.
        let open = |tally: &&Tally| !tally.counts.is_empty() && split.sealed.binary_search(&tally.group).is_err();
        let met: Vec<Tally> = tallies.iter().map(|(_, tally)| tally).filter(open).cloned().collect();
        Ok((warn::warnings_of(&model, population, &split, &met, config.seed), parts))
    }

    fn text(&self, report: &Report) -> String {
        let percent = output::percent;
        let rows = [
            ("all four conditions", report.pass_rate),
            ("existing date in range", report.valid_date_rate),
            ("weekday", report.weekday_rate),
            ("month", report.month_rate),
            ("leap year", report.leap_rate),
            ("decade", report.decade_rate),
        ];
        let rows = rows.map(|(name, rate)| vec![name.to_owned(), percent(rate)]).to_vec();
        let mut text = format!("{}\n", output::on_terminal(&mut output::table(&["pass rate", ""], rows)));
        let (lines, passes) = (report.lines, report.passes);
        text += &format!("{passes} of {lines} lines pass; {} conditions\n", report.conditions.len());
        for SplitReport { split, lines, passes, pass_rate } in &report.splits {
            text += &format!("{split} conditions: {} pass, {passes} of {lines} lines\n", percent(*pass_rate));
        }
        let mut worst: Vec<_> =
            report.conditions.iter().filter(|condition| condition.passes < condition.lines).collect();
        worst.sort_by(|a, b| a.pass_rate.total_cmp(&b.pass_rate));
        if !worst.is_empty() {
            let row = |condition: &&ConditionReport| {
                let ConditionReport { condition, lines, passes, pass_rate, .. } = condition;
                vec![condition.clone(), percent(*pass_rate), format!("{passes} of {lines}")]
            };
            let rows = worst.iter().take(self.show).map(row).collect();
            let mut table = output::table(&["worst conditions", "pass rate", "lines"], rows);
            text += &format!("\n{}\n", output::on_terminal(&mut table));
            text += &more(worst.len() as u64, self.show, "conditions");
        }
        if !report.failures.is_empty() {
            let row = |failure: &Failure| vec![failure.line.to_string(), failure.text.clone(), failure.reason.clone()];
            let mut table =
                output::table(&["line", "first failures", "reason"], report.failures.iter().map(row).collect());
            for column in table.column_iter_mut() {
                column.set_cell_alignment(comfy_table::CellAlignment::Left);
            }
            text += &format!("\n{}\n", output::on_terminal(&mut table));
            text += &more(lines - passes, self.show, "failing lines");
        }
        text.trim_end().to_owned()
    }
}

/// How many there are beside those that are shown.
fn more(all: u64, shown: usize, what: &str) -> String {
    match all.saturating_sub(shown as u64) {
        0 => String::new(),
        left => format!("... and {left} more {what}; --show N shows N\n"),
    }
}

fn show_fault(name: &str, number: u64, error: &LineError, bad: usize) {
    if bad <= SHOWN {
        output::say!("{name}:{number}:{}: {error}", error.column());
    }
}

/// Why a line fails; empty where it passes.
fn reason(condition: Condition, text: &str, date: &Result<Date, DateError>) -> String {
    match date {
        Ok(date) => condition.explain(*date),
        Err(_) if text.is_empty() => "no date".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn report(
    tallies: &[(Condition, Tally)],
    failures: Vec<Failure>,
    warnings: &[Warning],
    splits: Vec<SplitReport>,
) -> Report {
    let mut failed = Failures::default();
    tallies.iter().for_each(|(_, tally)| failed.merge(&tally.failures));
    let lines = tallies.iter().map(|(_, tally)| tally.samples()).sum::<u64>();
    let passes = tallies.iter().map(|(_, tally)| tally.passes()).sum::<u64>();
    let rates = failed.pass_by_column(lines);
    let rate = |column: usize| rates.get(column).copied().unwrap_or(f64::NAN);
    let condition = |(condition, tally): &(Condition, Tally)| ConditionReport {
        condition: condition.to_string(),
        lines: tally.samples(),
        passes: tally.passes(),
        pass_rate: tally.pass_rate(),
        valid_dates: tally.counts.len(),
        distinct_valid_dates: tally.counts.iter().filter(|count| **count > 0).count(),
    };
    Report {
        lines,
        passes,
        pass_rate: passes as f64 / lines as f64,
        valid_date_rate: (lines - failed.invalid) as f64 / lines as f64,
        weekday_rate: rate(0),
        month_rate: rate(1),
        leap_rate: rate(2),
        decade_rate: rate(3),
        splits,
        conditions: tallies.iter().map(condition).collect(),
        failures,
        warnings: warnings.iter().copied().map(WarningRecord::from).collect(),
    }
}
