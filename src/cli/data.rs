//! `cvae data`: the challenge's files, and those of other tasks.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::exit::{BadInput, Exit};
use super::output;
use crate::dates::{self, YearRange};
use crate::files;
use crate::task::{self, Task};

/// Write data.txt (every date with its conditions) and example_input.txt (conditions only), or another task's rows
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae data                           both files in data/, for 1800 to 2200
  cvae data --from 1900 --to 1999 -o /tmp/century
  cvae data --task algebra            data/algebra.csv: every row of another exact task")]
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
        if self.task != task::DATES {
            return self.write_rows();
        }
        let range = YearRange::new(self.from, self.to).map_err(|error| BadInput(error.to_string()))?;
        files::make_folder(&self.output)?;
        write(&self.output.join(dates::DATA_FILE), |out| dates::write_data(range, out))?;
        write(&self.output.join(dates::EXAMPLE_FILE), |out| dates::write_example(range, out))?;
        Ok(Exit::Done)
    }

    fn write_rows(&self) -> anyhow::Result<Exit> {
        let task = Task::named(&self.task).ok_or_else(|| BadInput(format!("there is no task {}", self.task)))?;
        files::make_folder(&self.output)?;
        write(&self.output.join(format!("{}.csv", self.task)), |out| Ok(task.truth.write_csv(out)? + 1))?;
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
    output::say!("{}: {lines} lines", path.display());
    Ok(())
}
