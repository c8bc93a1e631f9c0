//! Dyck words: balanced parentheses. Every prefix must leave a way back to depth 0, and the condition counts over the
//! whole word; some conditions have one word, some thousands.

use super::{Rows, Schema, Truth, names, numbers, uniform};

const PAIRS: usize = 11;
const LENGTH: usize = 2 * PAIRS;

/// The population: the 58,786 words of 11 pairs.
pub fn truth() -> Truth {
    let given = vec![numbers("depth", 1..=PAIRS), numbers("peaks", 1..=PAIRS), numbers("first_return", 1..=PAIRS)];
    let generated = (1..=LENGTH).map(|place| names(&format!("s{place}"), &["(", ")"])).collect();
    let mut rows = Rows::new(3 + LENGTH);
    visit(&mut Vec::with_capacity(LENGTH), 0, &mut |word| {
        let mut row: Vec<u16> = statistics(word).map(|value| value as u16 - 1).to_vec();
        row.extend(word);
        rows.push(&row);
    });
    uniform(Schema::new(given, generated), &rows)
}

/// Every way to close these first parentheses, of which so many are open.
fn visit(first: &mut Vec<u16>, open: usize, found: &mut impl FnMut(&[u16])) {
    let left = LENGTH - first.len();
    if left == 0 {
        found(first);
        return;
    }
    let mut step = |closes: u16, open: usize| {
        first.push(closes);
        visit(first, open, found);
        first.pop();
    };
    if open < left {
        step(0, open + 1);
    }
    if open > 0 {
        step(1, open - 1);
    }
}

/// The greatest depth, the number of `()`, and the pairs up to the first return to depth 0.
fn statistics(word: &[u16]) -> [usize; 3] {
    let (mut open, mut depth, mut first_return) = (0usize, 0, 0);
    for (place, closes) in word.iter().enumerate() {
        open = if *closes == 1 { open - 1 } else { open + 1 };
        depth = depth.max(open);
        if open == 0 && first_return == 0 {
            first_return = place.div_ceil(2);
        }
    }
    [depth, word.windows(2).filter(|pair| *pair == [0, 1]).count(), first_return]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_known_words() {
        let of = |word: &str| statistics(&word.chars().map(|step| u16::from(step == ')')).collect::<Vec<_>>());
        assert_eq!(of("()()()()()()()()()()()"), [1, 11, 1]);
        assert_eq!(of("((((((((((()))))))))))"), [11, 1, 11]);
        assert_eq!(of("(()())((()))()(())(())"), [3, 6, 3]);
    }
}
