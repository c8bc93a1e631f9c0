//! Settings side by side: ablations, baselines, splits; of a single setting its seeds.

use super::Drawn;
use super::measures::{CUT, interval, is_cut, is_share, present, title, wide_axis};
use super::training::is_of_dates;
use crate::analysis::{LATENT, Mean, Setting, UNCHANGED, named, settings, short, values, varying};
use crate::experiment::{Run, RunTrial};
use crate::figures::{Axis, Figures, Mark, Ranking, Scale};
use crate::metrics::Measure;

/// More settings than these are read better in a table.
const SETTINGS: usize = 40;

/// The columns, as far as they were logged: the first four.
const SHOWN: [Measure; 5] =
    [Measure::GreedyPassValidation, Measure::INVALID_MASS, Measure::GreedyTv, Measure::NLL_GAP, Measure::PRIOR_MI];

/// The columns where some settings have a code that carries nothing.
const COLUMNS_OF_COLLAPSE: [Measure; 4] =
    [Measure::GreedyPassValidation, Measure::GreedyTv, Measure::NLL_GAP, Measure::PRIOR_MI];
/// Prior MI below which a code carries nothing to speak of, in nats.
const EMPTY_BELOW: f64 = 0.1;
/// More settings than these are better split, where a key splits them into equal parts.
const SPLIT_ABOVE: usize = 20;
/// Settings of such a part, at most.
const OF_PART: usize = 30;

/// A value of a key with its trials.
type Part = (String, Vec<RunTrial>);

/// Trials of many settings by the first key that splits them into equal parts; the key's last name, and the parts by value.
pub fn parts(run: &Run) -> Option<(String, Vec<Part>)> {
    if settings(&run.trials).len() <= SPLIT_ABOVE {
        return None;
    }
    varying(&run.trials).into_iter().find_map(|key| {
        let part =
            |value: &String| run.trials.iter().filter(|trial| trial.value(&key) == Some(value)).cloned().collect();
        let parts: Vec<Part> =
            values(&run.trials, &key).into_iter().map(|value| (value.clone(), part(&value))).collect();
        let sizes: Vec<usize> = parts.iter().map(|(_, trials)| settings(trials).len()).collect();
        let equal = sizes.iter().all(|size| *size == sizes[0]) && (2..=OF_PART).contains(&sizes[0]);
        equal.then(|| (key.rsplit('.').next().unwrap_or(&key).to_owned(), parts))
    })
}

/// Whether some of these settings have a code that carries nothing, and others one that carries something.
fn collapse(settings: &[Setting<'_>]) -> bool {
    let coded = settings.iter().filter(|setting| setting.value(LATENT) != Some("0"));
    let carried: Vec<f64> = coded.map(|setting| setting.mean(Measure::PRIOR_MI).mean).collect();
    carried.iter().any(|carried| *carried < EMPTY_BELOW) && carried.iter().any(|carried| *carried >= EMPTY_BELOW)
}

/// Figures of the settings of these trials of a run, best first.
pub fn ranking(run: &Run, trials: &[RunTrial], which: &str) -> Drawn<Ranking> {
    let mut settings = named(trials);
    let seeds = settings.len() == 1;
    if seeds {
        settings = each_seed(settings);
    }
    if !(2..=SETTINGS).contains(&settings.len()) {
        return Drawn::Skipped(format!("it shows 2 to {SETTINGS} settings, and there are {}", settings.len()));
    }
    let shown = if collapse(&settings) { &COLUMNS_OF_COLLAPSE[..] } else { &SHOWN[..] };
    let (mut measures, note) = present(shown, &settings);
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
        figures.push(column(*measure, &means, &settings, trials.iter().all(is_of_dates)));
    }
    let on = |scale: Scale| figures.iter().any(|figures| figures.axis.scale == scale);
    let scales = match (on(Scale::Logit), on(Scale::Log)) {
        (true, true) => Some("Shares are on logit scales, nats on a logarithmic one."),
        (true, false) => Some("Shares are on logit scales."),
        (false, true) => Some("Nats are on a logarithmic scale."),
        (false, false) => None,
    };
    let scales = scales.map(str::to_owned);
    let cut = cut.then(|| CUT.to_owned());
    // Parts have no reference that an experiment's name stands for: its values are listed.
    let usual = settings.iter().find(|setting| setting.label == UNCHANGED && !which.is_empty()).map(|setting| {
        let value = |key: &String| Some(format!("{} = {}", short(key), setting.value(key)?));
        let values: Vec<String> = varying(trials).iter().filter_map(value).collect();
        format!("{UNCHANGED}: {}.", values.join(", "))
    });
    let said: Vec<String> = scales.into_iter().chain(cut).chain(usual).chain(note).collect();
    let what = if seeds { "each seed".to_owned() } else { "means over seeds with 95 % intervals".to_owned() };
    Drawn::Chart(Ranking {
        title: format!("experiment {}{which}: {what}", run.name),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Outcome;

    fn run(settings: impl Iterator<Item = (&'static str, String)>) -> Run {
        let trial = |(heads, beta): (&str, String)| RunTrial {
            name: String::new(),
            folder: None,
            config: vec![("model.heads".to_owned(), heads.to_owned()), ("beta.value".to_owned(), beta)],
            provenance: None,
            outcome: Outcome::Unfinished,
            history: Vec::new(),
        };
        let trials = settings.map(trial).collect();
        Run { name: "run".to_owned(), folder: "run".into(), trials, skipped: Vec::new() }
    }

    #[test]
    fn many_settings_are_split_by_the_key_that_makes_equal_parts() {
        let grid = |most: usize| {
            ["a", "b"].into_iter().flat_map(move |heads| (0..most).map(move |beta| (heads, beta.to_string())))
        };
        let (key, found) = parts(&run(grid(11))).unwrap();
        let sizes: Vec<(&str, usize)> = found.iter().map(|(value, trials)| (value.as_str(), trials.len())).collect();
        assert_eq!((key.as_str(), sizes), ("heads", vec![("a", 11), ("b", 11)]));
        assert!(parts(&run(grid(10))).is_none());
        // No key makes equal parts of these.
        assert!(parts(&run(grid(11).chain([("a", "99".to_owned())]))).is_none());
    }
}
