//! Models: loading, sampling, and what is computed exactly.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use cvae::dates::{self, DateTokens, parse_line};
use cvae::experiment::{self, Config as Checked};
use cvae::metrics::{marginals, stream_index};
use cvae::model::{Decode, Decoder, Model as Weights, Sampler, encode};
use cvae::random::{Purpose, normal, stream};
use cvae::task::{Notation, Rows, Truth};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::{failure, floats, input_error};

/// A trained model with its config and the truth about its task.
#[pyclass(frozen, module = "cvae._cvae")]
pub struct Model {
    model: Weights,
    config: Checked,
    truth: Truth,
}

/// Rows, and whether they meet their conditions.
type Drawn<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pymethods]
impl Model {
    /// Loads a release or a finished trial; the released model where no folder is named.
    #[staticmethod]
    #[pyo3(signature = (path=None))]
    fn load(py: Python<'_>, path: Option<PathBuf>) -> PyResult<Self> {
        py.detach(|| {
            let loaded = match &path {
                None => experiment::released_model(),
                Some(folder) => experiment::load_model(folder),
            };
            let (model, config) = loaded.map_err(|error| match &path {
                Some(folder) => input_error(format!("cannot load a model from {}: {error}", folder.display())),
                None => input_error(error),
            })?;
            let truth = config.data.load().map_err(input_error)?.truth;
            Ok(Self { model, config, truth })
        })
    }

    /// Name, values, and whether it is given, of each column.
    fn columns(&self) -> Vec<(String, Vec<String>, bool)> {
        let schema = &self.model.schema;
        let given = schema.given.iter().map(|column| (column, true));
        let columns = given.chain(schema.generated.iter().map(|column| (column, false)));
        columns.map(|(column, given)| (column.name.clone(), column.values.to_vec(), given)).collect()
    }

    /// Whether rows are dates, which are read and written as one text.
    fn is_dates(&self) -> bool {
        self.model.schema.notation == Notation::Dates
    }

    /// The config as flat keys with their values as text.
    fn config(&self) -> Vec<(String, String)> {
        self.config.flat()
    }

    /// Dimensions of z.
    fn latent_dim(&self) -> usize {
        self.model.layout.latent
    }

