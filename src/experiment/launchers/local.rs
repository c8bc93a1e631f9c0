//! Running an experiment's trials in child processes, several side by side.
//!
//! A trial is a process: what kills it, kills only it, and libtorch's settings are its own. The lock on a
//! trial's folder is what keeps two of them apart, also those of two sweeps.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::config::DeviceChoice;
use super::folder::{RunFolder, Status};
use super::plan::{Experiment, Trial};
use super::provenance::Provenance;
use crate::files::{self, FileError};

/// How a sweep is run.
#[derive(Clone, Copy, Debug)]
pub struct RunnerOptions {
    /// Trials side by side.
    pub jobs: usize,
    /// Run failed trials again.
    pub retry_failed: bool,
    /// Start no more trials after so many failures.
    pub max_failures: Option<usize>,
}

/// What a sweep tells about itself while it goes on; trials are named by their place in the experiment.
pub trait SweepObserver {
    /// A trial has been started.
    fn started(&mut self, trial: usize);
    /// A running trial has done so many steps; what it says of itself.
    fn progress(&mut self, trial: usize, step: u64, message: &str);
    /// A trial is finished.
    fn finished(&mut self, trial: usize);
    /// A trial failed, and why.
    fn failed(&mut self, trial: usize, error: &str);
    /// A trial stopped because the sweep was interrupted.
    fn stopped(&mut self, trial: usize);
    /// Nothing is left but what another process runs.
    fn waiting(&mut self, trials: usize);
    /// Whether the sweep shall end.
    fn interrupted(&self) -> bool;
}

/// How a sweep ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepEnding {
    /// Trials that failed in this sweep, or earlier and were not tried again.
    pub failed: usize,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// Trials that were not started because of too many failures.
    pub left: usize,
}

/// Set for the children of a sweep, which report progress on standard output and end with their parent: the
/// parent's process id, and the hash of the config that they are to run.
pub const WORKER: &str = "CVAE_WORKER";
/// A child's exit code when another process holds its trial.
pub const BUSY: u8 = 75;

enum Message {
    Line(usize, String),
    Ended(usize, std::io::Result<ExitStatus>, String),
}

/// Runs what is missing of an experiment and takes up what was interrupted.
///
/// # Errors
/// When a trial's folder can't be made or no process can be started.
pub fn run_experiment(
    experiment: &Experiment,
    options: RunnerOptions,
    program: &Path,
    observer: &mut impl SweepObserver,
) -> Result<SweepEnding, FileError> {
    // Git is asked once, not for every trial.
    let provenance = Provenance::here(DeviceChoice::Auto);
    let (sender, receiver) = channel();
    let mut sweep = Sweep {
        experiment,
        options,
        program,
        provenance,
        sender,
        receiver,
        running: Vec::new(),
        new_failures: 0,
        ending: SweepEnding::default(),
    };
    let mut waiting = sweep.queue();
    let mut signalled = false;
    loop {
        let stop = observer.interrupted();
        let enough = options.max_failures.is_some_and(|most| sweep.new_failures >= most);
        while !stop && !enough && sweep.running.len() < options.jobs {
            let Some(next) = sweep.next(&mut waiting) else { break };
            sweep.start(next)?;
            observer.started(next);
        }
        if stop && !signalled {
            sweep.interrupt();
            signalled = true;
        }
        if sweep.running.is_empty() {
            if stop || enough || waiting.is_empty() {
                sweep.ending.interrupted = stop;
                sweep.ending.left = if stop { 0 } else { waiting.len() };
                return Ok(sweep.ending);
            }
            observer.waiting(waiting.len());
        }
        sweep.take_messages(observer, &mut waiting);
    }
}

struct Sweep<'a> {
    experiment: &'a Experiment,
    options: RunnerOptions,
    program: &'a Path,
    provenance: Provenance,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    /// Trials under way, with their process.
    running: Vec<(usize, u32)>,
    /// Failures of this sweep, which alone count against --max-failures.
    new_failures: usize,
    ending: SweepEnding,
}

