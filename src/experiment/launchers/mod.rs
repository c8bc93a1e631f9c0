//! Ways to run an experiment's trials: on this machine, or by a scheduler. One file each, listed in [`LAUNCHERS`].

mod children;
mod local;
mod slurm;
mod submission;
mod words;

use std::collections::HashSet;
use std::fmt::Debug;
use std::panic::RefUnwindSafe;
use std::path::PathBuf;

pub use children::{BUSY, ENDED, TrialEnd, WORKER, is_worker};
pub use local::SweepEnding;
pub use submission::Submission;
pub use words::split as split_words;

use super::folder::{FolderError, RunFolder, Status};
use super::plan::{Experiment, Trial};
use super::provenance::Provenance;
use crate::files::FileError;
use crate::printable::ShownPath;

/// Every launcher; `--launcher` takes their names, and the first one if none is named.
pub static LAUNCHERS: [&dyn Launcher; 2] = [&local::Local, &slurm::Slurm];

/// A way to run trials.
pub trait Launcher: Debug + Sync + RefUnwindSafe {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What it is, for the help of `--launcher`.
    fn about(&self) -> &'static str;

    /// Runs these trials, or hands them over to be run as they are now, whatever becomes of the config.
    ///
    /// # Errors
    /// When a trial's folder can't be made, or nothing can be started.
    fn launch(&self, order: &Order<'_>, observer: &mut dyn SweepObserver) -> Result<Launched, LaunchError>;

    /// What was handed over earlier and has not ended; none where nothing outlives the command.
    ///
    /// # Errors
    /// When that can't be told.
    fn submissions(&self, _: &Experiment) -> Result<Vec<Submitted>, LaunchError> {
        Ok(Vec::new())
    }
}

/// What is to be run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// The state of each of its trials.
    pub statuses: &'a [Status],
    /// Its trials in groups that train as one, as [`super::groups()`] makes them.
    pub groups: &'a [Vec<usize>],
    /// Groups side by side; as many as fit if not given.
    pub jobs: Option<usize>,
    /// Run failed trials again.
    pub retry_failed: bool,
    /// Start no more trials after so many failures.
    pub max_failures: Option<usize>,
    /// Options of the launcher's own, as words for a command line.
    pub options: &'a str,
}

impl Order<'_> {
    /// As many groups side by side as there are cores for, or one where a group trains on a GPU.
    pub fn fitting_jobs(&self) -> usize {
        if self.groups.len() < self.experiment.trials.len() {
            return 1;
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (cores / self.experiment.threads()).max(1)
    }

    /// The trials that are neither finished nor run elsewhere; failed ones where they are to be run again.
    pub fn open(&self) -> impl Iterator<Item = usize> {
        let open = |status: Status| match status {
            Status::Finished | Status::Running => false,
            Status::Failed => self.retry_failed,
            Status::Missing | Status::Interrupted => true,
        };
        (0..self.statuses.len()).filter(move |index| open(self.statuses[*index]))
    }

    /// The groups with such trials, by their number, with these trials.
    pub fn open_groups(&self) -> Vec<(usize, Vec<usize>)> {
        let open: HashSet<usize> = self.open().collect();
        let left = |group: &Vec<usize>| group.iter().copied().filter(|index| open.contains(index)).collect();
        let groups = self.groups.iter().map(left).enumerate();
        groups.filter(|(_, group): &(usize, Vec<usize>)| !group.is_empty()).collect()
    }
}

/// What became of an order.
#[derive(Debug)]
pub enum Launched {
    /// It has been run.
    Ended(SweepEnding),
    /// It has been handed over as these jobs; none where nothing is left to hand over.
    Submitted(Vec<Submitted>),
    /// It was tried only, and this was said.
    Tried(String),
}

/// Trials that were handed over together.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The job's number.
    pub job: String,
    /// When that was.
    pub at: String,
    /// The names of its trials.
    pub trials: Vec<String>,
    /// Those of them that have not begun.
    pub queued: Vec<String>,
    /// Those of them that the scheduler runs.
    pub running: Vec<String>,
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
    /// A trial stopped because the sweep was interrupted, or it alone was.
    fn stopped(&mut self, trial: usize);
    /// Nothing is left but what another process runs.
    fn waiting(&mut self, trials: usize);
    /// Whether the sweep shall end.
    fn interrupted(&self) -> bool;
    /// Whether the sweep shall be paused, with its trials; it is asked once for every such wish.
    fn paused(&mut self) -> bool;
}

/// Why trials could not be run or handed over.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A trial's folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Options that the launcher can't take.
    #[error("{0}")]
    Options(String),
    /// A scheduler's command could not be started.
    #[error(
        "{command} could not be started ({cause}); run this where the scheduler's commands are, or use --launcher local"
    )]
    Missing {
        /// The command.
        command: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A scheduler's command refused.
    #[error("{command} refused {path}: {message}", path = .path.shown())]
    Refused {
        /// The command.
        command: &'static str,
        /// The script, or what it was about.
        path: PathBuf,
        /// What it said.
        message: String,
    },
}

/// Writes a trial's config into its folder, where whoever runs it reads it.
fn prepare(trial: &Trial, provenance: &Provenance) -> Result<(), FolderError> {
    RunFolder::prepare(&trial.folder, &trial.config, || provenance.on(trial.config.device))
}
