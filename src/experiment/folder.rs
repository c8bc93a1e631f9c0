//! A trial's folder: who may write to it, and what it holds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::config::{Config, ConfigError};
use super::lock::Lock;
use super::names::{is_hash_of, named_hash};
use super::provenance::Provenance;
use super::source::resolved;
pub use super::status::Status;
use crate::files::{self, FileError};
use crate::printable::ShownPath;

/// What a trial calls its weights.
pub(super) const TRIAL_WEIGHTS: &str = "model.safetensors";
/// What a release calls its weights.
pub(super) const RELEASE_WEIGHTS: &str = "cvae.safetensors";
/// Every other file that a run writes into its folder.
pub(super) const WRITTEN: [&str; 8] =
    ["config.toml", "history.csv", "metrics.csv", TRIAL_WEIGHTS, "SHA256SUMS", "log.txt", "error.txt", "lock"];
/// The folder of its checkpoint, and the file in it.
pub(super) const CHECKPOINT: [&str; 2] = ["checkpoint", "checkpoint.safetensors"];

/// A trial's folder, locked by this process as long as the value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: Lock,
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
    #[error("{0} holds a trial of another config; remove it or choose another folder (--runs, or -o)")]
    OtherConfig(PathBuf),
    /// The folder's name ends in the hash of another config.
    #[error(
        "{0} holds a trial of another config than its name says; restore its config.toml, or rename it to something \
         without a hash at the end"
    )]
    OtherName(PathBuf),
    /// Something else stands in the place of one of its files.
    #[error("cannot read {0}: it is not a file; remove it")]
    NotAFile(PathBuf),
    /// A folder that is to be removed as a trial's, and is none.
    #[error(
        "{path} is no run's folder: {name} stands there ({reason}); name the folder of a trial",
        path = .path.shown()
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The file that tells.
        name: String,
        /// Why it is no run's folder.
        reason: &'static str,
    },
    /// The folder holds what no run wrote, and a run might overwrite or remove it.
    #[error(
        "{path} holds {name} and is not a run's folder ({reason}); name an empty folder, or one that is not there yet",
        path = .path.shown()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// One of the files.
        name: String,
        /// Why it is not a run's folder.
        reason: &'static str,
    },
}

impl RunFolder {
    /// Makes or takes up the folder of this config, and writes the resolved config into it.
    ///
    /// # Errors
    /// When another process holds it, it belongs to another config, or it can't be written to.
    pub fn open(path: &Path, config: &Config) -> Result<Self, FolderError> {
        Self::check(path, config)?;
        files::make_folder(path)?;
        let lock = Lock::take(&path.join("lock"))?.ok_or_else(|| FolderError::Busy(path.to_owned()))?;
        let folder = Self { path: path.to_owned(), _lock: lock };
        Self::prepare(path, config, || Provenance::here(config.device))?;
        files::make_folder(&folder.path.join(CHECKPOINT[0]))?;
        Ok(folder)
    }

    /// Makes the folder of this config and writes the resolved config into it, for a process that runs it later.
    ///
    /// # Errors
    /// When it belongs to another config or to no run, or can't be written to.
    pub fn prepare(path: &Path, config: &Config, provenance: impl FnOnce() -> Provenance) -> Result<(), FolderError> {
        if !Self::check(path, config)? {
            files::make_folder(path)?;
            files::replace_text(&path.join("config.toml"), &config.to_toml(Some(provenance())))?;
        }
        Ok(())
    }

