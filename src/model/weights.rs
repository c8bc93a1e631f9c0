//! A model with its weights.

use std::path::Path;

use rand::RngExt;
use rand_distr::StandardNormal;

use super::config::ModelConfig;
use super::layout::{Init, Layout, TensorPlace};
use super::tensor_file::{
    Tensor, Tensors, Values, WeightsError, description, read_checked, read_tensors, save_described,
};
use crate::random::{Purpose, stream};
use crate::task::Schema;

/// Encoder q(z | y, c) and decoder p(y | z, c) over one vector of weights.
#[derive(Clone, Debug)]
pub struct Model {
    /// Sizes and kinds.
    pub config: ModelConfig,
    /// The columns that it was made for.
    pub schema: Schema,
    /// Where each weight lies.
    pub layout: Layout,
    /// All weights.
    pub weights: Vec<f32>,
}

impl Model {
    /// A model with initial weights drawn by the seed.
    pub fn new(config: ModelConfig, schema: Schema, seed: u64) -> Self {
        let layout = Layout::new(&config, &schema);
        let mut random = stream(seed, Purpose::Weights, 0);
        let mut weights = Vec::with_capacity(layout.len);
        for TensorPlace { place, init, .. } in &layout.tensors {
            let mut next = || match init {
                Init::Normal(stdev) => random.sample::<f32, _>(StandardNormal) * *stdev as f32,
                Init::Uniform(bound) => (random.random::<f32>() * 2.0 - 1.0) * *bound as f32,
                Init::Zeros => 0.0,
            };
            weights.extend(place.clone().map(|_| next()));
        }
        Self { config, schema, layout, weights }
    }

    /// A tensor's values by its name in weight files.
    pub fn tensor(&self, name: &str) -> Option<&[f32]> {
        Some(&self.weights[self.place(name)?])
    }

    /// The same, to be changed.
    pub fn tensor_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        let place = self.place(name)?;
        Some(&mut self.weights[place])
    }

    fn place(&self, name: &str) -> Option<std::ops::Range<usize>> {
        self.layout.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.place.clone())
    }

    /// The weights as named tensors.
    pub fn tensors(&self) -> Tensors {
        named(&self.layout, &self.weights)
    }

    /// Writes the weights with the schema, beside the place and then renamed. The schema of dates is not written.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), WeightsError> {
        save_described(&self.tensors(), self.schema.to_json().as_deref(), path)
    }

    /// A model of weights that are part of the program, as [`Model::save`] writes them; `name` is for messages.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn of_bytes(config: ModelConfig, schema: Schema, bytes: &[u8], name: &Path) -> Result<Self, WeightsError> {
        let schema = match description(bytes) {
            None => schema,
            Some(text) => Schema::of_json(&text).map_err(|reason| {
                let reason = format!("its schema can't be read: {reason}");
                WeightsError::Format { path: name.to_owned(), reason }
            })?,
        };
        let layout = Layout::new(&config, &schema);
        let weights = flat(&layout, read_tensors(bytes, name)?, name)?;
        Ok(Self { config, schema, layout, weights })
    }

    /// Reads weights written by [`Model::save`] for a model of this config. The schema is that of the file; `schema` is
    /// that of a file which states none.
    ///
    /// # Errors
    /// When the file can't be read, is not a weight file, or holds other tensors than the config asks for.
    pub fn load(config: ModelConfig, schema: Schema, path: &Path) -> Result<Self, WeightsError> {
        Self::of_bytes(config, schema, &read_checked(path)?, path)
    }
}

/// Weights as named tensors.
pub fn named(layout: &Layout, weights: &[f32]) -> Tensors {
    let tensor = |tensor: &TensorPlace| {
        let values = Values::F32(weights[tensor.place.clone()].to_vec());
        (tensor.name.clone(), Tensor { shape: tensor.shape.clone(), values })
    };
    layout.tensors.iter().map(tensor).collect()
}

