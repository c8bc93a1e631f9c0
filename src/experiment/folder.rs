//! A trial's folder: who may write to it, and what it holds.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::config::{Config, ConfigError};
use super::provenance::Provenance;
use super::source::resolved;
use crate::files::{self, FileError};

/// What a trial calls its weights.
pub(super) const TRIAL_WEIGHTS: &str = "model.safetensors";

/// The state of a trial, read off its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is there yet.
    Missing,
    /// Some process holds its lock.
    Running,
    /// No lock and no result: it is resumed by the next run.
    Interrupted,
    /// Its metrics are written.
    Finished,
    /// It ended with an error, which is kept.
    Failed,
}

/// A trial's folder, locked by this process as long as the value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    // Held, not read: the system frees the lock with the file, even when the process is killed.
    _lock: File,
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file in it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process runs this trial.
    #[error("another process is running this trial in {0}; wait for it to end, or end it")]
    Busy(PathBuf),
    /// The config in it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder belongs to another config.
    #[error("{0} holds a trial of another config; remove it or choose another folder with --runs")]
    OtherConfig(PathBuf),
}

impl RunFolder {
    /// Makes or takes up the folder of this config, and writes the resolved config into it.
    ///
    /// # Errors
    /// When another process holds it, it belongs to another config, or it can't be written to.
    pub fn open(path: &Path, config: &Config) -> Result<Self, FolderError> {
        files::make_folder(path)?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(FileError::at("open", &lock_path))?;
        // Whoever asks for the trial's status holds the lock for an instant.
        let mut locked = lock.try_lock();
        for _ in 0..5 {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
            locked = lock.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Busy(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(FileError::at("lock", &lock_path)(error).into()),
        }
        let folder = Self { path: path.to_owned(), _lock: lock };
        let config_path = folder.config();
        if config_path.exists() {
            if resolved(path)?.hash() != config.hash() {
                return Err(FolderError::OtherConfig(path.to_owned()));
            }
        } else {
            files::replace_text(&config_path, &config.to_toml(Some(Provenance::here(config.device))))?;
        }
        files::make_folder(&folder.path.join("checkpoint"))?;
        Ok(folder)
    }

    /// The state of the trial in a folder, whoever runs it.
    pub fn status(path: &Path) -> Status {
        if path.join("metrics.csv").exists() {
            return Status::Finished;
        }
        let lock = OpenOptions::new().write(true).open(path.join("lock"));
        match lock.map(|lock| lock.try_lock_shared().is_ok()) {
            Err(_) => Status::Missing,
            Ok(false) => Status::Running,
            Ok(true) if path.join("error.txt").exists() => Status::Failed,
            Ok(true) => Status::Interrupted,
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved config.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// One row for each evaluation.
    pub fn history(&self) -> PathBuf {
        self.path.join("history.csv")
    }

    /// Everything that a resume needs.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint").join("checkpoint.safetensors")
    }

    /// The trained weights.
    pub fn model(&self) -> PathBuf {
        self.path.join(TRIAL_WEIGHTS)
    }

    /// The final metrics, written last: their presence says that the trial is finished.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    /// Why the trial failed, where it did.
    pub fn error(&self) -> PathBuf {
        self.path.join("error.txt")
    }

    /// What happened, line by line.
    pub fn log(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// Removes what only a resume needs, and partial files of killed processes.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn clean(&self) -> Result<(), FileError> {
        let checkpoint = self.path.join("checkpoint");
        if checkpoint.exists() {
            fs::remove_dir_all(&checkpoint).map_err(FileError::at("remove", &checkpoint))?;
        }
        let entries = fs::read_dir(&self.path).map_err(FileError::at("read", &self.path))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().ends_with(".partial") {
                fs::remove_file(entry.path()).map_err(FileError::at("remove", &entry.path()))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::ConfigFile;

    fn config(seed: u64) -> Config {
        ConfigFile { seed, ..ConfigFile::default() }.check().unwrap()
    }

    #[test]
    fn a_folder_is_locked_while_it_is_used_and_its_status_says_so() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("trial");
        assert_eq!(RunFolder::status(&path), Status::Missing);
        let folder = RunFolder::open(&path, &config(1)).unwrap();
        assert_eq!(RunFolder::status(&path), Status::Running);
        assert!(matches!(RunFolder::open(&path, &config(1)), Err(FolderError::Busy(_))));
        drop(folder);
        // A process that another test starts holds all open files for an instant, the lock among them.
        let freed = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            RunFolder::status(&path) == Status::Interrupted
        });
        assert!(freed, "{:?}", RunFolder::status(&path));
        let folder = RunFolder::open(&path, &config(1)).unwrap();
        fs::write(folder.metrics(), "").unwrap();
        assert_eq!(RunFolder::status(&path), Status::Finished);
    }

    #[test]
    fn a_folder_of_another_config_is_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(RunFolder::open(root.path(), &config(1)).unwrap());
        assert!(matches!(RunFolder::open(root.path(), &config(2)), Err(FolderError::OtherConfig(_))));
    }

    #[test]
    fn cleaning_removes_checkpoints_and_partial_files_only() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(root.path(), &config(1)).unwrap();
        fs::write(folder.checkpoint(), "x").unwrap();
        fs::write(root.path().join(".model.safetensors.1.partial"), "x").unwrap();
        fs::write(folder.model(), "x").unwrap();
        folder.clean().unwrap();
        let mut left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["config.toml", "lock", "model.safetensors"]);
    }
}
