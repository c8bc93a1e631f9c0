//! Rate against distortion (Alemi et al. 2018): what z carries against what is left to say.

use super::Drawn;
use super::sweep::is_grid;
use crate::analysis::{BETA, LATENT, Setting, named, values};
use crate::experiment::Run;
use crate::figures::{Axis, Facet, Facets, Guide, Look, Names, Point, Series};
use crate::metrics::Measure;

/// Settings that marks tell apart.
const MARKS: usize = 14;

/// Every finished trial, and the line that no model can be below: rate + distortion = entropy.
pub fn distortion(run: &Run) -> Drawn<Facets> {
    let settings = named(&run.trials);
    let mut series: Vec<Series> = Vec::new();
    let latents = values(&run.trials, LATENT);
    // Points of one latent size are in a row of KL weights.
    let names: Vec<String> = match (is_grid(run), settings.len()) {
        (true, _) if latents.len() <= MARKS => latents.iter().map(|value| format!("latent size {value}")).collect(),
        (false, 2..=MARKS) => settings.iter().map(|setting| setting.label.clone()).collect(),
        _ => vec!["trials".to_owned()],
    };
    let mut floors: Vec<f64> = Vec::new();
    for (place, setting) in settings.iter().enumerate() {
        let colour = match (is_grid(run), names.len()) {
            (_, 1) => 0,
            (true, _) => latents.iter().position(|value| Some(value.as_str()) == setting.value(LATENT)).unwrap_or(0),
            (false, _) => place,
        };
        let mut points = Vec::new();
        for metrics in setting.finished() {
            let [rate, distortion, floor] =
                [Measure::TestKl, Measure::TestRecon, Measure::TestEntropyFloor].map(|measure| metrics.number(measure));
            points.push(Point { x: rate, y: distortion, half: f64::NAN });
            if floor.is_finite() && floors.iter().all(|known| (known - floor).abs() > 5e-4) {
                floors.push(floor);
            }
        }
        series.push(Series { name: names[colour].clone(), colour, look: Look::Dots, points });
    }
    series.sort_by_key(|series| series.colour);
    if series.iter().all(|series| series.points.is_empty()) {
        return Drawn::Skipped("no trial has finished".to_owned());
    }
    floors.sort_by(f64::total_cmp);
    let highest = |of: fn(&Point) -> f64| {
        let values = series.iter().flat_map(|series| &series.points).map(of).filter(|value| value.is_finite());
        values.chain(floors.iter().copied()).fold(0.0, f64::max)
    };
    let axis = |title: &str, high: f64| Axis {
        title: title.to_owned(),
        range: Some((-0.03 * high, 1.06 * high)),
        ..Axis::default()
    };
    let facet = Facet {
        title: String::new(),
        x: axis("rate: KL, nats per date", highest(|point| point.x)),
        y: axis("distortion: reconstruction, nats per date", highest(|point| point.y)),
        guides: guides(&floors),
        series,
        ..Facet::default()
    };
    Drawn::Chart(Facets {
        title: format!("experiment {}: rate against distortion, held-out dates", run.name),
        notes: notes(run, &settings),
        columns: 1,
        facet: (540, 382),
        names: Names::Below,
        facets: vec![facet],
    })
}

/// The lines at these floors, lowest first; one for all that differ by what happens to be held out.
fn guides(floors: &[f64]) -> Vec<Guide> {
    let guide = |floor: f64, words: String| Guide {
        name: format!("rate + distortion = {words} nats: none is below"),
        points: vec![(0.0, floor), (floor, 0.0)],
    };
    match floors {
        [low, .., high] if high - low < 0.01 * low => vec![guide(*low, format!("{low:.3} to {high:.3}"))],
        floors => floors.iter().map(|floor| guide(*floor, format!("{floor:.3}"))).collect(),
    }
}

fn notes(run: &Run, settings: &[Setting<'_>]) -> Vec<String> {
    let betas = values(&run.trials, BETA);
    let range = match (betas.first(), betas.last()) {
        (Some(low), Some(high)) if betas.len() > 1 => {
            Some(format!("A point is a trial; final β from {low} to {high}."))
        }
        _ => Some("A point is a trial.".to_owned()),
    };
    let failed: usize = settings.iter().map(Setting::failed).sum();
    let failed = (failed > 0).then(|| format!("{failed} failed or diverged and have no place here."));
    range.into_iter().chain(failed).collect()
}
