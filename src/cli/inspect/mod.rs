//! `cvae inspect`: what a model generates for one condition, for all of them, and what its code is used for.

mod all;
mod angles;
mod charts;
mod codes;
mod columns;
mod exact;
mod latent;
mod one;
mod pictures;
mod row;
mod rows;
mod terminal;

use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;

pub use charts::Charts;

use super::exit::{BadInput, Exit};
use super::output;
use super::predict::DecodeKind;
use super::{torch, warn};
use crate::analysis::Warning;
use crate::dates::{Condition, LineError, ValidDates, parse_line};
use crate::experiment::{Config, NeedsTorch, prepared};
use crate::metrics::{Draws, Population, Tally, Trained, draw_in_bulk, tally_drawn, tally_model};
use crate::model::{BulkDecoder, Decode, DeviceChoice, EngineError, EngineKind, EngineOptions, Model, bulk_decoder};
use crate::printable::ShownPath;
use crate::task::{Notation, Split};

/// Show the diversity of one condition's samples, of every condition's, or the use of the latent code
///
/// For one condition: its valid dates with counts, what failed and why, and a calendar heat map. With
/// --all: a table, a summary and charts over all 6,804 conditions that some date meets. With --latent: the
/// likelihood, what the code carries and decides, and pictures of it. With --angles: what the trunk's first layer has
/// found, with clock faces. With --by-column: which generated column the likelihood gap and
/// the invalid mass come from.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae inspect '[WED] [JAN] [False] [181]'
  cvae inspect '[WED] [JAN] [False] [181]' -n 10000 --decode sample -o heatmap.png
  cvae inspect --all -o inspect
  cvae inspect --all --json | jq .pass.mean
  cvae inspect --angles -o angles
  cvae inspect --by-column --codes 256
  cvae inspect --latent '[MON] [DEC] [False] [196]' --model runs/quick/latent_dim4-seed1-0a1b2c3d4e5f

With --all, --latent and --angles, tables and charts go to the folder OUTPUT, inspect/ where none is named.")]
pub struct Inspect {
    /// Condition, such as '[WED] [JAN] [False] [181]'
    #[arg(value_name = "CONDITION", required_unless_present_any = ["all", "latent", "angles", "by_column"])]
    condition: Option<String>,
    /// Every condition that some date meets
    #[arg(long, conflicts_with_all = ["condition", "latent"])]
    all: bool,
    /// With --all: the sealed conditions of the model's split in place of all others. For a release's final measurement,
    /// once per recipe: what was looked at is sealed no longer
    #[arg(long, requires = "all")]
    sealed: bool,
    /// Which learned angles of the trunk count a given column's values: of dates, which found the week
    #[arg(long, conflicts_with_all = ["condition", "all", "latent", "samples", "decode", "temperature", "seed", "threads", "device", "codes"])]
    angles: bool,
    /// How much of the likelihood gap and of the invalid mass each generated column makes, given those before it: where a
    /// model that falls short does so
    #[arg(long, conflicts_with_all = ["condition", "all", "latent", "angles", "samples", "decode", "temperature", "device", "output"])]
    by_column: bool,
    /// What the latent code is used for; CONDITION is the one whose codes are shown
    #[arg(long)]
    latent: bool,
    /// Folder with config.toml and weights: a finished run or a release [default: the released model in this program]
    #[arg(long, value_name = "DIR", value_parser = super::place())]
    model: Option<PathBuf>,
    /// Dates drawn for each condition [default: 1000]
    #[arg(short = 'n', long, value_name = "N", value_parser = crate::cli::whole::<u32>(1, 1_000_000),
          allow_negative_numbers = true)]
    samples: Option<u32>,
    /// How a field's value is chosen
    #[arg(long, value_enum, default_value_t = DecodeKind::Greedy)]
    decode: DecodeKind,
    /// Temperature of --decode sample [default: 1]
    #[arg(long, value_parser = crate::cli::number, allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Seed of the latent codes and draws
    #[arg(long, default_value_t = 1, value_parser = super::seed, allow_negative_numbers = true)]
    seed: u64,
    /// Threads, all cores where not given; the figures don't depend on it
    #[arg(long, value_name = "N", value_parser = crate::cli::whole::<u16>(1, 1024), allow_negative_numbers = true)]
    threads: Option<u16>,
    /// What draws and weighs for --all: a GPU takes seconds for a million codes and rows, and has random numbers of its own
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = ["cpu", "cuda"])]
    device: String,
    /// Codes for each condition in the exact marginals of --all, --latent and --by-column; 0 leaves those of --all out
    #[arg(long, value_name = "K", default_value_t = 1024, value_parser = crate::cli::whole::<u32>(0, 1_000_000),
          allow_negative_numbers = true)]
    codes: u32,
    /// Where charts and tables go: a folder, or for one condition a .png or .svg file as well
    #[arg(short, long, value_name = "OUTPUT", value_parser = super::place())]
    output: Option<PathBuf>,
    /// All columns of tables, however wide the terminal is
    #[arg(long)]
    wide: bool,
    /// Everything as JSON
    #[arg(long)]
    json: bool,
}

