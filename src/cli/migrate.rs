//! `cvae migrate`: trials that an earlier version named, under the names that they have now.

use std::path::PathBuf;

use clap::Args;

use super::exit::{BadInput, Exit};
use super::output;
use crate::experiment::plan_moves;
use crate::printable::ShownPath;

/// Rename trials of earlier versions to the names that they have now
///
/// A trial's name ends in a hash of what differs from the defaults; earlier versions hashed every value. Trials of
/// either kind are read, compared, plotted and resumed alike: this makes the names alike as well. Folders are
/// renamed, results.csv is rebuilt, and no other file is touched. Done twice, it does nothing the second time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae migrate runs --dry-run
  cvae migrate runs")]
pub struct Migrate {
    /// Folders of runs: of an experiment, or of several
    #[arg(required = true, value_name = "RUNS", value_parser = super::place())]
    runs: Vec<PathBuf>,
    /// Print the new names and rename nothing
    #[arg(long)]
    dry_run: bool,
}

impl Migrate {
    /// Renames the trials, or says how they would be named.
    ///
    /// # Errors
    /// When a trial is running or is not what its name says: then nothing is renamed.
    pub fn run(self) -> anyhow::Result<Exit> {
        super::check_there(&self.runs)?;
        let mut all = Vec::new();
        for path in &self.runs {
            let found = plan_moves(path, 2)?;
            if found.is_empty() {
                return Err(BadInput(format!("no trials in {}; name a folder of runs", path.shown())).into());
            }
            all.extend(found);
        }
        for moves in &all {
            if !self.dry_run {
                moves.apply()?;
            }
            for (old, new) in &moves.renamed {
                output::print(&format!("{} -> {new}", moves.experiment.join(old).shown()))?;
            }
            let would = if self.dry_run { "to be " } else { "" };
            let table = if moves.stale { format!(", results.csv {would}rebuilt") } else { String::new() };
            let (place, renamed, kept) = (moves.experiment.shown(), moves.renamed.len(), moves.kept);
            output::say!("{place}: {renamed} trials {would}renamed, {kept} named so already{table}");
        }
        Ok(Exit::Done)
    }
}
