//! The challenge's files: every date with its conditions, and conditions only.

use std::io::{self, Write};

use jiff::civil;

use super::calendar::{FIRST_YEAR, LAST_YEAR, Month, Weekday};
use super::condition::format_conditions;

/// Name of the file with every date.
pub const DATA_FILE: &str = "data.txt";
/// Name of the file with conditions only.
pub const EXAMPLE_FILE: &str = "example_input.txt";
/// The example takes every so many-th line of the data, starting with the first.
pub const EXAMPLE_STRIDE: usize = 100;

/// A range of years, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct YearRange {
    first: i16,
    last: i16,
}

/// Why two years are no range to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YearRangeError {
    /// The range is empty.
    #[error("the first year, {first}, comes after the last, {last}; swap --from and --to")]
    Empty {
        /// First year as given.
        first: i16,
        /// Last year as given.
        last: i16,
    },
    /// A year that the line format can't write.
    #[error(
        "year {0} has no four digits, which the three-digit decade of a line needs; choose years from 1000 to 9999"
    )]
    Digits(i16),
}

impl YearRange {
    /// The years `first..=last`, each of four digits.
    ///
    /// # Errors
    /// When the range is empty or a year has not four digits.
    pub fn new(first: i16, last: i16) -> Result<Self, YearRangeError> {
        if let Some(year) = [first, last].into_iter().find(|year| !(1000..=9999).contains(year)) {
            return Err(YearRangeError::Digits(year));
        }
        if first > last { Err(YearRangeError::Empty { first, last }) } else { Ok(Self { first, last }) }
    }

    /// Every date of the range in the order of the data file: day of the month, then month, then year.
    fn dates(self) -> impl Iterator<Item = civil::Date> {
        let days = 1..=31;
        let fields = days.flat_map(|day| (1..=12).map(move |month| (day, month)));
        fields.flat_map(move |(day, month)| {
            (self.first..=self.last).filter_map(move |year| civil::Date::new(year, month, day).ok())
        })
    }

    /// The condition part of every line, with its date.
    fn lines(self) -> impl Iterator<Item = (String, civil::Date)> {
        self.dates().map(|date| {
            let (weekday, month) = (Weekday::of(date), Month::of(date));
            (format_conditions(weekday, month, date.in_leap_year(), date.year() as usize / 10), date)
        })
    }
}

impl Default for YearRange {
    fn default() -> Self {
        Self { first: FIRST_YEAR, last: LAST_YEAR }
    }
}

/// Writes every date of the range with its conditions; lines are joined, the last is not ended.
/// Returns the number of lines.
///
/// # Errors
/// Those of the writer.
pub fn write_data(range: YearRange, out: &mut impl Write) -> io::Result<usize> {
    let lines =
        range.lines().map(|(conditions, date)| format!("{conditions} {}-{}-{}", date.day(), date.month(), date.year()));
    write_joined(lines, out)
}

/// Writes the conditions of every [`EXAMPLE_STRIDE`]-th line of the data file, starting with the first.
/// Returns the number of lines.
///
/// # Errors
/// Those of the writer.
pub fn write_example(range: YearRange, out: &mut impl Write) -> io::Result<usize> {
    write_joined(range.lines().step_by(EXAMPLE_STRIDE).map(|(conditions, _)| conditions), out)
}

fn write_joined(lines: impl Iterator<Item = String>, out: &mut impl Write) -> io::Result<usize> {
    let mut written = 0;
    for line in lines {
        if written > 0 {
            out.write_all(b"\n")?;
        }
        out.write_all(line.as_bytes())?;
        written += 1;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn hash(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_files_are_the_challenges_byte_for_byte() {
        let mut data = Vec::new();
        assert_eq!(write_data(YearRange::default(), &mut data).unwrap(), 146_462);
        assert_eq!(hash(&data), "fe1f85a9ac098a552a4f6f9d33f98c68f2eb87d284fb365fa9a02ed3f81afbd9");
        let mut example = Vec::new();
        assert_eq!(write_example(YearRange::default(), &mut example).unwrap(), 1465);
        assert_eq!(hash(&example), "e744fd4014fb7d33a1f5567ee5c9cd77062cceb62a04563f10df62f11157238c");
    }

    #[test]
    fn other_ranges_hold_their_years_only() {
        let mut data = Vec::new();
        let lines = write_data(YearRange::new(2000, 2000).unwrap(), &mut data).unwrap();
        assert_eq!(lines, 366);
        let text = String::from_utf8(data).unwrap();
        assert_eq!(text.lines().next(), Some("[SAT] [JAN] [True] [200] 1-1-2000"));
        assert_eq!(text.lines().last(), Some("[SUN] [DEC] [True] [200] 31-12-2000"));
        assert!(!text.ends_with('\n'));
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused() {
        assert_eq!(YearRange::new(1901, 1900), Err(YearRangeError::Empty { first: 1901, last: 1900 }));
        assert_eq!(YearRange::new(999, 1900), Err(YearRangeError::Digits(999)));
        assert_eq!(YearRange::new(1900, 10_000), Err(YearRangeError::Digits(10_000)));
    }
}
