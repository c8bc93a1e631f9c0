//! Metrics of what a model generates: so many draws for each condition, tallied and scored.

use std::ops::ControlFlow;

use rand_chacha::ChaCha8Rng;

use super::diversity::{coverage, entropy, expected_coverage, expected_entropy, expected_tv, tv};
use super::parallel::{Progress, Stop, in_parallel};
use super::summary::{Summary, Worst};
use super::tally::{Failures, Tally, share};
use crate::dates::{Condition, DateTokens, ValidDates};
use crate::model::{Decode, Decoder, DecoderBuffers, Model, Noise};
use crate::random::{Purpose, stream};
use crate::task::Rows;

/// Samples decoded at once.
const BLOCK: usize = 512;

/// How samples are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draws {
    /// Samples of each condition.
    pub samples: usize,
    /// How a column's value is chosen.
    pub decode: Decode,
    /// Seed of codes and draws.
    pub seed: u64,
    /// Threads; what is drawn does not depend on it.
    pub threads: usize,
}

/// Draws samples for each condition and tallies them, in the order of the conditions; none where the progress, told how
/// many conditions are done, asked for an end.
///
/// Every condition has a random stream of its own, so its samples are the same whichever others are drawn beside it.
pub fn tally_model(
    model: &Model,
    valid: &ValidDates,
    conditions: &[Condition],
    draws: Draws,
    progress: Progress<'_>,
) -> Option<Vec<Tally>> {
    let at_once = (BLOCK / draws.samples.max(1)).max(1);
    let groups: Vec<&[Condition]> = conditions.chunks(at_once).collect();
    let work = |buffers: &mut DecoderBuffers, group: &&[Condition], stop: Stop<'_>| {
        let mut tallies: Vec<_> = group.iter().map(|condition| Tally::new(valid, *condition)).collect();
        draw_group(model, buffers, group, (draws, stop), |place, tokens| tallies[place].add(valid, tokens));
        tallies
    };
    let mut by_condition = |groups: usize| progress((groups * at_once).min(conditions.len()));
    let tallies = in_parallel(draws.threads, &groups, DecoderBuffers::default, work, &mut by_condition)?;
    Some(tallies.into_iter().flatten().collect())
}

/// Tallies rows that were drawn elsewhere, equally many for each condition and in their order; none as [`tally_model`].
pub fn tally_drawn(
    valid: &ValidDates,
    conditions: &[Condition],
    drawn: &Rows,
    threads: usize,
    progress: Progress<'_>,
) -> Option<Vec<Tally>> {
    let samples = drawn.len() / conditions.len().max(1);
    let places: Vec<(usize, Condition)> = conditions.iter().copied().enumerate().collect();
    let work = |(): &mut (), (place, condition): &(usize, Condition), _: Stop<'_>| {
        let mut tally = Tally::new(valid, *condition);
        let rows = (place * samples..(place + 1) * samples).map(|row| drawn.row(row));
        rows.filter_map(DateTokens::from_row).for_each(|tokens| tally.add(valid, tokens));
        tally
    };
    in_parallel(threads, &places, || (), work, progress)
}

/// Draws the samples that [`tally_model`] tallies for one condition.
pub fn draw_samples(model: &Model, condition: Condition, draws: Draws) -> Vec<DateTokens> {
    let mut drawn = Vec::with_capacity(draws.samples);
    draw_group(model, &mut DecoderBuffers::default(), &[condition], (draws, Stop::never()), |_, tokens| {
        drawn.push(tokens)
    });
    drawn
}

/// The dates that these random numbers make of a condition.
pub fn decode_condition(
    model: &Model,
    buffers: &mut DecoderBuffers,
    condition: Condition,
    noise: &Noise,
    decode: Decode,
) -> Vec<DateTokens> {
    decode_each(model, buffers, &[condition], noise.uniform.len() / model.schema.generated.len(), noise, decode)
}

