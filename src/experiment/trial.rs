//! Running one trial in its folder, and loading what it left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::baseline::run_baseline;
use super::config::{Config, ConfigError};
use super::config_file::DataConfig;
use super::data::DataError;
use super::engine::engine_of;
use super::folder::{CHECKPOINT, FolderError, RELEASE_WEIGHTS, RunFolder, TRIAL_WEIGHTS};
use super::log::Logged;
use super::metrics::{Metrics, MetricsError};
use super::source::resolved;
use crate::caught::panic_message;
use crate::checksums::SUMS;
use crate::dates::SplitError;
use crate::files::{self, FileError};
use crate::metrics::{Population, TableError};
use crate::model::{EngineError, Model, WeightsError};
use crate::printable::{ShownPath, printable};
use crate::task::{Split, dates};
use crate::training::{Ending, Evaluation, Observer, Trainer, TrainingError, TrialData, TrialLoop};

/// How a trial ended.
#[derive(Debug)]
pub enum TrialEnding {
    /// It is done.
    Finished(Box<Metrics>),
    /// It was stopped after this step and can be taken up.
    Interrupted(u64),
}

/// Why a trial failed.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A config or weights in a folder.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its task.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Its split.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// Training.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// Its weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Its metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A table of results.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder without weights.
    #[error(
        "{} holds no weights: neither {RELEASE_WEIGHTS} nor {TRIAL_WEIGHTS}; name a release or a run that kept them, or \
         remove this one (cvae runs rm) and train it again",
        .0.shown()
    )]
    NoWeights(PathBuf),
    /// A trial that has no weights yet.
    #[error("the trial in {} has not finished; the command that began it goes on with it", .0.shown())]
    Unfinished(PathBuf),
    /// A baseline, which has no weights.
    #[error(
        "{} is a baseline (model.kind), which has no weights; its figures are in metrics.csv, for cvae compare and cvae plot",
        .0.shown()
    )]
    Baseline(PathBuf),
    /// A folder with the weights of a release and of a trial: one config can't be that of both.
    #[error(
        "{} holds both {RELEASE_WEIGHTS} and {TRIAL_WEIGHTS}; remove the one that is not of its config.toml",
        .0.shown()
    )]
    TwoWeights(PathBuf),
    /// A trial that goes on from another one has not been given it.
    #[error(
        "from: this trial goes on from the one whose name ends in {0}, and has not begun; begin it with cvae train CONFIG \
         --from and the folder of that trial"
    )]
    NoPredecessor(String),
    /// An invariant of this program did not hold.
    #[error("training broke down: {0}; with too little memory, lower training.batch_size or model.hidden_dim")]
    Panicked(String),
    /// Its engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Trains a config in its folder, from where an earlier process left it; a finished trial is not repeated.
///
/// # Errors
/// When the folder can't be used or training fails; the reason is kept in the folder's error.txt.
pub fn run_trial(
    folder: &RunFolder,
    config: &Config,
    observer: &mut (impl Observer + Send),
) -> Result<TrialEnding, TrialError> {
    let mut ending = None;
    run_trials(&[(folder, config)], vec![observer], &mut |_, ended| ending = Some(ended));
    // The only trial has ended.
    ending.unwrap_or_else(|| Err(TrialError::Panicked("the trial did not end".to_owned())))
}

/// The same for trials of one group ([`super::groups`]), which train as one; `ended` is told how each ended, by its
/// place, as soon as it has. One that fails leaves the others to go on. Where the device's memory does not suffice for
/// all of them, they train in smaller groups, one after the other.
pub fn run_trials<O: Observer + Send>(
    trials: &[(&RunFolder, &Config)],
    observers: Vec<O>,
    ended: &mut dyn FnMut(usize, Result<TrialEnding, TrialError>),
) {
    let mut waiting = Vec::new();
    for (place, ((folder, config), observer)) in trials.iter().zip(observers).enumerate() {
        match begin(folder, config, observer) {
            Ok(Begun::Finished(metrics)) => ended(place, Ok(TrialEnding::Finished(metrics))),
            Ok(Begun::Open(observer)) => waiting.push((Member { place, folder, config }, observer)),
            Err(error) => ended(place, Err(error)),
        }
    }
    let mut groups = vec![waiting];
    while let Some(group) = groups.pop() {
        // The second half waits for the first.
        let mut halves = train_group(group, ended);
        halves.reverse();
        groups.extend(halves);
    }
}

