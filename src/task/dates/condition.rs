//! Conditions: a weekday, a month, a leap-year flag and a decade.

use std::fmt;
use std::str::FromStr;

use super::calendar::{Date, FIRST_YEAR, LAST_YEAR, Month, Weekday};

/// Sizes of the condition's one-hot blocks: weekday, month, leap year, decade.
pub const CONDITION_FIELDS: [usize; 4] = [Weekday::COUNT, Month::COUNT, 2, Decade::COUNT];
/// Width of the condition as concatenated one-hot blocks.
pub const CONDITION_WIDTH: usize = Weekday::COUNT + Month::COUNT + 2 + Decade::COUNT;

/// A decade of the benchmark, 180 (1800 to 1809) to 220 (2200 alone).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decade(u8);

impl Decade {
    /// Number of decades.
    pub const COUNT: usize = ((LAST_YEAR - FIRST_YEAR) / 10 + 1) as usize;
    /// First decade as lines write it.
    pub const FIRST: usize = (FIRST_YEAR / 10) as usize;
    /// Last decade as lines write it.
    pub const LAST: usize = (LAST_YEAR / 10) as usize;

    /// The decade with this index in `0..COUNT`.
    pub fn from_index(index: usize) -> Option<Self> {
        (index < Self::COUNT).then_some(Self(index as u8))
    }

    /// Index in `0..COUNT`.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The decade as lines write it: 196 for 1960 to 1969.
    pub fn number(self) -> usize {
        Self::FIRST + self.index()
    }

    /// All decades in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }
}

impl fmt::Display for Decade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

impl FromStr for Decade {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: usize = if plain { text.parse().map_err(|_| ())? } else { return Err(()) };
        number.checked_sub(Self::FIRST).and_then(Self::from_index).ok_or(())
    }
}

/// What a date is asked to meet. Some conditions can't be met: see [`Condition::all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    /// Day of the week.
    pub weekday: Weekday,
    /// Month of the year.
    pub month: Month,
    /// Whether the year is a leap year.
    pub leap: bool,
    /// Decade of the year.
    pub decade: Decade,
}

/// Which fields of a condition a date misses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// The date falls on another weekday.
    pub weekday: bool,
    /// The date lies in another month.
    pub month: bool,
    /// The year's leap flag differs.
    pub leap: bool,
    /// The year lies in another decade.
    pub decade: bool,
}

impl Mismatch {
    /// Weekday, month, leap-year flag and decade.
    pub fn by_field(self) -> [bool; 4] {
        [self.weekday, self.month, self.leap, self.decade]
    }

    /// Whether any field is missed.
    pub fn any(self) -> bool {
        self.weekday || self.month || self.leap || self.decade
    }
}

impl Condition {
    /// Number of conditions, met by some date or not: 7 x 12 x 2 x 41.
    pub const COUNT: usize = Weekday::COUNT * Month::COUNT * 2 * Decade::COUNT;

    /// The condition that this date meets.
    pub fn of(date: Date) -> Self {
        // A date's year lies in the range by construction, and so does its decade.
        let decade = Decade((date.year() / 10 - Decade::FIRST) as u8);
        Self { weekday: date.weekday(), month: date.month(), leap: date.in_leap_year(), decade }
    }

    /// The condition of these value indices.
    pub fn of_row(row: &[u16]) -> Option<Self> {
        let row: [u16; 4] = row.try_into().ok()?;
        let [weekday, month, leap, decade] = row.map(usize::from);
        let (weekday, month) = (Weekday::from_index(weekday)?, Month::from_index(month)?);
        Some(Self { weekday, month, leap: [false, true].get(leap).copied()?, decade: Decade::from_index(decade)? })
    }

    /// Value indices in the order of [`CONDITION_FIELDS`].
    pub fn row(self) -> [u16; 4] {
        self.indices().map(|index| index as u16)
    }

    /// The indices of the one-hot blocks, in the order of [`CONDITION_FIELDS`].
    pub fn indices(self) -> [usize; 4] {
        [self.weekday.index(), self.month.index(), usize::from(self.leap), self.decade.index()]
    }