    /// Rows `[n, given]` of conditions as lines write them, or `[n, width]` with the dates that follow.
    fn parse<'py>(&self, py: Python<'py>, lines: Vec<String>, dated: bool) -> PyResult<Bound<'py, PyBytes>> {
        let mut values: Vec<u16> = Vec::with_capacity(lines.len() * self.model.schema.width());
        for (place, line) in lines.iter().enumerate() {
            let wrong = |problem: &dyn std::fmt::Display| input_error(format!("item {place}: {problem}"));
            if !self.is_dates() {
                if dated {
                    return Err(wrong(&"rows of this task are not lines; give dictionaries or a frame"));
                }
                values.extend(self.model.schema.parse_condition(line).map_err(|error| wrong(&error))?);
                continue;
            }
            let at = |column: usize, problem: &dyn std::fmt::Display| {
                input_error(format!("item {place}, column {column}: {problem}"))
            };
            let parsed = parse_line(line).map_err(|error| at(error.column(), &error))?;
            if dated {
                values.extend(parsed.condition.row());
                values.extend(tokens_of(parsed.rest).map_err(|problem| wrong(&problem))?.row());
            } else {
                let condition = parsed.condition_alone(line).map_err(|error| at(error.column(), &error))?;
                values.extend(condition.row());
            }
        }
        Ok(as_bytes(py, &values))
    }

    /// Tokens `[n, generated]` of dates.
    fn parse_dates<'py>(&self, py: Python<'py>, dates: Vec<String>) -> PyResult<Bound<'py, PyBytes>> {
        let mut values: Vec<u16> = Vec::with_capacity(dates.len() * 4);
        for (place, date) in dates.iter().enumerate() {
            let tokens = tokens_of(date).map_err(|problem| input_error(format!("row {place}: {problem}")))?;
            values.extend(tokens.row());
        }
        Ok(as_bytes(py, &values))
    }

    /// `n` rows for each condition of `[conditions, given]`: `[conditions * n, generated]`, and whether each meets it.
    fn sample<'py>(
        &self,
        py: Python<'py>,
        conditions: &[u8],
        n: usize,
        seed: u64,
        temperature: Option<f64>,
        threads: Option<usize>,
    ) -> PyResult<Drawn<'py>> {
        let decode = temperature.map_or(Ok(Decode::Greedy), Decode::sample).map_err(input_error)?;
        let conditions = self.rows(conditions, self.model.layout.given)?;
        // As in `cvae predict`: a condition that no row of a table meets is answered all the same.
        let known = if self.is_dates() {
            self.groups_of(&conditions)?.into_iter().map(Some).collect()
        } else {
            conditions.iter().map(|condition| self.truth.find(condition)).collect::<Vec<_>>()
        };
        let sampler = Sampler::new(&self.model, decode, threads);
        let mut random = stream(seed, Purpose::Samples, 0);
        let (mut values, mut passes) = (Vec::new(), Vec::new());
        let asked = conditions.len() * n;
        for start in (0..asked).step_by(sampler.batch_size()) {
            // Not all at once: for millions of draws that would take long, without a look at Ctrl-C.
            let places = (start..asked.min(start + sampler.batch_size())).map(|draw| draw / n);
            py.detach(|| {
                let mut rows = Rows::new(self.model.layout.given);
                places.clone().for_each(|place| rows.push(conditions.row(place)));
                let drawn = sampler.draw(&rows, &mut random);
                let rank = |place: usize, row: &[u16]| self.truth.rank(known[place]?, row);
                let passing = |(place, row): (usize, &[u16])| u8::from(rank(place, row).is_some());
                passes.extend(places.zip(drawn.iter()).map(passing));
                values.extend(drawn.iter().flatten());
            });
            py.check_signals()?;
        }
        Ok((as_bytes(py, &values), PyBytes::new(py, &passes)))
    }

    /// Rows `[n, generated]` in words; equal ones share one string.
    fn labels<'py>(&self, py: Python<'py>, rows: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let generated = self.model.schema.generated.len();
        let mut known: HashMap<&[u8], Bound<'py, PyString>> = HashMap::new();
        let label = |bytes: &[u8]| {
            let row: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect();
            PyString::new(py, &self.model.schema.row_label(&row))
        };
        let rows = rows.chunks_exact(2 * generated);
        PyList::new(py, rows.map(|row| known.entry(row).or_insert_with(|| label(row)).clone()).collect::<Vec<_>>())
    }

    /// log p(row given its condition) of rows `[n, width]`, averaged over `codes` draws of z from the prior, nats.
    fn log_prob<'py>(&self, py: Python<'py>, rows: &[u8], codes: usize, seed: u64) -> PyResult<Bound<'py, PyBytes>> {
        let (rows, given) = (self.rows(rows, self.model.schema.width())?, self.model.layout.given);
        let mut by_condition: BTreeMap<&[u16], Vec<usize>> = BTreeMap::new();
        rows.iter().enumerate().for_each(|(place, row)| by_condition.entry(&row[..given]).or_default().push(place));
        let latent = self.model.layout.latent;
        let codes = if latent == 0 { 1 } else { codes.max(1) };
        let mut logs = vec![f64::NAN; rows.len()];
        let mut decoder = Decoder::new(&self.model);
        for (condition, places) in by_condition {
            let of_codes = py.detach(|| {
                let mut own = Rows::new(rows.width());
                places.iter().for_each(|place| own.push(rows.row(*place)));
                let index = stream_index(&self.model.schema, condition);
                let z = normal(&mut stream(seed, Purpose::Marginal, index), codes * latent);
                decoder.log_probabilities(&own, codes, &z)
            });
            py.check_signals()?;
            for (row, place) in places.iter().enumerate() {
                let of_row = || of_codes[row * codes..][..codes].iter().map(|log| f64::from(*log));
                let highest = of_row().fold(f64::NEG_INFINITY, f64::max);
                let mean = of_row().map(|log| (log - highest).exp()).sum::<f64>() / codes as f64;
                logs[*place] = highest + mean.ln();
            }
        }
        Ok(floats(py, logs.into_iter()))
    }

    /// A condition's rows `[rows, generated]`, then probability, standard error and truth `[rows + 1]`; the last is all
    /// else.
    fn marginal<'py>(&self, py: Python<'py>, condition: &[u8], codes: usize, seed: u64) -> PyResult<Drawn<'py>> {
        let groups = self.groups(condition)?;
        let [group] = groups[..] else { return Err(input_error("a marginal is that of one condition")) };
        let marginal =
            py.detach(|| self.marginal_of(group, codes, seed)).ok_or_else(|| failure("nothing to compute"))?;
        let truth = self.truth.probabilities(group).iter().copied();
        let rows = marginal.rows.iter().zip(truth).chain([(&marginal.invalid_mass, 0.0)]);
        let columns: Vec<[f64; 3]> = rows.map(|(row, truth)| [row.value, row.error, truth]).collect();
        let flat = (0..3).flat_map(|column| columns.iter().map(move |row| row[column]));
        let values: Vec<u16> = self.truth.generated(group).flatten().copied().collect();
        Ok((as_bytes(py, &values), floats(py, flat)))
    }

    /// Means, then standard deviations, of the posteriors of rows `[n, width]`: `[2, n, latent]`.
    fn encode<'py>(&self, py: Python<'py>, rows: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let rows = self.rows(rows, self.model.schema.width())?;
        let posterior = py.detach(|| encode(&self.model, &rows));
        let deviations = posterior.logvar.iter().map(|logvar| (0.5 * f64::from(*logvar)).exp());
        Ok(floats(py, posterior.mu.iter().map(|mean| f64::from(*mean)).chain(deviations)))
    }
}

