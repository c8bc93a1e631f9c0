//! The grammar of sweeps: product, zip, chain and set over any keys of a config.
//!
//! ```toml
//! [sweep]
//! seeds = [1, 2, 3]                                   # short for product.seed
//! product = { "model.latent_dim" = [2, 4, 8] }        # every combination
//! zip = { "beta.low" = [0, 1], "beta.value" = [1, 0] }  # in lockstep
//! set = { "training.steps" = 500 }                    # one value
//! [[sweep.chain]]                                     # grids one after the other
//! set = { "model.trunk" = "additive" }
//! ```
//!
//! What stands beside each other in one table is combined as a product.

use std::collections::HashSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::hints;
use super::locate::position;
use super::overrides::Override;

/// A replaced value, and where in the file it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Key and value.
    pub set: Override,
    /// Byte offset in the file: line and column are worked out for errors alone, not for 100,000 values.
    pub at: usize,
}

/// One trial's replaced values.
pub type Point = Vec<Placed>;

/// A sweep that makes no grid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}")]
pub struct GridError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// The points of the `[sweep]` in a config's text, which has been parsed before; one empty point without any.
///
/// # Errors
/// The first thing that makes no grid, with its place.
pub fn expand(text: &str) -> Result<Vec<Point>, GridError> {
    let grid = Grid { text };
    let Ok(root) = DeTable::parse(text) else { return Ok(vec![Point::new()]) };
    let Some((key, sweep)) = root.get_ref().iter().find(|(key, _)| key.get_ref() == "sweep") else {
        return Ok(vec![Point::new()]);
    };
    match sweep.get_ref() {
        DeValue::Table(table) => grid.points(table),
        _ => Err(grid.error(key.span().start, "sweep is no section; write [sweep]")),
    }
}

/// More trials than this are a slip, and would not fit into memory.
const MOST_TRIALS: usize = 250_000;

/// The points of several axes in lockstep; the axes have the same length.
fn zip(axes: Vec<Vec<Point>>) -> Vec<Point> {
    let length = axes.first().map_or(0, Vec::len);
    (0..length).map(|index| axes.iter().flat_map(|axis| axis[index].clone()).collect()).collect()
}

