//! What happened during training: losses, schedules, pass rates.

use std::collections::BTreeMap;

use super::Drawn;
use crate::analysis::{Setting, best, named};
use crate::experiment::Run;
use crate::figures::{Axis, Facet, Facets, Guide, Look, Names, Point, Scale, Series};
use crate::metrics::{Measure, Row};

/// The share of random days that fall on the right weekday.
const SEVENTH: f64 = 1.0 / 7.0;
/// Lines of this many settings can be told apart.
const SETTINGS: usize = 14;

/// The evaluations of a setting's trials, as far as they have any.
fn histories<'a>(setting: &Setting<'a>) -> Vec<&'a [Row]> {
    setting.trials.iter().map(|trial| trial.history.as_slice()).filter(|history| !history.is_empty()).collect()
}

/// A measure over epochs.
fn curve(history: &[Row], measure: Measure) -> Vec<Point> {
    let point = |row: &Row| Point { x: row.number(Measure::Epoch), y: row.number(measure), half: f64::NAN };
    history.iter().map(point).collect()
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

/// What is to be said of means where some trials have not come as far as others, or did not log these measures.
fn remarks(histories: &[&[Row]], measures: &[Measure]) -> Option<String> {
    let ends: Vec<f64> = histories
        .iter()
        .map(|history| history.iter().map(|row| row.number(Measure::Epoch)).fold(0.0, f64::max))
        .collect();
    let (least, most) = ends.iter().fold((f64::INFINITY, 0.0f64), |(least, most), e| (least.min(*e), most.max(*e)));
    let reached = ends.iter().filter(|end| **end == most).count();
    let unequal = (least < most)
        .then(|| format!("After epoch {least:.0} means are of the seeds that have come so far, {reached} at the end."));
    let rows = || histories.iter().flat_map(|history| history.iter());
    let lacking = measures.iter().filter(|measure| rows().any(|row| !row.has(**measure)));
    let lacking: Vec<&str> = lacking.map(|measure| measure.name()).collect();
    let lacking = (!lacking.is_empty()).then(|| format!("Not logged by every trial: {}.", lacking.join(" and ")));
    let said: Vec<String> = unequal.into_iter().chain(lacking).collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// A measure of several trials: each thin, and their mean.
fn lines(histories: &[&[Row]], measure: Measure, name: &str, colour: usize) -> Vec<Series> {
    let curves: Vec<Vec<Point>> = histories.iter().map(|history| curve(history, measure)).collect();
    let line = |name: &str, look, points| Series { name: name.to_owned(), colour, look, points };
    let whole = line(name, Look::Line, mean(&curves));
    let thin = curves.into_iter().filter(|_| histories.len() > 1).map(|points| line("", Look::Thin, points));
    thin.chain([whole]).collect()
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

/// The histories of the best setting of a run, or why there are none.
fn of_best(run: &Run) -> Result<(Setting<'_>, Vec<&[Row]>), String> {
    let setting = best(named(&run.trials)).ok_or("there is no trial")?;
    let histories = histories(&setting);
    if histories.is_empty() {
        Err("the best trials have no history.csv with rows".to_owned())
    } else {
        Ok((setting, histories))
    }
}

/// The lowest NLL that any model can have on the held-out dates, where a trial logged it.
fn floor(setting: &Setting<'_>, elbo: &Facet) -> Option<Guide> {
    let floors = setting.finished().map(|metrics| metrics.number(Measure::TestEntropyFloor));
    let floor = floors.into_iter().find(|floor| floor.is_finite())?;
    let ends = elbo.series.iter().flat_map(|series| &series.points).map(|point| point.x);
    let name = format!("entropy of the data, {floor:.3} nats: no model's −ELBO is lower");
    Some(Guide { name, points: vec![(0.0, floor), (ends.fold(0.0, f64::max), floor)] })
}

/// Loss, reconstruction and KL of training and held-out dates; below them the schedules and the ELBO.
pub fn losses(run: &Run) -> Drawn<Facets> {
    let (setting, histories) = match of_best(run) {
        Ok(found) => found,
        Err(why) => return Drawn::Skipped(why),
    };
    let both = |title: &str, [train, test]: [Measure; 2]| {
        let mut series = lines(&histories, train, "training dates", 0);
        series.extend(lines(&histories, test, "held-out dates", 5));
        Facet { title: title.to_owned(), x: epochs(), y: axis("nats per date"), series, ..Facet::default() }
    };
    let each = |title: &str, measure: Measure, y: Axis| {
        let line = |history: &&[Row]| Series {
            name: String::new(),
            colour: 2,
            look: Look::Line,
            points: curve(history, measure),
        };
        let series = histories.iter().map(line).collect();
        Facet { title: title.to_owned(), x: epochs(), y, series, ..Facet::default() }
    };
    let from_zero = |title: &str| Axis { zero: true, ..axis(title) };
    let beta = each("KL weight β, each trial", Measure::Beta, from_zero("β"));
    let closed = beta.series.iter().flat_map(|series| &series.points).any(|point| point.y.is_infinite());
    let mut elbo = Facet {
        title: "−ELBO at β = 1, held-out dates".to_owned(),
        x: epochs(),
        y: axis("nats per date"),
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
    facets.extend([beta, each("learning rate, each trial", Measure::Lr, from_zero("learning rate")), elbo]);
    // One axis for all: an infinite β would leave its panel without the epochs before.
    let last = last_epoch(&facets);
    facets.iter_mut().for_each(|facet| facet.x.range = Some((0.0, last)));
    let closed = closed.then(|| {
        "Where β has no line it is infinite: the code is closed (z = 0) until the decoder knows the calendar."
            .to_owned()
    });
    let shown: Vec<Measure> =
        terms.concat().into_iter().chain([Measure::Beta, Measure::Lr, Measure::TestElbo]).collect();
    Drawn::Chart(Facets {
        title: format!("{}: losses in training, {} ({})", run.name, setting.label, trials(histories.len())),
        notes: closed.into_iter().chain(remarks(&histories, &shown)).collect(),
        columns: 3,
        facet: (344, 270),
        names: Names::Above,
        facets,
    })
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

/// The panels of pass rates: measures with their names and colours.
const FIELDS: [(Measure, &str, usize); 5] = [
    (Measure::GreedyPassWeekday, "weekday", 0),
    (Measure::GreedyPassMonth, "month", 1),
    (Measure::GreedyPassLeap, "leap year", 2),
    (Measure::GreedyPassDecade, "decade", 3),
    (Measure::GreedyValidDate, "date that exists", 4),
];
const JOINT: [(Measure, &str, usize); 4] = [
    (Measure::GreedyPass, "greedy", 0),
    (Measure::GreedyPassHeldOut, "greedy, held-out conditions", 1),
    (Measure::SampledPass, "sampled", 2),
    (Measure::GreedyPassWorst, "greedy, worst condition", 5),
];

/// Pass rates of each field of the condition, and of all together, over training.
pub fn pass_by_field(run: &Run) -> Drawn<Facets> {
    let (setting, histories) = match of_best(run) {
        Ok(found) => found,
        Err(why) => return Drawn::Skipped(why),
    };
    let facet = |title: &str, measures: &[(Measure, &str, usize)]| {
        let mut series = Vec::new();
        for (measure, name, colour) in measures {
            let line = lines(&histories, *measure, name, *colour).pop();
            // Conditions that are not held out have no rate.
            series.extend(line.filter(|line| line.points.iter().any(|point| point.y.is_finite())));
        }
        let y = rates("share of the samples", &series);
        Facet { title: title.to_owned(), x: epochs(), y, series, ..Facet::default() }
    };
    let facets = with_seventh(vec![
        facet("greedy, each field of the condition alone", &FIELDS),
        facet("all fields together", &JOINT),
    ]);
    let shown: Vec<Measure> = FIELDS.iter().chain(&JOINT).map(|(measure, ..)| *measure).collect();
    Drawn::Chart(Facets {
        title: format!("{}: pass rates in training, {} ({})", run.name, setting.label, seeds(histories.len())),
        notes: said(&facets, remarks(&histories, &shown)),
        columns: 2,
        facet: (500, 312),
        names: Names::Inside,
        facets,
    })
}

/// Pass rate and ELBO of every setting over training.
pub fn pass_by_setting(run: &Run) -> Drawn<Facets> {
    let settings = named(&run.trials);
    if !(2..=SETTINGS).contains(&settings.len()) {
        let count = settings.len();
        return Drawn::Skipped(format!("it tells 2 to {SETTINGS} settings apart, and there are {count}"));
    }
    let mut facets = vec![
        Facet { title: "greedy pass rate".to_owned(), x: epochs(), ..Facet::default() },
        Facet {
            title: "−ELBO at β = 1, held-out dates".to_owned(),
            x: epochs(),
            y: axis("nats per date"),
            ..Facet::default()
        },
    ];
    let shown = [Measure::GreedyPass, Measure::TestElbo];
    let mut remark = None;
    for (colour, setting) in settings.iter().enumerate() {
        let histories = histories(setting);
        if histories.is_empty() {
            continue;
        }
        remark = remark.or(remarks(&histories, &shown));
        for (facet, measure) in facets.iter_mut().zip(shown) {
            facet.series.extend(lines(&histories, measure, &setting.label, colour).pop());
        }
    }
    if facets[0].series.is_empty() {
        return Drawn::Skipped("no trial has a history.csv with rows".to_owned());
    }
    let last = last_epoch(&facets);
    facets[0].guides.push(seventh(last));
    facets[0].y = rates("share of the samples", &facets[0].series);
    facets.iter_mut().for_each(|facet| facet.x.range = Some((0.0, last)));
    Drawn::Chart(Facets {
        title: format!("{}: every setting in training (means over seeds)", run.name),
        notes: said(&facets, remark),
        columns: 2,
        facet: (500, 312),
        names: Names::Above,
        facets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_of_the_trials_that_have_come_so_far() {
        let point = |x, y| Point { x, y, half: f64::NAN };
        let curves = [vec![point(1.0, 2.0), point(2.0, 5.0)], vec![point(1.0, 4.0), point(3.0, f64::INFINITY)]];
        let means: Vec<(f64, f64)> = mean(&curves).iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(means[..2], [(1.0, 3.0), (2.0, 5.0)]);
        assert!(means[2].1.is_nan());
    }
}
