//! `cvae sweep`: all trials of an experiment.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use indicatif::HumanDuration;

use super::bars::Bars;
use super::exit::{BadInput, Exit};
use super::train::task;
use super::{group, output, warn, watch};
use crate::experiment::{
    DataConfig, Experiment, LAUNCHERS, Launched, Launcher, Order, Override, RunFolder, Status, Submitted, SweepEnding,
    Trial, groups, prepared, rebuild, step_seconds,
};
use crate::files;
use crate::printable::ShownPath;

/// Run all trials of an experiment; run again, it does only what is missing
///
/// Each trial is a process of its own, with a folder RUNS/<name of the config>/<trial>. What was killed or
/// interrupted is taken up at its last checkpoint, what is finished is not repeated, and several sweeps may
/// share a folder. results.csv is rebuilt from the finished trials.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae sweep experiments/quick.toml --dry-run
  cvae sweep experiments/quick.toml --jobs 2
  cvae sweep experiments/latent_beta.toml --launcher slurm --sbatch \"--time=30 --partition=short\"
  cvae sweep experiments/latent_beta.toml --device cuda
  cvae sweep experiments/latent_beta.toml --status

Exit codes: 0 every trial is finished; 1 some failed; 2 the config is wrong; 75 (with --index) the trial is
in use or was told to stop; 130 interrupted.

On a file system without locks, set CVAE_LOCKS=off in the environment: then --status can't tell a trial that runs
from one that was interrupted, and nothing keeps two sweeps from training the same trial.")]
pub struct Sweep {
    /// Config with a [sweep] (TOML)
    #[arg(value_parser = super::place())]
    config: PathBuf,
    /// Replace a value in every trial; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Override>,
    /// Where trials are trained: `auto`, `cpu` or `cuda`, as --set device=...; on a GPU, trials of one shape train as one
    #[arg(long, value_name = "DEVICE", value_parser = super::device)]
    device: Option<Override>,
    /// Trials that train as one at most; 128 on a GPU if not given
    #[arg(long, value_name = "N", value_parser = super::whole::<u16>(1, u64::from(u16::MAX)), allow_negative_numbers = true)]
    together: Option<u16>,
    /// Folder of all runs
    #[arg(long, value_name = "DIR", default_value = "runs", value_parser = super::place())]
    runs: PathBuf,
    /// Trials, or groups that train as one, side by side; if not given, as many as there are cores for their threads (one
    /// group on a GPU), or as a cluster allows
    #[arg(short, long, value_name = "N", value_parser = super::whole::<u16>(1, u64::from(u16::MAX)), allow_negative_numbers = true)]
    jobs: Option<u16>,
    /// Print the trials and their states, and run nothing
    #[arg(long, conflicts_with_all = ["status", "index", "launcher", "sbatch", "retry_failed", "max_failures"])]
    dry_run: bool,
    /// Print how many trials are finished, running, interrupted and failed, and run nothing
    #[arg(long, conflicts_with_all = ["index", "launcher", "sbatch", "jobs", "together", "retry_failed", "max_failures"])]
    status: bool,
    /// Run this one trial or group, by its number in --dry-run: a task of an array scheduler
    #[arg(long, value_name = "I", conflicts_with_all = ["launcher", "sbatch", "jobs", "max_failures"], value_parser = super::count, allow_negative_numbers = true)]
    index: Option<usize>,
    /// Where trials run
    #[arg(long, value_name = "LAUNCHER", default_value = LAUNCHERS[0].name(), value_parser = launchers())]
    launcher: &'static dyn Launcher,
    /// Options for sbatch, quoted as in a shell (--launcher slurm)
    #[arg(long, value_name = "OPTIONS", default_value = "", allow_hyphen_values = true)]
    sbatch: String,
    /// Run failed trials again
    #[arg(long)]
    retry_failed: bool,
    /// Show a live view while trials run, as cvae watch does; q leaves it, and the sweep goes on
    #[arg(long, conflicts_with_all = ["dry_run", "status", "index"])]
    watch: bool,
    /// Start no more trials after so many failures
    #[arg(long, value_name = "N", value_parser = super::whole::<u32>(1, u64::from(u32::MAX)), allow_negative_numbers = true)]
    max_failures: Option<u32>,
}

/// Parses the name of a launcher.
fn launchers() -> impl TypedValueParser<Value = &'static dyn Launcher> {
    let names = LAUNCHERS.iter().map(|launcher| PossibleValue::new(launcher.name()).help(launcher.about()));
    PossibleValuesParser::new(names).map(|name| {
        // The parser lets no other name through.
        *LAUNCHERS.iter().find(|launcher| launcher.name() == name).unwrap_or(&LAUNCHERS[0])
    })
}

