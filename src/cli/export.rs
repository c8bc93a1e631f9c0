//! `cvae export`: results for other tools.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::exit::{BadInput, Exit};
use super::{interrupt, output};
use crate::export::{Export, Exported, Format};
use crate::files::{self, FileError};
use crate::printable::ShownPath;

/// Write histories, configs and metrics for other tools: TensorBoard, Parquet, JSON lines
///
/// Parquet and JSON lines: a table history with a row for each evaluation, and a table trials with state, config and final
/// metrics; columns are typed, and what a trial lacks is null. TensorBoard: a run for each trial, its config as
/// hyperparameters.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae export runs --to parquet -o exported
  cvae export runs/latent_beta --to tensorboard -o logs --follow
  tensorboard --logdir logs
  cvae export runs --to jsonl -o exported

JSON has no infinity: there the largest finite number, 1.7976931348623157e308, stands for it, as in an infinite KL weight.
Parquet holds infinity itself.")]
pub struct ExportCommand {
    /// Folders of trials, or folders that hold such
    #[arg(value_name = "RUNS", required = true, value_parser = super::place())]
    runs: Vec<PathBuf>,
    /// What to write
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: FormatName,
    /// Folder to write to
    #[arg(short, long, value_name = "DIR", value_parser = super::place())]
    output: PathBuf,
    /// Go on until Ctrl-C: event files are extended and tables replaced as trials go on
    #[arg(long)]
    follow: bool,
    /// Seconds between looks at the folders (--follow)
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = crate::cli::whole::<u16>(1, 3600), allow_negative_numbers = true, requires = "follow")]
    every: u16,
}

/// A format as an option names it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatName {
    /// Event files
    Tensorboard,
    /// history.parquet and trials.parquet
    Parquet,
    /// history.jsonl and trials.jsonl
    Jsonl,
}

/// Where tables are large, so many times as long as writing them took is waited before they are written again.
const REST: u32 = 4;

impl ExportCommand {
    /// Exports once, or until the command is told to stop.
    ///
    /// # Errors
    /// When nothing is there to export, or a file can't be written.
    pub fn run(self) -> anyhow::Result<Exit> {
        let format = match self.to {
            FormatName::Tensorboard => Format::Tensorboard,
            FormatName::Parquet => Format::Parquet,
            FormatName::Jsonl => Format::Jsonl,
        };
        let names = self.runs.iter().map(|path| path.shown().to_string()).collect::<Vec<_>>().join(", ");
        check_place(&self.output, format)?;
        let runs = self.runs.clone();
        let mut export = Export::new(self.runs, self.output.clone(), format);
        if !self.follow {
            super::check_there(&runs)?;
            return match export.update()? {
                Some(exported) => {
                    mark(&self.output)?;
                    self::say(&exported, &self.output);
                    let nothing = exported.trials == 0 && !exported.skipped.is_empty();
                    Ok(if nothing { Exit::Failed } else { Exit::Done })
                }
                None => Err(BadInput(format!("no trial in {names}; name folders of runs, such as runs/quick")).into()),
            };
        }
        let stop = interrupt::listen();
        let mut told: Vec<String> = Vec::new();
        let mut due = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            if Instant::now() < due {
                sleep(Duration::from_millis(200).min(due - Instant::now()));
                continue;
            }
            let began = Instant::now();
            if let Some(mut exported) = export.update()? {
                // Once is enough for what stays as it is.
                exported.skipped.retain(|skipped| !told.contains(skipped));
                told.extend_from_slice(&exported.skipped);
                mark(&self.output)?;
                self::say(&exported, &self.output);
            }
            due = Instant::now() + Duration::from_secs(self.every.into()).max(REST * began.elapsed());
        }
        Ok(Exit::Done)
    }
}

/// What says that the tables of a folder are an export's.
const MARK: &str = ".cvae-export";

fn mark(folder: &Path) -> Result<(), FileError> {
    let path = folder.join(MARK);
    if path.exists() { Ok(()) } else { files::replace_text(&path, "cvae export replaces its tables here.\n") }
}

/// Refuses a folder in which the user's own files would be replaced.
fn check_place(folder: &Path, format: Format) -> Result<(), BadInput> {
    if folder.join("config.toml").exists() {
        return Err(BadInput(format!("{} is a run's folder; choose another one (-o)", folder.shown())));
    }
    let extension = match format {
        Format::Tensorboard => return Ok(()),
        Format::Parquet => "parquet",
        Format::Jsonl => "jsonl",
    };
    let tables = ["history", "trials"].map(|name| folder.join(name).with_extension(extension));
    match tables.iter().find(|table| table.is_file() && !folder.join(MARK).exists()) {
        Some(table) => {
            Err(BadInput(format!("{} is there, and no export wrote it; choose another folder (-o)", table.shown())))
        }
        None => Ok(()),
    }
}

fn say(exported: &Exported, folder: &Path) {
    exported.skipped.iter().for_each(|skipped| output::say!("warning: {skipped}"));
    let Exported { trials, rows, .. } = exported;
    output::say!("{}: {trials} trials, {rows} evaluations written", folder.shown());
}
