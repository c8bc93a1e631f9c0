//! What a document can see: the files below the root, and the built-in fonts.

use std::fs;
use std::path::{Path, PathBuf};

use typst::diag::{FileError, FileResult};
use typst::foundations::{Bytes, Datetime, Dict, Duration, IntoValue};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};

use super::{ReportError, files};

/// Folders whose files a document may list.
const FOLDERS: [&str; 4] = ["runs", "plots", "docs/images", "report"];

/// The repository as typst sees it.
pub struct Repository {
    root: PathBuf,
    main: FileId,
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
}

impl Repository {
    /// The files below this root, of which one is the document, and the digest that it is to name.
    ///
    /// # Errors
    /// When a folder can't be read or the document's path leaves the root.
    pub fn new(root: &Path, document: &Path, digest: &str) -> Result<Self, ReportError> {
        let outside = || ReportError::Path(document.to_owned());
        let path = VirtualPath::new(document.to_str().ok_or_else(outside)?).map_err(|_| outside())?;
        let main = RootedPath::new(VirtualRoot::Project, path).intern();
        let mut found = Vec::new();
        FOLDERS.iter().try_for_each(|folder| files(root, Path::new(folder), &mut found))?;
        let inputs = [("files".into(), found.join("\n").into_value()), ("digest".into(), digest.into_value())];
        let inputs: Dict = inputs.into_iter().collect();
        let built_in = typst_assets::fonts().chain([dejavu::sans::regular(), dejavu::sans::bold()]);
        let fonts: Vec<Font> = built_in.flat_map(|bytes| Font::iter(Bytes::new(bytes))).collect();
        Ok(Self {
            root: root.to_owned(),
            main,
            library: LazyHash::new(Library::builder().with_inputs(inputs).build()),
            book: LazyHash::new(FontBook::from_fonts(&fonts)),
            fonts,
        })
    }

    /// The line, from 1, that a byte of a source lies in.
    pub fn line(&self, id: FileId, byte: usize) -> Option<usize> {
        Some(self.source(id).ok()?.lines().byte_to_line(byte)? + 1)
    }

    fn read(&self, id: FileId) -> FileResult<Vec<u8>> {
        if !matches!(id.root(), VirtualRoot::Project) {
            return Err(FileError::Other(Some("packages can't be used: everything is part of the repository".into())));
        }
        let path = id.vpath().realize(&self.root).map_err(FileError::Realize)?;
        fs::read(&path).map_err(|error| FileError::from_io(error, &path))
    }
}

impl World for Repository {
    fn library(&self) -> &LazyHash<Library> {
        &self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &self.book
    }

    fn main(&self) -> FileId {
        self.main
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        let text = String::from_utf8(self.read(id)?).map_err(|_| FileError::InvalidUtf8)?;
        Ok(Source::new(id, text))
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        Ok(Bytes::new(self.read(id)?))
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.fonts.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        // A document that names the day would change with it.
        None
    }
}
