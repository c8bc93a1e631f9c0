//! Settings side by side: ablations, baselines, splits; of a single setting its seeds.

use super::Made;
use super::measures::{COVERAGE, CUT, ELBO, HELD_OUT, Measure, NLL, PASS, SAMPLED, named, present};
use crate::experiment::{Mean, Run, Setting, UNCHANGED};
use crate::figures::{Axis, Figures, Mark, Ranking, Scale};

/// More settings than these are read better in a table.
const SETTINGS: usize = 24;

/// Each setting's figures, best first.
///
/// # Errors
/// When metrics lack a column.
pub fn ranking(run: &Run) -> anyhow::Result<Made<Ranking>> {
    let mut settings = named(run);
    let seeds = settings.len() == 1;
    if seeds {
        let each = |setting: &Setting| setting.trials.len() > 1;
        let trials = settings.iter().filter(|setting| each(setting)).flat_map(|setting| setting.trials.clone());
        let label = |seed: Option<&str>| format!("seed {}", seed.unwrap_or("?"));
        settings = trials.map(|trial| Setting { label: label(trial.value("seed")), trials: vec![trial] }).collect();
        settings.sort_by_key(|setting| setting.value("seed").and_then(|seed| seed.parse::<u64>().ok()));
    }
    if !(2..=SETTINGS).contains(&settings.len()) {
        return Ok(Made::LeftOut(format!("it shows 2 to {SETTINGS} settings, and there are {}", settings.len())));
    }
    let (measures, note) = present(&[HELD_OUT, SAMPLED, COVERAGE, NLL, ELBO], run);
    // Without held-out conditions the rate over all stands in.
    let held_out = settings.iter().map(|setting| setting.mean(HELD_OUT.of)).collect::<Result<Vec<_>, _>>()?;
    let lacking =
        held_out.iter().zip(&settings).any(|(mean, setting)| mean.mean.is_nan() && setting.finished().count() > 0);
    let mut measures: Vec<Measure> = measures.into_iter().take(4).collect();
    if lacking {
        measures[0] = PASS;
    }
    if !seeds {
        let mut ranked = Vec::new();
        for setting in settings {
            let mean = setting.mean(measures[0].of)?.mean;
            // What the others are measured against comes first.
            let mean = if setting.label == UNCHANGED { 2.0 } else { mean };
            ranked.push((if mean.is_finite() { mean } else { -1.0 }, setting));
        }
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        settings = ranked.into_iter().map(|(_, setting)| setting).collect();
    }
    let mut figures = Vec::new();
    let mut cut = false;
    for measure in &measures {
        let means = settings.iter().map(|setting| setting.mean(measure.of)).collect::<Result<Vec<_>, _>>()?;
        cut |= means.iter().any(|mean| measure.is_cut(mean));
        figures.push(column(measure, &means, &settings));
    }
    let on = |scale: Scale| figures.iter().any(|figures| figures.axis.scale == scale);
    let scales = [(Scale::Logit, "Shares are on logit scales"), (Scale::Log, "nats on a logarithmic one")];
    let scales: Vec<&str> = scales.into_iter().filter(|(scale, _)| on(*scale)).map(|(_, words)| words).collect();
    let scales = (!scales.is_empty()).then(|| format!("{}.", scales.join(", ")));
    let cut = cut.then(|| CUT.to_owned());
    let said: Vec<String> = scales.into_iter().chain(cut).chain(note).collect();
    let what = if seeds { "each seed".to_owned() } else { "means over seeds with 95 % intervals".to_owned() };
    Ok(Made::Chart(Ranking {
        title: format!("{}: {what}", run.name),
        notes: if said.is_empty() { said } else { vec![said.join(" ")] },
        guide: "1/7: right month, decade and leap year, random day".to_owned(),
        settings: settings.iter().map(|setting| (setting.label.clone(), setting.failed())).collect(),
        figures,
    }))
}

fn column(measure: &Measure, means: &[Mean], settings: &[Setting<'_>]) -> Figures {
    let mark = |(mean, setting): (&Mean, &Setting)| {
        let none = if setting.failed() > 0 { "failed" } else { "not finished" };
        let words = if mean.mean.is_finite() { measure.interval(mean) } else { none.to_owned() };
        Mark { mean: mean.mean, half: mean.half, words }
    };
    let pass = [PASS.title, HELD_OUT.title, SAMPLED.title].contains(&measure.title);
    let unit = if measure.share { ", %" } else { "" };
    let axis = measure.wide_axis(means.iter().map(|mean| mean.mean));
    Figures {
        // Shares begin at 0 where the scale has one.
        axis: Axis { title: format!("{}{unit}", measure.title), zero: true, ..axis },
        guide: pass.then_some(1.0 / 7.0),
        marks: means.iter().zip(settings).map(mark).collect(),
    }
}
