//! How many nats about the date its code carries.

use tch::{Kind, Tensor};

use super::dataset::Dataset;
use crate::dates::{Condition, ValidDates};
use crate::model::{Model, Posterior};
use crate::random::{Purpose, normal, stream};

/// Mutual information I(z; date | condition) for each condition, nats, 0..=ln(number of valid dates).
///
/// Under the aggregated posterior q(z | c), the mean of q(z | date, c) over the condition's valid dates
/// (Hoffman and Johnson 2016): E[log q(z | date, c) - log q(z | c)]. The dates are enumerated, so that q(z | c) is
/// exact and only z is drawn, `draws` times for each date.
pub fn information(
    model: &Model,
    valid: &ValidDates,
    conditions: &[Condition],
    draws: i64,
    seed: u64,
) -> Vec<(Condition, f64)> {
    let measure = |condition: &Condition| {
        let dates = Dataset::new(valid.of(*condition), model.device());
        let mut random = stream(seed, Purpose::TestNoise, condition.index() as u64);
        let noise = normal(&mut random, &[dates.len, draws, model.config.latent_dim], model.device());
        let nats = tch::no_grad(|| {
            let posterior = model.encoder.forward(&dates.all.condition, &dates.all.date);
            information_of(&posterior, &noise)
        });
        (*condition, nats)
    };
    conditions.iter().map(measure).collect()
}

/// The mean of figures of conditions in which each of a condition's valid dates counts once: of the mutual
/// information, comparable with the mean entropy over dates, its limit.
pub fn mean_by_date(valid: &ValidDates, figures: &[(Condition, f64)]) -> f64 {
    let dates = |condition: &Condition| valid.of(*condition).len() as f64;
    let count: f64 = figures.iter().map(|(condition, _)| dates(condition)).sum();
    figures.iter().map(|(condition, figure)| figure * dates(condition)).sum::<f64>() / count
}

/// Mutual information of a component's index and z under a uniform mixture of Gaussians `[n, latent]`, nats;
/// noise `[n, draws, latent]` is standard normal.
fn information_of(posterior: &Posterior, noise: &Tensor) -> f64 {
    let double = |tensor: &Tensor| tensor.to_kind(Kind::Double);
    let (mu, logvar, noise) = (double(&posterior.mu), double(&posterior.logvar), double(noise));
    let (n, draws) = (noise.size()[0], noise.size()[1]);
    let z = mu.unsqueeze(1) + (&logvar * 0.5).exp().unsqueeze(1) * &noise; // [n, draws, latent]
    // log q(z | date) of every z under every date, less the constant, [n, draws, n].
    let distance = (z.unsqueeze(2) - &mu).square() / logvar.exp() + &logvar;
    let log_densities = distance.sum_dim_intlist([-1i64].as_slice(), false, Kind::Double) * -0.5;
    let mixture = log_densities.logsumexp([-1i64].as_slice(), false) - (n as f64).ln(); // [n, draws]
    let own = log_densities.diagonal(0, 0, 2).transpose(0, 1); // [n, draws]
    let nats = (own - mixture).sum(Kind::Double).double_value(&[]) / (n * draws) as f64;
    nats.clamp(0.0, (n as f64).ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn dates_count_once_each_in_the_mean() {
        let valid = ValidDates::new();
        let two = [valid.conditions()[0], valid.conditions()[40]];
        let entropies = two.map(|condition| (condition, (valid.of(condition).len() as f64).ln()));
        assert_ne!(entropies[0].1, entropies[1].1);
        let by_date: Vec<Condition> = two.iter().flat_map(|c| vec![*c; valid.of(*c).len()]).collect();
        assert!((mean_by_date(&valid, &entropies) - valid.mean_entropy(&by_date)).abs() < 1e-12);
    }

    fn measured(means: &[[f32; 2]], logvar: f64) -> f64 {
        let mu = Tensor::from_slice2(means);
        let logvar = Tensor::full_like(&mu, logvar);
        let mut random = stream(1, Purpose::TestNoise, 0);
        let noise = normal(&mut random, &[means.len() as i64, 2000, 2], Device::Cpu);
        information_of(&Posterior { mu, logvar }, &noise)
    }

    #[test]
    fn codes_that_tell_all_dates_apart_carry_the_logarithm_of_their_number() {
        let apart = measured(&[[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]], -2.0);
        assert!((apart - 4f64.ln()).abs() < 1e-6, "{apart}");
        // Two clusters of two: which cluster is known, no more.
        let clusters = measured(&[[0.0, 0.0], [0.0, 0.0], [9.0, 9.0], [9.0, 9.0]], -2.0);
        assert!((clusters - 2f64.ln()).abs() < 1e-6, "{clusters}");
        assert!(measured(&[[0.5, 0.5]; 3], 0.0) < 1e-12);
    }

    #[test]
    fn overlapping_codes_carry_what_quadrature_says() {
        // An even mixture of N(-1, 1) and N(1, 1): I = H(mixture) - H(N) = 0.3368 nats by the trapezium rule.
        let density = |x: f64, m: f64| (-0.5 * (x - m).powi(2)).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let step = 1e-3;
        let entropy: f64 = (-8000..=8000)
            .map(|i| f64::from(i) * step)
            .map(|x| 0.5 * density(x, -1.0) + 0.5 * density(x, 1.0))
            .map(|p| -p * p.ln() * step)
            .sum();
        let exact = entropy - 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).ln();
        let estimate = measured(&[[-1.0, 0.0], [1.0, 0.0]], 0.0);
        assert!((estimate - exact).abs() < 0.02, "{estimate} {exact}");
    }
}
