//! `cvae data`: the challenge's files, and those of other tasks.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::exit::{BadInput, Exit};
use super::output;
use crate::dates::{self, YearRange};
use crate::experiment::DataConfig;
use crate::files;
use crate::printable::ShownPath;
use crate::task::{self, Task};

/// Write data.txt (every date with its conditions) and example_input.txt (conditions only), or another task's rows
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae data                           both files in data/, for 1800 to 2200
  cvae data --from 1900 --to 1999 -o /tmp/century
  cvae data --task algebra            data/algebra.csv: every row of another exact task
  cvae data --network asia.bif --given smoke,asia")]
pub struct Data {
    /// First year
    #[arg(long, value_name = "YEAR", default_value_t = dates::FIRST_YEAR, value_parser = super::whole::<i16>(1000, 9999),
          allow_negative_numbers = true)]
    from: i16,
    /// Last year
    #[arg(long, value_name = "YEAR", default_value_t = dates::LAST_YEAR, value_parser = super::whole::<i16>(1000, 9999),
          allow_negative_numbers = true)]
    to: i16,
    /// Task whose rows are written; all but dates as CSV, NAME.csv
    #[arg(long, value_name = "NAME", default_value = task::DATES, value_parser = PossibleValuesParser::new(Task::names()),
          conflicts_with_all = ["from", "to"])]
    task: String,
    /// Bayesian network, .bif or .bif.gz, whose rows and probabilities are written as CSV
    #[arg(long, value_name = "FILE", requires = "given", conflicts_with_all = ["task", "from", "to"],
          value_parser = super::place_in_config())]
    network: Option<String>,
    /// Given columns of the network
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', requires = "network", value_parser = super::score::column)]
    given: Vec<String>,
    /// Generated columns of the network [default: all others]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', requires = "network", value_parser = super::score::column)]
    generate: Vec<String>,
    /// Folder to write to
    #[arg(short, long, value_name = "DIR", default_value = "data", value_parser = super::place())]
    output: PathBuf,
}

impl Data {
    /// Writes both files.
    ///
    /// # Errors
    /// When the years are no range, or a file can't be written.
    pub fn run(self) -> anyhow::Result<Exit> {
        if let Some(network) = &self.network {
            let data = DataConfig {
                network: network.clone(),
                given: self.given.clone(),
                generate: self.generate.clone(),
                ..DataConfig::default()
            };
            let name = Path::new(network).file_name().unwrap_or_default().to_string_lossy();
            let stem = name.split('.').next().unwrap_or_default();
            return self.write_rows(&data, stem);
        }
        if self.task != task::DATES {
            return self.write_rows(&DataConfig { task: self.task.clone(), ..DataConfig::default() }, &self.task);
        }
        let range = YearRange::new(self.from, self.to).map_err(|error| BadInput(error.to_string()))?;
        files::make_folder(&self.output)?;
        write(&self.output.join(dates::DATA_FILE), |out| dates::write_data(range, out))?;
        write(&self.output.join(dates::EXAMPLE_FILE), |out| dates::write_example(range, out))?;
        Ok(Exit::Done)
    }

    fn write_rows(&self, data: &DataConfig, name: &str) -> anyhow::Result<Exit> {
        let truth = data.load()?.truth;
        files::make_folder(&self.output)?;
        write(&self.output.join(format!("{name}.csv")), |out| Ok(truth.write_csv(out).map_err(files::of_csv)? + 1))?;
        Ok(Exit::Done)
    }
}

fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<usize>) -> anyhow::Result<()> {
    let mut lines = 0;
    files::replace(path, |partial| {
        let mut out = BufWriter::new(File::create(partial)?);
        lines = fill(&mut out)?;
        out.flush()
    })?;
    output::say!("{}: {lines} lines", path.shown());
    Ok(())
}
