//! Whether a classifier can tell generated rows from real ones: a classifier two-sample test (Lopez-Paz and Oquab 2017,
//! Revisiting classifier two-sample tests).
//!
//! The classifier is a logistic regression on the one-hot values of all columns and of all pairs of columns, trained by
//! AdaGrad (Duchi et al. 2011) and tested on rows that it was not trained on (five folds). Every generated row stands
//! beside a real row of the same condition, so that the distribution of conditions tells nothing. What no pair of columns
//! shows stays hidden from it.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::random::{Cumulative, Purpose, stream};
use crate::task::{Kind, Rows, Truth};

/// How well a classifier tells generated rows from real ones.
#[derive(Clone, Debug, Serialize)]
pub struct Detection {
    /// Area under the ROC curve: 0.5 where it can't, 1 where it always can; mean over the folds.
    pub auc: f64,
    /// Standard error of the area where rows can't be told apart.
    pub auc_noise: f64,
    /// Generated rows that it was shown, each beside a real one.
    pub rows: usize,
}

/// Generated rows that are shown, at most: a second or two.
const MOST_ROWS: usize = 20_000;
/// Pairs of columns that are features, at most.
const MOST_PAIRS: usize = 500;
const FOLDS: usize = 5;
const EPOCHS: usize = 5;
/// Weights of the regression; features that share one are told apart by their other columns.
const WEIGHTS: usize = 1 << 18;
const SEED: u64 = 1;

impl Detection {
    /// None where too few rows have conditions of the truth.
    pub(super) fn of(truth: &Truth, generated: &Rows) -> Option<Self> {
        let mut random = stream(SEED, Purpose::Detection, 0);
        let pairs = matched(truth, generated, &mut random);
        if pairs.len() < 2 * FOLDS {
            return None;
        }
        let features = Features::new(truth.schema().width());
        let fold = |place: usize| place % FOLDS;
        let area = |tested: usize| {
            let mut order: Vec<usize> = (0..pairs.len()).filter(|place| fold(*place) != tested).collect();
            let mut regression = Regression::default();
            for _ in 0..EPOCHS {
                order.shuffle(&mut random);
                for place in &order {
                    // Neither comes first as a rule: steps are largest in the beginning.
                    let first = random.random::<bool>();
                    for real in [first, !first] {
                        regression.learn(&features, pairs[*place].row(real), real);
                    }
                }
            }
            let tested: Vec<&Pair> =
                pairs.iter().enumerate().filter(|(n, _)| fold(*n) == tested).map(|(_, p)| p).collect();
            let scores = |real| tested.iter().map(|pair| regression.score(&features, pair.row(real))).collect();
            auc(scores(false), scores(true))
        };
        let auc = (0..FOLDS).map(area).sum::<f64>() / FOLDS as f64;
        let n = pairs.len() as f64;
        // Mann and Whitney 1947.
        Some(Self { auc, auc_noise: ((2.0 * n + 1.0) / (12.0 * n * n)).sqrt(), rows: pairs.len() })
    }
}

/// A real row and a generated one of the same condition.
struct Pair {
    real: Vec<u16>,
    generated: Vec<u16>,
}

impl Pair {
    fn row(&self, real: bool) -> &[u16] {
        if real { &self.real } else { &self.generated }
    }
}

/// Generated rows in random order, each with a real row. Of an exact truth real rows are drawn from p(y given c); an
/// observation of a sample is taken once, so that no row is both trained and tested on.
fn matched(truth: &Truth, generated: &Rows, random: &mut ChaCha8Rng) -> Vec<Pair> {
    let given = truth.schema().given.len();
    let mut order: Vec<usize> = (0..generated.len()).collect();
    order.shuffle(random);
    let mut left: Vec<Option<Supply>> = (0..truth.len()).map(|_| None).collect();
    let mut pairs = Vec::new();
    for row in order.into_iter().map(|place| generated.row(place)) {
        if pairs.len() == MOST_ROWS {
            break;
        }
        let Some(group) = truth.find(&row[..given]) else { continue };
        let supply = left[group].get_or_insert_with(|| Supply::new(truth, group, random));
        let Some(rank) = supply.next(random) else { continue };
        let real = truth.groups().rows().row(truth.range(group).start + rank).to_vec();
        pairs.push(Pair { real, generated: row.to_vec() });
    }
    pairs
}

