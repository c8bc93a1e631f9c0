//! Settings side by side: ablations, baselines, splits; of a single setting its seeds.

use super::Made;
use super::measures::{COVERAGE, ELBO, HELD_OUT, Measure, NLL, PASS, SAMPLED, present};
use crate::experiment::{Mean, Run, Setting, UNCHANGED, settings};
use crate::figures::{Bar, Figures, Ranking};

/// More bars than these are read better in a table.
const BARS: usize = 24;

/// Bars of each setting's figures, best first.
///
/// # Errors
/// When metrics lack a column.
pub fn bars(run: &Run) -> anyhow::Result<Made<Ranking>> {
    let mut settings = settings(&run.trials);
    let seeds = settings.len() == 1;
    if seeds {
        let each = |setting: &Setting| setting.trials.len() > 1;
        let trials = settings.iter().filter(|setting| each(setting)).flat_map(|setting| setting.trials.clone());
        let label = |seed: Option<&str>| format!("seed {}", seed.unwrap_or("?"));
        settings = trials.map(|trial| Setting { label: label(trial.value("seed")), trials: vec![trial] }).collect();
        settings.sort_by_key(|setting| setting.value("seed").and_then(|seed| seed.parse::<u64>().ok()));
    }
    if !(2..=BARS).contains(&settings.len()) {
        return Ok(Made::LeftOut(format!("it shows 2 to {BARS} settings, and there are {}", settings.len())));
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
    for measure in &measures {
        figures.push(column(measure, &settings)?);
    }
    let what = if seeds { "each seed".to_owned() } else { "means over seeds with 95 % intervals".to_owned() };
    Ok(Made::Chart(Ranking {
        title: format!("{}: {what}", run.name),
        notes: note.into_iter().collect(),
        guide: "1/7: right month, decade and leap year, random day".to_owned(),
        settings: settings.iter().map(|setting| (setting.label.clone(), setting.failed())).collect(),
        figures,
    }))
}

fn column(measure: &Measure, settings: &[Setting<'_>]) -> anyhow::Result<Figures> {
    let means = settings.iter().map(|setting| setting.mean(measure.of)).collect::<Result<Vec<_>, _>>()?;
    let highest = means.iter().map(|mean| mean.mean).filter(|mean| mean.is_finite()).fold(0.0, f64::max);
    let bar = |(mean, setting): (&Mean, &Setting)| {
        let unit = if measure.share { " %" } else { "" };
        let words = if mean.half.is_finite() {
            let half = if measure.share { format!("{:.2}", 100.0 * mean.half) } else { format!("{:.3}", mean.half) };
            format!("{}{unit} ± {half}", measure.words(mean.mean))
        } else {
            format!("{}{unit}", measure.words(mean.mean))
        };
        let none = if setting.failed() > 0 { "failed" } else { "not finished" };
        let words = if mean.mean.is_finite() { words } else { none.to_owned() };
        Bar { mean: mean.mean, half: mean.half, words }
    };
    let pass = [PASS.title, HELD_OUT.title, SAMPLED.title].contains(&measure.title);
    Ok(Figures {
        title: measure.title.to_owned(),
        top: if measure.share { 1.0 } else { highest.max(1e-9) },
        guide: pass.then_some(1.0 / 7.0),
        bars: means.iter().zip(settings).map(bar).collect(),
    })
}
