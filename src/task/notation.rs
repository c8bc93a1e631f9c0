//! Conditions and rows as one line of text: of messages, tables, charts and the command line.

use super::dates::{self, Condition, DateTokens, LineError};
use super::schema::{Column, Notation, Schema};
use super::table::NOT_UTF8;

/// Why a text is not a condition of a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// A line of dates.
    #[error("{0}")]
    Line(#[from] LineError),
    /// A part that is not of the form `column=value`.
    #[error("{part:?} is not of the form column=value; write {example}")]
    Form {
        /// The part.
        part: String,
        /// A condition that is well formed.
        example: String,
    },
    /// A column that is not given.
    #[error("{column:?} is not a given column; the given columns are {known}")]
    Column {
        /// As written.
        column: String,
        /// The given columns.
        known: String,
    },
    /// A column that is stated twice.
    #[error("{0:?} is stated twice")]
    Twice(String),
    /// A column that is not stated.
    #[error("{column} is missing; its values are {known}")]
    Missing {
        /// Its name.
        column: String,
        /// Its values.
        known: String,
    },
    /// A value of another encoding.
    #[error("{column} holds {NOT_UTF8}")]
    Encoding {
        /// The column.
        column: String,
    },
    /// A value that the column has not.
    #[error("{column} has no value {value:?}; its values are {known}")]
    Value {
        /// The column.
        column: String,
        /// As written.
        value: String,
        /// The column's values.
        known: String,
    },
}

impl Schema {
    /// A condition as messages, tables and charts write it.
    pub fn label(&self, given: &[u16]) -> String {
        let condition = || Condition::of_row(given);
        match (self.notation, condition()) {
            (Notation::Dates, Some(condition)) => condition.to_string(),
            _ => named(&self.given, given),
        }
    }

    /// Generated values as messages, tables and charts write them.
    pub fn row_label(&self, generated: &[u16]) -> String {
        match (self.notation, DateTokens::from_row(generated)) {
            (Notation::Dates, Some(tokens)) => tokens.to_string(),
            _ => named(&self.generated, generated),
        }
    }

    /// Reads what [`Schema::label`] writes; named columns may come in any order.
    ///
    /// # Errors
    /// When the text has another form, or names columns or values that the schema has not; they are named.
    pub fn parse_condition(&self, text: &str) -> Result<Vec<u16>, ConditionError> {
        match self.notation {
            Notation::Dates => Ok(dates::parse_line(text)?.condition_alone(text)?.row().to_vec()),
            Notation::Named => self.parse_named(text),
        }
    }

    fn parse_named(&self, text: &str) -> Result<Vec<u16>, ConditionError> {
        let mut values: Vec<Option<u16>> = vec![None; self.given.len()];
        for part in parts(text) {
            // Names may have = in them as well.
            let pairs = || part.match_indices('=').map(|(at, _)| (part[..at].trim(), part[at + 1..].trim()));
            let is_given = |name: &str| self.given.iter().any(|column| column.name == name);
            let pair = pairs().find(|(name, _)| is_given(name)).or_else(|| pairs().next());
            let (name, value) = pair.ok_or_else(|| {
                let first: Vec<u16> = vec![0; self.given.len()];
                ConditionError::Form { part: part.clone(), example: self.label(&first) }
            })?;
            let place = self.given.iter().position(|column| column.name == name).ok_or_else(|| {
                let known = list(self.given.iter().map(|column| column.name.as_str()));
                ConditionError::Column { column: name.to_owned(), known }
            })?;
            let column = &self.given[place];
            let index = column.find(value).ok_or_else(|| column.unknown(value))?;
            if values[place].replace(index).is_some() {
                return Err(ConditionError::Twice(name.to_owned()));
            }
        }
        let missing = |column: &Column| ConditionError::Missing {
            column: column.name.clone(),
            known: list(column.values.iter().map(String::as_str)),
        };
        let columns = self.given.iter().zip(values);
        columns.map(|(column, value)| value.ok_or_else(|| missing(column))).collect()
    }
}

impl Column {
    /// The error of a value that the column has not.
    pub fn unknown(&self, value: &str) -> ConditionError {
        let known = list(self.values.iter().map(String::as_str));
        ConditionError::Value { column: self.name.clone(), value: value.to_owned(), known }
    }
}

