//! JSON lines: an object per row. JSON has no infinity; the largest finite number stands for it, since every reader takes
//! that as a number (polars refuses 1e999, which others read as infinity).

use std::io::{self, Write};

use super::table::{Cell, Column, TableWriter};

pub struct Writer {
    file: Box<dyn Write>,
    /// `"name":`, escaped.
    keys: Vec<String>,
}

impl TableWriter for Writer {
    const EXTENSION: &'static str = "jsonl";

    fn begin(file: Box<dyn Write>, columns: Vec<Column>) -> io::Result<Self> {
        let key = |column: Column| Ok(format!("{}:", serde_json::to_string(&column.name)?));
        Ok(Self { file, keys: columns.into_iter().map(key).collect::<io::Result<_>>()? })
    }

    fn add(&mut self, row: Vec<Cell>) -> io::Result<()> {
        let mut line = String::with_capacity(1024);
        for (key, cell) in self.keys.iter().zip(row) {
            line.push(if line.is_empty() { '{' } else { ',' });
            line += key;
            line += &text(&cell)?;
        }
        line += "}\n";
        self.file.write_all(line.as_bytes())
    }

    fn end(mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn text(cell: &Cell) -> io::Result<String> {
    Ok(match cell {
        Cell::Float(number) => serde_json::to_string(&number.clamp(f64::MIN, f64::MAX))?,
        Cell::Null => "null".to_owned(),
        Cell::Int(number) => number.to_string(),
        Cell::Bool(value) => value.to_string(),
        Cell::Text(text) => serde_json::to_string(text)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_of_the_type_of_its_column() {
        let cells =
            [Cell::Float(f64::INFINITY), Cell::Float(0.1), Cell::Int(-3), Cell::Null, Cell::Text("a\n\"b\"".into())];
        let texts: Vec<String> = cells.iter().map(|cell| text(cell).unwrap()).collect();
        assert_eq!(texts, ["1.7976931348623157e+308", "0.1", "-3", "null", r#""a\n\"b\"""#]);
    }
}
