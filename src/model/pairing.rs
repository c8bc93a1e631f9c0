//! Which date a code drawn from the prior shall decode to: the targets of the hybrid term.
//!
//! Sohn et al. 2015 train on the date that the batch happens to hold, whatever z is. That teaches the decoder
//! not to listen to z: a code that carries the choice can't be had with a large weight of it. Here a code is given
//! one of its condition's training dates by where the posteriors of these dates lie.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::weights::Model;

/// How codes from the prior are paired with dates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pairing {
    /// With the date that the batch holds, whatever z is (Sohn et al. 2015).
    Own,
    /// With a date drawn by its posterior density at z, among the condition's dates.
    Posterior,
    /// The same, balanced so that the codes of a condition share its dates out evenly: Sinkhorn's algorithm
    /// (Cuturi 2013) on the densities of a few codes at a time, as Caron et al. 2020 assign clusters.
    #[default]
    Balanced,
}

/// Rounds of Sinkhorn's algorithm. After four the dates' shares are even within some percent.
pub(super) const ROUNDS: usize = 8;

/// Codes from the prior, and the dates that they may be paired with.
#[derive(Debug)]
pub struct PriorBatch {
    /// Conditions, `[m, 4]`.
    pub condition: Tensor,
    /// Dates of each condition, `[m, p, 4]`, the last ones of shorter lists arbitrary.
    pub dates: Tensor,
    /// 0 for a date, [`PriorBatch::NO_DATE`] beyond the end of a shorter list, `[m, p]`; no list is empty.
    pub mask: Tensor,
    /// Codes of each condition, standard normal, `[m, k, latent]`.
    pub z: Tensor,
    /// A number in 0..1 for each code, which chooses its date, `[m, k]`.
    pub uniform: Tensor,
    /// Whether the dates of a condition are shared out evenly.
    pub balanced: bool,
}

impl PriorBatch {
    /// A log density that leaves nothing to share. Minus infinity would make sums of it no numbers.
    pub const NO_DATE: f32 = -1e9;

    /// So many conditions from this one on, with their dates and codes.
    pub fn narrow(&self, start: i64, len: i64) -> Self {
        let part = |tensor: &Tensor| tensor.narrow(0, start, len);
        Self {
            condition: part(&self.condition),
            dates: part(&self.dates),
            mask: part(&self.mask),
            z: part(&self.z),
            uniform: part(&self.uniform),
            balanced: self.balanced,
        }
    }

    /// Each code's date as an index into its condition's list, `[m, k]`. No gradient flows through the choice.
    pub fn pair(&self, model: &Model) -> Tensor {
        tch::no_grad(|| {
            let (m, p) = (self.mask.size()[0], self.mask.size()[1]);
            let condition = self.condition.repeat_interleave_self_int(p, 0, None);
            let posterior = model.encoder.forward(&condition, &self.dates.view([m * p, 4]));
            let of_date = |tensor: &Tensor| tensor.view([m, 1, p, -1]);
            let (mu, logvar) = (of_date(&posterior.mu), of_date(&posterior.logvar));
            // log q(z | date), less a constant, of every code under every date of its condition.
            let distance = (self.z.unsqueeze(2) - mu).square() / logvar.exp() + logvar; // [m, k, p, latent]
            let log_density = distance.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float) * -0.5;
            choose(&shares(&log_density, &self.mask, self.balanced), &self.uniform)
        })
    }
}

/// Each code's shares of the dates, from log densities `[m, k, p]`: rows sum to 1 and, balanced, the columns of
/// a condition's dates are all alike.
fn shares(log_density: &Tensor, mask: &Tensor, balanced: bool) -> Tensor {
    let mask = mask.unsqueeze(1); // [m, 1, p]
    let mut log_shares = log_density + &mask;
    for _ in 0..if balanced { ROUNDS } else { 0 } {
        log_shares = &log_shares - log_shares.logsumexp([2i64].as_slice(), true); // rows
        log_shares = &log_shares - log_shares.logsumexp([1i64].as_slice(), true) + &mask; // columns
    }
    log_shares.softmax(2, Kind::Float)
}

