//! Typesets cvae's documents: typst sources and the tables and charts that they read, to PDFs.
//!
//! Everything a document reads lies below one root folder, the repository's: nothing else can be reached, and
//! neither time nor machine changes a byte. The documents learn which files there are from
//! `sys.inputs.files`, one path a line, so that they can say that an experiment was not run.

mod world;

use std::fs;
use std::path::{Path, PathBuf};

use typst::WorldExt;
use typst::diag::{Severity, SourceDiagnostic};
use typst::layout::{Frame, FrameItem};
use typst_layout::PagedDocument;
use typst_pdf::PdfOptions;

use world::Repository;

/// The documents, and how many pages each may have.
pub const DOCUMENTS: [(&str, usize); 2] = [("report/dl_problem.typ", 5), ("report/essay_answers.typ", 1)];

/// Where the author's name stands, if the documents are handed in under one: `name = "..."`.
pub const AUTHOR: &str = "report/author.toml";

/// The path of a document's PDF below the root: beside the document, and with the author's name where there is one.
///
/// # Errors
/// When the file of the author's name can't be read.
pub fn pdf_path(root: &Path, document: &Path) -> Result<PathBuf, ReportError> {
    let setting = root.join(AUTHOR);
    if !setting.exists() {
        return Ok(document.with_extension("pdf"));
    }
    let failed = |source| ReportError::File { action: "read", path: setting.clone(), source };
    let text = fs::read_to_string(&setting).map_err(failed)?;
    let table: toml::Table = text.parse().map_err(|error| ReportError::Author(format!("{error}")))?;
    let name = table.get("name").and_then(toml::Value::as_str).unwrap_or_default();
    // It becomes a part of a file's name.
    let word: Vec<&str> =
        name.split(|letter: char| !letter.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
    if word.is_empty() {
        return Err(ReportError::Author("write name = \"First Last\"".to_owned()));
    }
    let stem = document.file_stem().unwrap_or_default().to_string_lossy();
    Ok(document.with_file_name(format!("{stem}_{}.pdf", word.join("_"))))
}

/// A typeset document.
pub struct Typeset {
    document: PagedDocument,
}

/// Why a document could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file can't be read.
    #[error("cannot {action} {path}: {source}; run the command in the repository's root, or name it with --root")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A document is too long.
    #[error("{document}: {pages} pages, and at most {limit} are allowed; shorten it")]
    Long {
        /// The document.
        document: PathBuf,
        /// Its pages.
        pages: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A path that no document can have.
    #[error("{0} is no path below the root")]
    Path(PathBuf),
    /// The author's name can't be read.
    #[error("{AUTHOR}: {0}")]
    Author(String),
    /// The document or something that it reads is wrong.
    #[error("{0}")]
    Typst(String),
}

/// Typesets a document, named relative to the root.
///
/// # Errors
/// When a file is missing, or the document can't be compiled without a warning.
pub fn typeset(root: &Path, document: &Path) -> Result<Typeset, ReportError> {
    // The first pass finds the words, the second one names their digest in the PDF's keywords.
    let digest = compiled(root, document, "")?.digest();
    compiled(root, document, &digest)
}

fn compiled(root: &Path, document: &Path, digest: &str) -> Result<Typeset, ReportError> {
    let world = Repository::new(root, document, digest)?;
    let compiled = typst::compile::<PagedDocument>(&world);
    let said = |messages: &[SourceDiagnostic]| {
        messages.iter().map(|message| message_of(&world, message)).collect::<Vec<_>>().join("\n")
    };
    let document = compiled.output.map_err(|errors| ReportError::Typst(said(&errors)))?;
    // A missing font or an empty reference is a fault in a document that is to be read.
    if !compiled.warnings.is_empty() {
        return Err(ReportError::Typst(said(&compiled.warnings)));
    }
    Ok(Typeset { document })
}

impl Typeset {
    /// Number of pages.
    pub fn pages(&self) -> usize {
        self.document.pages().len()
    }

    /// The PDF.
    ///
    /// # Errors
    /// When it can't be written as such.
    pub fn pdf(&self) -> Result<Vec<u8>, ReportError> {
        let said = |messages: &[SourceDiagnostic]| {
            messages.iter().map(|message| message.message.to_string()).collect::<Vec<_>>().join("\n")
        };
        // Older readers take the marks of tagged PDFs for errors.
        let options = PdfOptions { tagged: false, ..PdfOptions::default() };
        typst_pdf::pdf(&self.document, &options).map_err(|errors| ReportError::Typst(said(&errors)))
    }

    /// A digest of the words, by which a PDF tells from which ones it was made.
    pub fn digest(&self) -> String {
        format!("words-{:032x}", typst::utils::hash128(&self.text()))
    }

    /// The words of the pages, in the order in which they are set.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.document.pages().iter().for_each(|page| collect(&page.frame, &mut text));
        text
    }
}

fn collect(frame: &Frame, text: &mut String) {
    for (_, item) in frame.items() {
        match item {
            FrameItem::Group(group) => collect(&group.frame, text),
            FrameItem::Text(words) => {
                *text += &words.text;
                text.push('\n');
            }
            _ => {}
        }
    }
}

fn message_of(world: &Repository, message: &SourceDiagnostic) -> String {
    let kind = match message.severity {
        Severity::Error => "",
        Severity::Warning => "warning: ",
    };
    let place = message.span.id().map(|id| {
        let file = id.vpath().get_without_slash().to_owned();
        let line = world.range(message.span).and_then(|range| world.line(id, range.start));
        line.map_or_else(|| file.clone(), |line| format!("{file}:{line}"))
    });
    let hints: String = message.hints.iter().map(|hint| format!("; {}", hint.v)).collect();
    let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
    format!("{place}{kind}{}{hints}", message.message)
}

/// The files below a folder, relative to the root, in order of their names.
fn files(root: &Path, folder: &Path, found: &mut Vec<String>) -> Result<(), ReportError> {
    let path = root.join(folder);
    if !path.is_dir() {
        return Ok(());
    }
    let failed = |source| ReportError::File { action: "read", path: path.clone(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name());
    }
    names.sort();
    for name in names {
        let inner = folder.join(name);
        if root.join(&inner).is_dir() {
            files(root, &inner, found)?;
        } else if let Some(name) = inner.to_str() {
            found.push(name.to_owned());
        }
    }
    Ok(())
}
