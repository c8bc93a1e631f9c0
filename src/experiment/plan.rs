//! An experiment: the trials of a config, their names and folders.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::thread;

use super::config::{Config, ConfigError};
use super::folder::{RunFolder, Status};
use super::grid::{GridError, Placed, Point, expand};
use super::identity::{Identity, has_effect};
use super::locate::position;
use super::names::{Known, trial_names};
use super::overrides::Override;
use super::source::{Origin, Source};
use crate::files::FileError;
use crate::printable::ShownPath;

/// A config with all its trials.
#[derive(Debug)]
pub struct Experiment {
    /// Name: that of the config's file.
    pub name: String,
    /// Its folder, in which each trial has one.
    pub folder: PathBuf,
    /// The trials in the order of the grid.
    pub trials: Vec<Trial>,
}

/// One point of an experiment.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What differs from the other trials and from the defaults, the seed, and the hash of the trial's identity.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its resolved config.
    pub config: Config,
}

/// Why a config is no experiment.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A value of the config or of a trial.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sweep.
    #[error("{path}:{error}", path = .path.shown())]
    Grid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: GridError,
    },
    /// An override of what the sweep itself gives: it would have no effect, or make all trials the same.
    #[error("--set {set}: {key} is varied by the sweep at {place}; change it there")]
    Swept {
        /// The override.
        set: String,
        /// The key as the sweep names it.
        key: String,
        /// File, line and column of a value that the sweep gives.
        place: String,
    },
    /// Two trials that are the same by meaning.
    #[error(
        "{path}{place}: this trial is the same as an earlier one ({name}); remove one of them{hint}",
        path = .path.shown()
    )]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// Line and column of the later one's last value, where it has one.
        place: String,
        /// The name of both.
        name: String,
        /// Why they are the same, where the values differ.
        hint: String,
    },
}

impl Experiment {
    /// The most threads that a trial takes.
    pub fn threads(&self) -> usize {
        self.trials.iter().map(|trial| trial.config.threads as usize).max().unwrap_or(1)
    }

    /// Reads a config and resolves every trial of its sweep; overrides hold for all of them.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place; nothing has been run or written then.
    pub fn load(path: &Path, overrides: &[Override], runs: &Path) -> Result<Self, PlanError> {
        let source = Source::load(path)?;
        let points = expand(source.own().1).map_err(|error| PlanError::Grid { path: path.to_owned(), error })?;
        if let Some((set, placed)) = swept(overrides, &points) {
            let (line, column) = position(source.own().1, placed.at);
            let place = format!("{}:{line}:{column}", path.shown());
            return Err(PlanError::Swept { set: set.to_string(), key: placed.set.key.clone(), place });
        }
        let stem = path.file_stem().unwrap_or_default();
        let (name, folder) = (stem.to_string_lossy().into_owned(), runs.join(stem));
        let (configs, identities): (Vec<Config>, Vec<Identity>) =
            resolve_all(&source, &points, overrides)?.into_iter().unzip();
        let mut names = trial_names(&identities);
        let mut seen = HashSet::with_capacity(names.len());
        for (identity, (name, point)) in identities.iter().zip(names.iter().zip(&points)) {
            if !seen.insert(identity.number()) {
                let place = point.last().map_or(String::new(), |last| {
                    let (line, column) = position(source.own().1, last.at);
                    format!(":{line}:{column}")
                });
                let without = point.iter().map(|placed| &placed.set.key).find(|key| !has_effect(key));
                let hint = without.map_or(String::new(), |key| format!("; {key} changes no result"));
                return Err(PlanError::Duplicate { path: path.to_owned(), place, name: name.clone(), hint });
            }
        }
        // A trial that has a folder keeps it, whatever the others of this experiment make it worth to be named after.
        let known = Known::read(&folder);
        for ((name, identity), config) in names.iter_mut().zip(&identities).zip(&configs) {
            *name = known.name(config, &identity.hash(), std::mem::take(name));
        }
        let trials = names
            .into_iter()
            .zip(configs)
            .map(|(name, config)| Trial { folder: folder.join(&name), name, config })
            .collect();
        Ok(Self { name, folder, trials })
    }

    /// The state of each trial, in their order.
    ///
    /// # Errors
    /// When a trial's folder can't be looked at.
    pub fn statuses(&self) -> Result<Vec<Status>, FileError> {
        // No folder, no trials: 100,000 of them need not be asked for one by one.
        if !self.folder.exists() {
            return Ok(vec![Status::Missing; self.trials.len()]);
        }
        self.trials.iter().map(|trial| RunFolder::status(&trial.folder)).collect()
    }
}

/// The first override of a key that a point gives as well.
fn swept<'a>(overrides: &'a [Override], points: &'a [Point]) -> Option<(&'a Override, &'a Placed)> {
    let within = |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    let meet = |a: &str, b: &str| a == b || within(a, b) || within(b, a);
    overrides.iter().find_map(|set| {
        let leaves = set.leaves();
        let met = |placed: &&Placed| leaves.iter().any(|(key, _)| meet(key, &placed.set.key));
        Some((set, points.iter().flatten().find(met)?))
    })
}

