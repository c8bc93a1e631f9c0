//! How charts show measures: their axes, and their values in words.

use crate::analysis::{Mean, Setting};
use crate::figures::{Axis, Scale, number as written};
use crate::metrics::{Measure, Unit};

/// Whether a measure is a share.
pub fn is_share(measure: Measure) -> bool {
    measure.spec().unit == Unit::Share
}

/// A measure's name with its unit, but for shares, whose axes say it.
pub fn title(measure: Measure) -> String {
    let spec = measure.spec();
    match spec.unit.name() {
        "" | "%" => spec.title.to_owned(),
        unit => format!("{}, {unit}", spec.title),
    }
}

/// An axis for these values of a measure.
pub fn axis(measure: Measure, means: impl IntoIterator<Item = f64>) -> Axis {
    let possible = Some(measure.spec().unit.possible());
    if is_share(measure) {
        return Axis { possible, ..Axis::of_shares("", means) };
    }
    Axis { possible, zero: true, ..Axis::default() }
}

/// Nats that are rounding: what a model without a code has of mutual information, say.
const ROUNDING: f64 = 1e-6;

/// The same, logarithmic where the values span several orders of magnitude.
pub fn wide_axis(measure: Measure, means: impl IntoIterator<Item = f64>) -> Axis {
    let means: Vec<f64> = means.into_iter().filter(|mean| mean.is_finite()).collect();
    let (low, high) = means.iter().fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(*v), high.max(*v)));
    let least = if measure.spec().unit == Unit::Nats { ROUNDING } else { 0.0 };
    let wide = !is_share(measure) && low > least && high > 20.0 * low;
    let axis = axis(measure, means);
    if wide { Axis { scale: Scale::Log, ..axis } } else { axis }
}

/// A value in words.
pub fn words(measure: Measure, value: f64) -> String {
    match (is_share(measure), value) {
        (_, value) if !value.is_finite() => "–".to_owned(),
        (false, value) if measure.spec().unit == Unit::Mass => format!("{value:.1e}"),
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
pub fn interval(measure: Measure, mean: &Mean) -> String {
    if measure.spec().unit == Unit::Mass {
        let half = if mean.half.is_finite() { format!(" ± {:.0e}", mean.half) } else { String::new() };
        return format!("{}{half}", words(measure, mean.mean));
    }
    let share = is_share(measure);
    let scale = if share { 100.0 } else { 1.0 };
    let (value, half) = (scale * mean.mean, scale * mean.half);
    if !half.is_finite() && !share && value.abs() < 0.0095 {
        return written(value, 4);
    }
    if !(half.is_finite() && value.is_finite()) {
        return words(measure, mean.mean);
    }
    if half == 0.0 {
        return format!("{} ± 0", words(measure, mean.mean));
    }
    let digits = (1.0 - half.log10().floor()).clamp(if share { 1.0 } else { 2.0 }, 4.0) as usize;
    let text = written(value, digits);
    // Nearly all is never written as all.
    if share && value < 100.0 && text.starts_with("100") {
        return words(measure, mean.mean);
    }
    format!("{text} ± {}", written(half, digits))
}

/// Whether an interval reaches values that are impossible.
pub fn is_cut(measure: Measure, mean: &Mean) -> bool {
    let (least, most) = measure.spec().unit.possible();
    mean.mean - mean.half < least || mean.mean + mean.half > most
}

/// What is said of intervals that are cut off.
pub const CUT: &str = "Intervals end where nothing is possible beyond.";

/// Those of a list that every finished trial of the settings has, and a note on the others.
pub fn present(measures: &[Measure], settings: &[Setting<'_>]) -> (Vec<Measure>, Option<String>) {
    let has = |measure: &Measure| settings.iter().all(|setting| setting.has(*measure));
    let (there, lacking): (Vec<Measure>, Vec<Measure>) = measures.iter().partition(|measure| has(measure));
    let names: Vec<String> = lacking.iter().map(|measure| title(*measure)).collect();
    let note =
        (!names.is_empty()).then(|| format!("Not shown, since some trials did not log it: {}.", names.join("; ")));
    (there, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_written_to_the_digits_of_their_intervals() {
        let words = |measure: Measure, mean, half| interval(measure, &Mean { mean, half });
        assert_eq!(words(Measure::GreedyPass, 0.999_973, 0.000_055), "99.9973 ± 0.0055");
        assert_eq!(words(Measure::GreedyPass, 0.602, 0.0277), "60.2 ± 2.8");
        assert_eq!(words(Measure::GreedyPass, 1.0, 0.0), "100 ± 0");
        assert_eq!(words(Measure::GreedyPass, 0.999_999_9, 0.000_000_1), "99.9999");
        assert_eq!(words(Measure::GreedyPass, 0.228, f64::NAN), "22.8");
        assert_eq!(words(Measure::NLL_GAP, 0.0123, 0.0019), "0.0123 ± 0.0019");
        assert_eq!(words(Measure::NLL_GAP, 0.0031, f64::NAN), "0.0031");
        assert_eq!(words(Measure::INVALID_MASS, 4.53e-5, 1.2e-6), "4.5e-5 ± 1e-6");
        assert!(is_cut(Measure::GreedyPass, &Mean { mean: 0.6, half: 1.7 }));
        assert!(!is_cut(Measure::GreedyPass, &Mean { mean: 0.6, half: f64::NAN }));
    }

    #[test]
    fn titles_name_their_units() {
        assert_eq!(title(Measure::NLL_GAP), "NLL gap, nats");
        assert_eq!(
            (title(Measure::GreedyPass), title(Measure::TestKl)),
            ("greedy pass rate".into(), "KL, nats".into())
        );
    }
}