/// A trial of a group, to be trained.
#[derive(Clone, Copy)]
struct Member<'t> {
    place: usize,
    folder: &'t RunFolder,
    config: &'t Config,
}

enum Begun<O> {
    Finished(Box<Metrics>),
    Open(Logged<O>),
}

fn begin<O: Observer>(folder: &RunFolder, config: &Config, observer: O) -> Result<Begun<O>, TrialError> {
    if folder.metrics().exists() {
        // The process that finished it may have been killed before it cleaned up.
        folder.clean(config.training.keep_checkpoint)?;
        return Ok(Begun::Finished(Box::new(Metrics::read(&folder.metrics())?)));
    }
    // What an earlier attempt died of is history once another one begins, and so are the checksums of one that
    // was killed before its metrics were there.
    for stale in [folder.error(), folder.path().join(SUMS)] {
        if stale.exists() {
            std::fs::remove_file(&stale).map_err(FileError::at("remove", &stale))?;
        }
    }
    Ok(Begun::Open(Logged::new(observer, &folder.log())?))
}

/// Keeps in a trial's folder how it ended.
fn note_ending<O: Observer>(folder: &RunFolder, observer: &mut Logged<O>, ending: &Result<TrialEnding, TrialError>) {
    match ending {
        Ok(TrialEnding::Finished(_)) => observer.note("finished"),
        Ok(TrialEnding::Interrupted(step)) => observer.note(&format!("interrupted after step {step}")),
        Err(error) => {
            observer.note(&format!("failed: {error}"));
            // Where it can't be written, a full disk is as likely as not the very reason, and is told in any case.
            let _ = files::replace_text(&folder.error(), &format!("{}\n", printable(&error.to_string())));
        }
    }
}

/// Told how a trial ended, by its place in the group, with its observer.
type Tell<'e, O> = &'e mut dyn FnMut(usize, &mut Logged<O>, Result<TrialEnding, TrialError>);

/// Trains a group; the halves of those for which the device's memory did not suffice are left.
fn train_group<'t, O: Observer + Send>(
    mut group: Vec<(Member<'t>, Logged<O>)>,
    ended: &mut dyn FnMut(usize, Result<TrialEnding, TrialError>),
) -> Vec<Vec<(Member<'t>, Logged<O>)>> {
    let members: Vec<Member<'t>> = group.iter().map(|(member, _)| *member).collect();
    let (mut open, mut left) = (vec![true; group.len()], Vec::new());
    let mut tell = |index: usize, observer: &mut Logged<O>, ending: Result<TrialEnding, TrialError>| {
        open[index] = false;
        match too_many(&ending) {
            Some(trials) if trials > 1 => {
                let reason = ending.err().map_or(String::new(), |error| error.to_string());
                observer.note(&format!("going on in groups of fewer than {trials} trials: {reason}"));
                left.push(index);
            }
            _ => {
                note_ending(members[index].folder, observer, &ending);
                ended(members[index].place, ending);
            }
        }
    };
    // A panic is a fault of this program; the trials' folders say so, and other trials go on.
    let panicked = catch_unwind(AssertUnwindSafe(|| train(&mut group, &mut tell))).err();
    let message = panicked.map(|panic| panic_message(&*panic));
    for index in (0..group.len()).filter(|index| open[*index]).collect::<Vec<_>>() {
        let message = message.clone().unwrap_or_else(|| "the trial did not end".to_owned());
        let ending = Err(TrialError::Panicked(message));
        note_ending(members[index].folder, &mut group[index].1, &ending);
        ended(members[index].place, ending);
    }
    let mut left: Vec<_> =
        group.into_iter().enumerate().filter(|(index, _)| left.contains(index)).map(|(_, member)| member).collect();
    let second = left.split_off(left.len() / 2);
    [left, second].into_iter().filter(|half| !half.is_empty()).collect()
}