impl Sweep {
    /// Runs, lists or submits the trials.
    ///
    /// # Errors
    /// When the config is wrong or a file can't be written. Failures of trials are not errors of this kind.
    pub fn run(self) -> anyhow::Result<Exit> {
        let set: Vec<Override> = self.set.iter().chain(&self.device).cloned().collect();
        let experiment = Experiment::load(&self.config, &set, &self.runs)?;
        if self.dry_run {
            return self.list(&experiment);
        }
        if self.status {
            return status(&experiment);
        }
        if let Some(index) = self.index {
            return self.task(&experiment, index);
        }
        self.check_data(experiment.trials.iter().zip(experiment.statuses()?))?;
        self.launch(&experiment)
    }

    /// Loads and splits the data of all trials that are to be trained, each once: before the first of them begins.
    fn check_data<'a>(&self, trials: impl Iterator<Item = (&'a Trial, Status)>) -> Result<(), BadInput> {
        let mut checked: Vec<&DataConfig> = Vec::new();
        for (trial, status) in trials {
            let data = &trial.config.data;
            if data.are_sound() || status == Status::Finished || checked.contains(&data) {
                continue;
            }
            prepared(data).map_err(|error| BadInput(format!("{}: {error}", self.config.shown())))?;
            checked.push(data);
        }
        Ok(())
    }

    /// The trials in groups that train as one.
    fn groups(&self, experiment: &Experiment) -> Vec<Vec<usize>> {
        groups(&experiment.trials, self.together.map(usize::from))
    }

    fn list(&self, experiment: &Experiment) -> anyhow::Result<Exit> {
        let (statuses, groups) = (experiment.statuses()?, self.groups(experiment));
        let order = self.order(experiment, &statuses, &groups);
        let mut text = String::new();
        let mut numbers = vec![0; statuses.len()];
        groups.iter().enumerate().for_each(|(number, group)| group.iter().for_each(|trial| numbers[*trial] = number));
        for ((trial, status), number) in experiment.trials.iter().zip(&statuses).zip(numbers) {
            text += &format!("{number:>6}  {:<11}  {}\n", status.name(), trial.name);
        }
        output::print(&(text + &states(&statuses)))?;
        let to_do: Vec<&Trial> = experiment
            .trials
            .iter()
            .zip(&statuses)
            .filter(|(_, status)| **status != Status::Finished)
            .map(|(trial, _)| trial)
            .collect();
        if groups.len() < experiment.trials.len() {
            output::print(&format!("{} groups, each of which trains as one", groups.len()))?;
        } else if !to_do.is_empty() {
            output::print(&estimate(&to_do, order.jobs.unwrap_or_else(|| order.fitting_jobs())))?;
        }
        Ok(Exit::Done)
    }

    fn task(&self, experiment: &Experiment, index: usize) -> anyhow::Result<Exit> {
        let groups = self.groups(experiment);
        let Some(members) = groups.get(index) else {
            let last = groups.len().saturating_sub(1);
            let what = if groups.len() < experiment.trials.len() { "groups" } else { "trials" };
            return Err(BadInput(format!("--index {index}: this experiment has {what} 0 to {last}")).into());
        };
        let trials = members.iter().map(|trial| &experiment.trials[*trial]);
        let status = |trial: &'_ Trial| RunFolder::status(&trial.folder);
        let statuses = trials.clone().map(status).collect::<Result<Vec<_>, _>>()?;
        self.check_data(trials.clone().zip(statuses))?;
        let trials: Vec<_> = trials.map(|trial| (trial.folder.clone(), trial.config.clone())).collect();
        match &trials[..] {
            [(folder, config)] => task(folder, config, self.retry_failed),
            trials => group::task(trials, self.retry_failed),
        }
    }

    fn order<'a>(&'a self, experiment: &'a Experiment, statuses: &'a [Status], groups: &'a [Vec<usize>]) -> Order<'a> {
        Order {
            experiment,
            statuses,
            groups,
            jobs: self.jobs.map(usize::from),
            retry_failed: self.retry_failed,
            max_failures: self.max_failures.map(|most| most as usize),
            options: &self.sbatch,
        }
    }

    fn launch(&self, experiment: &Experiment) -> anyhow::Result<Exit> {
        let statuses = experiment.statuses()?;
        let groups = self.groups(experiment);
        let order = self.order(experiment, &statuses, &groups);
        let launched = if self.watch && watch::has_terminal() {
            let title = format!("cvae sweep {}", experiment.name);
            watch::beside(vec![experiment.folder.clone()], &title, |unseen| {
                self.launcher.launch(&order, &mut unseen.of(experiment))
            })?
        } else {
            let mut bars = Bars::new(experiment, &statuses)?;
            let launched = self.launcher.launch(&order, &mut bars);
            bars.clear();
            launched
        };
        match launched
            .with_context(|| format!("cannot run {} (--launcher {})", experiment.name, self.launcher.name()))?
        {
            Launched::Ended(ending) => ended(experiment, ending),
            Launched::Submitted(jobs) => submitted(experiment, &jobs),
            Launched::Tried(answer) => {
                output::say!("nothing was submitted: {answer}");
                Ok(Exit::Done)
            }
        }
    }
}

