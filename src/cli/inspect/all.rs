//! Every condition: conditions.csv, the summary with its worst, and charts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::RngExt;
use serde::Serialize;

use super::exact::{self, Exact, Shown};
use super::row::Row;
use super::{Inspect, Subject};
use crate::analysis::{Warning, WarningRecord};
use crate::cli::exit::{BadInput, Exit};
use crate::cli::output;
use crate::cli::warn::{self, held_out};
use crate::dates::Holdout;
use crate::figures::{Histogram, Panel, Rate, Rates, count, write_both};
use crate::files;
use crate::metrics::{Scores, Summary, Tally, Worst, coverage, tv};
use crate::model::Decode;
use crate::printable::ShownPath;
use crate::random::{Purpose, stream};
use crate::task::{Column, Split};

/// Everything about all conditions.
#[derive(Debug, Serialize)]
struct Report {
    /// Which parts of the split the conditions are of.
    split: &'static str,
    conditions: usize,
    samples: u64,
    decoding: String,
    pass: Figure,
    pass_held_out: Option<Figure>,
    valid_row_rate: f64,
    /// Rows with the right value of each given column.
    column_rates: BTreeMap<String, f64>,
    /// In as many draws as a condition has rows, or all where these are fewer.
    coverage_at_rows: Figure,
    expected_coverage_at_rows: f64,
    coverage_at_rows_held_out: Option<Figure>,
    /// In all draws.
    coverage: Figure,
    expected_coverage: f64,
    coverage_held_out: Option<Figure>,
    held_out_date_coverage: Option<Figure>,
    entropy: Figure,
    expected_entropy: f64,
    /// Noise removed in quadrature, with its standard error.
    tv: Shown,
    tv_held_out: Option<Shown>,
    /// As counted, noise included.
    raw_tv: Figure,
    expected_raw_tv: f64,
    trained: f64,
    expected_trained: f64,
    distinct: usize,
    duplicates: u64,
    ten_worst: Vec<Row>,
    warnings: Vec<WarningRecord>,
    seconds: f64,
    exact: Option<Exact>,
}

/// A mean over conditions with half of its 95 % interval, and the worst condition.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    mean: f64,
    half_width: f64,
    worst: f64,
    worst_condition: String,
}

impl Figure {
    /// A summary, whose worst condition is called as the task calls it.
    pub(super) fn of(summary: Summary, subject: &Subject) -> Self {
        let Summary { mean, half_width, worst, worst_condition, .. } = summary;
        Self { mean, half_width, worst, worst_condition: subject.label(worst_condition) }
    }
}

/// Inspects every condition.
///
/// # Errors
/// When a file can't be written.
pub fn run(options: &Inspect, subject: &Subject) -> anyhow::Result<Exit> {
    let folder = options.folder();
    files::make_folder(folder)?;
    let started = Instant::now();
    let conditions = measured_conditions(options, subject)?;
    let bar = output::bar(conditions.len() as u64, "{bar:30} {human_pos}/{human_len} conditions  {eta} left");
    let tallies = subject.tally(&conditions, options.samples() as usize, subject.decode, options.seed, &bar);
    output::end_bar(&bar);
    let mut rows: Vec<Row> = tallies.iter().map(|tally| Row::new(subject, tally)).collect();
    let seconds = started.elapsed().as_secs_f64();
    let exact = exact::measure(options, subject, &conditions, &mut rows);
    let warnings = match subject.decode {
        Decode::Greedy => {
            warn::warnings_of(&subject.model, &subject.population, &subject.split, &tallies, options.seed)
        }
        Decode::Sample { .. } => options.warnings(subject),
    };
    let report = report(options, subject, &tallies, &rows, &warnings, (seconds, exact));
    let report = report.ok_or_else(|| anyhow::anyhow!("no condition was measured"))?;
    // Files first: who reads the text may stop reading.
    let table = folder.join("conditions.csv");
    write_rows(subject, &rows, &table)?;
    let mut written = vec![table];
    written.extend(draw(options, subject, &tallies, folder)?);
    written.iter().for_each(|path| output::say!("wrote {}", path.shown()));
    warn::show(&warnings);
    if options.json {
        output::print(&output::json(&report)?)?;
    } else {
        let (text, dropped) = text(&report, output::terminal_width().filter(|_| !options.wide));
        output::print(&text)?;
        output::say_dropped(&dropped);
    }
    Ok(Exit::Done)
}

