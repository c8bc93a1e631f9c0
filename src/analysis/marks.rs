//! Which counts differ from those of a perfect sampler by more than chance.

/// How a count compares with that of a uniform sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// Never drawn.
    Missing,
    /// More than three standard deviations below.
    Under,
    /// More than three standard deviations above.
    Over,
    /// Within three standard deviations.
    Usual,
}

impl Deviation {
    /// Its mark in tables.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Under => "under",
            Self::Over => "over",
            Self::Usual => "",
        }
    }
}

/// Compares a count with that expected of each of so many equally likely values; the count is binomial.
pub fn deviation(count: u64, expected: f64, values: usize) -> Deviation {
    let sigma = (expected * (1.0 - 1.0 / values as f64)).sqrt();
    match (count, (count as f64 - expected) / sigma) {
        (0, _) => Deviation::Missing,
        (_, deviations) if deviations < -3.0 => Deviation::Under,
        (_, deviations) if deviations > 3.0 => Deviation::Over,
        _ => Deviation::Usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_standard_deviations_are_marked() {
        // 100 expected of each of two values: a standard deviation of 7.07.
        let marks = [0, 78, 79, 121, 122].map(|count| deviation(count, 100.0, 2).mark());
        assert_eq!(marks, ["missing", "under", "", "", "over"]);
    }
}
