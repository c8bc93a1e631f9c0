//! Bayesian networks: the exact p(y | c) of some of their variables given others, by enumeration.

mod parse;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Column, Kind, Rows, Schema, Truth};
use crate::files::{self, FileError};
use crate::printable::ShownPath;

/// The most combinations of values that are enumerated.
pub const MOST_CELLS: usize = 1 << 22;
/// Networks of the public repositories are smaller, unpacked.
const LARGEST: u64 = 64 << 20;

/// One variable.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    name: String,
    values: Vec<String>,
    /// Places of its parents among the variables.
    parents: Vec<usize>,
    /// p(value | parents), `[parents, values]`, the last parent's value counting up fastest.
    probabilities: Vec<f64>,
}

/// A Bayesian network.
#[derive(Clone, Debug)]
pub struct Network {
    // Parents before children.
    nodes: Vec<Node>,
}

/// Why a network gives no task.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not what its name says.
    #[error("{path}: {problem}", path = .path.shown())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No BIF.
    #[error("{}{problem}", if *line == 0 { String::new() } else { format!("line {line}: ") })]
    Format {
        /// The line, counted from 1; 0 for the whole file.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The same in a file.
    #[error("{path}: {error}", path = .path.shown())]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: Box<NetworkError>,
    },
    /// Variables depend on each other in a circle.
    #[error("the variables {0} depend on each other in a circle")]
    Circle(String),
    /// A variable that the network has not.
    #[error("{key}: the network has no variable {name:?}; it has {known}")]
    Unknown {
        /// Where it was asked for.
        key: &'static str,
        /// The name.
        name: String,
        /// The network's variables.
        known: String,
    },
    /// A variable asked for twice.
    #[error("{key}: {name:?} is named twice")]
    Twice {
        /// Where it was asked for.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// Nothing to give or to generate.
    #[error("{0}: it names no variable; both given and generate need one at least")]
    Nothing(&'static str),
    /// Too many combinations.
    #[error(
        "the {variables} variables that p(generate | given) depends on have {cells} combinations of values, more than the \
         {MOST_CELLS} that are enumerated; name fewer in generate, such as {fewer}"
    )]
    TooLarge {
        /// Number of variables.
        variables: usize,
        /// Number of combinations, in words where it has no number.
        cells: String,
        /// Variables that depend on few others.
        fewer: String,
    },
}

impl NetworkError {
    /// Whether it is about `given` or `generate`, whose name it begins with.
    pub fn is_about_lists(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Twice { .. } | Self::Nothing(_))
    }
}

