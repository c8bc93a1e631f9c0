//! Training from Python.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cvae::experiment::{RunFolder, TrialEnding, run_trial, trial_folder};
use cvae::metrics::Row;
use cvae::training::{Observer, Phase, Progress};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::config::Config;
use crate::{failure, input_error};

/// Time between looks at Python's signals and calls of the caller's function.
const BETWEEN: Duration = Duration::from_millis(100);

/// Trains a config in its folder and returns the folder; a finished trial is not repeated, an interrupted one goes on.
/// `progress` is called with step, steps, loss, and the row of an evaluation or None.
#[pyfunction]
#[pyo3(signature = (config, runs, output=None, progress=None))]
pub fn fit(
    py: Python<'_>,
    config: &Config,
    runs: PathBuf,
    output: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<PathBuf> {
    let path = output.unwrap_or_else(|| trial_folder(&runs.join(&config.experiment), &config.config));
    let folder = RunFolder::open(&path, &config.config).map_err(input_error)?;
    folder.stamp(&config.config).map_err(failure)?;
    let mut watch =
        Watch { progress, raised: Cell::new(None), looked: Cell::new(Instant::now()), at: (0, 0, f64::NAN) };
    let ending = py.detach(|| run_trial(&folder, &config.config, &mut watch));
    if let Some(error) = watch.raised.take() {
        return Err(error);
    }
    match ending.map_err(failure)? {
        TrialEnding::Finished(_) => Ok(path),
        TrialEnding::Interrupted(step) => Err(PyKeyboardInterrupt::new_err(format!(
            "interrupted after step {step}; the same call goes on from there"
        ))),
    }
}

/// Tells Python how far training is, and ends it where Python wants that.
struct Watch {
    progress: Option<Py<PyAny>>,
    /// What a signal or the caller's function raised.
    raised: Cell<Option<PyErr>>,
    looked: Cell<Instant>,
    /// Step, steps and loss.
    at: (u64, u64, f64),
}

impl Watch {
    fn tell(&self, row: Option<&Row>) {
        let Some(progress) = &self.progress else { return };
        let figures = row.map(|row| {
            let logged = row.measures().filter(|measure| row.number(*measure).is_finite());
            logged.map(|measure| (measure.name(), row.number(measure))).collect::<Vec<_>>()
        });
        let (step, steps, loss) = self.at;
        if let Err(error) = Python::attach(|py| progress.call1(py, (step, steps, loss, figures))) {
            self.raised.set(Some(error));
        }
    }

    fn has_raised(&self) -> bool {
        let raised = self.raised.take();
        let any = raised.is_some();
        self.raised.set(raised);
        any
    }
}

impl Observer for Watch {
    fn step(&mut self, progress: Progress) {
        self.at = (progress.step, progress.steps, progress.loss);
    }

    fn phase(&mut self, _: u64, _: Phase) {}

    fn evaluating(&mut self, _: f64) {}

    fn evaluated(&mut self, row: &Row) {
        self.tell(Some(row));
    }

    fn interrupted(&self) -> bool {
        if !self.has_raised() && self.looked.get().elapsed() >= BETWEEN {
            self.looked.set(Instant::now());
            match Python::attach(|py| py.check_signals()) {
                Ok(()) => self.tell(None),
                Err(error) => self.raised.set(Some(error)),
            }
        }
        self.has_raised()
    }
}
