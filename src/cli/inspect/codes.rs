//! What given codes decode to under one condition: traversals, interpolations, and a grid of a plane.

use serde::Serialize;

use super::Subject;
use crate::dates::{Condition, Date, DateTokens, Outcome};
use crate::figures::CodeGrid;
use crate::metrics::{decode_condition, posterior_means};
use crate::model::{Decode, Decoder, Noise};

/// A greedily decoded date.
#[derive(Clone, Debug, Serialize)]
pub struct Decoded {
    /// `day-month-year`, a date or not.
    pub date: String,
    /// Whether it meets the condition.
    pub passes: bool,
}

impl Decoded {
    /// The date, marked where it fails.
    pub fn text(&self) -> String {
        if self.passes { self.date.clone() } else { format!("{} ✗", self.date) }
    }
}

/// One dimension moved while the others stay at the prior's mean, 0.
#[derive(Debug, Serialize)]
pub struct Traversal {
    /// The dimension, counted from 1.
    pub dimension: usize,
    /// Its values, standard deviations of the prior.
    pub z: Vec<f64>,
    /// What each decodes to.
    pub dates: Vec<Decoded>,
}

/// A straight line between the posterior means of two dates.
#[derive(Debug, Serialize)]
pub struct Interpolation {
    /// The date at share 0.
    pub from: String,
    /// The date at share 1.
    pub to: String,
    /// How far along the line each code lies, 0..=1.
    pub shares: Vec<f64>,
    /// What each decodes to.
    pub dates: Vec<Decoded>,
}

/// Traversals look at this many dimensions, those of the largest KL.
pub const TRAVERSED: usize = 6;
/// Codes on a side of the grid.
const SIDE: usize = 121;
/// The ends of traversals and of the grid, standard deviations of the prior.
const REACH: f64 = 3.0;

/// Decodes codes, row by row.
fn decode(subject: &Subject, condition: Condition, codes: &[Vec<f32>]) -> Vec<DateTokens> {
    let noise = Noise::of_codes(codes.concat(), &subject.model);
    let drawn = decode_condition(&mut Decoder::new(&subject.model), &condition.row(), &noise, Decode::Greedy);
    // A head has as many logits as its field has values, so every choice is inside its field.
    drawn.iter().filter_map(DateTokens::from_row).collect()
}

fn described(subject: &Subject, condition: Condition, codes: &[Vec<f32>]) -> Vec<Decoded> {
    let passes = |tokens| matches!(subject.valid.outcome(condition, tokens), Outcome::Pass(_));
    let dates = decode(subject, condition, codes).into_iter();
    dates.map(|tokens| Decoded { date: tokens.to_string(), passes: passes(tokens) }).collect()
}

/// Moves the dimensions of the largest KL one at a time.
pub fn traversals(subject: &Subject, condition: Condition, kl: &[f64]) -> Vec<Traversal> {
    let latent_dim = subject.model.config.latent_dim as usize;
    let mut order: Vec<usize> = (0..latent_dim).collect();
    order.sort_by(|a, b| kl[*b].total_cmp(&kl[*a]));
    let z: Vec<f64> = (-6..=6).map(|step| f64::from(step) * REACH / 6.0).collect();
    let traversal = |dimension: usize| {
        let code = |value: &f64| {
            let mut code = vec![0.0; latent_dim];
            code[dimension] = *value as f32;
            code
        };
        let codes: Vec<Vec<f32>> = z.iter().map(code).collect();
        let dates = described(subject, condition, &codes);
        Traversal { dimension: dimension + 1, z: z.clone(), dates }
    };
    order.into_iter().take(TRAVERSED).map(traversal).collect()
}

/// Goes from the condition's first valid date to its last, in ten steps.
pub fn interpolation(subject: &Subject, condition: Condition) -> Option<Interpolation> {
    let dates = subject.valid.of(condition);
    let (from, to): (Date, Date) = (*dates.first()?, *dates.last()?);
    let means = posterior_means(&subject.model, &crate::dates::rows(&[from, to]));
    let [start, end] = means.as_slice() else { return None };
    let shares: Vec<f64> = (0..=10).map(|step| f64::from(step) / 10.0).collect();
    let code = |share: &f64| {
        let between = |(a, b): (&f64, &f64)| (a + (b - a) * share) as f32;
        start.iter().zip(end).map(between).collect()
    };
    let codes: Vec<Vec<f32>> = shares.iter().map(code).collect();
    let dates = described(subject, condition, &codes);
    Some(Interpolation { from: from.to_string(), to: to.to_string(), shares, dates })
}

/// The date of every code of a square around the prior's mean; none unless the code has two dimensions.
pub fn plane(subject: &Subject, condition: Condition) -> Option<CodeGrid> {
    if subject.model.config.latent_dim != 2 {
        return None;
    }
    let middle = |place: usize| (REACH * ((2 * place + 1) as f64 / SIDE as f64 - 1.0)) as f32;
    let codes: Vec<Vec<f32>> = (0..SIDE * SIDE).map(|cell| vec![middle(cell % SIDE), middle(cell / SIDE)]).collect();
    let rank = |tokens| match subject.valid.outcome(condition, tokens) {
        Outcome::Pass(rank) => Some(rank),
        _ => None,
    };
    Some(CodeGrid {
        title: format!("Date of each code, {condition}; orange-red where it fails"),
        range: (-REACH, REACH),
        side: SIDE,
        cells: decode(subject, condition, &codes).into_iter().map(rank).collect(),
        dates: subject.valid.of(condition).iter().map(ToString::to_string).collect(),
    })
}
