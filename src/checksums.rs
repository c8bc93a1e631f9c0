//! Checksums of finished folders: a `SHA256SUMS` beside the files, as `sha256sum --check` reads it.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::files::{self, FileError};
use crate::printable::ShownPath;

/// The file of checksums in a folder.
pub const SUMS: &str = "SHA256SUMS";

/// Where a file must have a checksum to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumPolicy {
    /// Everywhere.
    Always,
    /// In folders that hold checksums, as those of finished trials do.
    WithSums,
    /// Only where it is listed: a file that may lie anywhere.
    Listed,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ChecksumError {
    /// It could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its bytes are not those that were written.
    #[error(
        "{path} is damaged or was edited: it does not match its checksum in {SUMS}; \
         restore it from a copy, or remove its folder and run the trial again",
        path = .path.shown()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Nothing says what its bytes should be.
    #[error(
        "{path} has no checksum in {SUMS} beside it, so damage could not be noticed; \
         if you trust it, run in its folder: sha256sum {names} >> {SUMS}",
        path = .path.shown()
    )]
    Unlisted {
        /// The file.
        path: PathBuf,
        /// It, or where the folder has no checksums all that it should have some of: with one, others are asked for.
        names: String,
    },
    /// The file of checksums is none.
    #[error(
        "{path}:{line}: no line of sha256sum; restore the file from a copy, or make it again with sha256sum",
        path = .path.shown()
    )]
    Sums {
        /// The file of checksums.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a whole file and checks it.
///
/// # Errors
/// When it can't be read, does not match its checksum, or lacks one that is demanded.
pub fn read(path: &Path, demand: ChecksumPolicy) -> Result<Vec<u8>, ChecksumError> {
    let bytes = files::read_bytes(path)?;
    check(path, &bytes, demand)?;
    Ok(bytes)
}

/// Reads a whole file as text and checks it.
///
/// # Errors
/// As [`read`], and when it is no UTF-8.
pub fn read_text(path: &Path, demand: ChecksumPolicy) -> Result<String, ChecksumError> {
    let text = String::from_utf8(read(path, demand)?);
    text.map_err(|_| FileError::at("read", path)(std::io::ErrorKind::InvalidData.into()).into())
}

/// Checks what was read from a file; says whether a checksum vouches for it.
///
/// # Errors
/// When it does not match its checksum, or lacks one that is demanded.
pub fn check(path: &Path, bytes: &[u8], demand: ChecksumPolicy) -> Result<bool, ChecksumError> {
    let sums = path.with_file_name(SUMS);
    let has_sums = sums.exists();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match if has_sums { listed(&sums, &name)? } else { None } {
        Some(digest) if digest == sha256(bytes) => Ok(true),
        Some(_) => Err(ChecksumError::Damaged { path: path.to_owned() }),
        None if demand == ChecksumPolicy::Always || (demand == ChecksumPolicy::WithSums && has_sums) => {
            Err(ChecksumError::unlisted(path))
        }
        None => Ok(false),
    }
}

impl ChecksumError {
    /// The error of a file that lacks a checksum.
    pub fn unlisted(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default();
        let mut names = vec![name.to_string_lossy().into_owned()];
        if !path.with_file_name(SUMS).exists() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let kind = |path: &Path| {
                path.extension().is_some_and(|kind| kind == "toml" || kind == "csv" || kind == "safetensors")
            };
            let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            let others = entries.filter(|path| path.is_file() && kind(path) && path.file_name() != Some(name));
            names.extend(others.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())));
            names.sort();
        }
        Self::Unlisted { path: path.to_owned(), names: names.join(" ") }
    }
}