/// Named tensors as weights; `path` is where they come from, for messages.
///
/// # Errors
/// When a tensor is missing, left over, of another shape or kind, or not finite.
pub fn flat(layout: &Layout, mut tensors: Tensors, path: &Path) -> Result<Vec<f32>, WeightsError> {
    let mismatch = |mismatch: String| WeightsError::Mismatch { path: path.to_owned(), mismatch };
    let mut weights = vec![0.0; layout.len];
    // By name, so that the same fault of a file is told by every reader of it.
    let mut places: Vec<&TensorPlace> = layout.tensors.iter().collect();
    places.sort_by(|a, b| a.name.cmp(&b.name));
    for TensorPlace { name, shape, place, .. } in places {
        let tensor = tensors.remove(name).ok_or_else(|| mismatch(format!("{name} is missing")))?;
        if tensor.shape != *shape {
            return Err(mismatch(format!("{name} has shape {:?}, the config asks for {shape:?}", tensor.shape)));
        }
        let Values::F32(values) = tensor.values else {
            return Err(mismatch(format!("{name} holds no 32-bit floats")));
        };
        if !values.iter().all(|value| value.is_finite()) {
            return Err(mismatch(format!("{name} holds values that are not finite")));
        }
        weights[place.clone()].copy_from_slice(&values);
    }
    match tensors.keys().next() {
        Some(name) => Err(mismatch(format!("{name} is in the file and not in the model"))),
        None => Ok(weights),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::dates;

    fn small() -> ModelConfig {
        ModelConfig { latent_dim: 2, hidden_dim: 8, angles: 4, ..ModelConfig::default() }
    }

    fn load(config: ModelConfig, path: &Path) -> Result<Model, WeightsError> {
        Model::load(config, dates::schema(), path)
    }

    #[test]
    fn weights_survive_a_round_trip_and_the_seed_decides_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let model = Model::new(small(), dates::schema(), 7);
        model.save(&path).unwrap();
        assert_eq!(load(small(), &path).unwrap().weights, model.weights);
        let other = Model::new(small(), dates::schema(), 8);
        assert_ne!(other.tensor("decoder.day.input.weight"), model.tensor("decoder.day.input.weight"));
    }

    #[test]
    fn weights_of_another_model_are_refused_with_both_shapes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        Model::new(small(), dates::schema(), 7).save(&path).unwrap();
        let wider = ModelConfig { latent_dim: 3, ..small() };
        let error = load(wider, &path).unwrap_err().to_string();
        assert!(error.contains("decoder.latent.weight has shape [40, 2], the config asks for [40, 3]"), "{error}");
        let plain = load(ModelConfig { latent_dim: 0, ..small() }, &path).unwrap_err().to_string();
        assert!(plain.contains("is in the file and not in the model"), "{plain}");
    }

    #[test]
    fn weights_of_other_tasks_carry_their_schema_and_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let column = |name, values: &[&str]| crate::task::Column::new(name, values.iter().map(|v| (*v).to_owned()));
        for names in [&["yes", "no \u{1f600}\n\"x\""][..], &["a", "b", "c"]] {
            let schema = Schema::new(vec![column("sex", &["F", "M"])], vec![column("trunk", names)]);
            for trunk in [super::super::Trunk::Additive, super::super::Trunk::Multiplicative] {
                let config = ModelConfig { trunk, ..small() };
                let model = Model::new(config, schema.clone(), 7);
                model.save(&path).unwrap();
                let loaded = Model::load(config, dates::schema(), &path).unwrap();
                assert_eq!((loaded.schema, loaded.weights), (schema.clone(), model.weights));
            }
        }
        // The checksum covers the schema.
        let bytes = std::fs::read(&path).unwrap();
        let place = bytes.windows(3).position(|part| part == b"sex").unwrap();
        let mut damaged = bytes.clone();
        damaged[place] = b'S';
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(load(small(), &path), Err(WeightsError::Damaged { .. })));
        Model::new(small(), dates::schema(), 7).save(&path).unwrap();
        assert!(!std::fs::read(&path).unwrap().windows(8).any(|part| part == b"\"schema\""));
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let mut model = Model::new(small(), dates::schema(), 7);
        model.tensor_mut("decoder.day.output.bias").unwrap()[3] = f32::NAN;
        model.save(&path).unwrap();
        assert!(load(small(), &path).unwrap_err().to_string().contains("decoder.day.output.bias holds values"));
    }

    #[test]
    fn damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let missing = load(small(), &path).unwrap_err().to_string();
        assert!(missing.contains("model.safetensors: No such file"), "{missing}");
        Model::new(small(), dates::schema(), 7).save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(load(small(), &path), Err(WeightsError::Damaged { .. })));
        std::fs::write(&path, &bytes[..bytes.len().min(40)]).unwrap();
        assert!(matches!(load(small(), &path), Err(WeightsError::Format { .. })));
    }
}
