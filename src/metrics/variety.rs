//! What the latent code decides: how much of the samples' variety comes from z, and how much from the
//! draws of the decoder.

use std::collections::HashMap;

use super::diversity::shannon;
use super::parallel::{Progress, Stop, in_parallel};
use super::population::stream_index;
use super::sampled::decode_condition;
use crate::model::{Decode, Decoder, Model, Noise};
use crate::random::{Purpose, stream};
use crate::task::{Rows, Truth};

/// What z decides for one condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variety {
    /// The condition.
    pub group: usize,
    /// Share of the variety of sampled dates that z explains, 0..=1; see [`explained`].
    pub explained: f64,
    /// Entropy of greedily decoded dates, all of whose variety comes from z, in units of that of sampled
    /// dates; about 1 where z alone gives the variety, 0 where greedy decoding knows one date.
    pub greedy_share: f64,
    /// How often the greedy date changes when z is drawn again, 0..=1; see [`change_rate`].
    pub change: f64,
}

/// Share of the variety of dates that the code explains, 0..=1: 1 - E_z[H(date | z)] / H(date), the
/// uncertainty coefficient (Theil 1970) of date and code.
///
/// `by_code[i]` counts the dates drawn under the i-th code, `whole` those drawn with a new code each: pooled,
/// few codes would show too little variety. Both entropies are plug-in estimates with the correction of
/// Miller and Madow (1955), (dates seen - 1) / (2 draws), without which a code that explains nothing would
/// seem to explain some. 0 where all dates are equal.
pub fn explained(by_code: &[Vec<u64>], whole: &[u64]) -> f64 {
    let corrected = |counts: &[u64]| shannon(counts) + bias(counts);
    let variety = corrected(whole);
    if variety <= 0.0 || by_code.is_empty() {
        return 0.0;
    }
    let within = by_code.iter().map(|code| corrected(code)).sum::<f64>() / by_code.len() as f64;
    (1.0 - within / variety).clamp(0.0, 1.0)
}

/// By how much the plug-in entropy is too low, nats, to first order.
fn bias(counts: &[u64]) -> f64 {
    let samples = counts.iter().sum::<u64>();
    let seen = counts.iter().filter(|count| **count > 0).count();
    if samples == 0 { 0.0 } else { (seen as f64 - 1.0) / (2.0 * samples as f64) }
}

/// Probability that two independent draws differ, 0..=1, from how often each date was drawn: 1 less
/// Simpson's (1949) unbiased estimate of the probability that they agree. 0 for fewer than two draws.
pub fn change_rate(counts: &[u64]) -> f64 {
    let samples = counts.iter().sum::<u64>() as f64;
    if samples < 2.0 {
        return 0.0;
    }
    let agree: f64 = counts.iter().map(|count| *count as f64 * (*count as f64 - 1.0)).sum();
    1.0 - agree / (samples * (samples - 1.0))
}

/// Measures each condition with so many codes and so many draws under each; failing dates count as any other. None where
/// the progress asked for an end.
pub fn variety(
    model: &Model,
    truth: &Truth,
    conditions: &[usize],
    (codes, draws): (usize, usize),
    (seed, threads): (u64, usize),
    progress: Progress<'_>,
) -> Option<Vec<Variety>> {
    let samples = codes * draws;
    let work = |decoder: &mut Decoder<'_>, group: &usize, _: Stop<'_>| {
        let given = truth.condition(*group);
        let random = || stream(seed, Purpose::Samples, stream_index(truth.schema(), given));
        let (mut shared, mut single) = (Noise::default(), Noise::default());
        shared.extend_shared(&mut random(), model, codes, draws);
        single.extend(&mut random(), model, samples);
        let mut decode = |noise: &Noise, decode| decode_condition(decoder, given, noise, decode);
        let sampled = Decode::Sample { temperature: 1.0 };
        let by_code = count(&decode(&shared, sampled), draws);
        // Sampled and greedy dates of the same codes.
        let whole = &count(&decode(&single, sampled), samples)[0];
        let greedy = &count(&decode(&single, Decode::Greedy), samples)[0];
        let variety = shannon(whole);
        Variety {
            group: *group,
            explained: explained(&by_code, whole),
            greedy_share: if variety > 0.0 { shannon(greedy) / variety } else { 0.0 },
            change: change_rate(greedy),
        }
    };
    in_parallel(threads, conditions, || Decoder::new(model), work, progress)
}

/// How often each row occurs in each run of so many; a row has the same place in all of them.
fn count(drawn: &Rows, run: usize) -> Vec<Vec<u64>> {
    let mut places: HashMap<&[u16], usize> = HashMap::new();
    for row in drawn.iter() {
        let next = places.len();
        places.entry(row).or_insert(next);
    }
    let mut counts = vec![vec![0; places.len()]; drawn.len().div_ceil(run)];
    drawn.iter().enumerate().for_each(|(draw, row)| counts[draw / run][places[row]] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::super::unwatched;
    use super::*;
    use crate::model::ModelConfig;
    use rand::RngExt;

    #[test]
    fn a_code_that_decides_the_date_explains_everything() {
        assert_eq!(explained(&[vec![9, 0, 0], vec![0, 9, 0], vec![0, 0, 9]], &[9, 9, 9]), 1.0);
        // Two codes that halve four dates: 1 - ln 2 / ln 4, but for the corrections.
        let halves = [vec![5000, 5000, 0, 0], vec![0, 0, 5000, 5000]];
        assert!((explained(&halves, &[5000; 4]) - 0.5).abs() < 1e-4);
        assert_eq!((explained(&[vec![9], vec![9]], &[18]), explained(&[], &[])), (0.0, 0.0));
    }

    #[test]
    fn a_code_that_decides_nothing_explains_about_nothing() {
        let mut random = stream(1, Purpose::Samples, 0);
        let mut code = |draws| {
            let mut counts = vec![0; 20];
            (0..draws).for_each(|_| counts[random.random_range(0..20)] += 1);
            counts
        };
        let by_code: Vec<_> = (0..64).map(|_| code(64)).collect();
        let share = explained(&by_code, &code(64 * 64));
        assert!(share < 0.02, "{share}");
    }

    #[test]
    fn the_change_rate_is_that_of_two_independent_draws() {
        assert_eq!((change_rate(&[7]), change_rate(&[1, 1]), change_rate(&[])), (0.0, 1.0, 0.0));
        // Four draws, two of each of two dates: of 12 ordered pairs 4 agree.
        assert!((change_rate(&[2, 2]) - 8.0 / 12.0).abs() < 1e-12);
    }

    #[test]
    fn a_model_that_ignores_z_owes_its_variety_to_the_draws() {
        let config = ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() };
        let mut model = Model::new(config, crate::task::dates::schema(), 1);
        model.tensor_mut("decoder.latent.weight").unwrap().fill(0.0);
        let truth = crate::task::dates::truth(&crate::task::dates::ValidDates::new());
        let measure = |model: &Model| variety(model, &truth, &[0], (8, 32), (1, 1), &mut unwatched).unwrap()[0];
        let measured = measure(&model);
        assert_eq!((measured.change, measured.greedy_share), (0.0, 0.0));
        model.tensor_mut("decoder.latent.weight").unwrap().fill(3.0);
        assert!(measure(&model).change > 0.0);
    }
}
