//! What happened during training: losses, schedules, pass rates.

use std::collections::BTreeMap;

use super::Made;
use super::measures::{HELD_OUT, PASS};
use crate::experiment::{Run, RunTrial, Setting, Table, settings};
use crate::figures::{Axis, Facet, Facets, Guide, Look, Point, Series};

/// The share of random days that fall on the right weekday.
const SEVENTH: f64 = 1.0 / 7.0;
/// Lines of this many settings can be told apart.
const SETTINGS: usize = 14;

/// The setting with the highest pass rate, held out where conditions are; the first where none has finished.
///
/// # Errors
/// When metrics lack a column.
pub fn best(run: &Run) -> anyhow::Result<Option<Setting<'_>>> {
    let mut best: Option<(f64, Setting)> = None;
    for setting in settings(&run.trials) {
        let held_out = setting.mean(HELD_OUT.of)?.mean;
        let pass = if held_out.is_finite() { held_out } else { setting.mean(PASS.of)?.mean };
        let pass = if pass.is_finite() { pass } else { -1.0 };
        if best.as_ref().is_none_or(|(highest, _)| pass > *highest) {
            best = Some((pass, setting));
        }
    }
    Ok(best.map(|(_, setting)| setting))
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

/// The mean over trials at each epoch that all of them have evaluated.
fn mean(curves: &[Vec<Point>]) -> Vec<Point> {
    let mut sums: BTreeMap<u64, (Point, usize)> = BTreeMap::new();
    for point in curves.iter().flatten() {
        // Epochs are not below 0: their bits are in their order.
        let entry = sums.entry(point.x.to_bits()).or_insert((Point { y: 0.0, ..*point }, 0));
        (entry.0.y, entry.1) = (entry.0.y + point.y, entry.1 + 1);
    }
    let whole = sums.into_values().filter(|(_, count)| *count == curves.len());
    whole.map(|(point, count)| Point { y: point.y / count as f64, ..point }).collect()
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
    let (beta, closed) = each("KL weight β, each trial", "beta", axis("β"))?;
    let (rate, _) = each("learning rate, each trial", "lr", axis("learning rate"))?;
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
        let (low, high) = ends.fold((f64::INFINITY, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
        let name = format!("entropy of the data, {floor:.3} nats: no model's −ELBO is lower");
        elbo.guides.push(Guide { name, points: vec![(low, floor), (high, floor)] });
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
        notes: closed.into_iter().collect(),
        columns: 3,
        facet: (344, 270),
        facets,
    }))
}

/// The line at 1/7.
fn seventh(last: f64) -> Guide {
    let name = "1/7: right month, decade and leap year, random day".to_owned();
    Guide { name, points: vec![(0.0, SEVENTH), (last, SEVENTH)] }
}

fn rates(title: &str) -> Axis {
    Axis { title: title.to_owned(), share: true, range: Some((0.0, 1.03)), ..Axis::default() }
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
        let y = rates("share of the samples");
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
            ("greedy_pass", "greedy", 6),
            ("greedy_pass_held_out", "greedy, held-out conditions", 5),
            ("sampled_pass", "sampled", 7),
            ("greedy_pass_worst", "greedy, worst condition", 8),
        ],
    )?;
    Ok(Made::Chart(Facets {
        title: format!("{}: pass rates in training, {} ({})", run.name, setting.label, seeds(tables.len())),
        notes: Vec::new(),
        columns: 2,
        facet: (500, 330),
        facets: with_seventh(vec![fields, joint]),
    }))
}

/// Pass rate and ELBO of every setting over training.
///
/// # Errors
/// When a file is damaged or lacks a column.
pub fn pass_by_setting(run: &Run) -> anyhow::Result<Made<Facets>> {
    let settings = settings(&run.trials);
    if !(2..=SETTINGS).contains(&settings.len()) {
        let count = settings.len();
        return Ok(Made::LeftOut(format!("it tells 2 to {SETTINGS} settings apart, and there are {count}")));
    }
    let mut facets = vec![
        Facet { title: "greedy pass rate".to_owned(), x: epochs(), y: rates("greedy pass rate"), ..Facet::default() },
        Facet {
            title: "−ELBO at β = 1, held-out dates".to_owned(),
            x: epochs(),
            y: axis("nats a date"),
            ..Facet::default()
        },
    ];
    for (colour, setting) in settings.iter().enumerate() {
        let tables = histories(setting)?;
        if tables.is_empty() {
            continue;
        }
        for (facet, column) in facets.iter_mut().zip(["greedy_pass", "test_elbo"]) {
            facet.series.extend(lines(&tables, column, &setting.label, colour)?.pop());
        }
    }
    if facets[0].series.is_empty() {
        return Ok(Made::LeftOut("no trial has a history.csv with rows".to_owned()));
    }
    let last = last_epoch(&facets);
    facets[0].guides.push(seventh(last));
    Ok(Made::Chart(Facets {
        title: format!("{}: every setting in training (means over seeds)", run.name),
        notes: Vec::new(),
        columns: 2,
        facet: (500, 330),
        facets,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_of_epochs_that_all_trials_have() {
        let point = |x, y| Point { x, y, half: f64::NAN };
        let curves = [vec![point(1.0, 2.0), point(2.0, 5.0)], vec![point(1.0, 4.0)]];
        let means: Vec<(f64, f64)> = mean(&curves).iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(means, [(1.0, 3.0)]);
    }
}
