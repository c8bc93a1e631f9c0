//! Metrics of what a model generates: so many draws for each condition, tallied and scored.

use std::ops::ControlFlow;

use rand_chacha::ChaCha8Rng;

use super::diversity::{coverage, entropy, expected_coverage, expected_entropy, expected_tv, rarefied_coverage, tv};
use super::marginal::{Estimate, mean_distance};
use super::parallel::{Progress, Stop, in_parallel};
use super::population::{Population, stream_index};
use super::summary::{Summary, Worst};
use super::tally::{Failures, Tally, share};
use crate::model::{Decode, Decoder, Model, Noise};
use crate::random::{Purpose, stream};
use crate::task::{Rows, Truth};

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
    population: &Population,
    conditions: &[usize],
    draws: Draws,
    progress: Progress<'_>,
) -> Option<Vec<Tally>> {
    let at_once = (BLOCK / draws.samples.max(1)).max(1);
    let groups: Vec<&[usize]> = conditions.chunks(at_once).collect();
    let work = |decoder: &mut Decoder<'_>, group: &&[usize], stop: Stop<'_>| {
        let mut tallies: Vec<_> = group.iter().map(|condition| Tally::new(population, *condition)).collect();
        let given: Vec<&[u16]> = group.iter().map(|condition| population.condition(*condition)).collect();
        let take = |place: usize, row: &[u16]| tallies[place].add(population, row);
        draw_group(decoder, &given, (draws, stop), take);
        tallies
    };
    let mut by_condition = |groups: usize| progress((groups * at_once).min(conditions.len()));
    let tallies = in_parallel(draws.threads, &groups, || Decoder::new(model), work, &mut by_condition)?;
    Some(tallies.into_iter().flatten().collect())
}

/// Tallies rows that were drawn elsewhere, equally many for each condition and in their order; none as [`tally_model`].
pub fn tally_drawn(
    population: &Population,
    conditions: &[usize],
    drawn: &Rows,
    threads: usize,
    progress: Progress<'_>,
) -> Option<Vec<Tally>> {
    let samples = drawn.len() / conditions.len().max(1);
    let places: Vec<(usize, usize)> = conditions.iter().copied().enumerate().collect();
    let work = |(): &mut (), (place, group): &(usize, usize), _: Stop<'_>| {
        let mut tally = Tally::new(population, *group);
        (place * samples..(place + 1) * samples).for_each(|row| tally.add(population, drawn.row(row)));
        tally
    };
    in_parallel(threads, &places, || (), work, progress)
}

/// Draws the samples that [`tally_model`] tallies for the condition of these given values: generated columns.
pub fn draw_samples(model: &Model, given: &[u16], draws: Draws) -> Rows {
    let mut drawn = Rows::new(model.schema.generated.len());
    draw_group(&mut Decoder::new(model), &[given], (draws, Stop::never()), |_, row| drawn.push(row));
    drawn
}

/// The generated columns that these random numbers make of the condition of these given values.
pub fn decode_condition(decoder: &mut Decoder<'_>, given: &[u16], noise: &Noise, decode: Decode) -> Rows {
    let draws = noise.uniform.len() / decoder.model().schema.generated.len();
    decode_each(decoder, &[given], draws, noise, decode)
}

/// The rows that these random numbers make of these conditions, each taken `draws` times in a row.
fn decode_each(decoder: &mut Decoder<'_>, conditions: &[&[u16]], draws: usize, noise: &Noise, decode: Decode) -> Rows {
    let mut asked = Rows::new(decoder.model().schema.given.len());
    conditions.iter().for_each(|given| (0..draws).for_each(|_| asked.push(given)));
    decoder.decode(&asked, noise, decode)
}

