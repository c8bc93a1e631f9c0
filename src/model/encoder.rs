//! The encoder q(z | date, condition) = N(mu, diag sigma^2).

use tch::{Tensor, nn, nn::Module};

use super::config::ModelConfig;
use super::layers::{EmbeddingSum, Scope};
use crate::dates::{CONDITION_FIELDS, DATE_FIELDS};

/// An MLP on the one-hot blocks of condition and date.
#[derive(Debug)]
pub struct Encoder {
    embed: EmbeddingSum,
    hidden: nn::Linear,
    output: nn::Linear,
}

/// A diagonal Gaussian over z.
#[derive(Debug)]
pub struct Posterior {
    /// Means, `[n, latent]`.
    pub mu: Tensor,
    /// Logarithms of the variances, `[n, latent]`.
    pub logvar: Tensor,
}

impl Encoder {
    /// Declares the weights in `scope`.
    pub fn new(scope: &Scope<'_>, config: &ModelConfig) -> Self {
        let (width, latent) = (config.hidden_dim, config.latent_dim);
        let sizes = [CONDITION_FIELDS, DATE_FIELDS].concat();
        // One row a field adds up to units of variance 1.
        let stdev = (sizes.len() as f64).powf(-0.5);
        Self {
            embed: EmbeddingSum::new(&scope.sub("embed"), &sizes, width, stdev),
            hidden: scope.hidden("hidden", width, width),
            output: scope.output("output", width, 2 * latent),
        }
    }

    /// The posterior of each pair of condition `[n, 4]` and date `[n, 4]`.
    pub fn forward(&self, condition: &Tensor, date: &Tensor) -> Posterior {
        let blocks = Tensor::cat(&[condition, date], 1); // [n, 8]
        let units = self.embed.forward(&blocks).silu(); // [n, hidden]
        let units = self.hidden.forward(&units).silu(); // [n, hidden]
        let output = self.output.forward(&units).chunk(2, 1); // 2 x [n, latent]
        // Bounded softly, so that no posterior shrinks to a point: sigma lies in e^-4 to e^4.
        Posterior { mu: output[0].shallow_clone(), logvar: (&output[1] / 8.0).tanh() * 8.0 }
    }
}

impl Posterior {
    /// z = mu + sigma noise, `[n, latent]`: the reparameterisation of Kingma and Welling 2014.
    pub fn sample(&self, noise: &Tensor) -> Tensor {
        &self.mu + (&self.logvar * 0.5).exp() * noise
    }

    /// KL(q || N(0, I)) of each dimension, `[n, latent]`, nats (Kingma and Welling 2014, appendix B).
    pub fn kl(&self) -> Tensor {
        (self.mu.square() + self.logvar.exp() - 1.0 - &self.logvar) * 0.5
    }
}
