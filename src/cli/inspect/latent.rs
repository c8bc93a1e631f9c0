//! `--latent`: exact marginals, what the code carries and decides, and what given codes decode to.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::all::{Figure, figure_row, four};
use super::codes::{self, Interpolation, Traversal};
use super::exact::Shown;
use super::{Inspect, Subject, pictures};
use crate::analysis::WarningRecord;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::warn;
use crate::dates::{Condition, Date};
use crate::files;
use crate::metrics::{
    LatentUse, Marginal, MarginalSummary, Population, Summary, Variety, Weighting, Worst, information, latent_use,
    marginals, test_terms, variety,
};
use crate::printable::ShownPath;

/// Draws of z for each date in the mutual information.
const INFORMATION_DRAWS: usize = 32;
/// Codes, and draws under each, in what z decides.
const CODES: usize = 32;
const DRAWS: usize = 32;

/// What was measured; nats, and shares 0..=1.
#[derive(Debug, Serialize)]
struct Report {
    /// Conditions over which information and variety were measured, and whether they were held out.
    conditions: usize,
    held_out: bool,
    test_dates: usize,
    recon: f64,
    kl: f64,
    elbo: f64,
    codes: usize,
    entropy_floor: f64,
    /// KL(truth, marginal) by date, and over conditions.
    nll_gap_by_date: Shown,
    nll_gap: Figure,
    nll_seconds: f64,
    prior_mi: Figure,
    entropy_given_z: Figure,
    information: Figure,
    information_bound: f64,
    explained: Figure,
    greedy_share: Figure,
    change: Figure,
    active_units: usize,
    dimensions: Vec<Dimension>,
    condition: String,
    traversals: Vec<Traversal>,
    interpolation: Option<Interpolation>,
    warnings: Vec<WarningRecord>,
}

#[derive(Debug, Serialize)]
struct Dimension {
    kl: f64,
    mean_variance: f64,
    active: bool,
}

/// One condition's row of latent.csv.
#[derive(Debug, Serialize)]
struct Row {
    condition: String,
    valid_dates: usize,
    nll_gap: f64,
    nll_gap_error: f64,
    prior_mi: f64,
    entropy_given_z: f64,
    information: f64,
    explained: f64,
    greedy_share: f64,
    change: f64,
}

/// Figures by condition.
struct Measured {
    conditions: Vec<usize>,
    marginals: Vec<Marginal>,
    seconds: f64,
    information: Vec<(usize, f64)>,
    variety: Vec<Variety>,
}

