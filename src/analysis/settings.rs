//! Trials that differ in their seed alone, and what tells such groups apart.

use std::collections::BTreeMap;

use crate::experiment::{Identity, Metrics, Outcome, RunTrial, labels, named_hash};
use crate::metrics::{Measure, half_width};

/// The label of the setting that has every usual value.
pub const UNCHANGED: &str = "nothing changed";
/// The key of the KL weight.
pub const BETA: &str = "beta.value";
/// The key of the latent size.
pub const LATENT: &str = "model.latent_dim";

/// Trials of one config and several seeds.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// What tells it from the others.
    pub label: String,
    /// The trials.
    pub trials: Vec<&'a RunTrial>,
}

/// A mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean over the trials that finished; NaN where none did.
    pub mean: f64,
    /// Half the width of its 95 % interval; NaN for fewer than two.
    pub half: f64,
}

impl Mean {
    /// The mean of these values.
    pub fn of(values: &[f64]) -> Self {
        Self { mean: values.iter().sum::<f64>() / values.len() as f64, half: half_width(values) }
    }
}

impl Setting<'_> {
    /// The value of a key of the config that all its trials share.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.trials.first().and_then(|trial| trial.value(key))
    }

    /// The metrics of the trials that finished.
    pub fn finished(&self) -> impl Iterator<Item = &Metrics> {
        self.trials.iter().filter_map(|trial| trial.metrics())
    }

    /// How many failed or diverged: those with an error, and those whose test loss is not a number.
    pub fn failed(&self) -> usize {
        let failed = |trial: &&&RunTrial| match &trial.outcome {
            Outcome::Failed(_) => true,
            Outcome::Finished(metrics) => {
                metrics.has(Measure::TestElbo) && !metrics.number(Measure::TestElbo).is_finite()
            }
            Outcome::Unfinished => false,
        };
        self.trials.iter().filter(failed).count()
    }

    /// How many are still to finish.
    pub fn unfinished(&self) -> usize {
        self.trials.iter().filter(|trial| matches!(trial.outcome, Outcome::Unfinished)).count()
    }

    /// How many trials its means are over, in words: `3`, or `3 of 6, 2 failed, 1 unfinished`.
    pub fn count(&self) -> String {
        let (all, failed, unfinished) = (self.trials.len(), self.failed(), self.unfinished());
        let part = |count: usize, what: &str| if count > 0 { format!(", {count} {what}") } else { String::new() };
        match all - failed - unfinished {
            finished if finished == all => all.to_string(),
            finished => format!("{finished} of {all}{}{}", part(failed, "failed"), part(unfinished, "unfinished")),
        }
    }

    /// Whether every trial that finished has a measure.
    pub fn has(&self, measure: Measure) -> bool {
        self.finished().all(|metrics| metrics.has(measure))
    }

    /// The mean of a measure over the trials that finished with a number.
    pub fn mean(&self, measure: Measure) -> Mean {
        let values = self.finished().map(|metrics| metrics.number(measure)).filter(|value| value.is_finite());
        Mean::of(&values.collect::<Vec<_>>())
    }
}

/// The settings of trials from anywhere, each labelled by what tells it from the others, or as its folder where a user
/// named that. With `each`, every trial is a setting of its own and is called as its folder.
pub fn groups(trials: &[RunTrial], each: bool) -> Vec<Setting<'_>> {
    let mut groups: BTreeMap<Vec<&(String, String)>, Setting> = BTreeMap::new();
    let seeds = if each { &[] } else { seeds(trials) };
    for trial in trials {
        let key = trial.config.iter().filter(|(key, _)| !seeds.contains(&key.as_str())).collect();
        let label = trial.name.clone();
        groups.entry(key).or_insert_with(|| Setting { label, trials: Vec::new() }).trials.push(trial);
    }
    let mut groups: Vec<Setting> = groups.into_values().collect();
    if !each {
        let identities: Vec<Identity> = groups.iter().map(|group| Identity::of_flat(&group.trials[0].config)).collect();
        for (group, label) in groups.iter_mut().zip(labels(&identities)) {
            if named_hash(&group.label).is_some() {
                group.label = label;
            }
        }
    }
    groups
}

