//! The figures of finished trials that charts show.

use crate::experiment::{Mean, Run, Setting, Table, TableError, UNCHANGED, settings, values};
use crate::figures::{Axis, Scale, number as written};

/// The keys of KL weights and of latent sizes.
pub const BETA: &str = "beta.value";
pub const LATENT: &str = "model.latent_dim";

/// A figure of a finished trial.
#[derive(Clone, Copy)]
pub struct Measure {
    /// Its name, with the unit.
    pub title: &'static str,
    /// Whether it is a share.
    pub share: bool,
    /// What it can be at the least and at the most.
    pub possible: (f64, f64),
    /// Whether large values are good; none where neither end is.
    pub rises: Option<bool>,
    /// A column without which it is left out; the other columns every trial has.
    optional: Option<&'static str>,
    /// Its value.
    pub of: fn(&Table) -> Result<f64, TableError>,
}

/// One number of a trial's metrics.
///
/// # Errors
/// When there is no such column, or no number in it.
pub fn number(table: &Table, column: &str) -> Result<f64, TableError> {
    Ok(table.numbers(column)?.first().copied().unwrap_or(f64::NAN))
}

/// What shares and distances can be; a model may cover more than is expected of a perfect one, by luck.
const SHARE: (f64, f64) = (0.0, 1.0);
/// What losses above their floor and divergences can be.
const NATS: (f64, f64) = (0.0, f64::INFINITY);

pub const PASS: Measure = Measure {
    title: "greedy pass rate",
    share: true,
    possible: SHARE,
    rises: Some(true),
    optional: None,
    of: |table| number(table, "greedy_pass"),
};

pub const HELD_OUT: Measure = Measure {
    title: "greedy pass, held out",
    share: true,
    possible: SHARE,
    rises: Some(true),
    optional: None,
    of: |table| number(table, "greedy_pass_held_out"),
};

pub const SAMPLED: Measure = Measure {
    title: "sampled pass rate",
    share: true,
    possible: SHARE,
    rises: Some(true),
    optional: None,
    of: |table| number(table, "sampled_pass"),
};

pub const COVERAGE: Measure = Measure {
    title: "greedy coverage / perfect",
    share: true,
    possible: SHARE,
    rises: Some(true),
    optional: None,
    of: |table| Ok(number(table, "greedy_coverage")? / number(table, "expected_coverage")?),
};

pub const TV: Measure = Measure {
    title: "greedy tv above noise",
    share: false,
    possible: SHARE,
    rises: Some(false),
    optional: None,
    of: |table| Ok(number(table, "greedy_tv")? - number(table, "expected_tv")?),
};

pub const KL: Measure = Measure {
    title: "KL, nats",
    share: false,
    possible: NATS,
    rises: None,
    optional: None,
    of: |table| number(table, "test_kl"),
};

pub const NLL: Measure = Measure {
    title: "NLL above floor, nats",
    share: false,
    possible: NATS,
    rises: Some(false),
    optional: Some("test_nll_gap"),
    of: |table| number(table, "test_nll_gap"),
};

pub const INFORMATION: Measure = Measure {
    title: "I(z; date | condition), nats",
    share: false,
    possible: NATS,
    rises: Some(true),
    optional: Some("test_mi"),
    of: |table| number(table, "test_mi"),
};

pub const ELBO: Measure = Measure {
    title: "−ELBO above floor, nats",
    share: false,
    possible: NATS,
    rises: Some(false),
    optional: None,
    of: |table| Ok(number(table, "test_elbo")? - number(table, "test_entropy_floor")?),
};

impl Measure {
    /// Whether every finished trial of a run has it.
    pub fn is_in(&self, run: &Run) -> bool {
        let has = |column| run.trials.iter().filter_map(|trial| trial.metrics()).all(|table| table.has(column));
        self.optional.is_none_or(has)
    }

    /// An axis for these values.
    pub fn axis(&self, means: impl IntoIterator<Item = f64>) -> Axis {
        let possible = Some(self.possible);
        if self.share {
            return Axis { possible, ..Axis::of_shares("", means) };
        }
        Axis { possible, zero: true, ..Axis::default() }
    }