impl Sweep<'_> {
    /// The trials to run, in order; failures of earlier sweeps that stay are counted.
    fn queue(&mut self) -> VecDeque<usize> {
        let statuses = self.experiment.statuses();
        let mut queue = VecDeque::new();
        for (index, status) in statuses.into_iter().enumerate() {
            match status {
                Status::Finished => {}
                Status::Failed if !self.options.retry_failed => self.ending.failed += 1,
                Status::Missing | Status::Running | Status::Interrupted | Status::Failed => queue.push_back(index),
            }
        }
        queue
    }

    /// The first waiting trial that nobody runs; those that another process has finished leave the queue.
    fn next(&self, waiting: &mut VecDeque<usize>) -> Option<usize> {
        for _ in 0..waiting.len() {
            let index = waiting.pop_front()?;
            match RunFolder::status(&self.experiment.trials[index].folder) {
                Status::Finished => {}
                Status::Running => waiting.push_back(index),
                Status::Missing | Status::Interrupted | Status::Failed => return Some(index),
            }
        }
        None
    }

    fn start(&mut self, index: usize) -> Result<(), FileError> {
        let Trial { folder, config, .. } = &self.experiment.trials[index];
        files::make_folder(folder)?;
        let path = folder.join("config.toml");
        if !path.exists() {
            let provenance = self.provenance.on(config.device);
            files::replace_text(&path, &config.to_toml(Some(provenance)))?;
        }
        // The child reads this file; it also refuses one that does not have the trial's hash.
        let mut command = Command::new(self.program);
        command
            .arg("train")
            .arg(&path)
            .arg("--output")
            .arg(folder)
            .env(WORKER, format!("{} {}", std::process::id(), config.hash()));
        // Ctrl-C reaches this process alone, which asks each child once to stop after its step.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(FileError::at("start", self.program))?;
        self.running.push((index, child.id()));
        let sender = self.sender.clone();
        thread::spawn(move || watch(index, child, &sender));
        Ok(())
    }

    fn take_messages(&mut self, observer: &mut impl SweepObserver, waiting: &mut VecDeque<usize>) {
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
        observer: &mut impl SweepObserver,
        waiting: &mut VecDeque<usize>,
    ) {
        let code = status.as_ref().ok().and_then(ExitStatus::code);
        match code {
            Some(0) => observer.finished(index),
            // Another sweep was faster; it is looked at again.
            Some(code) if code == i32::from(BUSY) => waiting.push_back(index),
            Some(130) if observer.interrupted() => observer.stopped(index),
            _ if observer.interrupted() && code.is_none() => observer.stopped(index),
            _ => {
                self.ending.failed += 1;
                self.new_failures += 1;
                let error = match &status {
                    Ok(status) if status.code().is_none() => {
                        format!("{status}; out of memory? The same command takes it up where it was")
                    }
                    Ok(_) => self.kept_error(index, errors.trim().trim_start_matches("error: ")),
                    Err(error) => error.to_string(),
                };
                observer.failed(index, &error);
            }
        }
    }

    /// Sees to it that a failed trial's folder holds its error, also where the trial could not write it.
    fn kept_error(&self, index: usize, error: &str) -> String {
        let path = self.experiment.trials[index].folder.join("error.txt");
        if !path.exists() {
            // The error is shown either way; a folder that can't be written to may be the very reason.
            let _ = files::replace_text(&path, &format!("{error}\n"));
        }
        error.to_owned()
    }

    /// Asks every child to stop after its step.
    fn interrupt(&self) {
        for (_, process) in &self.running {
            if let Some(process) = i32::try_from(*process).ok().and_then(Pid::from_raw) {
                // It may have ended by itself in the meantime.
                let _ = kill_process(process, Signal::TERM);
            }
        }
    }
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
