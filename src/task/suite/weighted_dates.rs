//! Dates with a distribution that is not uniform: a condition's dates in order of time, each half as likely as the one
//! before.

use super::{Kind, Schema, Truth};
use crate::task::{Notation, dates};

/// The population. Conditions have the weight of their number of dates, as in the task of dates.
pub fn truth() -> Truth {
    let uniform = dates::truth(&dates::ValidDates::new());
    let mut weights = Vec::with_capacity(uniform.groups().rows().len());
    for group in 0..uniform.len() {
        let halves = || (0..uniform.count(group)).map(|rank| 0.5f64.powi(rank as i32));
        let scale = uniform.mass(group) / halves().sum::<f64>();
        weights.extend(halves().map(|half| half * scale));
    }
    let mut schema = Schema { notation: Notation::Named, ..dates::schema() };
    // Decade and month of the date, which repeat the condition, beside those that are given.
    for column in &mut schema.generated[..2] {
        column.name = format!("date_{}", column.name);
    }
    Truth::new(schema, uniform.groups().rows(), Some(&weights), Kind::Exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_date_is_half_as_likely_as_the_one_before() {
        let truth = truth();
        for group in [0, 77, 6803] {
            let rows = truth.probabilities(group);
            assert!(rows.windows(2).all(|pair| (pair[1] / pair[0] - 0.5).abs() < 1e-12), "{rows:?}");
            assert!((truth.mass(group) - rows.len() as f64).abs() < 1e-9);
        }
        // The entropy of halving probabilities is 2 ln 2, a little less where they end early.
        assert!((truth.mean_entropy() - 1.38).abs() < 0.01, "{}", truth.mean_entropy());
    }
}
