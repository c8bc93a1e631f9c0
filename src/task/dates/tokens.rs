//! Tokens: what the model reads and writes of a date. Decade, month, year digit, day: easy first,
//! since the first two repeat the condition and the day depends on everything before it.

use super::calendar::{Date, DateError, Month};
use super::condition::Decade;

/// A field of a date, in the order of generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Decade of the year, 41 values.
    Decade,
    /// Month, 12 values.
    Month,
    /// Last digit of the year, 10 values.
    Digit,
    /// Day of the month, 31 values.
    Day,
}

impl Field {
    /// All fields in the order of generation.
    pub const ALL: [Field; 4] = [Field::Decade, Field::Month, Field::Digit, Field::Day];

    /// Number of values.
    pub fn size(self) -> usize {
        DATE_FIELDS[self as usize]
    }

    /// The field's name in weights, tables and messages.
    pub fn name(self) -> &'static str {
        ["decade", "month", "digit", "day"][self as usize]
    }
}

/// Sizes of the date's one-hot blocks, in the order of generation.
pub const DATE_FIELDS: [usize; 4] = [Decade::COUNT, Month::COUNT, 10, 31];
/// Width of the date as concatenated one-hot blocks.
pub const DATE_WIDTH: usize = Decade::COUNT + Month::COUNT + 10 + 31;

/// Four tokens as a network generates them: each in its field's range, together perhaps no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateTokens([u8; 4]);

impl DateTokens {
    /// Number of token combinations, dates or not.
    pub const COUNT: usize = Decade::COUNT * Month::COUNT * 10 * 31;

    /// Tokens with these indices, in the order of [`Field::ALL`]; none if one lies outside its field.
    pub fn from_indices(indices: [usize; 4]) -> Option<Self> {
        let inside = indices.iter().zip(DATE_FIELDS).all(|(index, size)| *index < size);
        inside.then(|| Self(indices.map(|index| index as u8)))
    }

    /// Tokens from a row of value indices; none if one lies outside its field.
    pub fn from_row(row: &[u16]) -> Option<Self> {
        let row: [u16; 4] = row.try_into().ok()?;
        Self::from_indices(row.map(usize::from))
    }

    /// Value indices in the order of [`Field::ALL`].
    pub fn row(self) -> [u16; 4] {
        self.0.map(u16::from)
    }

    /// The tokens of a date.
    pub fn of(date: Date) -> Self {
        let decade = date.year() / 10 - Decade::FIRST;
        Self([decade, date.month().index(), date.year() % 10, date.day() - 1].map(|index| index as u8))
    }

    /// Indices in the order of [`Field::ALL`].
    pub fn indices(self) -> [usize; 4] {
        self.0.map(usize::from)
    }

    /// Dense index in `0..COUNT`.
    pub fn index(self) -> usize {
        self.indices().iter().zip(DATE_FIELDS).fold(0, |index, (value, size)| index * size + value)
    }

    /// Day of the month (1..=31), month (1..=12) and year as plain numbers, whether or not they make a date.
    pub fn numbers(self) -> (u32, u32, u32) {
        let [decade, month, digit, day] = self.0.map(u32::from);
        (day + 1, month + 1, (Decade::FIRST as u32 + decade) * 10 + digit)
    }

    /// The date that the tokens make.
    ///
    /// # Errors
    /// When there is no such day or it lies past 2200.
    pub fn date(self) -> Result<Date, DateError> {
        let (day, month, year) = self.numbers();
        Date::new(day, month, year)
    }
}

impl std::fmt::Display for DateTokens {
    /// `day-month-year`, whether or not that date exists.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::with_capacity("31-12-2200".len());
        self.append_to(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl DateTokens {
    /// Appends `day-month-year`, whether or not that date exists.
    pub fn append_to(&self, text: &mut Vec<u8>) {
        let (day, month, year) = self.numbers();
        let digit = |number: u32| b'0' + (number % 10) as u8;
        for number in [day, month] {
            text.extend((number >= 10).then(|| digit(number / 10)));
            text.extend([digit(number), b'-']);
        }
        text.extend([1000, 100, 10, 1].map(|place| digit(year / place)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_may_be_no_date() {
        let date = Date::new(29, 2, 2000).unwrap();
        let tokens = DateTokens::of(date);
        assert_eq!(tokens.indices(), [20, 1, 0, 28]);
        assert_eq!(tokens.date(), Ok(date));
        let nonsense = DateTokens::from_indices([10, 1, 0, 28]).unwrap();
        assert_eq!(nonsense.to_string(), "29-2-1900");
        assert!(nonsense.date().is_err());
        assert_eq!(DateTokens::from_indices([40, 0, 1, 0]).unwrap().date(), Err(DateError::OutOfRange(2201)));
        assert_eq!(DateTokens::from_indices([41, 0, 0, 0]), None);
    }
}
