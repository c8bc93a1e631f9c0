//! `cvae train`: one run of one config.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;

use super::exit::{BadInput, Exit};
use super::{group, interrupt, output, torch, warn, watch, worker};
use crate::analysis::{Figures, warnings};
use crate::experiment::{
    Config, ConfigFile, Metrics, Override, Predecessor, RunFolder, Status, TrialEnding, TruthKind, is_worker, prepared,
    rebuild, run_trial, steps_of_sample, trial_folder,
};
use crate::files;
use crate::metrics::Measure;
use crate::printable::ShownPath;
use crate::training::{Observer, Phase, Progress, Row};

/// Train one config; run again, it resumes what was interrupted and repeats nothing
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae train experiments/quick.toml
  cvae train experiments/quick.toml --set seed=2 --set model.latent_dim=8
  cvae train experiments/quick.toml --from runs/quick/seed1-0a1b2c3d4e5f --set training.steps=6000
  cvae train --table survey.csv --given age,sex
  cvae train --set data.task=algebra
  cvae train runs/quick/latent_dim4-seed1-0a1b2c3d4e5f/config.toml --runs /tmp/again

The run's folder is RUNS/<name of the config>/<what differs from the defaults>-seed<seed>-<hash>. On a file
system without locks, set CVAE_LOCKS=off in the environment and never let two processes run one trial.")]
pub struct Train {
    /// Config (TOML); the default one where a table, a network or --set is given alone
    #[arg(value_parser = super::place(), required_unless_present_any = ["table", "network", "set"])]
    config: Option<PathBuf>,
    /// Train on a table, a CSV file with a header
    #[arg(long, value_name = "FILE", requires = "given", conflicts_with = "network", value_parser = super::place_in_config())]
    table: Option<String>,
    /// Train on a Bayesian network, .bif or .bif.gz
    #[arg(long, value_name = "FILE", requires = "given", value_parser = super::place_in_config())]
    network: Option<String>,
    /// Given columns of the table or the network
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = super::score::column)]
    given: Vec<String>,
    /// Generated columns in their order [default: all others]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = super::score::column)]
    generate: Vec<String>,
    /// The table's column of weights
    #[arg(long, value_name = "COLUMN", requires = "table")]
    weight: Option<String>,
    /// Columns of numbers to cut into bins, as age=10
    #[arg(long, value_name = "COLUMN=BINS", value_delimiter = ',', value_parser = super::score::bins, requires = "table")]
    bins: Vec<(String, u32)>,
    /// Replace a value of the config; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Override>,
    /// Folder of all runs
    #[arg(long, value_name = "DIR", default_value = "runs", value_parser = super::place())]
    runs: PathBuf,
    /// Go on from a finished trial, with more steps: its weights, and Adam's moments where its checkpoint was kept
    #[arg(long, value_name = "TRIAL", value_parser = super::place())]
    from: Option<PathBuf>,
    /// Folder of this run, in place of one named after the config
    #[arg(short, long, value_name = "DIR", value_parser = super::place())]
    output: Option<PathBuf>,
    /// Where it is trained: `auto`, `cpu` or `cuda`, as --set device=...
    #[arg(long, value_name = "DEVICE", value_parser = super::device)]
    device: Option<Override>,
    /// Train the trials in these folders as one with that in --output, for a sweep
    #[arg(long, hide = true, value_name = "DIR", requires = "output", value_parser = super::place())]
    with: Vec<PathBuf>,
    /// Print the run's folder and do nothing else
    #[arg(long)]
    print_folder: bool,
    /// Show a live view while it trains, as cvae watch does; q leaves it, and training goes on
    #[arg(long)]
    watch: bool,
    /// Run as a task of a scheduler, for a script that --launcher wrote
    #[arg(long, hide = true)]
    task: bool,
    /// Run a failed trial again (--task)
    #[arg(long, hide = true, requires = "task")]
    retry_failed: bool,
}