    /// Dense index in `0..COUNT`.
    pub fn index(self) -> usize {
        self.indices().iter().zip(CONDITION_FIELDS).fold(0, |index, (value, size)| index * size + value)
    }

    /// The condition with this dense index.
    pub fn from_index(index: usize) -> Option<Self> {
        let decade = Decade::from_index(index % Decade::COUNT)?;
        let rest = index / Decade::COUNT;
        let month = Month::from_index(rest / 2 % Month::COUNT)?;
        let weekday = Weekday::from_index(rest / 2 / Month::COUNT)?;
        Some(Self { weekday, month, leap: rest % 2 == 1, decade })
    }

    /// Number of conditions that some date meets.
    pub const SATISFIABLE: usize = Self::COUNT - Weekday::COUNT * Month::COUNT;

    /// All 6,888 conditions in order of index; 84 of them are met by no date, since 2200,
    /// the only year of its decade, is no leap year.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).filter_map(Self::from_index)
    }

    /// The fields that this date misses.
    pub fn misses(self, date: Date) -> Mismatch {
        self.differences(Self::of(date))
    }

    /// Why this date fails, field by field, in words; empty where it passes.
    pub fn explain(self, date: Date) -> String {
        let (miss, actual) = (self.misses(date), Self::of(date));
        let leap = if actual.leap { "a" } else { "no" };
        let reasons = [
            miss.weekday.then(|| format!("falls on {}", actual.weekday)),
            miss.month.then(|| format!("lies in {}", actual.month)),
            miss.leap.then(|| format!("{} is {leap} leap year", date.year())),
            miss.decade.then(|| format!("lies in decade {}", actual.decade)),
        ];
        reasons.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The fields in which the condition that a date meets differs from this one.
    pub fn differences(self, met: Condition) -> Mismatch {
        Mismatch {
            weekday: met.weekday != self.weekday,
            month: met.month != self.month,
            leap: met.leap != self.leap,
            decade: met.decade != self.decade,
        }
    }
}

/// The four conditions of a line, `[MON] [DEC] [False] [196]`. Takes the decade as a number,
/// so that lines outside the benchmark's range are written by the same code.
pub(super) fn format_conditions(weekday: Weekday, month: Month, leap: bool, decade: usize) -> String {
    let leap = if leap { "True" } else { "False" };
    format!("[{weekday}] [{month}] [{leap}] [{decade}]")
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_conditions(self.weekday, self.month, self.leap, self.decade.number()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_round_trips_over_all_conditions() {
        let all: Vec<_> = Condition::all().collect();
        assert_eq!(all.len(), 6888);
        for (index, condition) in all.iter().enumerate() {
            assert_eq!(condition.index(), index);
        }
        assert_eq!(Condition::from_index(Condition::COUNT), None);
    }

    #[test]
    fn a_date_meets_its_own_condition_and_names_what_it_misses_of_another() {
        let date = Date::new(3, 12, 1962).unwrap();
        let condition = Condition::of(date);
        assert_eq!(condition.to_string(), "[MON] [DEC] [False] [196]");
        assert!(!condition.misses(date).any());
        let next = Date::new(4, 12, 1962).unwrap();
        assert_eq!(condition.misses(next), Mismatch { weekday: true, ..Mismatch::default() });
        assert_eq!((condition.explain(date), condition.explain(next)), (String::new(), "falls on TUE".to_owned()));
        let far = Date::new(1, 1, 2000).unwrap();
        assert_eq!(condition.explain(far), "falls on SAT, lies in JAN, 2000 is a leap year, lies in decade 200");
    }

    #[test]
    fn decades_outside_the_range_do_not_parse() {
        assert_eq!("180".parse::<Decade>().unwrap().index(), 0);
        assert_eq!("220".parse::<Decade>().unwrap().index(), 40);
        for text in ["179", "221", "", "18", "1800", "+18", "abc"] {
            assert!(text.parse::<Decade>().is_err(), "{text}");
        }
    }
}
