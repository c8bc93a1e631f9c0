//! Losses over a set of dates: reconstruction, KL and ELBO, in nats a date.

use tch::{Device, Tensor};

use crate::dates::{Condition, Date, DateTokens};
use crate::model::{Batch, Model, Weights, objective};
use crate::random::{Purpose, normal, stream};

/// Dates and their conditions as index tensors on a device.
#[derive(Debug)]
pub struct Dataset {
    /// `[n, 4]` each.
    pub all: Batch,
    /// Number of dates.
    pub len: i64,
}

impl Dataset {
    /// Indices of these dates.
    pub fn new(dates: &[Date], device: Device) -> Self {
        let tensor = |rows: Vec<[usize; 4]>| {
            let flat: Vec<i64> = rows.into_iter().flatten().map(|index| index as i64).collect();
            Tensor::from_slice(&flat).view([-1, 4]).to_device(device)
        };
        let condition = tensor(dates.iter().map(|date| Condition::of(*date).indices()).collect());
        let date = tensor(dates.iter().map(|date| DateTokens::of(*date).indices()).collect());
        Self { all: Batch { condition, date }, len: dates.len() as i64 }
    }

    /// The dates of these rows, `[n]`.
    pub fn rows(&self, rows: &Tensor) -> Batch {
        Batch { condition: self.all.condition.index_select(0, rows), date: self.all.date.index_select(0, rows) }
    }

    /// Consecutive blocks of at most so many dates.
    pub fn blocks(&self, size: i64) -> impl Iterator<Item = Batch> {
        let conditions = self.all.condition.split(size, 0);
        let dates = self.all.date.split(size, 0);
        conditions.into_iter().zip(dates).map(|(condition, date)| Batch { condition, date })
    }
}

/// Losses over a data set, nats a date.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TestTerms {
    /// Reconstruction at z from the posterior.
    pub recon: f64,
    /// KL of the posterior from the prior.
    pub kl: f64,
    /// Reconstruction at z from the prior.
    pub prior_recon: f64,
}

impl TestTerms {
    /// The negative evidence lower bound: reconstruction + KL at beta 1, whatever beta was trained.
    pub fn elbo(self) -> f64 {
        self.recon + self.kl
    }
}

/// Losses of a model over a data set, with one z a date drawn by the seed.
pub fn test_terms(model: &Model, data: &Dataset, seed: u64) -> TestTerms {
    const BLOCK: i64 = 4096;
    // At beta 1 with a hybrid weight all terms are computed.
    let weights = Weights { beta: 1.0, hybrid: 1.0, free_bits: 0.0 };
    let mut sums = TestTerms::default();
    tch::no_grad(|| {
        let mut random = stream(seed, Purpose::TestNoise, 0);
        for batch in data.blocks(BLOCK) {
            let n = batch.date.size()[0];
            let noise = normal(&mut random, &[2, n, model.config.latent_dim], model.device());
            let terms = objective(model, &batch, &noise, weights);
            let share = n as f64 / data.len as f64;
            sums.recon += terms.recon.double_value(&[]) * share;
            sums.kl += terms.kl.double_value(&[]) * share;
            sums.prior_recon += terms.prior_recon.double_value(&[]) * share;
        }
    });
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;

    #[test]
    fn losses_are_means_over_all_dates_and_repeat() {
        let model = Model::new(ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() }, Device::Cpu, 1);
        let valid = crate::dates::ValidDates::new();
        let dates: Vec<Date> = valid.conditions().iter().flat_map(|c| valid.of(*c).to_vec()).take(5000).collect();
        let data = Dataset::new(&dates, Device::Cpu);
        let terms = test_terms(&model, &data, 1);
        assert_eq!(terms, test_terms(&model, &data, 1));
        // An untrained model guesses: ln(41 12 10 31) = 11.9 nats.
        assert!((terms.recon - 11.9).abs() < 1.0 && terms.kl >= 0.0, "{terms:?}");
        assert_eq!(terms.elbo(), terms.recon + terms.kl);
    }
}
