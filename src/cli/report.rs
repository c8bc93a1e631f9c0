//! `cvae report`: charts of the committed runs, and the PDFs that they and the tables go into.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use clap::Args;

use super::exit::{BadInput, Exit};
use super::plot;
use crate::printable::ShownPath;

/// The typesetter: a program of its own, since it takes minutes to build.
const TYPESETTER: &str = "cvae-report";

/// Typeset report/dl_problem.pdf and report/essay_answers.pdf from the tables under runs/
///
/// Draws the charts of runs/ into plots/ again, then typesets. Numbers and charts come from the CSVs; an
/// experiment that was not run is named as such. Nothing is trained, and no weights are needed.
#[derive(Debug, Args)]
#[command(after_help = "The typesetter is built once, by make report or cargo build --release -p cvae-report.")]
pub struct Report {
    /// The repository's root, which holds runs/ and report/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = super::place())]
    root: PathBuf,
}

impl Report {
    /// Draws and typesets.
    ///
    /// # Errors
    /// When runs can't be read, the typesetter is missing, or the documents can't be typeset.
    pub fn run(self) -> anyhow::Result<Exit> {
        let document = self.root.join("report/dl_problem.typ");
        if !document.exists() {
            let root = self.root.shown();
            return Err(BadInput(format!(
                "no report/dl_problem.typ in {root}; name the repository's root with --root"
            ))
            .into());
        }
        let typesetter = typesetter()?;
        plot::logs(&self.root.join("runs"), &self.root.join("plots"))?;
        let status = Command::new(&typesetter).arg(&self.root).status();
        let status = status.with_context(|| format!("cannot start {}", typesetter.shown()))?;
        Ok(if status.success() { Exit::Done } else { Exit::Failed })
    }
}

/// The typesetter's program, beside this one.
fn typesetter() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe().context("cannot tell where this program lies")?;
    let name = format!("{TYPESETTER}{}", std::env::consts::EXE_SUFFIX);
    let place = here.parent().unwrap_or(Path::new(".")).join(name);
    if place.exists() {
        return Ok(place);
    }
    anyhow::bail!(
        "the typesetter is not built ({} is missing); make report builds it, or cargo build --release -p {TYPESETTER}, \
         which takes some ten minutes once",
        place.shown()
    )
}
