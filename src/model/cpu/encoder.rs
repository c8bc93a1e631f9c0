//! The encoder forward and backward, and the posterior's code and KL.

use multiversion::multiversion;

use super::buffer::Buffer;
use super::kernels::{bias_silu, gather, scatter, silu_backward, sum_rows};
use super::products::{Matrix, backward, forward, weight_gradient};
use super::scalar::{exp, tanh};
use crate::model::layout::{GaussianLayout, Layout, Linear};
use crate::task::Rows;

/// One run of the encoder over some rows, with what its way back needs.
#[derive(Debug, Default)]
pub struct GaussianPass {
    embedded: Buffer,
    embedded_slopes: Buffer,
    units: Buffer,
    unit_slopes: Buffer,
    back: Buffer,
    /// Each row's means, then its logarithms of variances, `[n, 2 latent]`.
    pub posterior: Vec<f32>,
    /// The loss's gradient by these, filled in before [`GaussianPass::backward`].
    pub posterior_gradient: Vec<f32>,
}

/// Soft bound of a logarithm of a variance, so that no posterior shrinks to a point: sigma lies in e^-4 to e^4.
const BOUND: f32 = 8.0;

impl GaussianPass {
    /// Computes the posteriors of these rows.
    pub fn forward(&mut self, layout: &Layout, encoder: &GaussianLayout, weights: &[f32], rows: &Rows) {
        let (n, hidden, outputs) = (rows.len(), layout.hidden, 2 * layout.latent);
        for buffer in [&mut self.embedded, &mut self.embedded_slopes, &mut self.units, &mut self.unit_slopes] {
            buffer.of_len(n * hidden);
        }
        self.posterior.resize(n * outputs, 0.0);
        for (units, row) in self.embedded.chunks_exact_mut(hidden).zip(rows.iter()) {
            gather(units, &weights[encoder.embed.clone()], (&layout.offsets, 0), row);
        }
        bias_silu(&mut self.embedded, &mut self.embedded_slopes, &vec![0.0; hidden]);
        let Linear { weight, bias, .. } = &encoder.hidden;
        let matrix = Matrix::new(&weights[weight.clone()], hidden, hidden);
        forward(&mut self.units, Matrix::new(&self.embedded, n, hidden), matrix);
        bias_silu(&mut self.units, &mut self.unit_slopes, &weights[bias.clone()]);
        let Linear { weight, bias, .. } = &encoder.output;
        let matrix = Matrix::new(&weights[weight.clone()], outputs, hidden);
        forward(&mut self.posterior, Matrix::new(&self.units, n, hidden), matrix);
        bounded(&mut self.posterior, &weights[bias.clone()]);
    }

    /// Adds the gradients of the encoder's weights.
    pub fn backward(
        &mut self,
        layout: &Layout,
        encoder: &GaussianLayout,
        weights: &[f32],
        gradient: &mut [f32],
        rows: &Rows,
        batch: usize,
    ) {
        let (n, hidden, outputs) = (batch, layout.hidden, 2 * layout.latent);
        self.back.of_len(n * hidden);
        through_bound(&mut self.posterior_gradient, &self.posterior, outputs);
        let Linear { weight, bias, .. } = &encoder.output;
        let change = Matrix::new(&self.posterior_gradient, n, outputs);
        weight_gradient(&mut gradient[weight.clone()], change, Matrix::new(&self.units, n, hidden));
        sum_rows(&self.posterior_gradient, &mut gradient[bias.clone()]);
        backward(&mut self.back, change, Matrix::new(&weights[weight.clone()], outputs, hidden));
        let Linear { weight, bias, .. } = &encoder.hidden;
        silu_backward(&mut self.back, &self.unit_slopes, &mut gradient[bias.clone()]);
        let change = Matrix::new(&self.back, n, hidden);
        weight_gradient(&mut gradient[weight.clone()], change, Matrix::new(&self.embedded, n, hidden));
        // The units have served; their place takes the gradient of what comes before them.
        backward(&mut self.units, change, Matrix::new(&weights[weight.clone()], hidden, hidden));
        silu_backward(&mut self.units, &self.embedded_slopes, &mut vec![0.0; hidden]);
        for (change, row) in self.units.chunks_exact(hidden).zip(rows.iter().take(n)) {
            scatter(change, &mut gradient[encoder.embed.clone()], (&layout.offsets, 0), row);
        }
    }
}

/// Adds the bias, and bounds the second half of each row softly.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn bounded(posterior: &mut [f32], bias: &[f32]) {
    for row in posterior.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
        for value in &mut row[bias.len() / 2..] {
            *value = tanh(*value / BOUND) * BOUND;
        }
    }
}

/// The gradient by bounded values turned into one by the values before.
fn through_bound(gradient: &mut [f32], posterior: &[f32], outputs: usize) {
    for (gradient, row) in gradient.chunks_exact_mut(outputs).zip(posterior.chunks_exact(outputs)) {
        for (gradient, value) in gradient[outputs / 2..].iter_mut().zip(&row[outputs / 2..]) {
            let share = value / BOUND;
            *gradient *= 1.0 - share * share;
        }
    }
}

/// Codes z = mu + sigma noise `[n, latent]`, and each dimension's KL summed over rows.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn sample(z: &mut [f32], posterior: &[f32], noise: &[f32], kl: &mut [f32]) {
    let latent = kl.len();
    let rows = z.chunks_exact_mut(latent).zip(posterior.chunks_exact(2 * latent)).zip(noise.chunks_exact(latent));
    for ((z, posterior), noise) in rows {
        let (mu, logvar) = posterior.split_at(latent);
        for (((z, noise), (mu, logvar)), kl) in z.iter_mut().zip(noise).zip(mu.iter().zip(logvar)).zip(kl.iter_mut()) {
            *z = mu + exp(0.5 * logvar) * noise;
            *kl += (mu * mu + exp(*logvar) - 1.0 - logvar) * 0.5;
        }
    }
}

/// The loss's gradient by the posterior from that by z; `kl_weight` is each dimension's weight of a row's KL.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn sample_backward(out: &mut [f32], z_gradient: &[f32], posterior: &[f32], noise: &[f32], kl_weight: &[f32]) {
    let latent = kl_weight.len();
    let rows = out.chunks_exact_mut(2 * latent).zip(posterior.chunks_exact(2 * latent));
    for ((out, posterior), (z_gradient, noise)) in
        rows.zip(z_gradient.chunks_exact(latent).zip(noise.chunks_exact(latent)))
    {
        let (by_mu, by_logvar) = out.split_at_mut(latent);
        let (mu, logvar) = posterior.split_at(latent);
        let inputs = mu.iter().zip(logvar).zip(z_gradient.iter().zip(noise)).zip(kl_weight);
        for ((by_mu, by_logvar), (((mu, logvar), (by_z, noise)), kl_weight)) in
            by_mu.iter_mut().zip(by_logvar).zip(inputs)
        {
            *by_mu = by_z + kl_weight * mu;
            *by_logvar = 0.5 * (by_z * noise * exp(0.5 * logvar) + kl_weight * (exp(*logvar) - 1.0));
        }
    }
}
