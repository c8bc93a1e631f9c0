//! Trials as child processes of this machine, several side by side.
//!
//! A trial is a process: what kills it, kills only it, and libtorch's settings are its own. The lock on a
//! trial's folder is what keeps two of them apart, also those of two sweeps.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::{LaunchError, Launched, Launcher, Order, SweepObserver, prepare};
use crate::experiment::folder::{FolderError, RunFolder, Status};
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

/// Set for the children of a sweep, which report progress on standard output and end with their parent: the
/// parent's process id, the hash of the config that they are to run, and `retry` where it may have failed before.
pub const WORKER: &str = "CVAE_WORKER";

/// Whether this process was started by a sweep.
pub fn is_worker() -> bool {
    std::env::var_os(WORKER).is_some()
}

/// A child's exit code when another process holds its trial.
pub const BUSY: u8 = 75;

enum Message {
    Line(usize, String),
    Ended(usize, std::io::Result<ExitStatus>, String),
}

/// Runs what is missing of an experiment and takes up what was interrupted.
fn run(order: &Order<'_>, observer: &mut dyn SweepObserver) -> Result<SweepEnding, LaunchError> {
    let (sender, receiver) = channel();
    let jobs = order.jobs.unwrap_or_else(|| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        (cores / order.experiment.threads()).max(1)
    });
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
    /// Trials under way, with their process.
    running: Vec<(usize, u32)>,
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
                match self.start(next) {
                    Ok(()) => observer.started(next),
                    // This trial's folder alone is in the way, not the disk.
                    Err(LaunchError::Folder(error)) if !matches!(error, FolderError::File(_)) => {
                        self.refuse(next, &error, observer);
                    }
                    Err(error) => return Err(error),
                }
            }
            if stop && !signalled {
                self.signal(signals::stopping());
                signalled = true;
            }
            if self.running.is_empty() {
                let enough = enough(self);
                if stop || enough || waiting.is_empty() {
                    self.ending.interrupted = stop;
                    self.ending.left = if stop { 0 } else { waiting.len() };
                    return Ok(self.ending);
                }
                observer.waiting(waiting.len());
            }
            self.take_messages(observer, &mut waiting);
        }
    }

    fn trial(&self, index: usize) -> &Trial {
        &self.order.experiment.trials[index]
    }

    /// The trials to run, in order; failures of earlier sweeps that stay are counted.
    fn queue(&mut self) -> VecDeque<usize> {
        let mut queue = VecDeque::new();
        for (index, status) in self.order.statuses.iter().enumerate() {
            match status {
                Status::Finished => {}
                Status::Failed if !self.order.retry_failed => self.ending.failed += 1,
                Status::Failed => {
                    self.failed_before.insert(index, self.failed_at(index));
                    queue.push_back(index);
                }
                Status::Missing | Status::Running | Status::Interrupted => queue.push_back(index),
            }
        }
        queue
    }

    /// The first waiting trial that nobody runs; those that another process has ended leave the queue.
    fn next(
        &mut self,
        waiting: &mut VecDeque<usize>,
        observer: &mut dyn SweepObserver,
    ) -> Result<Option<usize>, FileError> {
        for _ in 0..waiting.len() {
            let Some(index) = waiting.pop_front() else { break };
            match RunFolder::status(&self.trial(index).folder)? {
                Status::Finished => {}
                Status::Running => waiting.push_back(index),
                Status::Failed if !self.retries(index) => {
                    self.ending.failed += 1;
                    observer.failed(index, &self.reason(index));
                }
                Status::Missing | Status::Interrupted | Status::Failed => return Ok(Some(index)),
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
        if !matches!(error, FolderError::Foreign { .. }) {
            self.kept_error(index, &error.to_string());
        }
        observer.failed(index, &error.to_string());
    }

    /// Why a trial failed, as its folder tells.
    fn reason(&self, index: usize) -> String {
        let kept = files::read_text(&self.trial(index).folder.join("error.txt"));
        kept.map_or_else(|error| error.to_string(), |text| text.trim().to_owned())
    }

    fn start(&mut self, index: usize) -> Result<(), LaunchError> {
        let trial = self.trial(index);
        prepare(trial, &self.provenance)?;
        // The child reads this file; it also refuses one that does not have the trial's hash.
        let retry = if self.retries(index) { " retry" } else { "" };
        let mut command = Command::new(&self.program);
        command
            .arg0("cvae")
            .arg("train")
            .arg(trial.folder.join("config.toml"))
            .arg("--output")
            .arg(&trial.folder)
            .env(WORKER, format!("{} {}{retry}", std::process::id(), trial.config.hash()));
        // In the process group of the sweep, so that whatever pauses or ends the group reaches its trials.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(FileError::at("start", &self.program))?;
        self.running.push((index, child.id()));
        let sender = self.sender.clone();
        thread::spawn(move || watch(index, child, &sender));
        Ok(())
    }

    fn take_messages(&mut self, observer: &mut dyn SweepObserver, waiting: &mut VecDeque<usize>) {
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
                Message::Ended(index, status, errors) => {
                    self.running.retain(|(running, _)| *running != index);
                    self.end(index, status, &errors, observer, waiting);
                }
            }
        }
    }

    fn end(
        &mut self,
        index: usize,
        status: std::io::Result<ExitStatus>,
        errors: &str,
        observer: &mut dyn SweepObserver,
        waiting: &mut VecDeque<usize>,
    ) {
        let code = status.as_ref().ok().and_then(ExitStatus::code);
        match code {
            Some(0) => observer.finished(index),
            // Another sweep was faster; it is looked at again.
            Some(code) if code == i32::from(BUSY) => waiting.push_back(index),
            // Told to stop, with the sweep or by itself; or killed with the sweep.
            _ if status.as_ref().is_ok_and(stopped) => {
                self.ending.stopped += usize::from(!observer.interrupted());
                observer.stopped(index);
            }
            _ if observer.interrupted() && code.is_none() => observer.stopped(index),
            _ => {
                self.ending.failed += 1;
                self.new_failures += 1;
                let error = match &status {
                    Ok(status) if status.code().is_none() => {
                        format!("{status}; out of memory? The same command takes it up where it was")
                    }
                    Ok(status) => {
                        let said = errors.trim().trim_start_matches("error: ");
                        let said = if said.is_empty() {
                            format!("it ended with {status} and said nothing")
                        } else {
                            said.to_owned()
                        };
                        self.kept_error(index, &said)
                    }
                    Err(error) => error.to_string(),
                };
                observer.failed(index, &error);
            }
        }
    }

    /// Sees to it that a failed trial's folder holds its error, also where the trial could not write it.
    fn kept_error(&self, index: usize, error: &str) -> String {
        let path = self.trial(index).folder.join("error.txt");
        if !path.exists() {
            // The error is shown either way; a folder that can't be written to may be the very reason.
            let _ = files::replace_text(&path, &format!("{error}\n"));
        }
        error.to_owned()
    }

    /// Pauses every trial and this process, until it is told to go on; then they go on.
    fn pause(&self) {
        self.signal(Signal::STOP);
        let _ = kill_process(getpid(), Signal::STOP);
        self.signal(Signal::CONT);
    }

    /// Sends every trial a signal.
    fn signal(&self, signal: Signal) {
        for (_, process) in &self.running {
            if let Some(process) = i32::try_from(*process).ok().and_then(Pid::from_raw) {
                // It may have ended by itself in the meantime.
                let _ = kill_process(process, signal);
            }
        }
    }
}

/// Whether a trial's process ended because it was told to stop, by its own exit code or before it could give one.
fn stopped(status: &ExitStatus) -> bool {
    let told = |signal| signals::ENDING.iter().any(|ending| ending.as_raw() == signal);
    status.code() == Some(130) || status.signal().is_some_and(told)
}

/// Passes on what a child says until it ends.
fn watch(index: usize, mut child: Child, sender: &Sender<Message>) {
    let errors = child.stderr.take().map(|mut stderr| {
        thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens once the sweep has ended; the child ends with it.
            let _ = sender.send(Message::Line(index, line));
        }
    }
    let status = child.wait();
    let errors = errors.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let _ = sender.send(Message::Ended(index, status, errors));
}