impl Train {
    /// Trains, or says that nothing is left to do.
    ///
    /// # Errors
    /// When the config is wrong, the folder is in use, or training fails.
    pub fn run(self) -> anyhow::Result<Exit> {
        let data = self.data();
        self.check_options(&data)?;
        let mut set: Vec<Override> = data.iter().chain(&self.set).chain(&self.device).cloned().collect();
        let before = self.from.as_deref().map(Predecessor::load).transpose().context("--from")?;
        if let Some(before) = &before {
            set.push(format!("from=\"{}\"", before.hash()).parse()?);
        }
        let name = self.config.as_deref().unwrap_or(Path::new("the default config"));
        let config = match &self.config {
            Some(path) => ConfigFile::load(path, &set)?,
            None => {
                let config = ConfigFile::of_text("", name, &set)?;
                set.extend(self.recipe_of_sample(&config, &set, before.as_ref())?);
                ConfigFile::of_text("", name, &set)?
            }
        };
        if let Some(before) = &before {
            before.check(&config).map_err(|error| BadInput(format!("{}: {error}", name.shown())))?;
        }
        let path = self.output.clone().unwrap_or_else(|| self.folder(&config));
        if self.print_folder {
            output::print_path(&path)?;
            return Ok(Exit::Done);
        }
        let mut group = vec![(path.clone(), config.clone())];
        for folder in &self.with {
            group.push((folder.clone(), ConfigFile::load(&folder.join("config.toml"), &[])?));
        }
        if is_worker() {
            return worker::run(&group);
        }
        if group.len() > 1 {
            return group::task(&group, self.retry_failed);
        }
        if self.task {
            return task(&path, &config, self.retry_failed);
        }
        // Before there is a folder of a trial that can't begin.
        if !config.data.are_sound() && !path.join("metrics.csv").exists() {
            let place = self.config.as_ref().map_or(String::new(), |config| format!("{}: ", config.shown()));
            prepared(&config.data).map_err(|error| BadInput(format!("{place}{error}")))?;
        }
        train_in(&path, &config, before.as_ref(), self.watch)
    }

    /// What the options say of the data.
    fn data(&self) -> Vec<Override> {
        let text = |text: &String| toml::Value::from(text.as_str());
        let list = |names: &[String]| toml::Value::from(names.iter().map(text).collect::<Vec<_>>());
        let bins: toml::Table = self.bins.iter().map(|(name, bins)| (name.clone(), i64::from(*bins).into())).collect();
        let values = [
            ("data.table", self.table.as_ref().map(text)),
            ("data.network", self.network.as_ref().map(text)),
            ("data.given", (!self.given.is_empty()).then(|| list(&self.given))),
            ("data.generate", (!self.generate.is_empty()).then(|| list(&self.generate))),
            ("data.weight", self.weight.as_ref().map(text)),
            ("data.bins", (!bins.is_empty()).then(|| bins.into())),
        ];
        values.into_iter().filter_map(|(key, value)| Some(Override::new(key, value?))).collect()
    }

    /// What a table that is a sample is trained with where nothing else is said: a trunk that adds, whose learning rate and
    /// steps keep it from learning single rows by heart.
    fn recipe_of_sample(
        &self,
        config: &Config,
        set: &[Override],
        before: Option<&Predecessor>,
    ) -> anyhow::Result<Vec<Override>> {
        let sample = self.table.is_some() && config.data.truth == TruthKind::Sample;
        if !sample || config.model.kind.is_baseline() {
            return Ok(Vec::new());
        }
        let is_said = |key: &str| set.iter().any(|set| set.gives(key));
        let mut recipe: Vec<(&str, toml::Value)> =
            vec![("model.trunk", "additive".into()), ("training.learning_rate", 0.003.into())];
        if !is_said("training.steps") {
            let task = config.data.load().map_err(|error| BadInput(error.to_string()))?;
            let steps = steps_of_sample(&task.truth, config.training.batch_size) as i64;
            let rise = (steps / 10).min(config.beta.rise as i64);
            recipe.push(("training.steps", steps.into()));
            recipe.push(("beta.rise", rise.into()));
            recipe.push(("evaluation.every", (steps / 10).min(800).into()));
        }
        // What another trial began with, this one keeps.
        if let Some(before) = before {
            let kept = ["model.trunk", "training.learning_rate", "beta.rise", "evaluation.every"];
            recipe.retain(|(key, _)| !kept.contains(key));
            recipe.extend(kept.into_iter().filter_map(|key| Some((key, before.value(key)?))));
        }
        recipe.retain(|(key, _)| !is_said(key));
        Ok(recipe.into_iter().map(|(key, value)| Override::new(key, value)).collect())
    }

