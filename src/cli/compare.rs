//! `cvae compare`: finished trials side by side.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::exit::{BadInput, Exit};
use super::output;
use crate::dates::{Condition, ValidDates};
use crate::experiment::{Finished, Identity, labels, named_hash, to_csv};
use crate::files::FileError;
use crate::metrics::{Reference, half_width};

/// Compare finished trials in a table, best first; trials that differ in their seed alone share a row
///
/// A row over several seeds shows means with 95 % confidence intervals (Student's t).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae compare runs/quick
  cvae compare runs/baselines --references
  cvae compare runs/ablation --sort sampled-tv --markdown
  cvae compare runs/seeds --each --columns greedy-pass,greedy-tv,sampled-pass,sampled-tv
  cvae compare runs/* --csv > all.csv")]
pub struct Compare {
    /// Folders of trials, or folders that hold such
    #[arg(value_name = "RUNS", required = true, value_parser = super::path)]
    runs: Vec<PathBuf>,
    /// What to sort by, best first
    #[arg(long, value_enum, default_value_t = Column::GreedyPassHeldOut)]
    sort: Column,
    /// Which figures to show, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "COLUMNS", default_values_t = DEFAULT)]
    columns: Vec<Column>,
    /// A row for each trial, seeds apart
    #[arg(long)]
    each: bool,
    /// Add what random dates and random valid dates score
    #[arg(long)]
    references: bool,
    /// As a Markdown table
    #[arg(long, conflicts_with = "csv")]
    markdown: bool,
    /// One CSV row a trial, with every key of its config and every metric
    #[arg(long, conflicts_with = "references")]
    csv: bool,
}

/// The figures of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    GreedyPass,
    GreedyPassSeen,
    GreedyPassHeldOut,
    GreedyPassWorst,
    GreedyCoverage,
    GreedyTv,
    SampledPass,
    SampledPassSeen,
    SampledPassHeldOut,
    SampledTv,
    TestElbo,
    /// NLL of the held-out dates above the entropy floor.
    TestNllGap,
    /// Mutual information of z and the date.
    TestMi,
    TrainSeconds,
}

/// What is shown unless something else is asked for: as much as fits on a wide terminal.
const DEFAULT: [Column; 9] = [
    Column::GreedyPass,
    Column::GreedyPassHeldOut,
    Column::GreedyPassWorst,
    Column::GreedyCoverage,
    Column::GreedyTv,
    Column::SampledPass,
    Column::TestNllGap,
    Column::TestMi,
    Column::TrainSeconds,
];

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Share,
    Distance,
    Nats,
    Seconds,
}

impl Column {
    fn header(self) -> &'static str {
        match self {
            Self::GreedyPass => "greedy pass",
            Self::GreedyPassSeen => "greedy, seen",
            Self::GreedyPassHeldOut => "greedy, held out",
            Self::GreedyPassWorst => "greedy, worst",
            Self::GreedyCoverage => "greedy coverage / perfect",
            Self::GreedyTv => "greedy tv - noise",
            Self::SampledPass => "sampled pass",
            Self::SampledPassSeen => "sampled, seen",
            Self::SampledPassHeldOut => "sampled, held out",
            Self::SampledTv => "sampled tv - noise",
            Self::TestElbo => "test ELBO",
            Self::TestNllGap => "NLL gap",
            Self::TestMi => "MI",
            Self::TrainSeconds => "training, s",
        }
    }

    fn unit(self) -> Unit {
        match self {
            Self::GreedyTv | Self::SampledTv => Unit::Distance,
            Self::TestElbo | Self::TestNllGap | Self::TestMi => Unit::Nats,
            Self::TrainSeconds => Unit::Seconds,
            _ => Unit::Share,
        }
    }

    /// Whether large values are good.
    fn rises(self) -> bool {
        matches!(self.unit(), Unit::Share) || self == Self::TestMi
    }

    fn of(self, trial: &Finished) -> f64 {
        let metrics = &trial.metrics;
        match self {
            Self::GreedyPass => metrics.greedy_pass,
            Self::GreedyPassSeen => seen(trial, metrics.greedy_pass, metrics.greedy_pass_held_out),
            Self::GreedyPassHeldOut => metrics.greedy_pass_held_out,
            Self::GreedyPassWorst => metrics.greedy_pass_worst,
            // Trials of other numbers of samples can be compared only against what could be covered.
            Self::GreedyCoverage => metrics.greedy_coverage / metrics.expected_coverage,
            Self::GreedyTv => metrics.greedy_tv - metrics.expected_tv,
            Self::SampledPass => metrics.sampled_pass,
            Self::SampledPassSeen => seen(trial, metrics.sampled_pass, metrics.sampled_pass_held_out),
            Self::SampledPassHeldOut => metrics.sampled_pass_held_out,
            Self::SampledTv => metrics.sampled_tv - metrics.expected_tv,
            Self::TestElbo => metrics.test_elbo,
            Self::TestNllGap => metrics.test_nll_gap,
            Self::TestMi => metrics.test_mi,
            Self::TrainSeconds => metrics.train_seconds,
        }
    }

    fn of_reference(self, reference: &Reference) -> f64 {
        match self {
            Self::GreedyPass
            | Self::GreedyPassSeen
            | Self::GreedyPassHeldOut
            | Self::SampledPass
            | Self::SampledPassSeen
            | Self::SampledPassHeldOut => reference.pass,
            Self::GreedyCoverage => reference.coverage,
            Self::GreedyTv | Self::SampledTv => reference.tv,
            _ => f64::NAN,
        }
    }
}

/// The mean over the conditions that were trained on, from that over all and that over the held-out ones.
fn seen(trial: &Finished, all: f64, held_out: f64) -> f64 {
    if held_out.is_nan() {
        return all;
    }
    let count = Condition::SATISFIABLE as f64;
    let held = (count * trial.config.data.held_out).round();
    (count * all - held * held_out) / (count - held)
}

/// A row of the table: trials that differ in their seed alone, or one.
struct Group {
    name: String,
    trials: Vec<Finished>,
}

impl Group {
    fn values(&self, column: Column) -> Vec<f64> {
        self.trials.iter().map(|trial| column.of(trial)).collect()
    }

    fn mean(&self, column: Column) -> f64 {
        let values = self.values(column);
        values.iter().sum::<f64>() / values.len() as f64
    }
}

impl Compare {
    /// Reads the trials and prints them.
    ///
    /// # Errors
    /// When a folder can't be read or holds no finished trial.
    pub fn run(self) -> anyhow::Result<Exit> {
        let mut finished = Vec::new();
        for path in &self.runs {
            collect(path, 3, &mut finished)?;
        }
        // A trial named twice, or run in two experiments, is one trial.
        let mut seen = HashSet::new();
        finished.retain(|trial: &Finished| seen.insert(trial.config.hash()));
        if finished.is_empty() {
            let names: Vec<String> = self.runs.iter().map(|path| path.display().to_string()).collect();
            return Err(BadInput(format!(
                "no finished trial (metrics.csv) in {}; name folders of runs, such as runs/quick",
                names.join(", ")
            ))
            .into());
        }
        if self.csv {
            output::print(to_csv(&finished)?.trim_end())?;
            return Ok(Exit::Done);
        }
        let mut groups = self.groups(finished);
        let sign = if self.sort.rises() { -1.0 } else { 1.0 };
        // NaN, as for held-out conditions where there are none, sorts last either way.
        let key = |group: &Group| (sign * group.mean(self.sort)).min(f64::INFINITY);
        groups.sort_by(|a, b| key(a).total_cmp(&key(b)).then(a.name.cmp(&b.name)));
        output::print(&self.table(&groups))?;
        Ok(Exit::Done)
    }

    fn groups(&self, finished: Vec<Finished>) -> Vec<Group> {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for trial in finished {
            let key = if self.each { trial.trial.clone() } else { trial.config.with_seed(0).hash() };
            let name = trial.trial.clone();
            groups.entry(key).or_insert_with(|| Group { name, trials: Vec::new() }).trials.push(trial);
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        // Folders that their user named are called so; others by what tells their settings apart.
        let settings: Vec<Identity> = groups.iter().map(|group| group.trials[0].config.identity()).collect();
        for (group, label) in groups.iter_mut().zip(labels(&settings)) {
            if !self.each && named_hash(&group.name).is_some() {
                group.name = label;
            }
        }
        groups
    }

    fn table(&self, groups: &[Group]) -> String {
        let columns = &self.columns;
        let header: Vec<&str> =
            ["trials", "seeds"].into_iter().chain(columns.iter().map(|column| column.header())).collect();
        let mut rows: Vec<Vec<String>> = groups
            .iter()
            .map(|group| {
                let cells = columns.iter().map(|column| cell(&group.values(*column), column.unit()));
                [group.name.clone(), group.trials.len().to_string()].into_iter().chain(cells).collect()
            })
            .collect();
        if self.references {
            let samples = groups.iter().flat_map(|group| &group.trials).map(|trial| trial.metrics.samples).max();
            for reference in Reference::all(&ValidDates::new(), samples.unwrap_or(1)) {
                let cells = columns.iter().map(|column| cell(&[column.of_reference(&reference)], column.unit()));
                rows.push([format!("({})", reference.name), String::new()].into_iter().chain(cells).collect());
            }
        }
        if self.markdown { markdown(&header, &rows) } else { output::table(&header, rows).to_string() }
    }
}

/// A mean, with the half-width of its interval where there are several values.
fn cell(values: &[f64], unit: Unit) -> String {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if mean.is_nan() {
        return "-".to_owned();
    }
    let (text, factor, decimals) = match unit {
        Unit::Share => (output::percent(mean), 100.0, 3),
        Unit::Distance => (format!("{mean:+.4}"), 1.0, 4),
        Unit::Nats => (format!("{mean:.4}"), 1.0, 4),
        Unit::Seconds => (format!("{mean:.0}"), 1.0, 0),
    };
    match half_width(values) {
        half if half.is_nan() => text,
        half => format!("{text} ± {:.decimals$}", factor * half),
    }
}

fn markdown(header: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&header.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    text += &line(
        &header
            .iter()
            .enumerate()
            .map(|(place, _)| if place == 0 { "---" } else { "---:" }.to_owned())
            .collect::<Vec<_>>(),
    );
    rows.iter().for_each(|row| text += &line(row));
    text.trim_end().to_owned()
}

/// The finished trials in a folder and, so many levels down, in those inside it.
fn collect(path: &Path, levels: usize, finished: &mut Vec<Finished>) -> anyhow::Result<()> {
    if let Some(trial) = Finished::read(path)? {
        finished.push(trial);
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(FileError::at("read", path))? {
        entries.push(entry.map_err(FileError::at("read", path))?.path());
    }
    entries.sort();
    for entry in entries {
        if levels > 0 && entry.is_dir() {
            collect(&entry, levels - 1, finished)?;
        }
    }
    Ok(())
}
