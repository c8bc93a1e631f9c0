//! TensorBoard's event files: a run for each trial, a scalar for each number of its history, and its config as
//! hyperparameters of the HParams tab.
//!
//! The messages are the fields that are needed of tensorboard/compat/proto/{event,summary,tensor}.proto and
//! tensorboard/plugins/hparams/{api,plugin_data}.proto. A record is a length, the masked CRC-32C of it, a message, and the
//! masked CRC-32C of that.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use prost::{Message, Oneof};

use super::table::{Cell, Measures, config_cells};
use crate::experiment::{Outcome, RunTrial};
use crate::files::{self, FileError};
use crate::metrics::{Measure, Row, Unit};

/// The file of a run. TensorBoard takes every name with `tfevents` in it; always the same one is replaced by the next
/// export.
const NAME: &str = "events.out.tfevents.cvae";

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

/// What stands in the place of a value where only the metadata count.
#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "2")]
    dims: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, tag = "1")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin: Option<Plugin>,
}

#[derive(Clone, PartialEq, Message)]
struct Plugin {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct HParams {
    #[prost(message, optional, tag = "3")]
    start: Option<Start>,
    #[prost(message, optional, tag = "4")]
    end: Option<End>,
}

#[derive(Clone, PartialEq, Message)]
struct Start {
    #[prost(btree_map = "string, message", tag = "1")]
    hparams: BTreeMap<String, Parameter>,
    #[prost(string, tag = "4")]
    group: String,
    #[prost(double, tag = "5")]
    at: f64,
}

#[derive(Clone, PartialEq, Message)]
struct End {
    /// 1 success, 2 failure.
    #[prost(int32, tag = "1")]
    status: i32,
    #[prost(double, tag = "2")]
    at: f64,
}

/// google.protobuf.Value.
#[derive(Clone, PartialEq, Message)]
struct Parameter {
    #[prost(oneof = "Known", tags = "2, 3, 4")]
    value: Option<Known>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Known {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
}

/// How far the file of a trial has been written.
#[derive(Clone, Copy, Debug)]
struct Progress {
    rows: usize,
    last: u64,
    began: f64,
}

/// What has been written of each trial.
#[derive(Debug, Default)]
pub struct Written(HashMap<PathBuf, Progress>);

impl Written {
    /// Brings the file of a trial up to date: appends what is new, or writes it anew where rows were taken back. The number
    /// of evaluations written.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn update(
        &mut self,
        folder: &Path,
        measures: &Measures,
        experiment: &str,
        trial: &RunTrial,
    ) -> Result<usize, FileError> {
        let place = folder.join(experiment).join(&trial.name);
        let path = place.join(NAME);
        let over = !matches!(trial.outcome, Outcome::Unfinished);
        let step = |row: &Row| row.count(Measure::Step);
        let mut bytes = Vec::new();
        let goes_on = |progress: &&Progress| {
            progress.rows == 0 || trial.history.get(progress.rows - 1).is_some_and(|row| step(row) == progress.last)
        };
        let before = self.0.get(&path).filter(goes_on).copied();
        let progress = before.unwrap_or_else(|| Progress { rows: 0, last: 0, began: began(trial) });
        if before.is_none() {
            files::make_folder(&place)?;
            begin(&mut bytes, experiment, trial, progress.began);
        }
        let new = &trial.history[progress.rows..];
        for row in new {
            scalars(&mut bytes, row, &measures.history, step(row), time(row, progress.began));
        }
        if over {
            end(&mut bytes, measures, trial, progress.began);
        }
        // It is no loss where it is cut short: the next export makes it anew, and readers pass over a torn record.
        let mut file = if before.is_some() { File::options().append(true).open(&path) } else { File::create(&path) };
        file.as_mut().map_or(Ok(()), |file| file.write_all(&bytes)).map_err(FileError::at("write", &path))?;
        file.map_err(FileError::at("write", &path))?;
        let last = trial.history.last().map_or(0, step);
        self.0.insert(path, Progress { rows: trial.history.len(), last, ..progress });
        Ok(new.len())
    }
}

/// When a trial began, in seconds of Unix time, as far as its files tell: training seconds before its last row.
fn began(trial: &RunTrial) -> f64 {
    let history = trial.folder.as_ref().map(|folder| folder.join("history.csv"));
    let modified = history.and_then(|path| fs::metadata(path).ok()?.modified().ok());
    let modified = modified.and_then(|modified| Some(modified.duration_since(UNIX_EPOCH).ok()?.as_secs_f64()));
    let trained = trial.history.last().map_or(0.0, |row| row.number(Measure::TrainSeconds));
    modified.unwrap_or(0.0) - if trained.is_finite() { trained } else { 0.0 }
}

fn time(row: &Row, began: f64) -> f64 {
    let trained = row.number(Measure::TrainSeconds);
    began + if trained.is_finite() { trained } else { 0.0 }
}

/// The records that a file begins with: its version, and the config.
fn begin(bytes: &mut Vec<u8>, experiment: &str, trial: &RunTrial, began: f64) {
    let version = What::FileVersion("brain.Event:2".to_owned());
    record(bytes, &Event { wall_time: began, step: 0, what: Some(version) });
    let hparams = config_cells(trial).filter_map(|(key, cell)| {
        let value = match cell {
            // The tab's own server can't pass on infinity as a number.
            Cell::Float(number) if number.is_infinite() => Known::Text(number.to_string()),
            Cell::Float(number) => Known::Number(number),
            Cell::Int(number) => Known::Number(number as f64),
            Cell::Text(text) => Known::Text(text),
            Cell::Bool(value) => Known::Bool(value),
            Cell::Null => return None,
        };
        Some((key.to_owned(), Parameter { value: Some(value) }))
    });
    let group = format!("{experiment}/{}", trial.name);
    let start = Start { hparams: hparams.collect(), group, at: began };
    hparams_record(bytes, "session_start_info", HParams { start: Some(start), end: None }, began);
}

/// The records of a trial that ended: what is measured at the end alone, and how it ended.
fn end(bytes: &mut Vec<u8>, measures: &Measures, trial: &RunTrial, began: f64) {
    let (last, at) = trial.history.last().map_or((0, began), |row| (row.count(Measure::Step), time(row, began)));
    if let Some(metrics) = trial.metrics() {
        let logged = &measures.history;
        let only = measures.metrics.iter().copied().filter(|measure| !logged.contains(measure));
        let only: Vec<Measure> = only.collect();
        scalars(bytes, metrics, &only, last, at);
    }
    let status = if trial.metrics().is_some() { 1 } else { 2 };
    hparams_record(bytes, "session_end_info", HParams { start: None, end: Some(End { status, at }) }, at);
}

/// A record of the numbers in a row.
fn scalars(bytes: &mut Vec<u8>, row: &Row, measures: &[Measure], step: u64, at: f64) {
    let number = |measure: &&Measure| measure.spec().unit != Unit::Text && **measure != Measure::Step;
    let values: Vec<Scalar> = measures
        .iter()
        .filter(number)
        .map(|measure| (measure.name(), row.number(*measure)))
        .filter(|(_, value)| !value.is_nan())
        .map(|(name, value)| Scalar { tag: name.to_owned(), simple_value: Some(value as f32), ..Scalar::default() })
        .collect();
    if !values.is_empty() {
        record(bytes, &Event { wall_time: at, step: step as i64, what: Some(What::Summary(Summary { values })) });
    }
}

fn hparams_record(bytes: &mut Vec<u8>, name: &str, data: HParams, at: f64) {
    let plugin = Plugin { name: "hparams".to_owned(), content: data.encode_to_vec() };
    let value = Scalar {
        tag: format!("_hparams_/{name}"),
        simple_value: None,
        // An empty tensor of floats.
        tensor: Some(Tensor { dtype: 1, shape: Some(Shape { dims: vec![Dim { size: 0 }] }) }),
        metadata: Some(Metadata { plugin: Some(plugin) }),
    };
    record(bytes, &Event { wall_time: at, step: 0, what: Some(What::Summary(Summary { values: vec![value] })) });
}

fn record(bytes: &mut Vec<u8>, event: &Event) {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    bytes.extend(length);
    bytes.extend(masked(&length).to_le_bytes());
    bytes.extend(&message);
    bytes.extend(masked(&message).to_le_bytes());
}

/// The CRC-32C, masked so that a checksum of data with checksums in it is not a special one.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_framed_as_tensorflow_does() {
        // What tf.summary.create_file_writer writes first, at time 0.
        let version = What::FileVersion("brain.Event:2".to_owned());
        let mut bytes = Vec::new();
        record(&mut bytes, &Event { wall_time: 0.0, step: 0, what: Some(version) });
        assert_eq!(bytes[..8], 15u64.to_le_bytes());
        assert_eq!(&bytes[12..27], b"\x1a\x0dbrain.Event:2");
        assert_eq!(bytes.len(), 8 + 4 + 15 + 4);
        // A known value of the mask: CRC-32C of "123456789" is e3069283.
        assert_eq!(masked(b"123456789"), 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }
}