/// The digest of a name; the last one, so that a line appended by a user replaces an earlier one.
fn listed(sums: &Path, name: &str) -> Result<Option<String>, ChecksumError> {
    let mut found = None;
    for (index, line) in files::read_text(sums)?.lines().enumerate() {
        // "digest  name", or "digest *name" where it was read as binary.
        let (digest, listed) = match line.split_once(' ') {
            Some((digest, rest)) if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                (digest, rest.strip_prefix([' ', '*']).unwrap_or(rest))
            }
            _ => return Err(ChecksumError::Sums { path: sums.to_owned(), line: index + 1 }),
        };
        if listed == name {
            found = Some(digest.to_ascii_lowercase());
        }
    }
    Ok(found)
}

/// Writes the checksums of files in a folder, and of one that is about to be written there.
///
/// # Errors
/// Those of the file system.
pub fn write(folder: &Path, names: &[&str], next: (&str, &[u8])) -> Result<(), FileError> {
    let mut text = String::new();
    for name in names {
        let path = folder.join(name);
        let bytes = files::read_bytes(&path)?;
        text += &format!("{}  {name}\n", sha256(&bytes));
    }
    text += &format!("{}  {}\n", sha256(next.1), next.0);
    files::replace_text(&folder.join(SUMS), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "1").unwrap();
        fs::write(folder.path().join("b"), "2").unwrap();
        write(folder.path(), &["a"], ("b", b"2")).unwrap();
        folder
    }

    #[test]
    fn the_sums_are_those_of_sha256sum() {
        let folder = folder();
        let text = fs::read_to_string(folder.path().join(SUMS)).unwrap();
        let one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
        assert!(text.starts_with(&format!("{one}  a\n")), "{text}");
        let told = std::process::Command::new("sha256sum").args(["--check", SUMS]).current_dir(folder.path()).output();
        assert!(told.unwrap().status.success());
    }

    #[test]
    fn a_file_is_read_only_as_it_was_written() {
        let folder = folder();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        assert_eq!(read_text(&a, ChecksumPolicy::Always).unwrap(), "1");
        // Another file in its place, then one bit, then nothing.
        for text in ["2", "0", ""] {
            fs::write(&a, text).unwrap();
            let error = read(&a, ChecksumPolicy::Listed).unwrap_err().to_string();
            assert!(error.contains("/a is damaged or was edited"), "{error}");
        }
        assert!(read(&b, ChecksumPolicy::Always).is_ok());
    }

    #[test]
    fn a_checksum_is_missed_where_it_is_demanded() {
        let folder = folder();
        let path = folder.path().join("c");
        fs::write(&path, "3").unwrap();
        assert!(read(&path, ChecksumPolicy::Listed).is_ok());
        let error = read(&path, ChecksumPolicy::WithSums).unwrap_err().to_string();
        assert!(error.ends_with("run in its folder: sha256sum c >> SHA256SUMS"), "{error}");
        fs::remove_file(folder.path().join(SUMS)).unwrap();
        assert!(read(&path, ChecksumPolicy::WithSums).is_ok());
        // Of a folder without any, all that will be asked for.
        for name in ["model.safetensors", "config.toml", "log.txt"] {
            fs::write(folder.path().join(name), "4").unwrap();
        }
        let error = read(&path, ChecksumPolicy::Always).unwrap_err().to_string();
        assert!(
            error.ends_with("run in its folder: sha256sum c config.toml model.safetensors >> SHA256SUMS"),
            "{error}"
        );
    }

    #[test]
    fn damaged_sums_are_named_with_their_line() {
        let folder = folder();
        let sums = folder.path().join(SUMS);
        let text = fs::read_to_string(&sums).unwrap();
        // Its first line end lost: the name is another one then.
        fs::write(&sums, text.replacen('\n', "x", 1)).unwrap();
        assert!(matches!(
            read(&folder.path().join("a"), ChecksumPolicy::WithSums),
            Err(ChecksumError::Unlisted { .. })
        ));
        fs::write(&sums, text.replacen("  b", "b", 1)).unwrap();
        let error = read(&folder.path().join("a"), ChecksumPolicy::Listed).unwrap_err().to_string();
        assert!(error.contains("SHA256SUMS:2: no line of sha256sum"), "{error}");
    }
}