/// The conditions that are measured: of train and validation, or the sealed ones where they are asked for.
fn measured_conditions(options: &Inspect, subject: &Subject) -> Result<Vec<usize>, BadInput> {
    if !options.sealed {
        return Ok(subject.conditions());
    }
    Ok(sealed_conditions(&subject.split)?.to_vec())
}

/// The sealed conditions of a split; says aloud that they are measured.
pub(super) fn sealed_conditions(split: &Split) -> Result<&[usize], BadInput> {
    let sealed = &split.sealed;
    if sealed.is_empty() {
        let message = "--sealed: this model's split seals no conditions (data.sealed = 0); leave --sealed out";
        return Err(BadInput(message.to_owned()));
    }
    output::say!(
        "MEASURING {} SEALED CONDITIONS. Do this once, when the recipe is frozen: whoever changes the recipe after it \
         needs another data.seed",
        sealed.len()
    );
    Ok(sealed)
}

fn write_rows(subject: &Subject, rows: &[Row], path: &Path) -> Result<(), files::FileError> {
    files::replace(path, |partial| {
        let file = BufWriter::new(File::create(partial)?);
        Row::write(rows, &subject.population.schema().given, file).map_err(files::of_csv)
    })
}

fn report(
    options: &Inspect,
    subject: &Subject,
    tallies: &[Tally],
    rows: &[Row],
    warnings: &[Warning],
    (seconds, exact): (f64, Option<Exact>),
) -> Option<Report> {
    let population = &subject.population;
    let scores = Scores::of(population, tallies)?;
    let held_out = Scores::of(population, &held_out(&subject.split, tallies));
    let held_out = held_out.as_ref();
    // Where whole conditions are held out, this is their coverage again.
    let by_date = subject.config.data.split == Holdout::Dates;
    let of_dates = tallies
        .iter()
        .filter(|_| by_date)
        .filter_map(|tally| Some((tally.group, subject.trained.held_out_coverage(tally)?)));
    let figure = |summary: Summary| Figure::of(summary, subject);
    let mean = |figure: &dyn Fn(&Row) -> f64| rows.iter().map(figure).sum::<f64>() / rows.len() as f64;
    let names = population.schema().given.iter().map(|column| column.name.clone());
    let mut worst: Vec<&Row> = rows.iter().collect();
    // The first thing to be right is the date; among conditions that pass alike, the distribution tells.
    worst.sort_by(|a, b| a.pass_rate.total_cmp(&b.pass_rate).then(b.tv.total_cmp(&a.tv)));
    Some(Report {
        split: if options.sealed { "sealed" } else { "train and validation" },
        conditions: rows.len(),
        samples: scores.samples,
        decoding: options.how(),
        pass: figure(scores.pass),
        pass_held_out: held_out.map(|scores| figure(scores.pass)),
        valid_row_rate: scores.valid_row,
        column_rates: names.zip(scores.pass_by_column).collect(),
        coverage_at_rows: figure(scores.coverage_at_rows),
        expected_coverage_at_rows: scores.expected_coverage_at_rows,
        coverage_at_rows_held_out: held_out.map(|scores| figure(scores.coverage_at_rows)),
        coverage: figure(scores.coverage),
        expected_coverage: scores.expected_coverage,
        coverage_held_out: held_out.map(|scores| figure(scores.coverage)),
        held_out_date_coverage: Summary::over(of_dates, Worst::Lowest).map(figure),
        entropy: figure(scores.entropy),
        expected_entropy: scores.expected_entropy,
        tv: scores.tv.into(),
        tv_held_out: held_out.map(|scores| scores.tv.into()),
        raw_tv: figure(scores.raw_tv),
        expected_raw_tv: scores.expected_tv,
        trained: mean(&|row| row.trained),
        expected_trained: mean(&|row| row.expected_trained),
        distinct: rows.iter().map(|row| row.distinct).sum(),
        duplicates: rows.iter().map(|row| row.duplicates).sum(),
        ten_worst: worst.into_iter().take(10).cloned().collect(),
        warnings: warnings.iter().copied().map(WarningRecord::from).collect(),
        seconds,
        exact,
    })
}

