//! `cvae runs`: what is there, one trial in full, and removing trials.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::exit::{BadInput, Exit};
use super::{check_there, output};
use crate::checksums::ChecksumPolicy;
use crate::experiment::{
    Left, LiveRuns, LiveTrial, Outcome, Reading, RunFolder, RunTrial, Status, forget, named_hash, remove_trial,
    trial_folders,
};
use crate::metrics::{Measure, Unit};
use crate::printable::{ShownPath, one_line, printable};

/// List experiments and trials; show one; remove some
///
/// Without a subcommand: every experiment and trial with its state, when it last wrote something, its size, and its greedy
/// pass rate over validation conditions, which of an experiment is the best one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  cvae runs
  cvae runs runs/latent_beta
  cvae runs show 0a1b2c3d4e5f
  cvae runs rm runs/quick/latent_dim4-seed1-0a1b2c3d4e5f

show and rm take a trial's folder, its name, or the hash at the end of it. rm asks first, unless --yes is given, and
removes only files that a run has written; a running trial stays.")]
pub struct Runs {
    #[command(subcommand)]
    action: Option<Action>,
    /// Folders of trials, or folders that hold such
    #[arg(value_name = "RUNS", default_value = "runs", value_parser = super::place())]
    runs: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show one trial: state, where it came from, what differs from the defaults, every metric
    Show {
        /// Its folder, its name, or the hash at the end of it
        #[arg(value_name = "TRIAL", value_parser = super::place())]
        trial: PathBuf,
        /// Folder of all runs, in which a name is looked for
        #[arg(long, value_name = "DIR", default_value = "runs", value_parser = super::place())]
        runs: PathBuf,
    },
    /// Remove trials: the files that their runs have written, and their rows in results.csv
    Rm {
        /// Their folders, names, or the hashes at the end of these
        #[arg(value_name = "TRIAL", required = true, value_parser = super::place())]
        trials: Vec<PathBuf>,
        /// Folder of all runs, in which names are looked for
        #[arg(long, value_name = "DIR", default_value = "runs", value_parser = super::place())]
        runs: PathBuf,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// The figure that stands for a trial.
const FIGURE: Measure = Measure::GreedyPassValidation;

impl Runs {
    /// Lists, shows or removes.
    ///
    /// # Errors
    /// When there is no such trial, it can't be read, or it is running.
    pub fn run(self) -> anyhow::Result<Exit> {
        match self.action {
            None => list(self.runs),
            Some(Action::Show { trial, runs }) => show(&find(&trial, &runs)?),
            Some(Action::Rm { trials, runs, yes }) => remove(&trials, &runs, yes),
        }
    }
}

fn list(roots: Vec<PathBuf>) -> anyhow::Result<Exit> {
    check_there(&roots)?;
    let names = roots.iter().map(|root| root.shown().to_string()).collect::<Vec<_>>().join(", ");
    let mut runs = LiveRuns::new(roots);
    runs.look(Duration::MAX);
    let trials = runs.trials();
    if trials.is_empty() {
        return Err(BadInput(format!("no trial in {names}; name folders of runs, such as runs/quick")).into());
    }
    type WithSize<'t> = Vec<(&'t LiveTrial, u64)>;
    let mut experiments: BTreeMap<(&str, Option<&Path>), WithSize<'_>> = BTreeMap::new();
    for trial in trials {
        let key = (trial.experiment.as_str(), trial.folder.parent());
        experiments.entry(key).or_default().push((trial, size(&trial.folder)));
    }
    let newest = |trials: &[(&LiveTrial, u64)]| trials.iter().filter_map(|(trial, _)| trial.modified()).max();
    let best = |trials: &[(&LiveTrial, u64)]| {
        trials.iter().map(|(trial, _)| trial.last(FIGURE)).filter(|value| !value.is_nan()).max_by(f64::total_cmp)
    };
    let figure = |value: Option<f64>| FIGURE.text(value.unwrap_or(f64::NAN), f64::NAN);
    let rows = experiments.iter().map(|((name, _), trials)| {
        let count = |status| trials.iter().filter(|(trial, _)| trial.status == status).count().to_string();
        let states = [Status::Finished, Status::Running, Status::Failed].map(count);
        let bytes = trials.iter().map(|(_, bytes)| bytes).sum();
        let cells = [(*name).to_owned(), trials.len().to_string()].into_iter().chain(states);
        cells.chain([date(newest(trials)), bytes_text(bytes), figure(best(trials))]).collect()
    });
    let header = ["experiment", "trials", "finished", "running", "failed", "last write", "size", FIGURE.spec().heading];
    let summary = output::fitting(&header, rows.collect(), &[0], output::long_table);
    let rows = experiments.values().flatten().map(|(trial, bytes)| {
        let name = format!("{}/{}", trial.experiment, trial.name);
        let cells = [trial.status.name().to_owned(), date(trial.modified()), bytes_text(*bytes)];
        cells.into_iter().chain([figure(Some(trial.last(FIGURE))), name]).collect()
    });
    let header = ["state", "last write", "size", FIGURE.spec().heading, "trial"];
    let each = output::fitting(&header, rows.collect(), &[0, header.len() - 1], output::trial_table);
    output::print(&format!("{summary}\n{each}"))?;
    Ok(Exit::Done)
}

/// The folder of a trial by its path, its name or the hash at the end of that.
fn find(named: &Path, runs: &Path) -> Result<PathBuf, BadInput> {
    if named.join("config.toml").is_file() {
        // Of `.` and `..`, the folder's own name: it is removed, and its row in results.csv, by that.
        let whole = (named.file_name().is_none()).then(|| named.canonicalize().ok()).flatten();
        return Ok(whole.unwrap_or_else(|| named.to_owned()));
    }
    let text = &*named.to_string_lossy();
    let name = |folder: &Path| folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let wanted = |folder: &PathBuf| name(folder) == text || named_hash(&name(folder)) == Some(text);
    let folders = trial_folders(&[runs.to_owned()]).into_iter().map(|(_, folder)| folder);
    let mut found: Vec<PathBuf> = folders.filter(wanted).collect();
    match (found.pop(), found.as_slice()) {
        (Some(folder), []) => Ok(folder),
        (Some(folder), [other, ..]) => {
            let (a, b) = (folder.shown(), other.shown());
            let named = named.shown();
            Err(BadInput(format!("{named} is the name of several trials, {a} and {b} among them; name its folder")))
        }
        (None, _) => Err(BadInput(format!(
            "{} is neither the folder of a trial nor the name or hash of one in {}; cvae runs lists them",
            named.shown(),
            runs.shown()
        ))),
    }
}

fn show(folder: &Path) -> anyhow::Result<Exit> {
    let reading = Reading { demand: ChecksumPolicy::WithSums, histories: true, results: false };
    let trial = RunTrial::read(folder, reading)?
        .ok_or_else(|| BadInput(format!("{} holds no config.toml; name the folder of a trial", folder.shown())))?;
    let mut live = LiveTrial::new(String::new(), trial.name.clone(), folder.to_owned());
    live.look(&mut false).map_err(crate::files::FileError::at("read", folder))?;
    let mut lines = vec![
        ("folder", folder.shown().to_string()),
        ("state", live.status.name().to_owned()),
        ("steps", format!("{} of {}", live.step(), live.steps.unwrap_or_default())),
        ("last write", date(live.modified())),
        ("size", bytes_text(size(folder))),
    ];
    if let Some(made) = &trial.provenance {
        let dirty = if made.dirty { " with uncommitted changes" } else { "" };
        let device = if made.device.is_empty() { String::new() } else { format!(", on {}", made.device) };
        lines.push(("trained by", format!("cvae {}, commit {}{dirty}{device}", made.version, made.commit)));
    }
    if let Some(from) = live.log_text().lines().find_map(|line| line.split_once(" goes on from ")) {
        // The log of the first session says so, with the digest of the weights.
        let place = from.1.split(';').next().unwrap_or_default();
        lines.push(("came from", format!("{place}, {}", trial.value("from").unwrap_or_default())));
    }
    if let Outcome::Failed(reason) = &trial.outcome {
        lines.push(("error", reason.clone()));
    }
    let defaults = crate::experiment::ConfigFile::default().check().map(|config| config.flat()).unwrap_or_default();
    let changed = trial.config.iter().filter(|pair| !defaults.contains(pair));
    let changed: Vec<String> = changed.map(|(key, value)| format!("{key} = {value}")).collect();
    lines.push((
        "differs",
        if changed.is_empty() { "in nothing from the defaults".to_owned() } else { changed.join("\n            ") },
    ));
    let mut text = format!("{}\n", one_line(&trial.name));
    for (title, value) in lines {
        text += &format!("{title:<12}{}\n", printable(&value));
    }
    if let Some(row) = trial.metrics().map(|metrics| &**metrics).or(trial.history.last()) {
        let is_shown = |measure: &Measure| row.has(*measure) && *measure != Measure::Step;
        let rows = Measure::all().filter(is_shown).map(|measure| {
            let value = match measure.spec().unit {
                Unit::Text => row.words(measure).to_owned(),
                _ => measure.text(row.number(measure), f64::NAN),
            };
            vec![measure.name().to_owned(), value]
        });
        text += &output::on_terminal(&mut output::long_table(&["measure", "value"], rows.collect()));
    }
    output::print(text.trim_end())?;
    Ok(Exit::Done)
}

fn remove(trials: &[PathBuf], runs: &Path, yes: bool) -> anyhow::Result<Exit> {
    let folders: BTreeSet<PathBuf> = trials.iter().map(|trial| find(trial, runs)).collect::<Result<_, _>>()?;
    for folder in &folders {
        if RunFolder::status(folder)? == Status::Running {
            let problem = format!("{} is running, nothing was removed; stop it first", folder.shown());
            return Err(BadInput(problem).into());
        }
    }
    if !yes {
        let all: u64 = folders.iter().map(|folder| size(folder)).sum();
        let names: Vec<String> = folders.iter().map(|folder| folder.shown().to_string()).collect();
        let trials =
            if folders.len() == 1 { "this trial".to_owned() } else { format!("these {} trials", folders.len()) };
        output::say!("{}\nremove {trials}, {}? [y/N]", names.join("\n"), bytes_text(all));
        if !io::stdin().is_terminal() {
            return Err(BadInput("nobody can be asked here, nothing was removed; --yes removes them".to_owned()).into());
        }
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            output::say!("nothing was removed");
            return Ok(Exit::Done);
        }
    }
    let mut removed: BTreeMap<PathBuf, HashSet<String>> = BTreeMap::new();
    let mut failed = None;
    for folder in folders {
        match remove_trial(&folder) {
            Ok(Left::Nothing) => output::say!("{}: removed", folder.shown()),
            Ok(Left::Others(names)) => {
                output::say!("{}: removed, but for {}, which no run wrote", folder.shown(), names.join(", "));
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let experiment = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        removed.entry(experiment.to_owned()).or_default().insert(name);
    }
    // What was removed before something went wrong is gone from the tables as well.
    for (experiment, names) in &removed {
        forget(experiment, names)?;
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(Exit::Done),
    }
}

/// Bytes of the files in a folder and those inside.
fn size(folder: &Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        bytes += match entry.metadata() {
            Ok(found) if found.is_dir() => size(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        };
    }
    bytes
}

fn bytes_text(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

fn date(at: Option<SystemTime>) -> String {
    let at = at.and_then(|at| Timestamp::try_from(at).ok());
    at.map_or_else(|| "-".to_owned(), |at| at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string())
}
