//! The maximum mean discrepancy (Gretton et al. 2012) between each condition's aggregated posterior and the prior: the
//! term of the InfoVAE (Zhao et al. 2019).
//!
//! The aggregated posterior q(z | c) = sum over y of p(y | c) q(z | y, c) is a mixture of Gaussians, as the prior is one,
//! and the expectation of a Gaussian kernel over two Gaussians has a closed form. So nothing is drawn, and nothing is
//! estimated where all rows of a condition are at hand.

use super::encoder::GaussianPass;
use crate::model::engine::PairedCodes;
use crate::model::layout::{GaussianLayout, Layout};
use crate::task::Rows;

/// Squared widths of the kernels, in dimensions of z: two codes from the prior are a squared distance of 2 apart in each.
const SQUARED_WIDTHS: [f64; 3] = [0.25, 1.0, 4.0];

/// Buffers for the term.
#[derive(Debug, Default)]
pub struct MmdPass {
    encoder: GaussianPass,
    rows: Rows,
}

impl MmdPass {
    /// The sum over these conditions of the squared discrepancy; its gradient, times `scale`, is added to the encoder's.
    pub fn run(
        &mut self,
        (layout, encoder): (&Layout, &GaussianLayout),
        (weights, gradient): (&[f32], &mut [f32]),
        (conditions, groups): (&PairedCodes, std::ops::Range<usize>),
        scale: f64,
    ) -> f64 {
        let before: usize = conditions.counts[..groups.start].iter().sum();
        let counts = &conditions.counts[groups];
        let all = before..before + counts.iter().sum::<usize>();
        if self.rows.width() != conditions.candidates.width() {
            self.rows = Rows::new(conditions.candidates.width());
        }
        self.rows.clear();
        self.rows.extend(&conditions.candidates, all.clone());
        self.encoder.forward(layout, encoder, weights, &self.rows);
        let width = 2 * layout.latent;
        let pass = &mut self.encoder;
        pass.posterior_gradient.clear();
        pass.posterior_gradient.resize(all.len() * width, 0.0);
        let (mut sum, mut start) = (0.0, 0);
        for count in counts {
            let even = 1.0 / *count as f64;
            let share = |row: usize| match conditions.log_shares.get(before + row) {
                Some(multiple) => f64::from(*multiple).exp() * even,
                None => even,
            };
            let shares: Vec<f64> = (start..start + count).map(share).collect();
            let values = start * width..(start + count) * width;
            let back = &mut pass.posterior_gradient[values.clone()];
            sum += squared_mmd(&pass.posterior[values], &shares, layout.latent, (back, scale));
            start += count;
        }
        self.encoder.backward(layout, encoder, weights, gradient, &self.rows, all.len());
        sum
    }
}

/// The squared discrepancy between a mixture of Gaussians `[p, 2 latent]` (means, then logarithms of variances), with
/// these shares, and N(0, I), mean over the kernels; its gradient, times a scale, is added.
fn squared_mmd(mixture: &[f32], shares: &[f64], latent: usize, (back, scale): (&mut [f32], f64)) -> f64 {
    let parts: Vec<&[f32]> = mixture.chunks_exact(2 * latent).collect();
    let mut gradient = vec![0.0; mixture.len()];
    let (mut total, even) = (0.0, 1.0 / SQUARED_WIDTHS.len() as f64);
    for squared_width in SQUARED_WIDTHS.map(|width| width * latent as f64) {
        let prior = (squared_width / (squared_width + 2.0)).powf(latent as f64 / 2.0);
        total += even * prior;
        for (i, (one, own)) in parts.iter().zip(shares).enumerate() {
            // With each other part both ways at once, and with itself.
            for (j, (other, others)) in parts.iter().zip(shares).enumerate().skip(i) {
                let both = if i == j { 1.0 } else { 2.0 };
                let (first, rest) = gradient.split_at_mut((i + 1) * 2 * latent);
                let by_one = &mut first[i * 2 * latent..];
                let by_other = (j > i).then(|| &mut rest[(j - i - 1) * 2 * latent..][..2 * latent]);
                total += kernel((one, by_one), (other, by_other), squared_width, own * others * both * even);
            }
            let by_one = &mut gradient[i * 2 * latent..(i + 1) * 2 * latent];
            total += to_prior(one, by_one, squared_width, -2.0 * own * even);
        }
    }
    back.iter_mut().zip(gradient).for_each(|(back, slope)| *back += (scale * slope) as f32);
    total
}

