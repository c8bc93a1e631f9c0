//! The likelihood of dates by importance weighting, against the exact entropy floor.

use rand_chacha::ChaCha8Rng;

use super::parallel::{Progress, Stop, in_parallel};
use super::summary::{Summary, Worst};
use crate::dates::{Condition, Date, ValidDates};
use crate::model::{Decoder, DecoderBuffers, Model, encode};
use crate::random::{Purpose, normal, stream};
use crate::task::{Rows, dates};

/// Negative log-likelihood of one condition's dates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConditionNll {
    /// The condition.
    pub condition: Condition,
    /// Number of dates measured.
    pub dates: usize,
    /// Mean over them of -log p(date | condition), nats.
    pub nll: f64,
    /// Standard error of that mean from the importance weights, nats.
    pub error: f64,
    /// Distance from ln(number of valid dates), nats: 0 for a model that has the distribution. Over all of
    /// a condition's valid dates it can't be negative, but for the error.
    pub gap: f64,
}

/// Negative log-likelihood over a set of dates.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihood {
    /// Samples of z for each date.
    pub samples: i64,
    /// Number of dates.
    pub dates: usize,
    /// Mean over the dates of -log p(date | condition), nats.
    pub nll: f64,
    /// Standard error of that mean from the importance weights, nats.
    pub error: f64,
    /// Mean over the dates of ln(number of valid dates of the date's condition), nats: the entropy floor.
    pub floor: f64,
    /// The gap over conditions, each counting once.
    pub gap: Summary,
    /// Condition by condition, in order of index.
    pub conditions: Vec<ConditionNll>,
}

/// Estimates -log p(date | condition) of each date as -log 1/K sum p(date, z_k) / q(z_k), z_k from the posterior
/// (the bound of Burda et al. 2016, which rises to the likelihood with K). None without dates.
///
/// The error is that of the delta method, sd(w) / (mean(w) sqrt(K)) for each date. Each condition has a
/// random stream of its own; `progress` is told how many conditions are done.
pub fn likelihood(
    model: &Model,
    valid: &ValidDates,
    dates: &[Date],
    samples: usize,
    (seed, threads): (u64, usize),
    progress: Progress<'_>,
) -> Option<Likelihood> {
    let mut groups: Vec<Vec<Date>> = vec![Vec::new(); Condition::COUNT];
    dates.iter().for_each(|date| groups[Condition::of(*date).index()].push(*date));
    groups.retain(|group| !group.is_empty());
    let work = |buffers: &mut DecoderBuffers, group: &Vec<Date>, stop: Stop<'_>| {
        condition_nll(model, valid, (buffers, stop), group, samples, seed)
    };
    let conditions = in_parallel(threads, &groups, DecoderBuffers::default, work, progress)?;
    let weigh = |figure: &dyn Fn(&ConditionNll) -> f64| -> f64 { conditions.iter().map(figure).sum() };
    let count = dates.len() as f64;
    let nll = weigh(&|part| part.nll * part.dates as f64) / count;
    let variance = weigh(&|part| (part.error * part.dates as f64).powi(2)) / (count * count);
    let floor = weigh(&|part| (valid.of(part.condition).len() as f64).ln() * part.dates as f64) / count;
    let gap = Summary::over(conditions.iter().map(|part| (part.condition, part.gap)), Worst::Highest)?;
    let samples = samples as i64;
    Some(Likelihood { samples, dates: dates.len(), nll, error: variance.sqrt(), floor, gap, conditions })
}

