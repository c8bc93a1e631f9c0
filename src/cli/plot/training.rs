//! What happened during training: losses, schedules, pass rates.

use std::collections::BTreeMap;

use super::Made;
use super::measures::{COVERAGE, HELD_OUT, NLL, PASS, named};
use crate::experiment::{Run, RunTrial, Setting, Table, TableError, UNCHANGED};
use crate::figures::{Axis, Facet, Facets, Guide, Look, Names, Point, Scale, Series};

/// The share of random days that fall on the right weekday.
const SEVENTH: f64 = 1.0 / 7.0;
/// Lines of this many settings can be told apart.
const SETTINGS: usize = 14;

/// The best setting: of those whose pass rate, held out where conditions are, is as high as the highest, those that
/// cover as much, of these those whose NLL is as near to its floor; what is left differs by less than seeds do, so that
/// the setting that the others change stands for it, else the one of the highest pass rate. A collapsed code passes
/// as well as any: pass rates alone do not tell. Where none has finished it is the first.
///
/// # Errors
/// When metrics lack a column.
pub fn best(run: &Run) -> anyhow::Result<Option<Setting<'_>>> {
    let mut rest = near(named(run), pass, 0.001)?;
    rest = near(rest, |setting| Ok(setting.mean(COVERAGE.of)?.mean), 0.01)?;
    if NLL.is_in(run) {
        rest = near(rest, |setting| Ok(-setting.mean(NLL.of)?.mean), 0.01)?;
    }
    match rest.iter().position(|setting| setting.label == UNCHANGED) {
        Some(unchanged) => Ok(Some(rest.swap_remove(unchanged))),
        None => Ok(near(rest, pass, 0.0)?.into_iter().next()),
    }
}

/// The pass rate, held out where conditions are.
fn pass(setting: &Setting<'_>) -> Result<f64, TableError> {
    let held_out = setting.mean(HELD_OUT.of)?.mean;
    Ok(if held_out.is_finite() { held_out } else { setting.mean(PASS.of)?.mean })
}

/// The settings whose figure is within this of the highest; all where none has one.
fn near<'a>(
    settings: Vec<Setting<'a>>,
    figure: impl Fn(&Setting<'a>) -> Result<f64, TableError>,
    within: f64,
) -> Result<Vec<Setting<'a>>, TableError> {
    let figures = settings.iter().map(figure).collect::<Result<Vec<f64>, _>>()?;
    let Some(highest) = figures.iter().copied().filter(|figure| figure.is_finite()).max_by(f64::total_cmp) else {
        return Ok(settings);
    };
    let near = settings.into_iter().zip(figures).filter(|(_, figure)| *figure >= highest - within);
    Ok(near.map(|(setting, _)| setting).collect())
}