/// The figure's cells of the summary table: mean, interval, perfect, worst and which.
pub(super) fn figure_row(name: &str, figure: &Figure, perfect: &str, format: fn(f64) -> String) -> Vec<String> {
    let interval = format!("± {}", format(figure.half_width));
    vec![
        name.to_owned(),
        format(figure.mean),
        interval,
        perfect.to_owned(),
        format(figure.worst),
        figure.worst_condition.clone(),
    ]
}

/// Four digits after the point.
pub(super) fn four(value: f64) -> String {
    format!("{value:.4}")
}

/// The tables, at most this wide, and the columns that were left out.
fn text(report: &Report, width: Option<usize>) -> (String, Vec<String>) {
    let percent = output::percent;
    let mut rows = vec![figure_row("pass rate", &report.pass, &percent(1.0), percent)];
    let mut add = |name: &str, figure: &Option<Figure>, perfect: &str, format: fn(f64) -> String| {
        rows.extend(figure.iter().map(|figure| figure_row(name, figure, perfect, format)));
    };
    add("  validation conditions", &report.pass_held_out, &percent(1.0), percent);
    let covered = percent(report.expected_coverage_at_rows);
    add("coverage, as many draws as rows", &Some(report.coverage_at_rows.clone()), &covered, percent);
    add("  validation conditions", &report.coverage_at_rows_held_out, "", percent);
    add("coverage, all draws", &Some(report.coverage.clone()), &percent(report.expected_coverage), percent);
    add("  held-out dates", &report.held_out_date_coverage, "", percent);
    add("entropy (1 = the truth's)", &Some(report.entropy.clone()), &four(report.expected_entropy), four);
    add("total variation as counted", &Some(report.raw_tv.clone()), &four(report.expected_raw_tv), four);
    let mut distance = |name: &str, tv: &Shown| {
        let (value, interval) = (four(tv.value), format!("± {}", four(1.96 * tv.error)));
        rows.push(vec![name.to_owned(), value, interval, four(0.0), String::new(), String::new()]);
    };
    distance("  noise removed", &report.tv);
    report.tv_held_out.iter().for_each(|tv| distance("  validation conditions", tv));
    let header = ["figure", "mean", "95 %", "perfect", "worst", "condition"];
    let (figures, mut dropped) = output::fitted(&header, rows, &[0, 1], width, output::named_table);
    let worst = report.ten_worst.iter().map(|row| {
        let tv = format!("{} ({})", four(row.tv), four(row.expected_tv));
        let held_out = if row.held_out { "held out" } else { "" };
        let Row { condition, valid_dates, pass_rate, coverage, .. } = row;
        vec![
            condition.clone(),
            valid_dates.to_string(),
            percent(*pass_rate),
            percent(*coverage),
            tv,
            held_out.to_owned(),
        ]
    });
    let header = ["ten worst conditions", "valid dates", "pass rate", "coverage", "tv (perfect)", ""];
    let (worst, more) = output::fitted(&header, worst.collect(), &[0, 2], width, output::long_table);
    dropped.extend(more.into_iter().map(|name| if name.is_empty() { "held out".to_owned() } else { name }));
    let Report { split, conditions, samples, decoding, seconds, .. } = report;
    let drawn = *conditions as f64 * *samples as f64;
    let columns: Vec<String> =
        report.column_rates.iter().map(|(column, rate)| format!("{column} {}", percent(*rate))).collect();
    let text = format!(
        "{figures}\n{worst}\n{conditions} conditions ({split}) x {samples} samples, {decoding}: {drawn:.0} dates in {seconds:.1} s\n{} \
         distinct valid rows, {} passing repeats\nright, each alone: valid row {}, {}; training rows {} (perfect {})",
        report.distinct,
        report.duplicates,
        percent(report.valid_row_rate),
        columns.join(", "),
        percent(report.trained),
        percent(report.expected_trained),
    );
    let Some(exact) = &report.exact else { return (text, dropped) };
    let (table, more) = exact.text(width);
    dropped.extend(more);
    (format!("{text}\n\n{table}"), dropped)
}

