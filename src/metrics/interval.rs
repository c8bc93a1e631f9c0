//! How far a mean over conditions or seeds can be trusted.

/// Half the width of the 95 % confidence interval of a mean, in the values' unit; NaN for fewer than two.
///
/// Student's t with n - 1 degrees of freedom times the standard error: for the few seeds of a sweep its
/// quantile matters, over thousands of conditions it is the normal's 1.96.
pub fn half_width(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if n < 2.0 {
        return f64::NAN;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    t_quantile(values.len() - 1) * (squares / (n - 1.0) / n).sqrt()
}

/// The 97.5 % quantile of Student's t: a table for few degrees of freedom, above them the expansion of
/// Abramowitz and Stegun 1964, 26.7.5, which is off by less than 10^-3 there.
fn t_quantile(degrees: usize) -> f64 {
    const TABLE: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    const Z: f64 = 1.959_964;
    if let Some(quantile) = degrees.checked_sub(1).and_then(|place| TABLE.get(place)) {
        return *quantile;
    }
    let v = degrees as f64;
    let first = (Z.powi(3) + Z) / (4.0 * v);
    let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / (96.0 * v * v);
    let third = (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / (384.0 * v.powi(3));
    Z + first + second + third
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, quantile) in [(1, 12.706), (4, 2.776), (11, 2.2010), (30, 2.0423), (679, 1.9635)] {
            assert!((t_quantile(degrees) - quantile).abs() < 1e-3, "{degrees}: {}", t_quantile(degrees));
        }
    }

    #[test]
    fn the_half_width_of_two_values_is_the_closed_form() {
        // Standard deviation sqrt(2), standard error 1.
        assert!((half_width(&[1.0, 3.0]) - 12.706).abs() < 1e-9);
        assert_eq!(half_width(&[2.0, 2.0, 2.0]), 0.0);
        assert!(half_width(&[1.0]).is_nan());
    }

    #[test]
    fn intervals_hold_the_true_mean_19_times_out_of_20() {
        let mut random = stream(1, Purpose::Samples, 0);
        let mut held = 0;
        for _ in 0..4000 {
            let values: Vec<f64> = (0..5).map(|_| random.sample(StandardNormal)).collect();
            held += usize::from((values.iter().sum::<f64>() / 5.0).abs() <= half_width(&values));
        }
        assert!((held as f64 / 4000.0 - 0.95).abs() < 0.012, "{held}");
    }
}