fn named(columns: &[Column], values: &[u16]) -> String {
    let parts = columns.iter().zip(values).map(|(column, value)| {
        let part = format!("{}={}", column.name, column.value(*value));
        if part.contains([',', '"', '\n', '\r']) { format!("\"{}\"", part.replace('"', "\"\"")) } else { part }
    });
    parts.collect::<Vec<_>>().join(",")
}

/// Parts between commas. Quotes, around a part or a value, keep commas and line breaks inside; within them `""` is a quote.
fn parts(text: &str) -> Vec<String> {
    let (mut parts, mut quoted) = (vec![String::new()], false);
    let mut marks = text.chars().peekable();
    while let Some(mark) = marks.next() {
        let last = parts.len() - 1;
        match mark {
            '"' if quoted && marks.peek() == Some(&'"') => {
                marks.next();
                parts[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(String::new()),
            mark => parts[last].push(mark),
        }
    }
    if parts.len() == 1 && parts[0].trim().is_empty() { Vec::new() } else { parts }
}

/// The first of many names.
fn list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let count = names.len();
    let shown = names.take(SHOWN).collect::<Vec<_>>().join(", ");
    if count > SHOWN { format!("{shown} and {} more", count - SHOWN) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey() -> Schema {
        let column = |name, values: &[&str]| Column::new(name, values.iter().map(|value| (*value).to_owned()));
        let given = vec![column("age", &["18-29", "30-39"]), column("town", &["Paris, TX", "\"Rome\"", ""])];
        Schema::new(given, vec![column("vote", &["yes", "no"])])
    }

    #[test]
    fn conditions_are_read_as_they_are_written_in_any_order_of_columns() {
        let schema = survey();
        for condition in [[0, 0], [1, 1], [1, 2]] {
            let label = schema.label(&condition);
            assert_eq!(schema.parse_condition(&label), Ok(condition.to_vec()), "{label}");
        }
        assert_eq!(schema.label(&[1, 0]), "age=30-39,\"town=Paris, TX\"");
        assert_eq!(schema.parse_condition("\"town=Paris, TX\", age = 18-29 "), Ok(vec![0, 0]));
        // Quotes around the value alone, and a name with the mark between names and values in it.
        assert_eq!(schema.parse_condition("town=\"Paris, TX\",age=30-39"), Ok(vec![1, 0]));
        let lines = Column::new("a=b", ["1\n2".to_owned(), "=3".to_owned()]);
        let schema = Schema::new(vec![lines], schema.generated);
        for condition in [[0], [1]] {
            let label = schema.label(&condition);
            assert_eq!(schema.parse_condition(&label), Ok(condition.to_vec()), "{label}");
        }
    }

    #[test]
    fn rows_are_labelled_by_their_generated_columns() {
        assert_eq!(survey().row_label(&[1]), "vote=no");
    }

    #[test]
    fn what_a_condition_lacks_is_named() {
        let error = |text: &str| survey().parse_condition(text).unwrap_err().to_string();
        assert_eq!(error("age=40,town="), "age has no value \"40\"; its values are 18-29, 30-39");
        assert_eq!(error("age=18-29"), "town is missing; its values are Paris, TX, \"Rome\", ");
        assert_eq!(error("sex=F"), "\"sex\" is not a given column; the given columns are age, town");
        assert_eq!(error("age=18-29,age=30-39"), "\"age\" is stated twice");
        assert!(error("18-29").contains("not of the form column=value; write age=18-29"), "{}", error("18-29"));
        assert!(error("").starts_with("age is missing"));
    }

    #[test]
    fn dates_keep_their_lines() {
        let schema = dates::schema();
        let condition = schema.parse_condition("[MON] [DEC] [False] [196]").unwrap();
        assert_eq!(schema.label(&condition), "[MON] [DEC] [False] [196]");
        assert_eq!(schema.row_label(&[16, 11, 2, 2]), "3-12-1962");
        assert!(schema.parse_condition("[MON]").unwrap_err().to_string().contains("a month: [JAN]"));
    }
}
