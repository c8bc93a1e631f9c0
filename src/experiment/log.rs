//! log.txt: what happened in a trial, a line each with its time.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::files::FileError;
use crate::metrics::Measure;
use crate::printable::printable;
use crate::training::{Observer, Phase, Progress, Row};

/// What a line of a log says of a trial's progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It was begun or taken up after this step.
    Begun(u64),
    /// This step is done.
    Step(u64),
    /// It finished, failed or was interrupted.
    Ended,
}

/// Reads a line that [`Logged`] or [`super::run_trial`] has written; none for any other line.
pub fn noted(line: &str) -> Option<(jiff::Timestamp, Noted)> {
    let (at, text) = line.split_once(' ')?;
    let number = |text: &str| text.split([' ', ':']).next()?.parse().ok();
    let note = if text.starts_with("started") {
        Noted::Begun(0)
    } else if let Some(rest) = text.strip_prefix("resumed after step ") {
        Noted::Begun(number(rest)?)
    } else if let Some(rest) = text.strip_prefix("step ") {
        Noted::Step(number(rest)?)
    } else if ["finished", "failed", "interrupted"].iter().any(|ending| text.starts_with(ending)) {
        Noted::Ended
    } else {
        return None;
    };
    Some((at.parse().ok()?, note))
}

/// An observer that passes everything on and notes what is worth keeping.
#[derive(Debug)]
pub struct Logged<O> {
    observer: O,
    file: File,
}

impl<O: Observer> Logged<O> {
    /// Appends to the log in this file.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn new(observer: O, path: &Path) -> Result<Self, FileError> {
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(FileError::at("write", path))?;
        Ok(Self { observer, file })
    }

    /// Writes a line. A log that can't be written to, on a full disk, is no reason to lose the run.
    pub fn note(&mut self, text: &str) {
        let _ = self.file.write_all(line(text).as_bytes());
    }
}

/// Adds a line to the log in this file, as [`Logged::note`] does.
pub fn note(path: &Path, text: &str) {
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = file.write_all(line(text).as_bytes());
    }
}

fn line(text: &str) -> String {
    // Names from files and folders may be in it, and it is read on terminals.
    format!("{:.0} {}\n", jiff::Timestamp::now(), printable(text))
}

impl<O: Observer> Observer for Logged<O> {
    fn step(&mut self, progress: Progress) {
        self.observer.step(progress);
    }

    fn phase(&mut self, step: u64, phase: Phase) {
        self.note(&format!("step {step}: phase {} begins", phase.name()));
        self.observer.phase(step, phase);
    }

    fn evaluating(&mut self, share: f64) {
        self.observer.evaluating(share);
    }

    fn evaluated(&mut self, row: &Row) {
        self.note(&format!(
            "step {}: loss {:.4}, test ELBO {:.4}, greedy pass {:.4}, sampled pass {:.4}",
            row.count(Measure::Step),
            row.number(Measure::TrainLoss),
            row.number(Measure::TestElbo),
            row.number(Measure::GreedyPass),
            row.number(Measure::SampledPass)
        ));
        self.observer.evaluated(row);
    }

    fn interrupted(&self) -> bool {
        self.observer.interrupted()
    }
}
