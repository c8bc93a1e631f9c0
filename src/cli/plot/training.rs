//! What happened during training: losses, schedules, pass rates.

use std::collections::BTreeMap;

use super::Drawn;
use super::measures::title;
use crate::analysis::{Setting, best, named};
use crate::experiment::{Run, RunTrial};
use crate::figures::{Axis, Facet, Facets, Guide, Look, Names, Point, Scale, Series};
use crate::metrics::{Figure, Measure, Part, Row, Weighting};
use crate::task::DATES;

/// The evaluations of a setting's trials, as far as they have any, from equally many samples each: those of other numbers
/// than most trials of the run have are left out.
pub(super) fn histories<'a>(run: &Run, setting: &Setting<'a>) -> Vec<&'a [Row]> {
    let samples = usual_samples(run);
    let trials = setting.trials.iter().filter(|trial| trial.value(SAMPLES) == samples);
    trials.map(|trial| comparable(trial)).filter(|history| !history.is_empty()).collect()
}

const SAMPLES: &str = "evaluation.samples";

/// The number of samples that most trials evaluate in training.
fn usual_samples(run: &Run) -> Option<&str> {
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    run.trials.iter().for_each(|trial| *counts.entry(trial.value(SAMPLES)).or_default() += 1);
    counts.into_iter().max_by_key(|(_, count)| *count).and_then(|(samples, _)| samples)
}

/// The rows of a history from equally many samples: in earlier versions the last one had those of the end.
fn comparable(trial: &RunTrial) -> &[Row] {
    let equal = trial.value(SAMPLES) == trial.value("evaluation.final_samples");
    match trial.history.split_last() {
        Some((last, others)) if !equal && !last.has(Measure::Samples) => others,
        _ => &trial.history,
    }
}

/// What is to be said where trials are left out for their number of samples.
pub(super) fn left_out(run: &Run) -> Option<String> {
    let samples = usual_samples(run);
    let others = run.trials.iter().filter(|trial| trial.value(SAMPLES) != samples).count();
    (others > 0).then(|| format!("{others} trials with another number of samples are left out."))
}

/// A measure over steps.
fn curve(history: &[Row], measure: Measure) -> Vec<Point> {
    let point = |row: &Row| Point { x: row.number(Measure::Step), y: row.number(measure), half: f64::NAN };
    history.iter().map(point).collect()
}

/// Where the phases of a history begin; none where there is one alone.
pub(super) fn phases(histories: &[&[Row]]) -> Vec<(f64, String)> {
    let Some(history) = histories.first() else { return Vec::new() };
    let mut begins: Vec<(f64, String)> = Vec::new();
    for row in *history {
        let name = row.words(Measure::Phase);
        if begins.last().is_none_or(|(_, last)| last != name) {
            let since = Some(row.number(Measure::PhaseSince)).filter(|since| since.is_finite());
            begins.push((since.unwrap_or(row.number(Measure::Step)), name.to_owned()));
        }
    }
    if begins.len() < 2 { Vec::new() } else { begins.split_off(1) }
}

/// The mean at each step over the trials that have a number there.
fn mean(curves: &[Vec<Point>]) -> Vec<Point> {
    let mut sums: BTreeMap<u64, (Point, usize)> = BTreeMap::new();
    for point in curves.iter().flatten() {
        // Steps are not below 0: their bits are in their order.
        let entry = sums.entry(point.x.to_bits()).or_insert((Point { y: 0.0, ..*point }, 0));
        if point.y.is_finite() {
            (entry.0.y, entry.1) = (entry.0.y + point.y, entry.1 + 1);
        }
    }
    sums.into_values().map(|(point, count)| Point { y: point.y / count as f64, ..point }).collect()
}

