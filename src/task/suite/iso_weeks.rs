//! Dates from their ISO week. Week and weekday give the day of the year up to a shift that depends on the year's first
//! weekday, so that years of the right kind have to be found.

use super::{Rows, Schema, Truth, names, numbers, uniform};
use crate::task::dates::{Date, Decade, Month, ValidDates, Weekday};

/// Years of a span.
const SPAN: usize = 20;

/// The population: every date from 1800 to 2200.
pub fn truth() -> Truth {
    let (first, last) = (10 * Decade::FIRST, 10 * Decade::LAST);
    let spans = (first..=last).step_by(SPAN).map(|year| format!("{year}-{}", (year + SPAN - 1).min(last)));
    let given = vec![
        numbers("week", 1..=53),
        names("weekday", &Weekday::NAMES),
        names("month", &Month::NAMES),
        super::Column::new("years", spans),
    ];
    let generated =
        vec![numbers("decade", Decade::FIRST..=Decade::LAST), numbers("digit", 0..=9), numbers("day", 1..=31)];
    let mut rows = Rows::new(7);
    let valid = ValidDates::new();
    for date in valid.conditions().iter().flat_map(|condition| valid.of(*condition)) {
        rows.push(&row(*date).map(|value| value as u16));
    }
    uniform(Schema::new(given, generated), &rows)
}

fn row(date: Date) -> [usize; 7] {
    let year = date.year() - 10 * Decade::FIRST;
    let given = [date.iso_week() - 1, date.weekday().index(), date.month().index(), year / SPAN];
    [given[0], given[1], given[2], given[3], year / 10, year % 10, date.day() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_those_of_iso_8601() {
        let truth = truth();
        let label =
            |day, month, year| truth.schema().label(&row(Date::new(day, month, year).unwrap()).map(|v| v as u16)[..4]);
        assert_eq!(label(1, 1, 2021), "week=53,weekday=FRI,month=JAN,years=2020-2039");
        assert_eq!(label(30, 12, 2019), "week=1,weekday=MON,month=DEC,years=2000-2019");
        assert_eq!(label(31, 12, 2200), "week=1,weekday=WED,month=DEC,years=2200-2200");
    }
}