    /// Refuses a key that an option and `--set` set both, or one option twice: one of them would be lost without a word.
    fn check_options(&self, data: &[Override]) -> Result<(), BadInput> {
        let of_option = |set: &Override| set.key.strip_prefix("data.").unwrap_or(&set.key).to_owned();
        for option in data.iter().chain(&self.device) {
            let inside = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
            let (key, name) = (&option.key, of_option(option));
            let holds = |set: &&Override| {
                let rest = key.strip_prefix(&format!("{}.", set.key));
                rest.is_some_and(|rest| set.value.get(rest).is_some())
            };
            let both = self.set.iter().find(|set| set.key == *key || inside(&set.key, key) || holds(set));
            if let Some(set) = both {
                return Err(BadInput(format!("--set {}: --{name} sets {key} as well; keep one of the two", set.key)));
            }
        }
        let mut names = HashSet::new();
        match self.bins.iter().find(|(name, _)| !names.insert(name.as_str())) {
            Some((name, _)) => {
                Err(BadInput(format!("--bins: column {name:?} stands there twice; keep one of the two")))
            }
            None => Ok(()),
        }
    }

    fn folder(&self, config: &Config) -> PathBuf {
        // Without a config, a run is named after its data: survey for data/survey.csv, asia for asia.bif.gz.
        let data = &config.data;
        let named = [&data.table, &data.network, &data.task].into_iter().find(|name| !name.is_empty());
        let of_data = Path::new(named.map_or("", String::as_str)).file_name().unwrap_or_default().to_string_lossy();
        let stem = of_data.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or("default");
        let experiment = match &self.config {
            Some(config) => config.file_stem().unwrap_or_default(),
            None => OsStr::new(stem),
        };
        trial_folder(&self.runs.join(experiment), config)
    }
}

/// Trains a trial as a task of a scheduler: a failed one only where it is to be run again, and with the results of the
/// experiment around it rebuilt.
///
/// # Errors
/// As [`train_in`], and when the results can't be rebuilt.
pub fn task(path: &Path, config: &Config, retry_failed: bool) -> anyhow::Result<Exit> {
    RunFolder::check_name(path, config)?;
    if !retry_failed && RunFolder::status(path)? == Status::Failed {
        let kept = files::read_text(&path.join("error.txt"))?;
        output::say!("{}: failed earlier, --retry-failed runs it again: {}", path.shown(), kept.trim());
        return Ok(Exit::Failed);
    }
    match train_in(path, config, None, false)? {
        // A task that is told to stop is one that a scheduler puts back into its queue.
        Exit::Interrupted => Ok(Exit::TryAgain),
        exit => {
            if let Some(experiment) = path.parent() {
                warn::skipped(&rebuild(experiment)?.skipped);
            }
            Ok(exit)
        }
    }
}

/// Trains in a folder, from where another trial ended where one is given, with a progress bar or a live view, and prints what came of it.
///
/// # Errors
/// When the folder is in use or training fails.
pub fn train_in(path: &Path, config: &Config, before: Option<&Predecessor>, watch: bool) -> anyhow::Result<Exit> {
    torch::hand_over_if_needed(config)?;
    let folder = RunFolder::open(path, config)?;
    folder.stamp(config)?;
    let resumes = folder.checkpoint().exists();
    if let Some(before) = before
        && let Some(words) = before.hand_over(&folder, config)?
    {
        output::say!("{}: {words}", path.shown());
    }
    if folder.metrics().exists() {
        output::say!("{}: finished earlier, nothing to do", path.shown());
    } else {
        let steps = config.training.steps;
        let what = match config.model.kind.is_baseline() {
            true => "counting".to_owned(),
            false if resumes => format!("resuming at its checkpoint, up to step {steps}"),
            false => format!("training {steps} steps"),
        };
        output::say!("{}: {what}", path.shown());
    }
    let ending = if watch && watch::has_terminal() {
        watch::beside(vec![path.to_owned()], "cvae train", |unseen| run_trial(&folder, config, unseen))?
    } else {
        let mut bar = Bar::new(config, interrupt::listen());
        let ending = run_trial(&folder, config, &mut bar);
        bar.finish();
        ending
    };
    match ending.with_context(|| format!("training in {} failed", path.shown()))? {
        TrialEnding::Finished(metrics) => {
            output::print(&report(&metrics))?;
            warn::none_held_out(config, &metrics);
            // Their remedies are those of training.
            if !config.model.kind.is_baseline() {
                warn::show(&warnings(&Figures::of(&metrics, config.model.latent_dim > 0)));
            }
            Ok(Exit::Done)
        }
        TrialEnding::Interrupted(step) => {
            output::say!("interrupted after step {step}; the same command goes on from there");
            Ok(Exit::Interrupted)
        }
    }
}

