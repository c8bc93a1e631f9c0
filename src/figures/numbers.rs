//! How charts write numbers: with a minus sign and no hyphen, and commas between thousands.

/// A number with so many digits after the point.
pub fn number(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    // What rounds to 0 has no sign.
    let sign = if value < 0.0 && text.contains(|digit: char| ('1'..='9').contains(&digit)) { "−" } else { "" };
    format!("{sign}{grouped}{rest}")
}

/// A whole number.
pub fn count(value: usize) -> String {
    number(value as f64, 0)
}

/// A number as short as it can be written: 0.02, 1, 16.
pub fn shortest(value: f64) -> String {
    number(value, 9).trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_minus_sign_and_thousands() {
        assert_eq!([-0.5, 1234.56, -0.04, 999.0].map(|value| number(value, 1)), ["−0.5", "1,234.6", "0.0", "999.0"]);
        assert_eq!((count(6804), count(146_462), count(10)), ("6,804".into(), "146,462".into(), "10".into()));
        assert_eq!([0.02, 1.0, 99.99, 20_000.0].map(shortest), ["0.02", "1", "99.99", "20,000"]);
    }
}
