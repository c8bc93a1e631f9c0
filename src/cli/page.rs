//! `cvae page`: runs and a model as one HTML page.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::{is_standard_stream, load_model, output, plot, rows};
use crate::experiment::RELEASE;
use crate::page::{Page, PageModel, PageRun};
use crate::printable::ShownPath;

/// Write one HTML page: runs as a table with curves and heat maps, and a model that runs in the browser
///
/// RUNS are experiments, single trials, or folders that hold such; without any, the page shows the model alone.
/// The page is one file and loads nothing. Its model draws dates for any condition, shows what each point of the
/// latent code decodes to, and what the learned angles mean.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae page runs/latent_beta -o page.html
  cvae page -o model.html
  cvae page runs/quick --model runs/quick/latent_dim4-seed1-0a1b2c3d4e5f -o quick.html")]
pub struct PageCommand {
    /// Experiments, trials, or folders that hold such
    #[arg(value_name = "RUNS", value_parser = super::place())]
    runs: Vec<PathBuf>,
    /// Folder with config.toml and weights: a finished run or a release [default: the released model in this program]
    #[arg(long, value_name = "DIR", value_parser = super::place())]
    model: Option<PathBuf>,
    /// File to write; - for standard output
    #[arg(short, long, value_name = "FILE", value_parser = super::stream())]
    output: PathBuf,
    /// Title of the page
    #[arg(long, default_value = "cvae")]
    title: String,
}

impl PageCommand {
    /// Reads the runs and the model and writes the page.
    ///
    /// # Errors
    /// When a run or the model can't be read, or the page can't be written.
    pub fn run(self) -> anyhow::Result<Exit> {
        let runs = plot::found(&self.runs)?;
        let (model, config) = load_model(self.model.as_deref())?;
        let truth = config.data.load()?.truth;
        let name = self.model.map_or(RELEASE.to_owned(), |folder| folder.display().to_string());
        let shown = PageModel::new(&name, &model, &truth);
        let page = Page::new(&self.title, runs.iter().map(PageRun::new).collect(), Some(shown));
        let html = page.html()?;
        let all_read = rows::write(&self.output, |out| out.write_all(html.as_bytes()))?;
        if all_read && !is_standard_stream(&self.output) {
            let trials: usize = runs.iter().map(|run| run.trials.len()).sum();
            let (place, size) = (self.output.shown(), html.len() as f64 / 1e6);
            output::say!("wrote {place}: {trials} trials and {name}, {size:.1} MB");
        }
        Ok(Exit::Done)
    }
}