/// The final metrics, beside those of a perfect model.
fn report(metrics: &Metrics) -> String {
    let of = |measure: Measure, perfect: &str| {
        let error = measure.spec().error.map_or(f64::NAN, |error| metrics.number(error));
        (measure, measure.text(metrics.number(measure), error), perfect.to_owned())
    };
    let coverage = output::percent(metrics.number(Measure::PerfectCoverage));
    let rows = [
        of(Measure::GreedyPass, "100 %"),
        of(Measure::GreedyPassValidation, "100 %"),
        of(Measure::GreedyCoverage, &coverage),
        of(Measure::GreedyTv, "0"),
        of(Measure::INVALID_MASS, "0"),
        of(Measure::NLL_GAP, "0"),
        of(Measure::TV, "0"),
        of(Measure::PRIOR_MI, ""),
        of(Measure::ENTROPY_GIVEN_Z, ""),
    ];
    let rows = rows.map(|(measure, value, perfect)| vec![measure.spec().title.to_owned(), value, perfect]);
    let table = output::on_terminal(&mut output::table(&["figure", "model", "perfect"], rows.to_vec()));
    format!(
        "{table}\nraw output, all {} conditions: greedy decoding from {} samples each, the others exact from {} codes each \
         (± one standard error);\nvalidation conditions: {}; trained in {:.1} s; test ELBO {:.3} nats (floor {:.3}), KL \
         {:.2} nats, {} latent dimensions active, phase {}",
        metrics.count(Measure::Conditions),
        metrics.count(Measure::Samples),
        metrics.count(Measure::Codes),
        metrics.count(Measure::ValidationConditions),
        metrics.number(Measure::TrainSeconds),
        metrics.number(Measure::TestElbo),
        metrics.number(Measure::TestEntropyFloor),
        metrics.number(Measure::TestKl),
        metrics.count(Measure::ActiveUnits),
        metrics.words(Measure::Phase)
    )
}

/// A progress bar over steps, with a line for each phase and evaluation.
struct Bar {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Bar {
    fn new(config: &Config, stop: Arc<AtomicBool>) -> Self {
        let template = "{bar:30} step {human_pos}/{human_len}  {elapsed} gone, {eta} left  {wide_msg}";
        Self { bar: output::bar(config.training.steps, template), stop }
    }

    fn finish(&self) {
        output::end_bar(&self.bar);
    }
}

impl Observer for Bar {
    fn step(&mut self, progress: Progress) {
        self.bar.set_position(progress.step);
        self.bar.set_message(format!("loss {:.3}  beta {:.3}", progress.loss, progress.beta));
    }

    fn phase(&mut self, step: u64, phase: Phase) {
        let what = match phase {
            Phase::Condition => "the decoder learns what meets a condition",
            Phase::Encode => "the decoder knows it, z takes over the choice",
            Phase::Align => "z carries the choice, its distribution is matched with the prior",
        };
        output::say!("step {step:>6}  {what}");
    }

    fn evaluating(&mut self, share: f64) {
        self.bar.set_message(output::evaluating(share));
    }

    fn evaluated(&mut self, row: &Row) {
        let percent = |measure| output::percent(row.number(measure));
        output::say!(
            "step {:>6}  loss {:.3}  test ELBO {:.3}  KL {:.2}  greedy pass {}, validation {}, coverage {} (perfect {})  NLL gap {}",
            row.count(Measure::Step),
            row.number(Measure::TrainLoss),
            row.number(Measure::TestElbo),
            row.number(Measure::TestKl),
            percent(Measure::GreedyPass),
            percent(Measure::GreedyPassValidation),
            percent(Measure::GreedyCoverage),
            percent(Measure::PerfectCoverage),
            Measure::NLL_GAP.text(row.number(Measure::NLL_GAP), f64::NAN),
        );
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