/// What is to be said of means where some trials have not come as far as others, or did not log these measures.
pub(super) fn remarks(histories: &[&[Row]], measures: &[Measure]) -> Option<String> {
    let ends: Vec<f64> = histories
        .iter()
        .map(|history| history.iter().map(|row| row.number(Measure::Step)).fold(0.0, f64::max))
        .collect();
    let (least, most) = ends.iter().fold((f64::INFINITY, 0.0f64), |(least, most), e| (least.min(*e), most.max(*e)));
    let reached = ends.iter().filter(|end| **end == most).count();
    let unequal = (least < most)
        .then(|| format!("After step {least:.0} means are of the seeds that have come so far, {reached} at the end."));
    let rows = || histories.iter().flat_map(|history| history.iter());
    let lacking = measures.iter().filter(|measure| rows().any(|row| !row.has(**measure)));
    let lacking: Vec<String> = lacking.map(|measure| title(*measure)).collect();
    let lacking = (!lacking.is_empty())
        .then(|| format!("Not shown at every step, since some trials did not log it: {}.", lacking.join(", ")));
    let said: Vec<String> = unequal.into_iter().chain(lacking).collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// A measure of several trials: each thin, and their mean.
pub(super) fn lines(histories: &[&[Row]], measure: Measure, name: &str, colour: usize) -> Vec<Series> {
    let curves: Vec<Vec<Point>> = histories.iter().map(|history| curve(history, measure)).collect();
    let line = |name: &str, look, points| Series { name: name.to_owned(), colour, look, points };
    let whole = line(name, Look::Line, mean(&curves));
    let thin = curves.into_iter().filter(|_| histories.len() > 1).map(|points| line("", Look::Thin, points));
    thin.chain([whole]).collect()
}

/// An axis of steps: by their logarithm where evaluations follow each other at growing distances.
pub(super) fn steps(histories: &[&[Row]]) -> Axis {
    let steps = || histories.iter().flat_map(|history| history.iter()).map(|row| row.number(Measure::Step));
    let (first, last) = (steps().fold(f64::INFINITY, f64::min), steps().fold(0.0, f64::max));
    if last >= 64.0 * first {
        let title = "training step, logarithmic scale".to_owned();
        return Axis { title, scale: Scale::Log, range: Some((first, last)), ..Axis::default() };
    }
    Axis { title: "training step".to_owned(), range: Some((0.0, last)), ..Axis::default() }
}

pub(super) fn axis(title: &str) -> Axis {
    Axis { title: title.to_owned(), ..Axis::default() }
}

pub(super) fn seeds(count: usize) -> String {
    if count == 1 { "1 trial".to_owned() } else { format!("mean of {count} seeds") }
}

fn trials(count: usize) -> String {
    if count == 1 { "1 trial".to_owned() } else { format!("mean of {count} seeds, each thin") }
}

/// The histories of the best setting of a run, or why there are none.
pub(super) fn of_best(run: &Run) -> Result<(Setting<'_>, Vec<&[Row]>), String> {
    let setting = best(named(&run.trials)).ok_or("there is no trial")?;
    let histories = histories(run, &setting);
    if histories.is_empty() {
        Err("the best trials have no history.csv with rows".to_owned())
    } else {
        Ok((setting, histories))
    }
}

/// The lowest NLL that any model can have on the validation rows, where a trial logged it.
fn floor(setting: &Setting<'_>, elbo: &Facet) -> Option<Guide> {
    let floors = setting.finished().map(|metrics| metrics.number(Measure::TestEntropyFloor));
    let floor = floors.into_iter().find(|floor| floor.is_finite())?;
    let name = format!("entropy of the data, {floor:.3} nats: no model's −ELBO is lower");
    let (first, last) = elbo.x.range?;
    Some(Guide { name, points: vec![(first, floor), (last, floor)] })
}

/// Loss, reconstruction and KL of training and validation rows; below them the schedules and the ELBO.
pub fn losses(run: &Run) -> Drawn<Facets> {
    let (setting, histories) = match of_best(run) {
        Ok(found) => found,
        Err(why) => return Drawn::Skipped(why),
    };
    let across = steps(&histories);
    let both = |title: &str, [train, test]: [Measure; 2]| {
        let mut series = lines(&histories, train, &format!("training {}s", noun(run)), 0);
        series.extend(lines(&histories, test, &format!("validation {}s", noun(run)), 5));
        Facet {
            title: title.to_owned(),
            x: across.clone(),
            y: axis(&format!("nats per {}", noun(run))),
            series,
            ..Facet::default()
        }
    };
    let each = |title: &str, measure: Measure, y: Axis| {
        let line = |history: &&[Row]| Series {
            name: String::new(),
            colour: 2,
            look: Look::Line,
            points: curve(history, measure),
        };
        let series = histories.iter().map(line).collect();
        Facet { title: title.to_owned(), x: across.clone(), y, series, ..Facet::default() }
    };
    let from_zero = |title: &str| Axis { zero: true, ..axis(title) };
    let beta = each("KL weight β, each trial", Measure::Beta, from_zero("β"));
    let closed = beta.series.iter().flat_map(|series| &series.points).any(|point| point.y.is_infinite());
    let mut elbo = Facet {
        title: format!("−ELBO at β = 1, validation {}s", noun(run)),
        x: across.clone(),
        y: axis(&format!("nats per {}", noun(run))),
        series: lines(&histories, Measure::TestElbo, "", 5),
        ..Facet::default()
    };
    elbo.guides.extend(floor(&setting, &elbo));
    let terms = [
        [Measure::TrainLoss, Measure::TestLoss],
        [Measure::TrainRecon, Measure::TestRecon],
        [Measure::TrainKl, Measure::TestKl],
    ];
    let mut facets: Vec<Facet> =
        ["loss", "reconstruction", "KL"].into_iter().zip(terms).map(|(title, terms)| both(title, terms)).collect();
    // How much of the choice the code makes; earlier versions logged no exact figures.
    let carried = Facet {
        title: format!("prior MI, validation {}s", noun(run)),
        x: across.clone(),
        y: from_zero("nats"),
        series: lines(&histories, CARRIED, "", 5),
        ..Facet::default()
    };
    let has_carried = carried.series.iter().flat_map(|series| &series.points).any(|point| point.y.is_finite());
    let middle =
        if has_carried { carried } else { each("learning rate, each trial", Measure::Lr, from_zero("learning rate")) };
    facets.extend([beta, middle, elbo]);
    let phases = phases(&histories);
    facets.iter_mut().for_each(|facet| facet.phases.clone_from(&phases));
    let closed = closed.then(|| {
        "Where β has no line it is infinite: the code is closed (z = 0) until the decoder knows the calendar."
            .to_owned()
    });
    let shown: Vec<Measure> = terms.concat().into_iter().chain([Measure::Beta, Measure::TestElbo]).collect();
    Drawn::Chart(Facets {
        title: format!("experiment {}: losses in training, {} ({})", run.name, setting.label, trials(histories.len())),
        notes: closed.into_iter().chain(remarks(&histories, &shown)).chain(left_out(run)).collect(),
        columns: 3,
        facet: (344, 270),
        names: Names::Above,
        facets,
    })
}

/// What a row is called in charts.
pub(super) fn noun(run: &Run) -> &'static str {
    if run.trials.iter().all(is_of_dates) { "date" } else { "row" }
}