struct Grid<'a> {
    text: &'a str,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Grid<'_> {
    fn error(&self, offset: usize, problem: impl Into<String>) -> GridError {
        let (line, column) = position(self.text, offset);
        GridError { line, column, problem: problem.into() }
    }

    /// Every pair of points, joined; `at` is where the right ones are given.
    fn product(&self, left: &[Point], right: &[Point], at: usize) -> Result<Vec<Point>, GridError> {
        self.check_size(left.len().saturating_mul(right.len()), at)?;
        Ok(left.iter().flat_map(|a| right.iter().map(move |b| [a.as_slice(), b.as_slice()].concat())).collect())
    }

    fn check_size(&self, trials: usize, at: usize) -> Result<(), GridError> {
        if trials <= MOST_TRIALS {
            return Ok(());
        }
        Err(self.error(at, format!("this makes {trials} trials, and {MOST_TRIALS} are the most; shorten its lists")))
    }

    fn points(&self, table: &DeTable<'_>) -> Result<Vec<Point>, GridError> {
        let mut points = vec![Point::new()];
        let mut seeds = None;
        for (key, value) in table {
            let right = match key.get_ref().as_ref() {
                "seeds" => {
                    seeds = Some((self.distinct(self.axis("seed", value)?)?, value.span().start));
                    continue;
                }
                "product" => {
                    let at = value.span().start;
                    let multiply = |points: Vec<Point>, (_, axis)| self.product(&points, &self.distinct(axis)?, at);
                    self.axes(value)?.into_iter().try_fold(vec![Point::new()], multiply)?
                }
                "zip" => self.zipped(value)?,
                "set" => {
                    let sets = self.entries(value)?.into_iter().map(|(key, value)| self.placed(&key, value));
                    vec![sets.collect::<Result<Vec<Point>, _>>()?.concat()]
                }
                "chain" => self.chained(value)?,
                other => {
                    let problem = "in a sweep, expected one of seeds, product, zip, set, chain";
                    let problem = format!("unknown key `{other}` {problem}{}", meant(other, value.get_ref()));
                    return Err(self.error(key.span().start, problem));
                }
            };
            points = self.product(&points, &right, key.span().start)?;
        }
        // Seeds vary fastest, so that the first results of a sweep already span its grid by their neighbours.
        if let Some((seeds, at)) = seeds {
            points = self.product(&points, &seeds, at)?;
        }
        for point in &points {
            for (index, placed) in point.iter().enumerate() {
                if point[..index].iter().any(|earlier| earlier.set.key == placed.set.key) {
                    let problem = format!("{} is given twice for the same trial; keep one of them", placed.set.key);
                    return Err(self.error(placed.at, problem));
                }
            }
        }
        Ok(points)
    }

    fn zipped(&self, value: &Value<'_>) -> Result<Vec<Point>, GridError> {
        let axes = self.axes(value)?;
        let lengths: Vec<String> = axes.iter().map(|(key, axis)| format!("{key} {}", axis.len())).collect();
        if axes.windows(2).any(|pair| pair[0].1.len() != pair[1].1.len()) {
            let problem = format!("zip needs lists of one length, found {}", lengths.join(", "));
            return Err(self.error(value.span().start, problem));
        }
        self.distinct(zip(axes.into_iter().map(|(_, axis)| axis).collect()))
    }

    fn chained(&self, value: &Value<'_>) -> Result<Vec<Point>, GridError> {
        let DeValue::Array(grids) = value.get_ref() else {
            return Err(self.error(value.span().start, "chain is a list of tables; write [[sweep.chain]]"));
        };
        if grids.is_empty() {
            return Err(self.error(value.span().start, "an empty chain has no trials"));
        }
        let mut points = Vec::new();
        for grid in grids {
            let DeValue::Table(table) = grid.get_ref() else {
                return Err(self.error(grid.span().start, "chain is a list of tables; write [[sweep.chain]]"));
            };
            points.extend(self.points(table)?);
            self.check_size(points.len(), grid.span().start)?;
        }
        Ok(points)
    }

    /// The axes of a table of lists.
    fn axes(&self, value: &Value<'_>) -> Result<Vec<(String, Vec<Point>)>, GridError> {
        let entries = self.entries(value)?;
        if entries.is_empty() {
            return Err(self.error(value.span().start, "an empty table of lists makes an empty grid"));
        }
        entries.into_iter().map(|(key, list)| Ok((key.clone(), self.axis(&key, list)?))).collect()
    }

    /// One key with a list of values.
    fn axis(&self, key: &str, value: &Value<'_>) -> Result<Vec<Point>, GridError> {
        let DeValue::Array(values) = value.get_ref() else {
            return Err(self.error(value.span().start, format!("expected a list of values for {key}, such as [1, 2]")));
        };
        if values.is_empty() {
            return Err(self.error(value.span().start, format!("an empty list for {key} makes an empty grid")));
        }
        values.iter().map(|value| self.placed(key, value)).collect()
    }

    /// Refuses a point that is there already: two trials of one name.
    fn distinct(&self, points: Vec<Point>) -> Result<Vec<Point>, GridError> {
        let mut seen = HashSet::with_capacity(points.len());
        for point in &points {
            let names: Vec<String> = point.iter().map(|placed| placed.set.to_string()).collect();
            let names = names.join(", ");
            if seen.contains(&names) {
                let at = point.first().map_or(0, |placed| placed.at);
                return Err(self.error(at, format!("{names} stands twice in this list")));
            }
            seen.insert(names);
        }
        Ok(points)
    }

    /// The keys of a table, `model.latent_dim` or `"model.latent_dim"`, with their values.
    fn entries<'v, 'a>(&self, value: &'v Value<'a>) -> Result<Vec<(String, &'v Value<'a>)>, GridError> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(
                self.error(value.span().start, "expected a table of keys, such as { \"model.latent_dim\" = [2, 4] }")
            );
        };
        let mut entries = Vec::new();
        for (key, value) in table.iter() {
            if matches!(value.get_ref(), DeValue::Table(_)) {
                let inner = self.entries(value)?;
                if inner.is_empty() {
                    return Err(self.empty_section(value));
                }
                entries.extend(inner.into_iter().map(|(rest, value)| (format!("{}.{rest}", key.get_ref()), value)));
            } else {
                entries.push((key.get_ref().to_string(), value));
            }
        }
        Ok(entries)
    }

    /// A key with a value; a section gives each of its keys one.
    fn placed(&self, key: &str, value: &Value<'_>) -> Result<Point, GridError> {
        if matches!(value.get_ref(), DeValue::Table(_)) {
            let inner = self.entries(value)?;
            if inner.is_empty() {
                return Err(self.empty_section(value));
            }
            let points = inner.into_iter().map(|(rest, value)| self.placed(&format!("{key}.{rest}"), value));
            return Ok(points.collect::<Result<Vec<Point>, _>>()?.concat());
        }
        let at = value.span().start;
        let source = self.text.get(value.span()).unwrap_or_default();
        match format!("{key}={source}").parse() {
            Ok(set) => Ok(vec![Placed { set, at }]),
            Err(error) => Err(self.error(at, format!("{key}: {error}"))),
        }
    }

    fn empty_section(&self, value: &Value<'_>) -> GridError {
        self.error(value.span().start, "a section without keys replaces nothing; name a key of it")
    }
}

