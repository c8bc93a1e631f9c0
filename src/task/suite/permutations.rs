//! Permutations of 1 to 8 from statistics of the whole: each element must differ from all before it, and the condition
//! counts over pairs.

use super::{Rows, Schema, Truth, determined, numbers, uniform};

const LENGTH: usize = 8;
const MODULUS: usize = 7;

/// The population: S_8.
pub fn truth() -> Truth {
    let given =
        vec![numbers("inversions", 0..=MODULUS - 1), numbers("descents", 0..=LENGTH - 1), numbers("first", 1..=LENGTH)];
    let mut generated: Vec<_> = (1..=LENGTH).map(|place| numbers(&format!("p{place}"), 1..=LENGTH)).collect();
    // The first element repeats the condition.
    generated[0] = determined(generated[0].clone());
    let mut rows = Rows::new(3 + LENGTH);
    visit(&mut Vec::with_capacity(LENGTH), &mut |permutation| {
        let [inversions, descents] = statistics(permutation);
        let mut row = vec![(inversions % MODULUS) as u16, descents as u16, permutation[0]];
        row.extend(permutation);
        rows.push(&row);
    });
    uniform(Schema::new(given, generated), &rows)
}

/// Every way to go on from these first elements.
fn visit(first: &mut Vec<u16>, found: &mut impl FnMut(&[u16])) {
    if first.len() == LENGTH {
        found(first);
        return;
    }
    for next in 0..LENGTH as u16 {
        if !first.contains(&next) {
            first.push(next);
            visit(first, found);
            first.pop();
        }
    }
}

/// Pairs in falling order, and neighbours in falling order.
fn statistics(permutation: &[u16]) -> [usize; 2] {
    let falls = |(place, value): (usize, &u16)| permutation[place + 1..].iter().filter(|later| *later < value).count();
    let descents = permutation.windows(2).filter(|pair| pair[1] < pair[0]).count();
    [permutation.iter().enumerate().map(falls).sum(), descents]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_known_permutations() {
        assert_eq!(statistics(&[0, 1, 2, 3, 4, 5, 6, 7]), [0, 0]);
        assert_eq!(statistics(&[7, 6, 5, 4, 3, 2, 1, 0]), [28, 7]);
        assert_eq!(statistics(&[1, 0, 3, 2, 4, 5, 7, 6]), [3, 3]);
    }
}
