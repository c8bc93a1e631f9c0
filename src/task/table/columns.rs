//! Columns of a table as they are read: values are numbered as they come, and put in order at the end.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use super::read::{NOT_UTF8, Records};
use super::{Column, MOST_INTEGERS, MOST_NAMES, MOST_REALS, TableError, TableOptions, bin_of, bins, labels};

/// Different values of a column that are told apart; no column with more can be used.
const MOST_VALUES: usize = u16::MAX as usize;

/// Texts that stand for a number that is missing.
const MISSING: [&str; 8] = ["", "NA", "N/A", "NaN", "nan", "null", "None", "?"];

/// A table as it was read.
pub struct Raw {
    /// Names of its columns.
    pub names: Vec<String>,
    /// Weights of its rows, where a column has them.
    pub weights: Option<Vec<f64>>,
    /// Number of rows.
    pub rows: usize,
    columns: Vec<RawColumn>,
}

/// A column with the numbers of its rows' values.
pub struct Coded {
    pub column: Column,
    pub codes: Vec<u16>,
}

#[derive(Default)]
struct RawColumn {
    values: Vec<String>,
    numbers: HashMap<Box<[u8]>, u32>,
    codes: Vec<u32>,
    // Whether there were more values than are told apart.
    over: bool,
}

impl Raw {
    /// Reads all rows; values of columns that play no part are not kept.
    pub fn read(source: impl Read, path: &Path, options: &TableOptions) -> Result<Self, TableError> {
        let mut records = Records::new(source, path)?;
        let names = records.names.clone();
        let weight = match &options.weight {
            Some(name) => Some(super::place(&names, "weight", name)?),
            None => None,
        };
        let named = |name: &String| options.given.contains(name) || options.generate.contains(name);
        let used = |place: usize| Some(place) != weight && (options.generate.is_empty() || named(&names[place]));
        let used: Vec<usize> = (0..names.len()).filter(|place| used(*place)).collect();
        let mut columns: Vec<RawColumn> = names.iter().map(|_| RawColumn::default()).collect();
        let (mut weights, mut rows) = (Vec::new(), 0);
        while let Some((record, line)) = records.read()? {
            let mut problem = None;
            for place in &used {
                let column = &mut columns[*place];
                if let Err(wrong) = column.push(&record[*place], options.bins.contains_key(&names[*place])) {
                    problem = Some(format!("column {:?} is {wrong}", names[*place]));
                    break;
                }
            }
            if let Some(place) = weight {
                let text = String::from_utf8_lossy(&record[place]);
                match text.parse::<f64>() {
                    Ok(number) if number.is_finite() && number >= 0.0 => weights.push(number),
                    _ => {
                        let column = &names[place];
                        problem = Some(format!(
                            "the weight {text:?} in column {column:?} is not a number from 0 up; name another column of weights"
                        ));
                    }
                }
            }
            if let Some(problem) = problem {
                return Err(records.wrong(line, problem));
            }
            rows += 1;
        }
        if rows == 0 {
            return Err(records.wrong(0, "there are no rows below the header".to_owned()));
        }
        if let Some(place) = weight
            && !weights.iter().sum::<f64>().is_finite()
        {
            let problem =
                format!("the weights in column {:?} add up to no number; divide them by a large one", names[place]);
            return Err(records.wrong(0, problem));
        }
        Ok(Self { names, weights: weight.map(|_| weights), rows, columns })
    }

