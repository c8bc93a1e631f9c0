//! Which trials count: no trial twice, and a warning where trials of different code are averaged.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;

use super::settings::Setting;
use crate::dates::{Condition, Holdout, Split, ValidDates};
use crate::experiment::{Metrics, Outcome, Provenance, RunTrial};
use crate::metrics::{Measure, Row};
use crate::printable::ShownPath;

/// A trial that is there twice: the same config, seed included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The one that is counted.
    pub kept: String,
    /// The other one.
    pub copy: String,
    /// Whether their metrics are the same.
    pub same: bool,
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, copy, same } = self;
        let differ = if *same { "" } else { ", although their metrics differ" };
        write!(f, "{copy} is the same trial as {kept}{differ}: it is counted once")
    }
}

/// The distinct trials, and those that were left out as duplicates. Of two, one that finished is kept before one that
/// did not, else the first. A folder that is named twice is no duplicate.
pub fn distinct(trials: Vec<RunTrial>) -> (Vec<RunTrial>, Vec<Duplicate>) {
    let mut kept: Vec<RunTrial> = Vec::new();
    let mut places: HashMap<Vec<(String, String)>, usize> = HashMap::new();
    let mut duplicates = Vec::new();
    for trial in trials {
        let Some(place) = places.get(&trial.config) else {
            places.insert(trial.config.clone(), kept.len());
            kept.push(trial);
            continue;
        };
        let first = &mut kept[*place];
        if same_folder(first, &trial) {
            continue;
        }
        let better = first.metrics().is_none() && trial.metrics().is_some();
        let copy = if better { std::mem::replace(first, trial) } else { trial };
        let same = match (first.metrics(), copy.metrics()) {
            (Some(kept), Some(copy)) => figures(kept) == figures(copy),
            _ => true,
        };
        duplicates.push(Duplicate { kept: place_of(first), copy: place_of(&copy), same });
    }
    (kept, duplicates)
}

/// What two runs of one trial must agree in: all but the time that they took.
fn figures(metrics: &Metrics) -> Vec<String> {
    let columns: Vec<Measure> =
        Measure::of_metrics([]).into_iter().filter(|measure| *measure != Measure::TrainSeconds).collect();
    metrics.record(&columns)
}

fn same_folder(a: &RunTrial, b: &RunTrial) -> bool {
    let full = |trial: &RunTrial| -> Option<PathBuf> { trial.folder.as_ref()?.canonicalize().ok() };
    full(a).is_some() && full(a) == full(b)
}

fn place_of(trial: &RunTrial) -> String {
    match &trial.folder {
        Some(folder) => folder.shown().to_string(),
        None => format!("{} (in results.csv)", trial.name),
    }
}

/// Adds how many conditions each trial held out, where its version did not log it: by the split of its config.
pub fn complete(trials: &mut [RunTrial]) {
    let valid = ValidDates::new();
    let mut known: HashMap<[String; 3], Option<usize>> = HashMap::new();
    for trial in trials {
        let keys = ["data.split", "data.held_out", "data.seed"];
        let values = keys.map(|key| trial.value(key).unwrap_or_default().to_owned());
        let Outcome::Finished(metrics) = &mut trial.outcome else { continue };
        if metrics.has(Measure::ValidationConditions) {
            continue;
        }
        let held_out = *known.entry(values.clone()).or_insert_with(|| held_out(&valid, &values));
        if let Some(held_out) = held_out {
            let row = Row::clone(metrics).with(Measure::Conditions, Condition::SATISFIABLE);
            *metrics = row.with(Measure::ValidationConditions, held_out).into();
        }
    }
}

/// The number of conditions that a split holds out; none where its values can't be read.
fn held_out(valid: &ValidDates, [split, share, seed]: &[String; 3]) -> Option<usize> {
    let held: Result<Holdout, Error> = Holdout::deserialize(split.as_str().into_deserializer());
    Some(Split::new(valid, held.ok()?, share.parse().ok()?, seed.parse().ok()?).ok()?.held_out.len())
}