/// `weight` times the expectation of a kernel over two independent draws, of a part and of another one or, without a
/// gradient of its own, of the same one again; the gradients are added.
fn kernel(
    (one, by_one): (&[f32], &mut [f64]),
    (other, mut by_other): (&[f32], Option<&mut [f64]>),
    squared_width: f64,
    weight: f64,
) -> f64 {
    let latent = one.len() / 2;
    let of = |part: &[f32], dimension: usize| (f64::from(part[dimension]), f64::from(part[latent + dimension]).exp());
    let (mut volume, mut exponent) = (1.0, 0.0);
    for dimension in 0..latent {
        let ((mu, variance), (other_mu, other_variance)) = (of(one, dimension), of(other, dimension));
        let spread = squared_width + variance + other_variance;
        volume *= squared_width / spread;
        exponent -= (mu - other_mu).powi(2) / (2.0 * spread);
    }
    let value = weight * volume.sqrt() * exponent.exp();
    for dimension in 0..latent {
        let ((mu, variance), (other_mu, other_variance)) = (of(one, dimension), of(other, dimension));
        let spread = squared_width + variance + other_variance;
        let distance = mu - other_mu;
        let by_mu = -value * distance / spread;
        let by_spread = value * (distance.powi(2) / spread - 1.0) / (2.0 * spread);
        by_one[dimension] += by_mu;
        by_one[latent + dimension] += by_spread * variance;
        // A draw of a part against another of the same part: both have its variance.
        let rest = by_other.as_deref_mut().unwrap_or(&mut *by_one);
        rest[dimension] -= by_mu;
        rest[latent + dimension] += by_spread * other_variance;
    }
    value
}

/// The same of a part and the prior.
fn to_prior(one: &[f32], by_one: &mut [f64], squared_width: f64, weight: f64) -> f64 {
    let prior = vec![0.0; one.len()];
    // The prior's gradient goes nowhere.
    kernel((one, by_one), (&prior, Some(&mut vec![0.0; one.len()])), squared_width, weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, normal, stream};

    fn squared(mixture: &[f32], shares: &[f64], latent: usize) -> f64 {
        squared_mmd(mixture, shares, latent, (&mut vec![0.0; mixture.len()], 1.0))
    }

    #[test]
    fn a_mixture_that_is_the_prior_is_at_no_distance_from_it_and_others_are() {
        for latent in [1, 3, 8] {
            let prior = vec![0.0; 2 * latent];
            assert!(squared(&prior, &[1.0], latent).abs() < 1e-12);
            assert!(squared(&[prior.clone(), prior.clone()].concat(), &[0.3, 0.7], latent).abs() < 1e-12);
            let mut far = prior.clone();
            far[0] = 2.0;
            assert!(squared(&far, &[1.0], latent) > 0.01);
            let mut narrow = prior;
            narrow[latent..].fill(-4.0);
            assert!(squared(&narrow, &[1.0], latent) > 0.01);
        }
    }

    #[test]
    fn the_closed_form_is_the_mean_over_draws() {
        let (latent, shares, draws) = (2, [0.25, 0.75], 1500);
        let mixture = [0.7, -0.2, -1.0, 0.3, -0.4, 0.5, 0.2, -2.0];
        let mut random = stream(1, Purpose::Noise, 0);
        let codes = |part: Option<&[f32]>, random: &mut _| -> Vec<f32> {
            let noise = normal(random, draws * latent);
            let place = |(place, noise): (usize, &f32)| match part {
                Some(part) => part[place % latent] + (0.5 * part[latent + place % latent]).exp() * noise,
                None => *noise,
            };
            noise.iter().enumerate().map(place).collect()
        };
        let mean = |a: &[f32], b: &[f32]| {
            let mut sum = 0.0;
            for (a, b) in a.chunks(latent).flat_map(|a| b.chunks(latent).map(move |b| (a, b))) {
                let distance: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
                sum += SQUARED_WIDTHS.iter().map(|w| (-distance / (2.0 * w * latent as f64)).exp()).sum::<f64>() / 3.0;
            }
            sum / (draws * draws) as f64
        };
        let parts: Vec<&[f32]> = mixture.chunks(2 * latent).collect();
        let mut sum = 0.0;
        for (part, share) in parts.iter().zip(shares) {
            for (other, others) in parts.iter().zip(shares) {
                sum += share * others * mean(&codes(Some(part), &mut random), &codes(Some(other), &mut random));
            }
            sum -= 2.0 * share * mean(&codes(Some(part), &mut random), &codes(None, &mut random));
        }
        sum += mean(&codes(None, &mut random), &codes(None, &mut random));
        let exact = squared(&mixture, &shares, latent);
        assert!((exact - sum).abs() < 0.01 && exact > 0.03, "{exact} {sum}");
    }

    #[test]
    fn its_gradient_is_its_slope() {
        let (latent, shares) = (3, [0.2, 0.5, 0.3]);
        let mixture = normal(&mut stream(2, Purpose::Noise, 0), 3 * 2 * latent);
        let mut gradient = vec![0.0; mixture.len()];
        squared_mmd(&mixture, &shares, latent, (&mut gradient, 2.0));
        for place in 0..mixture.len() {
            let at = |distance: f32| {
                let mut moved = mixture.clone();
                moved[place] += distance;
                (squared(&moved, &shares, latent), f64::from(moved[place]))
            };
            let ((high, right), (low, left)) = (at(1e-2), at(-1e-2));
            let slope = 2.0 * (high - low) / (right - left);
            assert!((slope - f64::from(gradient[place])).abs() < 1e-4, "{place} {slope} {}", gradient[place]);
        }
    }
}
