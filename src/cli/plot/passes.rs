//! Pass rates during training, beside the exact distances from the truth.

use std::collections::BTreeSet;

use super::Drawn;
use super::training::{axis, histories, left_out, lines, noun, of_best, phases, remarks, seeds, steps};
use crate::analysis::named;
use crate::experiment::Run;
use crate::figures::{Axis, Facet, Facets, Guide, Names, Scale, Series};
use crate::metrics::{Figure, Measure, Part, Row, Weighting};

/// The share of random days that fall on the right weekday.
const SEVENTH: f64 = 1.0 / 7.0;
/// Lines of this many settings can be told apart.
const SETTINGS: usize = 14;

/// What is said of lines of pass rates.
const BESIDE: &str = "Lines that would hide each other are drawn beside each other.";

fn said(facets: &[Facet], unfinished: Option<String>) -> Vec<String> {
    let beside = facets.iter().any(|facet| facet.y.scale == Scale::Logit).then(|| BESIDE.to_owned());
    let said: Vec<String> = beside.into_iter().chain(unfinished).collect();
    if said.is_empty() { said } else { vec![said.join(" ")] }
}

/// The line at 1/7.
fn seventh((first, last): (f64, f64)) -> Guide {
    let name = "1/7: right month, decade and leap year, random day".to_owned();
    Guide { name, points: vec![(first, SEVENTH), (last, SEVENTH)] }
}

/// An axis of pass rates.
fn rates(title: &str, series: &[Series]) -> Axis {
    let shares = series.iter().flat_map(|series| &series.points).map(|point| point.y);
    Axis { zero: true, ..Axis::of_shares(title, shares) }
}

fn with_seventh(mut facets: Vec<Facet>) -> Vec<Facet> {
    for facet in &mut facets {
        facet.guides.push(seventh(facet.x.range.unwrap_or((0.0, 1.0))));
    }
    facets
}

/// The panels of pass rates: measures with their names and colours.
fn fields(histories: &[&[Row]], noun: &str) -> Vec<(Measure, String, usize)> {
    let logged = histories.iter().flat_map(|history| history.iter()).flat_map(Row::measures);
    let columns: BTreeSet<Measure> = logged.filter(|measure| measure.is_of_column()).collect();
    let name = |measure: Measure| measure.name().trim_start_matches("greedy_pass_").replace('_', " ");
    let columns = columns.into_iter().map(|measure| (measure, name(measure)));
    let all = columns.chain([(Measure::GreedyValidRow, format!("{noun} that exists"))]);
    all.enumerate().map(|(colour, (measure, name))| (measure, name, colour)).collect()
}

/// All columns together, as far as something was logged.
fn joint(histories: &[&[Row]]) -> Vec<(Measure, String, usize)> {
    let joint = [
        (Measure::GreedyPass, "all conditions", 0),
        (Measure::GreedyPassValidation, "validation conditions", 1),
        (Measure::SampledPass, "sampled", 2),
    ];
    logged(histories, &joint)
}

/// How far the distribution is from the truth, exactly, as far as it was logged.
fn distances(histories: &[&[Row]]) -> Vec<(Measure, String, usize)> {
    let distances = [
        (Measure::exact(Figure::NllGap, Part::Validation, Weighting::ByRow), "NLL gap, nats", 5),
        (Measure::exact(Figure::InvalidMass, Part::Validation, Weighting::ByRow), "invalid mass", 0),
    ];
    logged(histories, &distances)
}

fn logged(histories: &[&[Row]], measures: &[(Measure, &str, usize)]) -> Vec<(Measure, String, usize)> {
    let some = |measure: Measure| histories.iter().flat_map(|history| history.iter()).any(|row| row.has(measure));
    let named = |(measure, name, colour): &(Measure, &str, usize)| (*measure, (*name).to_owned(), *colour);
    measures.iter().filter(|(measure, ..)| some(*measure)).map(named).collect()
}

/// Pass rates of each field of the condition, and of all together, over training.
pub fn pass_by_field(run: &Run) -> Drawn<Facets> {
    let (setting, histories) = match of_best(run) {
        Ok(found) => found,
        Err(why) => return Drawn::Skipped(why),
    };
    let (fields, joint, across) = (fields(&histories, noun(run)), joint(&histories), steps(&histories));
    let distances = distances(&histories);
    let facet = |title: &str, measures: &[(Measure, String, usize)]| {
        let mut series = Vec::new();
        for (measure, name, colour) in measures {
            let line = lines(&histories, *measure, name, *colour).pop();
            // Conditions that are not held out have no rate.
            series.extend(line.filter(|line| line.points.iter().any(|point| point.y.is_finite())));
        }
        let y = rates(&format!("share of the {}s", noun(run)), &series);
        Facet { title: title.to_owned(), x: across.clone(), y, series, phases: phases(&histories), ..Facet::default() }
    };
    let mut facets =
        with_seventh(vec![facet("greedy pass, each given column", &fields), facet("greedy pass, all columns", &joint)]);
    if !distances.is_empty() {
        let mut exact = facet("exact, validation conditions", &distances);
        exact.y = Axis { title: "distance from the truth, log scale".to_owned(), scale: Scale::Log, ..Axis::default() };
        facets.push(exact);
    }
    let shown: Vec<Measure> = fields.iter().chain(&joint).chain(&distances).map(|(measure, ..)| *measure).collect();
    Drawn::Chart(Facets {
        title: format!(
            "experiment {}: pass rates in training, {} ({})",
            run.name,
            setting.label,
            seeds(histories.len())
        ),
        notes: said(&facets, remarks(&histories, &shown)).into_iter().chain(left_out(run)).collect(),
        columns: facets.len(),
        facet: (if facets.len() > 2 { 380 } else { 500 }, 312),
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
    let all: Vec<&[Row]> = settings.iter().flat_map(|setting| histories(run, setting)).collect();
    let across = steps(&all);
    let mut facets = vec![
        Facet { title: "greedy pass rate".to_owned(), x: across.clone(), ..Facet::default() },
        Facet {
            title: format!("−ELBO at β = 1, validation {}s", noun(run)),
            x: across.clone(),
            y: axis(&format!("nats per {}", noun(run))),
            ..Facet::default()
        },
    ];
    let shown = [Measure::GreedyPass, Measure::TestElbo];
    let mut remark = None;
    for (colour, setting) in settings.iter().enumerate() {
        let histories = histories(run, setting);
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
    facets[0].guides.push(seventh(across.range.unwrap_or((0.0, 1.0))));
    facets[0].y = rates("share of the samples", &facets[0].series);
    Drawn::Chart(Facets {
        title: format!("experiment {}: every setting in training (means over seeds)", run.name),
        notes: said(&facets, remark).into_iter().chain(left_out(run)).collect(),
        columns: 2,
        facet: (500, 312),
        names: Names::Above,
        facets,
    })
}
