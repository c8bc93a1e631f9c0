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

use super::{Column, Groups, Rows, Schema};

/// The columns of this task.
pub fn schema() -> Schema {
    let columns = |names: [&str; 4], sizes: [usize; 4]| -> Vec<Column> {
        names.iter().zip(sizes).map(|(name, size)| Column::new(name, size)).collect()
    };
    let mut generated = columns(Field::ALL.map(Field::name), DATE_FIELDS);
    // Decade and month repeat the condition.
    for field in [Field::Decade, Field::Month] {
        generated[field as usize].determined = true;
    }
    Schema { given: columns(["weekday", "month", "leap", "decade"], CONDITION_FIELDS), generated }
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
