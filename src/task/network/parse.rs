//! The BIF format (Bayesian Interchange Format 0.15) as the public repositories of networks write it.
//!
//! ```text
//! variable smoke { type discrete [ 2 ] { yes, no }; }
//! probability ( lung | smoke ) { (yes) 0.1, 0.9; (no) 0.01, 0.99; }
//! ```

use std::collections::HashSet;

use super::{NetworkError, Node};

/// A word, a number, or one of `{ } ( ) [ ] | , ;`, with its line.
#[derive(Clone, Debug, PartialEq)]
struct Token<'a> {
    text: &'a str,
    line: usize,
    /// Whether it stood in quotes, and can't be a mark.
    quoted: bool,
}

/// Probabilities of one variable as they were written, before all variables are known.
struct Block<'a> {
    line: usize,
    child: &'a str,
    parents: Vec<&'a str>,
    table: Option<Vec<f64>>,
    default: Option<Vec<f64>>,
    // Values of the parents, the child's probabilities under them, and the line.
    rows: Vec<(Vec<&'a str>, Vec<f64>, usize)>,
}

/// A network's variables with their probabilities.
pub fn parse(text: &str) -> Result<Vec<Node>, NetworkError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0 };
    let (mut nodes, mut blocks) = (Vec::<Node>::new(), Vec::new());
    while let Some(token) = parser.next() {
        match token.text {
            "network" => parser.skip_block()?,
            "variable" => {
                let node = parser.variable()?;
                if nodes.iter().any(|other| other.name == node.name) {
                    return Err(fault(token.line, format!("variable {} is there twice", node.name)));
                }
                nodes.push(node);
            }
            "probability" => blocks.push(parser.probability(token.line)?),
            other => {
                let expected = "network, variable or probability";
                return Err(fault(token.line, format!("found {other:?}, expected {expected}")));
            }
        }
    }
    let mut done = vec![false; nodes.len()];
    for block in blocks {
        let (line, place) = (block.line, find(&nodes, block.child, block.line)?);
        if std::mem::replace(&mut done[place], true) {
            return Err(fault(line, format!("the probabilities of {} are there twice", block.child)));
        }
        let parents: Vec<usize> =
            block.parents.iter().map(|name| find(&nodes, name, line)).collect::<Result<_, _>>()?;
        let probabilities = fill(&nodes, place, &parents, &block)?;
        (nodes[place].parents, nodes[place].probabilities) = (parents, probabilities);
    }
    match done.iter().position(|done| !done) {
        Some(place) => Err(fault(0, format!("there are no probabilities for {}", nodes[place].name))),
        None if nodes.is_empty() => Err(fault(0, "there are no variables; is this a BIF file?".to_owned())),
        None => Ok(nodes),
    }
}

fn fault(line: usize, problem: String) -> NetworkError {
    NetworkError::Format { line, problem }
}

fn find(nodes: &[Node], name: &str, line: usize) -> Result<usize, NetworkError> {
    let place = nodes.iter().position(|node| node.name == name);
    place.ok_or_else(|| fault(line, format!("there is no variable {name}")))
}

/// The most entries of one table: 32 MiB.
const MOST_ENTRIES: usize = 1 << 22;

