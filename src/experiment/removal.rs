//! Removing trials: what runs have written by these names, and nothing else.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use super::folder::{CHECKPOINT, FolderError, RELEASE_WEIGHTS, WRITTEN, remove_written};
use super::lock::Lock;
use crate::files::{self, FileError};

/// What is left of a folder whose trial was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// The folder, with these files and folders, which no run has written.
    Others(Vec<String>),
}

/// Removes a trial that is not running: every file that its run has written, then its folder where nothing else is in it.
///
/// # Errors
/// When a process runs it, when the folder is no run's, and those of the file system.
pub fn remove_trial(path: &Path) -> Result<Left, FolderError> {
    check_is_run(path)?;
    let lock_path = path.join("lock");
    let lock = Lock::take(&lock_path)?.ok_or_else(|| FolderError::Busy(path.to_owned()))?;
    // The metrics go first: a trial that is removed by halves is no finished one. The config says to the last that this is
    // a run's folder, so that the same command goes on after a kill.
    let last = |name: &str| name == "config.toml" || name == "lock";
    let written = |name: &str| WRITTEN.contains(&name);
    remove_written(path, |name| name == "metrics.csv")?;
    remove_written(path, |name| {
        !last(name) && (written(name) || WRITTEN.iter().any(|of| files::is_partial(name, of)))
    })?;
    let checkpoint = path.join(CHECKPOINT[0]);
    if checkpoint.is_dir() {
        remove_written(&checkpoint, |name| name == CHECKPOINT[1] || files::is_partial(name, CHECKPOINT[1]))?;
        remove_empty(&checkpoint)?;
    }
    remove_written(path, |name| name == "config.toml")?;
    remove_written(path, |name| name == "lock")?;
    drop(lock);
    if remove_empty(path)? {
        return Ok(Left::Nothing);
    }
    let entries = fs::read_dir(path).map_err(FileError::at("read", path))?.flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(Left::Others(names))
}

/// Checks that a run has written the config of a folder.
fn check_is_run(path: &Path) -> Result<(), FolderError> {
    let foreign = |name: &str, reason| Err(FolderError::NoRun { path: path.to_owned(), name: name.to_owned(), reason });
    if path.is_symlink() {
        return foreign("a link", "what it leads to may be another's");
    }
    let config = files::read_text(&path.join("config.toml"))?;
    if path.join(RELEASE_WEIGHTS).exists() {
        return foreign(RELEASE_WEIGHTS, "it holds a release");
    }
    match toml::from_str::<toml::Table>(&config) {
        Ok(table) if table.contains_key("provenance") => Ok(()),
        _ => foreign("config.toml", "no run wrote that, it has no [provenance]"),
    }
}

/// Removes a folder where nothing is in it; says whether it did.
fn remove_empty(path: &Path) -> Result<bool, FileError> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        removed => removed.map_err(FileError::at("remove", path)).map(|()| true),
    }
}

/// Takes the rows of removed trials out of an experiment's results.csv; the others stay as they are.
///
/// # Errors
/// When the table can't be read or written.
pub fn forget(experiment: &Path, names: &HashSet<String>) -> Result<(), FileError> {
    let path = experiment.join("results.csv");
    if !path.exists() {
        return Ok(());
    }
    let text = files::read_text(&path)?;
    let damaged = |error: csv::Error| FileError::at("read", &path)(io::Error::other(error.to_string()));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for record in reader.records() {
        let record = record.map_err(damaged)?;
        if !record.get(0).is_some_and(|name| names.contains(name)) {
            writer.write_record(&record).map_err(damaged)?;
        }
    }
    let bytes =
        writer.into_inner().map_err(|error| FileError::at("write", &path)(io::Error::other(error.to_string())))?;
    files::replace_text(&path, &String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{ConfigFile, RunFolder};

    fn begin(path: &Path) -> RunFolder {
        RunFolder::open(path, &ConfigFile::default().check().unwrap()).unwrap()
    }

    /// Removes it as soon as no other test's child holds its lock for an instant.
    fn removed(path: &Path) -> Left {
        for _ in 0..500 {
            match remove_trial(path) {
                Err(FolderError::Busy(_)) => std::thread::sleep(std::time::Duration::from_millis(10)),
                removed => return removed.unwrap(),
            }
        }
        panic!("{} stays locked", path.display());
    }

    #[test]
    fn what_a_run_wrote_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("trial");
        let folder = begin(&path);
        assert!(matches!(remove_trial(&path), Err(FolderError::Busy(_))), "it is running");
        for file in [folder.history(), folder.metrics(), folder.model(), folder.log(), folder.checkpoint()] {
            fs::write(file, "x").unwrap();
        }
        fs::write(files::partial_path(&folder.model()), "x").unwrap();
        fs::write(path.join("notes.md"), "mine").unwrap();
        drop(folder);
        assert_eq!(removed(&path), Left::Others(vec!["notes.md".to_owned()]));
        let error = remove_trial(&path).unwrap_err().to_string();
        assert!(error.contains("config.toml"), "{error}");
        fs::remove_file(path.join("notes.md")).unwrap();
        drop(begin(&path));
        assert_eq!(removed(&path), Left::Nothing);
        assert!(!path.exists());
    }

    #[test]
    fn folders_that_no_run_wrote_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("config.toml"), "seed = 1").unwrap();
        fs::write(root.path().join("history.csv"), "mine").unwrap();
        let error = remove_trial(root.path()).unwrap_err().to_string();
        assert!(error.contains("no [provenance]"), "{error}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
        let (trial, link) = (root.path().join("trial"), root.path().join("link"));
        drop(begin(&trial));
        std::os::unix::fs::symlink(&trial, &link).unwrap();
        assert!(remove_trial(&link).unwrap_err().to_string().contains("a link stands there"));
        assert!(trial.join("config.toml").exists());
        fs::remove_dir_all(trial).unwrap();
        fs::remove_file(link).unwrap();
        fs::write(root.path().join("config.toml"), "[provenance]").unwrap();
        fs::write(root.path().join(RELEASE_WEIGHTS), "").unwrap();
        assert!(remove_trial(root.path()).unwrap_err().to_string().contains("holds a release"));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
    }

    #[test]
    fn rows_of_removed_trials_leave_the_table_and_others_stay() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("results.csv");
        forget(root.path(), &HashSet::new()).unwrap();
        fs::write(&path, "trial,x\na,1\nb,\"2,3\"\nc,inf\n").unwrap();
        forget(root.path(), &HashSet::from(["a".to_owned(), "nothing".to_owned()])).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "trial,x\nb,\"2,3\"\nc,inf\n");
    }
}
