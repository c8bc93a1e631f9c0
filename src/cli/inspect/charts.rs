//! The charts of an inspection without its tables, for `cvae plot`.

use std::path::{Path, PathBuf};

use super::{Inspect, all, file_name, one, parse, pictures};
use crate::cli::exit::BadInput;
use crate::cli::predict::DecodeKind;
use crate::dates::{Condition, Date, ValidDates};
use crate::figures::write_both;
use crate::metrics::{Dataset, alone, latent_use, tally_model};

/// What is drawn of a model's weights.
#[derive(Clone, Debug)]
pub struct Charts {
    condition: Condition,
    samples: u32,
}

impl Charts {
    /// Charts from so many dates of each condition; this condition's diversity is shown.
    ///
    /// # Errors
    /// When the condition can't be read or met.
    pub fn new(condition: &str, samples: u32) -> Result<Self, BadInput> {
        Ok(Self { condition: parse(condition, &ValidDates::new())?, samples })
    }

    /// Draws coverage, distance and pass rates over all conditions, the diversity of one, and the latent code.
    ///
    /// # Errors
    /// When the model can't be loaded, or a chart can't be written.
    pub fn draw(&self, model: &Path, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let options = Inspect {
            condition: None,
            all: true,
            latent: false,
            model: model.to_owned(),
            samples: self.samples,
            decode: DecodeKind::Greedy,
            temperature: None,
            seed: 1,
            threads: None,
            importance: 2,
            output: None,
            json: false,
        };
        let subject = options.subject(ValidDates::new())?;
        let conditions = subject.valid.conditions();
        let samples = self.samples as usize;
        let tallies = tally_model(&subject.model, &subject.valid, &conditions, samples, subject.decode, 1, |_| ());
        let mut written = all::draw(&options, &tallies, folder)?;
        let (tally, counts) = one::drawn(&options, &subject, self.condition);
        let calendar = one::calendar(&options, &subject, &tally, &counts);
        let name = format!("diversity_{}", file_name(self.condition));
        written.extend(write_both(&calendar, folder, &name)?);
        let dates: Vec<Date> = conditions.iter().flat_map(|of| subject.valid.of(*of).to_vec()).collect();
        let usage = alone(|| latent_use(&subject.model, &Dataset::new(&dates, subject.model.device())));
        written.extend(alone(|| pictures::draw(&subject, &dates, &usage, self.condition, folder))?);
        Ok(written)
    }
}
