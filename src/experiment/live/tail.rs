//! Files that grow, read once: later only what was appended is read.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// How far a growing file of lines has been read.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    /// What told the file from others, and its size and time, when it was last looked at.
    seen: Option<(u64, u64, SystemTime)>,
    /// Bytes of the whole lines that have been read.
    read: u64,
}

/// What a look at a file brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Growth {
    /// Nothing new.
    Same,
    /// These whole lines were appended.
    Lines(String),
    /// Another file stands there, or it is the first look: all its whole lines.
    Anew(String),
    /// The file is not there.
    Gone,
}

/// No file of lines that a run writes comes near this many bytes.
const MOST: u64 = 64 << 20;

impl Tail {
    /// Reads what is new. A last line without its end is left for later: its writer is not done.
    ///
    /// # Errors
    /// Those of the file system, apart from a file that is not there.
    pub fn read(&mut self, path: &Path) -> io::Result<Growth> {
        let found = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let gone = self.seen.take().is_some();
                self.read = 0;
                return Ok(if gone { Growth::Gone } else { Growth::Same });
            }
            found => found?,
        };
        let now = (found.ino(), found.len(), found.modified()?);
        if self.seen == Some(now) {
            return Ok(Growth::Same);
        }
        // A file of the same length at another time has been written over.
        let appended = self.seen.is_some_and(|(inode, length, _)| inode == now.0 && length < now.1);
        if !appended {
            self.read = 0;
        }
        let mut file = crate::files::open_regular(path).map_err(|error| error.cause)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        self.seen = Some(now);
        self.read += whole as u64;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(if appended { Growth::Lines(text) } else { Growth::Anew(text) })
    }

    /// When the file was last written to.
    pub fn modified(&self) -> Option<SystemTime> {
        self.seen.map(|(_, _, modified)| modified)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn only_what_was_appended_is_read_and_half_lines_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut tail = Tail::default();
        assert_eq!(tail.read(&path).unwrap(), Growth::Same, "it was never there");
        fs::write(&path, "one\ntw").unwrap();
        assert_eq!(tail.read(&path).unwrap(), Growth::Anew("one\n".to_owned()));
        assert_eq!(tail.read(&path).unwrap(), Growth::Same);
        let append = |text: &str| fs::File::options().append(true).open(&path).unwrap().write_all(text.as_bytes());
        append("o\nthree\nf").unwrap();
        assert_eq!(tail.read(&path).unwrap(), Growth::Lines("two\nthree\n".to_owned()));
        // As a run that is resumed replaces its history.
        crate::files::replace_text(&path, "one\nother\n").unwrap();
        assert_eq!(tail.read(&path).unwrap(), Growth::Anew("one\nother\n".to_owned()));
        fs::remove_file(&path).unwrap();
        assert_eq!(tail.read(&path).unwrap(), Growth::Gone);
        assert_eq!(tail.read(&path).unwrap(), Growth::Same);
    }
}