/// A node's probabilities `[parents, child]`, the last parent's value counting up fastest.
fn fill(nodes: &[Node], child: usize, parents: &[usize], block: &Block<'_>) -> Result<Vec<f64>, NetworkError> {
    let (name, size) = (&nodes[child].name, nodes[child].values.len());
    let combinations = parents.iter().try_fold(size, |product, parent| {
        product.checked_mul(nodes[*parent].values.len()).filter(|entries| *entries <= MOST_ENTRIES)
    });
    let Some(entries) = combinations else {
        return Err(fault(block.line, format!("the table of {name} would have more than {MOST_ENTRIES} entries")));
    };
    if parents.contains(&child) || parents.iter().enumerate().any(|(place, one)| parents[..place].contains(one)) {
        return Err(fault(block.line, format!("the parents of {name} repeat a variable")));
    }
    let mut probabilities = vec![f64::NAN; entries];
    let count = |found: usize, line: usize| match found == size {
        true => Ok(()),
        false => Err(fault(line, format!("{found} probabilities for {name}, which has {size} values"))),
    };
    if let Some(default) = &block.default {
        count(default.len(), block.line)?;
        probabilities.chunks_exact_mut(size).for_each(|row| row.copy_from_slice(default));
    }
    if let Some(table) = &block.table {
        if table.len() != entries {
            return Err(fault(block.line, format!("the table of {name} has {} entries, not {entries}", table.len())));
        }
        // A table has the child's value counting up slowest.
        let rows = entries / size;
        (0..entries).for_each(|entry| probabilities[entry % rows * size + entry / rows] = table[entry]);
    }
    let mut stated = HashSet::new();
    for (values, row, line) in &block.rows {
        if values.len() != parents.len() {
            return Err(fault(*line, format!("{} values for the {} parents of {name}", values.len(), parents.len())));
        }
        let mut place = 0;
        for (value, parent) in values.iter().zip(parents) {
            let parent = &nodes[*parent];
            let index = parent.values.iter().position(|known| known == value);
            let index = index.ok_or_else(|| fault(*line, format!("{} has no value {value}", parent.name)))?;
            place = place * parent.values.len() + index;
        }
        if !stated.insert(place) {
            let values = values.join(", ");
            return Err(fault(
                *line,
                format!("the probabilities of {name} for ({values}) stand there twice; keep one"),
            ));
        }
        count(row.len(), *line)?;
        probabilities[place * size..][..size].copy_from_slice(row);
    }
    for (place, row) in probabilities.chunks_exact_mut(size).enumerate() {
        let sum: f64 = row.iter().sum();
        if sum.is_nan() {
            let mut rest = place;
            let mut values: Vec<&str> = parents
                .iter()
                .rev()
                .map(|parent| {
                    let values = &nodes[*parent].values;
                    let value = rest % values.len();
                    rest /= values.len();
                    values[value].as_str()
                })
                .collect();
            values.reverse();
            let values = values.join(", ");
            return Err(fault(
                block.line,
                format!("{name} has no probabilities for ({values}), values of its parents"),
            ));
        }
        // Files round their numbers.
        if (sum - 1.0).abs() > 0.02 {
            return Err(fault(block.line, format!("probabilities of {name} add up to {sum:.4}, not to 1")));
        }
        row.iter_mut().for_each(|p| *p /= sum);
    }
    Ok(probabilities)
}

struct Parser<'a, 'b> {
    tokens: &'b [Token<'a>],
    at: usize,
}

