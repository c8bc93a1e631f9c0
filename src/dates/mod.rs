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
pub use condition::{CONDITION_FIELDS, CONDITION_WIDTH, Condition, Decade, Miss};
pub use files::{DATA_FILE, EXAMPLE_FILE, EXAMPLE_STRIDE, YearRange, YearRangeError, write_data, write_example};
pub use lines::{FieldError, LineError, Parsed, has_date_shape, parse_line};
pub use reader::{Line, Lines};
pub use split::{Held, Split, SplitError};
pub use tokens::{DATE_FIELDS, DATE_WIDTH, DateTokens, Field};
pub use valid::{Outcome, ValidDates};
