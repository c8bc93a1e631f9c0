//! What is known of a measure: unit, direction, where it is logged, how it is written.
//!
//! The measures themselves are listed in `registry.rs`.

/// A measure; [`Measure::spec`] says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Measure(pub(super) u16);

/// The unit of a measure, which decides how it is written and what it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share from 0 to 1, written as a percentage.
    Share,
    /// A distance from 0 to 1, written as it is.
    Distance,
    /// A probability that is small where a model is good, written with a power of ten.
    Mass,
    /// Nats.
    Nats,
    /// A whole number.
    Count,
    /// Seconds.
    Seconds,
    /// Something per second.
    PerSecond,
    /// Another number without a unit.
    Number,
    /// No number.
    Text,
}

/// Which values of a measure are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The higher the better.
    Higher,
    /// The lower the better.
    Lower,
    /// Neither.
    Neither,
}

/// Where the values of a measure come from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// A column of history.csv.
    History,
    /// A column of metrics.csv.
    Metrics,
    /// A column of both.
    Both,
    /// Computed from other measures, not logged.
    Derived {
        /// The measures that it needs.
        from: &'static [Measure],
        /// The computation, from their values.
        compute: fn(&dyn Fn(Measure) -> f64) -> f64,
    },
}

/// Everything that is known of a measure.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The column's name.
    pub name: &'static str,
    /// Its heading in tables, short.
    pub heading: &'static str,
    /// Its name in charts, without the unit.
    pub title: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Which values are good.
    pub direction: Direction,
    /// Where its values come from.
    pub source: Source,
    /// What a perfect model scores, where that is known.
    pub perfect: &'static str,
    /// Digits after the point in tables, of a percentage where it is a share.
    pub digits: usize,
    /// The column that holds its standard error, where there is one.
    pub error: Option<Measure>,
    /// What it is: one sentence, with the formula or the source.
    pub meaning: &'static str,
}

impl Spec {
    /// A measure whose heading and title are its name, of which neither end is good.
    pub(super) const fn new(name: &'static str, unit: Unit, source: Source, meaning: &'static str) -> Self {
        let digits = match unit {
            Unit::Share => 2,
            Unit::Count | Unit::Seconds | Unit::PerSecond | Unit::Text => 0,
            Unit::Mass => 1,
            Unit::Distance | Unit::Nats | Unit::Number => 4,
        };
        let (direction, heading, title) = (Direction::Neither, name, name);
        Self { name, heading, title, unit, direction, source, perfect: "", digits, error: None, meaning }
    }

    pub(super) const fn higher(mut self, perfect: &'static str) -> Self {
        (self.direction, self.perfect) = (Direction::Higher, perfect);
        self
    }

    pub(super) const fn lower(mut self, perfect: &'static str) -> Self {
        (self.direction, self.perfect) = (Direction::Lower, perfect);
        self
    }

    /// Its heading in tables and its name in charts.
    pub(super) const fn called(mut self, heading: &'static str, title: &'static str) -> Self {
        (self.heading, self.title) = (heading, title);
        self
    }

    pub(super) const fn with_error(mut self, error: Measure) -> Self {
        self.error = Some(error);
        self
    }
}

impl Unit {
    /// The least and the greatest value that a perfect measurement can come to.
    pub fn possible(self) -> (f64, f64) {
        match self {
            Self::Share | Self::Distance | Self::Mass => (0.0, 1.0),
            _ => (0.0, f64::INFINITY),
        }
    }

    /// Its name after a figure; empty where there is none.
    pub fn name(self) -> &'static str {
        match self {
            Self::Share => "%",
            Self::Nats => "nats",
            Self::Seconds => "s",
            Self::PerSecond => "1/s",
            Self::Distance | Self::Mass | Self::Count | Self::Number | Self::Text => "",
        }
    }

    /// Why a logged value is impossible, where it is. NaN stands for what was not measured.
    pub fn fault(self, value: f64) -> Option<&'static str> {
        // Estimates of nats may lie a little below 0.
        const LOWEST: f64 = -1000.0;
        match self {
            _ if value.is_nan() => None,
            Self::Share | Self::Distance | Self::Mass if !(-1e-9..=1.0 + 1e-9).contains(&value) => {
                Some("not between 0 and 1")
            }
            _ if value < LOWEST => Some("lower than any figure of a run"),
            _ => None,
        }
    }
}

impl Spec {
    /// A value as tables show it, with half the width of its interval where that is a number.
    pub fn text(&self, value: f64, half: f64) -> String {
        let Self { unit, digits, .. } = *self;
        let (text, factor, digits) = match unit {
            _ if value.is_nan() => return "-".to_owned(),
            // An interval is narrower than the digits of nearly all.
            Unit::Share => (percent(value), 100.0, digits + 1),
            Unit::Mass => {
                let half = if half.is_nan() { String::new() } else { format!(" ± {half:.0e}") };
                return format!("{value:.digits$e}{half}");
            }
            _ => (format!("{value:.digits$}"), 1.0, digits),
        };
        if half.is_nan() { text } else { format!("{text} ± {:.digits$}", factor * half) }
    }
}

/// A share as a percentage. 100 % is written for all, never for nearly all.
pub fn percent(share: f64) -> String {
    if share.is_nan() {
        return "-".to_owned();
    }
    let rounded = format!("{:.2} %", 100.0 * share);
    if rounded == "100.00 %" && share < 1.0 { format!("{:.4} %", (1e6 * share).floor() / 1e4) } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_all_is_never_written_as_all() {
        assert_eq!(percent(1.0), "100.00 %");
        assert_eq!(percent(0.9999999), "99.9999 %");
        assert_eq!(percent(0.99991), "99.99 %");
        assert_eq!(percent(1.0 / 7.0), "14.29 %");
        assert_eq!(percent(f64::NAN), "-");
    }
}
