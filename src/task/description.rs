//! Schemas as text, which weight files carry: a model's folder says what its numbers stand for.

use serde::{Deserialize, Serialize};

use super::{Column, Notation, Schema};

#[derive(Serialize, Deserialize)]
struct SchemaText {
    given: Vec<ColumnText>,
    generated: Vec<ColumnText>,
}

#[derive(Serialize, Deserialize)]
struct ColumnText {
    name: String,
    values: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    determined: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    edges: Vec<f64>,
}

impl Schema {
    /// The columns in JSON: `{"given": [{"name": ..., "values": [...]}, ...], "generated": [...]}`. Columns that the given
    /// ones determine say so, and bins have their edges. None for dates, whose columns are known.
    pub fn to_json(&self) -> Option<String> {
        let columns = |columns: &[Column]| -> Vec<ColumnText> {
            let text = |column: &Column| ColumnText {
                name: column.name.clone(),
                values: column.values.to_vec(),
                determined: column.determined,
                edges: column.edges.to_vec(),
            };
            columns.iter().map(text).collect()
        };
        let text = SchemaText { given: columns(&self.given), generated: columns(&self.generated) };
        match self.notation {
            Notation::Dates => None,
            // Names and finite numbers always serialise.
            Notation::Named => serde_json::to_string(&text).ok(),
        }
    }

    /// Reads what [`Schema::to_json`] writes.
    ///
    /// # Errors
    /// When the text is something else, with the reason.
    pub fn of_json(text: &str) -> Result<Self, String> {
        let text: SchemaText = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let column = |text: ColumnText| {
            let bins = text.edges.len().saturating_sub(1);
            if text.values.is_empty() || text.values.len() > usize::from(u16::MAX) || bins > text.values.len() {
                return Err(format!("the column {:?} has {} values", text.name, text.values.len()));
            }
            if !text.edges.is_sorted() {
                return Err(format!("the edges of the column {:?} are not in order", text.name));
            }
            let column = Column::new(&text.name, text.values);
            Ok(Column { determined: text.determined, edges: text.edges.into(), ..column })
        };
        let columns = |texts: Vec<ColumnText>| texts.into_iter().map(column).collect::<Result<Vec<_>, String>>();
        let schema = Self::new(columns(text.given)?, columns(text.generated)?);
        match (schema.given.is_empty(), schema.generated.is_empty()) {
            (false, false) => Ok(schema),
            _ => Err("it has no given or no generated columns".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::dates;

    #[test]
    fn what_is_written_is_read_back() {
        let column = |name, values: &[&str]| Column::new(name, values.iter().map(|value| (*value).to_owned()));
        let binned = Column { edges: [0.0, 10.5, 20.0].into(), ..column("age", &["", "0..10.5", "10.5..20"]) };
        let same = Column { determined: true, ..column("y", &["a\"b", "ü"]) };
        let schema = Schema::new(vec![binned, column("x", &["1"])], vec![same]);
        let text = schema.to_json().unwrap();
        assert_eq!(Schema::of_json(&text), Ok(schema));
        assert!(!text.contains("\"edges\":[]") && dates::schema().to_json().is_none());
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, expected) in [
            ("{}", "missing field"),
            (r#"{"given": [], "generated": []}"#, "no given"),
            (r#"{"given": [{"name": "a", "values": []}], "generated": []}"#, "\"a\" has 0 values"),
            (
                r#"{"given": [{"name": "a", "values": ["x"], "edges": [1, 2, 3]}], "generated": []}"#,
                "\"a\" has 1 values",
            ),
            (r#"{"given": [{"name": "a", "values": ["x"], "edges": [2, 1]}], "generated": []}"#, "not in order"),
        ] {
            let error = Schema::of_json(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
