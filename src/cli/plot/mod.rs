//! `cvae plot`: charts of what runs logged, and of the weights where there are any.

mod listed;
mod measures;
mod passes;
mod rate;
mod settings;
mod sweep;
mod training;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;

use listed::Listed;

use super::exit::{BadInput, Exit};
use super::inspect::Charts;
use super::{output, warn};
use crate::analysis::{best, distinct, mixed_provenance, named};
use crate::experiment::{Outcome, Reading, Run};
use crate::figures::{Chart, both, write_both};
use crate::printable::ShownPath;
use crate::task::Notation;

/// Draw charts of runs: training, pass rates, sweeps, ablations, and what the weights generate
///
/// RUNS are experiments, single trials, or folders that hold such. Each gets a folder of charts, as PNG and
/// SVG, with the same bytes every time. A chart that does not apply is left out, with the reason. Failed and diverged
/// trials are marked; trials that can't be read are left out with a warning. Charts of earlier calls that no longer
/// apply are removed: those that charts.sha256 lists, as they were drawn. Where a run holds weights of a model of dates, charts of what they generate are added: the
/// diversity of a condition, the coverage of all, and the latent code. `cvae plot model` draws those of the released model.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae plot runs/latent_beta
  cvae plot runs model -o plots
  cvae plot runs/quick/latent_dim4-seed1-0a1b2c3d4e5f --condition '[WED] [JAN] [False] [181]'")]
pub struct Plot {
    /// Experiments, trials, or folders that hold such
    #[arg(value_name = "RUNS", required = true, value_parser = super::place())]
    runs: Vec<PathBuf>,
    /// Folder for the charts; each run has its own inside
    #[arg(short, long, value_name = "DIR", default_value = "plots", value_parser = super::place())]
    output: PathBuf,
    /// Condition of dates whose diversity is drawn, where there are weights
    #[arg(long, default_value = "[MON] [DEC] [False] [196]")]
    condition: String,
    /// Dates drawn for each condition, where there are weights of a model of dates
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000,
          value_parser = crate::cli::whole::<u32>(1, 1_000_000), allow_negative_numbers = true)]
    samples: u32,
    /// Charts of the logs alone, none of what weights generate
    #[arg(long, conflicts_with_all = ["samples", "condition"])]
    logs: bool,
}

/// A chart, or why there is none.
enum Drawn<C> {
    /// It can be drawn.
    Chart(C),
    /// It does not apply, and why.
    Skipped(String),
}

impl<C> Drawn<C> {
    fn chart(&self) -> Option<&C> {
        match self {
            Self::Chart(chart) => Some(chart),
            Self::Skipped(_) => None,
        }
    }
}

impl Plot {
    /// Reads the runs and draws them.
    ///
    /// # Errors
    /// When no run can be read, or a chart can't be written.
    pub fn run(self) -> anyhow::Result<Exit> {
        let charts = Charts::new(&self.condition, self.samples)?;
        let runs = found(&self.runs)?;
        let mut exit = Exit::Done;
        for run in &runs {
            let drawn = draw(run, &self.output.join(&run.name), Some(&charts).filter(|_| !self.logs));
            match drawn {
                // One run whose table is gone, say, is no reason to draw none of the others.
                Err(error) if runs.len() > 1 => {
                    let code = Exit::report(&error.context(run.name.clone()));
                    exit = if exit == Exit::Done { code } else { exit };
                }
                drawn => drawn?,
            }
        }
        Ok(exit)
    }
}

/// The runs at these paths, no two of one name. Trials that can't be read, and those that are there twice, are left out
/// with a warning.
///
/// # Errors
/// When a path holds no run, none can be read, or two share a name.
pub(super) fn found(paths: &[PathBuf]) -> anyhow::Result<Vec<Run>> {
    super::check_there(paths)?;
    let mut runs: Vec<Run> = Vec::new();
    for path in paths {
        let found = Run::find(path, Reading::ALL)?;
        if found.is_empty() {
            return Err(BadInput(format!(
                "no run (config.toml or results.csv) in {}; name a folder that cvae train or cvae sweep wrote",
                path.shown()
            ))
            .into());
        }
        runs.extend(found);
    }
    if runs.iter().all(|run| run.trials.is_empty())
        && let Some(first) = runs.iter_mut().find_map(|run| run.skipped.pop())
    {
        // The only trial that was named, say: its damage is the answer.
        for run in &runs {
            warn::skipped(&run.skipped);
        }
        return Err(first.reason.into());
    }
    for run in &mut runs {
        warn::skipped(&run.skipped);
        let (trials, duplicates) = distinct(std::mem::take(&mut run.trials));
        warn::duplicates(&duplicates);
        run.trials = trials;
    }
    runs.retain(|run| !run.trials.is_empty());
    let mut names = HashSet::new();
    for run in &runs {
        if !names.insert(run.name.clone()) {
            let name = &run.name;
            return Err(
                BadInput(format!("two runs are called {name:?}; plot each into a folder of its own (-o)")).into()
            );
        }
    }
    Ok(runs)
}

