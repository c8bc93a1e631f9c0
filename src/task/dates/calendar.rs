//! Dates of the proleptic Gregorian calendar inside the benchmark's range, and their parts.

use std::fmt;
use std::str::FromStr;

use jiff::civil;

/// First year of the benchmark's range.
pub const FIRST_YEAR: i16 = 1800;
/// Last year of the benchmark's range.
pub const LAST_YEAR: i16 = 2200;

/// Day of the week, Monday first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weekday(u8);

/// Month of the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(u8);

macro_rules! named_part {
    ($part:ident, $count:literal, $names:expr) => {
        impl $part {
            /// Number of values.
            pub const COUNT: usize = $count;
            /// The names that lines carry, in order of index.
            pub const NAMES: [&'static str; $count] = $names;

            /// The value with this index in `0..COUNT`.
            pub fn from_index(index: usize) -> Option<Self> {
                (index < Self::COUNT).then_some(Self(index as u8))
            }

            /// Index in `0..COUNT`.
            pub fn index(self) -> usize {
                usize::from(self.0)
            }

            /// All values in order of index.
            pub fn all() -> impl Iterator<Item = Self> {
                (0..Self::COUNT as u8).map(Self)
            }
        }

        impl fmt::Display for $part {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Self::NAMES[self.index()])
            }
        }

        impl FromStr for $part {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                Self::NAMES.iter().position(|name| *name == text).and_then(Self::from_index).ok_or(())
            }
        }
    };
}

named_part!(Weekday, 7, ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]);
named_part!(Month, 12, ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]);

impl Weekday {
    /// The weekday of any date of the proleptic Gregorian calendar.
    pub fn of(date: civil::Date) -> Self {
        Self(date.weekday().to_monday_zero_offset() as u8)
    }
}

impl Month {
    /// The month of any date of the proleptic Gregorian calendar.
    pub fn of(date: civil::Date) -> Self {
        Self(date.month() as u8 - 1)
    }
}

/// A date that exists and lies in 1-1-1800 to 31-12-2200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(civil::Date);

/// Why a day, month and year are no date of the benchmark.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// Not of the form `day-month-year`.
    #[error("not a date of the form day-month-year, such as 3-12-1962")]
    Malformed,
    /// No such day in the calendar, as 30-2-1900.
    #[error("no such day: {day}-{month}-{year}")]
    Nonexistent {
        /// Day of the month as given.
        day: u32,
        /// Month as given.
        month: u32,
        /// Year as given.
        year: u32,
    },
    /// Outside 1-1-1800 to 31-12-2200.
    #[error("year {0} lies outside {FIRST_YEAR} to {LAST_YEAR}")]
    OutOfRange(u32),
}

impl Date {
    /// The date with this day (1..=31), month (1..=12) and year.
    ///
    /// # Errors
    /// When the day does not exist or the year lies outside the range.
    pub fn new(day: u32, month: u32, year: u32) -> Result<Self, DateError> {
        let nonexistent = DateError::Nonexistent { day, month, year };
        let small = |number: u32| i8::try_from(number).map_err(|_| nonexistent.clone());
        let civil_year = i16::try_from(year).map_err(|_| DateError::OutOfRange(year))?;
        let date = civil::Date::new(civil_year, small(month)?, small(day)?).map_err(|_| {
            // jiff refuses years past 9999 with the same error as 30-2-1900.
            if year > 9999 { DateError::OutOfRange(year) } else { nonexistent.clone() }
        })?;
        Self::from_civil(date).ok_or(DateError::OutOfRange(year))
    }

    /// The same date as a date of the benchmark, if it lies in its range.
    pub fn from_civil(date: civil::Date) -> Option<Self> {
        (FIRST_YEAR..=LAST_YEAR).contains(&date.year()).then_some(Self(date))
    }

    /// Day of the month, 1..=31.
    pub fn day(self) -> usize {
        self.0.day() as usize
    }

    /// Month.
    pub fn month(self) -> Month {
        Month::of(self.0)
    }

    /// Year, 1800..=2200.
    pub fn year(self) -> usize {
        self.0.year() as usize
    }

    /// Weekday.
    pub fn weekday(self) -> Weekday {
        Weekday::of(self.0)
    }

    /// The number of its week by ISO 8601, 1 to 53.
    pub fn iso_week(self) -> usize {
        self.0.iso_week_date().week() as usize
    }

    /// Whether the date lies in a leap year.
    pub fn in_leap_year(self) -> bool {
        self.0.in_leap_year()
    }
}

impl fmt::Display for Date {
    /// `day-month-year` without zero padding, as in the challenge's files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.0.day(), self.0.month(), self.0.year())
    }
}

impl FromStr for Date {
    type Err = DateError;

    /// Reads `day-month-year`; leading zeros are accepted, signs and blanks are not.
    fn from_str(text: &str) -> Result<Self, DateError> {
        let number = |part: &str, digits: usize| {
            let plain = (1..=digits).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            if plain { part.parse::<u32>().map_err(|_| DateError::Malformed) } else { Err(DateError::Malformed) }
        };
        let mut parts = text.splitn(3, '-');
        let mut next = |digits| number(parts.next().unwrap_or_default(), digits);
        let (day, month, year) = (next(2)?, next(2)?, next(5)?);
        Self::new(day, month, year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates_have_known_parts() {
        // The example line of the challenge, and the first day of the range.
        let date = Date::new(3, 12, 1962).unwrap();
        assert_eq!((date.weekday().to_string(), date.month().to_string()), ("MON".into(), "DEC".into()));
        assert!(!date.in_leap_year());
        assert_eq!(Date::new(1, 1, 1800).unwrap().weekday().to_string(), "WED");
        assert_eq!(date.to_string(), "3-12-1962");
    }

    #[test]
    fn dates_that_do_not_exist_are_told_from_dates_out_of_range() {
        assert_eq!("29-2-1900".parse::<Date>(), Err(DateError::Nonexistent { day: 29, month: 2, year: 1900 }));
        assert_eq!("1-13-1900".parse::<Date>(), Err(DateError::Nonexistent { day: 1, month: 13, year: 1900 }));
        assert_eq!("0-1-1900".parse::<Date>(), Err(DateError::Nonexistent { day: 0, month: 1, year: 1900 }));
        assert_eq!("31-12-1799".parse::<Date>(), Err(DateError::OutOfRange(1799)));
        assert_eq!("1-1-2201".parse::<Date>(), Err(DateError::OutOfRange(2201)));
        assert_eq!("1-1-99999".parse::<Date>(), Err(DateError::OutOfRange(99999)));
        for text in ["", "1-1", "1-1-", "-1-1-1900", "+1-1-1900", "1-1-1900-1", "1/1/1900", "a-b-c", "1-1-123456"] {
            assert_eq!(text.parse::<Date>(), Err(DateError::Malformed), "{text:?}");
        }
        assert!("29-2-2000".parse::<Date>().is_ok());
        assert_eq!("03-02-2000".parse::<Date>().unwrap().to_string(), "3-2-2000");
    }
}
