//! What the latent code is used for.

use tch::{Kind, Tensor};

use super::dataset::Dataset;
use crate::model::Model;

/// Variance of the posterior mean over the data above which a unit counts as active.
const ACTIVE_VARIANCE: f64 = 0.01;

/// Use of the latent dimensions over a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentUse {
    /// Mean KL of each dimension, nats.
    pub kl: Vec<f64>,
    /// Variance over the data of each dimension's posterior mean.
    pub mean_variance: Vec<f64>,
}

impl LatentUse {
    /// Number of dimensions with Var E[z] > 0.01 (Burda et al. 2016, section 5.2).
    pub fn active_units(&self) -> usize {
        self.mean_variance.iter().filter(|variance| **variance > ACTIVE_VARIANCE).count()
    }
}

/// Encodes a data set and measures each dimension.
pub fn latent_use(model: &Model, data: &Dataset) -> LatentUse {
    const BLOCK: i64 = 8192;
    let (means, kls): (Vec<_>, Vec<_>) = tch::no_grad(|| {
        let posteriors = data.blocks(BLOCK).map(|batch| model.encoder.forward(&batch.condition, &batch.date));
        posteriors.map(|posterior| (posterior.mu.shallow_clone(), posterior.kl())).unzip()
    });
    let column = |tensor: Tensor| Vec::<f64>::try_from(tensor.to_kind(Kind::Double)).unwrap_or_default();
    let kl = Tensor::cat(&kls, 0).mean_dim([0i64].as_slice(), false, Kind::Float);
    let variance = Tensor::cat(&means, 0).var_dim([0i64].as_slice(), false, false);
    LatentUse { kl: column(kl), mean_variance: column(variance) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dates::Date;
    use crate::model::ModelConfig;
    use tch::Device;

    #[test]
    fn units_are_active_when_their_mean_moves_with_the_data() {
        let model =
            Model::new(ModelConfig { latent_dim: 3, hidden_dim: 16, angles: 8, ..Default::default() }, Device::Cpu, 1);
        let dates: Vec<Date> = (1800..2000).map(|year| Date::new(1, 1, year).unwrap()).collect();
        let data = Dataset::new(&dates, Device::Cpu);
        let usage = latent_use(&model, &data);
        assert_eq!((usage.kl.len(), usage.mean_variance.len()), (3, 3));
        // Without weights on its means, an encoder gives every date the prior's.
        let named = model.named();
        tch::no_grad(|| {
            let _ = named["encoder.output.weight"].shallow_clone().zero_();
            let _ = named["encoder.output.bias"].shallow_clone().zero_();
        });
        let usage = latent_use(&model, &data);
        assert_eq!((usage.active_units(), usage.kl.iter().sum::<f64>()), (0, 0.0));
        // One unit that follows the data.
        let _ = tch::no_grad(|| named["encoder.output.weight"].get(1).fill_(3.0));
        assert_eq!(latent_use(&model, &data).active_units(), 1);
    }
}