/// Whether a trial is of the home task.
pub fn is_of_dates(trial: &RunTrial) -> bool {
    let of = |key: &str| trial.value(key).unwrap_or_default();
    of("data.table").is_empty() && of("data.network").is_empty() && [DATES, ""].contains(&of("data.task"))
}

/// What the code carries, on validation conditions.
const CARRIED: Measure = Measure::exact(Figure::PriorMi, Part::Validation, Weighting::ByRow);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_logarithmic_where_evaluations_are_and_phases_begin_where_they_did() {
        let row = |step: u64, phase: &str, since: u64| {
            Row::default().with(Measure::Step, step).with(Measure::Phase, phase).with(Measure::PhaseSince, since)
        };
        let early = [row(25, "calendar", 0), row(50, "code", 31), row(3200, "match", 60)];
        let axis = steps(&[&early]);
        assert_eq!((axis.scale, axis.range), (Scale::Log, Some((25.0, 3200.0))));
        assert_eq!(phases(&[&early]), [(31.0, "code".to_owned()), (60.0, "match".to_owned())]);
        let even = [row(800, "match", 0), row(1600, "match", 0)];
        assert_eq!((steps(&[&even]).scale, phases(&[&even]).len()), (Scale::Linear, 0));
    }

    #[test]
    fn means_are_of_the_trials_that_have_come_so_far() {
        let point = |x, y| Point { x, y, half: f64::NAN };
        let curves = [vec![point(1.0, 2.0), point(2.0, 5.0)], vec![point(1.0, 4.0), point(3.0, f64::INFINITY)]];
        let means: Vec<(f64, f64)> = mean(&curves).iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(means[..2], [(1.0, 3.0), (2.0, 5.0)]);
        assert!(means[2].1.is_nan());
    }
}