/// The dates that these random numbers make of these conditions, each taken `draws` times in a row.
fn decode_each(
    model: &Model,
    buffers: &mut DecoderBuffers,
    conditions: &[Condition],
    draws: usize,
    noise: &Noise,
    decode: Decode,
) -> Vec<DateTokens> {
    let mut asked = Rows::new(model.schema.given.len());
    conditions.iter().for_each(|condition| (0..draws).for_each(|_| asked.push(&condition.row())));
    let drawn = Decoder { model }.decode(buffers, &asked, noise, decode);
    // A head has as many logits as its field has values, so every choice is inside its field.
    drawn.iter().filter_map(DateTokens::from_row).collect()
}

/// Draws for each condition of a group; `take` is given the condition's place in it and the tokens.
fn draw_group(
    model: &Model,
    buffers: &mut DecoderBuffers,
    group: &[Condition],
    (draws, stop): (Draws, Stop<'_>),
    mut take: impl FnMut(usize, DateTokens),
) {
    let of = |condition: &Condition| stream(draws.seed, Purpose::Samples, condition.index() as u64);
    let mut streams: Vec<ChaCha8Rng> = group.iter().map(of).collect();
    // One condition with very many samples is drawn in several rounds.
    for round in (0..draws.samples).step_by(BLOCK) {
        if stop.asked() {
            return;
        }
        let count = BLOCK.min(draws.samples - round);
        let mut noise = Noise::default();
        streams.iter_mut().for_each(|random| noise.extend(random, model, count));
        let drawn = decode_each(model, buffers, group, count, &noise, draws.decode);
        drawn.iter().enumerate().for_each(|(place, tokens)| take(place / count, *tokens));
    }
}

/// A progress that nobody looks at.
pub fn unwatched(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The scores of generated samples over conditions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Samples of each condition.
    pub samples: u64,
    /// Share of samples that exist, lie in range and meet all four conditions.
    pub pass: Summary,
    /// Share of samples that exist and lie in range, over all conditions together.
    pub valid_date: f64,
    /// Share of samples that meet weekday, month, leap-year flag and decade, each alone, all conditions together.
    pub pass_by_field: [f64; 4],
    /// Share of valid dates generated at least once.
    pub coverage: Summary,
    /// Mean coverage to be expected of a perfect sampler at this number of samples.
    pub expected_coverage: f64,
    /// Normalised entropy over the valid dates.
    pub entropy: Summary,
    /// Mean entropy to be expected of a perfect sampler at this number of samples.
    pub expected_entropy: f64,
    /// Total variation distance from the uniform distribution on the valid dates.
    pub tv: Summary,
    /// Mean distance to be expected of a perfect sampler from sampling noise alone.
    pub expected_tv: f64,
}

impl Scores {
    /// Scores tallies of equally many samples each; none without tallies.
    pub fn of(tallies: &[Tally]) -> Option<Self> {
        let over = |figure: &dyn Fn(&Tally) -> f64, worst| {
            Summary::over(tallies.iter().map(|tally| (tally.condition, figure(tally))), worst)
        };
        let expected = |figure: fn(usize, u64) -> f64| {
            tallies.iter().map(|tally| figure(tally.counts.len(), tally.samples())).sum::<f64>() / tallies.len() as f64
        };
        let mut failures = Failures::default();
        tallies.iter().for_each(|tally| failures.merge(tally.failures));
        let all: u64 = tallies.iter().map(Tally::samples).sum();
        Some(Self {
            samples: tallies.first()?.samples(),
            pass: over(&Tally::pass_rate, Worst::Lowest)?,
            valid_date: share(all - failures.no_date, all),
            pass_by_field: failures.pass_by_field(all),
            coverage: over(&|tally| coverage(&tally.counts), Worst::Lowest)?,
            expected_coverage: expected(expected_coverage),
            entropy: over(&|tally| entropy(&tally.counts), Worst::Lowest)?,
            expected_entropy: expected(expected_entropy),
            tv: over(&|tally| tv(&tally.counts, tally.failures.total), Worst::Highest)?,
            expected_tv: expected(expected_tv),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::diversity::{distinct, duplicates};
    use super::*;
    use crate::dates::{Date, DateTokens};
    use crate::model::ModelConfig;
    use rand::RngExt;

    /// Tallies of a sampler given as a function of the condition's valid dates.
    fn tallies(samples: usize, mut sampler: impl FnMut(&[Date]) -> DateTokens) -> Vec<Tally> {
        let valid = ValidDates::new();
        let conditions: Vec<_> = valid.conditions().into_iter().step_by(40).collect();
        let score = |condition: Condition| {
            let mut tally = Tally::new(&valid, condition);
            (0..samples).for_each(|_| tally.add(&valid, sampler(valid.of(condition))));
            tally
        };
        conditions.into_iter().map(score).collect()
    }

    #[test]
    fn a_perfect_sampler_scores_what_is_expected_of_one() {
        let mut random = stream(1, Purpose::Samples, 0);
        let tallies = tallies(200, |dates| DateTokens::of(dates[random.random_range(0..dates.len())]));
        let scores = Scores::of(&tallies).unwrap();
        assert_eq!((scores.pass.mean, scores.pass.worst, scores.valid_date), (1.0, 1.0, 1.0));
        assert_eq!(scores.pass_by_field, [1.0; 4]);
        assert!((scores.coverage.mean - scores.expected_coverage).abs() < 0.005);
        assert!((scores.tv.mean - scores.expected_tv).abs() < 0.005);
        assert!((scores.entropy.mean - scores.expected_entropy).abs() < 0.005);
        assert!(tallies.iter().all(|tally| duplicates(&tally.counts) + distinct(&tally.counts) as u64 == 200));
    }

    #[test]
    fn a_sampler_of_one_valid_date_passes_and_covers_little() {
        let tallies = tallies(50, |dates| DateTokens::of(dates[0]));
        assert!(tallies.iter().all(|tally| (distinct(&tally.counts), duplicates(&tally.counts)) == (1, 49)));
        let scores = Scores::of(&tallies).unwrap();
        assert_eq!((scores.entropy.mean, scores.entropy.half_width), (0.0, 0.0));
        assert_eq!(scores.pass.mean, 1.0);
        assert!(scores.coverage.mean < 0.2 && scores.tv.mean > 0.8);
    }

    #[test]
    fn a_sampler_of_random_dates_passes_about_never() {
        let mut random = stream(2, Purpose::Samples, 0);
        let tallies =
            tallies(200, |_| DateTokens::from_indices([41, 12, 10, 31].map(|n| random.random_range(0..n))).unwrap());
        let scores = Scores::of(&tallies).unwrap();
        assert!(scores.pass.mean < 0.002 && scores.tv.mean > 0.99 && scores.coverage.mean < 0.1);
        assert!(scores.entropy.mean < 0.05 && scores.expected_entropy > 0.9);
        assert!((scores.pass_by_field[0] - 1.0 / 7.0 * scores.valid_date).abs() < 0.01);
        assert!(scores.valid_date > 0.9 && scores.valid_date < 1.0);
    }

    #[test]
    fn a_conditions_samples_do_not_depend_on_the_others_or_on_threads() {
        let config = ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() };
        let model = Model::new(config, crate::task::dates::schema(), 1);
        let valid = ValidDates::new();
        let conditions: Vec<_> = valid.conditions().into_iter().take(30).collect();
        let draws = |samples, threads| Draws { samples, decode: Decode::Greedy, seed: 5, threads };
        let tally =
            |conditions: &[Condition], draws| tally_model(&model, &valid, conditions, draws, &mut unwatched).unwrap();
        let all = tally(&conditions, draws(200, 1));
        assert_eq!(all, tally(&conditions, draws(200, 3)));
        assert_eq!(all[7..8], tally(&conditions[7..8], draws(200, 1)));
        let many = tally(&conditions[..1], draws(2 * BLOCK + 1, 1));
        assert_eq!(many[0].samples(), 2 * BLOCK as u64 + 1);
        let mut single = Tally::new(&valid, conditions[7]);
        let drawn = draw_samples(&model, conditions[7], draws(200, 1));
        drawn.iter().for_each(|tokens| single.add(&valid, *tokens));
        assert_eq!(single, all[7]);
    }
}