impl Network {
    /// Reads a file in the BIF format, `.bif`, or packed, `.bif.gz`.
    ///
    /// # Errors
    /// When it can't be read or is not a network: with the line.
    pub fn load(path: &Path) -> Result<Self, NetworkError> {
        let bytes = files::read_at_most(path, LARGEST)?;
        let unreadable =
            |problem: &str| NetworkError::Unreadable { path: path.to_owned(), problem: problem.to_owned() };
        let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut unpacked = Vec::new();
            let packed = flate2::read::MultiGzDecoder::new(&bytes[..]);
            packed.take(LARGEST + 1).read_to_end(&mut unpacked).map_err(|_| unreadable("a damaged gzip file"))?;
            if unpacked.len() as u64 > LARGEST {
                return Err(unreadable("unpacked it is larger than 64 MiB"));
            }
            unpacked
        } else {
            bytes
        };
        let text = String::from_utf8(bytes).map_err(|_| unreadable("not UTF-8 text; is this a BIF file?"))?;
        Self::parse(&text).map_err(|error| NetworkError::In { path: path.to_owned(), error: Box::new(error) })
    }

    /// Reads a text in the BIF format.
    ///
    /// # Errors
    /// When it is not a network: with the line.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let nodes = parse::parse(text)?;
        let order = parents_first(&nodes)?;
        let mut place_of = vec![0; nodes.len()];
        order.iter().enumerate().for_each(|(place, node)| place_of[*node] = place);
        let moved = |node: &usize| {
            let mut node = nodes[*node].clone();
            node.parents.iter_mut().for_each(|parent| *parent = place_of[*parent]);
            node
        };
        Ok(Self { nodes: order.iter().map(moved).collect() })
    }

    /// Names of the variables, parents before children.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }

    /// The truth about `generate` given `given`; all others are generated where none are named, parents before children.
    /// Variables in neither list are summed out.
    ///
    /// # Errors
    /// When a list names what the network has not, or more than [`MOST_CELLS`] combinations would be enumerated.
    pub fn truth(&self, given: &[String], generate: &[String]) -> Result<Truth, NetworkError> {
        let given = self.places("given", given, &[])?;
        let generate = match generate {
            [] => (0..self.nodes.len()).filter(|place| !given.contains(place)).collect(),
            generate => self.places("generate", generate, &given)?,
        };
        for (key, places) in [("given", &given), ("generate", &generate)] {
            if places.is_empty() {
                return Err(NetworkError::Nothing(key));
            }
        }
        let chosen: Vec<usize> = given.iter().chain(&generate).copied().collect();
        let relevant = self.ancestors(&chosen);
        if self.cells(&relevant).is_none() {
            return Err(self.too_large(&given, &relevant));
        }
        let joint = self.joint(&chosen, &relevant);
        let sizes: Vec<usize> = chosen.iter().map(|place| self.nodes[*place].values.len()).collect();
        let (mut rows, mut weights) = (Rows::new(chosen.len()), Vec::new());
        for (cell, weight) in joint.into_iter().enumerate().filter(|(_, weight)| *weight > 0.0) {
            let mut row = vec![0; sizes.len()];
            sizes.iter().enumerate().rev().fold(cell, |rest, (place, size)| {
                row[place] = (rest % size) as u16;
                rest / size
            });
            rows.push(&row);
            weights.push(weight);
        }
        let columns = |places: &[usize]| -> Vec<Column> {
            let column = |place: &usize| Column::new(&self.nodes[*place].name, self.nodes[*place].values.clone());
            places.iter().map(column).collect()
        };
        let schema = Schema::new(columns(&given), columns(&generate));
        Ok(Truth::new(schema, &rows, Some(&weights), Kind::Exact))
    }

    fn places(&self, key: &'static str, names: &[String], taken: &[usize]) -> Result<Vec<usize>, NetworkError> {
        let mut places: Vec<usize> = Vec::new();
        for name in names {
            let place = self.nodes.iter().position(|node| node.name == *name).ok_or_else(|| {
                let known = self.names().collect::<Vec<_>>().join(", ");
                NetworkError::Unknown { key, name: name.clone(), known }
            })?;
            if places.contains(&place) || taken.contains(&place) {
                return Err(NetworkError::Twice { key, name: name.clone() });
            }
            places.push(place);
        }
        Ok(places)
    }

    /// These variables and all that they depend on, parents first: the others add up to 1.
    fn ancestors(&self, chosen: &[usize]) -> Vec<usize> {
        let mut needed = vec![false; self.nodes.len()];
        chosen.iter().for_each(|place| needed[*place] = true);
        for place in (0..self.nodes.len()).rev() {
            if needed[place] {
                self.nodes[place].parents.iter().for_each(|parent| needed[*parent] = true);
            }
        }
        (0..self.nodes.len()).filter(|place| needed[*place]).collect()
    }

    /// Combinations of these variables' values; none where they are too many.
    fn cells(&self, places: &[usize]) -> Option<usize> {
        places.iter().try_fold(1usize, |cells, place| {
            cells.checked_mul(self.nodes[*place].values.len()).filter(|cells| *cells <= MOST_CELLS)
        })
    }

    fn too_large(&self, given: &[usize], relevant: &[usize]) -> NetworkError {
        let sizes = relevant.iter().map(|place| self.nodes[*place].values.len() as f64);
        let cells = format!("{:.1e}", sizes.product::<f64>());
        // The longest run of variables, from the top, that can be enumerated together with the given ones.
        let mut fewer: Vec<usize> = Vec::new();
        for place in relevant.iter().filter(|place| !given.contains(place)) {
            let with: Vec<usize> = given.iter().chain(&fewer).chain([place]).copied().collect();
            if self.cells(&self.ancestors(&with)).is_some() {
                fewer.push(*place);
            }
        }
        let names: Vec<&str> = fewer.iter().map(|place| self.nodes[*place].name.as_str()).collect();
        let fewer = if names.is_empty() { "none: given has too many itself".to_owned() } else { names.join(", ") };
        NetworkError::TooLarge { variables: relevant.len(), cells, fewer }
    }

    /// The joint probabilities of the chosen variables, the last value counting up fastest; the other relevant ones are
    /// summed out.
    fn joint(&self, chosen: &[usize], relevant: &[usize]) -> Vec<f64> {
        let mut strides = vec![0; self.nodes.len()];
        let mut cells = 1;
        for place in chosen.iter().rev() {
            strides[*place] = cells;
            cells *= self.nodes[*place].values.len();
        }
        let mut joint = vec![0.0; cells];
        let mut values = vec![0; self.nodes.len()];
        self.walk(relevant, &strides, &mut values, (1.0, 0), &mut joint);
        joint
    }

    /// Goes on from the values of the variables before `left`, whose probability and place so far are given.
    fn walk(
        &self,
        left: &[usize],
        strides: &[usize],
        values: &mut [usize],
        (p, cell): (f64, usize),
        joint: &mut [f64],
    ) {
        let Some((place, left)) = left.split_first() else {
            joint[cell] += p;
            return;
        };
        let node = &self.nodes[*place];
        let under = |row, parent: &usize| row * self.nodes[*parent].values.len() + values[*parent];
        let row = node.parents.iter().fold(0, under) * node.values.len();
        for value in 0..node.values.len() {
            let p = p * node.probabilities[row + value];
            if p > 0.0 {
                values[*place] = value;
                self.walk(left, strides, values, (p, cell + value * strides[*place]), joint);
            }
        }
    }
}

/// Variables in an order with parents before children, as early as the file has them.
fn parents_first(nodes: &[Node]) -> Result<Vec<usize>, NetworkError> {
    let (mut order, mut placed) = (Vec::with_capacity(nodes.len()), vec![false; nodes.len()]);
    while order.len() < nodes.len() {
        let ready = |place: &usize| !placed[*place] && nodes[*place].parents.iter().all(|parent| placed[*parent]);
        let Some(next) = (0..nodes.len()).find(ready) else {
            let left = (0..nodes.len()).filter(|place| !placed[*place]).map(|place| nodes[place].name.as_str());
            return Err(NetworkError::Circle(left.collect::<Vec<_>>().join(", ")));
        };
        placed[next] = true;
        order.push(next);
    }
    Ok(order)
}
