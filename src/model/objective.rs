//! The objective, in nats a date: reconstruction + beta KL + hybrid weight x reconstruction under prior z.

use tch::{Kind, Reduction, Tensor};

use super::decoder::Decoder;
use super::pairing::PriorBatch;
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
    /// Weight of the reconstruction under z from the prior: the hybrid objective of Sohn et al. 2015, with
    /// the dates of [`super::Pairing`].
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
    /// The reconstruction at z from the prior; 0 without a hybrid term.
    pub prior_recon: Tensor,
}

/// Codes from the prior for the hybrid term.
#[derive(Debug)]
pub enum Prior {
    /// One for each date of the batch, `[n, latent]`.
    Own(Tensor),
    /// Some for each of a few conditions, to be paired with their dates.
    Paired(PriorBatch),
}

/// Computes the terms; `noise` `[n, latent]` is standard normal. Without `prior` there is no hybrid term.
///
/// At infinite beta the posterior can only be the prior, and nothing can pass through z. The decoder
/// then learns p(date | condition) soonest without z's noise: z is the prior's mean, the KL is 0 and
/// the encoder is not run.
pub fn objective(model: &Model, batch: &Batch, noise: &Tensor, prior: Option<&Prior>, weights: Weights) -> Terms {
    let units = model.decoder.forced_units(&batch.condition, &batch.date);
    let zero = || Tensor::zeros([], (Kind::Float, batch.date.device()));
    if weights.beta.is_infinite() {
        let recon = reconstruction(&model.decoder, &units, &noise.zeros_like(), &batch.date);
        return Terms { loss: recon.shallow_clone(), recon, kl: zero(), prior_recon: zero() };
    }
    let posterior = model.encoder.forward(&batch.condition, &batch.date);
    let recon = reconstruction(&model.decoder, &units, &posterior.sample(noise), &batch.date);
    let kl_by_dimension = posterior.kl().mean_dim([0i64].as_slice(), false, Kind::Float); // [latent]
    let kl = kl_by_dimension.sum(Kind::Float);
    let pressed = match weights.free_bits {
        0.0 => kl.shallow_clone(),
        bits => kl_by_dimension.clamp_min(bits).sum(Kind::Float),
    };
    let mut loss = &recon + pressed * weights.beta;
    let prior_recon = match prior {
        None => zero(),
        Some(Prior::Own(z)) => reconstruction(&model.decoder, &units, z, &batch.date),
        Some(Prior::Paired(prior)) => paired_reconstruction(model, prior),
    };
    if prior.is_some() {
        loss += &prior_recon * weights.hybrid;
    }
    Terms { loss, recon, kl, prior_recon }
}

/// -log p(date | z, condition), summed over fields, mean over the batch.
fn reconstruction(decoder: &Decoder, units: &[Tensor], z: &Tensor, date: &Tensor) -> Tensor {
    let logits = decoder.forced_logits(units, z);
    let fields = logits.iter().enumerate().map(|(field, logits)| {
        let target = date.select(1, field as i64);
        logits.cross_entropy_loss::<Tensor>(&target, None, Reduction::Mean, -100, 0.0)
    });
    Tensor::stack(&fields.collect::<Vec<_>>(), 0).sum(Kind::Float)
}

/// The reconstruction of the dates that codes from the prior are paired with: a scalar, nats a date.
pub fn paired_reconstruction(model: &Model, prior: &PriorBatch) -> Tensor {
    let (m, p, k) = (prior.mask.size()[0], prior.mask.size()[1], prior.uniform.size()[1]);
    let lists = Tensor::arange_start_step(0, m * p, p, (Kind::Int64, prior.dates.device())).unsqueeze(1); // [m, 1]
    let rows = (prior.pair(model) + lists).view([-1]); // [m k]
    // What the decoder computes before z enters is the same for all codes of a date.
    let (condition, dates) = (prior.condition.repeat_interleave_self_int(p, 0, None), prior.dates.view([m * p, 4]));
    let units = model.decoder.forced_units(&condition, &dates); // [m p, width]
    let units: Vec<Tensor> = units.iter().map(|units| units.index_select(0, &rows)).collect();
    let z = prior.z.view([m * k, -1]);
    reconstruction(&model.decoder, &units, &z, &dates.index_select(0, &rows))
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
        let noise = normal(&mut stream(1, Purpose::Noise, 0), &[3, 3], Device::Cpu);
        (model, batch, noise)
    }

    fn value(tensor: &Tensor) -> f64 {
        tensor.double_value(&[])
    }

    #[test]
    fn the_loss_is_the_weighted_sum_of_its_terms() {
        let (model, batch, noise) = setting();
        let weights = Weights { beta: 0.3, hybrid: 0.2, free_bits: 0.0 };
        let z = normal(&mut stream(1, Purpose::Noise, 1), &[3, 3], Device::Cpu);
        let prior = PriorBatch {
            condition: batch.condition.shallow_clone(),
            dates: batch.date.unsqueeze(1),
            mask: Tensor::zeros([3, 1], (Kind::Float, Device::Cpu)),
            z: z.unsqueeze(1),
            uniform: Tensor::zeros([3, 1], (Kind::Float, Device::Cpu)),
            balanced: true,
        };
        let own = objective(&model, &batch, &noise, Some(&Prior::Own(z)), weights);
        let sum = value(&own.recon) + 0.3 * value(&own.kl) + 0.2 * value(&own.prior_recon);
        assert!((value(&own.loss) - sum).abs() < 1e-5);
        assert!(value(&own.prior_recon) > 0.0);
        // Where each condition has one date, there is nothing else to be paired with.
        let paired = objective(&model, &batch, &noise, Some(&Prior::Paired(prior)), weights);
        assert!((value(&paired.prior_recon) - value(&own.prior_recon)).abs() < 1e-5);
        assert!((value(&paired.loss) - sum).abs() < 1e-5);
        let without = objective(&model, &batch, &noise, None, weights);
        assert!((value(&without.loss) - sum + 0.2 * value(&own.prior_recon)).abs() < 1e-5);
        assert_eq!(value(&without.prior_recon), 0.0);
    }

    #[test]
    fn free_bits_press_no_dimension_below_their_floor_and_log_the_whole_kl() {
        let (model, batch, noise) = setting();
        let plain = objective(&model, &batch, &noise, None, Weights { beta: 1.0, hybrid: 0.0, free_bits: 0.0 });
        let free = objective(&model, &batch, &noise, None, Weights { beta: 1.0, hybrid: 0.0, free_bits: 5.0 });
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
        let terms =
            objective(&model, &batch, &noise, None, Weights { beta: f64::INFINITY, hybrid: 0.2, free_bits: 0.0 });
        let uniform = [41f64, 12.0, 10.0, 31.0].iter().map(|size| size.ln()).sum::<f64>();
        assert!((value(&terms.recon) - uniform).abs() < 1.0, "{}", value(&terms.recon));
        assert_eq!((value(&terms.kl), value(&terms.loss)), (0.0, value(&terms.recon)));
    }
}
