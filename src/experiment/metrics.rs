//! metrics.csv: what a finished trial is judged by, one row.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checksums::{self, ChecksumError, Demand};
use crate::files::{self, FileError};
use crate::metrics::Scores;
use crate::training::{Code, Evaluation, Phase};

/// The final metrics of a trial; README.md explains each column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Metrics {
    pub phase: Phase,
    pub train_seconds: f64,
    pub samples: u64,
    pub greedy_pass: f64,
    pub greedy_pass_held_out: f64,
    pub greedy_pass_worst: f64,
    pub greedy_pass_worst_condition: String,
    pub greedy_valid_date: f64,
    pub greedy_coverage: f64,
    pub greedy_coverage_held_out: f64,
    pub greedy_tv: f64,
    pub greedy_tv_held_out: f64,
    pub sampled_pass: f64,
    pub sampled_pass_held_out: f64,
    pub sampled_pass_worst: f64,
    pub sampled_pass_worst_condition: String,
    pub sampled_valid_date: f64,
    pub sampled_coverage: f64,
    pub sampled_coverage_held_out: f64,
    pub sampled_tv: f64,
    pub sampled_tv_held_out: f64,
    pub expected_coverage: f64,
    pub expected_tv: f64,
    pub test_recon: f64,
    pub test_kl: f64,
    pub test_prior_recon: f64,
    pub test_elbo: f64,
    pub test_entropy_floor: f64,
    pub test_nll: f64,
    pub test_nll_error: f64,
    pub test_nll_gap: f64,
    pub test_mi: f64,
    pub active_units: usize,
}

/// Why metrics could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its checksum.
    #[error(transparent)]
    Checksum(#[from] ChecksumError),
    /// The file is damaged.
    #[error("{path}: {reason}; it was written by another version or edited, remove it and run the trial again")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Metrics {
    /// The metrics of a finished run.
    pub fn new(phase: Phase, train_seconds: f64, test_entropy_floor: f64, evaluation: &Evaluation) -> Self {
        let Evaluation { test, test_prior_recon, latent, greedy, greedy_held_out, sampled, sampled_held_out, code } =
            evaluation;
        let of_code = |figure: fn(&Code) -> f64| code.as_ref().map_or(f64::NAN, figure);
        let held_out = |scores: &Option<Scores>, figure: fn(&Scores) -> f64| scores.as_ref().map_or(f64::NAN, figure);
        Self {
            phase,
            train_seconds,
            samples: greedy.samples,
            greedy_pass: greedy.pass.mean,
            greedy_pass_held_out: held_out(greedy_held_out, |scores| scores.pass.mean),
            greedy_pass_worst: greedy.pass.worst,
            greedy_pass_worst_condition: greedy.pass.worst_condition.to_string(),
            greedy_valid_date: greedy.valid_date,
            greedy_coverage: greedy.coverage.mean,
            greedy_coverage_held_out: held_out(greedy_held_out, |scores| scores.coverage.mean),
            greedy_tv: greedy.tv.mean,
            greedy_tv_held_out: held_out(greedy_held_out, |scores| scores.tv.mean),
            sampled_pass: sampled.pass.mean,
            sampled_pass_held_out: held_out(sampled_held_out, |scores| scores.pass.mean),
            sampled_pass_worst: sampled.pass.worst,
            sampled_pass_worst_condition: sampled.pass.worst_condition.to_string(),
            sampled_valid_date: sampled.valid_date,
            sampled_coverage: sampled.coverage.mean,
            sampled_coverage_held_out: held_out(sampled_held_out, |scores| scores.coverage.mean),
            sampled_tv: sampled.tv.mean,
            sampled_tv_held_out: held_out(sampled_held_out, |scores| scores.tv.mean),
            expected_coverage: greedy.expected_coverage,
            expected_tv: greedy.expected_tv,
            test_recon: test.recon,
            test_kl: test.kl,
            test_prior_recon: *test_prior_recon,
            test_elbo: test.elbo(),
            test_entropy_floor,
            test_nll: of_code(|code| code.likelihood.nll),
            test_nll_error: of_code(|code| code.likelihood.error),
            test_nll_gap: of_code(|code| code.likelihood.nll - code.likelihood.floor),
            test_mi: of_code(|code| code.information),
            active_units: latent.active_units(),
        }
    }

    /// The columns' names and this row's values, as CSV writes them.
    ///
    /// # Errors
    /// None that these plain values could cause.
    pub fn records(&self) -> Result<[Vec<String>; 2], csv::Error> {
        let bytes = self.to_csv()?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
        let mut records = reader.deserialize();
        let mut next = || records.next().unwrap_or_else(|| Ok(Vec::new()));
        Ok([next()?, next()?])
    }

    fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(self)?;
        Ok(writer.into_inner().map_err(|error| error.into_error())?)
    }

    /// Writes the row with its header, after the checksums of the folder's other files, `names`, and its own.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write(&self, path: &Path, names: &[&str]) -> Result<(), MetricsError> {
        let damaged = |error: csv::Error| MetricsError::Format { path: path.to_owned(), reason: error.to_string() };
        let bytes = self.to_csv().map_err(damaged)?;
        let (folder, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
        // This file comes last: its presence says that the trial is finished and the others are whole.
        checksums::write(folder, names, (&name.to_string_lossy(), &bytes))?;
        files::replace(path, |partial| std::fs::write(partial, &bytes))?;
        Ok(())
    }

    /// Reads what [`Metrics::write`] wrote.
    ///
    /// # Errors
    /// When the file can't be read, does not match its checksum or has none.
    pub fn read(path: &Path) -> Result<Self, MetricsError> {
        let text = checksums::read_text(path, Demand::Always)?;
        let damaged = |reason: String| MetricsError::Format { path: path.to_owned(), reason };
        let row = csv::Reader::from_reader(text.as_bytes()).into_deserialize().next();
        row.ok_or_else(|| damaged("it has no row".to_owned()))?.map_err(|error| damaged(error.to_string()))
    }
}
