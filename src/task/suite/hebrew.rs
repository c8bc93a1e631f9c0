//! The Hebrew calendar from 5560 to 5960 (September 1799 to September 2200): its year begins at a molad, a mean new moon,
//! put off by the rules of the weekday, so that the weekday of a date hangs on 235 months to 19 years.
//!
//! The arithmetic is that of Dershowitz and Reingold, *Calendrical Calculations*.

use super::{Rows, Schema, Truth, names, numbers, uniform};
use crate::task::dates::Weekday;

const FIRST: i64 = 5560;
const LAST: i64 = 5960;

/// Months from the start of the year. Leap years have an Adar I before Adar.
const MONTHS: [&str; 13] = [
    "Tishri", "Heshvan", "Kislev", "Tevet", "Shevat", "Adar I", "Adar", "Nisan", "Iyar", "Sivan", "Tammuz", "Av",
    "Elul",
];

/// The population: every day of these years.
pub fn truth() -> Truth {
    let decades = FIRST as usize / 10..=LAST as usize / 10;
    let given = vec![
        names("weekday", &Weekday::NAMES),
        names("month", &MONTHS),
        names("leap", &["False", "True"]),
        numbers("decade", decades),
    ];
    let generated = vec![numbers("digit", 0..=9), numbers("day", 1..=30)];
    let mut rows = Rows::new(6);
    for year in FIRST..=LAST {
        let mut day = new_year(year);
        for (month, length) in lengths(year).into_iter().enumerate() {
            for date in 0..length {
                let row =
                    [day.rem_euclid(7), month as i64, i64::from(leap(year)), year / 10 - FIRST / 10, year % 10, date];
                rows.push(&row.map(|value| value as u16));
                day += 1;
            }
        }
    }
    uniform(Schema::new(given, generated), &rows)
}

fn leap(year: i64) -> bool {
    (7 * year + 1) % 19 < 7
}

/// Days of each month; Adar I has none in a common year.
fn lengths(year: i64) -> [i64; 13] {
    let days = new_year(year + 1) - new_year(year);
    // Regular years have 354 or 384 days; a complete one has a day more, in Heshvan, a deficient one a day less, in Kislev.
    let (heshvan, kislev) = (if days % 10 == 5 { 30 } else { 29 }, if days % 10 == 3 { 29 } else { 30 });
    [30, heshvan, kislev, 29, 30, if leap(year) { 30 } else { 0 }, 29, 30, 29, 30, 29, 30, 29]
}

/// The day on which a year begins, counted from a Monday, day 0.
fn new_year(year: i64) -> i64 {
    let [last, this, next] = [year - 1, year, year + 1].map(elapsed);
    this + if next - this == 356 { 2 } else { i64::from(this - last == 382) }
}

/// Days from the epoch to the molad of Tishri, put off from Sundays, Wednesdays and Fridays.
fn elapsed(year: i64) -> i64 {
    let months = (235 * year - 234).div_euclid(19);
    let days = 29 * months + (12_084 + 13_753 * months).div_euclid(25_920);
    days + i64::from((3 * (days + 1)).rem_euclid(7) < 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weekday of a date.
    fn weekday(year: i64, month: &str, date: i64) -> &'static str {
        let month = MONTHS.iter().position(|name| *name == month).unwrap();
        let day = new_year(year) + lengths(year)[..month].iter().sum::<i64>() + date - 1;
        Weekday::NAMES[day.rem_euclid(7) as usize]
    }

    #[test]
    fn dates_fall_on_the_weekdays_that_calendars_print() {
        // 11 September 1999, 16 September 2023, 23 April 2024, 25 December 2024 and 14 March 2025.
        assert_eq!(weekday(5760, "Tishri", 1), "SAT");
        assert_eq!(weekday(5784, "Tishri", 1), "SAT");
        assert_eq!(weekday(5784, "Nisan", 15), "TUE");
        assert_eq!(weekday(5785, "Kislev", 24), "WED");
        assert_eq!(weekday(5785, "Adar", 14), "FRI");
        assert_eq!((leap(5784), leap(5785)), (true, false));
    }

    #[test]
    fn years_have_one_of_the_six_lengths() {
        for year in FIRST..=LAST {
            let days = new_year(year + 1) - new_year(year);
            assert!([353, 354, 355, 383, 384, 385].contains(&days), "{year}: {days}");
            assert_eq!(lengths(year).iter().sum::<i64>(), days, "{year}");
        }
    }
}