/// How many trials were to train as one where that was too many for the engine or for its device's memory.
fn too_many(ending: &Result<TrialEnding, TrialError>) -> Option<usize> {
    let Err(TrialError::Engine(error) | TrialError::Training(TrainingError::Engine(error))) = ending else {
        return None;
    };
    match error {
        EngineError::OutOfMemory { trials, .. } | EngineError::TooMany(trials) => Some(*trials),
        _ => None,
    }
}

fn train<O: Observer + Send>(group: &mut [(Member<'_>, Logged<O>)], tell: Tell<'_, O>) {
    // Trials of one task share it, and those of one split the split.
    let mut populations: Vec<(DataConfig, Population)> = Vec::new();
    let mut splits: Vec<(DataConfig, Split)> = Vec::new();
    for (index, (member, observer)) in group.iter_mut().enumerate() {
        let data = member.config.data.clone();
        if splits.iter().any(|(of, _)| *of == data) {
            continue;
        }
        match open_data(&data, &mut populations) {
            Ok(split) => splits.push((data, split)),
            Err(error) => tell(index, observer, Err(error)),
        }
    }
    let of_data = |(of, split): &'_ (DataConfig, Split)| -> Option<(DataConfig, f64, TrialData<'_>)> {
        let (_, population) = populations.iter().find(|(task, _)| task.is_same_task(of))?;
        Some((of.clone(), split.test.truth_entropy(population), TrialData::new(population, split)))
    };
    let data: Vec<_> = splits.iter().filter_map(of_data).collect();
    let (mut trials, mut places, mut observers) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (member, observer)) in group.iter_mut().enumerate() {
        let Some((_, floor, data)) = data.iter().find(|(of, ..)| *of == member.config.data) else { continue };
        if member.config.model.kind.is_baseline()
            && let Some((_, split)) = splits.iter().find(|(of, _)| *of == member.config.data)
        {
            let trial = (member.folder, member.config);
            let metrics = run_baseline(trial, &split.train.truth, (data, *floor), observer);
            tell(index, observer, metrics.map(|metrics| TrialEnding::Finished(Box::new(metrics))));
            continue;
        }
        match open_trial(member, data) {
            Ok(trial) => {
                trials.push(trial);
                places.push((index, *member));
                observers.push(observer);
            }
            Err(error) => tell(index, observer, Err(error)),
        }
    }
    let Some((_, first)) = places.first() else { return };
    let made = engine_of(first.config).and_then(|engine| Trainer::new(trials, engine));
    let mut trainer = match made {
        Ok(trainer) => trainer,
        Err(error) => {
            let all = places.iter().zip(observers);
            return all.for_each(|((index, _), observer)| tell(*index, observer, Err(error.clone().into())));
        }
    };
    let (on, together) = (trainer.device(), trainer.trials().len());
    for (trial, observer) in trainer.trials().iter().zip(&mut observers) {
        let with = if together > 1 { format!(" with {} other trials", together - 1) } else { String::new() };
        observer.note(&match trial.step() {
            0 => format!("started on {on}{with}"),
            step => format!("resumed after step {step} on {on}{with}"),
        });
    }
    trainer.run(&mut observers, &mut |place, trial, observer, ending| {
        let (index, member) = places[place];
        let ending = match ending {
            Ok(Ending::Interrupted(step)) => Ok(TrialEnding::Interrupted(step)),
            Ok(Ending::Finished(evaluation)) => {
                let floor =
                    data.iter().find(|(of, ..)| *of == member.config.data).map_or(f64::NAN, |(_, floor, _)| *floor);
                finish(member.folder, (trial, member.config.training.keep_checkpoint), floor, &evaluation)
            }
            Err(error) => Err(error.into()),
        };
        tell(index, observer, ending);
    });
}

/// The split of some data, and their task among those that are loaded.
fn open_data(data: &DataConfig, populations: &mut Vec<(DataConfig, Population)>) -> Result<Split, TrialError> {
    if populations.iter().all(|(task, _)| !task.is_same_task(data)) {
        populations.push((data.clone(), Population::new(data.load()?.truth)));
    }
    let known = populations.iter().find(|(task, _)| task.is_same_task(data));
    let (_, population) = known.expect("it was added where it was missing");
    Ok(data.split(population)?)
}

