//! `cvae score`: any generator's rows against a table, a network or a task.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{BadInput, Exit};
use super::output;
use super::rows::Rows;
use crate::analysis::{Closest, Detection, Distances, Score, UNSEEN};
use crate::experiment::{DataConfig, TruthKind, nearest};
use crate::task::table::Coder;
use crate::task::{self, Notation, Task, Truth};

/// Score generated rows against a table, a Bayesian network or an exact task, whatever made them
///
/// REAL is a CSV file, a network (.bif or .bif.gz), or the name of a task. SYNTH is a CSV file with the same columns, in
/// any order. A table is taken for a sample: rows that it does not hold count as not valid, and its own noise is part of
/// the noise of the distance. TVComplement, ContingencySimilarity and CategoryCoverage are those of sdmetrics. The classifier
/// is a logistic regression on columns and pairs of columns, which is shown each row beside a real one of its condition.
/// Of a sample, copies and distances stand beside those of its own rows from each other.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae score survey.csv synthetic.csv --given age,sex
  cvae score algebra predictions.csv --json
  cvae score asia.bif synthetic.csv --given smoke,asia")]
pub struct ScoreCommand {
    /// Table, network or task that the rows are compared with
    #[arg(value_name = "REAL", value_parser = super::place_in_config())]
    real: String,
    /// Generated rows; - for standard input
    #[arg(value_name = "SYNTH", value_parser = super::stream())]
    synth: PathBuf,
    /// Given columns of a table or a network
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = column)]
    given: Vec<String>,
    /// Generated columns that are scored [default: all others]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = column)]
    generate: Vec<String>,
    /// The table's column of weights
    #[arg(long, value_name = "COLUMN")]
    weight: Option<String>,
    /// Columns of numbers to bin, as age=10
    #[arg(long, value_name = "COLUMN=BINS", value_delimiter = ',', value_parser = bins)]
    bins: Vec<(String, u32)>,
    /// Take the table for the whole population
    #[arg(long)]
    population: bool,
    /// Everything as JSON, with a record for each column
    #[arg(long)]
    json: bool,
}

/// A column's name in a list; blanks around names do not count, as in a header.
#[expect(clippy::unnecessary_wraps, reason = "clap takes parsers that may fail")]
pub(super) fn column(text: &str) -> Result<String, String> {
    Ok(text.trim().to_owned())
}

/// Parses a number of bins of a column.
pub(super) fn bins(text: &str) -> Result<(String, u32), String> {
    let parsed =
        text.rsplit_once('=').and_then(|(name, bins)| Some((name.trim().to_owned(), bins.trim().parse().ok()?)));
    parsed.ok_or_else(|| "it is not of the form column=10".to_owned())
}

impl ScoreCommand {
    /// Scores the rows and prints the result.
    ///
    /// # Errors
    /// When a file can't be read or does not have the columns.
    pub fn run(self) -> anyhow::Result<Exit> {
        let data = self.data();
        self.check_options(&data)?;
        let truth = data
            .load()
            .map_err(|error| {
                let text = error.to_string();
                let text = text.strip_prefix("data.").map_or(text.clone(), |rest| {
                    format!("--{rest}").replace("--table: ", "").replace("--network: ", "")
                });
                BadInput(text + &self.meant())
            })?
            .truth;
        score_file(&truth, &self.synth, self.json)
    }

    /// The task that a file which is not there was probably meant to be.
    fn meant(&self) -> String {
        if Path::new(&self.real).exists() {
            return String::new();
        }
        match nearest(&self.real, Task::names()) {
            Some(task) => format!("; did you mean {task}?"),
            None => format!("; REAL is a table, a network, or one of {}", Task::names().collect::<Vec<_>>().join(", ")),
        }
    }

    /// Refuses what does not apply: it would be lost without a word.
    fn check_options(&self, data: &DataConfig) -> Result<(), BadInput> {
        let (table, network) = (!data.table.is_empty(), !data.network.is_empty());
        let options = [
            ("given", !self.given.is_empty(), table || network),
            ("generate", !self.generate.is_empty(), table || network),
            ("weight", self.weight.is_some(), table),
            ("bins", !self.bins.is_empty(), table),
            ("population", self.population, table),
        ];
        let what = if network { "a network" } else { "a task" };
        match options.into_iter().find(|(_, set, applies)| *set && !applies) {
            Some((option, ..)) => Err(BadInput(format!("--{option}: {} is {what}; leave it out", self.real))),
            None => Ok(()),
        }
    }