    /// Records this program in the config of a run that has not begun: it may have been prepared by another one, which
    /// was rebuilt while the run waited in a queue.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn stamp(&self, config: &Config) -> Result<(), FolderError> {
        if [self.history(), self.checkpoint(), self.metrics()].iter().any(|file| file.exists()) {
            return Ok(());
        }
        let text = config.to_toml(Some(Provenance::here(config.device)));
        if files::read_text(&self.config())? != text {
            files::replace_text(&self.config(), &text)?;
        }
        Ok(())
    }

    /// Checks that a run of this config may write to a folder: that it is its own, or that nothing is in it. Says
    /// whether its config is there.
    fn check(path: &Path, config: &Config) -> Result<bool, FolderError> {
        let foreign =
            |name: &str, reason| Err(FolderError::Foreign { path: path.to_owned(), name: name.to_owned(), reason });
        let names = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            entries => entries.map_err(FileError::at("read", path))?,
        };
        let names: Vec<String> =
            names.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        check_files(path, &names)?;
        let config_path = path.join("config.toml");
        if !config_path.exists() {
            // A run writes its config first; what a killed one leaves before that is a lock and a partial file.
            let own = |name: &String| name == "lock" || files::is_partial(name, "config.toml");
            return match names.iter().filter(|name| !own(name)).min() {
                Some(name) => foreign(name, "it has no config.toml"),
                None => Ok(false),
            };
        }
        if names.iter().any(|name| name == RELEASE_WEIGHTS) {
            return foreign(RELEASE_WEIGHTS, "it holds a release");
        }
        if resolved(path)?.hash() != config.hash() {
            return Err(FolderError::OtherConfig(path.to_owned()));
        }
        let text = files::read_text(&config_path)?;
        match toml::from_str::<toml::Table>(&text) {
            Ok(table) if table.contains_key("provenance") => Ok(true),
            _ => foreign("config.toml", "no run wrote that, it has no [provenance]"),
        }
    }

    /// Checks that a folder which is named as trials are belongs to this config, also where nothing is in it but an edited
    /// config.
    ///
    /// # Errors
    /// When its name ends in the hash of another trial.
    pub fn check_name(path: &Path, config: &Config) -> Result<(), FolderError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match named_hash(&name) {
            Some(hash) if !is_hash_of(hash, config) => Err(FolderError::OtherName(path.to_owned())),
            _ => Ok(()),
        }
    }

    /// The state of the trial in a folder, whoever runs it.
    ///
    /// # Errors
    /// When the folder can't be looked at, or it can't be told whether a process holds its lock.
    pub fn status(path: &Path) -> Result<Status, FileError> {
        let holds = |name: &str| {
            let path = path.join(name);
            path.try_exists().map_err(FileError::at("read", &path))
        };
        Ok(if holds("metrics.csv")? {
            Status::Finished
        } else if Lock::is_held(&path.join("lock"))? {
            Status::Running
        } else if holds("error.txt")? {
            Status::Failed
        } else if holds("lock")? || holds("history.csv")? {
            Status::Interrupted
        } else {
            Status::Missing
        })
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
        CHECKPOINT.iter().fold(self.path.clone(), |path, part| path.join(part))
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

    /// Removes what only a resume needs, where it shall not be kept, and partial files of killed processes: by name,
    /// whatever else is there stays.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn clean(&self, keep_checkpoint: bool) -> Result<(), FileError> {
        let checkpoint = self.path.join(CHECKPOINT[0]);
        if checkpoint.exists() && !keep_checkpoint {
            remove_written(&checkpoint, |name| name == CHECKPOINT[1] || files::is_partial(name, CHECKPOINT[1]))?;
            match fs::remove_dir(&checkpoint) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                removed => removed.map_err(FileError::at("remove", &checkpoint))?,
            }
        }
        remove_written(&self.path, |name| WRITTEN.iter().any(|written| files::is_partial(name, written)))
    }
}

/// Checks that what has the name of a run's file is one: opening a pipe in its place would wait for ever.
fn check_files(path: &Path, names: &[String]) -> Result<(), FolderError> {
    let written =
        WRITTEN.into_iter().filter(|name| names.iter().any(|found| found == name)).map(|name| path.join(name));
    let checkpoint = path.join(CHECKPOINT[0]).join(CHECKPOINT[1]);
    for file in written.chain([checkpoint].into_iter().filter(|file| file.exists())) {
        if !file.is_file() {
            return Err(FolderError::NotAFile(file));
        }
    }
    Ok(())
}

