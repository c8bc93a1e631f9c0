//! What samplers without a model score: the lines against which trained ones are read.

use super::measure::Measure;
use crate::dates::{Condition, ValidDates};

/// The scores to be expected of a sampler that is known in closed form, means over all conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// What it draws.
    pub name: &'static str,
    /// Share of its samples that pass.
    pub pass: f64,
    /// Coverage of the valid dates, in as many draws as there are, as a share of a perfect sampler's.
    pub coverage: f64,
    /// Total variation distance of its distribution from the uniform one on the valid dates.
    pub tv: f64,
    /// KL(uniform on the valid dates, its distribution), nats.
    pub gap: f64,
}

impl Reference {
    /// Its score by a measure; NaN where it has none.
    pub fn of(&self, measure: Measure) -> f64 {
        match measure {
            Measure::GreedyPass | Measure::GreedyPassTrain | Measure::GreedyPassValidation => self.pass,
            Measure::SampledPass | Measure::SampledPassValidation => self.pass,
            Measure::INVALID_MASS => 1.0 - self.pass,
            Measure::GreedyCoverageRatio => self.coverage,
            Measure::GreedyTv | Measure::TV => self.tv,
            Measure::NLL_GAP => self.gap,
            _ => f64::NAN,
        }
    }

    /// Uniform random dates of the whole range, random days of the right month, decade and leap-year flag,
    /// and random valid dates.
    pub fn all(valid: &ValidDates) -> [Self; 3] {
        let conditions = valid.conditions();
        let all: usize = conditions.iter().map(|condition| valid.of(*condition).len()).sum();
        // In as many draws as there are valid dates, of which each is one of `size` dates.
        let covered = |condition, size: usize| 1.0 - (1.0 - 1.0 / size as f64).powf(valid.of(condition).len() as f64);
        let perfect = mean(&conditions, |condition| covered(condition, valid.of(condition).len()));
        // A sampler that is uniform over a set of `size` dates holding all the valid ones.
        let uniform_over = |name, size: &dyn Fn(Condition) -> usize| {
            let pass = |condition| valid.of(condition).len() as f64 / size(condition) as f64;
            let coverage = mean(&conditions, |condition| covered(condition, size(condition))) / perfect;
            // The mass outside of the valid dates is what they lack.
            let tv = mean(&conditions, |condition| 1.0 - pass(condition));
            let gap = mean(&conditions, |condition| pass(condition).recip().ln());
            Self { name, pass: mean(&conditions, pass), coverage, tv, gap }
        };
        let any_weekday = |condition: Condition| {
            let of = |weekday| valid.of(Condition { weekday, ..condition }).len();
            crate::dates::Weekday::all().map(of).sum()
        };
        [
            uniform_over("random dates", &|_| all),
            uniform_over("random days of the right month, decade and leap flag", &any_weekday),
            uniform_over("perfect sampler: random valid dates", &|condition| valid.of(condition).len()),
        ]
    }
}

fn mean(conditions: &[Condition], figure: impl Fn(Condition) -> f64) -> f64 {
    conditions.iter().map(|condition| figure(*condition)).sum::<f64>() / conditions.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_references_are_what_their_names_say() {
        let [dates, days, perfect] = Reference::all(&ValidDates::new());
        // 146,462 dates over 6,804 conditions: 1 / 6,804 each on average.
        assert!((dates.pass - 1.0 / 6804.0).abs() < 1e-12, "{dates:?}");
        assert!((days.pass - 1.0 / 7.0).abs() < 1e-3, "{days:?}");
        assert_eq!((perfect.pass, perfect.coverage, perfect.tv), (1.0, 1.0, 0.0));
        assert!((days.tv - 6.0 / 7.0).abs() < 1e-3 && dates.coverage < 0.001);
        assert!((days.gap - 7f64.ln()).abs() < 0.01 && perfect.gap == 0.0, "{days:?}");
    }
}