/// The histories of a setting's trials.
fn histories(setting: &Setting<'_>) -> anyhow::Result<Vec<Table>> {
    let tables = setting.trials.iter().map(|trial: &&RunTrial| trial.history());
    Ok(tables.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// A column over epochs.
fn curve(table: &Table, column: &str) -> anyhow::Result<Vec<Point>> {
    let (epochs, values) = (table.numbers("epoch")?, table.numbers(column)?);
    Ok(epochs.into_iter().zip(values).map(|(x, y)| Point { x, y, half: f64::NAN }).collect())
}

/// The mean at each epoch over the trials that have a number there.
fn mean(curves: &[Vec<Point>]) -> Vec<Point> {
    let mut sums: BTreeMap<u64, (Point, usize)> = BTreeMap::new();
    for point in curves.iter().flatten() {
        // Epochs are not below 0: their bits are in their order.
        let entry = sums.entry(point.x.to_bits()).or_insert((Point { y: 0.0, ..*point }, 0));
        if point.y.is_finite() {
            (entry.0.y, entry.1) = (entry.0.y + point.y, entry.1 + 1);
        }
    }
    sums.into_values().map(|(point, count)| Point { y: point.y / count as f64, ..point }).collect()
}

/// What is to be said of means where not all trials have come as far.
fn unequal(tables: &[Table]) -> anyhow::Result<Option<String>> {
    let ends = tables.iter().map(|table| Ok(table.numbers("epoch")?.into_iter().fold(0.0, f64::max)));
    let ends = ends.collect::<anyhow::Result<Vec<f64>>>()?;
    let (least, most) = ends.iter().fold((f64::INFINITY, 0.0f64), |(least, most), e| (least.min(*e), most.max(*e)));
    let reached = ends.iter().filter(|end| **end == most).count();
    Ok((least < most)
        .then(|| format!("After epoch {least:.0} means are of the seeds that have come so far, {reached} at the end.")))
}

/// A column of several trials: each thin, and their mean.
fn lines(tables: &[Table], column: &str, name: &str, colour: usize) -> anyhow::Result<Vec<Series>> {
    let curves = tables.iter().map(|table| curve(table, column)).collect::<anyhow::Result<Vec<_>>>()?;
    let line = |name: &str, look, points| Series { name: name.to_owned(), colour, look, points };
    let whole = line(name, Look::Line, mean(&curves));
    let thin = curves.into_iter().filter(|_| tables.len() > 1).map(|points| line("", Look::Thin, points));
    Ok(thin.chain([whole]).collect())
}

fn epochs() -> Axis {
    Axis { title: "epoch".to_owned(), ..Axis::default() }
}

fn axis(title: &str) -> Axis {
    Axis { title: title.to_owned(), ..Axis::default() }
}

fn seeds(count: usize) -> String {
    if count == 1 { "1 trial".to_owned() } else { format!("mean of {count} seeds") }
}

fn trials(count: usize) -> String {
    if count == 1 { "1 trial".to_owned() } else { format!("mean of {count} seeds, each thin") }
}

/// Loss, reconstruction and KL of training and test dates; below them the schedules and the ELBO.
///
/// # Errors
/// When a file is damaged or lacks a column.
pub fn losses(run: &Run) -> anyhow::Result<Made<Facets>> {
    let Some(setting) = best(run)? else { return Ok(Made::LeftOut("there is no trial".to_owned())) };
    let tables = histories(&setting)?;
    if tables.is_empty() {
        return Ok(Made::LeftOut("the best trials have no history.csv with rows".to_owned()));
    }
    let both = |title: &str, name: &str| {
        let mut series = lines(&tables, &format!("train_{name}"), "training dates", 0)?;
        series.extend(lines(&tables, &format!("test_{name}"), "held-out dates", 5)?);
        anyhow::Ok(Facet { title: title.to_owned(), x: epochs(), y: axis("nats a date"), series, ..Facet::default() })
    };
    let each = |title: &str, column: &str, y: Axis| {
        let curves = tables.iter().map(|table| curve(table, column)).collect::<anyhow::Result<Vec<_>>>()?;
        let infinite = curves.iter().flatten().any(|point| point.y.is_infinite());
        let line = |points| Series { name: String::new(), colour: 2, look: Look::Line, points };
        let series = curves.into_iter().map(line).collect();
        anyhow::Ok((Facet { title: title.to_owned(), x: epochs(), y, series, ..Facet::default() }, infinite))
    };
    let from_zero = |title: &str| Axis { zero: true, ..axis(title) };
    let (beta, closed) = each("KL weight β, each trial", "beta", from_zero("β"))?;
    let (rate, _) = each("learning rate, each trial", "lr", from_zero("learning rate"))?;
    let mut elbo = Facet {
        title: "−ELBO at β = 1, held-out dates".to_owned(),
        x: epochs(),
        y: axis("nats a date"),
        series: lines(&tables, "test_elbo", "", 5)?,
        ..Facet::default()
    };
    let floors = setting.finished().map(|table| table.numbers("test_entropy_floor")).collect::<Result<Vec<_>, _>>()?;
    if let Some(floor) = floors.iter().flatten().copied().find(|floor| floor.is_finite()) {
        let ends = elbo.series.iter().flat_map(|series| &series.points).map(|point| point.x);
        let high = ends.fold(0.0, f64::max);
        let name = format!("entropy of the data, {floor:.3} nats: no model's −ELBO is lower");
        elbo.guides.push(Guide { name, points: vec![(0.0, floor), (high, floor)] });
    }
    let mut facets = vec![both("loss", "loss")?, both("reconstruction", "recon")?, both("KL", "kl")?, beta, rate, elbo];
    // One axis for all: an infinite β would leave its panel without the epochs before.
    let last = facets.iter().flat_map(|facet| &facet.series).flat_map(|series| &series.points).map(|point| point.x);
    let last = last.fold(0.0, f64::max);
    facets.iter_mut().for_each(|facet| facet.x.range = Some((0.0, last)));
    let closed = closed.then(|| {
        "Where β has no line it is infinite: the code is closed (z = 0) until the decoder knows the calendar."
            .to_owned()
    });
    Ok(Made::Chart(Facets {
        title: format!("{}: losses in training, {} ({})", run.name, setting.label, trials(tables.len())),
        notes: closed.into_iter().chain(unequal(&tables)?).collect(),
        columns: 3,
        facet: (344, 270),
        names: Names::Above,
        facets,
    }))
}

/// What is said of lines of pass rates.
const BESIDE: &str = "Lines that would hide each other are drawn beside each other.";

fn said(facets: &[Facet], unfinished: Option<String>) -> Vec<String> {
    let beside = facets.iter().any(|facet| facet.y.scale == Scale::Logit).then(|| BESIDE.to_owned());
    let said: Vec<String> = beside.into_iter().chain(unfinished).collect();
    if said.is_empty() { said } else { vec![said.join(" ")] }
}

/// The line at 1/7.
fn seventh(last: f64) -> Guide {
    let name = "1/7: right month, decade and leap year, random day".to_owned();
    Guide { name, points: vec![(0.0, SEVENTH), (last, SEVENTH)] }
}

/// An axis of pass rates.
fn rates(title: &str, series: &[Series]) -> Axis {
    let shares = series.iter().flat_map(|series| &series.points).map(|point| point.y);
    Axis { zero: true, ..Axis::of_shares(title, shares) }
}

fn last_epoch(facets: &[Facet]) -> f64 {
    let points = facets.iter().flat_map(|facet| &facet.series).flat_map(|series| &series.points);
    points.map(|point| point.x).fold(0.0, f64::max)
}

fn with_seventh(mut facets: Vec<Facet>) -> Vec<Facet> {
    let last = last_epoch(&facets);
    for facet in &mut facets {
        facet.guides.push(seventh(last));
        facet.x.range = Some((0.0, last));
    }
    facets
}

/// Pass rates of each field of the condition, and of all together, over training.
///
/// # Errors
/// When a file is damaged or lacks a column.
pub fn pass_by_field(run: &Run) -> anyhow::Result<Made<Facets>> {
    let Some(setting) = best(run)? else { return Ok(Made::LeftOut("there is no trial".to_owned())) };
    let tables = histories(&setting)?;
    if tables.is_empty() {
        return Ok(Made::LeftOut("the best trials have no history.csv with rows".to_owned()));
    }
    let facet = |title: &str, columns: &[(&str, &str, usize)]| {
        let mut series = Vec::new();
        for (column, name, colour) in columns {
            let line = lines(&tables, column, name, *colour)?.pop();
            // Conditions that are not held out have no rate.
            series.extend(line.filter(|line| line.points.iter().any(|point| point.y.is_finite())));
        }
        let y = rates("share of the samples", &series);
        anyhow::Ok(Facet { title: title.to_owned(), x: epochs(), y, series, ..Facet::default() })
    };
    let fields = facet(
        "greedy, each field of the condition alone",
        &[
            ("greedy_pass_weekday", "weekday", 0),
            ("greedy_pass_month", "month", 1),
            ("greedy_pass_leap", "leap year", 2),
            ("greedy_pass_decade", "decade", 3),
            ("greedy_valid_date", "date that exists", 4),
        ],
    )?;
    let joint = facet(
        "all fields together",
        &[
            ("greedy_pass", "greedy", 0),
            ("greedy_pass_held_out", "greedy, held-out conditions", 1),
            ("sampled_pass", "sampled", 2),
            ("greedy_pass_worst", "greedy, worst condition", 5),
        ],
    )?;
    let facets = with_seventh(vec![fields, joint]);
    Ok(Made::Chart(Facets {
        title: format!("{}: pass rates in training, {} ({})", run.name, setting.label, seeds(tables.len())),
        notes: said(&facets, unequal(&tables)?),
        columns: 2,
        facet: (500, 312),
        names: Names::Inside,
        facets,
    }))
}

/// Pass rate and ELBO of every setting over training.
///
/// # Errors
/// When a file is damaged or lacks a column.
pub fn pass_by_setting(run: &Run) -> anyhow::Result<Made<Facets>> {
    let settings = named(run);
    if !(2..=SETTINGS).contains(&settings.len()) {
        let count = settings.len();
        return Ok(Made::LeftOut(format!("it tells 2 to {SETTINGS} settings apart, and there are {count}")));
    }
    let mut facets = vec![
        Facet { title: "greedy pass rate".to_owned(), x: epochs(), ..Facet::default() },
        Facet {
            title: "−ELBO at β = 1, held-out dates".to_owned(),
            x: epochs(),
            y: axis("nats a date"),
            ..Facet::default()
        },
    ];
    let mut unfinished = None;
    for (colour, setting) in settings.iter().enumerate() {
        let tables = histories(setting)?;
        if tables.is_empty() {
            continue;
        }
        unfinished = unfinished.or(unequal(&tables)?);
        for (facet, column) in facets.iter_mut().zip(["greedy_pass", "test_elbo"]) {
            facet.series.extend(lines(&tables, column, &setting.label, colour)?.pop());
        }
    }
    if facets[0].series.is_empty() {
        return Ok(Made::LeftOut("no trial has a history.csv with rows".to_owned()));
    }
    let last = last_epoch(&facets);
    facets[0].guides.push(seventh(last));
    facets[0].y = rates("share of the samples", &facets[0].series);
    facets.iter_mut().for_each(|facet| facet.x.range = Some((0.0, last)));
    Ok(Made::Chart(Facets {
        title: format!("{}: every setting in training (means over seeds)", run.name),
        notes: said(&facets, unfinished),
        columns: 2,
        facet: (500, 312),
        names: Names::Above,
        facets,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Outcome;

    #[test]
    fn means_are_of_the_trials_that_have_come_so_far() {
        let point = |x, y| Point { x, y, half: f64::NAN };
        let curves = [vec![point(1.0, 2.0), point(2.0, 5.0)], vec![point(1.0, 4.0), point(3.0, f64::INFINITY)]];
        let means: Vec<(f64, f64)> = mean(&curves).iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(means[..2], [(1.0, 3.0), (2.0, 5.0)]);
        assert!(means[2].1.is_nan());
    }

    /// A run of settings with these pass rates, coverages and NLL gaps.
    fn run(settings: &[(&str, &str, [f64; 3])]) -> Run {
        let folder = tempfile::tempdir().unwrap();
        let trial = |(place, (heads, pairing, [pass, coverage, gap])): (usize, &(&str, &str, [f64; 3]))| {
            let path = folder.path().join(format!("{place}.csv"));
            let header = "greedy_pass,greedy_pass_held_out,greedy_coverage,expected_coverage,test_nll_gap";
            std::fs::write(&path, format!("{header}\n{pass},{pass},{coverage},1,{gap}\n")).unwrap();
            let key = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            RunTrial {
                name: place.to_string(),
                folder: None,
                config: vec![key("model.heads", heads), key("objective.pairing", pairing)],
                outcome: Outcome::Finished(Table::read(&path).unwrap()),
            }
        };
        let trials = settings.iter().enumerate().map(trial).collect();
        Run { name: "run".to_owned(), folder: folder.path().to_owned(), trials }
    }

    #[test]
    fn a_collapsed_code_that_passes_is_not_the_best() {
        let label = |run: &Run| best(run).unwrap().unwrap().label;
        let usual = ("auto", "balanced", [0.99997, 0.9998, 0.012]);
        let collapsed = ("auto", "own", [1.0, 0.6, 0.002]);
        let loose = ("auto", "posterior", [1.0, 0.9997, 0.17]);
        let worse = ("independent", "balanced", [0.2, 1.0, 0.0]);
        let other = ("mixed", "balanced", [0.3, 1.0, 0.0]);
        assert_eq!(label(&run(&[worse, collapsed, loose, other, usual])), UNCHANGED);
        // What is clearly better is taken.
        assert_eq!(label(&run(&[worse, collapsed, ("auto", "balanced", [0.9, 1.0, 0.0])])), "pairing = own");
    }
}