/// Where a condition's real rows come from.
enum Supply {
    /// Any number of draws by probability.
    Draws(Cumulative),
    /// Observations that are left, by rank, in random order.
    Observations(Vec<usize>),
}

impl Supply {
    fn new(truth: &Truth, group: usize, random: &mut ChaCha8Rng) -> Self {
        let weights: Vec<f64> = (0..truth.count(group)).map(|rank| truth.weight(group, rank)).collect();
        let whole = |weight: &f64| (weight - weight.round()).abs() < 1e-6;
        if truth.kind() == Kind::Exact || !weights.iter().all(whole) || truth.mass(group) > 1e7 {
            return Self::Draws(Cumulative::new(&weights));
        }
        let each = |(rank, weight): (usize, &f64)| std::iter::repeat_n(rank, weight.round() as usize);
        let mut all: Vec<usize> = weights.iter().enumerate().flat_map(each).collect();
        all.shuffle(random);
        Self::Observations(all)
    }

    fn next(&mut self, random: &mut ChaCha8Rng) -> Option<usize> {
        match self {
            Self::Draws(choose) => Some(choose.draw(random)),
            Self::Observations(left) => left.pop(),
        }
    }
}

/// One-hot values of columns and of pairs of columns.
struct Features {
    width: usize,
    pairs: Vec<(usize, usize)>,
    /// The length of a step: what makes a row's features together as long as one.
    rate: f32,
}

impl Features {
    fn new(width: usize) -> Self {
        let all: Vec<(usize, usize)> = (0..width).flat_map(|a| (a + 1..width).map(move |b| (a, b))).collect();
        // Spread over all pairs where there are very many.
        let pairs: Vec<(usize, usize)> = all.iter().copied().step_by(all.len().div_ceil(MOST_PAIRS).max(1)).collect();
        let rate = 1.0 / ((width + pairs.len()) as f32).sqrt();
        Self { width, pairs, rate }
    }

    /// Places of a row's features among the weights.
    fn of<'a>(&'a self, row: &'a [u16]) -> impl Iterator<Item = usize> + 'a {
        let column = |place: usize| place_of(place as u64, u64::from(row[place]));
        let pair = |(number, (a, b)): (usize, &(usize, usize))| {
            place_of((self.width + number) as u64, u64::from(row[*a]) << 16 | u64::from(row[*b]))
        };
        (0..self.width).map(column).chain(self.pairs.iter().enumerate().map(pair))
    }
}

/// A weight for a value of a feature: the mixer of Steele et al. 2014 spreads them over all weights.
fn place_of(feature: u64, value: u64) -> usize {
    let mut bits = (feature << 32 | value).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ bits >> 31) as usize % WEIGHTS
}

struct Regression {
    weights: Vec<f32>,
    /// Sums of squared gradients.
    squares: Vec<f32>,
}

impl Default for Regression {
    fn default() -> Self {
        Self { weights: vec![0.0; WEIGHTS], squares: vec![0.0; WEIGHTS] }
    }
}

impl Regression {
    /// Log odds that a row is generated.
    fn score(&self, features: &Features, row: &[u16]) -> f32 {
        features.of(row).map(|place| self.weights[place]).sum()
    }

    fn learn(&mut self, features: &Features, row: &[u16], real: bool) {
        let gradient = 1.0 / (1.0 + (-self.score(features, row)).exp()) - if real { 0.0 } else { 1.0 };
        for place in features.of(row) {
            let squares = &mut self.squares[place];
            *squares += gradient * gradient;
            self.weights[place] -= features.rate * gradient / (squares.sqrt() + 1e-6);
        }
    }
}