/// Removes the files of a folder that a run has written by these names.
pub(super) fn remove_written(folder: &Path, written: impl Fn(&str) -> bool) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).map_err(FileError::at("read", folder))?.flatten() {
        if written(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).map_err(FileError::at("remove", &entry.path()))?;
        }
    }
    Ok(())
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
        assert_eq!(RunFolder::status(&path).unwrap(), Status::Missing);
        let folder = RunFolder::open(&path, &config(1)).unwrap();
        assert_eq!(RunFolder::status(&path).unwrap(), Status::Running);
        assert!(matches!(RunFolder::open(&path, &config(1)), Err(FolderError::Busy(_))));
        drop(folder);
        // A process that another test starts holds all open files for an instant, the lock among them.
        let freed = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            RunFolder::status(&path).unwrap() == Status::Interrupted
        });
        assert!(freed, "{:?}", RunFolder::status(&path));
        let folder = RunFolder::open(&path, &config(1)).unwrap();
        fs::write(folder.metrics(), "").unwrap();
        assert_eq!(RunFolder::status(&path).unwrap(), Status::Finished);
    }

    #[test]
    fn a_folder_of_another_config_is_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(RunFolder::open(root.path(), &config(1)).unwrap());
        assert!(matches!(RunFolder::open(root.path(), &config(2)), Err(FolderError::OtherConfig(_))));
    }

    #[test]
    fn a_folder_that_is_no_runs_is_refused_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path();
        let refused = |config: &Config| RunFolder::open(path, config).unwrap_err().to_string();
        // Names that a run would overwrite or remove, and any other.
        for name in ["error.txt", "history.csv", "metrics.csv", "log.txt", "SHA256SUMS", "notes.md", ".x.partial"] {
            fs::write(path.join(name), "mine").unwrap();
            let error = refused(&config(1));
            assert!(error.contains(name) && error.contains("name an empty folder"), "{error}");
            assert_eq!(fs::read_dir(path).unwrap().count(), 1, "nothing is added");
            assert_eq!(fs::read_to_string(path.join(name)).unwrap(), "mine");
            fs::remove_file(path.join(name)).unwrap();
        }
        // A config of the user's own, though it says the same.
        fs::write(path.join("config.toml"), "seed = 1").unwrap();
        assert!(refused(&config(1)).contains("no [provenance]"));
        fs::remove_file(path.join("config.toml")).unwrap();
        // What a killed run leaves is taken up.
        fs::write(path.join("lock"), "").unwrap();
        fs::write(files::partial_path(&path.join("config.toml")), "seed").unwrap();
        RunFolder::open(path, &config(1)).unwrap();
        fs::write(path.join(RELEASE_WEIGHTS), "").unwrap();
        assert!(refused(&config(1)).contains("holds a release"));
    }

    #[test]
    fn a_run_that_has_not_begun_is_stamped_with_the_program_that_begins_it() {
        let root = tempfile::tempdir().unwrap();
        let earlier = Provenance { commit: "earlier".to_owned(), ..Provenance::here(config(1).device) };
        RunFolder::prepare(root.path(), &config(1), || earlier).unwrap();
        let folder = RunFolder::open(root.path(), &config(1)).unwrap();
        let text = || fs::read_to_string(folder.config()).unwrap();
        assert!(text().contains("commit = \"earlier\""));
        fs::write(folder.history(), "").unwrap();
        folder.stamp(&config(1)).unwrap();
        assert!(text().contains("commit = \"earlier\""), "a run that has begun keeps its program");
        fs::remove_file(folder.history()).unwrap();
        folder.stamp(&config(1)).unwrap();
        assert!(!text().contains("commit = \"earlier\""));
    }

    #[test]
    fn a_trial_without_its_lock_file_has_the_state_that_its_files_tell() {
        let root = tempfile::tempdir().unwrap();
        let status = || RunFolder::status(root.path()).unwrap();
        fs::write(root.path().join("config.toml"), "").unwrap();
        assert_eq!(status(), Status::Missing);
        fs::write(root.path().join("history.csv"), "").unwrap();
        assert_eq!(status(), Status::Interrupted);
        fs::write(root.path().join("error.txt"), "").unwrap();
        assert_eq!(status(), Status::Failed);
    }

    #[test]
    fn cleaning_removes_what_a_run_wrote_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(root.path(), &config(1)).unwrap();
        let partials = [files::partial_path(&folder.model()), files::partial_path(&folder.checkpoint())];
        for path in partials.iter().chain([&folder.checkpoint(), &folder.model()]) {
            fs::write(path, "x").unwrap();
        }
        let own = ["download.partial", ".notes.txt.partial", ".model.safetensors.backup.partial", "checkpoint/mine"];
        own.iter().for_each(|name| fs::write(root.path().join(name), "x").unwrap());
        folder.clean(false).unwrap();
        let mut left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let [backup, notes] = [own[2], own[1]];
        assert_eq!(left, [backup, notes, "checkpoint", "config.toml", "download.partial", "lock", "model.safetensors"]);
        assert_eq!(fs::read_dir(root.path().join("checkpoint")).unwrap().count(), 1);
        fs::remove_file(root.path().join("checkpoint/mine")).unwrap();
        folder.clean(false).unwrap();
        assert!(!root.path().join("checkpoint").exists());
    }
}
