//! Latent sizes by KL weights: lines and heat maps.

use super::Made;
use super::measures::{BETA, COVERAGE, CUT, ELBO, INFORMATION, KL, LATENT, Measure, NLL, PASS, TV, present};
use crate::experiment::{Run, Setting, settings, values, varying};
use crate::figures::{Axis, Facet, Facets, HeatCell, HeatMap, HeatMaps, Look, Names, Point, Scale, Series};

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
                let mean = setting.mean(measure.of)?;
                cut |= measure.is_cut(&mean);
                points.push(Point { x: parse(setting.value(across)), y: mean.mean, half: mean.half });
            }
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            points.retain(|point| point.y.is_finite());
            let name = if along == LATENT { format!("latent size {value}") } else { format!("β = {value}") };
            series.push(Series { name, colour, look: Look::Marked, points });
        }
        let title = if across == BETA { "final KL weight β" } else { "latent size" };
        let best = chosen(run, measure)?.map(|best| {
            let (beta, latent) = (best % betas.len(), best / betas.len());
            if across == BETA { (latent, parse(Some(&betas[beta]))) } else { (beta, parse(Some(&latents[latent]))) }
        });
        let means = series.iter().flat_map(|series| &series.points).map(|point| point.y);
        Ok(Facet {
            title: measure.title.to_owned(),
            x: Axis {
                title: title.to_owned(),
                scale: Scale::Log,
                ticks: ticks.clone(),
                range: ends(&ticks),
                ..Axis::default()
            },
            y: measure.axis(means),
            series,
            best,
            failures: failures(&settings, across),
            ..Facet::default()
        })
    });
    let facets = facets.collect::<anyhow::Result<Vec<_>>>()?;
    let title = format!("{}: means over seeds with 95 % intervals", run.name);
    let mut said: Vec<String> = edge_note(run, &measures)?.into_iter().collect();
    said.extend((named.len() > 1).then(|| "Points at one place of the axis stand side by side.".to_owned()));
    said.extend(cut.then(|| CUT.to_owned()));
    said.extend(note);
    let notes = if said.is_empty() { said } else { vec![said.join(" ")] };
    Ok(Made::Chart(Facets { title, notes, columns: 3, facet: (344, 262), names: Names::Above, facets }))
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
    let mut maps = Vec::new();
    for measure in measures.iter().take(6) {
        let unit = if measure.share { ", %" } else { "" };
        let falls = measure.rises == Some(false);
        let (cells, best) = (cells(run, measure)?, chosen(run, measure)?);
        maps.push(HeatMap { title: format!("{}{unit}", measure.title), cells, falls, best });
    }
    Ok(Made::Chart(HeatMaps {
        title: format!("{}: means over seeds", run.name),
        notes: edge_note(run, &measures)?.into_iter().chain(note).collect(),
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

/// What is to be said of the best points that lie on edges, of the figures that are drawn.
fn edge_note(run: &Run, measures: &[Measure]) -> anyhow::Result<Option<String>> {
    let (betas, latents) = (values(&run.trials, BETA), values(&run.trials, LATENT));
    let mut places = Vec::new();
    for measure in measures.iter().take(6) {
        let edges = chosen(run, measure)?.map(|best| edges(best, &betas, &latents)).unwrap_or_default();
        let name = measure.title.split(',').next().unwrap_or(measure.title);
        places.extend((!edges.is_empty()).then(|| format!("{name} ({})", edges.join(" and "))));
    }
    Ok((!places.is_empty()).then(|| format!("Best {EDGE}, to be widened there: {}.", places.join("; "))))
}

fn cell(setting: &Setting<'_>, measure: &Measure) -> anyhow::Result<HeatCell> {
    let (mean, failed) = (setting.mean(measure.of)?, setting.failed());
    let open = failed == 0 && setting.finished().next().is_none();
    Ok(HeatCell { value: mean.mean, words: measure.words(mean.mean), failed, open })
}

/// The best cell of a figure, where one end of it is good.
fn chosen(run: &Run, measure: &Measure) -> anyhow::Result<Option<usize>> {
    let Some(rises) = measure.rises else { return Ok(None) };
    Ok(best(&cells(run, measure)?, rises, &values(&run.trials, BETA), &values(&run.trials, LATENT)))
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
        let cell = |value: &f64| HeatCell { value: *value, words: format!("{value:.1}"), ..HeatCell::default() };
        values.iter().map(|value| Some(cell(value))).collect()
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