/// Draws a column for each row: shares `[m, k, p]` and numbers in 0..1 `[m, k]` to indices `[m, k]`.
fn choose(shares: &Tensor, uniform: &Tensor) -> Tensor {
    // The inverse of the distribution function: how many columns it takes to pass the number.
    let passed = shares.cumsum(2, Kind::Float);
    let last = passed.size()[2] - 1;
    let mark = uniform.unsqueeze(2) * passed.narrow(2, last, 1);
    passed.le_tensor(&mark).sum_dim_intlist([2i64].as_slice(), false, Kind::Int64).clamp_max(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;
    use crate::random::{Purpose, normal, stream, uniform};
    use tch::Device;

    fn rows(shares: &Tensor) -> Vec<f64> {
        Vec::try_from(shares.to_kind(Kind::Double).view([-1])).unwrap()
    }

    #[test]
    fn without_balance_shares_are_the_densities_of_the_dates_that_there_are() {
        let log_density = Tensor::from_slice(&[1f32.ln(), 3f32.ln(), 9.0]).view([1, 1, 3]);
        let mask = Tensor::from_slice(&[0f32, 0.0, PriorBatch::NO_DATE]).view([1, 3]);
        let shares = rows(&shares(&log_density, &mask, false));
        assert!((shares[0] - 0.25).abs() < 1e-6 && (shares[1] - 0.75).abs() < 1e-6 && shares[2] == 0.0, "{shares:?}");
    }

    #[test]
    fn balanced_shares_give_every_date_as_many_codes() {
        // Four codes: three near the first date, one between both; a third place holds no date.
        let near = [[0f32, -9.0, 5.0], [0.0, -8.0, 5.0], [0.0, -6.0, 5.0], [0.0, 0.0, 5.0]];
        let log_density = Tensor::from_slice2(&near).view([1, 4, 3]);
        let mask = Tensor::from_slice(&[0f32, 0.0, PriorBatch::NO_DATE]).view([1, 3]);
        let shares = rows(&shares(&log_density, &mask, true));
        let column = |place: usize| shares.iter().skip(place).step_by(3).sum::<f64>();
        assert!((column(0) - 2.0).abs() < 0.1 && (column(1) - 2.0).abs() < 0.1 && column(2) == 0.0, "{shares:?}");
        // The codes that are nearest to the second date are the ones that it gets.
        assert!(shares[10] > 0.9 && shares[7] > shares[4] && shares[4] > shares[1], "{shares:?}");
    }

    #[test]
    fn choices_follow_the_shares() {
        let shares = Tensor::from_slice(&[0.25f32, 0.75, 0.0]).view([1, 1, 3]).repeat([1, 1000, 1]);
        let uniform = (Tensor::arange(1000, (Kind::Float, Device::Cpu)) / 1000.0).view([1, 1000]);
        let chosen = choose(&shares, &uniform).view([-1]);
        assert_eq!(Vec::<i64>::try_from(chosen.bincount::<Tensor>(None, 3)).unwrap(), [250, 750, 0]);
    }

    #[test]
    fn a_code_at_a_posterior_is_paired_with_its_date() {
        let model = Model::new(ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() }, Device::Cpu, 1);
        // Far apart and narrow: each posterior's mean belongs to its own date.
        tch::no_grad(|| {
            let weights = model.named();
            let _ = weights["encoder.output.weight"].shallow_clone().g_mul_scalar_(1000.0);
            let _ = weights["encoder.output.bias"].shallow_clone().narrow(0, 8, 8).fill_(-1e6);
            let _ = weights["encoder.output.weight"].shallow_clone().narrow(0, 8, 8).zero_();
        });
        let condition = Tensor::from_slice2(&[[6i64, 11, 1, 40], [3, 4, 1, 7]]);
        let dates = Tensor::from_slice(&[40i64, 11, 9, 30, 40, 11, 2, 3, 7, 4, 5, 11, 7, 4, 0, 1]).view([2, 2, 4]);
        let posterior = model.encoder.forward(&condition.repeat_interleave_self_int(2, 0, None), &dates.view([4, 4]));
        let prior = PriorBatch {
            condition,
            dates,
            mask: Tensor::zeros([2, 2], (Kind::Float, Device::Cpu)),
            z: posterior.mu.detach().view([2, 2, 8]),
            uniform: uniform(&mut stream(1, Purpose::Noise, 0), &[2, 2], Device::Cpu),
            balanced: true,
        };
        assert_eq!(Vec::<i64>::try_from(prior.pair(&model).view([-1])).unwrap(), [0, 1, 0, 1]);
        let z = normal(&mut stream(1, Purpose::Noise, 1), &[2, 2, 8], Device::Cpu);
        assert!(PriorBatch { z, ..prior }.pair(&model).lt(2).all().int64_value(&[]) == 1);
    }
}
