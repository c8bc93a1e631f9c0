//! Run folders as they are now, looked at again and again: what `cvae watch`, `runs` and `export --follow` stand on.
//!
//! It reads folders only, so it works beside a sweep on this machine, on a cluster or over a network mount. A look costs
//! little: sizes and times of files, and of those that grew what was appended. Nothing is checked against checksums, and
//! nothing that can't be read ends a view.

mod pace;
mod points;
mod tail;
mod trial;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use points::Point;
pub use trial::LiveTrial;

use super::folder::Status;

/// How many levels of folders may lie above a trial.
const LEVELS: usize = 3;

/// The trials below some folders.
#[derive(Debug, Default)]
pub struct LiveRuns {
    roots: Vec<PathBuf>,
    /// By experiment and name.
    trials: Vec<LiveTrial>,
    /// Trials that have not been looked at since they were found.
    unseen: usize,
    /// The trial that the next look begins with, where the last one ran out of time.
    next: usize,
    locks: bool,
}

impl LiveRuns {
    /// The trials in these folders: their own, those of experiments, or of folders of experiments.
    pub fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots, ..Self::default() }
    }

    /// Looks at all folders, or at as many as this time allows and at the others next time. Says whether anything is
    /// new.
    pub fn look(&mut self, time: Duration) -> bool {
        let began = Instant::now();
        let mut new = self.find();
        for done in 0..self.trials.len() {
            let place = (self.next + done) % self.trials.len();
            // The lock of a folder that vanishes meanwhile is asked for again at the next look.
            new |= self.trials[place].look(&mut self.locks).unwrap_or(false);
            if began.elapsed() > time {
                self.next = place + 1;
                self.unseen = self.unseen.saturating_sub(done + 1);
                return true;
            }
        }
        (self.next, self.unseen) = (0, 0);
        new
    }

    /// Finds folders that appeared and drops those that vanished.
    fn find(&mut self) -> bool {
        let mut known: HashMap<PathBuf, LiveTrial> =
            self.trials.drain(..).map(|trial| (trial.folder.clone(), trial)).collect();
        let before = known.len();
        let mut added = 0;
        for (experiment, folder) in find(&self.roots, |folder| known.contains_key(folder)) {
            self.trials.push(known.remove(&folder).unwrap_or_else(|| {
                added += 1;
                LiveTrial::new(experiment, name_of(&folder), folder)
            }));
        }
        self.unseen += added;
        added > 0 || before != self.trials.len()
    }

    /// The trials, by experiment and name.
    pub fn trials(&self) -> &[LiveTrial] {
        &self.trials
    }

    /// How many trials are still to be looked at.
    pub fn unseen(&self) -> usize {
        self.unseen
    }

    /// How many trials are in each state that some are in.
    pub fn counts(&self) -> Vec<(Status, usize)> {
        let all = [Status::Finished, Status::Running, Status::Interrupted, Status::Failed, Status::Missing];
        let count = |status: Status| self.trials.iter().filter(|trial| trial.status == status).count();
        all.into_iter().map(|status| (status, count(status))).filter(|(_, count)| *count > 0).collect()
    }

    /// Where the trials are looked for.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }
}

/// The folders of the trials at some paths, each with its experiment's name, in the order of both.
pub fn trial_folders(roots: &[PathBuf]) -> Vec<(String, PathBuf)> {
    find(roots, |_| false)
}