/// What must be said of means over trials that different code trained: one sentence for each kind.
pub fn mixed_provenance(settings: &[Setting<'_>]) -> Vec<String> {
    let mut commits: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut dirty = Vec::new();
    for setting in settings {
        let of = |trial: &&RunTrial| Some((trial.metrics()?, trial.provenance.as_ref()?).1.clone());
        let provenance: Vec<Provenance> = setting.trials.iter().filter_map(of).collect();
        let mut names: Vec<&str> = provenance.iter().map(|provenance| provenance.commit.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > 1 {
            commits.entry(names.join(", ")).or_default().push(&setting.label);
        }
        if provenance.len() > 1 && provenance.iter().any(|provenance| provenance.dirty) {
            dirty.push(setting.label.as_str());
        }
    }
    let mixed = commits
        .iter()
        .map(|(commits, labels)| format!("trials of different commits ({commits}) are averaged in {}", listed(labels)));
    let dirty = (!dirty.is_empty())
        .then(|| format!("trials of code with uncommitted changes are averaged in {}", listed(&dirty)));
    mixed.chain(dirty).collect()
}

/// The first few of these names, and how many more there are.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 4;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::super::settings::settings;
    use super::super::settings::tests::trial;
    use super::*;

    fn passed(seed: &str, pass: f64) -> RunTrial {
        trial(&[("seed", seed), ("model.heads", "a")], &[(Measure::GreedyPass, pass)])
    }

    #[test]
    fn a_trial_that_is_there_twice_is_counted_once_and_named() {
        let at = |folder: &str, trial: RunTrial| RunTrial { folder: Some(folder.into()), ..trial };
        let open = RunTrial { outcome: Outcome::Unfinished, ..passed("1", 0.5) };
        let trials = vec![
            at("a", open),
            at("b", passed("1", 0.5)),
            at("c", passed("2", 0.5)),
            at("d", passed("2", 0.6)),
            at("e", passed("2", 0.5)),
        ];
        let (kept, duplicates) = distinct(trials);
        let folders: Vec<String> = kept.iter().map(place_of).collect();
        assert_eq!(folders, ["b", "c"]);
        let said: Vec<String> = duplicates.iter().map(ToString::to_string).collect();
        assert_eq!(said[0], "a is the same trial as b: it is counted once");
        assert_eq!(said[1], "d is the same trial as c, although their metrics differ: it is counted once");
        assert_eq!(said[2], "e is the same trial as c: it is counted once");
        // One folder, by two names.
        let folder = tempfile::tempdir().unwrap();
        let twice = [folder.path().to_owned(), folder.path().join(".")];
        let trials = twice.map(|folder| RunTrial { folder: Some(folder), ..passed("1", 0.5) });
        let (kept, duplicates) = distinct(trials.into());
        assert_eq!((kept.len(), duplicates.len()), (1, 0));
    }

    #[test]
    fn means_over_different_code_are_warned_of() {
        let made = |seed: &str, commit: &str, dirty: bool| RunTrial {
            provenance: Some(Provenance {
                version: "1".into(),
                commit: commit.into(),
                dirty,
                device: "cpu".into(),
                semantics: 1,
            }),
            ..passed(seed, 0.5)
        };
        let said = |trials: &[RunTrial]| mixed_provenance(&settings(trials));
        assert_eq!(said(&[made("1", "abc", false), made("2", "abc", false)]), [""; 0]);
        let mixed = said(&[made("1", "abc", false), made("2", "def", false)]);
        assert_eq!(mixed, ["trials of different commits (abc, def) are averaged in \"all trials\""]);
        let dirty = said(&[made("1", "abc", true), made("2", "abc", false)]);
        assert_eq!(dirty, ["trials of code with uncommitted changes are averaged in \"all trials\""]);
        assert_eq!(said(&[made("1", "abc", true)]), [""; 0]);
    }

    #[test]
    fn held_out_conditions_are_those_of_the_split() {
        let of = |split: &str, share: &str| {
            let config = [("data.split", split), ("data.held_out", share), ("data.seed", "1")];
            let figures = [(Measure::GreedyPass, 0.9), (Measure::GreedyPassValidation, 0.5)];
            let mut trials = [trial(&config, &figures)];
            complete(&mut trials);
            let metrics = trials[0].metrics().unwrap();
            (metrics.count(Measure::ValidationConditions), metrics.number(Measure::GreedyPassTrain))
        };
        assert_eq!(of("conditions", "0.1").0, 680);
        // With half of the dates held out, few conditions have no training date left.
        let (held_out, seen) = of("dates", "0.5");
        assert!(held_out < 100 && (0.9..0.91).contains(&seen), "{held_out} {seen}");
        assert!(of("groups", "0.5").1.is_nan());
    }
}
