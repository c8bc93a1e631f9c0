//! How many nats about the date its code carries.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::population::stream_index;
use crate::model::{Encodings, Model, encode};
use crate::random::{Cumulative, Purpose, normal, stream};
use crate::task::{Rows, Truth};

/// Mutual information I(z; row | condition) for each of these conditions, nats, 0..=H(row | condition).
///
/// Under the aggregated posterior q(z | c), the mean of q(z | y, c) over the condition's rows by their probabilities
/// (Hoffman and Johnson 2016): E[log q(z | y, c) - log q(z | c)]. The rows are enumerated, so that q(z | c) is exact and
/// only z is drawn, `draws` times for each row. The work is quadratic in a condition's rows: of more than `MOST_ROWS` as
/// many are drawn, which limits the estimate to the logarithm of that; and of many conditions with many rows, some are
/// measured that are spread evenly over all. None where `going`, asked before each condition, wants an end.
pub fn information(
    model: &Model,
    truth: &Truth,
    conditions: &[usize],
    (draws, seed): (usize, u64),
    going: &mut dyn FnMut() -> ControlFlow<()>,
) -> Option<Vec<(usize, f64)>> {
    let measure = |group: &usize| {
        let index = stream_index(truth.schema(), truth.condition(*group));
        let mut random = stream(seed, Purpose::Information, index);
        let (mut rows, mut probabilities) = (truth.rows(*group), Cow::Borrowed(truth.probabilities(*group)));
        if rows.len() > MOST_ROWS {
            let choose = Cumulative::new(&probabilities);
            let drawn: Vec<u32> = (0..MOST_ROWS).map(|_| choose.draw(&mut random) as u32).collect();
            let mut some = Rows::default();
            some.gather(&rows, &drawn);
            (rows, probabilities) = (some, vec![1.0 / MOST_ROWS as f64; MOST_ROWS].into());
        }
        let noise = normal(&mut random, rows.len() * draws * model.layout.latent);
        (*group, information_of(&encode(model, &rows), &probabilities, &noise))
    };
    let pairs = |group: &usize| truth.count(*group).min(MOST_ROWS).pow(2);
    let stride = conditions.iter().map(pairs).sum::<usize>().div_ceil(MOST_PAIRS).max(1);
    conditions.iter().step_by(stride).map(|group| going().is_continue().then(|| measure(group))).collect()
}

/// Rows of a condition that are looked at, at the most.
const MOST_ROWS: usize = 1024;
/// Pairs of rows over all conditions, at about the most.
const MOST_PAIRS: usize = 1 << 26;

/// The mean of figures of conditions by their masses: of the mutual information, comparable with the mean entropy over
/// rows, its limit.
pub fn mean_by_row(truth: &Truth, figures: &[(usize, f64)]) -> f64 {
    let masses: f64 = figures.iter().map(|(group, _)| truth.mass(*group)).sum();
    figures.iter().map(|(group, figure)| figure * truth.mass(*group)).sum::<f64>() / masses
}

/// Mutual information of a component's index and z under a mixture of Gaussians with these weights, nats; noise
/// `[n, draws, latent]` is standard normal.
fn information_of(posterior: &Encodings, weights: &[f64], noise: &[f32]) -> f64 {
    let (latent, n) = (posterior.latent, weights.len());
    if latent == 0 {
        return 0.0;
    }
    let draws = noise.len() / (n * latent);
    let mu: Vec<f64> = posterior.mu.iter().map(|mu| f64::from(*mu)).collect();
    let logvar: Vec<f64> = posterior.logvar.iter().map(|logvar| f64::from(*logvar)).collect();
    let inverse: Vec<f64> = logvar.iter().map(|logvar| (-logvar).exp()).collect();
    // log q(z | row), less the constant.
    let log_density = |z: &[f64], row: usize| -> f64 {
        let dimensions = row * latent..(row + 1) * latent;
        let terms = dimensions.zip(z).map(|(place, z)| (z - mu[place]).powi(2) * inverse[place] + logvar[place]);
        -0.5 * terms.sum::<f64>()
    };
    let (mut z, mut densities, mut nats) = (vec![0.0; latent], vec![0.0; n], 0.0);
    for (sample, noise) in noise.chunks_exact(latent).enumerate() {
        let own = sample / draws;
        for (dimension, z) in z.iter_mut().enumerate() {
            let place = own * latent + dimension;
            *z = mu[place] + (0.5 * logvar[place]).exp() * f64::from(noise[dimension]);
        }
        densities.iter_mut().enumerate().for_each(|(row, density)| *density = log_density(&z, row));
        let highest = densities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mass: f64 = densities.iter().zip(weights).map(|(density, weight)| weight * (density - highest).exp()).sum();
        nats += weights[own] * (densities[own] - highest - mass.ln());
    }
    let entropy: f64 = weights.iter().map(|weight| -weight * weight.ln()).sum();
    (nats / draws as f64).clamp(0.0, entropy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::dates;

    #[test]
    fn rows_count_once_each_in_the_mean() {
        let truth = dates::truth(&dates::ValidDates::new());
        let two = [0, 40].map(|group| (group, truth.entropy(group)));
        assert_ne!(two[0].1, two[1].1);
        assert!((mean_by_row(&truth, &two) - truth.subset(&[0, 40]).mean_entropy()).abs() < 1e-12);
    }

    fn measured(means: &[[f32; 2]], logvar: f32) -> f64 {
        let mu = means.concat();
        let noise = normal(&mut stream(1, Purpose::Information, 0), means.len() * 2000 * 2);
        let logvar = vec![logvar; mu.len()];
        information_of(&Encodings { latent: 2, mu, logvar }, &vec![1.0 / means.len() as f64; means.len()], &noise)
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