    /// The same, where values of several orders of magnitude are to be told apart.
    pub fn wide_axis(&self, means: impl IntoIterator<Item = f64>) -> Axis {
        let means: Vec<f64> = means.into_iter().filter(|mean| mean.is_finite()).collect();
        let (low, high) = means.iter().fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(*v), high.max(*v)));
        let wide = !self.share && low > 0.0 && high > 20.0 * low;
        let axis = self.axis(means);
        if wide { Axis { scale: Scale::Log, ..axis } } else { axis }
    }

    /// A value in words.
    pub fn words(&self, value: f64) -> String {
        match (self.share, value) {
            (_, value) if !value.is_finite() => "–".to_owned(),
            // Nearly all is never written as all.
            (true, value) if value < 1.0 && value > 0.99995 => written((1e6 * value).floor() / 1e4, 4),
            (true, value) if (1.0..1.00005).contains(&value) => "100".to_owned(),
            (true, value) if value > 0.99 => written(100.0 * value, 2),
            (true, value) => written(100.0 * value, 1),
            (false, value) if value.abs() < 0.095 => written(value, 3),
            (false, value) => written(value, 2),
        }
    }

    /// A mean with half its interval, both to the second digit of the latter.
    pub fn interval(&self, mean: &Mean) -> String {
        let scale = if self.share { 100.0 } else { 1.0 };
        let (value, half) = (scale * mean.mean, scale * mean.half);
        if !half.is_finite() && !self.share && value.abs() < 0.0095 {
            return written(value, 4);
        }
        if !(half.is_finite() && value.is_finite()) {
            return self.words(mean.mean);
        }
        if half == 0.0 {
            return format!("{} ± 0", self.words(mean.mean));
        }
        let digits = (1.0 - half.log10().floor()).clamp(if self.share { 1.0 } else { 2.0 }, 4.0) as usize;
        let words = written(value, digits);
        // Nearly all is never written as all.
        if self.share && value < 100.0 && words.starts_with("100") {
            return self.words(mean.mean);
        }
        format!("{words} ± {}", written(half, digits))
    }

    /// Whether an interval reaches where nothing is possible.
    pub fn is_cut(&self, mean: &Mean) -> bool {
        mean.mean - mean.half < self.possible.0 || mean.mean + mean.half > self.possible.1
    }
}

/// What is said of intervals that are cut off.
pub const CUT: &str = "Intervals end where nothing is possible beyond.";

/// Those of a list that a run has, and a note on those that it lacks.
pub fn present(measures: &[Measure], run: &Run) -> (Vec<Measure>, Option<String>) {
    let (there, lacking): (Vec<Measure>, Vec<Measure>) = measures.iter().partition(|measure| measure.is_in(run));
    let names: Vec<&str> = lacking.iter().filter_map(|measure| measure.optional).collect();
    let note = (!names.is_empty()).then(|| format!("Not every trial has a column {}: left out.", names.join(" and ")));
    (there, note)
}

/// A run's settings, each with a name that tells all of it. Labels leave out what most settings share; where no
/// setting is the one that all others change, a reader would have to guess its KL weight.
pub fn named(run: &Run) -> Vec<Setting<'_>> {
    let mut settings = settings(&run.trials);
    let weights = values(&run.trials, BETA).len();
    if weights > 1 && settings.iter().all(|setting| setting.label != UNCHANGED) {
        for setting in &mut settings {
            let weight = format!("β = {}", setting.value(BETA).unwrap_or("none"));
            if !setting.label.contains(&weight) {
                setting.label += &format!(", {weight}");
            }
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_written_to_the_digits_of_their_intervals() {
        let words = |measure: Measure, mean, half| measure.interval(&Mean { mean, half });
        assert_eq!(words(PASS, 0.999_973, 0.000_055), "99.9973 ± 0.0055");
        assert_eq!(words(PASS, 0.602, 0.0277), "60.2 ± 2.8");
        assert_eq!(words(PASS, 1.0, 0.0), "100 ± 0");
        assert_eq!(words(PASS, 0.999_999_9, 0.000_000_1), "99.9999");
        assert_eq!(words(PASS, 0.228, f64::NAN), "22.8");
        assert_eq!(words(NLL, 0.0123, 0.0019), "0.0123 ± 0.0019");
        assert_eq!(words(NLL, 0.0031, f64::NAN), "0.0031");
        assert_eq!(words(TV, -0.2, 0.31), "−0.20 ± 0.31");
        assert!(PASS.is_cut(&Mean { mean: 0.6, half: 1.7 }) && !PASS.is_cut(&Mean { mean: 0.6, half: f64::NAN }));
    }
}
