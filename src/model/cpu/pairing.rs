//! Which row a code drawn from the prior is paired with: the targets of the hybrid term.
//!
//! Sohn et al. 2015 train on the row that the batch happens to hold, whatever z is, which teaches the decoder to ignore
//! z. Here a code is paired with one of its condition's training rows by where the posteriors of these rows lie.

use multiversion::multiversion;

use super::encoder::GaussianPass;
use super::kernels::resized;
use super::scalar::{exp, fold, larger};
use crate::model::engine::PairedCodes;
use crate::model::layout::{GaussianLayout, Layout};
use crate::task::Rows;

/// Numbers that are added or compared side by side.
const LANES: usize = 16;
/// Rounds of Sinkhorn's algorithm (Cuturi 2013). After four the rows' shares are even within some percent.
const ROUNDS: usize = 8;
/// A log density that leaves nothing to share. Minus infinity would make sums of it NaN.
const NO_ROW: f32 = -1e9;

/// Some conditions' codes: those of one shard.
#[derive(Clone, Copy, Debug)]
pub struct CodeShare<'a> {
    /// All codes of the step.
    pub codes: &'a PairedCodes,
    /// First condition and the one after the last.
    pub groups: (usize, usize),
}

/// Buffers for the pairing.
#[derive(Debug, Default)]
pub struct PairingPass {
    encoder: GaussianPass,
    candidates: Rows,
    /// One condition's shares, `[k, p]`, rows padded.
    shares: Vec<f32>,
    padded_mask: Vec<f32>,
    columns: [Vec<f32>; 2],
    by_row: Vec<f32>,
}

impl<'a> CodeShare<'a> {
    /// The codes, `[m k, latent]`.
    pub fn z(&self, latent: usize) -> &'a [f32] {
        let per_group = self.codes.codes * latent;
        &self.codes.z[self.groups.0 * per_group..self.groups.1 * per_group]
    }
}

impl PairingPass {
    /// Appends each code's row to `rows`. No gradient flows through the choice.
    pub fn pair(
        &mut self,
        layout: &Layout,
        encoder: &GaussianLayout,
        weights: &[f32],
        share: CodeShare<'_>,
        rows: &mut Rows,
    ) {
        let (CodeShare { codes, groups: (first, last) }, latent) = (share, layout.latent);
        let k = codes.codes;
        let before: usize = codes.counts[..first].iter().sum();
        let count: usize = codes.counts[first..last].iter().sum();
        if self.candidates.width() != codes.candidates.width() {
            self.candidates = Rows::new(codes.candidates.width());
        }
        self.candidates.clear();
        self.candidates.extend(&codes.candidates, before..before + count);
        self.encoder.forward(layout, encoder, weights, &self.candidates);
        let mut start = 0;
        for group in first..last {
            let candidates = start..start + codes.counts[group];
            let posterior = &self.encoder.posterior[candidates.start * 2 * latent..candidates.end * 2 * latent];
            let stride = candidates.len().next_multiple_of(LANES);
            self.padded_mask.clear();
            match codes.log_shares.get(before + candidates.start..before + candidates.end) {
                Some(shares) if !shares.is_empty() => self.padded_mask.extend(shares),
                _ => self.padded_mask.resize(candidates.len(), 0.0),
            }
            self.padded_mask.resize(stride, NO_ROW);
            let shares = resized(&mut self.shares, k * stride);
            let by_row = resized(&mut self.by_row, 3 * latent * stride);
            rows_by_dimension(by_row, posterior, latent, stride);
            log_densities(shares, &codes.z[group * k * latent..][..k * latent], by_row, &self.padded_mask, latent);
            if codes.balanced {
                let columns = self.columns.each_mut().map(|column| resized(column, stride));
                balance(shares, &self.padded_mask, columns);
            }
            to_shares(shares, stride);
            for (shares, mark) in shares.chunks_exact(stride).zip(&codes.uniform[group * k..][..k]) {
                let chosen = pick(&shares[..candidates.len()], *mark);
                rows.push(self.candidates.row(candidates.start + chosen));
            }
            start = candidates.end;
        }
    }
}

/// Has the rows share the codes out evenly, or by the logarithms of their shares in the mask.
fn balance(shares: &mut [f32], mask: &[f32], [highest, mass]: [&mut [f32]; 2]) {
    for _ in 0..ROUNDS {
        normalise_rows(shares, mask.len());
        normalise_columns(shares, mask, [&mut *highest, &mut *mass]);
    }
}