    /// A column that is used, in order of its values.
    ///
    /// # Errors
    /// What keeps it from being used, and the remedy.
    pub fn column(&self, place: usize, bins: Option<u32>) -> Result<Coded, String> {
        let (raw, name) = (&self.columns[place], &self.names[place]);
        let count = raw.values.len();
        let parsed: Vec<Option<f64>> = raw.values.iter().map(|value| number(value)).collect();
        let is_number = |(value, number): (&String, &Option<f64>)| number.is_some() || missing(value);
        let numeric = parsed.iter().any(Option::is_some) && raw.values.iter().zip(&parsed).all(is_number);
        if let Some(bins @ 1..) = bins {
            if let Some(text) = raw.values.iter().zip(&parsed).find(|pair| !is_number(*pair)) {
                return Err(format!("column {name:?} is to be binned and holds {:?}, which is not a number", text.0));
            }
            if !numeric {
                return Err(format!("column {name:?} is to be binned and holds no numbers"));
            }
            return Ok(raw.binned(name, &parsed, bins));
        }
        let advice = format!(
            "bin it (--bins {name}=10, in a config bins = {{ {name} = 10 }}), or leave it out of given and generate"
        );
        if raw.over {
            let remedy = if numeric { advice.as_str() } else { "leave it out of given and generate" };
            return Err(format!("column {name:?} has more than {MOST_VALUES} different values; {remedy}"));
        }
        if bins.is_none() {
            let real = numeric && parsed.iter().flatten().any(|number| number.fract() != 0.0);
            let (kind, most) = match (numeric, real) {
                (true, true) => ("numbers", MOST_REALS),
                (true, false) => ("whole numbers", MOST_INTEGERS),
                _ => ("names", MOST_NAMES),
            };
            if count > most {
                let keep = format!("{name}=0 in place of 10 keeps each value apart");
                let remedy = if numeric {
                    format!("{advice}; {keep}")
                } else {
                    format!(
                        "leave it out of given and generate; --bins {name}=0, in a config bins = {{ {name} = 0 }}, keeps each value apart"
                    )
                };
                return Err(format!("column {name:?} has {count} different {kind}, more than {most}; {remedy}"));
            }
        }
        Ok(raw.in_order(name, numeric.then_some(&parsed)))
    }
}

impl RawColumn {
    /// Takes in a field. Columns to be binned are told apart without end: their numbers are all needed.
    fn push(&mut self, field: &[u8], binned: bool) -> Result<(), String> {
        if self.over {
            return Ok(());
        }
        let code = match self.numbers.get(field) {
            Some(code) => *code,
            None if self.values.len() >= MOST_VALUES && !binned => {
                self.over = true;
                (self.numbers, self.codes) = Default::default();
                return Ok(());
            }
            None => {
                let text = std::str::from_utf8(field).map_err(|_| NOT_UTF8.to_owned())?;
                let code = self.values.len() as u32;
                self.values.push(text.to_owned());
                self.numbers.insert(field.into(), code);
                code
            }
        };
        self.codes.push(code);
        Ok(())
    }

    /// Values in the order of their numbers, or of their names.
    fn in_order(&self, name: &str, numbers: Option<&Vec<Option<f64>>>) -> Coded {
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        // What is missing comes first.
        let number = |place: usize| numbers.and_then(|numbers| numbers[place]).unwrap_or(f64::NEG_INFINITY);
        order.sort_by(|a, b| number(*a).total_cmp(&number(*b)).then_with(|| self.values[*a].cmp(&self.values[*b])));
        let mut place_of = vec![0u16; order.len()];
        order.iter().enumerate().for_each(|(place, value)| place_of[*value] = place as u16);
        let column = Column::new(name, order.iter().map(|place| self.values[*place].clone()));
        Coded { column, codes: self.codes.iter().map(|code| place_of[*code as usize]).collect() }
    }

    /// Bins of the numbers, after a value for what is missing, if anything is.
    fn binned(&self, name: &str, numbers: &[Option<f64>], bins: u32) -> Coded {
        let all: Vec<f64> = self.codes.iter().filter_map(|code| numbers[*code as usize]).collect();
        let edges = bins::quantiles(all, bins);
        let missing: Vec<String> = self.values.iter().filter(|value| missing(value)).cloned().collect();
        let place = |(value, number): (&String, &Option<f64>)| match number {
            Some(number) => missing.len() + bin_of(&edges, *number).unwrap_or_default(),
            None => missing.iter().position(|text| text == value).unwrap_or_default(),
        };
        let place_of: Vec<usize> = self.values.iter().zip(numbers).map(place).collect();
        let names = missing.iter().cloned().chain(labels(&edges));
        let column = Column { edges: edges.clone().into(), ..Column::new(name, names) };
        Coded { column, codes: self.codes.iter().map(|code| place_of[*code as usize] as u16).collect() }
    }
}

fn missing(text: &str) -> bool {
    MISSING.contains(&text)
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
