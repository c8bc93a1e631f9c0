//! The task: the calendar, conditions, the dates that meet them, their tokens, files of both, and splits.
//!
//! Everything that knows the calendar lives here. The model never calls it: it sees tokens only.

mod calendar;
mod condition;
mod files;
mod lines;
mod reader;
mod split;
mod tokens;
mod valid;

pub use calendar::{Date, DateError, FIRST_YEAR, LAST_YEAR, Month, Weekday};
pub use condition::{CONDITION_FIELDS, CONDITION_WIDTH, Condition, Decade, Mismatch};
pub use files::{DATA_FILE, EXAMPLE_FILE, EXAMPLE_STRIDE, YearRange, YearRangeError, write_data, write_example};
pub use lines::{FieldError, LineError, Parsed, has_date_shape, parse_line};
pub use reader::{Line, Lines};
pub use split::{Holdout, Split, SplitError};
pub use tokens::{DATE_FIELDS, DATE_WIDTH, DateTokens, Field};
pub use valid::{Outcome, ValidDates};

use super::{Column, Groups, Kind, Notation, Rows, Schema, Truth};

/// The columns of this task.
pub fn schema() -> Schema {
    let names = |count: usize, name: fn(usize) -> String| (0..count).map(name).collect::<Vec<_>>();
    let weekdays =
        names(Weekday::COUNT, |index| Weekday::from_index(index).map_or_else(String::new, |day| day.to_string()));
    let months =
        names(Month::COUNT, |index| Month::from_index(index).map_or_else(String::new, |month| month.to_string()));
    let decades: Vec<String> = Decade::all().map(|decade| decade.to_string()).collect();
    let leap = ["False", "True"].map(str::to_owned);
    let given = vec![
        Column::new("weekday", weekdays),
        Column::new("month", months.clone()),
        Column::new("leap", leap),
        Column::new("decade", decades.clone()),
    ];
    let values = [
        decades,
        months,
        (0..10).map(|digit| digit.to_string()).collect(),
        (1..=31).map(|day| day.to_string()).collect(),
    ];
    let mut generated: Vec<Column> =
        Field::ALL.iter().zip(values).map(|(field, values)| Column::new(field.name(), values)).collect();
    // Decade and month repeat the condition.
    for field in [Field::Decade, Field::Month] {
        generated[field as usize].determined = true;
    }
    Schema { given, generated, notation: Notation::Dates }
}

/// Orders rows of this task by time: by decade, year digit, month and day.
pub(super) fn time_key(row: &[u16]) -> [u16; 4] {
    match row {
        [.., decade, month, digit, day] => [*decade, *digit, *month, *day],
        _ => [0; 4],
    }
}

/// The truth: every date has the same weight.
pub fn truth(valid: &ValidDates) -> Truth {
    let all: Vec<Date> = valid.conditions().iter().flat_map(|condition| valid.of(*condition).to_vec()).collect();
    Truth::new(schema(), &rows(&all), None, Kind::Exact)
}

/// These dates with their conditions as rows, in their order.
pub fn rows(dates: &[Date]) -> Rows {
    let mut rows = Rows::new(CONDITION_FIELDS.len() + DATE_FIELDS.len());
    for date in dates {
        let (condition, tokens) = (Condition::of(*date).row(), DateTokens::of(*date).row());
        rows.push(&[condition, tokens].concat());
    }
    rows
}

/// The same in order of condition.
pub fn groups(dates: &[Date]) -> Groups {
    let mut sorted = dates.to_vec();
    sorted.sort_by_key(|date| Condition::of(*date).index());
    Groups::new(rows(&sorted), CONDITION_FIELDS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_lists_conditions_and_dates_in_their_order() {
        let valid = ValidDates::new();
        let truth = truth(&valid);
        let conditions = valid.conditions();
        assert_eq!((truth.len(), truth.groups().rows().len(), truth.is_uniform()), (conditions.len(), 146_462, true));
        for (group, condition) in conditions.iter().enumerate() {
            assert_eq!(truth.condition(group), condition.row());
            assert_eq!(truth.rows(group), rows(valid.of(*condition)));
            assert_eq!(
                (truth.find(&condition.row()), truth.mass(group)),
                (Some(group), valid.of(*condition).len() as f64)
            );
        }
        assert!((truth.mean_entropy() - 3.2209).abs() < 5e-5);
        let names = |column: &Column| (column.value(0).to_owned(), column.value(column.size() as u16 - 1).to_owned());
        let first_and_last: Vec<_> = truth.schema().columns().map(names).collect();
        let expected = [
            ("MON", "SUN"),
            ("JAN", "DEC"),
            ("False", "True"),
            ("180", "220"),
            ("180", "220"),
            ("JAN", "DEC"),
            ("0", "9"),
            ("1", "31"),
        ];
        assert_eq!(first_and_last, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