/// How long these trials will take with so many jobs, from some steps of the first; unknown where that can't be trained
/// here.
fn estimate(trials: &[&Trial], jobs: usize) -> String {
    let timed = trials.first().map_or(Ok(f64::NAN), |trial| step_seconds(&trial.config));
    let step = match timed {
        Ok(step) => step,
        Err(error) => return format!("time unknown: {error}"),
    };
    let jobs = jobs.min(trials.len());
    let steps: u64 = trials.iter().map(|trial| trial.config.training.steps).sum();
    let seconds = Duration::try_from_secs_f64(steps as f64 * step / jobs as f64).unwrap_or(Duration::MAX);
    let side_by_side = if jobs == 1 { "one after the other".to_owned() } else { format!("{jobs} at a time") };
    format!(
        "about {:#} {side_by_side}: {steps} steps of {:.1} ms as timed just now, evaluations not counted",
        HumanDuration(seconds),
        1e3 * step
    )
}

fn ended(experiment: &Experiment, ending: SweepEnding) -> anyhow::Result<Exit> {
    let rebuilt = if experiment.folder.exists() { Some(rebuild(&experiment.folder)?) } else { None };
    let finished = rebuilt.as_ref().map_or(0, |rebuilt| rebuilt.finished);
    let damaged = rebuilt.map_or(0, |rebuilt| warn::skipped(&rebuilt.skipped));
    let results = experiment.folder.join("results.csv");
    output::say!("{}\n{}: {finished} finished trials", states(&experiment.statuses()?), results.shown());
    if ending.interrupted {
        output::say!("interrupted; the same command goes on from there");
        return Ok(Exit::Interrupted);
    }
    if ending.left > 0 {
        output::say!("{} trials were not started after {} failures", ending.left, ending.failed);
    }
    if ending.stopped > 0 {
        output::say!("{} trials were told to stop; the same command takes them up", ending.stopped);
    }
    if ending.failed > 0 {
        output::say!("{} trials failed; --retry-failed runs them again", ending.failed);
    }
    if ending.failed > 0 || damaged > 0 {
        return Ok(Exit::Failed);
    }
    Ok(if ending.stopped > 0 { Exit::Interrupted } else { Exit::Done })
}

fn submitted(experiment: &Experiment, jobs: &[Submitted]) -> anyhow::Result<Exit> {
    if jobs.is_empty() {
        output::say!("nothing to submit\n{}", states(&experiment.statuses()?));
    }
    for Submitted { job, trials, .. } in jobs {
        output::say!(
            "submitted {} trials as job {job}, as the config is now; see them with --status, or squeue --job {job}",
            trials.len()
        );
        output::print(job)?;
    }
    Ok(Exit::Done)
}

/// Prints the states of trials, why some failed, and what was handed over to a scheduler.
fn status(experiment: &Experiment) -> anyhow::Result<Exit> {
    let statuses = experiment.statuses()?;
    let mut text = states(&statuses);
    for (trial, _) in experiment.trials.iter().zip(&statuses).filter(|(_, status)| **status == Status::Failed) {
        let kept = files::read_text(&trial.folder.join("error.txt"));
        let reason = kept.unwrap_or_else(|error| error.to_string());
        text += &format!("\nfailed: {}: {}", trial.name, reason.lines().next().unwrap_or_default());
    }
    for launcher in LAUNCHERS {
        let submissions = launcher.submissions(experiment).unwrap_or_else(|error| {
            output::say!("warning: what is queued is not known: {error}");
            Vec::new()
        });
        for Submitted { job, at, trials, queued, running } in submissions {
            let now: HashSet<&str> = experiment.trials.iter().map(|trial| trial.name.as_str()).collect();
            let others: Vec<&str> = trials.iter().map(String::as_str).filter(|name| !now.contains(name)).collect();
            text += &format!(
                "\n{} job {job}, frozen as submitted on {at}: {} trials, {} queued, {} running there",
                launcher.name(),
                trials.len(),
                queued.len(),
                running.len()
            );
            if !queued.is_empty() {
                text += &format!("; queued: {}", listed(&queued));
            }
            if !others.is_empty() {
                text += &format!("; {} of them are not in the config any more: {}", others.len(), others.join(", "));
            }
        }
    }
    output::print(&text)?;
    Ok(Exit::Done)
}

/// The first of these names, and how many there are beside them.
fn listed(names: &[String]) -> String {
    const MOST: usize = 12;
    let shown = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn states(statuses: &[Status]) -> String {
    let all = [Status::Finished, Status::Running, Status::Interrupted, Status::Failed, Status::Missing];
    let count = |wanted: Status| statuses.iter().filter(|status| **status == wanted).count();
    let counts: Vec<String> = all.iter().map(|status| format!("{} {}", count(*status), status.name())).collect();
    format!("{} trials: {}", statuses.len(), counts.join(", "))
}