/// The population that a config's data describe, and its split.
///
/// # Errors
/// When the data can't be read or split.
pub fn prepared(data: &DataConfig) -> Result<(Population, Split), TrialError> {
    let truth = data.load()?.truth;
    let split = data.split(&truth)?;
    Ok((Population::new(truth), split))
}

fn open_trial<'a>(member: &Member<'_>, data: &'a TrialData<'a>) -> Result<TrialLoop<'a>, TrialError> {
    let Member { folder, config, .. } = member;
    if !config.from.is_empty() && !folder.checkpoint().exists() {
        return Err(TrialError::NoPredecessor(config.from.clone()));
    }
    let files = (folder.history(), folder.checkpoint());
    let files = (files.0.as_path(), files.1.as_path());
    Ok(TrialLoop::new(config.training(), config.model, data, config.threads as usize, files)?)
}

/// Writes weights and metrics of a trial that has taken its last step.
fn finish(
    folder: &RunFolder,
    (trial, keep_checkpoint): (&TrialLoop<'_>, bool),
    floor: f64,
    evaluation: &Evaluation,
) -> Result<TrialEnding, TrialError> {
    trial.model().save(&folder.model())?;
    let metrics = Metrics::new(trial.phase(), trial.seconds(), floor, evaluation);
    metrics.write(&folder.metrics(), &["config.toml", "history.csv", TRIAL_WEIGHTS])?;
    folder.clean(keep_checkpoint)?;
    Ok(TrialEnding::Finished(Box::new(metrics)))
}

/// The weights of a release or a finished trial in this folder.
///
/// # Errors
/// When there are none, or those of both.
pub fn weights_file(folder: &Path) -> Result<PathBuf, TrialError> {
    let there = |name: &str| folder.join(name).exists();
    let begun = there(CHECKPOINT[0]) && !there("metrics.csv") && !there("error.txt");
    match (there(RELEASE_WEIGHTS), there(TRIAL_WEIGHTS)) {
        (true, true) => Err(TrialError::TwoWeights(folder.to_owned())),
        (true, false) => Ok(folder.join(RELEASE_WEIGHTS)),
        (false, true) => Ok(folder.join(TRIAL_WEIGHTS)),
        (false, false) if begun => Err(TrialError::Unfinished(folder.to_owned())),
        (false, false) => Err(TrialError::NoWeights(folder.to_owned())),
    }
}

/// Loads the model of a finished trial or a release: a folder with config.toml and weights.
///
/// # Errors
/// When a file is missing or damaged, or the two don't fit each other.
pub fn load_model(folder: &Path) -> Result<(Model, Config), TrialError> {
    let config = resolved(folder)?;
    if config.model.kind.is_baseline() {
        return Err(TrialError::Baseline(folder.to_owned()));
    }
    let model = Model::load(config.model, dates::schema(), &weights_file(folder)?)?;
    Ok((model, config))
}

/// The first folder inside this one that a model can be loaded from, by name.
pub fn first_model(folder: &Path) -> Option<PathBuf> {
    let mut inside: Vec<PathBuf> = folder.read_dir().ok()?.flatten().map(|entry| entry.path()).collect();
    inside.sort();
    inside.into_iter().find(|path| path.join("config.toml").exists() && weights_file(path).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_a_release_or_of_a_trial_and_never_of_both() {
        let (folder, both) = (tempfile::tempdir().unwrap(), [TRIAL_WEIGHTS, RELEASE_WEIGHTS]);
        assert!(matches!(weights_file(folder.path()), Err(TrialError::NoWeights(_))));
        for name in both {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            assert_eq!(weights_file(folder.path()).unwrap(), path);
            std::fs::remove_file(path).unwrap();
        }
        both.iter().for_each(|name| std::fs::write(folder.path().join(name), "").unwrap());
        assert!(matches!(weights_file(folder.path()), Err(TrialError::TwoWeights(_))));
    }
}