/// Draws the charts over all conditions.
///
/// # Errors
/// When one can't be drawn or written.
pub fn draw(options: &Inspect, subject: &Subject, tallies: &[Tally], folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Some(scores) = Scores::of(&subject.population, tallies) else { return Ok(Vec::new()) };
    let each = count(scores.samples as usize);
    let reference = perfect(subject, tallies, scores.samples, options.seed);
    let histogram = |name: &str, x: &str, value: &dyn Fn(&Tally) -> f64, range, expected| Histogram {
        title: format!("{name} of {} conditions, {} dates each, {}", count(tallies.len()), each, options.how()),
        x: x.to_owned(),
        values: tallies.iter().map(value).collect(),
        perfect: reference.iter().map(value).collect(),
        range,
        expected,
    };
    let covered = |tally: &Tally| coverage(&tally.counts);
    let truth = |tally: &Tally| subject.population.probabilities(tally.group);
    let distance = |tally: &Tally| tv(&tally.counts, truth(tally), tally.failures.total);
    let least = tallies.iter().map(covered).fold(1.0, f64::min);
    let range = ((least - 0.02).clamp(0.0, 0.9), 1.0);
    let coverage =
        histogram("Coverage", "share of the valid rows generated", &covered, range, scores.expected_coverage);
    let most = tallies.iter().map(distance).fold(scores.expected_tv, f64::max);
    let x = "total variation distance from the truth, noise included";
    let tv = histogram("Total variation", x, &distance, (0.0, (1.08 * most).min(1.0)), scores.expected_tv);
    let title = format!("Pass rate, {each} dates for each condition, {}", options.how());
    let rates = Rates { title, panels: panels(subject, tallies) };
    let mut written = Vec::new();
    written.extend(write_both(&coverage, folder, "coverage")?);
    written.extend(write_both(&tv, folder, "tv")?);
    written.extend(write_both(&rates, folder, "pass_rate")?);
    Ok(written)
}

/// What a perfect sampler drew for each of these conditions, as often.
fn perfect(subject: &Subject, tallies: &[Tally], samples: u64, seed: u64) -> Vec<Tally> {
    let mut random = stream(seed, Purpose::PerfectSampler, 0);
    let drawn = |tally: &Tally| {
        let sum = |sum: &mut f64, p: &f64| Some((*sum += p, *sum).1);
        let sums: Vec<f64> = subject.population.probabilities(tally.group).iter().scan(0.0, sum).collect();
        let mut counts = vec![0; sums.len()];
        for _ in 0..samples {
            let mark: f64 = random.random();
            counts[sums.partition_point(|sum| *sum <= mark).min(sums.len() - 1)] += 1;
        }
        Tally::of_counts(&subject.population, tally.group, counts)
    };
    tallies.iter().map(drawn).collect()
}

/// Pass rates by each given column.
fn panels(subject: &Subject, tallies: &[Tally]) -> Vec<Panel> {
    let rate = |column: usize, value: u16, name: &str| {
        let has = |tally: &&Tally| subject.population.condition(tally.group)[column] == value;
        let of = tallies.iter().filter(has).map(|tally| (tally.group, tally.pass_rate()));
        let summary = Summary::over(of, Worst::Lowest)?;
        Some(Rate { name: name.to_owned(), mean: summary.mean, half_width: summary.half_width, worst: summary.worst })
    };
    let panel = |(place, column): (usize, &Column)| {
        let rates = column.values.iter().enumerate().filter_map(|(value, name)| rate(place, value as u16, name));
        Panel { name: column.name.clone(), rates: rates.collect() }
    };
    subject.population.schema().given.iter().enumerate().map(panel).collect()
}
