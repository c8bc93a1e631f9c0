//! A figure over conditions: its mean, its worst value, and which condition that is.

use super::interval::half_width;

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
    /// Number of conditions.
    pub conditions: usize,
    /// Mean over the conditions.
    pub mean: f64,
    /// Half the width of the mean's 95 % interval over conditions; NaN for one condition alone.
    pub half_width: f64,
    /// Worst value.
    pub worst: f64,
    /// The number of the first condition that has it.
    pub worst_condition: usize,
}

impl Summary {
    /// Summarises a figure over conditions; none without conditions.
    pub fn over(values: impl IntoIterator<Item = (usize, f64)>, worst: Worst) -> Option<Self> {
        let mut kept = Vec::new();
        let mut found: Option<(usize, f64)> = None;
        for (condition, value) in values {
            let worse = found.is_none_or(|(_, worst_value)| match worst {
                Worst::Lowest => value < worst_value,
                Worst::Highest => value > worst_value,
            });
            if worse {
                found = Some((condition, value));
            }
            kept.push(value);
        }
        let (worst_condition, worst) = found?;
        let mean = kept.iter().sum::<f64>() / kept.len() as f64;
        Some(Self { conditions: kept.len(), mean, half_width: half_width(&kept), worst, worst_condition })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_the_first_worst_condition() {
        let values = [(5, 0.5), (6, 0.25), (7, 0.25), (8, 1.0)];
        let low = Summary::over(values, Worst::Lowest).unwrap();
        let interval = half_width(&[0.5, 0.25, 0.25, 1.0]);
        let expected = Summary { conditions: 4, mean: 0.5, half_width: interval, worst: 0.25, worst_condition: 6 };
        assert_eq!(low, expected);
        let high = Summary::over(values, Worst::Highest).unwrap();
        assert_eq!((high.worst, high.worst_condition), (1.0, 8));
        assert_eq!(Summary::over([], Worst::Lowest), None);
    }
}
