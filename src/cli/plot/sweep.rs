//! Latent sizes by KL weights: lines and heat maps.

use super::Drawn;
use super::measures::{CUT, axis, is_cut, is_share, present, title, words};
use crate::analysis::{BETA, LATENT, Setting, best_cell, edges, settings, values, varying};
use crate::experiment::Run;
use crate::figures::{Axis, Facet, Facets, HeatCell, HeatMap, HeatMaps, Look, Names, Point, Scale, Series};
use crate::metrics::{Direction, Measure};

/// What the note on best points says.
pub const EDGE: &str = "on the grid's edge";

/// Whether a run's trials vary in KL weight, latent size or both, and in nothing else.
pub fn is_grid(run: &Run) -> bool {
    let keys = varying(&run.trials);
    !keys.is_empty() && keys.iter().all(|key| key == BETA || key == LATENT)
}

const NO_GRID: &str = "the trials do not differ in beta.value or model.latent_dim alone";

fn parse(value: Option<&str>) -> f64 {
    value.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

/// What is drawn of grids, as far as it was logged: the first six.
const LINES: [Measure; 7] = [
    Measure::GreedyPass,
    Measure::GreedyCoverageRatio,
    Measure::GreedyTv,
    Measure::INVALID_MASS,
    Measure::NLL_GAP,
    Measure::PRIOR_MI,
    Measure::TestKl,
];
const MAPS: [Measure; 7] = [
    Measure::GreedyPass,
    Measure::GreedyCoverageRatio,
    Measure::INVALID_MASS,
    Measure::NLL_GAP,
    Measure::PRIOR_MI,
    Measure::GreedyTv,
    Measure::TestKl,
];

/// Measures over the KL weight for each latent size; over the latent size where there is one weight.
pub fn lines(run: &Run) -> Drawn<Facets> {
    if !is_grid(run) {
        return Drawn::Skipped(NO_GRID.to_owned());
    }
    let (across, along) = if values(&run.trials, BETA).len() > 1 { (BETA, LATENT) } else { (LATENT, BETA) };
    let settings = settings(&run.trials);
    let (measures, note) = present(&LINES, &settings);
    let (betas, latents) = (values(&run.trials, BETA), values(&run.trials, LATENT));
    let mut cut = false;
    let ticks: Vec<f64> = values(&run.trials, across).iter().map(|value| parse(Some(value))).collect();
    let named = values(&run.trials, along);
    let facets = measures.iter().take(6).map(|measure| {
        let mut series = Vec::new();
        for (colour, value) in named.iter().enumerate() {
            let of = |setting: &&Setting| setting.value(along) == Some(value);
            let mut points = Vec::new();
            for setting in settings.iter().filter(of) {
                let mean = setting.mean(*measure);
                cut |= is_cut(*measure, &mean);
                points.push(Point { x: parse(setting.value(across)), y: mean.mean, half: mean.half });
            }
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            points.retain(|point| point.y.is_finite());
            let name = if along == LATENT { format!("latent size {value}") } else { format!("β = {value}") };
            series.push(Series { name, colour, look: Look::Marked, points });
        }
        let best = chosen(run, *measure).map(|best| {
            let (beta, latent) = (best % betas.len(), best / betas.len());
            if across == BETA { (latent, parse(Some(&betas[beta]))) } else { (beta, parse(Some(&latents[latent]))) }
        });
        let means = series.iter().flat_map(|series| &series.points).map(|point| point.y);
        Facet {
            title: title(*measure),
            x: Axis {
                title: if across == BETA { "final KL weight β" } else { "latent size" }.to_owned(),
                scale: Scale::Log,
                ticks: ticks.clone(),
                range: ends(&ticks),
                ..Axis::default()
            },
            y: axis(*measure, means),
            series,
            best,
            failures: failures(&settings, across),
            ..Facet::default()
        }
    });
    let facets = facets.collect();
    let mut said: Vec<String> = edge_note(run, &measures).into_iter().collect();
    said.extend((named.len() > 1).then(|| "Points at one place of the axis stand side by side.".to_owned()));
    said.extend(
        ticks.contains(&0.0).then(|| "0 has no place on the logarithmic axis: it stands left of it.".to_owned()),
    );
    said.extend(cut.then(|| CUT.to_owned()));
    said.extend(note);
    Drawn::Chart(Facets {
        title: format!("experiment {}: means over seeds with 95 % intervals", run.name),
        notes: if said.is_empty() { said } else { vec![said.join(" ")] },
        columns: 3,
        facet: (344, 262),
        names: Names::Above,
        facets,
    })
}

/// A logarithmic axis's ends, with some room; 0 stands outside of them.
fn ends(ticks: &[f64]) -> Option<(f64, f64)> {
    let mut above = ticks.iter().copied().filter(|tick| *tick > 0.0);
    let low = above.next()?;
    let high = above.next_back().unwrap_or(low);
    let room = (high / low).powf(0.05).max(1.1);
    Some((low / room, high * room))
}

/// How many trials failed at each place.
fn failures(settings: &[Setting<'_>], across: &str) -> Vec<(f64, usize)> {
    let mut failures: Vec<(f64, usize)> = Vec::new();
    for setting in settings.iter().filter(|setting| setting.failed() > 0) {
        let x = parse(setting.value(across));
        match failures.iter_mut().find(|(at, _)| *at == x) {
            Some((_, count)) => *count += setting.failed(),
            None => failures.push((x, setting.failed())),
        }
    }
    failures
}

/// Heat maps of measures over latent size and KL weight; the best of each is marked, and called out on an edge.
pub fn maps(run: &Run) -> Drawn<HeatMaps> {
    let (betas, latents) = (values(&run.trials, BETA), values(&run.trials, LATENT));
    if !is_grid(run) || betas.len() < 2 || latents.len() < 2 {
        return Drawn::Skipped("the trials are no grid of beta.value and model.latent_dim".to_owned());
    }
    let (measures, note) = present(&MAPS, &settings(&run.trials));
    let map = |measure: &Measure| HeatMap {
        title: if is_share(*measure) { format!("{}, %", title(*measure)) } else { title(*measure) },
        cells: cells(run, *measure),
        falls: measure.spec().direction == Direction::Lower,
        best: chosen(run, *measure),
    };
    Drawn::Chart(HeatMaps {
        title: format!("experiment {}: means over seeds", run.name),
        notes: edge_note(run, &measures).into_iter().chain(note).collect(),
        x: ("final KL weight β".to_owned(), betas),
        y: ("latent size".to_owned(), latents),
        columns: 2,
        maps: measures.iter().take(6).map(map).collect(),
    })
}

/// A measure at every point of the grid, row by row of latent sizes.
fn cells(run: &Run, measure: Measure) -> Vec<Option<HeatCell>> {
    let settings = settings(&run.trials);
    let mut cells = Vec::new();
    for latent in &values(&run.trials, LATENT) {
        for beta in &values(&run.trials, BETA) {
            let here = |setting: &&Setting| setting.value(LATENT) == Some(latent) && setting.value(BETA) == Some(beta);
            cells.push(settings.iter().find(here).map(|setting| cell(setting, measure)));
        }
    }
    cells
}

fn cell(setting: &Setting<'_>, measure: Measure) -> HeatCell {
    let (mean, failed) = (setting.mean(measure), setting.failed());
    let open = failed == 0 && setting.finished().next().is_none();
    HeatCell { value: mean.mean, words: words(measure, mean.mean), failed, open }
}

/// The best cell of a measure, where one end of it is good.
fn chosen(run: &Run, measure: Measure) -> Option<usize> {
    let higher = match measure.spec().direction {
        Direction::Neither => return None,
        direction => direction == Direction::Higher,
    };
    let cells: Vec<_> = cells(run, measure).into_iter().map(|cell| cell.map(|cell| (cell.value, cell.words))).collect();
    best_cell(&cells, higher, &values(&run.trials, BETA), &values(&run.trials, LATENT))
}

/// What is to be said of the best points that lie on edges, of the measures that are drawn.
fn edge_note(run: &Run, measures: &[Measure]) -> Option<String> {
    let (betas, latents) = (values(&run.trials, BETA), values(&run.trials, LATENT));
    let place = |measure: &Measure| {
        let edges = edges(chosen(run, *measure)?, &betas, &latents);
        let name = title(*measure);
        (!edges.is_empty()).then(|| format!("{} ({})", name.split(',').next().unwrap_or(&name), edges.join(" and ")))
    };
    let places: Vec<String> = measures.iter().take(6).filter_map(place).collect();
    (!places.is_empty()).then(|| format!("Best {EDGE}, to be widened there: {}.", places.join("; ")))
}
