//! A model with its weights.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor, nn};

use super::config::ModelConfig;
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::layers::Scope;
use super::tensors::{load_tensors, save_tensors};
use crate::checksums::ChecksumError;
use crate::files::FileError;
use crate::random::{Purpose, stream};

/// Encoder and decoder over one set of weights.
#[derive(Debug)]
pub struct Model {
    /// Sizes and kinds.
    pub config: ModelConfig,
    /// q(z | date, condition).
    pub encoder: Encoder,
    /// p(date | z, condition).
    pub decoder: Decoder,
    store: nn::VarStore,
}

/// Why weights could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is no weight file.
    #[error("{path} is no readable safetensors file ({reason}); copy it again or train anew")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The file is damaged.
    #[error("{path} is damaged: it does not match the checksum in its header; copy it again or train anew")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Its checksum beside it.
    #[error(transparent)]
    Checksum(#[from] ChecksumError),
    /// The file holds another model.
    #[error("{path} does not fit the config beside it: {mismatch}; use the config that the weights were trained with")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The tensor at fault, with both shapes.
        mismatch: String,
    },
}

impl Model {
    /// A model with initial weights drawn by the seed.
    pub fn new(config: ModelConfig, device: Device, seed: u64) -> Self {
        let store = nn::VarStore::new(device);
        let random = RefCell::new(stream(seed, Purpose::Weights, 0));
        let root = Scope::new(store.root(), &random);
        let encoder = Encoder::new(&root.sub("encoder"), &config);
        let decoder = Decoder::new(&root.sub("decoder"), &config);
        Self { config, encoder, decoder, store }
    }

    /// A model over the same weights, which another thread may decode with: tensors can be handed to
    /// a thread, and not be shared with one.
    pub fn replica(&self) -> Self {
        let replica = Self::new(self.config, self.device(), 0);
        let weights = self.named();
        for (name, mut parameter) in replica.named() {
            tch::no_grad(|| parameter.copy_(&weights[&name]));
        }
        replica
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// The weights in order of declaration: the order of the optimizer's moments.
    pub fn parameters(&self) -> Vec<Tensor> {
        self.store.trainable_variables()
    }

    /// Those of the weights that a decay is for; see [`Decoder::decayed`].
    pub fn decayed(&self) -> Vec<Tensor> {
        self.decoder.decayed()
    }

    /// The weights by name.
    pub fn named(&self) -> BTreeMap<String, Tensor> {
        self.store.variables().into_iter().collect()
    }

    /// Writes the weights, beside the place and then renamed.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), WeightsError> {
        save_tensors(&self.named().into_iter().collect::<Vec<_>>(), path)
    }

    /// Reads weights written by [`Model::save`] for a model of this config.
    ///
    /// # Errors
    /// When the file can't be read, is no weight file, or holds other tensors than the config asks for.
    pub fn load(config: ModelConfig, device: Device, path: &Path) -> Result<Self, WeightsError> {
        let model = Self::new(config, device, 0);
        model.assign(load_tensors(path)?, path)?;
        Ok(model)
    }

    /// Takes over tensors by name; `path` is where they come from, for messages.
    ///
    /// # Errors
    /// When a tensor is missing, left over, of another shape or not finite.
    pub fn assign(&self, mut tensors: BTreeMap<String, Tensor>, path: &Path) -> Result<(), WeightsError> {
        let mismatch = |mismatch: String| WeightsError::Mismatch { path: path.to_owned(), mismatch };
        for (name, mut parameter) in self.named() {
            let tensor = tensors.remove(&name).ok_or_else(|| mismatch(format!("{name} is missing")))?;
            let (found, expected) = (tensor.size(), parameter.size());
            if found != expected {
                return Err(mismatch(format!("{name} has shape {found:?}, the config asks for {expected:?}")));
            }
            if tensor.kind() != Kind::Float {
                return Err(mismatch(format!("{name} is of kind {:?}, expected 32-bit floats", tensor.kind())));
            }
            if tensor.isfinite().all().int64_value(&[]) == 0 {
                return Err(mismatch(format!("{name} holds values that are not finite")));
            }
            tch::no_grad(|| parameter.copy_(&tensor));
        }
        match tensors.keys().next() {
            Some(name) => Err(mismatch(format!("{name} is in the file and not in the model"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> ModelConfig {
        ModelConfig { latent_dim: 2, hidden_dim: 8, angles: 4, ..ModelConfig::default() }
    }

    #[test]
    fn weights_survive_a_round_trip_and_the_seed_decides_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let model = Model::new(small(), Device::Cpu, 7);
        model.save(&path).unwrap();
        let loaded = Model::load(small(), Device::Cpu, &path).unwrap();
        for ((name, tensor), (other_name, other)) in model.named().iter().zip(loaded.named().iter()) {
            assert_eq!(name, other_name);
            assert!(tensor.equal(other), "{name}");
        }
        let other = Model::new(small(), Device::Cpu, 8).named();
        assert!(!other["decoder.day.input.weight"].equal(&model.named()["decoder.day.input.weight"]));
    }

    #[test]
    fn weights_of_another_model_are_refused_with_both_shapes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        Model::new(small(), Device::Cpu, 7).save(&path).unwrap();
        let wider = ModelConfig { latent_dim: 3, ..small() };
        let error = Model::load(wider, Device::Cpu, &path).unwrap_err().to_string();
        assert!(error.contains("decoder.latent.weight has shape [40, 2], the config asks for [40, 3]"), "{error}");
    }

    #[test]
    fn damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        assert!(matches!(Model::load(small(), Device::Cpu, &path), Err(WeightsError::File(_))));
        Model::new(small(), Device::Cpu, 7).save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(Model::load(small(), Device::Cpu, &path), Err(WeightsError::Damaged { .. })));
        std::fs::write(&path, &bytes[..bytes.len().min(40)]).unwrap();
        assert!(matches!(Model::load(small(), Device::Cpu, &path), Err(WeightsError::Format { .. })));
    }
}