fn find(roots: &[PathBuf], known: impl Fn(&Path) -> bool) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for root in roots {
        if is_trial(root) {
            let full = root.canonicalize().unwrap_or_else(|_| root.clone());
            found.push((full.parent().map(name_of).unwrap_or_default(), root.clone()));
        } else {
            collect(root, LEVELS, &known, &mut found);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The trials among the folders of a folder, or of those inside.
fn collect(path: &Path, levels: usize, known: &impl Fn(&Path) -> bool, found: &mut Vec<(String, PathBuf)>) {
    let mut others = Vec::new();
    let mut any = false;
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let folder = entry.path();
        // A link may lead to a folder.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink() && folder.is_dir());
        if !is_folder {
            continue;
        }
        if known(&folder) || is_trial(&folder) {
            any = true;
            found.push((name_of(path), folder));
        } else {
            others.push(folder);
        }
    }
    if !any && levels > 0 {
        others.iter().for_each(|folder| collect(folder, levels - 1, known, found));
    }
}

/// Whether a folder is one of a trial: a run writes its config first.
fn is_trial(folder: &Path) -> bool {
    // A pipe in its place is told of where it is read.
    fs::metadata(folder.join("config.toml")).is_ok_and(|found| !found.is_dir())
}

/// The name of a folder.
fn name_of(folder: &Path) -> String {
    // Of `.` or `..` only the full path knows the name.
    let named = |folder: &Path| folder.file_name().map(|name| name.to_string_lossy().into_owned());
    named(folder).or_else(|| named(&folder.canonicalize().ok()?)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::experiment::{ConfigFile, RunFolder};
    use crate::metrics::Measure;

    const ALL: Duration = Duration::from_secs(60);

    fn begin(root: &Path, seed: u64) -> RunFolder {
        let config = ConfigFile { seed, ..ConfigFile::default() }.check().unwrap();
        RunFolder::open(&root.join("exp").join(format!("trial{seed}")), &config).unwrap()
    }

    #[test]
    fn trials_that_appear_grow_fail_and_vanish_are_seen() {
        let root = tempfile::tempdir().unwrap();
        let mut runs = LiveRuns::new(vec![root.path().to_owned()]);
        assert!(!runs.look(ALL) && runs.trials().is_empty());
        let (one, two) = (begin(root.path(), 1), begin(root.path(), 2));
        assert!(runs.look(ALL));
        let states = |runs: &LiveRuns| runs.trials().iter().map(|trial| trial.status).collect::<Vec<_>>();
        assert_eq!(states(&runs), [Status::Running; 2]);
        assert_eq!((runs.trials()[0].experiment.as_str(), runs.trials()[0].steps), ("exp", Some(18_000)));
        assert!(!runs.look(ALL), "nothing is new");

        fs::write(one.history(), "step,train_loss\n10,4.5\n20,4.").unwrap();
        assert!(runs.look(ALL));
        assert_eq!((runs.trials()[0].step(), runs.trials()[0].last(Measure::TrainLoss)), (10, 4.5));
        fs::OpenOptions::new().append(true).open(one.history()).unwrap().write_all(b"25\n").unwrap();
        assert!(runs.look(ALL));
        assert_eq!((runs.trials()[0].step(), runs.trials()[0].last(Measure::TrainLoss)), (20, 4.25));

        fs::write(two.error(), "the loss diverged\nat length\n").unwrap();
        drop(two);
        // A process that another test starts holds all open files for an instant, the lock among them.
        let failed = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            runs.look(ALL);
            states(&runs) == [Status::Running, Status::Failed]
        });
        assert!(failed && runs.trials()[1].error.as_deref() == Some("the loss diverged"), "{:?}", states(&runs));

        fs::write(one.metrics(), "greedy_pass\n1\n").unwrap();
        fs::remove_dir_all(root.path().join("exp/trial2")).unwrap();
        assert!(runs.look(ALL));
        assert_eq!(states(&runs), [Status::Finished]);
        assert_eq!(runs.counts(), [(Status::Finished, 1)]);
        // One trial's own folder.
        let mut alone = LiveRuns::new(vec![root.path().join("exp/trial1")]);
        assert!(alone.look(ALL) && alone.trials()[0].experiment == "exp");
    }

    #[test]
    fn a_look_that_runs_out_of_time_goes_on_where_it_was() {
        let root = tempfile::tempdir().unwrap();
        for seed in 1..=3 {
            fs::write(begin(root.path(), seed).metrics(), "").unwrap();
        }
        let mut runs = LiveRuns::new(vec![root.path().to_owned()]);
        for left in [2, 1, 0] {
            assert!(runs.look(Duration::ZERO));
            assert_eq!(runs.unseen(), left);
        }
        assert_eq!(runs.counts(), [(Status::Finished, 3)]);
    }
}
