//! Reading files of lines, in bounded memory, whatever they hold.

use std::io::{self, BufRead};

use super::lines::{LineError, Parsed, parse_line};

/// No line of the format comes near this many bytes.
const LONGEST: usize = 4096;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its text without the line ending; where it is not UTF-8 or too long, what can be shown of it.
    pub text: String,
    /// What is wrong with the line as a whole, if anything.
    fault: Option<LineError>,
}

impl Line {
    /// Whether something is wrong with the line as a whole: [`Line::parse`] fails then.
    pub fn is_faulty(&self) -> bool {
        self.fault.is_some()
    }

    /// Takes the line apart.
    ///
    /// # Errors
    /// When it is not a line of the format.
    pub fn parse(&self) -> Result<Parsed<'_>, LineError> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => parse_line(&self.text),
        }
    }
}

/// The lines of a file; blank ones at its end are left out, CRs and a byte-order mark are dropped.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    number: u64,
    /// Blank lines read and not passed on: they count only if something follows.
    blank: u64,
    next: Option<Line>,
}

impl<R: BufRead> Lines<R> {
    /// The lines of this input.
    pub fn new(input: R) -> Self {
        Self { input, number: 0, blank: 0, next: None }
    }

    /// The next line as it stands, blank or not.
    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let mut dropped = false;
        // A line without end is read to its end and kept only in part.
        loop {
            let available = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?,
            };
            let (taken, ended) = match available.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (available.len(), false),
            };
            let room = (LONGEST + 1).saturating_sub(bytes.len());
            bytes.extend_from_slice(&available[..taken.min(room)]);
            dropped |= taken > room;
            self.input.consume(taken);
            if ended || taken == 0 {
                break;
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        bytes.pop_if(|last| *last == b'\n');
        let too_long = dropped || bytes.len() > LONGEST;
        bytes.pop_if(|last| *last == b'\r');
        if self.number == 1 && bytes.starts_with("\u{feff}".as_bytes()) {
            bytes.drain(.."\u{feff}".len());
        }
        let (fault, text) = if too_long {
            // Less than LONGEST where a byte-order mark or a CR was taken off.
            bytes.truncate(LONGEST);
            (Some(LineError::TooLong(LONGEST)), String::from_utf8_lossy(&bytes).into_owned())
        } else {
            match String::from_utf8(bytes) {
                Ok(text) => (None, text),
                Err(error) => (Some(LineError::Encoding), String::from_utf8_lossy(error.as_bytes()).into_owned()),
            }
        };
        Ok(Some(Line { number: self.number, text, fault }))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next.is_none() {
            match self.read() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some(line)) if line.text.trim().is_empty() && line.fault.is_none() => self.blank += 1,
                Ok(Some(line)) => self.next = Some(line),
            }
        }
        // Blank lines before this one are lines of their own, in their place.
        let next_number = self.next.as_ref()?.number;
        if self.blank > 0 {
            let number = next_number - self.blank;
            self.blank -= 1;
            return Some(Ok(Line { number, text: String::new(), fault: None }));
        }
        self.next.take().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<(u64, String, bool)> {
        // A tiny buffer, so that lines span several reads.
        let lines = Lines::new(io::BufReader::with_capacity(3, text)).map(Result::unwrap);
        lines.map(|line| (line.number, line.text.clone(), line.parse().is_ok())).collect()
    }

    const GOOD: &str = "[MON] [DEC] [False] [196]";

    #[test]
    fn line_endings_and_blank_lines_at_the_end_are_free() {
        let line = |number| (number, GOOD.to_owned(), true);
        assert_eq!(read(format!("{GOOD}\r\n{GOOD}\n\n \r\n\n").as_bytes()), [line(1), line(2)]);
        assert_eq!(read(GOOD.as_bytes()), [line(1)]);
        assert_eq!(read(format!("\u{feff}{GOOD}").as_bytes()), [line(1)]);
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n\n"), []);
    }

    #[test]
    fn blank_lines_in_between_keep_their_place_and_are_wrong() {
        let lines = read(format!("\n{GOOD}\n \n\n{GOOD}\n").as_bytes());
        let numbers: Vec<_> = lines.iter().map(|(number, _, good)| (*number, *good)).collect();
        assert_eq!(numbers, [(1, false), (2, true), (3, false), (4, false), (5, true)]);
    }

    #[test]
    fn bytes_that_are_no_text_and_endless_lines_are_faults_of_one_line() {
        let mut input = b"\xff\xfe\n".to_vec();
        input.extend(std::iter::repeat_n(b'x', 100_000));
        input.extend(format!("\n{GOOD}").as_bytes());
        let lines: Vec<_> = Lines::new(input.as_slice()).map(Result::unwrap).collect();
        assert_eq!(lines[0].parse(), Err(LineError::Encoding));
        assert_eq!(lines[1].parse(), Err(LineError::TooLong(LONGEST)));
        assert!(lines[1].text.len() <= LONGEST);
        assert!(lines[2].parse().is_ok());
    }

    #[test]
    fn a_byte_order_mark_before_a_line_of_any_length_is_dropped() {
        // The mark's three bytes count: what is left after it may be shorter than what is shown of a long line.
        for (length, long) in [(4092, false), (4093, false), (4094, true), (4095, true), (4097, true), (9000, true)] {
            for end in ["", "\n", "\r\n"] {
                let mut input = format!("\u{feff}{}{end}", "x".repeat(length)).into_bytes();
                input.extend(if end.is_empty() { "" } else { GOOD }.bytes());
                let lines: Vec<_> = Lines::new(input.as_slice()).map(Result::unwrap).collect();
                let refused = matches!(lines[0].parse(), Err(LineError::TooLong(LONGEST)));
                // A CR before the end of the line counts as well.
                assert_eq!(refused, long || (end == "\r\n" && length == 4093), "{length} {end:?}");
                assert!(lines[0].text.starts_with('x') && lines[0].text.len() <= LONGEST);
                assert!(lines.get(1).is_none_or(|line| line.parse().is_ok()));
            }
        }
    }
}