impl Model {
    /// Rows of value indices `[n, width]`, each inside its column.
    fn rows(&self, bytes: &[u8], width: usize) -> PyResult<Rows> {
        let values: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect();
        let sizes: Vec<usize> = self.model.schema.sizes().take(width).collect();
        let mut rows = Rows::new(width);
        for row in values.chunks_exact(width) {
            if row.iter().zip(&sizes).any(|(value, size)| usize::from(*value) >= *size) {
                return Err(input_error(format!(
                    "value indices {row:?} lie outside their columns of {sizes:?} values"
                )));
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Conditions `[n, given]`, each of which some row must meet, by their number in the truth.
    fn groups(&self, bytes: &[u8]) -> PyResult<Vec<usize>> {
        self.groups_of(&self.rows(bytes, self.model.layout.given)?)
    }

    fn groups_of(&self, rows: &Rows) -> PyResult<Vec<usize>> {
        let found = |(place, row): (usize, &[u16])| {
            let none = || input_error(format!("item {place}: no row meets {}", self.model.schema.label(row)));
            self.truth.find(row).ok_or_else(none)
        };
        rows.iter().enumerate().map(found).collect()
    }

    fn marginal_of(&self, group: usize, codes: usize, seed: u64) -> Option<cvae::metrics::Marginal> {
        let found = marginals(&self.model, &self.truth, &[group], codes, (seed, 1), &mut cvae::metrics::unwatched)?;
        found.into_iter().next()
    }
}

/// The tokens of a date as the model writes it, whether or not it exists.
fn tokens_of(text: &str) -> Result<DateTokens, String> {
    let wrong = || format!("{text:?} is not a date of the form day-month-year from 1800 on, such as 3-12-1962");
    let parts: Vec<usize> = text.trim().split('-').filter_map(|part| part.parse().ok()).collect();
    let [day, month, year] = parts[..] else { return Err(wrong()) };
    let decade = (year / 10).checked_sub(dates::Decade::FIRST);
    let indices = [decade, month.checked_sub(1), Some(year % 10), day.checked_sub(1)];
    let [Some(decade), Some(month), Some(digit), Some(day)] = indices else { return Err(wrong()) };
    DateTokens::from_indices([decade, month, digit, day]).ok_or_else(wrong)
}

fn as_bytes<'py>(py: Python<'py>, values: &[u16]) -> Bound<'py, PyBytes> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
    PyBytes::new(py, &bytes)
}