/// The share of pairs of a high and a low score in which the high one is higher; equal ones count half.
fn auc(high: Vec<f32>, low: Vec<f32>) -> f64 {
    let (pairs, highs) = (high.len() as f64 * low.len() as f64, high.len() as f64);
    let mut all: Vec<(f32, bool)> = high.into_iter().map(|score| (score, true)).collect();
    all.extend(low.into_iter().map(|score| (score, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // The sum of ranks of the high scores, equal ones by their mean rank.
    let (mut before, mut ranks) = (0.0, 0.0);
    for equal in all.chunk_by(|a, b| a.0 == b.0) {
        let count = equal.len() as f64;
        ranks += equal.iter().filter(|(_, high)| *high).count() as f64 * (before + 0.5 * (count + 1.0));
        before += count;
    }
    (ranks - 0.5 * highs * (highs + 1.0)) / pairs
}

#[cfg(test)]
mod tests {
    use super::super::UNSEEN;
    use super::*;
    use crate::task::{Column, Schema};

    /// Given a of 3 values; generated x, y of 4 values each, all equally likely: all rows, or 4,800 observations.
    fn truth(kind: Kind) -> Truth {
        let column = |name, size: usize| Column::new(name, (0..size).map(|value| value.to_string()));
        let (mut random, mut rows) = (stream(3, Purpose::Samples, 0), Rows::new(3));
        let mut push = |row: u16| rows.push(&[row / 16, row / 4 % 4, row % 4]);
        match kind {
            Kind::Exact => (0..48).for_each(push),
            Kind::Sample => (0..4800).for_each(|_| push(random.random_range(0..48))),
        }
        let schema = Schema::new(vec![column("a", 3)], vec![column("x", 4), column("y", 4)]);
        Truth::new(schema, &rows, None, kind)
    }

    fn detection(truth: &Truth, mut row: impl FnMut(&mut ChaCha8Rng) -> [u16; 3]) -> Detection {
        let (mut random, mut rows) = (stream(7, Purpose::Samples, 0), Rows::new(3));
        (0..4000).for_each(|_| rows.push(&row(&mut random)));
        Detection::of(truth, &rows).unwrap()
    }

    #[test]
    fn areas_are_shares_of_pairs_in_order() {
        assert_eq!(auc(vec![2.0, 3.0], vec![0.0, 1.0]), 1.0);
        assert_eq!(auc(vec![0.0, 1.0], vec![2.0, 3.0]), 0.0);
        assert_eq!(auc(vec![1.0, 1.0], vec![1.0]), 0.5);
        assert_eq!(auc(vec![1.0, 3.0], vec![2.0, 3.0]), 0.375);
    }

    #[test]
    fn rows_of_the_same_distribution_are_not_told_apart_whatever_their_conditions() {
        for kind in [Kind::Exact, Kind::Sample] {
            // Conditions in other shares than the truth has them, and some that it has not.
            let perfect = |random: &mut ChaCha8Rng| {
                let value = random.random_range(0..16u16);
                [[0, 0, 0, 1, 5][random.random_range(0..5)], value / 4, value % 4]
            };
            let found = detection(&truth(kind), perfect);
            assert!((found.auc - 0.5).abs() < 4.0 * found.auc_noise, "{found:?}");
            assert!(found.rows > 2000 && found.rows < 4000, "{found:?}");
        }
    }

    #[test]
    fn rows_that_no_real_row_resembles_are_always_told_apart() {
        let truth = truth(Kind::Exact);
        assert!(detection(&truth, |_| [0, UNSEEN, 1]).auc > 0.999);
        // Either column alone is as in the truth: only their pair tells.
        let equal = detection(&truth, |random| {
            let value = random.random_range(0..4u16);
            [1, value, value]
        });
        // A real row has equal values in one case of four: 1 - 1/4 / 2.
        assert!((equal.auc - 0.875).abs() < 0.02, "{equal:?}");
        assert!(Detection::of(&truth, &Rows::of_values(3, vec![0; 27])).is_none());
    }
}
