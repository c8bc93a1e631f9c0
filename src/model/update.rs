//! How weights follow their gradient, and what is remembered for it.

/// An update of the encoder that differs from that of the other weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderUpdate {
    /// How far it goes.
    pub adam: AdamHyperparams,
    /// Whether all other weights stay as they are.
    pub alone: bool,
}

/// What moves the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum UpdateRule {
    /// Adam.
    #[default]
    Adam,
    /// Adam, the matrices of hidden layers at this multiple of the learning rate.
    TwoRates(f64),
    /// Muon for the matrices of hidden layers, Adam for all else.
    Muon(MuonHyperparams),
    /// SOAP for the matrices of hidden layers, Adam for all else.
    Soap(SoapHyperparams),
    /// Schedule-free AdamW.
    ScheduleFree(ScheduleFreeHyperparams),
}

/// Muon (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon>): the update of a matrix is its momentum with all
/// singular values brought near 1, by five iterations of Newton and Schulz.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MuonHyperparams {
    /// Decay of the momentum.
    pub momentum: f64,
    /// The learning rate. An update is so long that its entries have the root mean square of one by Adam, times this: 0.2
    /// sqrt(max(rows, columns)) (Liu et al. 2025, <https://arxiv.org/abs/2502.16982>, section 2.2).
    pub rate: f64,
}

/// SOAP (Vyas et al. 2024, <https://arxiv.org/abs/2409.11321>, algorithm 3): Adam in the eigenbasis of Shampoo's
/// preconditioners, which decay as the second moments do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoapHyperparams {
    /// The learning rate.
    pub rate: f64,
    /// Whether the basis is turned after this update.
    pub turns: bool,
    /// What the first moments hold of a steady gradient: they begin at the second update.
    pub bias_correction1: f64,
    /// The same of the second moments.
    pub bias_correction2: f64,
}

/// Schedule-free AdamW (Defazio et al. 2024, <https://arxiv.org/abs/2405.15682>, algorithm 1). The weights are its y, at
/// which gradients are taken; the first moments hold its z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScheduleFreeHyperparams {
    /// Whether this is the first update: z begins as the weights.
    pub begins: bool,
    /// Share c of the new z in the average x.
    pub share: f64,
}

/// Hyperparameters of one update of Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamHyperparams {
    /// The learning rate.
    pub rate: f64,
    /// Largest norm of the gradient.
    pub clip: f64,
    /// Decay of the first moments.
    pub beta1: f64,
    /// Decay of the second moments.
    pub beta2: f64,
    /// Share of the decayed weights that a step takes, times the rate.
    pub weight_decay: f64,
    /// What the first moments hold of a steady gradient, having begun at 0.
    pub bias_correction1: f64,
    /// The same of the second moments.
    pub bias_correction2: f64,
    /// Keeps the quotient finite.
    pub epsilon: f64,
}

/// Weights and what their updates remember, each flat in the order of [`super::Layout`].
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingState {
    /// The weights that gradients are taken at.
    pub weights: Vec<f32>,
    /// First moments; of Muon's matrices their momentum, of schedule-free AdamW the sequence z.
    pub first: Vec<f32>,
    /// Second moments.
    pub second: Vec<f32>,
    /// A running average of the weights; empty where none is kept.
    pub average: Vec<f32>,
    /// SOAP's preconditioners and bases, matrix by matrix; empty before its first update, and without it.
    pub bases: Vec<f32>,
}

impl TrainingState {
    /// These weights with moments of 0.
    pub fn new(weights: Vec<f32>) -> Self {
        let zeros = vec![0.0; weights.len()];
        Self { first: zeros.clone(), second: zeros, weights, average: Vec::new(), bases: Vec::new() }
    }
}
