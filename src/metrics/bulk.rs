//! Samples and exact marginals by a decoder that takes very many rows at once: it draws and weighs, and the cores do the
//! sums.

use rand::RngExt;

use super::marginal::Marginal;
use super::parallel::{Stop, in_parallel};
use super::population::stream_index;
use super::sampled::unwatched;
use crate::model::{BulkDecoder, Decode, EngineError};
use crate::random::{Purpose, stream};
use crate::task::{Rows, Truth};

/// `samples` rows for each of these conditions of a truth, one condition after the other, drawn from a seed of its own.
///
/// # Errors
/// When the device fails.
pub fn draw_in_bulk(
    decoder: &dyn BulkDecoder,
    truth: &Truth,
    conditions: &[usize],
    samples: usize,
    decode: Decode,
    seed: u64,
) -> Result<Rows, EngineError> {
    let schema = truth.schema();
    let (mut asked, mut seeds) = (Rows::new(schema.given.len()), Vec::with_capacity(conditions.len()));
    for given in conditions.iter().map(|group| truth.condition(*group)) {
        asked.push(given);
        seeds.push(stream(seed, Purpose::Samples, stream_index(schema, given)).random());
    }
    decoder.draw(&asked, &seeds, samples, decode)
}

/// The marginals of these conditions of a truth, each from `codes` codes that the decoder draws from a seed of its own.
///
/// # Errors
/// When the device fails.
pub fn marginals_in_bulk(
    decoder: &dyn BulkDecoder,
    truth: &Truth,
    conditions: &[usize],
    codes: usize,
    (seed, threads): (u64, usize),
) -> Result<Vec<Marginal>, EngineError> {
    let mut measured = Vec::with_capacity(conditions.len());
    let mut rest = conditions;
    while !rest.is_empty() {
        let mut values = 0;
        let fits = |group: &&usize| {
            values += truth.groups().range(**group).len() * codes;
            values <= AT_ONCE
        };
        let (part, others) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        rest = others;
        let of = |group: &usize| stream_index(truth.schema(), truth.condition(*group));
        let seeds: Vec<u64> = part.iter().map(|group| stream(seed, Purpose::Marginal, of(group)).random()).collect();
        let logs = decoder.log_probabilities(truth.groups(), part, &seeds, codes)?;
        let mut others = logs.as_slice();
        let own = |group: &usize| {
            let (own, rest) = others.split_at(truth.groups().range(*group).len() * codes);
            others = rest;
            (*group, own)
        };
        let work: Vec<(usize, &[f32])> = part.iter().map(own).collect();
        let marginal = |(): &mut (), (group, logs): &(usize, &[f32]), _: Stop<'_>| {
            Marginal::new(logs, truth.probabilities(*group), truth.mass(*group))
        };
        measured.extend(in_parallel(threads, &work, || (), marginal, &mut unwatched).unwrap_or_default());
    }
    Ok(measured)
}

/// Log probabilities that are kept at once, 4 bytes each.
const AT_ONCE: usize = 1 << 24;
