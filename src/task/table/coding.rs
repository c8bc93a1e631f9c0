//! Fields of records as value indices of a schema's columns.

use std::collections::HashMap;

use super::super::ConditionError;
use super::Column;

/// The indices of the values that a column's fields have been found to be.
type Found = HashMap<Box<[u8]>, u16>;

/// Finds a schema's columns in a table, and the indices of their values.
#[derive(Debug)]
pub struct Coder<'a> {
    // Each column's place among the fields, and what its values have been found to be.
    columns: Vec<(usize, &'a Column, Found)>,
}

impl<'a> Coder<'a> {
    /// Finds columns by their names; they may stand in any order, beside others.
    ///
    /// # Errors
    /// When some are missing; all of them are named.
    pub fn new(names: &[String], columns: impl Iterator<Item = &'a Column>) -> Result<Self, String> {
        let mut missing = Vec::new();
        let mut found = Vec::new();
        for column in columns {
            match names.iter().position(|name| *name == column.name) {
                Some(place) => found.push((place, column, HashMap::new())),
                None => missing.push(column.name.as_str()),
            }
        }
        match missing.as_slice() {
            [] => Ok(Self { columns: found }),
            missing => {
                let shown = names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
                Err(format!("the header lacks {}; it has {shown}", missing.join(", ")))
            }
        }
    }

    /// The values of a record, in the order of the columns; the first that its column has not ends it.
    ///
    /// # Errors
    /// Column and value.
    pub fn code(&mut self, record: &csv::ByteRecord) -> Result<Vec<u16>, ConditionError> {
        self.columns.iter_mut().map(|column| coded(column, record)).collect()
    }

    /// The same with an index of one's own for values that their column has not.
    pub fn code_or(&mut self, record: &csv::ByteRecord, unseen: u16) -> Vec<u16> {
        self.columns.iter_mut().map(|column| coded(column, record).unwrap_or(unseen)).collect()
    }
}

fn coded(
    (place, column, known): &mut (usize, &Column, HashMap<Box<[u8]>, u16>),
    record: &csv::ByteRecord,
) -> Result<u16, ConditionError> {
    let field = record.get(*place).unwrap_or_default();
    if let Some(index) = known.get(field) {
        return Ok(*index);
    }
    let text = std::str::from_utf8(field).map_err(|_| ConditionError::Encoding { column: column.name.clone() })?;
    let index = column.find(text).ok_or_else(|| column.unknown(text))?;
    known.insert(field.into(), index);
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_what_is_missing_is_named() {
        let column = |name, values: &[&str]| Column::new(name, values.iter().map(|value| (*value).to_owned()));
        let columns = [column("age", &["1", "2"]), column("sex", &["F", "M"])];
        let names = ["id", "sex", "age"].map(str::to_owned);
        let mut coder = Coder::new(&names, columns.iter()).unwrap();
        let record = |fields: [&str; 3]| csv::ByteRecord::from(fields.to_vec());
        assert_eq!(coder.code(&record(["7", "M", "1"])), Ok(vec![0, 1]));
        assert_eq!(coder.code(&record(["7", "M", "2"])), Ok(vec![1, 1]));
        let error = coder.code(&record(["7", "X", "2"])).unwrap_err().to_string();
        assert_eq!(error, "sex has no value \"X\"; its values are F, M");
        let latin = csv::ByteRecord::from(vec![&b"7"[..], b"\xe9", b"2"]);
        assert_eq!(coder.code(&latin), Err(ConditionError::Encoding { column: "sex".to_owned() }));
        let error = Coder::new(&names[..1], columns.iter()).unwrap_err();
        assert_eq!(error, "the header lacks age, sex; it has id");
    }
}
