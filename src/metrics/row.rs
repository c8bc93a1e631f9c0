//! A row of values, each under its measure: one line of history.csv or of metrics.csv.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::measure::{Measure, Source, Unit};

/// A logged value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number; NaN where nothing could be measured.
    Number(f64),
    /// A whole number.
    Count(u64),
    /// Words.
    Text(String),
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Count(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Count(value as u64)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(value) => serializer.serialize_f64(*value),
            Self::Count(value) => serializer.serialize_u64(*value),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}

/// Values by measure. What an older version did not log is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row(BTreeMap<Measure, Value>);

/// A cell that can't be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CellError {
    /// It is not a number.
    #[error("{0:?} is not a number")]
    Number(String),
    /// It is not a whole number.
    #[error("{0:?} is not a whole number from 0 up")]
    Count(String),
    /// It is a number that no run can produce.
    #[error("{0} is {1}")]
    Impossible(f64, &'static str),
}

/// A loss of a run that diverges may grow without end; a larger number is read as infinite.
const HIGHEST: f64 = 1e30;

impl Row {
    /// Sets the value of a measure.
    pub fn set(&mut self, measure: Measure, value: impl Into<Value>) {
        self.0.insert(measure, value.into());
    }

    /// The same row with this value.
    #[must_use]
    pub fn with(mut self, measure: Measure, value: impl Into<Value>) -> Self {
        self.set(measure, value);
        self
    }

    /// Whether a measure was logged, or can be computed from what was.
    pub fn has(&self, measure: Measure) -> bool {
        match measure.spec().source {
            // An earlier version may have logged what is computed today.
            _ if self.0.contains_key(&measure) => true,
            Source::Derived { from, .. } => from.iter().all(|measure| self.has(*measure)),
            _ => false,
        }
    }

    /// The measures that were logged.
    pub fn measures(&self) -> impl Iterator<Item = Measure> {
        self.0.keys().copied()
    }

    /// The logged value of a measure.
    pub fn get(&self, measure: Measure) -> Option<&Value> {
        self.0.get(&measure)
    }

    /// The number of a measure; NaN where it was not logged or is not a number.
    pub fn number(&self, measure: Measure) -> f64 {
        match (self.0.get(&measure), measure.spec().source) {
            (Some(Value::Number(value)), _) => *value,
            (Some(Value::Count(value)), _) => *value as f64,
            (None, Source::Derived { compute, .. }) => compute(&|measure| self.number(measure)),
            _ => f64::NAN,
        }
    }

    /// The whole number of a measure; 0 where it was not logged.
    pub fn count(&self, measure: Measure) -> u64 {
        match self.0.get(&measure) {
            Some(Value::Count(value)) => *value,
            _ => 0,
        }
    }

    /// The words of a measure; empty where it was not logged.
    pub fn words(&self, measure: Measure) -> &str {
        match self.0.get(&measure) {
            Some(Value::Text(value)) => value,
            _ => "",
        }
    }

    /// Reads the cell of a column; an empty one is not logged.
    ///
    /// # Errors
    /// When the cell does not fit the measure's unit.
    pub fn read(&mut self, measure: Measure, cell: &str) -> Result<(), CellError> {
        let unit = measure.spec().unit;
        if cell.is_empty() {
            return Ok(());
        }
        let value = match unit {
            Unit::Text => Value::Text(cell.to_owned()),
            Unit::Count => Value::Count(cell.parse().map_err(|_| CellError::Count(cell.to_owned()))?),
            _ => {
                let value: f64 = cell.parse().map_err(|_| CellError::Number(cell.to_owned()))?;
                if let Some(fault) = unit.fault(value) {
                    return Err(CellError::Impossible(value, fault));
                }
                Value::Number(if value > HIGHEST { f64::INFINITY } else { value })
            }
        };
        self.0.insert(measure, value);
        Ok(())
    }

    /// The cells of these columns, as CSV writes them; empty where a measure was not logged.
    pub fn record(&self, columns: &[Measure]) -> Vec<String> {
        let bytes = written(|writer| writer.serialize(self.cells(columns)));
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
        let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
        record.iter().map(str::to_owned).collect()
    }

    /// The row as a line of CSV with these columns.
    pub fn line(&self, columns: &[Measure]) -> String {
        let bytes = written(|writer| writer.serialize(self.cells(columns)));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The same where some columns hold nothing.
    pub fn line_of(&self, columns: &[Option<Measure>]) -> String {
        let cells = |measure: &Option<Measure>| measure.and_then(|measure| self.0.get(&measure));
        let bytes = written(|writer| writer.serialize(columns.iter().map(cells).collect::<Vec<_>>()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn cells(&self, columns: &[Measure]) -> Vec<Option<&Value>> {
        columns.iter().map(|measure| self.0.get(measure)).collect()
    }
}

/// What is written to memory as CSV.
fn written(write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    // Plain values always serialise, and memory can always be written to.
    write(&mut writer).expect("plain values serialise");
    writer.into_inner().expect("memory can be flushed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_were_written() {
        let columns = [Measure::Step, Measure::Phase, Measure::TestKl, Measure::GreedyPass, Measure::TestMi];
        let row = Row::default()
            .with(Measure::Step, 10u64)
            .with(Measure::Phase, "code, or so")
            .with(Measure::TestKl, 0.1 + 0.2)
            .with(Measure::GreedyPass, 1.0);
        assert_eq!(row.line(&columns), "10,\"code, or so\",0.30000000000000004,1.0,\n");
        let mut again = Row::default();
        let record = row.record(&columns);
        columns.iter().zip(&record).for_each(|(measure, cell)| again.read(*measure, cell).unwrap());
        assert_eq!(again, row);
        assert!(!again.has(Measure::TestMi) && again.number(Measure::TestMi).is_nan());
        assert_eq!((again.count(Measure::Step), again.words(Measure::Phase)), (10, "code, or so"));
    }

    #[test]
    fn numbers_that_no_run_can_produce_are_refused_and_endless_losses_are_infinite() {
        let read = |measure, cell: &str| {
            let mut row = Row::default();
            row.read(measure, cell).map(|()| row.number(measure)).map_err(|error| error.to_string())
        };
        for (measure, cell) in [
            (Measure::TestKl, "-0.001"),
            (Measure::GreedyPass, "1"),
            (Measure::GreedyTvValidation, "0"),
            (Measure::Lr, "1e-9"),
        ] {
            assert_eq!(read(measure, cell), Ok(cell.parse().unwrap()), "{measure:?}");
        }
        assert!(read(Measure::GreedyPassValidation, "NaN").unwrap().is_nan());
        assert_eq!(read(Measure::TestLoss, "1e308"), Ok(f64::INFINITY));
        for (measure, cell, fault) in [
            (Measure::GreedyPass, "-1e308", "not between 0 and 1"),
            (Measure::GreedyCoverage, "1.01", "not between 0 and 1"),
            (Measure::INVALID_MASS, "1.01", "not between 0 and 1"),
            (Measure::TestKl, "-1e308", "lower than any figure of a run"),
            (Measure::TestRecon, "-inf", "lower than any figure of a run"),
            (Measure::TestRecon, "a", "\"a\" is not a number"),
            (Measure::Step, "-1", "not a whole number"),
        ] {
            let error = read(measure, cell).unwrap_err();
            assert!(error.contains(fault), "{error}");
        }
    }
}
