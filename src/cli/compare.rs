//! `cvae compare`: finished trials side by side.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{BadInput, Exit};
use super::output;
use crate::experiment::Metrics;
use crate::files::FileError;

/// Compare finished trials in a table, best first
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae compare runs/quick
  cvae compare runs/* --csv > all.csv")]
pub struct Compare {
    /// Folders of trials, or folders that hold such
    #[arg(value_name = "RUNS", required = true, value_parser = super::path)]
    runs: Vec<PathBuf>,
    /// All columns of metrics.csv as CSV, with the trial's folder
    #[arg(long)]
    csv: bool,
}

#[derive(Debug)]
struct Trial {
    folder: PathBuf,
    metrics: Metrics,
}

impl Compare {
    /// Reads the trials' metrics and prints them by greedy pass rate on held-out conditions.
    ///
    /// # Errors
    /// When a folder can't be read or holds no finished trial.
    pub fn run(self) -> anyhow::Result<Exit> {
        let mut trials = Vec::new();
        for path in &self.runs {
            collect(path, 2, &mut trials)?;
        }
        if trials.is_empty() {
            let names: Vec<String> = self.runs.iter().map(|path| path.display().to_string()).collect();
            return Err(BadInput(format!("no finished trial (metrics.csv) in {}", names.join(", "))).into());
        }
        trials.sort_by(|a: &Trial, b: &Trial| {
            b.metrics.greedy_pass_held_out.total_cmp(&a.metrics.greedy_pass_held_out).then(a.folder.cmp(&b.folder))
        });
        output::print(&if self.csv { csv(&trials)? } else { text(&trials) })?;
        Ok(Exit::Done)
    }
}

/// The finished trials in a folder and, so many levels down, in those inside it.
fn collect(path: &Path, levels: usize, trials: &mut Vec<Trial>) -> anyhow::Result<()> {
    let metrics = path.join("metrics.csv");
    if metrics.exists() {
        trials.push(Trial { folder: path.to_owned(), metrics: Metrics::read(&metrics)? });
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(FileError::at("read", path))? {
        let entry = entry.map_err(FileError::at("read", path))?.path();
        if levels > 0 && entry.is_dir() {
            collect(&entry, levels - 1, trials)?;
        }
    }
    Ok(())
}

fn text(trials: &[Trial]) -> String {
    let percent = output::percent;
    let row = |Trial { folder, metrics }: &Trial| {
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        let tv = |tv: f64| format!("{:+.4}", tv - metrics.expected_tv);
        vec![
            name,
            percent(metrics.greedy_pass),
            percent(metrics.greedy_pass_held_out),
            percent(metrics.greedy_pass_worst),
            percent(metrics.greedy_coverage),
            tv(metrics.greedy_tv),
            percent(metrics.sampled_pass),
            percent(metrics.sampled_pass_held_out),
            percent(metrics.sampled_coverage),
            tv(metrics.sampled_tv),
            percent(metrics.expected_coverage),
            format!("{:.2}", metrics.test_kl),
            format!("{:.0} s", metrics.train_seconds),
        ]
    };
    let header = [
        "trial",
        "greedy pass",
        "held out",
        "worst",
        "coverage",
        "tv - noise",
        "sampled pass",
        "held out",
        "coverage",
        "tv - noise",
        "perfect coverage",
        "KL",
        "training",
    ];
    output::table(&header, trials.iter().map(row).collect()).to_string()
}

fn csv(trials: &[Trial]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for Trial { folder, metrics } in trials {
        writer.serialize((TrialName { trial: folder.display().to_string() }, metrics))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?.trim_end().to_owned())
}

#[derive(serde::Serialize)]
struct TrialName {
    trial: String,
}
