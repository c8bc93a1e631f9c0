//! Losses over a set of dates: reconstruction, KL and ELBO, in nats a date.

use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use crate::dates::{Condition, Date, DateTokens};
use crate::model::{Batch, Model, Pairing, Prior, PriorBatch, Weights, objective, paired_reconstruction};
use crate::random::{Purpose, normal, stream, uniform};

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

/// The dates of a set by condition, for codes from the prior to be paired with.
#[derive(Debug)]
pub struct Groups {
    /// Number of conditions that have dates.
    pub len: i64,
    /// `[len, 4]`.
    condition: Tensor,
    /// Indices of each condition's dates, `[len, p, 4]`, padded with its first.
    dates: Tensor,
    /// What [`PriorBatch::mask`] asks for, `[len, p]`.
    mask: Tensor,
}

impl Groups {
    /// These dates in order of condition.
    pub fn new(dates: &[Date], device: Device) -> Self {
        let mut groups: Vec<Vec<Date>> = vec![Vec::new(); Condition::COUNT];
        dates.iter().for_each(|date| groups[Condition::of(*date).index()].push(*date));
        groups.retain(|group| !group.is_empty());
        let longest = groups.iter().map(Vec::len).max().unwrap_or(0);
        let first: Vec<Date> = groups.iter().map(|group| group[0]).collect();
        let padded = |group: &Vec<Date>| -> Vec<Date> {
            group.iter().copied().chain(std::iter::repeat(group[0])).take(longest).collect()
        };
        let all: Vec<Date> = groups.iter().flat_map(padded).collect();
        let mask = |group: &Vec<Date>| {
            let dates = group.len();
            (0..longest).map(move |place| if place < dates { 0.0 } else { PriorBatch::NO_DATE })
        };
        let mask: Vec<f32> = groups.iter().flat_map(mask).collect();
        let (len, longest) = (groups.len() as i64, longest as i64);
        Self {
            len,
            condition: Dataset::new(&first, device).all.condition,
            dates: Dataset::new(&all, device).all.date.view([len, longest, 4]),
            mask: Tensor::from_slice(&mask).view([len, longest]).to_device(device),
        }
    }

    /// Codes for the conditions of these rows, `[m]`: `codes` for each.
    pub fn draw(
        &self,
        rows: &Tensor,
        (codes, latent_dim): (i64, i64),
        balanced: bool,
        random: &mut ChaCha8Rng,
    ) -> PriorBatch {
        let (m, device) = (rows.size()[0], self.mask.device());
        PriorBatch {
            condition: self.condition.index_select(0, rows),
            dates: self.dates.index_select(0, rows),
            mask: self.mask.index_select(0, rows),
            z: normal(random, &[m, codes, latent_dim], device),
            uniform: uniform(random, &[m, codes], device),
            balanced,
        }
    }
}

/// Losses over a data set, nats a date.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TestTerms {
    /// Reconstruction at z from the posterior.
    pub recon: f64,
    /// KL of the posterior from the prior.
    pub kl: f64,
}

impl TestTerms {
    /// The negative evidence lower bound: reconstruction + KL at beta 1, whatever beta was trained.
    pub fn elbo(self) -> f64 {
        self.recon + self.kl
    }
}

/// Rows of one call of the model.
const BLOCK: i64 = 4096;

/// Losses of a model over a data set, with one z a date drawn by the seed.
pub fn test_terms(model: &Model, data: &Dataset, seed: u64) -> TestTerms {
    let mut sums = TestTerms::default();
    let mut random = stream(seed, Purpose::TestNoise, 0);
    for batch in data.blocks(BLOCK) {
        let n = batch.date.size()[0];
        let noise = normal(&mut random, &[n, model.config.latent_dim], model.device());
        let terms = tch::no_grad(|| objective(model, &batch, &noise, None, UNWEIGHTED));
        let share = n as f64 / data.len as f64;
        sums.recon += terms.recon.double_value(&[]) * share;
        sums.kl += terms.kl.double_value(&[]) * share;
    }
    sums
}

const UNWEIGHTED: Weights = Weights { beta: 1.0, hybrid: 1.0, free_bits: 0.0 };

/// The hybrid term over a data set: reconstruction at z from the prior, nats a date, paired as in training,
/// `codes` for each condition.
pub fn test_prior_recon(model: &Model, data: &Dataset, groups: &Groups, pairing: (Pairing, i64), seed: u64) -> f64 {
    let ((pairing, codes), latent_dim) = (pairing, model.config.latent_dim);
    let mut random = stream(seed, Purpose::TestNoise, 1);
    let mut sum = 0.0;
    if pairing == Pairing::Own {
        for batch in data.blocks(BLOCK) {
            let n = batch.date.size()[0];
            let z = normal(&mut random, &[n, latent_dim], model.device());
            let terms = tch::no_grad(|| objective(model, &batch, &z.zeros_like(), Some(&Prior::Own(z)), UNWEIGHTED));
            sum += terms.prior_recon.double_value(&[]) * n as f64;
        }
        return sum / data.len as f64;
    }
    let at_once = (BLOCK / codes).max(1);
    for first in (0..groups.len).step_by(at_once as usize) {
        let m = at_once.min(groups.len - first);
        let rows = Tensor::arange_start(first, first + m, (Kind::Int64, model.device()));
        let prior = groups.draw(&rows, (codes, latent_dim), pairing == Pairing::Balanced, &mut random);
        sum += tch::no_grad(|| paired_reconstruction(model, &prior)).double_value(&[]) * m as f64;
    }
    sum / groups.len as f64
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
        let groups = Groups::new(&dates, Device::Cpu);
        for pairing in [Pairing::Own, Pairing::Posterior, Pairing::Balanced] {
            let recon = test_prior_recon(&model, &data, &groups, (pairing, 16), 1);
            assert!((recon - 11.9).abs() < 1.0, "{pairing:?} {recon}");
            assert_eq!(recon, test_prior_recon(&model, &data, &groups, (pairing, 16), 1));
        }
    }

    #[test]
    fn groups_hold_every_date_under_its_condition() {
        let valid = crate::dates::ValidDates::new();
        let dates: Vec<Date> = valid.conditions()[..50].iter().flat_map(|c| valid.of(*c).to_vec()).collect();
        let groups = Groups::new(&dates, Device::Cpu);
        assert_eq!(groups.len, 50);
        let there = groups.mask.eq(0.0).view([-1]).nonzero().view([-1]);
        let held = groups.dates.view([-1, 4]).index_select(0, &there);
        assert!(held.equal(&Dataset::new(&dates, Device::Cpu).all.date));
        let rows = Tensor::from_slice(&[3i64, 0]);
        let drawn = groups.draw(&rows, (5, 2), true, &mut stream(1, Purpose::Noise, 0));
        assert_eq!((drawn.z.size(), drawn.uniform.size()), (vec![2, 5, 2], vec![2, 5]));
        let expected = valid.conditions()[3].indices().map(|index| index as i64);
        assert_eq!(Vec::<i64>::try_from(drawn.condition.get(0)).unwrap(), expected);
    }
}
