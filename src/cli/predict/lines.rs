//! Lines of conditions: what they ask for, and in which batches it is drawn.

use std::collections::HashMap;
use std::iter;

use crate::dates::{Condition, Line, LineError, ValidDates, has_date_shape};
use crate::files::FileError;

/// Finds the conditions of lines.
pub struct Parser<'a> {
    valid: &'a ValidDates,
    /// Those of short lines: most lines repeat one of them.
    by_text: HashMap<String, Condition>,
}

impl<'a> Parser<'a> {
    /// Longest text that is remembered, in bytes.
    const LONGEST: usize = 32;
    /// Most texts that are remembered.
    const MOST: usize = 2 * Condition::COUNT;

    /// Nothing remembered yet.
    pub fn new(valid: &'a ValidDates) -> Self {
        Self { valid, by_text: HashMap::new() }
    }

    /// The condition of a line, which some date must meet.
    pub fn condition(&mut self, line: &Line) -> Result<Condition, LineError> {
        if line.is_faulty() || line.text.len() > Self::LONGEST {
            return self.parse(line);
        }
        if let Some(condition) = self.by_text.get(&line.text) {
            return Ok(*condition);
        }
        let condition = self.parse(line)?;
        if self.by_text.len() < Self::MOST {
            self.by_text.insert(line.text.clone(), condition);
        }
        Ok(condition)
    }

    /// The line's condition, or the line as it is written back.
    pub fn entry(&mut self, line: &Line) -> Entry {
        self.condition(line).map_err(|_| without_date(&line.text).to_owned())
    }

    fn parse(&self, line: &Line) -> Result<Condition, LineError> {
        let condition = line.parse()?.condition_alone(&line.text)?;
        if self.valid.satisfiable(condition) { Ok(condition) } else { Err(LineError::Unsatisfiable(condition)) }
    }
}

/// A line: its condition, or a bad one as it stands, less its date.
pub type Entry = Result<Condition, String>;

/// A bad line as it stands, less a date at its end: nothing that could pass for an answer.
fn without_date(text: &str) -> &str {
    let text = text.trim_end();
    match text.rsplit_once(char::is_whitespace) {
        Some((rest, last)) if has_date_shape(last) => rest.trim_end(),
        _ => text,
    }
}

/// Batches of entries, in the order of the lines, each condition once for each of its samples.
pub struct Batches<L> {
    /// What is asked for.
    pub lines: L,
    /// How often each condition comes.
    pub samples: usize,
    /// Entries of a batch, at the most.
    pub most: usize,
    /// Bytes of bad lines in a batch, after which it ends.
    pub most_bad_bytes: usize,
    /// The condition of the last line, and how often it is still to come.
    pub repeated: Option<(Condition, usize)>,
}

impl<L: Iterator<Item = Result<Entry, FileError>>> Iterator for Batches<L> {
    type Item = Result<Vec<Entry>, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < self.most && bytes < self.most_bad_bytes {
            if let Some((condition, left)) = self.repeated.take() {
                let count = left.min(self.most - batch.len());
                batch.extend(iter::repeat_n(Ok(condition), count));
                self.repeated = (count < left).then_some((condition, left - count));
                continue;
            }
            match self.lines.next() {
                None => break,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(Ok(condition))) => self.repeated = Some((condition, self.samples)),
                Some(Ok(Err(text))) => {
                    bytes += text.len();
                    batch.push(Err(text));
                }
            }
        }
        (!batch.is_empty()).then_some(Ok(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dates::Lines;

    #[test]
    fn batches_share_out_the_samples_of_a_line_and_keep_bad_lines_in_place() {
        let [a, b] = [3, 9].map(|index| Condition::from_index(index).unwrap());
        let bad = || Err("bad".to_owned());
        let batches = |most: usize, most_bad_bytes: usize| -> Vec<Vec<Entry>> {
            let lines = [Ok(a), bad(), Ok(b)].into_iter().map(Ok);
            Batches { lines, samples: 3, most, most_bad_bytes, repeated: None }.map(Result::unwrap).collect()
        };
        let (a, b) = (Ok(a), Ok(b));
        assert_eq!(
            batches(4, 99),
            [vec![a.clone(), a.clone(), a.clone(), bad()], vec![b.clone(), b.clone(), b.clone()]]
        );
        let pairs = [[a.clone(), a.clone()], [a.clone(), bad()], [b.clone(), b.clone()]];
        assert_eq!(batches(2, 99), [&pairs.map(Vec::from)[..], &[vec![b.clone()]]].concat());
        // Bad lines end a batch by their bytes, too.
        assert_eq!(batches(99, 3), [vec![a.clone(), a.clone(), a, bad()], vec![b.clone(), b.clone(), b]]);
    }

    #[test]
    fn remembered_texts_and_conditions_are_those_that_parsing_gives() {
        let valid = ValidDates::new();
        let mut parser = Parser::new(&valid);
        let spellings: Vec<(usize, Condition)> =
            (0..3).flat_map(|blanks| Condition::all().map(move |condition| (blanks, condition))).collect();
        for (blanks, condition) in spellings.iter().chain(&spellings) {
            for date in ["", " 1-1-1900"] {
                let text = format!("{}{condition}{date}\n", " ".repeat(*blanks));
                let line = Lines::new(text.as_bytes()).next().unwrap().unwrap();
                assert_eq!(parser.condition(&line), Parser::new(&valid).condition(&line), "{text}");
            }
        }
        assert_eq!(parser.by_text.len(), Parser::MOST);
    }
}
