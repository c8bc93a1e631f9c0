//! Five numbers modulo 11 from three polynomials in them: no column alone says anything about the condition, and the
//! last two columns have to solve for it.

use super::{Rows, Schema, Truth, numbers, uniform};

const MODULUS: usize = 11;

/// The population: all of Z_11^5.
pub fn truth() -> Truth {
    let column = |name: &str| numbers(name, 0..=MODULUS - 1);
    let given = ["sum", "squares", "products"].map(column).to_vec();
    let generated = ["y1", "y2", "y3", "y4", "y5"].map(column).to_vec();
    let mut rows = Rows::new(8);
    for index in 0..MODULUS.pow(5) {
        let y = [4, 3, 2, 1, 0].map(|place| index / MODULUS.pow(place) % MODULUS);
        let sum = y.iter().sum::<usize>();
        let squares = y.iter().map(|value| value * value).sum::<usize>();
        let given = [sum, squares, y[0] * y[1] + y[2] * y[3]].map(|value| value % MODULUS);
        let row = [given[0], given[1], given[2], y[0], y[1], y[2], y[3], y[4]];
        rows.push(&row.map(|value| value as u16));
    }
    uniform(Schema::new(given, generated), &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_alone_solves_its_condition_together_with_others() {
        let truth = truth();
        let group = truth.find(&[0, 0, 0]).unwrap();
        assert_eq!(truth.rank(group, &[0; 5]), Some(0));
        let group = truth.find(&[15 % 11, 55 % 11, 14 % 11]).unwrap();
        assert!(truth.rank(group, &[1, 2, 3, 4, 5]).is_some());
    }
}
