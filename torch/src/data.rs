//! What a step takes: settings of each trial, rows and random numbers, as plain slices.

use cvae::model::PairedCodes;

/// What one trial's step is taken with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Weight of the KL term. Infinite: the code is closed, z is 0, the KL is 0 and the encoder learns nothing.
    pub beta: f64,
    /// Weight of the reconstruction under z from the prior.
    pub hybrid: f64,
    /// KL below which a latent dimension is not pressed, nats.
    pub free_bits: f64,
    /// The learning rate.
    pub rate: f64,
    /// Largest norm of the gradient.
    pub clip: f64,
    /// Share of the decayed weights that a step takes, times the rate.
    pub weight_decay: f64,
    /// Decay of the second moments.
    pub beta2: f64,
    /// What the first moments hold of a steady gradient, having begun at 0.
    pub bias_correction1: f64,
    /// What the second moments hold of a steady gradient's square, having begun at 0.
    pub bias_correction2: f64,
}

/// Numbers of [`Settings`] as a row of floats on the device.
pub(crate) const KNOBS: usize = 9;

impl Settings {
    /// Columns of the tensor `[E, KNOBS]`.
    pub(crate) fn knobs(&self) -> [f32; KNOBS] {
        let open = self.beta.is_finite();
        let finite = |value: f64| if open { value } else { 0.0 };
        [
            finite(1.0),
            finite(self.beta),
            finite(self.hybrid),
            finite(self.free_bits),
            self.clip,
            1.0 - self.rate * self.weight_decay,
            1.0 - self.beta2,
            self.rate / self.bias_correction1,
            1.0 / self.bias_correction2,
        ]
        .map(|value| value as f32)
    }
}

/// The data of a step, the trials' parts one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// Indices of values, given columns first, `[E, n, columns]`.
    pub rows: &'a [i32],
    /// Codes from the prior. Trials whose hybrid weight is 0 ignore theirs.
    pub prior: PriorData<'a>,
    /// Noise, codes and the like.
    pub random: RandomData<'a>,
}

/// Random numbers of a step.
#[derive(Clone, Copy, Debug)]
pub enum RandomData<'a> {
    /// These.
    Given {
        /// Standard normal, `[E, n, latent]`.
        noise: &'a [f32],
        /// Standard normal, `[E, m, k, latent]`; for [`PriorData::Own`] `[E, n, latent]`.
        codes: &'a [f32],
        /// In 0..1, `[E, m, k]`: each chooses a code's row.
        uniforms: &'a [f32],
    },
    /// To be drawn on the device by a counter, `[E]`: a trial's number must be another one at each step. A trial's numbers
    /// depend on no other trial, and on the device by rounding alone.
    Seeds(&'a [u64]),
}

/// Codes from the prior, for the hybrid term.
#[derive(Clone, Copy, Debug)]
pub enum PriorData<'a> {
    /// No trial has a hybrid term.
    None,
    /// One for each row of the batch.
    Own,
    /// Some for each of a few conditions.
    Paired(PairedData<'a>),
}

/// Conditions whose codes are to be paired with their rows.
#[derive(Clone, Copy, Debug)]
pub struct PairedData<'a> {
    /// Rows of each condition, `[E, m, p, columns]`; those beyond the end of a shorter list are arbitrary but valid.
    pub candidates: &'a [i32],
    /// Lengths of the lists, `[E, m]`, at least 1 and at most `p`.
    pub counts: &'a [i32],
    /// Logarithms of each row's probability times the list's length, `[E, m, p]`: 0 where rows are equally likely.
    pub log_shares: &'a [f32],
    /// Codes of a condition, `k`.
    pub codes: usize,
    /// Whether the rows of a condition share its codes out by their probabilities.
    pub balanced: bool,
}

/// The lists of [`PairedData`], trial by trial.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// [`PairedData::candidates`].
    pub rows: Vec<i32>,
    /// [`PairedData::counts`].
    pub counts: Vec<i32>,
    /// [`PairedData::log_shares`].
    pub log_shares: Vec<f32>,
}

impl Candidates {
    /// Appends a trial's lists; shorter ones are filled up with their first row.
    pub fn push(&mut self, codes: &PairedCodes, longest: usize) {
        let mut start = 0;
        for count in &codes.counts {
            for place in 0..longest {
                let row = start + if place < *count { place } else { 0 };
                self.rows.extend(codes.candidates.row(row).iter().map(|value| i32::from(*value)));
                self.log_shares.push(codes.log_shares.get(row).copied().unwrap_or(0.0));
            }
            start += count;
        }
        self.counts.extend(codes.counts.iter().map(|count| *count as i32));
    }

    /// Appends as many lists, of one row each, for a trial that has none.
    pub fn push_none(&mut self, like: &PairedCodes, longest: usize) {
        let (lists, rows) = (like.counts.len(), like.counts.len() * longest);
        self.rows.resize(self.rows.len() + rows * like.candidates.width(), 0);
        self.log_shares.resize(self.log_shares.len() + rows, 0.0);
        self.counts.resize(self.counts.len() + lists, 1);
    }
}
