//! The likelihood of dates by importance weighting, against the exact entropy floor.

use tch::{Kind, Reduction, Tensor};

use super::dataset::Dataset;
use super::summary::{Summary, Worst};
use super::workers::{Answer, Queue, spread, workers};
use crate::dates::{Condition, Date, Field, ValidDates};
use crate::model::{Model, Sampler};
use crate::random::{Purpose, normal, stream};

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
/// random stream of its own; `progress` is told how many conditions are done, and may ask for an early end, whose
/// figures mean nothing.
pub fn likelihood<A: Answer>(
    model: &Model,
    valid: &ValidDates,
    dates: &[Date],
    samples: i64,
    seed: u64,
    mut progress: impl FnMut(usize) -> A,
) -> Option<Likelihood> {
    let mut groups: Vec<Vec<Date>> = vec![Vec::new(); Condition::COUNT];
    dates.iter().for_each(|date| groups[Condition::of(*date).index()].push(*date));
    groups.retain(|group| !group.is_empty());
    let work = |model: &Model, mut queue: Queue<'_, Vec<Date>>, emit: &mut dyn FnMut(usize, ConditionNll)| {
        while let Some((index, group)) = queue.next() {
            let stopped = || queue.stopped();
            if let Some(nll) = condition_nll(model, valid, group, (samples, seed), stopped) {
                emit(index, nll);
            }
        }
    };
    let mut done = 0;
    let conditions = spread(model, &groups, workers(model), work, |finished| {
        done += usize::from(finished.is_some());
        progress(done)
    });
    let weigh = |figure: &dyn Fn(&ConditionNll) -> f64| -> f64 { conditions.iter().map(figure).sum() };
    let count = dates.len() as f64;
    let nll = weigh(&|part| part.nll * part.dates as f64) / count;
    let variance = weigh(&|part| (part.error * part.dates as f64).powi(2)) / (count * count);
    let floor = weigh(&|part| (valid.of(part.condition).len() as f64).ln() * part.dates as f64) / count;
    let gap = Summary::over(conditions.iter().map(|part| (part.condition, part.gap)), Worst::Highest)?;
    Some(Likelihood { samples, dates: dates.len(), nll, error: variance.sqrt(), floor, gap, conditions })
}

/// The dates of one condition; none where it was `stopped`.
fn condition_nll(
    model: &Model,
    valid: &ValidDates,
    dates: &[Date],
    (samples, seed): (i64, u64),
    stopped: impl Fn() -> bool,
) -> Option<ConditionNll> {
    let condition = Condition::of(dates[0]);
    let log_weights = tch::no_grad(|| log_weights(model, dates, (samples, seed), condition, stopped))?;
    let estimates: Vec<(f64, f64)> = log_weights.chunks(samples as usize).map(log_mean).collect();
    let n = dates.len() as f64;
    let nll = -estimates.iter().map(|(log_mean, _)| log_mean).sum::<f64>() / n;
    let error = estimates.iter().map(|(_, error)| error * error).sum::<f64>().sqrt() / n;
    let gap = nll - (valid.of(condition).len() as f64).ln();
    Some(ConditionNll { condition, dates: dates.len(), nll, error, gap })
}

/// log p(date, z) - log q(z) for `samples` draws of z for each date, one date after the other.
fn log_weights(
    model: &Model,
    dates: &[Date],
    (samples, seed): (i64, u64),
    condition: Condition,
    stopped: impl Fn() -> bool,
) -> Option<Vec<f64>> {
    let data = Dataset::new(dates, model.device()).all;
    let posterior = model.encoder.forward(&data.condition, &data.date);
    // What the decoder computes before z enters serves all draws of a date.
    let units = model.decoder.forced_units(&data.condition, &data.date);
    let mut random = stream(seed, Purpose::TestNoise, condition.index() as u64);
    let (n, latent_dim) = (dates.len() as i64, model.config.latent_dim);
    let at_once = (Sampler::BLOCK as i64 / samples).max(1);
    let mut all = Vec::with_capacity(dates.len() * samples as usize);
    for start in (0..n).step_by(at_once as usize) {
        if stopped() {
            return None;
        }
        let rows = at_once.min(n - start);
        let part = |tensor: &Tensor| tensor.narrow(0, start, rows);
        let noise = normal(&mut random, &[rows, samples, latent_dim], model.device());
        let (mu, logvar) = (part(&posterior.mu).unsqueeze(1), part(&posterior.logvar).unsqueeze(1));
        let z = mu + (&logvar * 0.5).exp() * &noise; // [rows, samples, latent]
        // log N(z; 0, I) - log q(z): the constants cancel.
        let densities = (noise.square() + logvar - z.square()).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
        let units: Vec<Tensor> =
            units.iter().map(|units| part(units).repeat_interleave_self_int(samples, 0, None)).collect();
        let logits = model.decoder.forced_logits(&units, &z.view([-1, latent_dim]));
        let mut weights = densities.view([-1]) * 0.5;
        for (field, logits) in Field::ALL.iter().zip(logits) {
            let target = part(&data.date).select(1, *field as i64).repeat_interleave_self_int(samples, 0, None);
            weights -= logits.cross_entropy_loss::<Tensor>(&target, None, Reduction::None, -100, 0.0);
        }
        all.extend(Vec::<f64>::try_from(weights.to_kind(Kind::Double)).unwrap_or_default());
    }
    Some(all)
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
    use super::*;
    use crate::model::ModelConfig;
    use tch::Device;

    /// A model that gives every combination of tokens the same probability, whatever z.
    fn uniform_model() -> Model {
        let config = ModelConfig { latent_dim: 2, hidden_dim: 16, angles: 8, ..ModelConfig::default() };
        let model = Model::new(config, Device::Cpu, 1);
        for field in Field::ALL {
            zero(&model, &format!("decoder.{}.output", field.name()));
        }
        model
    }

    fn zero(model: &Model, layer: &str) {
        let named = model.named();
        for part in ["weight", "bias"] {
            let _ = tch::no_grad(|| named[&format!("{layer}.{part}")].shallow_clone().zero_());
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
        let (model, valid) = (uniform_model(), ValidDates::new());
        let guess: f64 = [41f64, 12.0, 10.0, 31.0].iter().map(|size| size.ln()).sum();
        let dates: Vec<Date> = valid.conditions()[..3].iter().flat_map(|c| valid.of(*c).to_vec()).collect();
        // The posterior differs from the prior: the weights vary, their mean does not.
        let varied = likelihood(&model, &valid, &dates, 4000, 1, |_| ()).unwrap();
        assert!(varied.error > 0.0 && (varied.nll - guess).abs() < 5.0 * varied.error + 1e-4, "{varied:?}");
        // Where it is the prior, all weights are equal.
        zero(&model, "encoder.output");
        let exact = likelihood(&model, &valid, &dates, 8, 1, |_| ()).unwrap();
        assert!((exact.nll - guess).abs() < 1e-4 && exact.error < 1e-6, "{exact:?}");
        assert_eq!(exact.conditions.len(), 3);
        let first = exact.conditions[0];
        assert!((first.gap - (guess - (valid.of(first.condition).len() as f64).ln())).abs() < 1e-4);
        assert!(likelihood(&model, &valid, &[], 8, 1, |_| ()).is_none());
    }
}