pub(super) use rows::truth;

/// Where --all, --latent and --angles write unless told otherwise.
const FOLDER: &str = "inspect";

/// What every inspection needs.
struct Subject {
    model: Model,
    config: Config,
    valid: ValidDates,
    population: Population,
    split: Split,
    trained: Trained,
    decode: Decode,
    threads: usize,
    /// What draws and weighs in place of the CPU.
    decoder: Option<Box<dyn BulkDecoder>>,
}

impl Subject {
    /// The numbers of all conditions but sealed ones.
    fn conditions(&self) -> Vec<usize> {
        let mut conditions = [self.split.seen.as_slice(), &self.split.held_out].concat();
        conditions.sort_unstable();
        conditions
    }

    /// Which part of the split a condition is of.
    fn part(&self, group: usize) -> &'static str {
        match () {
            () if self.split.seen.binary_search(&group).is_ok() => "train",
            () if self.split.held_out.binary_search(&group).is_ok() => "validation",
            () => "sealed",
        }
    }

    /// The number of a condition that some row meets.
    fn group(&self, condition: Condition) -> usize {
        self.population.find(&condition.row()).unwrap_or_default()
    }

    /// A condition in words.
    fn label(&self, group: usize) -> String {
        self.population.schema().label(self.population.condition(group))
    }

    /// What a device makes of some work, where one is asked for; where it fails, the CPU does the work.
    fn on_device<T>(&self, work: impl FnOnce(&dyn BulkDecoder) -> Result<T, EngineError>) -> Option<T> {
        match work(&**self.decoder.as_ref()?) {
            Ok(done) => Some(done),
            Err(error) => {
                output::say!("warning: the GPU failed, the CPU goes on: {error}");
                None
            }
        }
    }

    /// Draws and tallies samples of conditions.
    fn tally(
        &self,
        conditions: &[usize],
        samples: usize,
        decode: Decode,
        seed: u64,
        bar: &indicatif::ProgressBar,
    ) -> Vec<Tally> {
        if let Some(drawn) =
            self.on_device(|decoder| draw_in_bulk(decoder, &self.population, conditions, samples, decode, seed))
        {
            let mut on_bar = output::on_bar(bar);
            return tally_drawn(&self.population, conditions, &drawn, self.threads, &mut on_bar).unwrap_or_default();
        }
        let draws = Draws { samples, decode, seed, threads: self.threads };
        // The bar asks for no end.
        tally_model(&self.model, &self.population, conditions, draws, &mut output::on_bar(bar)).unwrap_or_default()
    }
}

impl Inspect {
    /// Measures, prints and draws.
    ///
    /// # Errors
    /// When the condition, the options or the model are not what they should be, or a file can't be written.
    pub fn run(self) -> anyhow::Result<Exit> {
        self.check_output()?;
        if self.angles {
            return angles::run(&self, &super::load_model(self.model.as_deref())?.0);
        }
        if self.by_column {
            let (model, config) = super::load_model(self.model.as_deref())?;
            return columns::run(&self, &model, &config);
        }
        if let Some(folder) = &self.model
            && let (model, config) = super::load_model(Some(folder))?
            && model.schema.notation == Notation::Named
        {
            return rows::run(&self, &model, &config);
        }
        let valid = ValidDates::new();
        let condition = self.condition.as_deref().map(|text| parse(text, &valid)).transpose()?;
        let subject = self.subject(valid)?;
        if self.latent && subject.model.layout.latent == 0 {
            let message = "--latent: this model has no latent code (model.latent_dim = 0); inspect it with --all";
            return Err(BadInput(message.to_owned()).into());
        }
        match condition {
            _ if self.latent => latent::run(&self, &subject, condition),
            Some(condition) => one::run(&self, &subject, condition),
            None => all::run(&self, &subject),
        }
    }

    fn subject(&self, valid: ValidDates) -> anyhow::Result<Subject> {
        let decode = self.decode.at(self.temperature)?;
        let (model, config) = super::load_model(self.model.as_deref())?;
        let threads = self.cores();
        let decoder = if self.device == "cuda" { self.decoder(&model, threads)? } else { None };
        let (population, split) = prepared(&config.data)?;
        let trained = Trained::new(&population, &split.train.rows);
        Ok(Subject { model, config, valid, population, split, trained, decode, threads, decoder })
    }

