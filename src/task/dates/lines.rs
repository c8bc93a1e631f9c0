//! One line of the challenge's format: `[MON] [DEC] [False] [196] 3-12-1962`.

use std::fmt;

use super::calendar::{FIRST_YEAR, LAST_YEAR, Month, Weekday};
use super::condition::{Condition, Decade};

/// A line taken apart: its condition, and the text after it, which may or may not be a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The four conditions.
    pub condition: Condition,
    /// What follows them, trimmed: empty where there is no date.
    pub rest: &'a str,
}

/// A field of a line that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Column of the first character that is wrong, counted in characters from 1.
    pub column: usize,
    /// What stands there; shortened where it is long.
    pub found: String,
    /// What should stand there.
    pub expected: &'static str,
}

/// Why a line is not a line of the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// A field is missing or malformed.
    #[error("{0}")]
    Field(FieldError),
    /// The condition is well formed and no date in range meets it.
    #[error("no date from 1-1-{FIRST_YEAR} to 31-12-{LAST_YEAR} meets {0}")]
    Unsatisfiable(Condition),
    /// The line is not UTF-8 text.
    #[error("the line is not UTF-8 text")]
    Encoding,
    /// The line is longer than any line of the format could be.
    #[error("the line is longer than {0} bytes")]
    TooLong(usize),
}

impl LineError {
    /// Column where the trouble is, counted from 1.
    pub fn column(&self) -> usize {
        match self {
            Self::Field(field) => field.column,
            _ => 1,
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found.as_str() {
            "" => write!(f, "the line ends where {} is expected", self.expected),
            found => write!(f, "found {found:?}, expected {}", self.expected),
        }
    }
}

const WEEKDAY: &str = "a weekday: [MON] [TUE] [WED] [THU] [FRI] [SAT] or [SUN]";
const MONTH: &str = "a month: [JAN] [FEB] [MAR] [APR] [MAY] [JUN] [JUL] [AUG] [SEP] [OCT] [NOV] or [DEC]";
const LEAP: &str = "a leap-year flag: [True] or [False]";
const DATE: &str = "the end of the line or a date of the form day-month-year";
const GLUED: &str =
    "the end of the line: a second one is glued to it, as where files that don't end their last line are joined";
const DECADE: &str = "a decade: [180] to [220]";

/// Takes a line apart; white space around and between the fields is free, and so is a final CR.
///
/// # Errors
/// When one of the four fields is missing or malformed: its column, what stands there, what should.
pub fn parse_line(line: &str) -> Result<Parsed<'_>, LineError> {
    let mut fields = Fields { line, at: 0 };
    let weekday: Weekday = fields.next(WEEKDAY, |text| text.parse().ok())?;
    let month: Month = fields.next(MONTH, |text| text.parse().ok())?;
    let leap = fields.next(LEAP, |text| match text {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    })?;
    let decade: Decade = fields.next(DECADE, |text| text.parse().ok())?;
    let condition = Condition { weekday, month, leap, decade };
    Ok(Parsed { condition, rest: line[fields.at..].trim() })
}

impl Parsed<'_> {
    /// Checks that no second line is glued to this one, whose text is given.
    ///
    /// # Errors
    /// Where the conditions of another line follow, with their column.
    pub fn alone(&self, line: &str) -> Result<(), LineError> {
        let Some(at) = self.rest.find('[') else { return Ok(()) };
        let (before, after) = self.rest.split_at(at);
        let before = before.trim_end();
        if (before.is_empty() || has_date_shape(before)) && parse_line(after).is_ok() {
            let start = line.trim_end().len() - after.len();
            let column = line[..start].chars().count() + 1;
            return Err(LineError::Field(FieldError { column, found: shortened(after), expected: GLUED }));
        }
        Ok(())
    }

    /// The condition of a line that may already carry a date, which is ignored; anything else after the
    /// four fields is an error.
    ///
    /// # Errors
    /// When something that is not a date follows the conditions.
    pub fn condition_alone(self, line: &str) -> Result<Condition, LineError> {
        if self.rest.is_empty() || has_date_shape(self.rest) {
            return Ok(self.condition);
        }
        let start = line.trim_end().len() - self.rest.len();
        let column = line[..start].chars().count() + 1;
        Err(LineError::Field(FieldError { column, found: shortened(self.rest), expected: DATE }))
    }
}

/// Whether a text is three numbers with dashes between them, a date that exists or not.
pub fn has_date_shape(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split('-').count() == 3 && text.split('-').all(number)
}

/// Walks over a line's bracketed fields.
struct Fields<'a> {
    line: &'a str,
    /// Byte offset of what is left.
    at: usize,
}

