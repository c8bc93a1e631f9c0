//! Trials run on behalf of a sweep: progress as lines on standard output, and an end with its parent.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::exit::Exit;
use super::{interrupt, output, torch};
use crate::experiment::{Config, ENDED, FolderError, RunFolder, TrialEnd, TrialEnding, WORKER, run_trials};
use crate::metrics::Measure;
use crate::training::{Observer, Phase, Progress, Row};

/// Runs trials for the sweep that started this process: one, or several that train as one.
///
/// # Errors
/// When training fails; where there are several trials, each says how it ended.
pub fn run(trials: &[(PathBuf, Config)]) -> anyhow::Result<Exit> {
    let order = std::env::var(WORKER).unwrap_or_default();
    let mut words = order.split(' ');
    end_with_parent(words.next().unwrap_or(""));
    let hashes: Vec<(&str, bool)> =
        words.map(|word| word.strip_suffix('+').map_or((word, false), |hash| (hash, true))).collect();
    let ordered = trials.iter().map(|(_, config)| config.hash());
    if let Some(((path, _), _)) = trials
        .iter()
        .zip(ordered)
        .zip(&hashes)
        .find_map(|((trial, hash), (wanted, _))| (hash != *wanted).then_some((trial, hash)))
    {
        return Err(FolderError::OtherConfig(path.to_owned()).into());
    }
    let Some((_, first)) = trials.first().filter(|_| trials.len() == hashes.len()) else { return Ok(Exit::TryAgain) };
    torch::hand_over_if_needed(first)?;
    let stop = interrupt::listen();
    let (mut open, mut reporters) = (Vec::new(), Vec::new());
    for (place, ((path, config), (_, retry))) in trials.iter().zip(&hashes).enumerate() {
        let group = (trials.len() > 1).then_some(place);
        let reporter = Reporter { group, stop: Arc::clone(&stop), last: None, step: 0 };
        match RunFolder::open(path, config) {
            // Another sweep has run it since this one looked, and has seen it fail.
            Ok(folder) if folder.error().exists() && !retry => reporter.end(&TrialEnd::Busy),
            Ok(folder) => {
                open.push((folder, config));
                reporters.push(reporter);
            }
            Err(FolderError::Busy(_)) => reporter.end(&TrialEnd::Busy),
            Err(error) if group.is_some() => reporter.end(&TrialEnd::Failed(error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    let members: Vec<_> = open.iter().map(|(folder, config)| (folder, *config)).collect();
    let ends: Vec<Reporter> = reporters.iter().map(Reporter::again).collect();
    // The only trial's folder is in use: its sweep is told by the exit code.
    let mut exit = if trials.len() == 1 { Err(Exit::TryAgain) } else { Ok(Exit::Done) };
    let mut failure = None;
    run_trials(&members, reporters, &mut |place, ending| {
        let (how, code) = match &ending {
            Ok(TrialEnding::Finished(_)) => (TrialEnd::Finished, Exit::Done),
            Ok(TrialEnding::Interrupted(_)) => (TrialEnd::Stopped, Exit::Interrupted),
            Err(error) => (TrialEnd::Failed(error.to_string()), Exit::Failed),
        };
        ends[place].end(&how);
        exit = Ok(code);
        failure = ending.err();
    });
    match (exit, failure) {
        (_, Some(error)) if trials.len() == 1 => Err(error.into()),
        (Ok(exit) | Err(exit), _) => Ok(exit),
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
    /// Its place, where the process has several trials.
    group: Option<usize>,
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

    fn say(&self, line: &str) {
        let place = self.group.map_or(String::new(), |place| format!("{place} "));
        // A closed pipe means that the sweep is gone, and this process with it.
        let _ = writeln!(std::io::stdout(), "{place}{line}");
    }

    /// Says how the trial ended; of a process's only one its exit code tells that.
    fn end(&self, how: &TrialEnd) {
        if self.group.is_some() {
            self.say(&format!("{ENDED} {}", how.line()));
        }
    }

    /// Another one of the same trial.
    fn again(&self) -> Self {
        Self { group: self.group, stop: Arc::clone(&self.stop), last: None, step: 0 }
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
        self.now_and_then(&output::evaluating(share));
    }

    fn evaluated(&mut self, row: &Row) {
        self.say(&format!("{} greedy pass {:.4}", row.count(Measure::Step), row.number(Measure::GreedyPass)));
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
