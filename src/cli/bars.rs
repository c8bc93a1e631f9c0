//! The bars of a sweep: one over all of its steps, and one for each running trial.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::{HumanDuration, ProgressBar};

use super::{interrupt, output};
use crate::experiment::{Experiment, Metrics, Status, SweepObserver, Trial};
use crate::metrics::Measure;

/// Running trials that have a line of their own.
const SHOWN: usize = 12;

/// One bar for the whole, over the steps of all trials, and one line for each running trial.
pub struct Bars<'a> {
    experiment: &'a Experiment,
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
    overall: ProgressBar,
    running: Vec<(usize, ProgressBar)>,
    finished: usize,
    /// Steps of the finished trials.
    done_steps: u64,
    /// Steps that were done when this sweep began, and when that was.
    first_step: u64,
    began: Instant,
    waiting: bool,
}

impl<'a> Bars<'a> {
    /// Bars of an experiment whose trials are in these states.
    ///
    /// # Errors
    /// When nobody can listen for Ctrl-Z.
    pub fn new(experiment: &'a Experiment, statuses: &[Status]) -> anyhow::Result<Self> {
        // In steps, so that the time left is known before the first trial is finished.
        let steps = |trial: &Trial| trial.config.training.steps;
        let overall = output::bar(
            experiment.trials.iter().map(steps).sum(),
            "{bar:30} {prefix} trials  {elapsed} gone, {wide_msg}",
        );
        let done: Vec<&Trial> = experiment
            .trials
            .iter()
            .zip(statuses)
            .filter(|(_, status)| **status == Status::Finished)
            .map(|(trial, _)| trial)
            .collect();
        let (finished, done_steps) = (done.len(), done.into_iter().map(steps).sum());
        overall.set_position(done_steps);
        let bars = Self {
            experiment,
            stop: interrupt::listen(),
            pause: interrupt::listen_for_pause()?,
            overall,
            running: Vec::new(),
            finished,
            done_steps,
            first_step: done_steps,
            began: Instant::now(),
            waiting: false,
        };
        bars.refresh();
        Ok(bars)
    }

    fn steps(&self, trial: usize) -> u64 {
        self.experiment.trials[trial].config.training.steps
    }

    fn refresh(&self) {
        let running: u64 = self.running.iter().map(|(_, bar)| bar.position()).sum();
        let position = self.done_steps + running;
        self.overall.set_position(position);
        // The mean pace since this sweep began: evaluations make no steps, and a recent pace would jump.
        let (done, left) =
            (position.saturating_sub(self.first_step), self.overall.length().unwrap_or(0).saturating_sub(position));
        let gone = self.began.elapsed();
        let left = (done > 0).then(|| HumanDuration(gone.mul_f64(left as f64 / done as f64)).to_string());
        let left = left.unwrap_or_else(|| "?".to_owned());
        let (finished, all) = (self.finished, self.experiment.trials.len());
        self.overall.set_prefix(format!("{finished}/{all}"));
        self.overall.set_message(format!("{left} left"));
    }

    fn name(&self, trial: usize) -> &str {
        &self.experiment.trials[trial].name
    }

    fn end(&mut self, trial: usize) {
        if let Some(place) = self.running.iter().position(|(running, _)| *running == trial) {
            output::end_bar(&self.running.swap_remove(place).1);
        }
    }

    /// Takes them off the screen.
    pub fn clear(&self) {
        output::end_bar(&self.overall);
    }
}

/// How good a finished trial is, in a few words.
fn quality(trial: &Trial) -> String {
    // Whatever is wrong with the file is told where the results are rebuilt.
    Metrics::read(&trial.folder.join("metrics.csv")).map_or(String::new(), |metrics| {
        let percent = |measure| output::percent(metrics.number(measure));
        format!(
            "  pass {} greedy, {} sampled, {} held out",
            percent(Measure::GreedyPass),
            percent(Measure::SampledPass),
            percent(Measure::GreedyPassValidation)
        )
    })
}

impl SweepObserver for Bars<'_> {
    fn started(&mut self, trial: usize) {
        // A group of a hundred trials would not fit the screen; the overall bar counts them all.
        let bar = match self.running.len() {
            0..SHOWN => output::bar(self.steps(trial), "  {bar:20} {pos}/{len}  {wide_msg}"),
            _ => ProgressBar::hidden(),
        };
        bar.set_message(self.name(trial).to_owned());
        self.running.push((trial, bar));
        self.waiting = false;
    }

    fn progress(&mut self, trial: usize, step: u64, message: &str) {
        if let Some((_, bar)) = self.running.iter().find(|(running, _)| *running == trial) {
            bar.set_position(step);
            bar.set_message(format!("{message}  {}", self.name(trial)));
        }
        self.refresh();
    }

    fn finished(&mut self, trial: usize) {
        self.end(trial);
        self.finished += 1;
        self.done_steps += self.steps(trial);
        self.refresh();
        output::say!("finished  {}{}", self.name(trial), quality(&self.experiment.trials[trial]));
    }

    fn failed(&mut self, trial: usize, error: &str) {
        self.end(trial);
        output::say!("FAILED    {}: {error}", self.name(trial));
    }

    fn stopped(&mut self, trial: usize) {
        self.end(trial);
        output::say!("stopped   {}", self.name(trial));
    }

    fn waiting(&mut self, trials: usize) {
        if !self.waiting {
            self.waiting = true;
            output::say!("waiting for {trials} trials that another process runs");
        }
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn paused(&mut self) -> bool {
        self.pause.swap(false, Ordering::Relaxed)
    }
}