/// What an unknown key of a sweep was probably meant to be.
fn meant(key: &str, value: &DeValue<'_>) -> String {
    if let Some(near) = hints::nearest(key, ["seeds", "product", "zip", "set", "chain"].into_iter()) {
        return format!("; did you mean `{near}`?");
    }
    let (table, value) = if matches!(value, DeValue::Array(_)) { ("product", "[...]") } else { ("set", "...") };
    match hints::keys_like(key).first() {
        Some(key) => format!("; did you mean {table} = {{ \"{key}\" = {value} }}?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let points = expand(text).unwrap();
        let name = |point: &Point| point.iter().map(|placed| placed.set.to_string()).collect::<Vec<_>>().join(" ");
        points.iter().map(name).collect()
    }

    fn problem(text: &str) -> String {
        expand(text).unwrap_err().to_string()
    }

    #[test]
    fn product_zip_set_and_chain_make_the_points_that_they_are_named_after() {
        assert_eq!(names("seed = 1"), [""]);
        assert_eq!(
            names("[sweep]\nseeds = [1, 2]\nproduct = { a = [3, 4] }"),
            ["a=3 seed=1", "a=3 seed=2", "a=4 seed=1", "a=4 seed=2"]
        );
        assert_eq!(names("[sweep.zip]\n\"m.a\" = [1, 2]\nm.b = [\"x\", \"y\"]"), ["m.a=1 m.b=x", "m.a=2 m.b=y"]);
        assert_eq!(names("[sweep]\nzip = { a = [1, 1], b = [1, 2] }"), ["a=1 b=1", "a=1 b=2"]);
        let chain = "[sweep]\nset = { s = 0 }\n[[sweep.chain]]\nset = {}\n[[sweep.chain]]\nproduct = { a = [1, 2] }";
        assert_eq!(names(chain), ["s=0", "s=0 a=1", "s=0 a=2"]);
        assert_eq!(
            names("[sweep]\nzip = { m = [{ a = 1, b.c = 2 }, { b.c = 3 }] }\nset = { m = { d = 4 }, \"m.e\" = 5 }"),
            ["m.a=1 m.b.c=2 m.d=4 m.e=5", "m.b.c=3 m.d=4 m.e=5"]
        );
    }

    #[test]
    fn what_makes_no_grid_is_named_with_line_and_column() {
        assert_eq!(problem("[sweep]\nproduct = { a = [] }"), "2:17: an empty list for a makes an empty grid");
        assert_eq!(problem("[sweep]\nproduct = { a = [1, 2, 1] }"), "2:24: a=1 stands twice in this list");
        assert_eq!(problem("[sweep]\nzip = { a = [1, 1], b = [2, 2] }"), "2:17: a=1, b=2 stands twice in this list");
        assert_eq!(
            problem("[sweep]\nzip = { a = [1], b = [1, 2] }"),
            "2:7: zip needs lists of one length, found a 1, b 2"
        );
        assert!(
            problem("[sweep]\nproducts = {}")
                .starts_with("2:1: unknown key `products` in a sweep, expected one of seeds")
        );
        assert!(problem("[sweep]\nproduct = { a = 1 }").starts_with("2:17: expected a list of values for a"));
        assert!(
            problem("[sweep]\nproduct = { a = [1] }\nset = { a = 2 }")
                .ends_with("a is given twice for the same trial; keep one of them")
        );
        for twice in ["set = { m = { a = 2 } }\nproduct = { \"m.a\" = [1] }", "set = { \"m.a\" = 1, m.a = 2 }"] {
            assert!(problem(&format!("[sweep]\n{twice}")).contains("m.a is given twice"), "{twice}");
        }
        assert!(problem("[sweep]\nset = { m = {} }").contains("a section without keys"));
        assert!(problem("[sweep]\nproduct = { m = [{}] }").contains("a section without keys"));
        assert!(problem("[sweep]\nseed = [1]").ends_with("did you mean `seeds`?"));
        assert!(
            problem("[sweep]\nlatent_dim = [1]").ends_with("did you mean product = { \"model.latent_dim\" = [...] }?")
        );
        assert!(problem("[sweep]\nchain = []").contains("an empty chain"));
        assert_eq!(problem("[sweep]\nzip = {}"), "2:7: an empty table of lists makes an empty grid");
        assert_eq!(problem("[sweep]\nproduct = {}"), "2:11: an empty table of lists makes an empty grid");
        assert!(problem("sweep = 3").contains("no section"));
        // 8^6 trials out of a line of text.
        let list = "[1, 2, 3, 4, 5, 6, 7, 8]";
        let lists: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(|key| format!("{key} = {list}")).to_vec();
        let text = format!("[sweep]\nproduct = {{ {} }}", lists.join(", "));
        assert_eq!(problem(&text), "2:11: this makes 262144 trials, and 250000 are the most; shorten its lists");
    }
}
