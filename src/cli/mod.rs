//! The commands: one file each, with its arguments and its orchestration. No science here.

mod bars;
mod closed;
mod compare;
mod completions;
mod data;
mod eval;
mod exit;
mod export;
mod group;
mod input;
mod inspect;
mod interrupt;
mod man;
mod migrate;
mod output;
mod page;
mod panics;
mod plot;
mod predict;
mod reference;
mod report;
mod rows;
mod runs;
mod score;
mod slips;
mod sweep;
mod torch;
mod train;
mod warn;
mod watch;
mod worker;

use std::io::{self, Write};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};

use crate::experiment::{self, Config, Override, OverrideError};
use crate::files::FileError;
use crate::model::Model;
use crate::printable::{ShownPath, printable};

pub use exit::{BadInput, Exit};

/// A research workbench for conditional variational autoencoders, measured on conditional date generation
///
/// Given a weekday, a month, a leap-year flag and a decade, a model generates dates from 1-1-1800 to
/// 31-12-2200 that meet all four. Data goes to standard output, messages go to standard error.
///
/// Exit codes: 0 done; 1 failed; 2 bad arguments, config or input; 3 done, but some lines could not be
/// answered; 75 the trial is in use or was told to stop, try again; 130 interrupted; 134 or 137 ended from
/// outside, by the C++ runtime or the kernel, mostly for lack of memory.
#[derive(Debug, Parser)]
#[command(name = "cvae", version, long_version = BUILT, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Examples:
  cvae data
  cvae train experiments/quick.toml
  cvae predict -i data/example_input.txt predictions.txt
  cvae eval predictions.txt
  cvae inspect '[WED] [JAN] [False] [181]'
  cvae sweep experiments/quick.toml
  cvae compare runs/quick --references
  cvae plot runs/quick")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Version, and the commit that the program was built from.
const BUILT: &str = concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("CVAE_COMMIT"), env!("CVAE_DIRTY"), ")");

#[derive(Debug, Subcommand)]
enum Command {
    Data(data::Data),
    Train(train::Train),
    Sweep(sweep::Sweep),
    Predict(predict::Predict),
    Eval(eval::Eval),
    Score(score::ScoreCommand),
    Compare(compare::Compare),
    Watch(watch::Watch),
    Runs(runs::Runs),
    Export(export::ExportCommand),
    Inspect(inspect::Inspect),
    Completions(completions::Completions),
    Man(man::Manual),
    Migrate(migrate::Migrate),
    Plot(plot::Plot),
    Page(page::PageCommand),
    #[command(after_help = "Examples:
  cvae report
  cvae report --root ~/cvae

The typesetter is built once, by make report or cargo build --release -p cvae-report.")]
    Report(report::Report),
}

/// Parses the arguments, runs the command, prints the error chain and sets the exit code.
pub fn program() -> ExitCode {
    panics::install();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => return said(&slips::explained(answer)),
    };
    let ended = catch_unwind(|| arguments.run());
    interrupt::over();
    match ended {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(error)) => Exit::report(&error).into(),
        Err(_) => panics::report().into(),
    }
}

/// Prints help, the version or what is wrong with the arguments; help that could not be printed is a failure.
fn said(answer: &clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2));
    let text = answer.to_string();
    if answer.use_stderr() && printable(&text) != text {
        // An argument that is shown again must not steer the terminal.
        output::say!("{}", text.trim_end());
        return code;
    }
    let printed = if answer.use_stderr() { Ok(()) } else { closed::check() };
    match printed.and_then(|()| answer.print()).and_then(|()| io::stdout().flush()) {
        Err(error) if !answer.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            Exit::report(&output::stdout_failed()(error).into()).into()
        }
        _ => code,
    }
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever ends it early, with its context.
    pub fn run(self) -> anyhow::Result<Exit> {
        interrupt::install()?;
        experiment::check_lock_mode().map_err(BadInput)?;
        match self.command {
            Command::Data(command) => command.run(),
            Command::Train(command) => command.run(),
            Command::Sweep(command) => command.run(),
            Command::Predict(command) => command.run(),
            Command::Eval(command) => command.run(),
            Command::Score(command) => command.run(),
            Command::Compare(command) => command.run(),
            Command::Watch(command) => command.run(),
            Command::Runs(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
            Command::Migrate(command) => command.run(),
            Command::Plot(command) => command.run(),
            Command::Page(command) => command.run(),
            Command::Report(command) => command.run(),
        }
    }
}

/// What to add to an error about lines of dates where the file seems to be a table.
fn of_table(path: &Path) -> &'static str {
    let is_table = path.extension().is_some_and(|extension| extension == "csv" || extension == "parquet");
    if is_table { ". Of a table, name the model with --model" } else { "" }
}

/// The model of a release or a finished run in a folder, or the released model.
///
/// # Errors
/// When a file is missing or damaged, or config and weights don't fit each other.
fn load_model(folder: Option<&Path>) -> anyhow::Result<(Model, Config)> {
    let Some(folder) = folder else { return Ok(experiment::released_model()?) };
    let place = format!("cannot load a model from {} (--model names a release or a finished run)", folder.shown());
    if !folder.join("config.toml").exists()
        && let Some(trial) = experiment::first_model(folder)
    {
        let problem = format!("{place}: it holds the folders of trials; name one of them, such as {}", trial.shown());
        return Err(exit::BadInput(problem).into());
    }
    if !folder.exists() {
        return Err(exit::BadInput(format!("{place}: there is no such folder; check the path")).into());
    }
    experiment::load_model(folder).context(place)
}

/// Checks that what arguments name is there.
fn check_there(places: &[PathBuf]) -> Result<(), BadInput> {
    let missing = |place: &PathBuf| Some(FileError::at("read", place)(place.metadata().err()?));
    places.iter().find_map(missing).map_or(Ok(()), |error| Err(BadInput(error.to_string())))
}

/// `-` stands for standard input and output.
fn is_standard_stream(path: &Path) -> bool {
    path == Path::new("-")
}

/// Parses a seed: any whole number that fits 64 bits.
fn seed(text: &str) -> Result<u64, String> {
    whole(0, u64::MAX)(text)
}

/// Parses a number of things.
fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "it is not a whole number from 0 up".to_owned())
}

/// Parses a device into the override of its key.
fn device(text: &str) -> Result<Override, String> {
    match text {
        "auto" | "cpu" | "cuda" => format!("device={text}").parse().map_err(|error: OverrideError| error.to_string()),
        _ => Err("it is not auto, cpu or cuda".to_owned()),
    }
}

/// Parses a whole number in a range.
fn whole<T: TryFrom<u64>>(low: u64, high: u64) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| (low..=high).contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("it is not a whole number from {low} to {high}"))
    }
}

/// Parses a number.
fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "it is not a number; decimals follow a point, as in 0.5".to_owned())
}

/// Parses the path of a file or a folder, in any encoding.
fn place() -> impl TypedValueParser<Value = PathBuf> {
    stream().try_map(|path| match is_standard_stream(&path) {
        true => Err("- stands for standard input or output, which will not do here; write ./- for a file of that name"),
        false => Ok(path),
    })
}

/// Parses the path of a file that a config is to name: text, and no standard stream.
fn place_in_config() -> impl TypedValueParser<Value = String> {
    place().try_map(|path| {
        path.into_os_string()
            .into_string()
            .map_err(|_| "names in configs are UTF-8; rename the file, or make a link to it")
    })
}

/// Parses the path of a file or a folder, where `-` may stand for standard input or output.
fn stream() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|text| match text.is_empty() {
        true => Err("the path is empty"),
        false => Ok(PathBuf::from(text)),
    })
}
