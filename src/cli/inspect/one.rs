//! One condition: its valid dates with their counts, what failed and why, and the calendar.

use std::collections::HashMap;
use std::path::PathBuf;

use comfy_table::CellAlignment;
use serde::Serialize;

use super::row::Row;
use super::{Inspect, Subject, file_name, is_picture, terminal};
use crate::analysis::{Warning, WarningRecord, deviation};
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::warn;
use crate::dates::{Condition, DateTokens};
use crate::figures::{Calendar, Cell, count, write_both, write_file};
use crate::metrics::{Draws, Tally, draw_samples};
use crate::printable::ShownPath;

/// Everything about one condition.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    row: Row,
    /// Count to be expected of each valid date.
    expected_count: f64,
    dates: Vec<DateCount>,
    failures: Vec<Failure>,
    warnings: Vec<WarningRecord>,
}

#[derive(Debug, Serialize)]
struct DateCount {
    date: String,
    count: u64,
    trained: bool,
    mark: &'static str,
}

#[derive(Debug, Serialize)]
struct Failure {
    date: String,
    count: u64,
    reason: String,
}

/// Failing dates that are shown one by one; the JSON has all.
const SHOWN: usize = 20;

/// Inspects the condition.
///
/// # Errors
/// When a chart can't be written.
pub fn run(options: &Inspect, subject: &Subject, condition: Condition) -> anyhow::Result<Exit> {
    let (tally, counts) = drawn(options, subject, condition);
    let warnings = options.warnings(subject);
    let report = report(subject, condition, &tally, &counts, &warnings);
    let calendar = calendar(options, subject, condition, &tally, &counts);
    // Files first: who reads the text may stop reading.
    for path in draw(options, &calendar, condition)? {
        output::say!("wrote {}", path.shown());
    }
    warn::show(&warnings);
    if options.json {
        output::print(&output::json(&report)?)?;
    } else {
        let map = terminal::calendar(&calendar.cells, calendar.years, report.expected_count, terminal::takes_colour());
        let others = format!("\n{} dates lie outside of this map", calendar.elsewhere);
        let map = if calendar.elsewhere > 0 { map + &others } else { map };
        output::print_coloured(&text(&report, &map, &options.how()))?;
    }
    Ok(Exit::Done)
}

/// The condition's samples: how each valid date fares, and how often each combination of tokens was drawn.
pub fn drawn(options: &Inspect, subject: &Subject, condition: Condition) -> (Tally, Vec<(DateTokens, u64)>) {
    let (samples, threads) = (options.samples() as usize, subject.threads);
    let draws = Draws { samples, decode: subject.decode, seed: options.seed, threads };
    let drawn = draw_samples(&subject.model, &condition.row(), draws);
    let mut tally = Tally::new(&subject.population, subject.group(condition));
    drawn.iter().for_each(|row| tally.add(&subject.population, row));
    // A head has as many logits as its field has values, so every choice is inside its field.
    let drawn: Vec<DateTokens> = drawn.iter().filter_map(DateTokens::from_row).collect();
    (tally, counted(&drawn))
}

/// The heat map of these samples.
pub fn calendar(
    options: &Inspect,
    subject: &Subject,
    condition: Condition,
    tally: &Tally,
    counts: &[(DateTokens, u64)],
) -> Calendar {
    let first = condition.decade.number() as u32 * 10;
    let years = (first, (first + 9).min(crate::dates::LAST_YEAR as u32));
    let mut cells = cells(subject, condition, tally, counts);
    // The last decade has one year, and a model may generate the others.
    cells.retain(|cell| (years.0..=years.1).contains(&cell.year));
    Calendar {
        title: format!("{condition}: {} dates, {}", count(options.samples() as usize), options.how()),
        month: condition.month.to_string(),
        years,
        elsewhere: u64::from(options.samples()) - cells.iter().map(|cell| cell.count).sum::<u64>(),
        expected: tally.samples() as f64 / tally.counts.len() as f64,
        cells,
    }
}

fn draw(options: &Inspect, calendar: &Calendar, condition: Condition) -> anyhow::Result<Vec<PathBuf>> {
    match &options.output {
        None => Ok(Vec::new()),
        Some(path) if is_picture(path) => {
            write_file(calendar, path)?;
            Ok(vec![path.clone()])
        }
        Some(folder) => Ok(write_both(calendar, folder, &file_name(condition))?.to_vec()),
    }
}

/// How often each combination of tokens was drawn, the most frequent first.
fn counted(drawn: &[DateTokens]) -> Vec<(DateTokens, u64)> {
    let mut counts: HashMap<DateTokens, u64> = HashMap::new();
    drawn.iter().for_each(|tokens| *counts.entry(*tokens).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(tokens, count)| (std::cmp::Reverse(*count), tokens.index()));
    counts
}