/// Inspects the latent code.
///
/// # Errors
/// When a file can't be written.
pub fn run(options: &Inspect, subject: &Subject, condition: Option<Condition>) -> anyhow::Result<Exit> {
    let folder = options.folder();
    files::make_folder(folder)?;
    let all = subject.valid.conditions();
    let mut conditions = subject.split.held_out.clone();
    let held_out = !conditions.is_empty();
    if !held_out {
        conditions = subject.conditions().into_iter().step_by(10).collect();
    }
    let shown = condition.unwrap_or(all[conditions[0]]);
    let measured = measure(options, subject, conditions)?;
    // The whole data, condition by condition: what the pictures show and what uses a dimension.
    let dates: Vec<Date> = all.iter().flat_map(|condition| subject.valid.of(*condition).to_vec()).collect();
    let usage = latent_use(&subject.model, &crate::dates::rows(&dates));
    let warnings = options.warnings(subject);
    let cautions = warnings.iter().copied().map(WarningRecord::from).collect();
    let report = report(options, subject, &measured, &usage, (shown, held_out), cautions);
    let report = report.ok_or_else(|| anyhow::anyhow!("no condition was measured"))?;
    // Files first: who reads the text may stop reading.
    let table = folder.join("latent.csv");
    write_rows(subject, &measured, &table)?;
    let mut written = vec![table];
    written.extend(pictures::draw(subject, &dates, &usage, shown, folder)?);
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

fn measure(options: &Inspect, subject: &Subject, conditions: Vec<usize>) -> anyhow::Result<Measured> {
    let Subject { model, population, .. } = subject;
    let bar = output::bar(conditions.len() as u64, "{bar:30} {human_pos}/{human_len} conditions  {msg}");
    let started = Instant::now();
    bar.set_message("marginals");
    let (codes, run) = (options.codes as usize, (options.seed, subject.threads));
    // The bar asks for no end.
    let marginals =
        marginals(model, population, &conditions, codes, run, &mut output::on_bar(&bar)).unwrap_or_default();
    let seconds = started.elapsed().as_secs_f64();
    bar.set_message("mutual information");
    let information = information(model, population, &conditions, (INFORMATION_DRAWS, options.seed), &mut || {
        ControlFlow::Continue(())
    })
    .unwrap_or_default();
    bar.set_message("what z decides");
    let variety = variety(model, population, &conditions, (CODES, DRAWS), run, &mut output::on_bar(&bar));
    output::end_bar(&bar);
    Ok(Measured { conditions, marginals, seconds, information, variety: variety.unwrap_or_default() })
}

fn report(
    options: &Inspect,
    subject: &Subject,
    measured: &Measured,
    usage: &LatentUse,
    (shown, held_out): (Condition, bool),
    warnings: Vec<WarningRecord>,
) -> Option<Report> {
    let Subject { model, population, split, .. } = subject;
    let Measured { conditions, marginals, seconds, information, variety } = measured;
    let terms = test_terms(model, &split.test.rows, options.seed);
    let summary = |figure: fn(&Variety) -> f64| {
        let summary = Summary::over(variety.iter().map(|part| (part.group, figure(part))), Worst::Lowest)?;
        Some(Figure::of(summary, subject))
    };
    let exact = |figure: fn(&Marginal) -> f64, worst| {
        let values = conditions.iter().copied().zip(marginals.iter().map(figure));
        Some(Figure::of(Summary::over(values, worst)?, subject))
    };
    let by_date = MarginalSummary::of(&marginals.iter().collect::<Vec<_>>(), Weighting::ByRow)?;
    let mean_entropy = |weight: fn(&Population, usize) -> f64| {
        let sum = |figure: &dyn Fn(usize) -> f64| conditions.iter().map(|group| figure(*group)).sum::<f64>();
        sum(&|group| weight(population, group) * population.entropy(group)) / sum(&|group| weight(population, group))
    };
    let dimensions = usage.kl.iter().zip(&usage.mean_variance).zip(usage.active());
    Some(Report {
        conditions: conditions.len(),
        held_out,
        test_dates: split.test.rows.len(),
        recon: terms.recon,
        kl: terms.kl,
        elbo: terms.elbo(),
        codes: options.codes as usize,
        entropy_floor: mean_entropy(|truth, group| truth.mass(group)),
        nll_gap_by_date: by_date.nll_gap.into(),
        nll_gap: exact(|marginal| marginal.nll_gap.value, Worst::Highest)?,
        nll_seconds: *seconds,
        prior_mi: exact(|marginal| marginal.prior_mi.value, Worst::Lowest)?,
        entropy_given_z: exact(|marginal| marginal.entropy_given_z.value, Worst::Highest)?,
        information: Figure::of(Summary::over(information.iter().copied(), Worst::Lowest)?, subject),
        information_bound: mean_entropy(|_, _| 1.0),
        explained: summary(|part| part.explained)?,
        greedy_share: summary(|part| part.greedy_share)?,
        change: summary(|part| part.change)?,
        active_units: usage.active_units(),
        dimensions: dimensions
            .map(|((kl, variance), active)| Dimension { kl: *kl, mean_variance: *variance, active })
            .collect(),
        condition: shown.to_string(),
        traversals: codes::traversals(subject, shown, &usage.kl),
        interpolation: codes::interpolation(subject, shown),
        warnings,
    })
}

fn write_rows(subject: &Subject, measured: &Measured, path: &Path) -> Result<(), files::FileError> {
    let parts = measured.information.iter().zip(&measured.variety).zip(&measured.marginals);
    let rows = parts.map(|(((group, information), variety), marginal)| Row {
        condition: subject.label(*group),
        valid_dates: subject.population.count(*group),
        nll_gap: marginal.nll_gap.value,
        nll_gap_error: marginal.nll_gap.error,
        prior_mi: marginal.prior_mi.value,
        entropy_given_z: marginal.entropy_given_z.value,
        information: *information,
        explained: variety.explained,
        greedy_share: variety.greedy_share,
        change: variety.change,
    });
    let rows: Vec<Row> = rows.collect();
    files::replace(path, |partial| {
        let mut writer = csv::Writer::from_path(partial).map_err(files::of_csv)?;
        rows.iter().try_for_each(|row| writer.serialize(row)).map_err(files::of_csv)?;
        writer.flush()
    })
}

/// The tables, at most this wide, and the columns that were left out.
fn text(report: &Report, width: Option<usize>) -> (String, Vec<String>) {
    let percent = output::percent;
    let rows = vec![
        figure_row("NLL gap, nats", &report.nll_gap, "0", four),
        figure_row("prior MI, nats", &report.prior_mi, &four(report.information_bound), four),
        figure_row("H given z, nats", &report.entropy_given_z, "", four),
        figure_row("encoder MI, nats", &report.information, &four(report.information_bound), four),
        figure_row("variety that z explains", &report.explained, "", percent),
        figure_row("greedy variety / sampled", &report.greedy_share, "", percent),
        figure_row("greedy date changes with z", &report.change, "", percent),
    ];
    let header = ["over conditions", "mean", "95 %", "bound", "worst", "condition"];
    let (figures, mut dropped) = output::fitted(&header, rows, &[0, 1], width, output::named_table);
    let which = if report.held_out { "validation " } else { "" };
    let mut text = format!(
        "{} {which}conditions, by date: NLL gap {:.5} ± {:.5} nats (exact marginals, {} codes, standard error; {:.1} s) \
         above the floor, {:.4}\n{} test dates: ELBO {:.4} = reconstruction {:.4} + KL {:.4} nats\n{figures}\nover {} {which}conditions\n\n",
        report.conditions,
        report.nll_gap_by_date.value,
        report.nll_gap_by_date.error,
        report.codes,
        report.nll_seconds,
        report.entropy_floor,
        report.test_dates,
        report.elbo,
        report.recon,
        report.kl,
        report.conditions,
    );
    let rows = report.dimensions.iter().enumerate().map(|(place, dimension)| {
        let active = if dimension.active { "active" } else { "" };
        vec![(place + 1).to_string(), four(dimension.kl), four(dimension.mean_variance), active.to_owned()]
    });
    let header = ["dimension", "KL, nats", "Var E[z]", ""];
    let (dimensions, more) = output::fitted(&header, rows.collect(), &[0, 1], width, output::long_table);
    dropped.extend(more);
    text += &format!("{dimensions}\n");
    text += &format!("{} of {} dimensions active, all dates\n\n", report.active_units, report.dimensions.len());
    let (walks, more) = walks(report, width);
    dropped.extend(more);
    (text + &walks, dropped)
}

/// Traversals and the interpolation as tables, at most this wide, and the columns that were left out.
fn walks(report: &Report, width: Option<usize>) -> (String, Vec<String>) {
    let Report { condition, traversals, .. } = report;
    let (mut text, mut dropped) = (String::new(), Vec::new());
    if let Some(first) = traversals.first() {
        let names: Vec<String> = traversals.iter().map(|traversal| format!("z{}", traversal.dimension)).collect();
        let header: Vec<&str> = std::iter::once("value").chain(names.iter().map(String::as_str)).collect();
        let row = |place: usize| {
            let dates = traversals.iter().map(|traversal| traversal.dates[place].text());
            std::iter::once(format!("{:+.1}", first.z[place])).chain(dates).collect()
        };
        let rows = (0..first.z.len()).map(row).collect();
        let (table, more) = output::fitted(&header, rows, &[0], width, output::long_table);
        dropped = more;
        text += &format!("{condition}: one dimension moved, the others at 0 (✗: not valid)\n{table}\n\n");
    }
    if let Some(Interpolation { from, to, shares, dates }) = &report.interpolation {
        let row = |(share, date): (&f64, &codes::Decoded)| vec![format!("{share:.1}"), date.text()];
        let table = output::long_table(&["share", "date"], shares.iter().zip(dates).map(row).collect());
        text += &format!("{condition}: from the code of {from} to that of {to}\n{table}");
    }
    (text, dropped)
}