/// The inverse of a distribution function: the first place where the sum so far passes the mark's share of the whole.
pub fn pick(shares: &[f32], mark: f32) -> usize {
    let mark = mark * shares.iter().fold(0.0, |sum, share| sum + share);
    let mut sum = 0.0;
    let passed = shares.iter().take_while(|share| {
        sum += **share;
        sum <= mark
    });
    passed.count().min(shares.len() - 1)
}

/// Posteriors `[p, 2 latent]` as `[3 latent, stride]`: means, logarithms of variances, inverses of variances.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn rows_by_dimension(out: &mut [f32], posterior: &[f32], latent: usize, stride: usize) {
    for (date, row) in posterior.chunks_exact(2 * latent).enumerate() {
        for (dimension, (mu, logvar)) in row[..latent].iter().zip(&row[latent..]).enumerate() {
            out[dimension * stride + date] = *mu;
            out[(latent + dimension) * stride + date] = *logvar;
        }
    }
    // Columns beyond the last row hold what was there before: any number would do, if it were a small one.
    for row in out[..2 * latent * stride].chunks_exact_mut(stride) {
        row[posterior.len() / (2 * latent)..].fill(0.0);
    }
    let (logvars, inverses) = out[latent * stride..].split_at_mut(latent * stride);
    for (inverse, logvar) in inverses.iter_mut().zip(logvars) {
        *inverse = exp(-*logvar);
    }
}

/// log q(z | row), less a constant, of each code under each row, plus the mask.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn log_densities(out: &mut [f32], codes: &[f32], by_date: &[f32], mask: &[f32], latent: usize) {
    let stride = mask.len();
    let (means, variances) = by_date.split_at(latent * stride);
    let (logvars, inverses) = variances.split_at(latent * stride);
    for (row, code) in out.chunks_exact_mut(stride).zip(codes.chunks_exact(latent)) {
        row.copy_from_slice(mask);
        for (dimension, z) in code.iter().enumerate() {
            let start = dimension * stride;
            let dates = means[start..].iter().zip(&logvars[start..]).zip(&inverses[start..]);
            for (entry, ((mu, logvar), inverse)) in row.iter_mut().zip(dates) {
                let distance = z - mu;
                *entry = (distance * distance).mul_add(*inverse, *logvar).mul_add(-0.5, *entry);
            }
        }
    }
}

/// The highest entry of a row.
#[inline(always)]
fn highest(row: &[f32]) -> f32 {
    let mut highest = [f32::MIN; LANES];
    for lanes in row.chunks_exact(LANES) {
        for (highest, value) in highest.iter_mut().zip(lanes) {
            *highest = larger(*value, *highest);
        }
    }
    fold(highest, larger)
}

/// Rows of logarithms less those of their sums.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn normalise_rows(shares: &mut [f32], stride: usize) {
    for row in shares.chunks_exact_mut(stride) {
        let highest = highest(row);
        let mut mass = [0.0; LANES];
        for lanes in row.chunks_exact(LANES) {
            for (mass, value) in mass.iter_mut().zip(lanes) {
                *mass += exp(*value - highest);
            }
        }
        let less = highest + fold(mass, |a, b| a + b).ln();
        for value in row {
            *value -= less;
        }
    }
}

/// Columns of logarithms less those of their sums, plus the mask.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn normalise_columns(shares: &mut [f32], mask: &[f32], [highest, mass]: [&mut [f32]; 2]) {
    highest.fill(f32::MIN);
    mass.fill(0.0);
    for row in shares.chunks_exact(mask.len()) {
        for (highest, value) in highest.iter_mut().zip(row) {
            *highest = larger(*value, *highest);
        }
    }
    for row in shares.chunks_exact(mask.len()) {
        for ((mass, highest), value) in mass.iter_mut().zip(&*highest).zip(row) {
            *mass += exp(value - highest);
        }
    }
    for (mass, highest) in mass.iter_mut().zip(highest.iter()) {
        *mass = highest + mass.ln();
    }
    for row in shares.chunks_exact_mut(mask.len()) {
        for ((value, less), mask) in row.iter_mut().zip(&*mass).zip(mask) {
            *value = *value - less + mask;
        }
    }
}

