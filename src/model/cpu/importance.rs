//! The importance-weighted bound (Burda et al. 2016): the mean over rows of -log 1/k sum of w, where the weight of a code
//! z drawn from the posterior is w = p(y | z, c) (p(z) / q(z | y, c))^beta. With beta = 1 it lies between the ELBO and
//! the likelihood.

use super::scalar::exp;

/// Codes of some rows.
#[derive(Clone, Copy, Debug)]
pub struct Codes<'a> {
    /// Each row's means, then its logarithms of variances, `[n, 2 latent]`.
    pub posterior: &'a [f32],
    /// Standard normal, `[k, n, latent]`.
    pub noise: &'a [f32],
    /// z = mu + sigma noise, `[k, n, latent]`.
    pub z: &'a [f32],
    /// Dimensions of z.
    pub latent: usize,
    /// The weight of the logarithm of prior over posterior.
    pub beta: f32,
}

impl Codes<'_> {
    /// The bound, summed over rows, nats; `cross_entropies` -log p(y | z, c), `[k, n]`, turn into each code's share of
    /// its row's weights.
    pub fn bound(&self, cross_entropies: &mut [f32]) -> f64 {
        let (latent, n) = (self.latent, self.posterior.len() / (2 * self.latent));
        let samples = cross_entropies.len() / n.max(1);
        for (place, log) in cross_entropies.iter_mut().enumerate() {
            let code = place * latent..(place + 1) * latent;
            let logvar: f32 = self.posterior[place % n * 2 * latent..][latent..2 * latent].iter().sum();
            let square = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>();
            let of_prior = 0.5 * (square(&self.noise[code.clone()]) + logvar - square(&self.z[code]));
            *log = self.beta * of_prior - *log;
        }
        let mut bound = 0.0;
        for row in 0..n {
            let logs = || (row..samples * n).step_by(n);
            let highest = logs().fold(f32::MIN, |highest, place| highest.max(cross_entropies[place]));
            let mut mass = 0.0;
            for place in logs() {
                cross_entropies[place] = exp(cross_entropies[place] - highest);
                mass += cross_entropies[place];
            }
            logs().for_each(|place| cross_entropies[place] /= mass);
            bound -= f64::from(highest + (mass / samples as f32).ln());
        }
        bound
    }

    /// The bound's gradient by the posterior `[n, 2 latent]`, from that of the cross-entropies by z `[k, n, latent]`,
    /// which has the codes' shares in it; a row's bound counts for `scale`.
    pub fn backward(&self, out: &mut [f32], z_gradient: &[f32], shares: &[f32], scale: f32) {
        let latent = self.latent;
        let n = self.posterior.len() / (2 * latent);
        out.fill(0.0);
        for (place, share) in shares.iter().enumerate() {
            let row = place % n;
            let logvars = &self.posterior[row * 2 * latent + latent..(row + 1) * 2 * latent];
            let (by_mu, by_logvar) = out[row * 2 * latent..(row + 1) * 2 * latent].split_at_mut(latent);
            for dimension in 0..latent {
                let code = place * latent + dimension;
                let by_z = z_gradient[code] + scale * self.beta * share * self.z[code];
                by_mu[dimension] += by_z;
                by_logvar[dimension] +=
                    0.5 * (by_z * self.noise[code] * exp(0.5 * logvars[dimension]) - scale * self.beta * share);
            }
        }
    }
}
