//! Child processes that train trials: how they are started, and what they say while they run.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use crate::experiment::plan::Trial;
use crate::files::FileError;
use crate::signals;

/// Set for the children of a sweep, which report progress on standard output and end with their parent: the
/// parent's process id, then for each trial the hash of the config that it is to run, with a `+` where it may have failed
/// before.
pub const WORKER: &str = "CVAE_WORKER";
/// Whether this process was started by a sweep.
pub fn is_worker() -> bool {
    std::env::var_os(WORKER).is_some()
}

/// A child's exit code when another process holds its trial.
pub const BUSY: u8 = 75;
/// What a child that trains several trials says of one that has ended: place in its group, this, and how.
pub const ENDED: &str = "ended";

/// What a child says.
pub(super) enum Message {
    /// A trial goes on.
    Line(usize, String),
    /// A trial of several has ended.
    Trial(usize, TrialEnd),
    /// A process has ended; the trials that it has not told of, its status and what it said on standard error.
    Ended(u32, Vec<usize>, std::io::Result<ExitStatus>, String),
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialEnd {
    /// It is done.
    Finished,
    /// Another process runs it.
    Busy,
    /// It was told to stop.
    Stopped,
    /// It failed, and why.
    Failed(String),
}

impl TrialEnd {
    /// In a line.
    pub fn line(&self) -> String {
        match self {
            Self::Finished => "finished".to_owned(),
            Self::Busy => "busy".to_owned(),
            Self::Stopped => "stopped".to_owned(),
            Self::Failed(reason) => format!("failed {}", reason.split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            None if line == "finished" => Some(Self::Finished),
            None if line == "busy" => Some(Self::Busy),
            None if line == "stopped" => Some(Self::Stopped),
            Some(("failed", reason)) => Some(Self::Failed(reason.to_owned())),
            _ => None,
        }
    }
}

/// Starts a child that trains these trials as one, each with its place in the experiment and whether it may have failed
/// before.
pub(super) fn start(
    program: &Path,
    trials: &[(usize, &Trial, bool)],
    sender: Sender<Message>,
) -> Result<u32, FileError> {
    let mut command = Command::new(program);
    command.arg0("cvae").arg("train");
    let mut order = std::process::id().to_string();
    for (place, (_, trial, retry)) in trials.iter().enumerate() {
        match place {
            0 => command.arg(trial.folder.join("config.toml")).arg("--output").arg(&trial.folder),
            _ => command.arg("--with").arg(&trial.folder),
        };
        // The child reads this file; it also refuses one that does not have the trial's hash.
        order += &format!(" {}{}", trial.config.hash(), if *retry { "+" } else { "" });
    }
    command.env(WORKER, order);
    // In the process group of the sweep, so that whatever pauses or ends the group reaches its trials.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(FileError::at("start", program))?;
    let process = child.id();
    let places = trials.iter().map(|(place, ..)| *place).collect();
    thread::spawn(move || watch(places, child, &sender));
    Ok(process)
}

/// Whether a trial's process ended because it was told to stop, by its own exit code or before it could give one.
pub(super) fn stopped(status: &ExitStatus) -> bool {
    let told = |signal| signals::ENDING.iter().any(|ending| ending.as_raw() == signal);
    status.code() == Some(130) || status.signal().is_some_and(told)
}

/// Passes on what a child says until it ends.
fn watch(trials: Vec<usize>, mut child: Child, sender: &Sender<Message>) {
    let errors = child.stderr.take().map(|mut stderr| {
        thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    let mut left = trials.clone();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let Some(message) = message(&trials, &line) else { continue };
            if let Message::Trial(ended, _) = &message {
                left.retain(|trial| trial != ended);
            }
            // Nobody listens once the sweep has ended; the child ends with it.
            let _ = sender.send(message);
        }
    }
    let status = child.wait();
    let errors = errors.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let _ = sender.send(Message::Ended(child.id(), left, status, errors));
}

/// What a line says: a child with several trials begins each with the place of one.
fn message(trials: &[usize], line: &str) -> Option<Message> {
    let (place, line) = if trials.len() > 1 { line.split_once(' ')? } else { ("0", line) };
    let trial = *trials.get(place.parse::<usize>().ok()?)?;
    let ended = line.strip_prefix(ENDED).and_then(|how| TrialEnd::parse(how.trim_start()));
    Some(ended.map_or_else(|| Message::Line(trial, line.to_owned()), |how| Message::Trial(trial, how)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_group_are_told_apart_by_their_trials() {
        let said = |line: &str| message(&[4, 7], line);
        assert!(matches!(said("1 300 loss 3"), Some(Message::Line(7, text)) if text == "300 loss 3"));
        for end in [TrialEnd::Finished, TrialEnd::Busy, TrialEnd::Stopped, TrialEnd::Failed("a disk is full".into())] {
            let line = format!("0 {ENDED} {}", end.line());
            assert!(matches!(said(&line), Some(Message::Trial(4, told)) if told == end), "{line}");
        }
        assert!(said("2 300").is_none() && said("x").is_none());
        assert!(matches!(message(&[4], "300 loss 3"), Some(Message::Line(4, text)) if text == "300 loss 3"));
    }
}
