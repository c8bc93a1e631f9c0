//! Latent sizes by KL weights: lines and heat maps.

use super::Made;
use super::measures::{COVERAGE, ELBO, INFORMATION, KL, Measure, NLL, PASS, TV, present};
use crate::experiment::{Run, Setting, settings, values, varying};
use crate::figures::{Axis, Facet, Facets, HeatCell, HeatMap, HeatMaps, Look, Point, Series};

pub const BETA: &str = "beta.value";
pub const LATENT: &str = "model.latent_dim";
/// What notes on a best point say.
pub const EDGE: &str = "the best is on the grid's edge";

/// Whether a run's trials vary in KL weight, latent size or both, and in nothing else.
pub fn is_grid(run: &Run) -> bool {
    let keys = varying(&run.trials);
    !keys.is_empty() && keys.iter().all(|key| key == BETA || key == LATENT)
}

const NO_GRID: &str = "the trials do not differ in beta.value or model.latent_dim alone";

fn parse(value: Option<&str>) -> f64 {
    value.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

/// Figures over the KL weight for each latent size; over the latent size where the weight is one.
///
/// # Errors
/// When metrics lack a column.
pub fn lines(run: &Run) -> anyhow::Result<Made<Facets>> {
    if !is_grid(run) {
        return Ok(Made::LeftOut(NO_GRID.to_owned()));
    }
    let (across, along) = if values(&run.trials, BETA).len() > 1 { (BETA, LATENT) } else { (LATENT, BETA) };
    let settings = settings(&run.trials);
    let (measures, note) = present(&[PASS, COVERAGE, TV, KL, NLL, INFORMATION, ELBO], run);
    let ticks: Vec<f64> = values(&run.trials, across).iter().map(|value| parse(Some(value))).collect();
    let named = values(&run.trials, along);
    let facets = measures.iter().take(6).map(|measure| {
        let mut series = Vec::new();
        for (colour, value) in named.iter().enumerate() {
            let of = |setting: &&Setting| setting.value(along) == Some(value);
            let mut points = Vec::new();
            for setting in settings.iter().filter(of) {
                let mean = setting.mean(measure.of)?;
                points.push(Point { x: parse(setting.value(across)), y: mean.mean, half: mean.half });
            }
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            points.retain(|point| point.y.is_finite());
            let name = if along == LATENT { format!("latent size {value}") } else { format!("β = {value}") };
            series.push(Series { name, colour, look: Look::Marked, points });
        }
        let title = if across == BETA { "final KL weight β" } else { "latent size" };
        Ok(Facet {
            title: measure.title.to_owned(),
            x: Axis {
                title: title.to_owned(),
                log: true,
                ticks: ticks.clone(),
                range: ends(&ticks),
                ..Axis::default()
            },
            y: Axis { share: measure.share, ..Axis::default() },
            series,
            failures: failures(&settings, across),
            ..Facet::default()
        })
    });
    let facets = facets.collect::<anyhow::Result<Vec<_>>>()?;
    let title = format!("{}: means over seeds with 95 % intervals", run.name);
    let (betas, latents) = (values(&run.trials, BETA), values(&run.trials, LATENT));
    let mut notes = Vec::new();
    // Where there are heat maps, they say so.
    for measure in measures.iter().filter(|_| betas.len() < 2 || latents.len() < 2) {
        let Some(rises) = measure.rises else { continue };
        let best = best(&cells(run, measure)?, rises, &betas, &latents);
        notes.extend(best.and_then(|best| edge_note(measure, &edges(best, &betas, &latents))));
    }
    let aside = (named.len() > 1).then(|| "Points at one place of the axis stand side by side.".to_owned());
    notes.extend(aside.into_iter().chain(note));
    Ok(Made::Chart(Facets { title, notes, columns: 3, facet: (344, 270), facets }))
}

/// A logarithmic axis's ends, with some room.
fn ends(ticks: &[f64]) -> Option<(f64, f64)> {
    let (low, high) = (ticks.first()?, ticks.last()?);
    let room = (high / low).powf(0.05).max(1.1);
    (*low > 0.0).then_some((low / room, high * room))
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

/// Heat maps of figures over latent size and KL weight; the best of each is marked, and called out on an edge.
///
/// # Errors
/// When metrics lack a column.
pub fn maps(run: &Run) -> anyhow::Result<Made<HeatMaps>> {
    let (betas, latents) = (values(&run.trials, BETA), values(&run.trials, LATENT));
    if !is_grid(run) || betas.len() < 2 || latents.len() < 2 {
        return Ok(Made::LeftOut("the trials are no grid of beta.value and model.latent_dim".to_owned()));
    }
    let (measures, note) = present(&[PASS, COVERAGE, KL, NLL, INFORMATION, TV, ELBO], run);
    let mut notes = Vec::new();
    let mut maps = Vec::new();
    for measure in measures.iter().take(6) {
        let cells = cells(run, measure)?;
        let best = measure.rises.and_then(|rises| best(&cells, rises, &betas, &latents));
        notes.extend(best.and_then(|best| edge_note(measure, &edges(best, &betas, &latents))));
        let unit = if measure.share { ", %" } else { "" };
        let falls = measure.rises == Some(false);
        maps.push(HeatMap { title: format!("{}{unit}", measure.title), cells, falls, best });
    }
    notes.extend(note);
    Ok(Made::Chart(HeatMaps {
        title: format!("{}: means over seeds", run.name),
        notes,
        x: ("final KL weight β".to_owned(), betas),
        y: ("latent size".to_owned(), latents),
        columns: 2,
        maps,
    }))
}

/// A figure of every point of the grid, row by row of latent sizes.
fn cells(run: &Run, measure: &Measure) -> anyhow::Result<Vec<Option<HeatCell>>> {
    let settings = settings(&run.trials);
    let mut cells = Vec::new();
    for latent in &values(&run.trials, LATENT) {
        for beta in &values(&run.trials, BETA) {
            let here = |setting: &&Setting| setting.value(LATENT) == Some(latent) && setting.value(BETA) == Some(beta);
            cells.push(settings.iter().find(here).map(|setting| cell(setting, measure)).transpose()?);
        }
    }
    Ok(cells)
}

/// What is to be said of a best point on these edges.
fn edge_note(measure: &Measure, edges: &[String]) -> Option<String> {
    let name = measure.title.split(',').next().unwrap_or(measure.title);
    let place = edges.join(" and ");
    (!edges.is_empty()).then(|| format!("{name}: {EDGE}, {place}; widen the grid there."))
}

fn cell(setting: &Setting<'_>, measure: &Measure) -> anyhow::Result<HeatCell> {
    let mean = setting.mean(measure.of)?;
    Ok(HeatCell { value: mean.mean, words: measure.words(mean.mean), failed: setting.failed() })
}

/// The best cell; of those that are written alike, one inside the grid before one on its edge.
fn best(cells: &[Option<HeatCell>], rises: bool, betas: &[String], latents: &[String]) -> Option<usize> {
    let sign = if rises { 1.0 } else { -1.0 };
    let finished = || cells.iter().enumerate().filter_map(|(place, cell)| Some((place, cell.as_ref()?)));
    let worth = |cell: &HeatCell| if cell.value.is_finite() { sign * cell.value } else { f64::NEG_INFINITY };
    let (_, top) = finished().max_by(|(_, a), (_, b)| worth(a).total_cmp(&worth(b)))?;
    let inner = |place: usize| edges(place, betas, latents).is_empty();
    let alike = || finished().filter(|(_, cell)| cell.value.is_finite() && cell.words == top.words);
    let ranked = |(place, cell): &(usize, &HeatCell)| (inner(*place), worth(cell));
    alike()
        .max_by(|a, b| ranked(a).0.cmp(&ranked(b).0).then(ranked(a).1.total_cmp(&ranked(b).1)))
        .map(|(place, _)| place)
}

/// Which ends of the grid a cell lies on; a grid of two values has nothing but ends.
fn edges(place: usize, betas: &[String], latents: &[String]) -> Vec<String> {
    let on = |place: usize, values: &[String], name: &str| {
        let edge = values.len() > 2 && (place == 0 || place + 1 == values.len());
        edge.then(|| format!("{name} = {}", values[place]))
    };
    let across = betas.len();
    [on(place % across, betas, "β"), on(place / across, latents, "latent size")].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells_of(values: &[f64]) -> Vec<Option<HeatCell>> {
        values.iter().map(|value| Some(HeatCell { value: *value, words: format!("{value:.1}"), failed: 0 })).collect()
    }

    #[test]
    fn a_best_point_on_the_edge_is_called_out_and_one_inside_is_not() {
        let names = |count: usize| (0..count).map(|name| name.to_string()).collect::<Vec<_>>();
        let edge = best(&cells_of(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]), true, &names(3), &names(3)).unwrap();
        assert_eq!(edges(edge, &names(3), &names(3)), ["β = 2", "latent size = 2"]);
        let low = best(&cells_of(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]), false, &names(3), &names(3));
        assert_eq!(low, Some(0));
        // Written alike, the one inside is as good.
        let inner =
            best(&cells_of(&[1.0, 1.0, 1.0, 1.0, 0.999, 1.0, 1.0, 1.0, 1.0]), true, &names(3), &names(3)).unwrap();
        assert!(inner == 4 && edges(inner, &names(3), &names(3)).is_empty());
        assert_eq!(best(&cells_of(&[f64::NAN; 4]), true, &names(2), &names(2)), None);
    }
}