/// The dates of one condition.
fn condition_nll(
    model: &Model,
    valid: &ValidDates,
    (buffers, stop): (&mut DecoderBuffers, Stop<'_>),
    days: &[Date],
    samples: usize,
    seed: u64,
) -> ConditionNll {
    let condition = Condition::of(days[0]);
    let mut random = stream(seed, Purpose::TestNoise, condition.index() as u64);
    let estimates: Vec<(f64, f64)> = days
        .iter()
        .map(|day| log_mean(&log_weights(model, (&mut *buffers, stop), *day, samples, &mut random)))
        .collect();
    let dates = days;
    let n = dates.len() as f64;
    let nll = -estimates.iter().map(|(log_mean, _)| log_mean).sum::<f64>() / n;
    let error = estimates.iter().map(|(_, error)| error * error).sum::<f64>().sqrt() / n;
    let gap = nll - (valid.of(condition).len() as f64).ln();
    ConditionNll { condition, dates: dates.len(), nll, error, gap }
}

/// log p(date, z) - log q(z) for `samples` draws of z for a date.
fn log_weights(
    model: &Model,
    (buffers, stop): (&mut DecoderBuffers, Stop<'_>),
    day: Date,
    samples: usize,
    random: &mut ChaCha8Rng,
) -> Vec<f64> {
    /// Draws at once: a few mebibytes.
    const BLOCK: usize = 4096;
    let row = dates::rows(&[day]);
    let (posterior, latent) = (encode(model, &row), model.layout.latent);
    let mut log_weights = Vec::with_capacity(samples.min(1 << 20));
    for start in (0..samples).step_by(BLOCK) {
        if stop.asked() {
            return vec![0.0];
        }
        let n = BLOCK.min(samples - start);
        let mut repeated = Rows::new(row.width());
        (0..n).for_each(|_| repeated.push(row.row(0)));
        let noise = normal(random, n * latent);
        let (mut z, mut weights) = (vec![0.0; noise.len()], vec![0.0; n]);
        for (sample, weight) in weights.iter_mut().enumerate() {
            for dimension in 0..latent {
                let place = sample * latent + dimension;
                let (mu, logvar) = (posterior.mu[dimension], posterior.logvar[dimension]);
                z[place] = mu + (0.5 * logvar).exp() * noise[place];
                // log N(z; 0, I) - log q(z): the constants cancel.
                *weight += 0.5 * f64::from(noise[place] * noise[place] + logvar - z[place] * z[place]);
            }
        }
        let costs = Decoder { model }.cross_entropies(buffers, &repeated, &z);
        log_weights.extend(weights.iter().zip(costs).map(|(weight, cost)| weight - cost));
    }
    log_weights
}

/// The logarithm of the mean of weights given by their logarithms, and its standard error.
fn log_mean(log_weights: &[f64]) -> (f64, f64) {
    let largest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let count = log_weights.len() as f64;
    let weights = || log_weights.iter().map(|weight| (weight - largest).exp());
    let mean = weights().sum::<f64>() / count;
    let variance = weights().map(|weight| (weight - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (largest + mean.ln(), (variance / count).sqrt() / mean)
}

#[cfg(test)]
mod tests {
    use super::super::unwatched;
    use super::*;
    use crate::dates::Field;
    use crate::model::ModelConfig;

    /// A model that gives every combination of tokens the same probability, whatever z.
    fn uniform_model() -> Model {
        let config = ModelConfig { latent_dim: 2, hidden_dim: 16, angles: 8, ..ModelConfig::default() };
        let mut model = Model::new(config, dates::schema(), 1);
        for field in Field::ALL {
            zero(&mut model, &format!("decoder.{}.output", field.name()));
        }
        model
    }

    fn zero(model: &mut Model, layer: &str) {
        for part in ["weight", "bias"] {
            model.tensor_mut(&format!("{layer}.{part}")).unwrap().fill(0.0);
        }
    }

    #[test]
    fn the_mean_of_known_weights_and_its_error() {
        let (log, error) = log_mean(&[1000.0 + 1f64.ln(), 1000.0 + 3f64.ln()]);
        assert!((log - 1000.0 - 2f64.ln()).abs() < 1e-12);
        // sd sqrt(2), over sqrt(2) draws, over the mean 2.
        assert!((error - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_uniform_guess_costs_the_logarithm_of_all_combinations() {
        let (mut model, valid) = (uniform_model(), ValidDates::new());
        let guess: f64 = [41f64, 12.0, 10.0, 31.0].iter().map(|size| size.ln()).sum();
        let dates: Vec<Date> = valid.conditions()[..3].iter().flat_map(|c| valid.of(*c).to_vec()).collect();
        // The posterior differs from the prior: the weights vary, their mean does not.
        let varied = likelihood(&model, &valid, &dates, 4000, (1, 2), &mut unwatched).unwrap();
        assert!(varied.error > 0.0 && (varied.nll - guess).abs() < 5.0 * varied.error + 1e-4, "{varied:?}");
        // Where it is the prior, all weights are equal.
        zero(&mut model, "encoder.output");
        let exact = likelihood(&model, &valid, &dates, 8, (1, 1), &mut unwatched).unwrap();
        assert!((exact.nll - guess).abs() < 1e-4 && exact.error < 1e-6, "{exact:?}");
        assert_eq!(exact.conditions.len(), 3);
        let first = exact.conditions[0];
        assert!((first.gap - (guess - (valid.of(first.condition).len() as f64).ln())).abs() < 1e-4);
        assert!(likelihood(&model, &valid, &[], 8, (1, 1), &mut unwatched).is_none());
    }
}
