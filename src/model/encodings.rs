//! What an encoder makes of rows.

/// Posteriors of some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encodings {
    /// Dimensions of z.
    pub latent: usize,
    /// Means, `[n, latent]`.
    pub mu: Vec<f32>,
    /// Logarithms of the variances, `[n, latent]`.
    pub logvar: Vec<f32>,
}

impl Encodings {
    /// KL(q || N(0, I)) of each row and dimension, `[n, latent]`, nats (Kingma and Welling 2014, appendix B).
    pub fn kl(&self) -> impl Iterator<Item = f64> {
        let terms = self.mu.iter().zip(&self.logvar).map(|(mu, logvar)| (f64::from(*mu), f64::from(*logvar)));
        terms.map(|(mu, logvar)| 0.5 * (mu * mu + logvar.exp() - 1.0 - logvar))
    }
}