/// The settings of trials, each with a label that tells all of it. Labels leave out what most settings share; where no
/// setting is the one that all others change, a reader would have to guess its KL weight.
pub fn named(trials: &[RunTrial]) -> Vec<Setting<'_>> {
    let mut settings = settings(trials);
    let weights = values(trials, BETA).len();
    if weights > 1 && settings.iter().all(|setting| setting.label != UNCHANGED) {
        for setting in &mut settings {
            let weight = format!("β = {}", setting.value(BETA).unwrap_or("none"));
            if !setting.label.contains(&weight) {
                setting.label += &format!(", {weight}");
            }
        }
    }
    settings
}

/// The keys, seeds apart, that trials differ in, in the order of the config.
pub fn varying(trials: &[RunTrial]) -> Vec<String> {
    let seeds = seeds(trials);
    differing(trials).filter(|key| !seeds.contains(&key.as_str())).cloned().collect()
}

/// The keys whose values are averaged over: the seed of training, and that of the split where trials differ in more than
/// these two.
fn seeds(trials: &[RunTrial]) -> &'static [&'static str] {
    const SEEDS: [&str; 2] = ["seed", "data.seed"];
    if differing(trials).all(|key| SEEDS.contains(&key.as_str())) { &SEEDS[..1] } else { &SEEDS }
}

/// The keys that trials differ in, in the order of the config.
fn differing(trials: &[RunTrial]) -> impl Iterator<Item = &String> {
    let keys = trials.first().into_iter().flat_map(|first| first.config.iter().map(move |(key, _)| (first, key)));
    keys.filter(|(first, key)| trials.iter().any(|trial| trial.value(key) != first.value(key))).map(|(_, key)| key)
}

/// The values of a key, in order of size where they are numbers.
pub fn values(trials: &[RunTrial], key: &str) -> Vec<String> {
    let mut values: Vec<String> = trials.iter().filter_map(|trial| trial.value(key)).map(str::to_owned).collect();
    let number = |value: &String| value.parse::<f64>().unwrap_or(f64::INFINITY);
    values.sort_by(|a, b| number(a).total_cmp(&number(b)).then(a.cmp(b)));
    values.dedup();
    values
}

/// The settings of trials, in the order in which they first come.
pub fn settings(trials: &[RunTrial]) -> Vec<Setting<'_>> {
    let keys = varying(trials);
    let mut groups: Vec<(Vec<Option<&str>>, Vec<&RunTrial>)> = Vec::new();
    for trial in trials {
        let values: Vec<Option<&str>> = keys.iter().map(|key| trial.value(key)).collect();
        match groups.iter_mut().find(|(known, _)| *known == values) {
            Some((_, members)) => members.push(trial),
            None => groups.push((values, vec![trial])),
        }
    }
    let usual: Vec<Option<&str>> =
        (0..keys.len()).map(|key| usual(groups.iter().map(|(values, _)| values[key]))).collect();
    let label = |values: &[Option<&str>]| {
        let parts = keys.iter().zip(values).zip(&usual).filter(|((_, value), usual)| value != usual || usual.is_none());
        let parts: Vec<String> =
            parts.map(|((key, value), _)| format!("{} = {}", short(key), value.unwrap_or("none"))).collect();
        parts.join(", ")
    };
    let name = |label: String| match (label.is_empty(), groups.len()) {
        (false, _) => label,
        (true, 1) => "all trials".to_owned(),
        (true, _) => UNCHANGED.to_owned(),
    };
    let setting =
        |(values, trials): &(Vec<Option<&str>>, Vec<_>)| Setting { label: name(label(values)), trials: trials.clone() };
    groups.iter().map(setting).collect()
}

/// The value that more than half of the settings share.
fn usual<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Option<&'a str> {
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let all: usize = counts.values().sum();
    counts.into_iter().find(|(_, count)| 2 * count > all).and_then(|(value, _)| value)
}

