//! Functions of one number, written without branches and calls so that loops over them become vector code.
//!
//! Coefficients are those of the Cephes library (Moshier 1989); errors stay below 2e-7 of the result.
//! What is fused is written so, and nothing else is: a result depends on no machine's instructions. A machine without
//! fused operations has them computed, exactly and slowly.

/// Where e^x rounds to 0 among normal numbers.
const LOWEST: f32 = -87.0;
/// Where e^x stops being finite.
const HIGHEST: f32 = 88.0;
/// Adding this rounds to a whole number and leaves it, plus the exponent's bias, in the lowest bits.
const ROUND_TO_EXPONENT: f32 = 12_582_912.0 + 127.0;
/// Adding this rounds to a whole number and leaves it in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts: multiples of the first are exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// pi / 2 in three parts: multiples of the first two are exact.
const HALF_PI: [f32; 3] = [1.570_312_5, 4.837_513e-4, 7.549_79e-8];

/// e^x; 0 below -87, finite above 88.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let power = positive_exp(x);
    if x < LOWEST { 0.0 } else { power }
}

/// e^x; that of -87 below it, finite above 88.
#[inline(always)]
fn positive_exp(x: f32) -> f32 {
    // Comparisons in place of `min` and `max`: no number stays no number.
    let bounded = if x < LOWEST { LOWEST } else { x };
    let bounded = if bounded > HIGHEST { HIGHEST } else { bounded };
    let shifted = bounded.mul_add(std::f32::consts::LOG2_E, ROUND_TO_EXPONENT);
    let whole = shifted - ROUND_TO_EXPONENT;
    let rest = whole.mul_add(-LN_2[1], whole.mul_add(-LN_2[0], bounded));
    let mut sum = 1.987_569_1e-4f32;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1] {
        sum = sum.mul_add(rest, coefficient);
    }
    (sum * rest).mul_add(rest, rest + 1.0) * f32::from_bits(shifted.to_bits() << 23)
}

/// The logistic function.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    // What is left of e^-x where it rounds to 0 is nothing beside 1.
    1.0 / (1.0 + positive_exp(-x))
}

/// x sigmoid(x) and its slope.
#[inline(always)]
pub fn silu(x: f32) -> (f32, f32) {
    let gate = sigmoid(x);
    let value = x * gate;
    (value, value.mul_add(1.0 - gate, gate))
}

/// The hyperbolic tangent, within 2e-7 absolutely.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// Sine and cosine of up to some thousand radians.
#[inline(always)]
pub fn sin_cos(x: f32) -> (f32, f32) {
    let shifted = x.mul_add(std::f32::consts::FRAC_2_PI, ROUND);
    let whole = shifted - ROUND;
    let quadrant = shifted.to_bits();
    let rest = HALF_PI.iter().fold(x, |rest, part| whole.mul_add(-part, rest));
    let square = rest * rest;
    let sin = square.mul_add(square.mul_add(-1.951_529_6e-4f32, 8.332_161e-3), -1.666_665_5e-1);
    let sin = (sin * square).mul_add(rest, rest);
    let cos = square.mul_add(square.mul_add(2.443_315_7e-5, -1.388_731_6e-3), 4.166_664_6e-2);
    let cos = (cos * square).mul_add(square, square.mul_add(-0.5, 1.0));
    let (first, second) = if quadrant & 1 == 0 { (sin, cos) } else { (cos, sin) };
    // Quadrants 2 and 3 turn the sine's sign, 1 and 2 the cosine's.
    let sine_sign = (quadrant & 2) << 30;
    let cosine_sign = ((quadrant ^ (quadrant << 1)) & 2) << 30;
    (f32::from_bits(first.to_bits() ^ sine_sign), f32::from_bits(second.to_bits() ^ cosine_sign))
}

/// Numbers that are added or compared side by side.
pub const LANES: usize = 16;

/// The combination of so many numbers by a function that may take them in any order.
#[inline(always)]
pub fn fold(lanes: [f32; LANES], combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = lanes;
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = combine(lanes[lane], lanes[lane + half]);
        }
    }
    lanes[0]
}

/// The larger of two numbers.
#[inline(always)]
pub fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The highest of some numbers; the lowest of all numbers where there are none.
#[inline(always)]
pub fn highest(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::MIN; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(highest, value)| *highest = larger(*value, *highest));
    }
    rest.iter().fold(fold(lanes, larger), |highest, value| larger(*value, highest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from `low` to `high` in steps that no binary fraction meets.
    fn grid(low: f32, high: f32) -> impl Iterator<Item = f32> {
        (0..=100_000).map(move |step| low + (high - low) * (step as f32 / 100_000.0))
    }

    fn close(value: f32, exact: f64, tolerance: f64) -> bool {
        (f64::from(value) - exact).abs() <= tolerance
    }

    #[test]
    fn exponentials_are_exact_to_the_last_bits() {
        for x in grid(-86.9, 88.0) {
            let exact = f64::from(x).exp();
            assert!(close(exp(x), exact, 2e-7 * exact), "{x}: {} {exact}", exp(x));
        }
        assert_eq!((exp(0.0), exp(-88.0), exp(-1e30)), (1.0, 0.0, 0.0));
        assert!(exp(1e30).is_finite() && exp(f32::NAN).is_nan());
    }

    #[test]
    fn units_and_their_slopes_are_those_of_the_formulas() {
        for x in grid(-30.0, 30.0) {
            let wide = f64::from(x);
            let gate = 1.0 / (1.0 + (-wide).exp());
            let (value, slope) = silu(x);
            assert!(close(value, wide * gate, 3e-7 * (wide * gate).abs()), "{x}");
            assert!(close(slope, gate * (1.0 + wide * (1.0 - gate)), 1e-6), "{x}");
            assert!(close(tanh(x), wide.tanh(), 2e-7), "{x}");
        }
    }

    #[test]
    fn sines_and_cosines_hold_far_from_zero() {
        for x in grid(-2000.0, 2000.0).chain(grid(-7.0, 7.0)) {
            let (sin, cos) = sin_cos(x);
            let wide = f64::from(x);
            assert!(close(sin, wide.sin(), 2e-7) && close(cos, wide.cos(), 2e-7), "{x}: {sin} {cos}");
        }
    }

    #[test]
    fn folding_reaches_all_lanes() {
        let lanes: [f32; 16] = std::array::from_fn(|lane| (lane as f32 * 7.0) % 16.0);
        assert_eq!(fold(lanes, |a, b| a + b), 120.0);
        assert_eq!(fold(lanes, larger), 15.0);
        for count in [1, 15, 16, 41] {
            let values: Vec<f32> = (0..count).map(|place| ((place * 29) % 41) as f32 - 50.0).collect();
            assert_eq!(highest(&values), values.iter().copied().fold(f32::MIN, f32::max));
        }
    }
}
