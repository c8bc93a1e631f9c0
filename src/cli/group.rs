//! Trials that train as one, as a task of a scheduler: one progress bar for all of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;

use super::exit::Exit;
use super::{interrupt, output, torch, warn};
use crate::experiment::{Config, FolderError, RunFolder, Status, TrialEnding, rebuild, run_trials};
use crate::metrics::Measure;
use crate::printable::ShownPath;
use crate::training::{Observer, Phase, Progress, Row};

/// Trains the trials in these folders as one, those that failed earlier only where they are to be run again, and
/// rebuilds the results of the experiment around them.
///
/// # Errors
/// When a folder can't be used, or the results can't be rebuilt. Failures of trials are not errors of this kind.
pub fn task(trials: &[(PathBuf, Config)], retry_failed: bool) -> anyhow::Result<Exit> {
    let Some((first, config)) = trials.first() else { return Ok(Exit::Done) };
    torch::hand_over_if_needed(config)?;
    let (mut open, mut failed, mut busy) = (Vec::new(), 0, 0);
    for (path, config) in trials {
        RunFolder::check_name(path, config)?;
        if !retry_failed && RunFolder::status(path)? == Status::Failed {
            output::say!("{}: failed earlier, --retry-failed runs it again", path.shown());
            failed += 1;
            continue;
        }
        match RunFolder::open(path, config) {
            Ok(folder) => open.push((folder, config)),
            Err(FolderError::Busy(_)) => busy += 1,
            Err(error) => return Err(error.into()),
        }
    }
    for (folder, config) in &open {
        folder.stamp(config)?;
    }
    let steps = open.iter().map(|(_, config)| config.training.steps).sum();
    output::say!("{}: training {} trials as one", first.parent().unwrap_or(first).shown(), open.len());
    let bar = output::bar(steps, "{bar:30} {pos}/{len} steps of all trials  {elapsed} gone, {eta} left");
    let stop = interrupt::listen();
    let members: Vec<_> = open.iter().map(|(folder, config)| (folder, *config)).collect();
    let watches = open.iter().map(|_| Watch { bar: bar.clone(), stop: Arc::clone(&stop), step: None }).collect();
    let mut interrupted = 0;
    run_trials(&members, watches, &mut |place, ending| {
        let name = members[place].0.path().shown();
        match &ending {
            Ok(TrialEnding::Finished(metrics)) => {
                let pass = output::percent(metrics.number(Measure::SampledPass));
                output::say!("{name}: finished, sampled pass {pass}");
            }
            Ok(TrialEnding::Interrupted(step)) => output::say!("{name}: interrupted after step {step}"),
            Err(error) => output::say!("{name}: failed: {error}"),
        }
        interrupted += usize::from(matches!(ending, Ok(TrialEnding::Interrupted(_))));
        failed += usize::from(ending.is_err());
    });
    output::end_bar(&bar);
    if let Some(experiment) = first.parent() {
        warn::skipped(&rebuild(experiment)?.skipped);
    }
    // A task that is told to stop is one that a scheduler puts back into its queue.
    Ok(match (interrupted + busy, failed) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::Failed,
        _ => Exit::TryAgain,
    })
}

/// One trial's share of the bar.
struct Watch {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    /// The last step that was told of.
    step: Option<u64>,
}

impl Observer for Watch {
    fn step(&mut self, progress: Progress) {
        self.bar.inc(self.step.map_or(progress.step, |step| progress.step.saturating_sub(step)));
        self.step = Some(progress.step);
    }

    fn phase(&mut self, _: u64, _: Phase) {}
    fn evaluating(&mut self, _: f64) {}
    fn evaluated(&mut self, _: &Row) {}

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
