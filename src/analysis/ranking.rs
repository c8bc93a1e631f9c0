//! Which setting is best.

use super::settings::{Setting, UNCHANGED};
use crate::metrics::{Direction, Measure};

/// Settings by a measure, the best first; those without a number come last. Equal ones are in the order of what they cover,
/// then of how far their NLL is above the floor: a model with a collapsed code can pass as well as any.
pub fn ranked(mut settings: Vec<Setting<'_>>, measure: Measure) -> Vec<Setting<'_>> {
    // As a minimum, NaN loses against infinity.
    let key = |setting: &Setting, measure: Measure| {
        let sign = if measure.spec().direction == Direction::Higher { -1.0 } else { 1.0 };
        (sign * setting.mean(measure).mean).min(f64::INFINITY)
    };
    let by = [measure, Measure::GreedyCoverageRatio, Measure::NLL_GAP];
    let order = |a: &Setting, b: &Setting| by.map(|measure| key(a, measure).total_cmp(&key(b, measure)));
    settings
        .sort_by(|a, b| order(a, b).into_iter().find(|order| order.is_ne()).unwrap_or_else(|| a.label.cmp(&b.label)));
    settings
}

/// The best setting. Candidates are those whose pass rate (held out, where conditions are) is within 0.001 of the
/// highest; of these, those whose coverage is within 0.01 of the highest; of these, those whose NLL is within 0.01
/// nats of the lowest. Pass rates alone do not decide, since a model with a collapsed code can pass as well as any. What
/// is left differs by less than seeds do: the unchanged setting stands for it where it is there, else the one with the
/// highest pass rate. Where none has finished it is the first.
pub fn best<'a>(settings: Vec<Setting<'a>>) -> Option<Setting<'a>> {
    let mut rest = near(settings, pass, 0.001);
    rest = near(rest, |setting| setting.mean(Measure::GreedyCoverageRatio).mean, 0.01);
    rest = near(rest, |setting| -setting.mean(Measure::NLL_GAP).mean, 0.01);
    match rest.iter().position(|setting| setting.label == UNCHANGED) {
        Some(unchanged) => Some(rest.swap_remove(unchanged)),
        None => near(rest, pass, 0.0).into_iter().next(),
    }
}

/// The pass rate, held out where conditions are.
fn pass(setting: &Setting<'_>) -> f64 {
    let held_out = setting.mean(Measure::GreedyPassValidation).mean;
    if held_out.is_finite() { held_out } else { setting.mean(Measure::GreedyPass).mean }
}

/// The settings whose figure is within this of the highest; all where none has one.
fn near<'a>(settings: Vec<Setting<'a>>, figure: impl Fn(&Setting<'a>) -> f64, within: f64) -> Vec<Setting<'a>> {
    let figures: Vec<f64> = settings.iter().map(figure).collect();
    let Some(highest) = figures.iter().copied().filter(|figure| figure.is_finite()).max_by(f64::total_cmp) else {
        return settings;
    };
    settings
        .into_iter()
        .zip(figures)
        .filter(|(_, figure)| *figure >= highest - within)
        .map(|(setting, _)| setting)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::settings::settings;
    use super::super::settings::tests::trial;
    use super::*;
    use crate::experiment::RunTrial;

    /// A trial with this pass rate, coverage and NLL gap.
    fn scored(heads: &str, pairing: &str, [pass, coverage, gap]: [f64; 3]) -> RunTrial {
        let figures = [
            (Measure::GreedyPass, pass),
            (Measure::GreedyPassValidation, pass),
            (Measure::GreedyCoverage, coverage),
            (Measure::PerfectCoverage, 1.0),
            (Measure::NLL_GAP, gap),
        ];
        trial(&[("seed", "1"), ("model.heads", heads), ("objective.pairing", pairing)], &figures)
    }

    #[test]
    fn a_collapsed_code_that_passes_is_not_the_best() {
        let label = |trials: &[RunTrial]| best(settings(trials)).unwrap().label;
        let usual = scored("auto", "balanced", [0.99997, 0.9998, 0.012]);
        let collapsed = scored("auto", "own", [1.0, 0.6, 0.002]);
        let loose = scored("auto", "posterior", [1.0, 0.9997, 0.17]);
        let worse = scored("independent", "balanced", [0.2, 1.0, 0.0]);
        let other = scored("mixed", "balanced", [0.3, 1.0, 0.0]);
        assert_eq!(label(&[worse.clone(), collapsed.clone(), loose, other, usual]), UNCHANGED);
        // What is clearly better is taken.
        assert_eq!(label(&[worse, collapsed, scored("auto", "balanced", [0.9, 1.0, 0.0])]), "pairing = own");
    }

    #[test]
    fn equal_ones_are_in_the_order_of_what_they_cover() {
        let trials = [scored("a", "own", [1.0, 0.6, 0.001]), scored("b", "own", [1.0, 0.99, 0.003])];
        let order = ranked(settings(&trials), Measure::GreedyPassValidation);
        assert_eq!(order[0].label, "heads = b");
    }

    #[test]
    fn the_best_comes_first_by_the_direction_of_the_measure_and_nan_last() {
        let of = |heads: &str, pass: f64, elbo: f64| {
            trial(&[("model.heads", heads)], &[(Measure::GreedyPass, pass), (Measure::TestElbo, elbo)])
        };
        let trials = [of("a", 0.5, f64::NAN), of("b", 0.9, 4.0), of("c", f64::NAN, 3.0)];
        let order =
            |measure| ranked(settings(&trials), measure).into_iter().map(|setting| setting.label).collect::<Vec<_>>();
        assert_eq!(order(Measure::GreedyPass), ["heads = b", "heads = a", "heads = c"]);
        assert_eq!(order(Measure::TestElbo), ["heads = c", "heads = b", "heads = a"]);
    }
}
