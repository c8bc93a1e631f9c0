//! Which charts of a folder this program has drawn: `charts.sha256`, as `sha256sum --check` reads it. What is not listed
//! there, or is not as it was drawn, is never removed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::checksums::sha256;
use crate::files::{self, FileError};

/// The file that lists the charts beside it.
const LIST: &str = "charts.sha256";

/// The charts of a folder by name, each with the digest of what was drawn.
#[derive(Debug)]
pub struct Listed {
    folder: PathBuf,
    digests: BTreeMap<String, String>,
}

impl Listed {
    /// Those of a folder, which need not be there.
    ///
    /// # Errors
    /// When the list is there and can't be read.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        let path = folder.join(LIST);
        let text = if path.exists() { files::read_text(&path)? } else { String::new() };
        // A line of another kind lists nothing.
        let line = |line: &str| line.split_once("  ").map(|(digest, name)| (name.to_owned(), digest.to_owned()));
        Ok(Self { folder: folder.to_owned(), digests: text.lines().filter_map(line).collect() })
    }

    /// Lists files that have just been drawn.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn add(&mut self, paths: &[PathBuf]) -> Result<(), FileError> {
        // What is no file, a link to a device say, holds nothing that could be read back.
        for path in paths.iter().filter(|path| path.is_file()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.digests.insert(name, sha256(&files::read_bytes(path)?));
        }
        self.save()
    }

    /// Removes the listed files with such names, as far as they are what was drawn; the paths of those removed.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&mut self, named: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, FileError> {
        let (stale, kept) = std::mem::take(&mut self.digests).into_iter().partition(|(name, _)| named(name));
        self.digests = kept;
        let stale: BTreeMap<String, String> = stale;
        let mut removed = Vec::new();
        for (name, digest) in &stale {
            let path = self.folder.join(name);
            // A name with a slash leads out of the folder, and is none of this program's.
            if !name.contains('/') && path.is_file() && sha256(&files::read_bytes(&path)?) == *digest {
                fs::remove_file(&path).map_err(FileError::at("remove", &path))?;
                removed.push(path);
            }
        }
        if !stale.is_empty() {
            self.save()?;
        }
        Ok(removed)
    }

    fn save(&self) -> Result<(), FileError> {
        let lines: String = self.digests.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        files::replace_text(&self.folder.join(LIST), &lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_what_was_drawn_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["drawn.svg", "edited.svg", "mine.svg"] {
            fs::write(path(name), "chart").unwrap();
        }
        let mut listed = Listed::read(folder.path()).unwrap();
        listed.add(&[path("drawn.svg"), path("edited.svg")]).unwrap();
        fs::write(path("edited.svg"), "mine").unwrap();
        let mut again = Listed::read(folder.path()).unwrap();
        assert_eq!(again.remove(|name| name.ends_with(".svg")).unwrap(), [path("drawn.svg")]);
        assert!(!path("drawn.svg").exists() && path("edited.svg").exists() && path("mine.svg").exists());
        // A list that leads elsewhere leads nowhere.
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("x.svg"), "chart").unwrap();
        let line = format!("{}  ../{}/x.svg\n", sha256(b"chart"), outside.path().file_name().unwrap().display());
        fs::write(path(LIST), line).unwrap();
        assert!(Listed::read(folder.path()).unwrap().remove(|_| true).unwrap().is_empty());
        assert!(outside.path().join("x.svg").exists());
    }
}
