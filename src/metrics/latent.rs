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
    /// Number of dimensions with `Var E[z] > 0.01` (Burda et al. 2016, section 5.2).
    pub fn active_units(&self) -> usize {
        self.active().into_iter().filter(|active| *active).count()
    }

    /// Which dimensions are active.
    pub fn active(&self) -> Vec<bool> {
        self.mean_variance.iter().map(|variance| *variance > ACTIVE_VARIANCE).collect()
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

/// Posterior means of a data set, `[n, latent]`.
pub fn posterior_means(model: &Model, data: &Dataset) -> Tensor {
    const BLOCK: i64 = 8192;
    let means = tch::no_grad(|| {
        data.blocks(BLOCK).map(|batch| model.encoder.forward(&batch.condition, &batch.date).mu).collect::<Vec<_>>()
    });
    Tensor::cat(&means, 0).to_device(tch::Device::Cpu)
}

/// Points on the first two principal components.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Coordinates of each point; the second is 0 where there is one dimension only.
    pub points: Vec<[f64; 2]>,
    /// Shares of the variance that the two components hold, 0..=1.
    pub shares: [f64; 2],
}

/// Projects points `[n, latent]` on the two directions of their largest variance. A component's sign is
/// free: it is chosen so that the entry of largest size is positive, so that pictures repeat.
pub fn project(points: &Tensor) -> Projection {
    let points = points.to_kind(Kind::Double);
    let centred = &points - points.mean_dim([0i64].as_slice(), true, Kind::Double);
    let covariance = centred.transpose(0, 1).matmul(&centred) / points.size()[0] as f64;
    let (variances, vectors) = covariance.linalg_eigh("L"); // ascending; [latent], [latent, latent]
    let dimensions = vectors.size()[0];
    let total = variances.sum(Kind::Double).double_value(&[]);
    let component = |place: i64| {
        let column = dimensions - 1 - place;
        if column < 0 {
            return (vec![0.0; centred.size()[0] as usize], 0.0);
        }
        let vector = vectors.select(1, column);
        let largest = vector.double_value(&[vector.abs().argmax(0, false).int64_value(&[])]);
        let coordinates = centred.mv(&(vector * largest.signum()));
        let share = if total > 0.0 { variances.double_value(&[column]) / total } else { 0.0 };
        (Vec::<f64>::try_from(coordinates).unwrap_or_default(), share)
    };
    let ((first, first_share), (second, second_share)) = (component(0), component(1));
    let points = first.into_iter().zip(second).map(|(x, y)| [x, y]).collect();
    Projection { points, shares: [first_share, second_share] }
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

    #[test]
    fn the_first_components_are_the_directions_of_largest_variance() {
        // Along (3, 4) / 5 with deviations 2, across it with 1, nothing along the third axis.
        let rows: Vec<[f64; 3]> = [(2.0, 1.0), (-2.0, 1.0), (2.0, -1.0), (-2.0, -1.0)]
            .map(|(along, across): (f64, f64)| [0.6 * along - 0.8 * across, 0.8 * along + 0.6 * across, 7.0])
            .to_vec();
        let projection = project(&Tensor::from_slice2(&rows));
        assert!((projection.shares[0] - 0.8).abs() < 1e-9 && (projection.shares[1] - 0.2).abs() < 1e-9);
        for (point, along) in projection.points.iter().zip([2.0, -2.0, 2.0, -2.0]) {
            assert!((point[0] - along).abs() < 1e-9 && (point[1].abs() - 1.0).abs() < 1e-9, "{point:?}");
        }
        let line = project(&Tensor::from_slice2(&[[1.0], [3.0]]));
        assert_eq!(line, Projection { points: vec![[-1.0, 0.0], [1.0, 0.0]], shares: [1.0, 0.0] });
    }
}
