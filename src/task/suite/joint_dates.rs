//! Dates whose day and year digit are one column: a single softmax in place of one column after the other.

use super::{Rows, Schema, Truth, uniform};
use crate::task::{Column, dates};

/// Days of the longest month.
const DAYS: usize = 31;

/// The population: every date from 1800 to 2200.
pub fn truth() -> Truth {
    let dates = dates::truth(&dates::ValidDates::new());
    let values = (0..10).flat_map(|digit| (1..=DAYS).map(move |day| format!("{day}-{digit}")));
    let joint = Column::new("day_and_digit", values);
    let schema = Schema::new(dates.schema().given.clone(), vec![joint]);
    let mut rows = Rows::new(schema.width());
    for row in dates.groups().rows().iter() {
        if let [weekday, month, leap, decade, .., digit, day] = row {
            rows.push(&[*weekday, *month, *leap, *decade, digit * DAYS as u16 + day]);
        }
    }
    uniform(schema, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_day_and_the_last_digit_of_a_year() {
        let truth = truth();
        let column = &truth.schema().generated[0];
        assert_eq!((column.size(), column.values[0].as_str(), column.values[309].as_str()), (310, "1-0", "31-9"));
        // The last decade has the year 2200 alone, which begins and ends on a Wednesday.
        let label = "weekday=WED,month=DEC,leap=False,decade=220";
        let group = (0..truth.len()).find(|group| truth.schema().label(truth.condition(*group)) == label).unwrap();
        let values: Vec<&str> = truth.generated(group).map(|row| column.value(row[0])).collect();
        assert_eq!(values, ["3-0", "10-0", "17-0", "24-0", "31-0"]);
    }
}
