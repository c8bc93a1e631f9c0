//! Trials that differ in their seed alone, and what tells such groups apart.

use std::collections::BTreeMap;

use super::runs::{Outcome, RunTrial};
use super::table::{Table, TableError};
use crate::metrics::half_width;

/// The label of the setting that has every usual value.
pub const UNCHANGED: &str = "nothing changed";

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
    pub fn finished(&self) -> impl Iterator<Item = &Table> {
        self.trials.iter().filter_map(|trial| trial.metrics())
    }

    /// How many failed or diverged: those with an error, and those whose test loss is no number.
    pub fn failed(&self) -> usize {
        let lost =
            |table: &Table| table.numbers("test_elbo").is_ok_and(|elbo| elbo.iter().any(|elbo| !elbo.is_finite()));
        let failed = |trial: &&&RunTrial| match &trial.outcome {
            Outcome::Failed(_) => true,
            Outcome::Finished(table) => lost(table),
            Outcome::Unfinished => false,
        };
        self.trials.iter().filter(failed).count()
    }

    /// The mean of a figure over the trials that finished with a number.
    ///
    /// # Errors
    /// Those of the figure.
    pub fn mean(&self, figure: impl Fn(&Table) -> Result<f64, TableError>) -> Result<Mean, TableError> {
        let values = self.finished().map(figure).collect::<Result<Vec<f64>, _>>()?;
        Ok(Mean::of(&values.into_iter().filter(|value| value.is_finite()).collect::<Vec<_>>()))
    }
}

/// The keys, seeds apart, that trials differ in, in the order of the config.
pub fn varying(trials: &[RunTrial]) -> Vec<String> {
    let Some(first) = trials.first() else { return Vec::new() };
    let keys = first.config.iter().map(|(key, _)| key).filter(|key| *key != "seed");
    let differs = |key: &&String| trials.iter().any(|trial| trial.value(key) != first.value(key));
    keys.filter(differs).cloned().collect()
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
        key => key.rsplit('.').next().unwrap_or(key).replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(seed: u32, heads: &str, beta: &str) -> RunTrial {
        let key = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        RunTrial {
            name: String::new(),
            folder: None,
            config: vec![key("seed", &seed.to_string()), key("model.heads", heads), key("beta.value", beta)],
            outcome: Outcome::Unfinished,
        }
    }

    #[test]
    fn seeds_are_joined_and_labels_name_what_was_changed() {
        let trials = [trial(1, "a", "0.6"), trial(2, "a", "0.6"), trial(1, "b", "0.6"), trial(1, "a", "1.0")];
        let labels: Vec<(String, usize)> =
            settings(&trials).into_iter().map(|setting| (setting.label, setting.trials.len())).collect();
        let expected = [("nothing changed", 2), ("heads = b", 1), ("β = 1.0", 1)];
        assert_eq!(labels, expected.map(|(label, count)| (label.to_owned(), count)));
        assert_eq!(varying(&trials), ["model.heads", "beta.value"]);
        assert_eq!(values(&trials, "beta.value"), ["0.6", "1.0"]);
    }

    #[test]
    fn where_no_value_is_usual_all_are_named() {
        let trials = [trial(1, "a", "0.6"), trial(1, "b", "0.6")];
        let labels: Vec<String> = settings(&trials).into_iter().map(|setting| setting.label).collect();
        assert_eq!(labels, ["heads = a", "heads = b"]);
    }
}
