//! Made-up weights, data and settings, the same on every machine: for tests and the bench.

use crate::data::{Data, PairedData, PriorData, RandomData, Settings};
use crate::layout::{Column, Heads, Shape, Trunk};

/// SplitMix64 (Steele et al. 2014).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number in 0..1, in steps of 2^-24.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// A number of mean 0 and variance 1 (a scaled sum of uniform ones: no function that platforms round differently).
    pub fn normal(&mut self) -> f32 {
        let sum = (0..3).map(|_| self.unit()).sum::<f32>();
        (sum - 1.5) * 2.0
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end.max(1) as u64) as usize
    }
}

/// The columns of the task of dates, with the default model's sizes.
pub fn dates() -> Shape {
    let column = |size, narrow| Column { size, narrow };
    Shape {
        given: vec![7, 12, 2, 41],
        generated: vec![column(41, true), column(12, true), column(10, false), column(31, false)],
        latent: 8,
        hidden: 128,
        angles: 64,
        trunk: Trunk::Multiplicative,
        heads: Heads::Autoregressive,
    }
}

/// Weights such as training starts from: tables of spread `.3` or so, layers scaled by their inputs.
pub fn weights(shape: &Shape, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    let mut weights = Vec::with_capacity(shape.weights());
    for (name, sizes, place) in shape.places() {
        let table = name.contains("embed") || name.contains("condition") || name.contains("prefix");
        let scale = match sizes.get(1) {
            _ if table => 0.3,
            Some(inputs) => (2.0 / (*inputs).max(1) as f32).sqrt(),
            None => 0.05,
        };
        weights.extend(place.map(|_| random.normal() * scale));
    }
    weights
}

/// Sizes of a step's data.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rows of a trial.
    pub rows: usize,
    /// Conditions of the hybrid term.
    pub conditions: usize,
    /// Candidate rows of a condition, at most.
    pub candidates: usize,
    /// Codes of a condition.
    pub codes: usize,
}

/// Data of one trial's step.
#[derive(Clone, Debug, Default)]
pub struct Draw {
    /// `[n, columns]`.
    pub rows: Vec<i32>,
    /// `[n, latent]`.
    pub noise: Vec<f32>,
    /// `[n, latent]`.
    pub own: Vec<f32>,
    /// `[m, p, columns]`.
    pub candidates: Vec<i32>,
    /// `[m]`.
    pub counts: Vec<i32>,
    /// `[m, p]`.
    pub log_shares: Vec<f32>,
    /// `[m, k, latent]`.
    pub codes: Vec<f32>,
    /// `[m, k]`.
    pub uniforms: Vec<f32>,
}

impl Draw {
    /// Random rows and codes.
    pub fn new(shape: &Shape, sizes: Sizes, seed: u64) -> Self {
        let mut random = Random(seed);
        let columns = shape.sizes();
        let Sizes { rows, conditions, candidates, codes } = sizes;
        let mut draw = Self::default();
        for _ in 0..rows {
            draw.rows.extend(columns.iter().map(|size| random.below(*size) as i32));
        }
        draw.noise.extend((0..rows * shape.latent).map(|_| random.normal()));
        draw.own.extend((0..rows * shape.latent).map(|_| random.normal()));
        for _ in 0..conditions {
            let given: Vec<i32> = shape.given.iter().map(|size| random.below(*size) as i32).collect();
            for _ in 0..candidates {
                draw.candidates.extend(&given);
                draw.candidates.extend(shape.generated.iter().map(|column| random.below(column.size) as i32));
            }
            draw.counts.push(1 + random.below(candidates) as i32);
        }
        draw.log_shares.resize(conditions * candidates, 0.0);
        draw.codes.extend((0..conditions * codes * shape.latent).map(|_| random.normal()));
        draw.uniforms.extend((0..conditions * codes).map(|_| random.unit()));
        draw
    }

    /// The same with rows of unequal probability, from a half to twice the mean or so.
    #[must_use]
    pub fn uneven(mut self, seed: u64) -> Self {
        let mut random = Random(seed);
        self.log_shares.iter_mut().for_each(|share| *share = 0.4 * random.normal());
        self
    }

    /// Several trials' data as one.
    pub fn concat(draws: &[Self]) -> Self {
        let mut all = Self::default();
        for draw in draws {
            all.rows.extend(&draw.rows);
            all.noise.extend(&draw.noise);
            all.own.extend(&draw.own);
            all.candidates.extend(&draw.candidates);
            all.counts.extend(&draw.counts);
            all.log_shares.extend(&draw.log_shares);
            all.codes.extend(&draw.codes);
            all.uniforms.extend(&draw.uniforms);
        }
        all
    }

    /// A step's data; `kind` names the prior's pairing: `none`, `own`, `posterior` or `balanced`.
    pub fn data(&self, kind: &str) -> Data<'_> {
        let codes = self.uniforms.len() / self.counts.len().max(1);
        let Self { candidates, counts, log_shares, .. } = self;
        let paired = |balanced| PriorData::Paired(PairedData { candidates, counts, log_shares, codes, balanced });
        let (noise, codes, uniforms) = (&self.noise[..], &self.codes[..], &self.uniforms[..]);
        let (prior, codes, uniforms): (_, &[f32], &[f32]) = match kind {
            "own" => (PriorData::Own, &self.own, &[]),
            "posterior" => (paired(false), codes, uniforms),
            "balanced" => (paired(true), codes, uniforms),
            _ => (PriorData::None, &[], &[]),
        };
        Data { rows: &self.rows, prior, random: RandomData::Given { noise, codes, uniforms } }
    }
}

/// The default recipe's settings at a step, counted from 0, with a constant rate.
pub fn settings(step: u64, beta: f64, hybrid: f64) -> Settings {
    let done = (step + 1) as f64;
    Settings {
        beta,
        hybrid,
        free_bits: 0.0,
        rate: 0.004,
        clip: 1.0,
        weight_decay: 0.05,
        beta2: 0.995,
        bias_correction1: 1.0 - 0.9f64.powf(done),
        bias_correction2: 1.0 - 0.995f64.powf(done),
    }
}