/// Resolves all points, on all cores: an experiment may have 100,000 of them.
fn resolve_all(
    source: &Source,
    points: &[Point],
    overrides: &[Override],
) -> Result<Vec<(Config, Identity)>, PlanError> {
    let resolve = |point: &Point| -> Result<(Config, Identity), PlanError> {
        let given = overrides.iter().map(|set| (set, Origin::CommandLine));
        let swept = point.iter().map(|placed| (&placed.set, Origin::Sweep(placed.at)));
        let config = source.resolve(given.chain(swept))?;
        let identity = config.identity();
        Ok((config, identity))
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = points.len().div_ceil(cores).max(1);
    let parts: Vec<Result<Vec<_>, PlanError>> = thread::scope(|scope| {
        let workers: Vec<_> =
            points.chunks(share).map(|part| scope.spawn(move || part.iter().map(resolve).collect())).collect();
        // A worker has no way to panic that would not be a bug of this program; pass it on.
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut trials = Vec::with_capacity(points.len());
    for part in parts {
        trials.extend(part?);
    }
    Ok(trials)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, overrides: &[&str]) -> Result<Experiment, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<Override> = overrides.iter().map(|set| set.parse().unwrap()).collect();
        let remove = |error: PlanError| error.to_string().replace(&folder.path().display().to_string(), "");
        Experiment::load(&path, &overrides, Path::new("runs")).map_err(remove)
    }

    #[test]
    fn trials_are_named_after_what_differs_and_their_hash() {
        let experiment = load("[sweep]\nseeds = [1, 2]\nproduct = { \"beta.value\" = [0.1, 0.2] }", &[]).unwrap();
        assert_eq!((experiment.name.as_str(), experiment.folder.as_path()), ("test", Path::new("runs/test")));
        let names: Vec<&str> = experiment.trials.iter().map(|trial| trial.name.rsplit_once('-').unwrap().0).collect();
        assert_eq!(names, ["value0.1-seed1", "value0.1-seed2", "value0.2-seed1", "value0.2-seed2"]);
        assert_eq!(experiment.trials[3].config.beta.value, 0.2);
        assert_eq!(experiment.statuses().unwrap(), [Status::Missing; 4]);
    }

    #[test]
    fn an_override_of_what_the_sweep_gives_is_refused_with_its_place() {
        let text =
            "[sweep]\nseeds = [1, 2]\nproduct = { \"beta.value\" = [0.1, 0.2] }\nset = { \"training.steps\" = 900 }";
        let refused = |set: &str| load(text, &[set]).unwrap_err();
        assert_eq!(refused("seed=7"), "--set seed=7: seed is varied by the sweep at /test.toml:2:10; change it there");
        assert!(refused("beta.value=0.3").contains("beta.value is varied by the sweep at /test.toml:3:"));
        assert!(refused("beta={ low = 0.3, value = 0.3 }").contains("beta.value is varied by the sweep"));
        assert!(refused("training.steps=800").contains("training.steps is varied by the sweep at /test.toml:4:"));
        assert_eq!(load(text, &["beta={ low = 0.01 }", "data.seed=3"]).unwrap().trials.len(), 4);
    }

    #[test]
    fn adding_a_value_to_a_grid_adds_only_its_trials() {
        let names = |values: &str| {
            let experiment = load(&format!("[sweep]\nproduct = {{ \"beta.value\" = {values} }}"), &[]).unwrap();
            experiment.trials.into_iter().map(|trial| trial.name).collect::<Vec<_>>()
        };
        let (before, after) = (names("[0.1, 0.2]"), names("[0.1, 0.2, 0.3]"));
        assert_eq!(before[..], after[..2]);
    }

    #[test]
    fn wrong_trials_are_refused_with_line_and_column() {
        let wrong = |text: &str| load(text, &[]).unwrap_err();
        assert!(
            wrong("[sweep]\nproduct = { \"beta.valeu\" = [1] }").starts_with("/test.toml:2:29: unknown field `valeu`")
        );
        assert!(
            wrong("[sweep]\nproduct = { \"training.steps\" = [1000, 0] }")
                .starts_with("/test.toml:2:39: training.steps: 0 is not")
        );
        let twice = "seed = 3\n[[sweep.chain]]\nset = {}\n[[sweep.chain]]\nset = { seed = 3 }";
        assert!(wrong(twice).contains("/test.toml:5:16: this trial is the same as an earlier one"), "{}", wrong(twice));
    }

    #[test]
    fn a_hundred_thousand_trials_have_as_many_names() {
        let seeds: Vec<String> = (0..1000).map(|seed| seed.to_string()).collect();
        let values: Vec<String> = (0..100).map(|value| format!("0.{value:03}1")).collect();
        let text =
            format!("[sweep]\nseeds = [{}]\nproduct = {{ \"beta.value\" = [{}] }}", seeds.join(","), values.join(","));
        assert_eq!(load(&text, &[]).unwrap().trials.len(), 100_000);
    }

    #[test]
    fn a_trial_that_has_a_folder_keeps_its_name() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("test.toml");
        let load = |values: &str| {
            let text = format!("threads = 1\n[sweep]\nproduct = {{ \"training.steps\" = {values} }}");
            std::fs::write(&path, text).unwrap();
            Experiment::load(&path, &[], root.path()).unwrap()
        };
        let alone = load("[900]").trials[0].name.clone();
        assert!(alone.starts_with("steps900-threads1-seed1-"), "{alone}");
        let kept = alone.replace("steps900-threads1", "mine");
        std::fs::create_dir_all(root.path().join("test").join(&kept)).unwrap();
        assert_eq!(load("[900, 901]").trials[0].name, kept);
        std::fs::create_dir_all(root.path().join("test").join(&alone)).unwrap();
        assert_eq!(load("[900, 901]").trials[0].name, alone);
    }
}