    fn decoder(&self, model: &Model, threads: usize) -> anyhow::Result<Option<Box<dyn BulkDecoder>>> {
        if !self.all {
            return Err(BadInput("--device cuda is for --all; leave it out".to_owned()).into());
        }
        torch::hand_over(NeedsTorch { key: "--device cuda", optional: false })?;
        let options = EngineOptions { threads, device: DeviceChoice::Cuda, engine: EngineKind::Builtin };
        Ok(bulk_decoder(model, options)?)
    }

    /// Threads that are asked for, or all cores.
    fn cores(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(cores, usize::from)
    }

    /// Dates drawn for each condition.
    fn samples(&self) -> u32 {
        self.samples.unwrap_or(1000)
    }

    /// How samples are drawn, in words.
    fn how(&self) -> String {
        match self.decode {
            DecodeKind::Greedy => format!("greedy, seed {}", self.seed),
            DecodeKind::Sample => {
                format!("sampled at temperature {}, seed {}", self.temperature.unwrap_or(1.0), self.seed)
            }
        }
    }

    /// What the model is to be warned of, from a few greedy dates of every condition: tenths of a second.
    fn warnings(&self, subject: &Subject) -> Vec<Warning> {
        const SAMPLES: usize = 20;
        let bar = indicatif::ProgressBar::hidden();
        let tallies = subject.tally(&subject.conditions(), SAMPLES, Decode::Greedy, self.seed, &bar);
        warn::warnings_of(&subject.model, &subject.population, &subject.split, &tallies, self.seed)
    }

    /// Refuses a place that can't be meant, before minutes of measuring.
    fn check_output(&self) -> Result<(), BadInput> {
        let Some(path) = &self.output else { return Ok(()) };
        let (name, several) = (path.shown(), self.all || self.latent || self.angles);
        if several && (path.is_file() || is_picture(path)) {
            return Err(BadInput(format!("-o {name}: several files are written; name a folder, such as inspect")));
        }
        if !is_picture(path) && names_a_file(path) {
            let wanted = if several { "name a folder" } else { "name such a file, or a folder" };
            let message = format!("-o {name}: charts are written as .png or .svg; {wanted}, with / at its end");
            return Err(BadInput(message));
        }
        Ok(())
    }

    /// The folder of --all, --latent and --angles.
    fn folder(&self) -> &Path {
        self.output.as_deref().unwrap_or(Path::new(FOLDER))
    }
}

/// Whether a path names a picture by its extension.
fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "png" || extension == "svg")
}

/// Whether a path has an extension of letters, as files have, and is not known to be a folder.
fn names_a_file(path: &Path) -> bool {
    let letters = |extension: &std::ffi::OsStr| extension.to_string_lossy().chars().all(char::is_alphabetic);
    let folder = path.is_dir() || path.to_string_lossy().ends_with('/');
    path.extension().is_some_and(letters) && !folder
}

/// The condition that an argument names, which some date must meet.
fn parse(text: &str, valid: &ValidDates) -> Result<Condition, BadInput> {
    let bad = |error: LineError| {
        let column = error.column();
        BadInput(format!(
            "condition {text:?}, column {column}: {error}; write it as '[WED] [JAN] [False] [181]': weekday, month, \
             leap year, decade{}",
            if text.contains('=') { "; name the model of other data with --model" } else { "" }
        ))
    };
    let condition = parse_line(text).and_then(|parsed| parsed.condition_alone(text)).map_err(bad)?;
    if valid.satisfiable(condition) { Ok(condition) } else { Err(bad(LineError::Unsatisfiable(condition))) }
}

/// A condition as part of a file's name: `WED_JAN_False_181`.
fn file_name(condition: Condition) -> String {
    condition.to_string().replace("] [", "_").replace(['[', ']'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_cannot_be_is_refused_with_what_is_expected() {
        let valid = ValidDates::new();
        let condition = parse("[WED] [JAN] [False] [181]", &valid).unwrap();
        assert_eq!(file_name(condition), "WED_JAN_False_181");
        assert_eq!(parse(" [WED] [JAN] [False] [181] 1-1-1812", &valid).unwrap(), condition);
        for (text, said) in [
            ("[WED] [JAN] [False]", "the line ends where a decade: [180] to [220] is expected"),
            ("[WED] [jan] [False] [181]", "column 7: found \"[jan]\", expected a month"),
            ("[WED] [JAN] [True] [220]", "no date from 1-1-1800 to 31-12-2200 meets"),
            ("", "expected a weekday"),
        ] {
            let error = parse(text, &valid).unwrap_err().to_string();
            let said = if text.is_empty() { "a weekday" } else { said };
            assert!(error.contains(said) && error.contains("write it as"), "{error}");
        }
    }
}
