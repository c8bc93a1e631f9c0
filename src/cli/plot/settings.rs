//! Settings side by side: ablations, baselines, splits; of a single setting its seeds.

use super::Drawn;
use super::measures::{CUT, interval, is_cut, is_share, present, title, wide_axis};
use super::training::is_of_dates;
use crate::analysis::{Mean, Setting, UNCHANGED, named};
use crate::experiment::Run;
use crate::figures::{Axis, Figures, Mark, Ranking, Scale};
use crate::metrics::Measure;

/// More settings than these are read better in a table.
const SETTINGS: usize = 40;

/// The columns, as far as they were logged: the first four.
const SHOWN: [Measure; 5] =
    [Measure::GreedyPassValidation, Measure::INVALID_MASS, Measure::GreedyTv, Measure::NLL_GAP, Measure::PRIOR_MI];

/// Each setting's figures, best first.
pub fn ranking(run: &Run) -> Drawn<Ranking> {
    let mut settings = named(&run.trials);
    let seeds = settings.len() == 1;
    if seeds {
        settings = each_seed(settings);
    }
    if !(2..=SETTINGS).contains(&settings.len()) {
        return Drawn::Skipped(format!("it shows 2 to {SETTINGS} settings, and there are {}", settings.len()));
    }
    let (mut measures, note) = present(&SHOWN, &settings);
    measures.truncate(4);
    // Without held-out conditions the rate over all stands in.
    let finished = || settings.iter().filter(|setting| setting.finished().next().is_some());
    if finished().any(|setting| setting.mean(Measure::GreedyPassValidation).mean.is_nan()) {
        measures.retain(|measure| *measure != Measure::GreedyPassValidation);
        measures.insert(0, Measure::GreedyPass);
    }
    if !seeds && let Some(first) = measures.first() {
        // What the others are measured against comes first.
        let rank = |setting: &Setting| match setting.mean(*first).mean {
            _ if setting.label == UNCHANGED => 2.0,
            mean if mean.is_finite() => mean,
            _ => -1.0,
        };
        settings.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    }
    let mut figures = Vec::new();
    let mut cut = false;
    for measure in &measures {
        let means: Vec<Mean> = settings.iter().map(|setting| setting.mean(*measure)).collect();
        cut |= means.iter().any(|mean| is_cut(*measure, mean));
        figures.push(column(*measure, &means, &settings, run.trials.iter().all(is_of_dates)));
    }
    let on = |scale: Scale| figures.iter().any(|figures| figures.axis.scale == scale);
    let scales = [(Scale::Logit, "Shares are on logit scales"), (Scale::Log, "nats on a logarithmic one")];
    let scales: Vec<&str> = scales.into_iter().filter(|(scale, _)| on(*scale)).map(|(_, words)| words).collect();
    let scales = (!scales.is_empty()).then(|| format!("{}.", scales.join(", ")));
    let cut = cut.then(|| CUT.to_owned());
    let said: Vec<String> = scales.into_iter().chain(cut).chain(note).collect();
    let what = if seeds { "each seed".to_owned() } else { "means over seeds with 95 % intervals".to_owned() };
    Drawn::Chart(Ranking {
        title: format!("experiment {}: {what}", run.name),
        notes: if said.is_empty() { said } else { vec![said.join(" ")] },
        guide: "1/7: right month, decade and leap year, random day".to_owned(),
        settings: settings.iter().map(|setting| (setting.label.clone(), setting.failed())).collect(),
        figures,
    })
}

/// The trials of settings with several seeds, each as a setting of its own.
fn each_seed(settings: Vec<Setting<'_>>) -> Vec<Setting<'_>> {
    let trials = settings.into_iter().filter(|setting| setting.trials.len() > 1).flat_map(|setting| setting.trials);
    let label = |seed: Option<&str>| format!("seed {}", seed.unwrap_or("?"));
    let mut each: Vec<Setting> =
        trials.map(|trial| Setting { label: label(trial.value("seed")), trials: vec![trial] }).collect();
    each.sort_by_key(|setting| setting.value("seed").and_then(|seed| seed.parse::<u64>().ok()));
    each
}

fn column(measure: Measure, means: &[Mean], settings: &[Setting<'_>], dates: bool) -> Figures {
    let mark = |(mean, setting): (&Mean, &Setting)| {
        let none = if setting.failed() > 0 { "failed" } else { "not finished" };
        let words = if mean.mean.is_finite() { interval(measure, mean) } else { none.to_owned() };
        Mark { mean: mean.mean, half: mean.half, words }
    };
    let pass = [Measure::GreedyPass, Measure::GreedyPassValidation].contains(&measure);
    let name = if is_share(measure) { format!("{}, %", title(measure)) } else { title(measure) };
    let axis = wide_axis(measure, means.iter().map(|mean| mean.mean));
    Figures {
        // Shares begin at 0 where the scale has one.
        axis: Axis { title: name, zero: true, ..axis },
        guide: (pass && dates).then_some(1.0 / 7.0),
        marks: means.iter().zip(settings).map(mark).collect(),
    }
}
