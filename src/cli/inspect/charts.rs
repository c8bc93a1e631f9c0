//! The charts of an inspection without its tables, for `cvae plot`.

use std::path::{Path, PathBuf};

use super::{Inspect, all, angles, file_name, one, parse, pictures};
use crate::checksums::sha256;
use crate::cli::exit::BadInput;
use crate::cli::predict::DecodeKind;
use crate::dates::{Condition, Date, ValidDates};
use crate::experiment::weights_file;
use crate::figures::write_both;
use crate::files;
use crate::metrics::latent_use;

/// What is drawn of a model's weights.
#[derive(Clone, Debug)]
pub struct Charts {
    condition: Condition,
    samples: u32,
}

/// Names the weights that the charts beside it were drawn of, as sha256sum does.
const DRAWN: &str = "weights.sha256";

/// How the chart of a condition's diversity begins; the condition follows.
const DIVERSITY: &str = "diversity_";

/// The other charts.
const NAMES: [&str; 9] = [
    "coverage",
    "tv",
    "pass_rate",
    "latent_kl",
    "latent_digit",
    "latent_day",
    "latent_condition",
    "latent_plane",
    "angles",
];

impl Charts {
    /// Charts from so many dates of each condition; this condition's diversity is shown.
    ///
    /// # Errors
    /// When the condition can't be read or met.
    pub fn new(condition: &str, samples: u32) -> Result<Self, BadInput> {
        Ok(Self { condition: parse(condition, &ValidDates::new())?, samples })
    }

    /// Draws coverage, distance and pass rates over all conditions, the diversity of one, the latent code, and the angles.
    ///
    /// # Errors
    /// When the model can't be loaded, or a chart can't be written.
    pub fn draw(&self, model: &Path, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let options = Inspect {
            condition: None,
            all: true,
            latent: false,
            angles: false,
            by_column: false,
            sealed: false,
            model: Some(model.to_owned()),
            samples: Some(self.samples),
            decode: DecodeKind::Greedy,
            temperature: None,
            seed: 1,
            threads: None,
            device: "cpu".to_owned(),
            codes: 0,
            output: None,
            json: false,
            wide: false,
        };
        let subject = options.subject(ValidDates::new())?;
        let conditions = subject.conditions();
        let bar = indicatif::ProgressBar::hidden();
        let tallies = subject.tally(&conditions, self.samples as usize, subject.decode, 1, &bar);
        let mut written = all::draw(&options, &subject, &tallies, folder)?;
        let (tally, counts) = one::drawn(&options, &subject, self.condition);
        let calendar = one::calendar(&options, &subject, self.condition, &tally, &counts);
        let name = format!("{DIVERSITY}{}", file_name(self.condition));
        written.extend(write_both(&calendar, folder, &name)?);
        let dates: Vec<Date> =
            subject.valid.conditions().iter().flat_map(|of| subject.valid.of(*of).to_vec()).collect();
        let usage = latent_use(&subject.model, &crate::dates::rows(&dates));
        written.extend(pictures::draw(&subject, &dates, &usage, self.condition, folder)?);
        written.extend(angles::draw(&subject.model, folder)?);
        // Last: beside it lies nothing of other weights.
        let drawn = folder.join(DRAWN);
        files::replace_text(&drawn, &digest(model)?)?;
        written.push(drawn);
        Ok(written)
    }

    /// Whether an earlier call drew the charts of this model's weights into a folder.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn are_of(folder: &Path, model: Option<&Path>) -> anyhow::Result<bool> {
        let (drawn, Some(model)) = (folder.join(DRAWN), model) else { return Ok(false) };
        Ok(drawn.exists() && files::read_text(&drawn)? == digest(model)?)
    }

    /// Whether a file is called as one that is written here.
    pub fn draws(name: &str) -> bool {
        let chart = |stem: &str| NAMES.contains(&stem) || stem.starts_with(DIVERSITY);
        name == DRAWN || [".png", ".svg"].iter().any(|end| name.strip_suffix(end).is_some_and(chart))
    }
}

/// The line of sha256sum for the weights that are loaded from this folder.
fn digest(model: &Path) -> anyhow::Result<String> {
    let weights = weights_file(model)?;
    let name = weights.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(format!("{}  {name}\n", sha256(&files::read_bytes(&weights)?)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_digest_is_that_of_the_weights_that_are_loaded() {
        let folder = tempfile::tempdir().unwrap();
        // Before the release's in the alphabet.
        for (name, bytes) in [("a.safetensors", "other"), ("cvae.safetensors", "loaded")] {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        assert_eq!(digest(folder.path()).unwrap(), format!("{}  cvae.safetensors\n", sha256(b"loaded")));
        fs::write(folder.path().join("model.safetensors"), "another's").unwrap();
        assert!(digest(folder.path()).unwrap_err().to_string().contains("remove the one"));
    }
}
