//! What a model is made of, as configs and released weights state it.

use serde::{Deserialize, Serialize};

/// What a model is: the network, or a baseline without one, which has no other keys than `smoothing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// The conditional VAE; with `latent_dim = 0` the same decoder without z.
    #[default]
    Cvae,
    /// Smoothed counts of the training rows with the same given values.
    Counts,
    /// Independent columns: smoothed counts of each generated column, given the condition.
    Columns,
}

impl ModelKind {
    /// Whether it is counted and not trained.
    pub fn is_baseline(self) -> bool {
        self != Self::Cvae
    }
}

/// How the date's fields depend on each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Heads {
    /// Each field sees the condition and z only.
    Independent,
    /// Each field sees the fields before it as well.
    #[default]
    Autoregressive,
}

/// How the decoder combines the fields that it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trunk {
    /// An MLP on the one-hot blocks, whose products with the first layer add up.
    Additive,
    /// A product of unit complex numbers of learned angle, one for each field's value: the
    /// multiplicative interaction (Jayakumar et al. 2020) that addition modulo 7 needs.
    #[default]
    Multiplicative,
}

/// What z is drawn from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prior {
    /// N(0, I), whatever the condition.
    #[default]
    Standard,
    /// A learned diagonal Gaussian p(z | c) (Sohn et al. 2015): a standard normal code u stands for
    /// z = m(c) + s(c) u. The posterior and its KL, which an affine map does not change, are in terms of u.
    Conditional,
}

/// Sizes and kinds of a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// The conditional VAE (`cvae`), or a baseline that is counted and not trained: `counts` of whole rows, or
    /// independent `columns`.
    pub kind: ModelKind,
    /// Observations that a baseline adds to each condition, shared out by what all training rows have.
    pub smoothing: f64,
    /// Dimensions of z.
    pub latent_dim: i64,
    /// Width of the hidden layers.
    pub hidden_dim: i64,
    /// Learned angles of a value in a multiplicative trunk; an additive one has twice as many units.
    pub angles: i64,
    /// How the date's fields depend on each other.
    pub heads: Heads,
    /// How the decoder combines the fields that it is given.
    pub trunk: Trunk,
    /// What z is drawn from: N(0, I) (`standard`), or a learned Gaussian p(z | c) (`conditional`; Sohn et al.
    /// 2015), which the built-in engine alone trains.
    pub prior: Prior,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            kind: ModelKind::default(),
            smoothing: 1.0,
            latent_dim: 8,
            hidden_dim: 128,
            angles: 64,
            heads: Heads::default(),
            trunk: Trunk::default(),
            prior: Prior::default(),
        }
    }
}

/// How codes from the prior are paired with rows in the hybrid term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pairing {
    /// With the row that the batch holds, whatever z is (Sohn et al. 2015).
    Own,
    /// With a row drawn by its posterior density at z, among the condition's rows.
    Posterior,
    /// The same, balanced so that the codes of a condition share its rows out evenly: Sinkhorn's algorithm
    /// (Cuturi 2013) on the densities of a few codes at a time, as Caron et al. 2020 assign clusters.
    #[default]
    Balanced,
}