impl<'a, 'b> Parser<'a, 'b> {
    fn next(&mut self) -> Option<&'b Token<'a>> {
        self.at += 1;
        self.tokens.get(self.at - 1)
    }

    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at.min(self.tokens.len().saturating_sub(1))).map_or(1, |token| token.line)
    }

    /// The next token, which must be this mark.
    fn mark(&mut self, mark: &str) -> Result<(), NetworkError> {
        let line = self.line();
        match self.next() {
            Some(token) if token.text == mark && !token.quoted => Ok(()),
            Some(token) => Err(fault(token.line, format!("found {:?}, expected {mark:?}", token.text))),
            None => Err(fault(line, format!("the file ends where {mark:?} is expected"))),
        }
    }

    /// The next token, which must be a word.
    fn word(&mut self) -> Result<&'a str, NetworkError> {
        let line = self.line();
        match self.next() {
            Some(token) if token.quoted || !MARKS.contains(token.text) => Ok(token.text),
            Some(token) => Err(fault(token.line, format!("found {:?}, expected a name", token.text))),
            None => Err(fault(line, "the file ends where a name is expected".to_owned())),
        }
    }

    /// Words up to this mark, with or without commas between them.
    fn words(&mut self, end: &str) -> Result<Vec<&'a str>, NetworkError> {
        let mut words = Vec::new();
        while self.peek() != end {
            words.push(self.word()?);
            if self.peek() == "," {
                self.at += 1;
            }
        }
        self.mark(end)?;
        Ok(words)
    }

    fn numbers(&mut self) -> Result<Vec<f64>, NetworkError> {
        let line = self.line();
        let number = |word: &&str| match word.parse() {
            Ok(number) if (0.0..=1.0 + 1e-9).contains(&number) => Ok(number),
            _ => Err(fault(line, format!("{word:?} is not a probability"))),
        };
        self.words(";")?.iter().map(number).collect()
    }

    fn skip_block(&mut self) -> Result<(), NetworkError> {
        while self.peek() != "{" {
            self.word()?;
        }
        self.mark("{")?;
        while self.peek() != "}" {
            self.property()?;
        }
        self.mark("}")
    }

    /// Anything up to a semicolon.
    fn property(&mut self) -> Result<(), NetworkError> {
        let line = self.line();
        loop {
            match self.next() {
                Some(token) if token.text == ";" => return Ok(()),
                Some(token) if token.text == "}" => {
                    return Err(fault(token.line, "found \"}\", expected \";\"".to_owned()));
                }
                Some(_) => (),
                None => return Err(fault(line, "the file ends within a property".to_owned())),
            }
        }
    }

    fn variable(&mut self) -> Result<Node, NetworkError> {
        let name = self.word()?;
        self.mark("{")?;
        let mut values: Vec<String> = Vec::new();
        while self.peek() != "}" {
            let line = self.line();
            if self.peek() != "type" {
                self.property()?;
                continue;
            }
            self.word()?;
            match self.word()? {
                "discrete" => (),
                other => return Err(fault(line, format!("{name} is of type {other}; only discrete ones are read"))),
            }
            self.mark("[")?;
            let stated = self.word()?;
            self.mark("]")?;
            self.mark("{")?;
            values = self.words("}")?.into_iter().map(str::to_owned).collect();
            self.mark(";")?;
            if stated.parse() != Ok(values.len()) {
                return Err(fault(line, format!("{name} is to have {stated} values and has {}", values.len())));
            }
            if let Some(twice) = values.iter().enumerate().find(|(place, value)| values[..*place].contains(value)) {
                return Err(fault(line, format!("{name} has the value {} twice", twice.1)));
            }
        }
        let line = self.line();
        self.mark("}")?;
        if values.is_empty() || values.len() > usize::from(u16::MAX) {
            return Err(fault(line, format!("{name} has {} values", values.len())));
        }
        Ok(Node { name: name.to_owned(), values, parents: Vec::new(), probabilities: Vec::new() })
    }

    fn probability(&mut self, line: usize) -> Result<Block<'a>, NetworkError> {
        self.mark("(")?;
        let child = self.word()?;
        let parents = match self.peek() {
            "|" => {
                self.at += 1;
                self.words(")")?
            }
            _ => {
                self.mark(")")?;
                Vec::new()
            }
        };
        self.mark("{")?;
        let mut block = Block { line, child, parents, table: None, default: None, rows: Vec::new() };
        while self.peek() != "}" {
            match self.peek() {
                "(" => {
                    let line = self.line();
                    self.at += 1;
                    let values = self.words(")")?;
                    block.rows.push((values, self.numbers()?, line));
                }
                "table" | "default" => {
                    let table = self.word()? == "table";
                    let numbers = Some(self.numbers()?);
                    *(if table { &mut block.table } else { &mut block.default }) = numbers;
                }
                _ => self.property()?,
            }
        }
        self.mark("}")?;
        Ok(block)
    }
}

const MARKS: &str = "{}()[]|,;";

/// Takes a text apart; comments are left out.
fn tokens(text: &str) -> Result<Vec<Token<'_>>, NetworkError> {
    let (mut tokens, mut line, mut rest) = (Vec::new(), 1, text);
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").ok_or_else(|| fault(line, "a comment without an end".to_owned()))?;
            end + 2
        } else if first == '"' {
            let end = rest[1..].find('"').ok_or_else(|| fault(line, "a quote without an end".to_owned()))?;
            tokens.push(Token { text: &rest[1..=end], line, quoted: true });
            end + 2
        } else if MARKS.contains(first) {
            tokens.push(Token { text: &rest[..1], line, quoted: false });
            1
        } else {
            let ends = |mark: char| mark.is_whitespace() || mark == '"' || MARKS.contains(mark);
            let end = rest.find(ends).unwrap_or(rest.len());
            tokens.push(Token { text: &rest[..end], line, quoted: false });
            end
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    Ok(tokens)
}
