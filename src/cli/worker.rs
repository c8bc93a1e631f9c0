//! A trial run on behalf of a sweep: progress as lines on standard output, and an end with its parent.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::exit::Exit;
use super::{interrupt, torch};
use crate::experiment::{Config, FolderError, RunFolder, TrialEnding, WORKER, run_trial};
use crate::metrics::Measure;
use crate::training::{Observer, Phase, Progress, Row};

/// Runs a trial for the sweep that started this process.
///
/// # Errors
/// When training fails.
pub fn run(folder: &Path, config: &Config) -> anyhow::Result<Exit> {
    let order = std::env::var(WORKER).unwrap_or_default();
    let mut words = order.split(' ');
    let (parent, hash, retry) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().is_some());
    end_with_parent(parent);
    if config.hash() != hash {
        return Err(FolderError::OtherConfig(folder.to_owned()).into());
    }
    torch::hand_over_if_needed(config)?;
    let folder = match RunFolder::open(folder, config) {
        Ok(folder) => folder,
        Err(FolderError::Busy(_)) => return Ok(Exit::TryAgain),
        Err(error) => return Err(error.into()),
    };
    // Another sweep has run it since this one looked, and has seen it fail.
    if folder.error().exists() && !retry {
        return Ok(Exit::TryAgain);
    }
    let mut reporter = Reporter { stop: interrupt::listen(), last: None, step: 0 };
    match run_trial(&folder, config, &mut reporter)? {
        TrialEnding::Finished(_) => Ok(Exit::Done),
        TrialEnding::Interrupted(_) => Ok(Exit::Interrupted),
    }
}

/// A sweep that is killed must not leave trials running: the command run again would wait for them, or
/// believe them dead.
fn end_with_parent(parent: &str) {
    // Where the system can't do this, the trial's lock still keeps others away.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let parent = parent.parse().ok();
    let alive = getppid().map(|parent| parent.as_raw_nonzero().get());
    if parent != alive {
        std::process::exit(130);
    }
}

/// Says `step message` a few times a second.
struct Reporter {
    stop: Arc<AtomicBool>,
    last: Option<Instant>,
    step: u64,
}

impl Reporter {
    /// A line a few times a second, however often there is something to say.
    fn now_and_then(&mut self, message: &str) {
        const PAUSE: Duration = Duration::from_millis(200);
        if self.last.is_none_or(|last| last.elapsed() >= PAUSE) {
            self.last = Some(Instant::now());
            self.say(&format!("{} {message}", self.step));
        }
    }

    fn say(&mut self, line: &str) {
        // A closed pipe means that the sweep is gone, and this process with it.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

impl Observer for Reporter {
    fn step(&mut self, progress: Progress) {
        self.step = progress.step;
        self.now_and_then(&format!("loss {:.3}  beta {:.3}", progress.loss, progress.beta));
    }

    fn phase(&mut self, step: u64, phase: Phase) {
        self.say(&format!("{step} phase {}", phase.name()));
    }

    fn evaluating(&mut self, share: f64) {
        self.now_and_then(&format!("evaluating {:.0} %", 100.0 * share));
    }

    fn evaluated(&mut self, row: &Row) {
        self.say(&format!("{} greedy pass {:.4}", row.count(Measure::Step), row.number(Measure::GreedyPass)));
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
