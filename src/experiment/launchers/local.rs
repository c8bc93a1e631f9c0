//! Trials as child processes of this machine, several side by side.
//!
//! A trial, or a group of trials that train as one, is a process: what kills it, kills only it, and libtorch's settings
//! are its own. The lock on a trial's folder is what keeps two of them apart, also those of two sweeps.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::children::{self, BUSY, Message, TrialEnd};
use super::{LaunchError, Launched, Launcher, Order, SweepObserver, prepare};
use crate::experiment::folder::{FolderError, RunFolder, Status};
use crate::experiment::lock::Lock;
use crate::experiment::plan::Trial;
use crate::experiment::provenance::Provenance;
use crate::files::{self, FileError};
use crate::model::DeviceChoice;
use crate::signals;

/// Child processes on this machine.
#[derive(Debug)]
pub struct Local;

impl Launcher for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn about(&self) -> &'static str {
        "Child processes on this machine"
    }

    fn launch(&self, order: &Order<'_>, observer: &mut dyn SweepObserver) -> Result<Launched, LaunchError> {
        if !order.options.is_empty() {
            return Err(LaunchError::Options(
                "--sbatch is for --launcher slurm; add it, or leave --sbatch out".to_owned(),
            ));
        }
        run(order, observer).map(Launched::Ended)
    }
}

/// How a sweep ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepEnding {
    /// Trials that failed in this sweep, or earlier and were not tried again.
    pub failed: usize,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// Trials that were told to stop while the sweep was not.
    pub stopped: usize,
    /// Trials that were not started because of too many failures.
    pub left: usize,
}

/// Runs what is missing of an experiment and takes up what was interrupted.
fn run(order: &Order<'_>, observer: &mut dyn SweepObserver) -> Result<SweepEnding, LaunchError> {
    let (sender, receiver) = channel();
    let jobs = order.jobs.unwrap_or_else(|| order.fitting_jobs());
    let mut sweep = Sweep {
        order,
        jobs,
        program: program()?,
        // Git is asked once, not for every trial.
        provenance: Provenance::here(DeviceChoice::Auto),
        sender,
        receiver,
        running: Vec::new(),
        failed_before: HashMap::new(),
        new_failures: 0,
        ending: SweepEnding::default(),
    };
    let ending = sweep.run(observer);
    if ending.is_err() {
        // What ends the sweep is no reason to lose a step of the trials under way.
        sweep.signal(signals::stopping());
        while !sweep.running.is_empty() {
            sweep.take_messages(observer, &mut VecDeque::new());
        }
    }
    ending
}

/// This program as it was started, also where another has taken its place since: all trials of a sweep are trained
/// by the same.
fn program() -> Result<PathBuf, FileError> {
    let itself = Path::new("/proc/self/exe");
    if itself.exists() {
        return Ok(itself.to_owned());
    }
    std::env::current_exe().map_err(FileError::at("find", Path::new("this program")))
}

struct Sweep<'a> {
    order: &'a Order<'a>,
    jobs: usize,
    program: PathBuf,
    provenance: Provenance,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    /// Processes under way.
    running: Vec<u32>,
    /// Trials that had failed when the sweep began and are run again, with the time of their error.
    failed_before: HashMap<usize, Option<SystemTime>>,
    /// Failures of this sweep, which alone count against --max-failures.
    new_failures: usize,
    ending: SweepEnding,
}