/// Rows of logarithms turned into shares.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn to_shares(shares: &mut [f32], stride: usize) {
    for row in shares.chunks_exact_mut(stride) {
        let highest = highest(row);
        let mut mass = [0.0; LANES];
        for lanes in row.chunks_exact_mut(LANES) {
            for (mass, value) in mass.iter_mut().zip(lanes) {
                *value = exp(*value - highest);
                *mass += *value;
            }
        }
        let mass = fold(mass, |a, b| a + b);
        for value in row {
            *value /= mass;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced(mut log_densities: Vec<f32>, mask: &[f32], rounds: bool) -> Vec<f32> {
        let (mut highest, mut mass) = (vec![0.0; mask.len()], vec![0.0; mask.len()]);
        for row in log_densities.chunks_exact_mut(mask.len()) {
            row.iter_mut().zip(mask).for_each(|(entry, mask)| *entry += mask);
        }
        if rounds {
            balance(&mut log_densities, mask, [&mut highest, &mut mass]);
        }
        to_shares(&mut log_densities, mask.len());
        log_densities
    }

    /// Rows of three entries, of which the last is masked, padded to whole lanes.
    fn padded(rows: &[[f32; 3]]) -> (Vec<f32>, Vec<f32>) {
        let row = |row: &[f32; 3]| row.iter().copied().chain([0.0; LANES - 3]).collect::<Vec<_>>();
        let mask = (0..LANES).map(|place| if place < 2 { 0.0 } else { NO_ROW }).collect();
        (rows.iter().flat_map(row).collect(), mask)
    }

    #[test]
    fn without_balance_shares_are_the_densities_of_the_rows_that_there_are() {
        let (log_densities, mask) = padded(&[[1f32.ln(), 3f32.ln(), 9.0]]);
        let shares = balanced(log_densities, &mask, false);
        assert!((shares[0] - 0.25).abs() < 1e-6 && (shares[1] - 0.75).abs() < 1e-6 && shares[2] == 0.0, "{shares:?}");
    }

    #[test]
    fn balanced_shares_give_every_row_as_many_codes() {
        // Four codes: three near the first row, one between both.
        let near = [[0f32, -9.0, 5.0], [0.0, -8.0, 5.0], [0.0, -6.0, 5.0], [0.0, 0.0, 5.0]];
        let (log_densities, mask) = padded(&near);
        let shares = balanced(log_densities, &mask, true);
        let column = |place: usize| shares.iter().skip(place).step_by(LANES).sum::<f32>();
        assert!((column(0) - 2.0).abs() < 0.1 && (column(1) - 2.0).abs() < 0.1 && column(2) == 0.0, "{shares:?}");
        // The codes that are nearest to the second row are the ones that it gets.
        let second = |code: usize| shares[code * LANES + 1];
        assert!(second(3) > 0.9 && second(2) > second(1) && second(1) > second(0), "{shares:?}");
    }

    #[test]
    fn shares_that_are_not_even_are_met() {
        // Four codes and two rows, of which the first is to have three of them.
        let (log_densities, mut mask) =
            padded(&[[0f32, -3.0, 5.0], [0.0, -2.0, 5.0], [0.0, -1.0, 5.0], [0.0, 0.0, 5.0]]);
        (mask[0], mask[1]) = (1.5f32.ln(), 0.5f32.ln());
        let shares = balanced(log_densities, &mask, true);
        let column = |place: usize| shares.iter().skip(place).step_by(LANES).sum::<f32>();
        assert!((column(0) - 3.0).abs() < 0.05 && (column(1) - 1.0).abs() < 0.05 && column(2) == 0.0, "{shares:?}");
        assert!(shares[3 * LANES + 1] > 0.5 && shares[1] < 0.06, "{shares:?}");
        // Without rounds the shares are those of Bayes' rule.
        let (log_densities, _) = padded(&[[0f32, 0.0, 0.0]]);
        assert!((balanced(log_densities, &mask, false)[0] - 0.75).abs() < 1e-6);
    }

    #[test]
    fn choices_follow_the_shares() {
        let mut counts = [0; 3];
        (0..1000).for_each(|mark| counts[pick(&[0.25, 0.75, 0.0], mark as f32 / 1000.0)] += 1);
        assert_eq!(counts, [250, 750, 0]);
        assert_eq!(pick(&[0.5, 0.5], 1.0), 1);
    }
}
