//! The view as a part of `train` and `sweep`: what they run tells nothing on the screen while the view is on it.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{LeftBy, view};
use crate::cli::{interrupt, output};
use crate::experiment::{Experiment, LiveRuns, SweepObserver};
use crate::metrics::Row;
use crate::training::{Observer, Phase, Progress};

/// Does some work while its trials are shown. Leaving the view does not end the work; Ctrl-C asks it to end.
///
/// # Errors
/// When the terminal fails; the work is done all the same.
pub fn beside<T: Send>(
    roots: Vec<PathBuf>,
    title: &str,
    work: impl FnOnce(&mut Unseen<'_>) -> T + Send,
) -> anyhow::Result<T> {
    let (stop, hidden, lines) = (interrupt::listen(), AtomicBool::new(true), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        let mut unseen = Unseen { experiment: None, stop: &stop, hidden: &hidden, lines: &lines };
        let worker = scope.spawn(move || work(&mut unseen));
        let state = || {
            let note = if stop.load(Ordering::Relaxed) { "stopping; what is done is kept" } else { "" };
            (worker.is_finished(), note.to_owned())
        };
        let left = view(LiveRuns::new(roots), title, Duration::from_secs(1), &state);
        hidden.store(false, Ordering::Relaxed);
        let told: Vec<String> = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
        told.iter().for_each(|line| output::say!("{line}"));
        if matches!(left, Ok(LeftBy::Stopping)) {
            stop.store(true, Ordering::Relaxed);
            output::say!("stopping; what is done is kept");
        } else if !worker.is_finished() {
            output::say!("the view is closed, training goes on; Ctrl-C stops it");
        }
        let done = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        left.map(|_| done)
    })
}

/// Listens to a run or a sweep, and keeps what there is to say until the view is closed.
#[derive(Debug)]
pub struct Unseen<'a> {
    experiment: Option<&'a Experiment>,
    stop: &'a AtomicBool,
    hidden: &'a AtomicBool,
    lines: &'a Mutex<Vec<String>>,
}

impl<'a> Unseen<'a> {
    /// The same for a sweep, whose trials have names.
    pub fn of<'e>(&self, experiment: &'e Experiment) -> Unseen<'e>
    where
        'a: 'e,
    {
        let Unseen { stop, hidden, lines, .. } = *self;
        Unseen { experiment: Some(experiment), stop, hidden, lines }
    }

    fn line(&self, what: &str, trial: usize, rest: &str) {
        let name = self.experiment.map_or("", |experiment| &experiment.trials[trial].name);
        let line = format!("{what:<10}{name}{rest}");
        if self.hidden.load(Ordering::Relaxed) {
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        } else {
            output::say!("{line}");
        }
    }
}

impl SweepObserver for Unseen<'_> {
    fn started(&mut self, _: usize) {}

    fn progress(&mut self, _: usize, _: u64, _: &str) {}

    fn finished(&mut self, trial: usize) {
        self.line("finished", trial, "");
    }

    fn failed(&mut self, trial: usize, error: &str) {
        self.line("FAILED", trial, &format!(": {error}"));
    }

    fn stopped(&mut self, trial: usize) {
        self.line("stopped", trial, "");
    }

    fn waiting(&mut self, _: usize) {}

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn paused(&mut self) -> bool {
        false
    }
}

impl Observer for Unseen<'_> {
    fn step(&mut self, _: Progress) {}

    fn phase(&mut self, _: u64, _: Phase) {}

    fn evaluating(&mut self, _: f64) {}

    fn evaluated(&mut self, _: &Row) {}

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
