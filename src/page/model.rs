//! A model and the exact truth as a page holds them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::model::Model;
use crate::model::layout::{self, RADIANS_PER_UNIT};
use crate::task::{self, Kind, Notation, Truth};

/// A model's columns, weights and truth.
#[derive(Debug, Serialize)]
pub struct PageModel {
    /// What readers call it.
    name: String,
    latent: usize,
    angles: usize,
    radians: f32,
    /// Whether its rows are dates, which a calendar shows.
    calendar: bool,
    /// Whether the truth is what was observed, and not known.
    sample: bool,
    columns: Vec<Column>,
    tensors: Vec<TensorPlace>,
    /// 32-bit floats, little-endian, in base64.
    weights: String,
    truth: PageTruth,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    values: Vec<String>,
    given: bool,
    /// Whether the given columns determine it.
    determined: bool,
}

#[derive(Debug, Serialize)]
struct TensorPlace {
    name: String,
    shape: Vec<usize>,
    start: usize,
}

/// The rows of every condition that has some, as little-endian numbers in base64. All are value indices of 16 bits but
/// for the numbers of rows, of 32 bits, and the free columns.
#[derive(Debug, Serialize)]
struct PageTruth {
    /// The conditions, `[conditions, given]`.
    conditions: String,
    /// Their numbers of rows, `[conditions]`.
    counts: String,
    /// The values that each condition determines, `[conditions, determined]`.
    determined: String,
    /// The other generated values, `[rows, free]`, of this many bytes each.
    rows: String,
    bytes: usize,
    /// Probability of each row, 32-bit floats; none where all rows of a condition are alike.
    probabilities: Option<String>,
}

impl PageModel {
    /// What a page holds of a model and the truth about its task.
    pub fn new(name: &str, model: &Model, truth: &Truth) -> Self {
        let schema = &model.schema;
        let given = schema.given.iter().map(|column| (column, true));
        let generated = schema.generated.iter().map(|column| (column, false));
        let column = |(column, given): (&task::Column, bool)| Column {
            name: column.name.clone(),
            values: column.values.to_vec(),
            given,
            determined: column.determined,
        };
        let place = |tensor: &layout::TensorPlace| TensorPlace {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            start: tensor.place.start,
        };
        Self {
            name: name.to_owned(),
            latent: model.layout.latent,
            angles: model.layout.trunk.angles,
            radians: RADIANS_PER_UNIT,
            calendar: schema.notation == Notation::Dates,
            sample: truth.kind() == Kind::Sample,
            columns: given.chain(generated).map(column).collect(),
            tensors: model.layout.tensors.iter().map(place).collect(),
            weights: encoded(model.weights.iter().map(|weight| weight.to_le_bytes())),
            truth: PageTruth::new(truth),
        }
    }
}

impl PageTruth {
    fn new(truth: &Truth) -> Self {
        let columns = &truth.schema().generated;
        let of_kind = |determined: bool| {
            let places = columns.iter().enumerate().filter(move |(_, column)| column.determined == determined);
            places.map(|(place, _)| place).collect::<Vec<usize>>()
        };
        let (fixed, free) = (of_kind(true), of_kind(false));
        let groups = || 0..truth.len();
        let bytes = if free.iter().all(|place| columns[*place].size() <= 256) { 1 } else { 2 };
        let first = |group| truth.generated(group).next();
        let determined = groups().filter_map(first).flat_map(|row| fixed.iter().map(|place| row[*place]));
        let values = groups().flat_map(|group| truth.generated(group));
        let values = values.flat_map(|row| free.iter().map(|place| row[*place]));
        let rows: Vec<u8> = values.flat_map(|value| value.to_le_bytes().into_iter().take(bytes)).collect();
        let probabilities = groups().flat_map(|group| truth.probabilities(group));
        let probabilities = probabilities.map(|probability| (*probability as f32).to_le_bytes());
        Self {
            conditions: encoded(groups().flat_map(|group| truth.condition(group)).map(|value| value.to_le_bytes())),
            counts: encoded(groups().map(|group| (truth.count(group) as u32).to_le_bytes())),
            determined: encoded(determined.map(u16::to_le_bytes)),
            rows: STANDARD.encode(rows),
            bytes,
            probabilities: (!truth.is_uniform()).then(|| encoded(probabilities)),
        }
    }
}

fn encoded<const N: usize>(numbers: impl Iterator<Item = [u8; N]>) -> String {
    STANDARD.encode(numbers.flatten().collect::<Vec<u8>>())
}
