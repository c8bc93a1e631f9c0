//! How a command ends, and what the shell sees of it.

use std::process::ExitCode;

use super::output;
use crate::experiment::{BUSY, ConfigError, ContinuationError, FolderError, LaunchError, PlanError};

/// The ways in which a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All that was asked for is done.
    Done,
    /// Something failed.
    Failed,
    /// Arguments, a config or an input file are not what they should be. clap uses the same code.
    BadInput,
    /// Done, but some lines could not be answered.
    Partial,
    /// A trial that another process runs, or a task that was told to stop: to be tried again (sysexits' EX_TEMPFAIL,
    /// which Slurm can requeue on).
    TryAgain,
    /// Stopped by a signal, with everything kept.
    Interrupted,
}

/// Input that a user has to mend: ends the command with [`Exit::BadInput`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// Every exit code and what it means, for the manual pages.
pub const CODES: [(&str, &str); 7] = [
    ("0", "done"),
    ("1", "failed; the message says at what and what to do"),
    ("2", "bad arguments, config or input; a config that is missing counts as well"),
    ("3", "done, but some lines could not be answered (--keep-going)"),
    ("75", "the trial is in use, or a task of an array scheduler was told to stop: try again"),
    ("130", "interrupted by Ctrl-C or SIGTERM; train and sweep go on from there when run again"),
    (
        "134, 137",
        "ended from outside, by the C++ runtime or the kernel, mostly for lack of memory; what was finished stays",
    ),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::BadInput => 2,
            Exit::Partial => 3,
            Exit::TryAgain => BUSY,
            Exit::Interrupted => 130,
        })
    }
}

impl Exit {
    /// Prints an error with its causes and says how it ends the program.
    pub fn report(error: &anyhow::Error) -> Self {
        output::say!("error: {}", message(error));
        let busy =
            |cause: &(dyn std::error::Error + 'static)| matches!(cause.downcast_ref(), Some(FolderError::Busy(_)));
        if error.chain().any(busy) {
            return Self::TryAgain;
        }
        let bad_input = |cause: &(dyn std::error::Error + 'static)| {
            let options = matches!(cause.downcast_ref(), Some(LaunchError::Options(_)));
            let from =
                matches!(cause.downcast_ref(), Some(ContinuationError::NoTrial(_) | ContinuationError::Release(_)));
            options || from || cause.is::<BadInput>() || cause.is::<ConfigError>() || cause.is::<PlanError>()
        };
        if error.chain().any(bad_input) { Self::BadInput } else { Self::Failed }
    }
}

/// The chain of causes in one line, without those whose words the one before has said already.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message += &format!(": {cause}");
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::files::FileError;

    #[test]
    fn causes_are_said_once() {
        let missing = FileError::at("read", std::path::Path::new("x"))(io::ErrorKind::IsADirectory.into());
        let error = anyhow::Error::from(missing).context("cannot start");
        assert_eq!(message(&error), "cannot start: cannot read x: it is a folder, name a file");
    }
}