impl Sweep<'_> {
    /// Starts trials and listens to them, until nothing is left or the sweep is told to end.
    fn run(&mut self, observer: &mut dyn SweepObserver) -> Result<SweepEnding, LaunchError> {
        let mut waiting = self.queue();
        let mut signalled = false;
        loop {
            if observer.paused() {
                self.pause();
            }
            let stop = observer.interrupted();
            let enough = |sweep: &Self| sweep.order.max_failures.is_some_and(|most| sweep.new_failures >= most);
            while !stop && !enough(self) && self.running.len() < self.jobs {
                let Some(next) = self.next(&mut waiting, observer)? else { break };
                self.start(next, observer)?;
            }
            if stop && !signalled {
                self.signal(signals::stopping());
                signalled = true;
            }
            if self.running.is_empty() {
                let enough = enough(self);
                if stop || enough || waiting.is_empty() {
                    self.ending.interrupted = stop;
                    let left = waiting.iter().map(Vec::len).sum();
                    self.ending.left = if stop { 0 } else { left };
                    return Ok(self.ending);
                }
                observer.waiting(waiting.iter().map(Vec::len).sum());
            }
            self.take_messages(observer, &mut waiting);
        }
    }

    fn trial(&self, index: usize) -> &Trial {
        &self.order.experiment.trials[index]
    }

    /// The groups to run, in order; failures of earlier sweeps that stay are counted.
    fn queue(&mut self) -> VecDeque<Vec<usize>> {
        let mut queue = VecDeque::new();
        for group in self.order.groups {
            let mut open = Vec::new();
            for index in group.iter().copied() {
                match self.order.statuses[index] {
                    Status::Finished => {}
                    Status::Failed if !self.order.retry_failed => self.ending.failed += 1,
                    Status::Failed => {
                        self.failed_before.insert(index, self.failed_at(index));
                        open.push(index);
                    }
                    Status::Missing | Status::Running | Status::Interrupted => open.push(index),
                }
            }
            if !open.is_empty() {
                queue.push_back(open);
            }
        }
        queue
    }

    /// The first waiting group of trials that nobody runs; those that another process has ended leave the queue.
    fn next(
        &mut self,
        waiting: &mut VecDeque<Vec<usize>>,
        observer: &mut dyn SweepObserver,
    ) -> Result<Option<Vec<usize>>, FileError> {
        for _ in 0..waiting.len() {
            let Some(group) = waiting.pop_front() else { break };
            let (mut open, mut elsewhere) = (Vec::new(), Vec::new());
            for index in group {
                match RunFolder::status(&self.trial(index).folder)? {
                    Status::Finished => {}
                    Status::Running => elsewhere.push(index),
                    Status::Failed if !self.retries(index) => {
                        self.ending.failed += 1;
                        observer.failed(index, &self.reason(index));
                    }
                    Status::Missing | Status::Interrupted | Status::Failed => open.push(index),
                }
            }
            if !elsewhere.is_empty() {
                waiting.push_back(elsewhere);
            }
            if !open.is_empty() {
                return Ok(Some(open));
            }
        }
        Ok(None)
    }

    /// Whether a failed trial is run again: one that had failed before this sweep began, where that is asked for.
    /// What another sweep has seen fail meanwhile would only fail again.
    fn retries(&self, index: usize) -> bool {
        self.failed_before.get(&index).is_some_and(|before| *before == self.failed_at(index))
    }

    /// When a trial failed.
    fn failed_at(&self, index: usize) -> Option<SystemTime> {
        fs::metadata(self.trial(index).folder.join("error.txt")).and_then(|kept| kept.modified()).ok()
    }

    /// A trial whose folder can't be used has failed; a folder of other things is left as it is.
    fn refuse(&mut self, index: usize, error: &FolderError, observer: &mut dyn SweepObserver) {
        self.ending.failed += 1;
        self.new_failures += 1;
        // Nor is it to be tried again by an option where removing one thing is enough.
        if !matches!(error, FolderError::Foreign { .. } | FolderError::NotAFile(_)) {
            self.kept_error(index, &error.to_string());
        }
        observer.failed(index, &error.to_string());
    }

    /// Why a trial failed, as its folder tells.
    fn reason(&self, index: usize) -> String {
        let kept = files::read_text(&self.trial(index).folder.join("error.txt"));
        kept.map_or_else(|error| error.to_string(), |text| text.trim().to_owned())
    }

    fn start(&mut self, group: Vec<usize>, observer: &mut dyn SweepObserver) -> Result<(), LaunchError> {
        let mut ready = Vec::new();
        for index in group {
            match prepare(self.trial(index), &self.provenance) {
                Ok(()) => ready.push(index),
                // This trial's folder alone is in the way, not the disk.
                Err(error) if !matches!(error, FolderError::File(_)) => self.refuse(index, &error, observer),
                Err(error) => return Err(error.into()),
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        // Where there are no locks, no trial can be trained: that is told once, and no trial has failed.
        for index in &ready {
            drop(Lock::take(&self.trial(*index).folder.join("lock"))?);
        }
        let trials: Vec<_> = ready.iter().map(|index| (*index, self.trial(*index), self.retries(*index))).collect();
        let process = children::start(&self.program, &trials, self.sender.clone())?;
        ready.iter().for_each(|index| observer.started(*index));
        self.running.push(process);
        Ok(())
    }

    fn take_messages(&mut self, observer: &mut dyn SweepObserver, waiting: &mut VecDeque<Vec<usize>>) {
        // The pause is short enough for Ctrl-C, and for another sweep's trials to be looked at again.
        let first = self.receiver.recv_timeout(Duration::from_millis(100));
        for message in first.into_iter().chain(self.receiver.try_iter().collect::<Vec<_>>()) {
            match message {
                Message::Line(index, line) => {
                    let (step, rest) = line.split_once(' ').unwrap_or((&line, ""));
                    if let Ok(step) = step.parse() {
                        observer.progress(index, step, rest);
                    }
                }
                // The process goes on with the others.
                Message::Trial(index, how) => self.end(index, how, observer, waiting),
                Message::Ended(process, left, status, errors) => {
                    self.running.retain(|running| *running != process);
                    for index in left {
                        match outcome(&status, &errors, observer.interrupted()) {
                            Ok(how) => self.end(index, how, observer, waiting),
                            Err(killed) => self.fail(index, &killed, observer),
                        }
                    }
                }
            }
        }
    }

    fn end(
        &mut self,
        index: usize,
        how: TrialEnd,
        observer: &mut dyn SweepObserver,
        waiting: &mut VecDeque<Vec<usize>>,
    ) {
        match how {
            TrialEnd::Finished => observer.finished(index),
            // Another sweep was faster; it is looked at again.
            TrialEnd::Busy => waiting.push_back(vec![index]),
            // Told to stop, with the sweep or by itself.
            TrialEnd::Stopped => {
                self.ending.stopped += usize::from(!observer.interrupted());
                observer.stopped(index);
            }
            TrialEnd::Failed(said) => {
                self.kept_error(index, &said);
                self.fail(index, &said, observer);
            }
        }
    }

    fn fail(&mut self, index: usize, error: &str, observer: &mut dyn SweepObserver) {
        self.ending.failed += 1;
        self.new_failures += 1;
        observer.failed(index, error);
    }

    /// Sees to it that a failed trial's folder holds its error, also where the trial could not write it.
    fn kept_error(&self, index: usize, error: &str) {
        let path = self.trial(index).folder.join("error.txt");
        if !path.exists() {
            // The error is shown either way; a folder that can't be written to may be the very reason.
            let _ = files::replace_text(&path, &format!("{error}\n"));
        }
    }

    /// Pauses every trial and this process, until it is told to go on; then they go on.
    fn pause(&self) {
        self.signal(Signal::STOP);
        let _ = kill_process(getpid(), Signal::STOP);
        self.signal(Signal::CONT);
    }

    /// Sends every trial a signal.
    fn signal(&self, signal: Signal) {
        for process in &self.running {
            if let Some(process) = i32::try_from(*process).ok().and_then(Pid::from_raw) {
                // It may have ended by itself in the meantime.
                let _ = kill_process(process, signal);
            }
        }
    }
}

/// How the trials of a process ended that did not tell by themselves; what killed it where a signal did.
fn outcome(status: &std::io::Result<ExitStatus>, errors: &str, interrupted: bool) -> Result<TrialEnd, String> {
    let status = status.as_ref().map_err(ToString::to_string)?;
    Ok(match status.code() {
        Some(0) => TrialEnd::Finished,
        Some(code) if code == i32::from(BUSY) => TrialEnd::Busy,
        _ if children::stopped(status) => TrialEnd::Stopped,
        // Killed with the sweep.
        None if interrupted => TrialEnd::Stopped,
        None => return Err(format!("{status}; out of memory? The same command takes it up where it was")),
        Some(_) => {
            let said = errors.trim().trim_start_matches("error: ");
            let nothing = || format!("it ended with {status} and said nothing");
            TrialEnd::Failed(if said.is_empty() { nothing() } else { said.to_owned() })
        }
    })
}
