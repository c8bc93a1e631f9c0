//! The arguments of `cvae predict`.

use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::{Args, ValueEnum};

use crate::cli::exit::BadInput;
use crate::model::Decode;

/// Generate a date for each line of conditions, in the order of the input
///
/// Each line holds four conditions, `[MON] [DEC] [False] [196]`; a date that follows them is ignored.
/// Dates are written as the model generates them: none is checked against a calendar, masked or repaired
/// unless --retries asks for it. The share of them that is right is reported on standard error.
///
/// Models of other tasks and of tables read CSV with a header that names the given columns, in any order, and write the
/// same rows with the generated columns; other columns are copied.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae predict -i data/example_input.txt predictions.txt
  cvae predict -i conditions.txt -o - -n 5 --decode sample --seed 7
  echo '[MON] [DEC] [False] [196]' | cvae predict -i - -")]
pub struct Predict {
    /// File of conditions; - for standard input
    #[arg(short, long, value_name = "FILE", value_parser = crate::cli::stream())]
    pub input: PathBuf,
    /// File to write; - for standard output
    #[arg(value_name = "OUTPUT", value_parser = crate::cli::stream())]
    output: Option<PathBuf>,
    /// File to write, in place of OUTPUT
    #[arg(id = "output_option", short, long = "output", value_name = "OUTPUT", value_parser = crate::cli::stream(),
          conflicts_with = "output")]
    output_option: Option<PathBuf>,
    /// Folder with config.toml and weights: a finished run or a release [default: the released model in this program]
    #[arg(long, value_name = "DIR", value_parser = crate::cli::place())]
    pub model: Option<PathBuf>,
    /// Seed of the latent codes and draws
    #[arg(long, default_value_t = 1, value_parser = crate::cli::seed, allow_negative_numbers = true)]
    pub seed: u64,
    /// Dates for each line of the input
    #[arg(short = 'n', long, default_value_t = 1, value_parser = crate::cli::whole::<u32>(1, 1_000_000),
          allow_negative_numbers = true)]
    pub samples: u32,
    /// How a field's value is chosen
    #[arg(long, value_enum, default_value_t = DecodeKind::Greedy)]
    pub decode: DecodeKind,
    /// Temperature of --decode sample [default: 1]
    #[arg(long, value_parser = crate::cli::number, allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    /// Threads that decode, all cores where not given; with several, two more read and write. The dates don't depend on it
    #[arg(long, value_name = "N", value_parser = crate::cli::whole::<u16>(1, 1024), allow_negative_numbers = true)]
    pub threads: Option<u16>,
    /// Predict the good lines where some are bad; the bad ones are copied without a date (exit code 3)
    #[arg(long)]
    pub keep_going: bool,
    /// Draw dates that fail their conditions again, so many times at most; what this changes is reported
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = crate::cli::whole::<u32>(0, 10_000),
          allow_negative_numbers = true)]
    pub retries: u32,
}

/// How a field's value is chosen, as arguments name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DecodeKind {
    /// The most likely value: all variety comes from the latent code
    Greedy,
    /// A draw from the categorical distribution
    Sample,
}

impl DecodeKind {
    /// What the model is to do, where a temperature may have been given.
    ///
    /// # Errors
    /// When the temperature makes no distribution or would have no effect.
    pub fn at(self, temperature: Option<f64>) -> Result<Decode, BadInput> {
        match (self, temperature) {
            (Self::Greedy, None) => Ok(Decode::Greedy),
            (Self::Greedy, Some(_)) => {
                Err(BadInput("--temperature has no effect on greedy decoding; add --decode sample".to_owned()))
            }
            (Self::Sample, given) => Decode::sample(given.unwrap_or(1.0)).map_err(|error| BadInput(error.to_string())),
        }
    }
}

impl Predict {
    /// Whether there is more than one thread to work on.
    pub fn beside(&self) -> bool {
        self.threads.map_or_else(|| available_parallelism().is_ok_and(|cores| cores.get() > 1), |threads| threads > 1)
    }

    /// Where the answers go.
    ///
    /// # Errors
    /// When nothing is named.
    pub fn output_path(&self) -> Result<PathBuf, BadInput> {
        let output = self.output.as_ref().or(self.output_option.as_ref()).cloned();
        output.ok_or_else(|| {
            BadInput("name the file to write, as OUTPUT or with -o OUTPUT; - stands for standard output".to_owned())
        })
    }
}