    fn data(&self) -> DataConfig {
        let real = self.real.clone();
        let mut data = DataConfig {
            given: self.given.clone(),
            generate: self.generate.clone(),
            weight: self.weight.clone().unwrap_or_default(),
            bins: self.bins.iter().cloned().collect::<BTreeMap<_, _>>(),
            truth: if self.population { TruthKind::Population } else { TruthKind::Sample },
            ..DataConfig::default()
        };
        if Task::names().any(|name| name == real) {
            data.task = real;
        } else if real.ends_with(".bif") || real.ends_with(".bif.gz") {
            data.network = real;
        } else {
            data.table = real;
        }
        data
    }
}

/// Rows with values or conditions that the truth does not have, which are shown one by one.
const SHOWN: usize = 5;

/// Scores a file of rows against a truth and prints the result.
///
/// # Errors
/// When the file can't be read or does not have the columns.
pub(super) fn score_file(truth: &Truth, path: &Path, json: bool) -> anyhow::Result<Exit> {
    let schema = truth.schema();
    if schema.notation == Notation::Dates {
        return Err(BadInput("dates are scored by cvae eval".to_owned()).into());
    }
    let input = Rows::read(path)?;
    let wrong = |problem: String| BadInput(format!("{}:1: {problem}", input.name));
    let mut coder = Coder::new(&input.names, schema.columns()).map_err(wrong)?;
    let (mut rows, mut odd) = (task::Rows::new(schema.width()), 0);
    for (record, line) in &input.records {
        let problem = match coder.code(record) {
            Ok(row) => {
                rows.push(&row);
                let given = &row[..schema.given.len()];
                truth.find(given).is_none().then(|| format!("no row has {}", schema.label(given)))
            }
            Err(error) => {
                rows.push(&coder.code_or(record, UNSEEN));
                Some(error.to_string())
            }
        };
        if let Some(problem) = problem {
            odd += 1;
            if odd <= SHOWN {
                output::say!("{}:{line}: {problem}", input.name);
            }
        }
    }
    if odd > SHOWN {
        output::say!("... and {} more such rows", odd - SHOWN);
    }
    let score = Score::of(truth, &rows).ok_or_else(|| BadInput("there is nothing to compare".to_owned()))?;
    output::print(&if json { output::json(&score)? } else { text(&score) })?;
    Ok(Exit::Done)
}

fn text(score: &Score) -> String {
    let number = |value: f64| if value.is_nan() { "-".to_owned() } else { format!("{value:.4}") };
    let row = |name: &str, value: String, perfect: String| vec![name.to_owned(), value, perfect];
    let (similar, auc) = (&score.similarities, score.detection.as_ref());
    let perfect = |found: &Detection| format!("0.5 +- {:.4}", found.auc_noise);
    let Closest { generated, holdout } = &score.closest;
    let beside = |figure: &dyn Fn(&Distances) -> String| holdout.as_ref().map_or(String::new(), figure);
    let rows = vec![
        row("rows", score.rows.to_string(), String::new()),
        row("conditions met", format!("{} of {}", score.conditions_met, score.conditions), String::new()),
        row("validity", output::percent(score.validity), "100 %".to_owned()),
        row("rows with unseen values", output::percent(score.unseen_values), "0 %".to_owned()),
        row("rows of unknown conditions", output::percent(score.unknown_conditions), "0 %".to_owned()),
        row("conditional TV", number(score.conditional_tv), number(score.conditional_tv_noise)),
        row("conditional TV less noise", number(score.conditional_tv_denoised), number(0.0)),
        row("coverage", output::percent(score.coverage), output::percent(score.expected_coverage)),
        row("TVComplement", number(similar.tv_complement), String::new()),
        row("ContingencySimilarity", similar.contingency_similarity.map_or("-".to_owned(), number), String::new()),
        row("CategoryCoverage", number(similar.category_coverage), String::new()),
        row(
            "AUC of a classifier",
            auc.map_or("-".to_owned(), |found| number(found.auc)),
            auc.map_or(String::new(), perfect),
        ),
        row("copies of a row", output::percent(generated.copies), beside(&|own| output::percent(own.copies))),
        row("columns from the closest row, mean", number(generated.mean), beside(&|own| number(own.mean))),
        row(
            "columns from the closest row, median",
            generated.median.to_string(),
            beside(&|own| own.median.to_string()),
        ),
    ];
    output::on_terminal(&mut output::table(&["measure", "value", "perfect sampler"], rows))
}