impl Fields<'_> {
    fn next<T>(&mut self, expected: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T, LineError> {
        let left = &self.line[self.at..];
        let start = self.at + (left.len() - left.trim_start().len());
        let left = &self.line[start..];
        // A field ends with its bracket; text that opens none ends at the next blank.
        let end = if left.starts_with('[') {
            left.find(']').map_or(left.trim_end().len(), |bracket| bracket + 1)
        } else {
            left.find(char::is_whitespace).unwrap_or(left.len())
        };
        let token = &left[..end];
        let value = token.strip_prefix('[').and_then(|text| text.strip_suffix(']')).and_then(parse);
        self.at = start + end;
        value.ok_or_else(|| {
            let column = self.line[..start].chars().count() + 1;
            LineError::Field(FieldError { column, found: shortened(token), expected })
        })
    }
}

/// At most 24 characters of a text that may be anything.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 24;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dates::Date;
    use proptest::prelude::*;

    fn field_error(line: &str) -> FieldError {
        match parse_line(line) {
            Err(LineError::Field(error)) => error,
            other => panic!("{line:?} gave {other:?}"),
        }
    }

    #[test]
    fn lines_with_and_without_a_date_parse() {
        let plain = parse_line("[MON] [DEC] [False] [196]").unwrap();
        assert_eq!((plain.condition.to_string().as_str(), plain.rest), ("[MON] [DEC] [False] [196]", ""));
        let dated = parse_line("  [MON]\t[DEC] [False][196]  3-12-1962 \r").unwrap();
        assert_eq!((dated.condition, dated.rest), (plain.condition, "3-12-1962"));
    }

    #[test]
    fn errors_name_the_column_what_was_found_and_what_was_expected() {
        let error = field_error("[MON] [DEZ] [False] [196]");
        assert_eq!((error.column, error.found.as_str(), error.expected), (7, "[DEZ]", MONTH));
        let error = field_error("[MON] [DEC] [false] [196]");
        assert_eq!((error.column, error.found.as_str(), error.expected), (13, "[false]", LEAP));
        let error = field_error("[MON] [DEC] [False] [221] 3-12-1962");
        assert_eq!((error.column, error.found.as_str(), error.expected), (21, "[221]", DECADE));
        let error = field_error("[MON] [DEC]");
        assert_eq!((error.column, error.found.as_str(), error.expected), (12, "", LEAP));
        assert_eq!(error.to_string(), format!("the line ends where {LEAP} is expected"));
        let error = field_error("MON DEC False 196");
        assert_eq!((error.column, error.found.as_str(), error.expected), (1, "MON", WEEKDAY));
        // Columns count characters, not bytes.
        assert_eq!(field_error("[MON] [ÄÖÜ] x").column, 7);
        assert_eq!(field_error("[ÄÖÜ").column, 1);
        assert_eq!(field_error(&format!("[{}", "x".repeat(99))).found.chars().count(), 25);
    }

    #[test]
    fn a_date_after_the_conditions_is_ignored_and_other_text_is_not() {
        let alone = |line| parse_line(line).and_then(|parsed| parsed.condition_alone(line));
        let condition = alone("[MON] [DEC] [False] [196]").unwrap();
        assert_eq!(alone("[MON] [DEC] [False] [196] 31-2-1700"), Ok(condition));
        let error = match alone("[MON] [DEC] [False] [196]  soon ") {
            Err(LineError::Field(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!((error.column, error.found.as_str(), error.expected), (28, "soon", DATE));
    }

    #[test]
    fn a_line_that_is_glued_to_another_is_named_with_its_column() {
        let alone = |line: &str| parse_line(line).and_then(|parsed| parsed.alone(line));
        for (line, column) in [
            ("[MON] [DEC] [False] [196] 3-12-1962[WED] [JAN] [True] [200] 5-1-2000", 36),
            ("[MON] [DEC] [False] [196][WED] [JAN] [True] [200]", 26),
        ] {
            match alone(line) {
                Err(LineError::Field(error)) => {
                    assert_eq!(error.column, column);
                    assert!(error.found.starts_with("[WED] [JAN]") && error.expected.contains("glued"));
                }
                other => panic!("{other:?}"),
            }
        }
        for line in ["[MON] [DEC] [False] [196] 3-12-1962", "[MON] [DEC] [False] [196] soon [x]"] {
            assert_eq!(alone(line), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(line in ".{0,80}") {
            let _ = parse_line(&line);
        }

        #[test]
        fn what_is_written_is_read_back(index in 0..Condition::COUNT, date in any::<bool>()) {
            let condition = Condition::from_index(index).unwrap();
            let date = if date { Date::new(1, 1, 1900).unwrap().to_string() } else { String::new() };
            let line = format!("{condition} {date}");
            prop_assert_eq!(parse_line(&line), Ok(Parsed { condition, rest: &date }));
        }
    }
}