/// A key's name in charts.
pub fn short(key: &str) -> String {
    match key {
        "beta.value" => "β".to_owned(),
        "beta.schedule" => "schedule of β".to_owned(),
        "beta.low" => "β low".to_owned(),
        "beta.high" => "β high".to_owned(),
        "model.latent_dim" => "latent size".to_owned(),
        "data.split" => "split".to_owned(),
        "data.seed" => "data seed".to_owned(),
        key => key.rsplit('.').next().unwrap_or(key).replace('_', " "),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::metrics::Row;

    /// A trial with this config that finished with these figures.
    pub fn trial(config: &[(&str, &str)], figures: &[(Measure, f64)]) -> RunTrial {
        let row = figures.iter().fold(Row::default(), |row, (measure, value)| row.with(*measure, *value));
        RunTrial {
            name: String::new(),
            folder: None,
            config: config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            provenance: None,
            outcome: Outcome::Finished(row.into()),
            history: Vec::new(),
        }
    }

    fn open(seed: &str, heads: &str, beta: &str) -> RunTrial {
        let config = [("seed", seed), ("model.heads", heads), ("beta.value", beta)];
        RunTrial { outcome: Outcome::Unfinished, ..trial(&config, &[]) }
    }

    #[test]
    fn seeds_are_joined_and_labels_name_what_was_changed() {
        let trials = [open("1", "a", "0.6"), open("2", "a", "0.6"), open("1", "b", "0.6"), open("1", "a", "1.0")];
        let labels: Vec<(String, usize)> =
            settings(&trials).into_iter().map(|setting| (setting.label, setting.trials.len())).collect();
        let expected = [("nothing changed", 2), ("heads = b", 1), ("β = 1.0", 1)];
        assert_eq!(labels, expected.map(|(label, count)| (label.to_owned(), count)));
        assert_eq!(varying(&trials), ["model.heads", "beta.value"]);
        assert_eq!(values(&trials, "beta.value"), ["0.6", "1.0"]);
    }

    #[test]
    fn seeds_of_splits_are_averaged_over_where_something_else_differs() {
        let of = |seed, split, beta| {
            let config = [("seed", seed), ("data.seed", split), ("beta.value", beta)];
            RunTrial { outcome: Outcome::Unfinished, ..trial(&config, &[]) }
        };
        let mut trials = vec![of("1", "11", "0.6"), of("2", "12", "0.6"), of("1", "12", "0.6")];
        let sizes =
            |trials: &[RunTrial]| settings(trials).iter().map(|setting| setting.trials.len()).collect::<Vec<_>>();
        assert_eq!((varying(&trials), sizes(&trials)), (vec!["data.seed".to_owned()], vec![1, 2]));
        assert_eq!(groups(&trials, false).len(), 2);
        trials.push(of("1", "11", "1.0"));
        assert_eq!((varying(&trials), sizes(&trials)), (vec!["beta.value".to_owned()], vec![3, 1]));
        assert_eq!((groups(&trials, false).len(), groups(&trials, true).len()), (2, 4));
    }

    #[test]
    fn where_no_value_is_usual_all_are_named() {
        let trials = [open("1", "a", "0.6"), open("1", "b", "0.6")];
        let labels: Vec<String> = settings(&trials).into_iter().map(|setting| setting.label).collect();
        assert_eq!(labels, ["heads = a", "heads = b"]);
        let trials = [open("1", "a", "0.6"), open("1", "a", "1.0")];
        assert_eq!(named(&trials)[1].label, "β = 1.0");
    }

    #[test]
    fn what_failed_and_what_is_still_to_finish_is_counted() {
        let of = |seed: &str, outcome| RunTrial { outcome, ..trial(&[("seed", seed)], &[]) };
        let done = |seed: &str, elbo| trial(&[("seed", seed)], &[(Measure::TestElbo, elbo), (Measure::TestKl, 1.0)]);
        let failed = |seed: &str| of(seed, Outcome::Failed(String::new()));
        let count = |trials: &[RunTrial]| settings(trials)[0].count();
        assert_eq!(count(&[done("1", 3.0), done("2", 3.0)]), "2");
        assert_eq!(count(&[done("1", 3.0), failed("2"), done("3", f64::NAN)]), "1 of 3, 2 failed");
        assert_eq!(
            count(&[done("1", 3.0), failed("2"), of("3", Outcome::Unfinished)]),
            "1 of 3, 1 failed, 1 unfinished"
        );
    }
}
