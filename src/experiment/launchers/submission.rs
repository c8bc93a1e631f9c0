//! What a scheduler was handed: a folder with the names of the trials, so that its tasks run these and no others.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{LaunchError, Submitted};
use crate::files::{self, FileError};

/// A submission's folder: `tasks` (a line `number name` for each), `job` (its number and when it was submitted),
/// the script and the tasks' logs.
#[derive(Debug)]
pub struct Submission {
    /// The folder.
    pub folder: PathBuf,
}

impl Submission {
    /// A new one in this folder of submissions, for these tasks: each a number and a trial's name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new(all: &Path, tasks: &[(usize, String)]) -> Result<Self, FileError> {
        files::make_folder(all)?;
        let mut number = 1;
        let folder = loop {
            let folder = all.join(number.to_string());
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                made => break made.map(|()| folder.clone()).map_err(FileError::at("make the folder", &folder))?,
            }
        };
        let lines: String = tasks.iter().map(|(task, name)| format!("{task} {name}\n")).collect();
        files::replace_text(&folder.join("tasks"), &lines)?;
        Ok(Self { folder })
    }

    /// Keeps the job's number, with the time.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn submitted(&self, job: &str) -> Result<(), FileError> {
        let now = jiff::Timestamp::now();
        files::replace_text(&self.folder.join("job"), &format!("{job} {now:.0}\n"))
    }

    /// Removes it: nothing was handed over.
    pub fn withdraw(self) {
        // A folder that stays is without a job, and counts for nothing.
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// Those in a folder of submissions that became jobs, the oldest first, each with its tasks; `states` tells of
    /// jobs and tasks whether they wait (`false`) or run (`true`).
    ///
    /// # Errors
    /// Those of the file system, and of `states`.
    pub fn all(
        all: &Path,
        states: impl Fn() -> Result<Vec<(String, usize, bool)>, LaunchError>,
    ) -> Result<Vec<Submitted>, LaunchError> {
        let mut folders: Vec<(usize, PathBuf)> = match fs::read_dir(all) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(FileError::at("read", all))?,
        }
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .filter(|(_, folder)| folder.join("job").is_file())
        .collect();
        folders.sort();
        if folders.is_empty() {
            return Ok(Vec::new());
        }
        let states = states()?;
        let mut submitted = Vec::new();
        for (_, folder) in folders {
            let text = files::read_text(&folder.join("job"))?;
            let (job, at) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            let tasks = tasks(&folder)?;
            let in_state = |running: bool| {
                let ours = |(task, _): &&(usize, String)| states.contains(&(job.to_owned(), *task, running));
                tasks.iter().filter(ours).map(|(_, name)| name.clone()).collect()
            };
            let (queued, running) = (in_state(false), in_state(true));
            let trials = tasks.iter().map(|(_, name)| name.clone()).collect();
            submitted.push(Submitted { job: job.to_owned(), at: at.to_owned(), trials, queued, running });
        }
        Ok(submitted)
    }
}

fn tasks(folder: &Path) -> Result<Vec<(usize, String)>, FileError> {
    let text = files::read_text(&folder.join("tasks"))?;
    let task = |line: &str| {
        let (task, name) = line.split_once(' ')?;
        Some((task.parse().ok()?, name.to_owned()))
    };
    Ok(text.lines().filter_map(task).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_keep_their_tasks_and_know_which_are_queued() {
        let root = tempfile::tempdir().unwrap();
        let all = root.path().join("slurm");
        let none = || -> Result<Vec<(String, usize, bool)>, LaunchError> { unreachable!("nothing to ask for") };
        assert!(Submission::all(&all, none).unwrap().is_empty());
        let tasks = [(0, "one".to_owned()), (5, "two".to_owned()), (7, "three".to_owned())];
        Submission::new(&all, &tasks).unwrap().submitted("12").unwrap();
        let second = Submission::new(&all, &tasks[..1]).unwrap();
        assert!(second.folder.ends_with("2"));
        // One that never became a job counts for nothing.
        let found =
            Submission::all(&all, || Ok(vec![("12".to_owned(), 5, false), ("12".to_owned(), 0, true)])).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].job.as_str(), found[0].trials.len()), ("12", 3));
        assert_eq!(
            (found[0].queued.as_slice(), found[0].running.as_slice()),
            (&["two".to_owned()][..], &["one".to_owned()][..])
        );
        second.withdraw();
        assert!(!all.join("2").exists());
    }
}
