//! Which date a code from the prior shall decode to, as [`crate::model::PriorBatch::pair`] chooses it.

use multiversion::multiversion;

use super::encoder::EncoderPass;
use super::kernels::room;
use super::layout::Layout;
use super::pairs::{Pair, read, read_pairs};
use super::scalar::{exp, fold, larger};
use crate::model::PriorBatch;
use crate::model::pairing::ROUNDS;

/// Numbers that are added or compared side by side.
const LANES: usize = 16;

/// Buffers for the choice, and what it comes to.
#[derive(Debug, Default)]
pub struct Choice {
    encoder: EncoderPass,
    /// Dates of each condition with it, one list after the other.
    candidates: Vec<Pair>,
    mask: Vec<f32>,
    uniform: Vec<f32>,
    /// One condition's shares, `[k, p]`, rows padded.
    shares: Vec<f32>,
    padded_mask: Vec<f32>,
    columns: [Vec<f32>; 2],
    by_date: Vec<f32>,
    /// The codes, `[m k, latent]`.
    pub z: Vec<f32>,
}

impl Choice {
    /// Appends the pair of each code to `pairs`.
    pub fn make(&mut self, layout: &Layout, weights: &[f32], prior: &PriorBatch, pairs: &mut Vec<Pair>) {
        let (p, k, latent) = (prior.mask.size()[1] as usize, prior.uniform.size()[1] as usize, layout.latent);
        let condition = prior.condition.repeat_interleave_self_int(p as i64, 0, None);
        read_pairs(&condition, &prior.dates, &mut self.candidates);
        read(&prior.mask, &mut self.mask);
        read(&prior.uniform, &mut self.uniform);
        read(&prior.z, &mut self.z);
        // Shorter lists are filled up to the longest one's length: what fills them is left out here.
        let mut mask = self.mask.iter();
        self.candidates.retain(|_| mask.next().is_some_and(|mask| *mask == 0.0));
        self.encoder.forward(layout, weights, &self.candidates);
        let mut start = 0;
        for (place, mask) in self.mask.chunks_exact(p).enumerate() {
            let dates = start..start + mask.iter().filter(|mask| **mask == 0.0).count();
            let posterior = &self.encoder.posterior[dates.start * 2 * latent..dates.end * 2 * latent];
            let stride = dates.len().next_multiple_of(LANES);
            self.padded_mask.clear();
            self.padded_mask.resize(dates.len(), 0.0);
            self.padded_mask.resize(stride, PriorBatch::NO_DATE);
            let shares = room(&mut self.shares, k * stride);
            let by_date = room(&mut self.by_date, 3 * latent * stride);
            rows_by_dimension(by_date, posterior, latent, stride);
            log_densities(shares, &self.z[place * k * latent..][..k * latent], by_date, &self.padded_mask, latent);
            if prior.balanced {
                let columns = self.columns.each_mut().map(|column| room(column, stride));
                balance(shares, &self.padded_mask, columns);
            }
            to_shares(shares, stride);
            let candidates = &self.candidates[dates];
            let chosen = shares.chunks_exact(stride).zip(&self.uniform[place * k..][..k]);
            pairs.extend(chosen.map(|(row, mark)| candidates[pick(&row[..candidates.len()], *mark)]));
            start += candidates.len();
        }
    }
}

/// Has the dates share the codes out evenly.
fn balance(shares: &mut [f32], mask: &[f32], [highest, mass]: [&mut [f32]; 2]) {
    for _ in 0..ROUNDS {
        normalise_rows(shares, mask.len());
        normalise_columns(shares, mask, [&mut *highest, &mut *mass]);
    }
}

/// The first place where the sum so far passes the mark's share of the whole.
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
    // Columns beyond the last date hold what was there before: any number would do, if it were a small one.
    for row in out[..2 * latent * stride].chunks_exact_mut(stride) {
        row[posterior.len() / (2 * latent)..].fill(0.0);
    }
    let (logvars, inverses) = out[latent * stride..].split_at_mut(latent * stride);
    for (inverse, logvar) in inverses.iter_mut().zip(logvars) {
        *inverse = exp(-*logvar);
    }
}

/// log q(z | date), less a constant, of each code under each date, plus the mask.
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