/// Draws for each condition of a group; `take` is given the condition's place in it and the generated values.
fn draw_group(
    decoder: &mut Decoder<'_>,
    group: &[&[u16]],
    (draws, stop): (Draws, Stop<'_>),
    mut take: impl FnMut(usize, &[u16]),
) {
    let model = decoder.model();
    let of = |given: &&[u16]| stream(draws.seed, Purpose::Samples, stream_index(&model.schema, given));
    let mut streams: Vec<ChaCha8Rng> = group.iter().map(of).collect();
    // One condition with very many samples is drawn in several rounds.
    for round in (0..draws.samples).step_by(BLOCK) {
        if stop.asked() {
            return;
        }
        let count = BLOCK.min(draws.samples - round);
        let mut noise = Noise::default();
        streams.iter_mut().for_each(|random| noise.extend(random, model, count));
        let drawn = decode_each(decoder, group, count, &noise, draws.decode);
        drawn.iter().enumerate().for_each(|(place, row)| take(place / count, row));
    }
}

/// A progress that nobody looks at.
pub fn unwatched(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The scores of generated samples over conditions, each of which counts once.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Samples of each condition.
    pub samples: u64,
    /// Share of samples that are rows of their condition.
    pub pass: Summary,
    /// Share of samples that are rows of some condition, over all conditions together.
    pub valid_row: f64,
    /// Share of samples that are right in each given column alone, all conditions together.
    pub pass_by_column: Vec<f64>,
    /// Share of a condition's rows generated at least once in all samples.
    pub coverage: Summary,
    /// The same, expected of draws from the truth.
    pub expected_coverage: f64,
    /// Share of a condition's rows generated at least once in as many samples as it has rows, or all if these are fewer.
    pub coverage_at_rows: Summary,
    /// The same, expected of draws from the truth.
    pub expected_coverage_at_rows: f64,
    /// Entropy over a condition's rows in units of the truth's.
    pub entropy: Summary,
    /// The same, expected of draws from the truth.
    pub expected_entropy: f64,
    /// Total variation distance from the truth, with the noise of sampling in it.
    pub raw_tv: Summary,
    /// The same, expected of draws from the truth.
    pub expected_tv: f64,
    /// Mean total variation distance from the truth, noise removed.
    pub tv: Estimate,
}

impl Scores {
    /// Scores tallies of equally many samples each; none without tallies.
    pub fn of(truth: &Truth, tallies: &[Tally]) -> Option<Self> {
        let over = |figure: &dyn Fn(&Tally) -> f64, worst| {
            Summary::over(tallies.iter().map(|tally| (tally.group, figure(tally))), worst)
        };
        let expected = |figure: &dyn Fn(&Tally, &[f64]) -> f64| {
            let of = |tally: &Tally| figure(tally, truth.probabilities(tally.group));
            tallies.iter().map(of).sum::<f64>() / tallies.len() as f64
        };
        let at_rows = |tally: &Tally| (tally.counts.len() as u64).min(tally.samples());
        let mut failures = Failures::default();
        tallies.iter().for_each(|tally| failures.merge(&tally.failures));
        let all: u64 = tallies.iter().map(Tally::samples).sum();
        let floor = |tally: &Tally| truth.entropy(tally.group);
        Some(Self {
            samples: tallies.first()?.samples(),
            pass: over(&Tally::pass_rate, Worst::Lowest)?,
            valid_row: share(all - failures.invalid, all),
            pass_by_column: failures.pass_by_column(all),
            coverage: over(&|tally| coverage(&tally.counts), Worst::Lowest)?,
            expected_coverage: expected(&|tally, p| expected_coverage(p, tally.samples())),
            coverage_at_rows: over(
                &|tally| rarefied_coverage(&tally.counts, tally.samples(), at_rows(tally)),
                Worst::Lowest,
            )?,
            expected_coverage_at_rows: expected(&|tally, p| expected_coverage(p, at_rows(tally))),
            entropy: over(&|tally| entropy(&tally.counts, floor(tally)), Worst::Lowest)?,
            expected_entropy: expected(&|tally, p| expected_entropy(p, floor(tally), tally.samples())),
            raw_tv: over(
                &|tally| tv(&tally.counts, truth.probabilities(tally.group), tally.failures.total),
                Worst::Highest,
            )?,
            expected_tv: expected(&|tally, p| expected_tv(p, tally.samples())),
            tv: mean_distance(tallies.iter().map(|tally| (1.0, tally.distance(truth)))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::diversity::{distinct, duplicates};
    use super::*;
    use crate::model::ModelConfig;
    use crate::task::dates::{self, DateTokens, ValidDates};
    use rand::RngExt;

    fn population() -> Population {
        Population::new(dates::truth(&ValidDates::new()))
    }

    /// Tallies of a sampler given as a function of the condition's rows.
    fn tallies(samples: usize, mut sampler: impl FnMut(&[&[u16]]) -> Vec<u16>) -> (Population, Vec<Tally>) {
        let population = population();
        let score = |group: usize| {
            let mut tally = Tally::new(&population, group);
            let rows: Vec<&[u16]> = population.generated(group).collect();
            (0..samples).for_each(|_| tally.add(&population, &sampler(&rows)));
            tally
        };
        let tallies = (0..population.len()).step_by(40).map(score).collect();
        (population, tallies)
    }

    #[test]
    fn a_perfect_sampler_scores_what_is_expected_of_one() {
        let mut random = stream(1, Purpose::Samples, 0);
        let (truth, tallies) = tallies(200, |rows| rows[random.random_range(0..rows.len())].to_vec());
        let scores = Scores::of(&truth, &tallies).unwrap();
        assert_eq!((scores.pass.mean, scores.pass.worst, scores.valid_row), (1.0, 1.0, 1.0));
        assert_eq!(scores.pass_by_column, [1.0; 4]);
        assert!((scores.coverage.mean - scores.expected_coverage).abs() < 0.005);
        assert!((scores.coverage_at_rows.mean - scores.expected_coverage_at_rows).abs() < 0.005, "{scores:?}");
        assert!((scores.raw_tv.mean - scores.expected_tv).abs() < 0.005);
        assert!((scores.entropy.mean - scores.expected_entropy).abs() < 0.005);
        // Most of the noise of some 0.13 is gone.
        assert!(scores.tv.value < 0.04, "{scores:?}");
        assert!(tallies.iter().all(|tally| duplicates(&tally.counts) + distinct(&tally.counts) as u64 == 200));
    }

    #[test]
    fn a_distance_is_found_at_any_number_of_samples() {
        // Half of the rows three times as likely as the others: a distance of 1/4, for an even number of rows.
        let mut random = stream(4, Purpose::Samples, 0);
        for samples in [20, 200] {
            let (truth, tallies) = tallies(samples, |rows| {
                let place = random.random_range(0..rows.len());
                let other = (place + 1) % rows.len();
                rows[if place % 2 == 1 && random.random_range(0..2) == 0 { other } else { place }].to_vec()
            });
            let scores = Scores::of(&truth, &tallies).unwrap();
            assert!((scores.tv.value - 0.25).abs() < 0.03, "{samples}: {:?} {:?}", scores.tv, scores.raw_tv);
        }
    }

    #[test]
    fn a_sampler_of_one_row_passes_and_covers_little() {
        let (truth, tallies) = tallies(50, |rows| rows[0].to_vec());
        assert!(tallies.iter().all(|tally| (distinct(&tally.counts), duplicates(&tally.counts)) == (1, 49)));
        let scores = Scores::of(&truth, &tallies).unwrap();
        assert_eq!((scores.entropy.mean, scores.entropy.half_width), (0.0, 0.0));
        assert_eq!(scores.pass.mean, 1.0);
        assert!(scores.coverage.mean < 0.2 && scores.raw_tv.mean > 0.8);
        assert!((scores.tv.value - scores.raw_tv.mean).abs() < 0.02, "{scores:?}");
        assert!(scores.coverage_at_rows.mean < 0.2 && scores.expected_coverage_at_rows > 0.6);
    }

    #[test]
    fn a_sampler_of_random_dates_passes_about_never() {
        let mut random = stream(2, Purpose::Samples, 0);
        let (truth, tallies) = tallies(200, |_| {
            let tokens = DateTokens::from_indices([41, 12, 10, 31].map(|n| random.random_range(0..n))).unwrap();
            tokens.row().to_vec()
        });
        let scores = Scores::of(&truth, &tallies).unwrap();
        assert!(scores.pass.mean < 0.002 && scores.raw_tv.mean > 0.99 && scores.coverage.mean < 0.1);
        assert!(scores.entropy.mean < 0.05 && scores.expected_entropy > 0.9);
        assert!((scores.pass_by_column[0] - 1.0 / 7.0 * scores.valid_row).abs() < 0.01);
        assert!(scores.valid_row > 0.9 && scores.valid_row < 1.0);
    }

    #[test]
    fn a_conditions_samples_do_not_depend_on_the_others_or_on_threads() {
        let config = ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() };
        let model = Model::new(config, dates::schema(), 1);
        let population = population();
        let conditions: Vec<usize> = (0..30).collect();
        let draws = |samples, threads| Draws { samples, decode: Decode::Greedy, seed: 5, threads };
        let tally =
            |conditions: &[usize], draws| tally_model(&model, &population, conditions, draws, &mut unwatched).unwrap();
        let all = tally(&conditions, draws(200, 1));
        assert_eq!(all, tally(&conditions, draws(200, 3)));
        assert_eq!(all[7..8], tally(&conditions[7..8], draws(200, 1)));
        let many = tally(&conditions[..1], draws(2 * BLOCK + 1, 1));
        assert_eq!(many[0].samples(), 2 * BLOCK as u64 + 1);
        let mut single = Tally::new(&population, 7);
        let drawn = draw_samples(&model, population.condition(7), draws(200, 1));
        drawn.iter().for_each(|row| single.add(&population, row));
        assert_eq!(single, all[7]);
    }
}