/// Draws what the logs of all runs in a folder hold, each into its own folder inside `output`.
///
/// # Errors
/// As [`Plot::run`].
pub fn logs(runs: &Path, output: &Path) -> anyhow::Result<()> {
    found(&[runs.to_owned()])?.iter().try_for_each(|run| draw(run, &output.join(&run.name), None))
}

/// Draws one run into its folder; of weights only where charts of them are asked for.
///
/// # Errors
/// When a chart can't be written.
fn draw(run: &Run, folder: &Path, charts: Option<&Charts>) -> anyhow::Result<()> {
    mixed_provenance(&named(&run.trials)).iter().for_each(|mixed| output::say!("warning: {}: {mixed}", run.name));
    let mut place = Place { folder: folder.to_owned(), listed: Listed::read(folder)? };
    place.add("training", training::losses(run))?;
    place.add("pass_by_field", passes::pass_by_field(run))?;
    place.add("pass_by_setting", passes::pass_by_setting(run))?;
    let lines = sweep::lines(run);
    let notes = lines.chart().map(|lines| lines.notes.as_slice()).unwrap_or_default();
    let edge = notes.iter().filter(|note| note.contains(sweep::EDGE));
    edge.for_each(|note| output::say!("{}: {note}", run.name));
    place.add("sweep", lines)?;
    place.add("heatmaps", sweep::maps(run))?;
    place.add("rate_distortion", rate::distortion(run))?;
    let (key, parts) = settings::parts(run).unwrap_or_default();
    let mut drawn = Vec::new();
    for (number, (value, trials)) in parts.iter().enumerate() {
        // A value may be anything, and a file's name may not.
        let plain =
            !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let name = if plain { format!("settings_{value}") } else { format!("settings_{number}") };
        place.add(&name, settings::ranking(run, trials, &format!(", {key} = {value}")))?;
        drawn.push(name);
    }
    let is_drawn = |chart: &str| drawn.iter().any(|name| chart.rsplit_once('.').is_some_and(|(stem, _)| stem == name));
    say_removed(&place.listed.remove(|chart| chart.starts_with("settings_") && !is_drawn(chart))?);
    place.add(
        "settings",
        match parts.is_empty() {
            true => settings::ranking(run, &run.trials, ""),
            false => Drawn::Skipped(format!("there is one for each of {key}")),
        },
    )?;
    let failed = run.trials.iter().filter(|trial| matches!(trial.outcome, Outcome::Failed(_)));
    for trial in failed.take(5) {
        if let Outcome::Failed(reason) = &trial.outcome {
            output::say!("{}: {} failed: {}", run.name, trial.name, reason.lines().next().unwrap_or_default());
        }
    }
    let Some(charts) = charts else { return Ok(()) };
    let best = best(named(&run.trials));
    let model = best.as_ref().and_then(|best| best.trials.iter().find_map(|trial| trial.weights()));
    if !Charts::are_of(folder, model)? {
        say_removed(&place.listed.remove(Charts::draws)?);
    }
    match model {
        Some(model) if super::load_model(Some(model))?.0.schema.notation == Notation::Named => {
            output::say!("left out of {}: what the weights generate, which is drawn of dates alone", run.name);
        }
        Some(model) => {
            place.say_written(&charts.draw(model, folder)?)?;
            output::say!("{}: charts of generated dates are of the model in {}", run.name, model.shown());
        }
        None => output::say!(
            "left out of {}: what the weights generate, since the best trials have none; cvae plot model draws the \
             released model's",
            run.name
        ),
    }
    Ok(())
}

fn say_removed(charts: &[PathBuf]) {
    charts.iter().for_each(|path| output::say!("removed {}, a chart of an earlier call", path.shown()));
}

/// Where charts go.
struct Place {
    folder: PathBuf,
    listed: Listed,
}

impl Place {
    fn add(&mut self, name: &str, drawn: Drawn<impl Chart>) -> anyhow::Result<()> {
        match drawn {
            Drawn::Chart(chart) => {
                self.say_written(&write_both(&chart, &self.folder, name)?)?;
            }
            Drawn::Skipped(why) => {
                output::say!("left out of {}: {name}, since {why}", self.folder.shown());
                // What an earlier call drew there is no longer true of the run.
                let files = both(Path::new(""), name);
                say_removed(&self.listed.remove(|listed| files.iter().any(|file| file == Path::new(listed)))?);
            }
        }
        Ok(())
    }

    fn say_written(&mut self, paths: &[PathBuf]) -> anyhow::Result<()> {
        paths.iter().for_each(|path| output::say!("wrote {}", path.shown()));
        Ok(self.listed.add(paths)?)
    }
}
