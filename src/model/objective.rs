//! The objective, in nats a date: reconstruction + beta KL + hybrid weight x reconstruction under prior z.

use tch::{Kind, Reduction, Tensor};

use super::weights::Model;

/// Pairs of condition and date as indices.
#[derive(Debug)]
pub struct Batch {
    /// Condition blocks, `[n, 4]`.
    pub condition: Tensor,
    /// Date fields, `[n, 4]`.
    pub date: Tensor,
}

/// What the terms count for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Weight of the KL term (Higgins et al. 2017). Infinite: the code is closed, see [`objective`].
    pub beta: f64,
    /// Weight of the reconstruction under z from the prior: the hybrid objective of Sohn et al. 2015.
    pub hybrid: f64,
    /// KL below which a latent dimension is not pressed further, nats (Kingma et al. 2016).
    pub free_bits: f64,
}

/// The terms of the objective: scalars in nats a date.
#[derive(Debug)]
pub struct Terms {
    /// What is minimised.
    pub loss: Tensor,
    /// -log p(date | z, condition) at z from the posterior, summed over fields.
    pub recon: Tensor,
    /// KL(q(z | date, condition) || N(0, I)), whole, whatever the free bits.
    pub kl: Tensor,
    /// The same reconstruction at z from the prior; 0 where it has no weight.
    pub prior_recon: Tensor,
}

/// Computes the terms; `noise` `[2, n, latent]` is standard normal, its first half for the posterior,
/// its second for the prior.
///
/// At infinite beta the posterior can only be the prior, and nothing can pass through z. The decoder
/// then learns p(date | condition) soonest without z's noise: z is the prior's mean, the KL is 0 and
/// the encoder is not run.
pub fn objective(model: &Model, batch: &Batch, noise: &Tensor, weights: Weights) -> Terms {
    let units = model.decoder.forced_units(&batch.condition, &batch.date);
    let reconstruction = |z: &Tensor| -> Tensor {
        let logits = model.decoder.forced_logits(&units, z);
        let fields = logits.iter().enumerate().map(|(field, logits)| {
            let target = batch.date.select(1, field as i64);
            logits.cross_entropy_loss::<Tensor>(&target, None, Reduction::Mean, -100, 0.0)
        });
        Tensor::stack(&fields.collect::<Vec<_>>(), 0).sum(Kind::Float)
    };
    let zero = || Tensor::zeros([], (Kind::Float, batch.date.device()));
    if weights.beta.is_infinite() {
        let recon = reconstruction(&noise.get(0).zeros_like());
        return Terms { loss: recon.shallow_clone(), recon, kl: zero(), prior_recon: zero() };
    }
    let posterior = model.encoder.forward(&batch.condition, &batch.date);
    let recon = reconstruction(&posterior.sample(&noise.get(0)));
    let kl_by_dimension = posterior.kl().mean_dim([0i64].as_slice(), false, Kind::Float); // [latent]
    let kl = kl_by_dimension.sum(Kind::Float);
    let pressed = match weights.free_bits {
        0.0 => kl.shallow_clone(),
        bits => kl_by_dimension.clamp_min(bits).sum(Kind::Float),
    };
    let mut loss = &recon + pressed * weights.beta;
    let mut prior_recon = zero();
    if weights.hybrid > 0.0 {
        prior_recon = reconstruction(&noise.get(1));
        loss += &prior_recon * weights.hybrid;
    }
    Terms { loss, recon, kl, prior_recon }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Heads, ModelConfig, Posterior, Trunk};
    use crate::random::{Purpose, normal, stream};
    use tch::Device;

    fn setting() -> (Model, Batch, Tensor) {
        let config = ModelConfig {
            latent_dim: 3,
            hidden_dim: 16,
            angles: 8,
            heads: Heads::Autoregressive,
            trunk: Trunk::Multiplicative,
        };
        let model = Model::new(config, Device::Cpu, 5);
        let batch = Batch {
            condition: Tensor::from_slice2(&[[0i64, 0, 0, 0], [6, 11, 1, 40], [3, 4, 1, 7]]),
            date: Tensor::from_slice2(&[[0i64, 0, 0, 0], [40, 11, 9, 30], [7, 4, 5, 11]]),
        };
        let noise = normal(&mut stream(1, Purpose::Noise, 0), &[2, 3, 3], Device::Cpu);
        (model, batch, noise)
    }

    fn value(tensor: &Tensor) -> f64 {
        tensor.double_value(&[])
    }

    #[test]
    fn the_loss_is_the_weighted_sum_of_its_terms() {
        let (model, batch, noise) = setting();
        let terms = objective(&model, &batch, &noise, Weights { beta: 0.3, hybrid: 0.2, free_bits: 0.0 });
        let sum = value(&terms.recon) + 0.3 * value(&terms.kl) + 0.2 * value(&terms.prior_recon);
        assert!((value(&terms.loss) - sum).abs() < 1e-5);
        assert!(value(&terms.prior_recon) > 0.0);
    }

    #[test]
    fn free_bits_press_no_dimension_below_their_floor_and_log_the_whole_kl() {
        let (model, batch, noise) = setting();
        let plain = objective(&model, &batch, &noise, Weights { beta: 1.0, hybrid: 0.0, free_bits: 0.0 });
        let free = objective(&model, &batch, &noise, Weights { beta: 1.0, hybrid: 0.0, free_bits: 5.0 });
        assert_eq!(value(&plain.kl), value(&free.kl));
        assert!(value(&plain.kl) < 5.0);
        assert!((value(&free.loss) - value(&free.recon) - 15.0).abs() < 1e-5);
    }

    #[test]
    fn the_kl_of_known_gaussians_is_the_closed_form() {
        // KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1 - ln s^2) / 2.
        let posterior =
            Posterior { mu: Tensor::from_slice2(&[[0f32, 2.0]]), logvar: Tensor::from_slice2(&[[0f32, 1.0]]) };
        let kl = posterior.kl();
        assert!(kl.double_value(&[0, 0]).abs() < 1e-6);
        assert!((kl.double_value(&[0, 1]) - (4.0 + 1f64.exp() - 1.0 - 1.0) / 2.0).abs() < 1e-5);
    }

    #[test]
    fn an_untrained_model_reconstructs_about_as_well_as_a_uniform_guess() {
        let (model, batch, noise) = setting();
        let terms = objective(&model, &batch, &noise, Weights { beta: f64::INFINITY, hybrid: 0.2, free_bits: 0.0 });
        let uniform = [41f64, 12.0, 10.0, 31.0].iter().map(|size| size.ln()).sum::<f64>();
        assert!((value(&terms.recon) - uniform).abs() < 1.0, "{}", value(&terms.recon));
        assert_eq!((value(&terms.kl), value(&terms.loss)), (0.0, value(&terms.recon)));
    }
}
