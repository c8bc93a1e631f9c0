//! The conditional prior p(z | c) (Sohn et al. 2015): a code u from N(0, I) stands for z = m(c) + s(c) u.
//!
//! The KL of two Gaussians does not change when both are mapped by the same affine map, so that encoder, KL, pairing and
//! all that draws codes work with u, and the decoder alone is given z.

use super::encoder::GaussianPass;
use super::scalar::exp;
use crate::model::layout::Layout;
use crate::task::Rows;

/// What mapping some codes needs.
#[derive(Debug, Default)]
pub struct PriorPass {
    network: GaussianPass,
    conditions: Rows,
    z: Vec<f32>,
}

impl PriorPass {
    /// The codes `[n, latent]` that the decoder is given for u `[n, latent]`, which are u itself where the prior is
    /// N(0, I). Of each row the given columns count, which come first.
    pub fn codes<'a, 'r>(
        &'a mut self,
        layout: &Layout,
        weights: &[f32],
        rows: impl Iterator<Item = &'r [u16]>,
        u: &'a [f32],
    ) -> &'a [f32] {
        let (Some(prior), latent) = (&layout.prior, layout.latent) else { return u };
        if self.conditions.width() != layout.given {
            self.conditions = Rows::new(layout.given);
        }
        self.conditions.clear();
        rows.for_each(|row| self.conditions.push(&row[..layout.given]));
        self.network.forward(layout, prior, weights, &self.conditions);
        self.z.clear();
        for (u, gaussian) in u.chunks_exact(latent).zip(self.network.posterior.chunks_exact(2 * latent)) {
            let (means, logvars) = gaussian.split_at(latent);
            self.z.extend(u.iter().zip(means).zip(logvars).map(|((u, mean), logvar)| mean + exp(0.5 * logvar) * u));
        }
        &self.z
    }

    /// Turns the loss's gradient by the codes of [`PriorPass::codes`] into that by u, and adds that of the weights.
    pub fn backward(&mut self, layout: &Layout, weights: &[f32], gradient: &mut [f32], u: &[f32], back: &mut [f32]) {
        let (Some(prior), latent) = (&layout.prior, layout.latent) else { return };
        let pass = &mut self.network;
        pass.posterior_gradient.clear();
        let rows = back.chunks_exact_mut(latent).zip(u.chunks_exact(latent));
        for ((back, u), gaussian) in rows.zip(pass.posterior.chunks_exact(2 * latent)) {
            pass.posterior_gradient.extend_from_slice(back);
            for ((back, u), logvar) in back.iter_mut().zip(u).zip(&gaussian[latent..]) {
                let spread = exp(0.5 * logvar);
                pass.posterior_gradient.push(0.5 * *back * u * spread);
                *back *= spread;
            }
        }
        let n = self.conditions.len();
        self.network.backward(layout, prior, weights, gradient, &self.conditions, n);
    }
}
