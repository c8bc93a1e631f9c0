//! Where ticks stand and how many digits tell them apart.

/// About so many round numbers from `low` to `high`: steps of 1, 2 or 5 times a power of ten.
pub fn nice(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let rough = (high - low) / wanted.max(1) as f64;
    if !rough.is_finite() || rough <= 0.0 {
        return Vec::new();
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= 0.99 * rough);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|place| place as f64 * step).collect()
}

/// Logarithms of powers of ten within these ends, of 2 and 5 times such where there are few.
pub fn logarithmic(low: f64, high: f64) -> Vec<f64> {
    let factors: &[f64] = if high - low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let powers = low.floor() as i32..=high.ceil() as i32;
    let ticks = powers.flat_map(|power| factors.iter().map(move |factor| f64::from(power) + factor.log10()));
    ticks.filter(|tick| (low..=high).contains(tick)).collect()
}

/// Digits after the point that a step of this size needs.
pub fn decimals(step: f64) -> usize {
    if !step.is_finite() || step <= 0.0 {
        return 2;
    }
    (0..6)
        .find(|digits| {
            (step * 10f64.powi(*digits)).fract().abs() < 1e-6 * 10f64.powi(*digits)
                || (step * 10f64.powi(*digits)).fract() > 1.0 - 1e-6
        })
        .unwrap_or(6) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(nice(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(nice(0.0, 12.0, 6), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert!(nice(1.0, 1.0, 5).is_empty());
        assert_eq!(logarithmic(-3.0, 0.0), [-3.0, -2.0, -1.0, 0.0]);
    }

    #[test]
    fn digits_are_as_many_as_tell_ticks_apart() {
        assert_eq!([0.2, 1.0, 0.05, 0.0005, 20.0].map(decimals), [1, 0, 2, 4, 0]);
    }
}
