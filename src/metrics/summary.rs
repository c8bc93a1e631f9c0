//! A figure over conditions: its mean, its worst value, and which condition that is.

use crate::dates::Condition;

/// Which end of a figure is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worst {
    /// Small values are bad, as for pass rates.
    Lowest,
    /// Large values are bad, as for distances.
    Highest,
}

/// A figure over conditions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Mean over the conditions.
    pub mean: f64,
    /// Worst value.
    pub worst: f64,
    /// The first condition that has it.
    pub worst_condition: Condition,
}

impl Summary {
    /// Summarises a figure over conditions; none without conditions.
    pub fn over(values: impl IntoIterator<Item = (Condition, f64)>, worst: Worst) -> Option<Self> {
        let mut values = values.into_iter();
        let (first, value) = values.next()?;
        let mut summary = Self { mean: value, worst: value, worst_condition: first };
        let (mut sum, mut count) = (value, 1.0);
        for (condition, value) in values {
            let worse = match worst {
                Worst::Lowest => value < summary.worst,
                Worst::Highest => value > summary.worst,
            };
            if worse {
                (summary.worst, summary.worst_condition) = (value, condition);
            }
            sum += value;
            count += 1.0;
        }
        summary.mean = sum / count;
        Some(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_the_first_worst_condition() {
        let condition = |index| Condition::from_index(index).unwrap();
        let values = [(condition(0), 0.5), (condition(1), 0.25), (condition(2), 0.25), (condition(3), 1.0)];
        let low = Summary::over(values, Worst::Lowest).unwrap();
        assert_eq!(low, Summary { mean: 0.5, worst: 0.25, worst_condition: condition(1) });
        let high = Summary::over(values, Worst::Highest).unwrap();
        assert_eq!((high.worst, high.worst_condition), (1.0, condition(3)));
        assert_eq!(Summary::over([], Worst::Lowest), None);
    }
}
