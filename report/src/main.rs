//! Typesets the documents below a root folder: `cvae-report [ROOT]`; `cvae report` calls it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cvae_report::{DOCUMENTS, ReportError, pdf_path, typeset};

fn main() -> ExitCode {
    let root = env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    for (document, limit) in DOCUMENTS {
        match write(&root, Path::new(document), limit) {
            Ok((path, pages)) => eprintln!("wrote {} ({pages} page(s), at most {limit})", path.display()),
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn write(root: &Path, document: &Path, limit: usize) -> Result<(PathBuf, usize), ReportError> {
    let typeset = typeset(root, document)?;
    let (pages, pdf) = (typeset.pages(), typeset.pdf()?);
    if pages > limit {
        return Err(ReportError::Long { document: document.to_owned(), pages, limit });
    }
    let path = root.join(pdf_path(root, document)?);
    let partial = path.with_extension("pdf.partial");
    let written = fs::write(&partial, pdf).and_then(|()| fs::rename(&partial, &path));
    written.map_err(|source| ReportError::File { action: "write", path: path.clone(), source })?;
    Ok((path, pages))
}