fn report(
    subject: &Subject,
    condition: Condition,
    tally: &Tally,
    counts: &[(DateTokens, u64)],
    warnings: &[Warning],
) -> Report {
    let valid = subject.valid.of(condition);
    let expected_count = tally.samples() as f64 / valid.len() as f64;
    let trained = subject.trained.of(tally.group);
    let dates = valid.iter().zip(&tally.counts).zip(trained).map(|((date, count), trained)| DateCount {
        date: date.to_string(),
        count: *count,
        trained: *trained,
        mark: deviation(*count, expected_count, valid.len()).mark(),
    });
    let reason = |tokens: &DateTokens| match tokens.date() {
        Ok(date) => condition.explain(date),
        Err(error) => error.to_string(),
    };
    let failures = counts.iter().map(|(tokens, count)| (tokens, count, reason(tokens)));
    let failures = failures.filter(|(.., reason)| !reason.is_empty());
    Report {
        row: Row::new(subject, tally),
        expected_count,
        dates: dates.collect(),
        failures: failures
            .map(|(tokens, count, reason)| Failure { date: tokens.to_string(), count: *count, reason })
            .collect(),
        warnings: warnings.iter().copied().map(WarningRecord::from).collect(),
    }
}

/// The days of the condition's month and decade that are valid or were generated.
fn cells(subject: &Subject, condition: Condition, tally: &Tally, counts: &[(DateTokens, u64)]) -> Vec<Cell> {
    let valid = subject.valid.of(condition).iter().zip(&tally.counts);
    let mut cells: Vec<Cell> = valid
        .map(|(date, count)| Cell { year: date.year() as u32, day: date.day() as u32, count: *count, valid: true })
        .collect();
    let known: std::collections::HashSet<(u32, u32)> = cells.iter().map(|cell| (cell.year, cell.day)).collect();
    for (tokens, count) in counts {
        let [decade, month, ..] = tokens.indices();
        let (day, _, year) = tokens.numbers();
        // The last decade has one year: dates after it lie outside of the map.
        let inside = decade == condition.decade.index() && year <= crate::dates::LAST_YEAR as u32;
        let shown = inside && month == condition.month.index();
        if shown && !known.contains(&(year, day)) {
            cells.push(Cell { year, day, count: *count, valid: false });
        }
    }
    cells
}

fn text(report: &Report, map: &str, how: &str) -> String {
    let row = &report.row;
    let held_out = if row.held_out { "held out of training" } else { "seen in training" };
    let mut text =
        format!("{}  {} valid dates, {held_out}; {} samples, {how}\n\n", row.condition, row.valid_dates, row.samples);
    let expected = format!("{:.1}", report.expected_count);
    let rows = report.dates.iter().map(|date| {
        let trained = if date.trained { "trained" } else { "held out" };
        vec![date.date.clone(), date.count.to_string(), expected.clone(), date.mark.to_owned(), trained.to_owned()]
    });
    let mut table = output::long_table(&["valid date", "count", "expected", "mark", "in training"], rows.collect());
    text += &format!("{}\n", output::on_terminal(&mut table));
    text += "marks: more than 3 standard deviations under or over the expected count\n\n";
    if report.failures.is_empty() {
        text += "no sample fails\n\n";
    } else {
        let rows = report.failures.iter().take(SHOWN);
        let rows = rows.map(|failure| vec![failure.date.clone(), failure.count.to_string(), failure.reason.clone()]);
        let mut table = output::long_table(&["failing date", "count", "reason"], rows.collect());
        if let Some(column) = table.column_mut(2) {
            column.set_cell_alignment(CellAlignment::Left);
        }
        text += &format!("{}\n", output::on_terminal(&mut table));
        let more = report.failures.len().saturating_sub(SHOWN);
        text +=
            &if more > 0 { format!("and {more} other failing dates (--json has all)\n\n") } else { "\n".to_owned() };
    }
    let percent = output::percent;
    let figure = |name: &str, value: String, perfect: String| vec![name.to_owned(), value, perfect];
    let rows = vec![
        figure("pass rate", percent(row.pass_rate), percent(1.0)),
        figure("coverage", percent(row.coverage), percent(row.expected_coverage)),
        figure("entropy (1 = uniform)", format!("{:.4}", row.entropy), format!("{:.4}", row.expected_entropy)),
        figure("total variation", format!("{:.4}", row.tv), format!("{:.4}", row.expected_tv)),
        figure(
            "distinct valid dates",
            row.distinct.to_string(),
            format!("{:.1}", row.expected_coverage * row.valid_dates as f64),
        ),
        figure("passing repeats", row.duplicates.to_string(), "-".to_owned()),
        figure("training dates", percent(row.trained), percent(row.expected_trained)),
    ];
    let mut table = output::long_table(&["figure", "model", "perfect sampler"], rows);
    text += &format!("{}\n\n", output::on_terminal(&mut table));
    text + map
}
