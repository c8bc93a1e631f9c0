//! The released model, which is part of the program: it predicts from any folder.

use std::path::Path;

use super::config::{Config, ConfigError};
use super::config_file::ConfigFile;
use super::trial::TrialError;
use crate::model::Model;
use crate::task::dates;

const CONFIG: &str = include_str!("../../model/config.toml");
const WEIGHTS: &[u8] = include_bytes!("../../model/cvae.safetensors");

/// What messages call it.
pub const RELEASE: &str = "the released model";

/// The released model and its config.
///
/// # Errors
/// None that a user can cause: both are checked when the program is tested.
pub fn released_model() -> Result<(Model, Config), TrialError> {
    let place = Path::new(RELEASE);
    let config: ConfigFile = toml::from_str(CONFIG).map_err(|error| ConfigError::parse(place, CONFIG, &error))?;
    let invalid = |error: super::Invalid| ConfigError::Value { place: RELEASE.to_owned(), problem: error.problem };
    let config = config.check().map_err(invalid)?;
    let model = Model::of_bytes(config.model, dates::schema(), WEIGHTS, place)?;
    Ok((model, config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::load_model;

    #[test]
    fn it_is_the_model_in_the_repository() {
        let (model, config) = released_model().unwrap();
        let (loaded, its_config) = load_model(&Path::new(env!("CARGO_MANIFEST_DIR")).join("model")).unwrap();
        assert_eq!((model.weights, config), (loaded.weights, its_config));
    }
}
