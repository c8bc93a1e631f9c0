//! `cvae predict` for models of tables and other tasks: CSV with a header in, the same with generated columns out.

use std::io::Write;
use std::panic::resume_unwind;
use std::{iter, thread};

use super::ahead::ahead;
use super::options::{DecodeKind, Predict};
use crate::cli::exit::{BadInput, Exit};
use crate::cli::output;
use crate::cli::rows::{self, Rows};
use crate::experiment::Config;
use crate::files;
use crate::model::{Model, Sampler};
use crate::random::{Purpose, stream};
use crate::task::table::Coder;
use crate::task::{self, Kind, Truth};

/// Faulty rows that are shown one by one.
const SHOWN: usize = 10;

/// What is known of the conditions that a model is asked for.
enum Known {
    /// Its truth can be had.
    Truth(Box<Truth>),
    /// It can't, for this reason.
    Nothing(String),
}

/// Predicts the rows of a table.
///
/// # Errors
/// When the input lacks given columns, holds values that the model does not know or impossible conditions, or can't be
/// read or written.
pub fn run(options: &Predict, model: &Model, config: &Config) -> anyhow::Result<Exit> {
    let path = options.output_path()?;
    if options.retries > 0 {
        return Err(BadInput("--retries is for dates; leave it out".to_owned()).into());
    }
    let schema = &model.schema;
    // Each may be a table of millions of rows.
    let (input, data) = thread::scope(|scope| {
        let data = thread::Builder::new().spawn_scoped(scope, || config.data.load());
        let input = Rows::read(&options.input);
        // Where the system gives no thread, one after the other.
        let data = data.map(|data| data.join().unwrap_or_else(|panic| resume_unwind(panic)));
        (input, data.unwrap_or_else(|_| config.data.load()))
    });
    let input = input?;
    let known = match data {
        Ok(task) if task.truth.schema() == schema => Known::Truth(Box::new(task.truth)),
        Ok(_) => Known::Nothing("the data are not those that the model was trained on".to_owned()),
        Err(error) => Known::Nothing(error.to_string()),
    };
    let wrong = |problem: String| BadInput(format!("{}:1: {problem}", input.name));
    let mut coder = Coder::new(&input.names, schema.given.iter()).map_err(wrong)?;
    let mut conditions: Vec<Option<Vec<u16>>> = Vec::with_capacity(input.records.len());
    let (mut bad, mut unseen) = (0, 0);
    for (record, line) in &input.records {
        let condition = coder.code(record).map_err(|error| error.to_string()).and_then(|given| {
            match &known {
                Known::Truth(truth) if truth.find(&given).is_none() => match truth.kind() {
                    Kind::Exact => return Err(format!("no row meets {}", schema.label(&given))),
                    Kind::Sample => unseen += 1,
                },
                _ => (),
            }
            Ok(given)
        });
        if let Err(problem) = &condition {
            bad += 1;
            if bad <= SHOWN {
                output::say!("{}:{line}: {problem}", input.name);
            }
        }
        conditions.push(condition.ok());
    }
    if bad > SHOWN {
        output::say!("... and {} more bad rows", bad - SHOWN);
    }
    if bad > 0 && !options.keep_going {
        let more = format!("{bad} of {} rows are bad; nothing was written", conditions.len());
        return Err(BadInput(format!("{more}. Mend them, or use --keep-going to predict the others")).into());
    }
    let decode = options.decode.at(options.temperature)?;
    let sampler = Sampler::new(model, decode, options.threads.map(usize::from));
    let mut counts = Counts::default();
    let all_read = rows::write(&path, |out| {
        let writer = Writer { options, sampler: &sampler, known: &known };
        writer.write(&input, &conditions, &mut counts, out).map_err(files::of_csv)
    })?;
    let replaced = input.names.iter().filter(|name| schema.generated.iter().any(|column| column.name == **name));
    let replaced = replaced.map(String::as_str).collect::<Vec<_>>().join(", ");
    if !replaced.is_empty() {
        output::say!("{}: what stood in {replaced} was replaced by what the model generates", input.name);
    }
    if all_read {
        output::say!("{}", summary(options, &known, &counts, [bad, unseen]));
    }
    Ok(if bad > 0 { Exit::Partial } else { Exit::Done })
}

#[derive(Default)]
struct Counts {
    rows: usize,
    valid: usize,
}

struct Writer<'a> {
    options: &'a Predict,
    sampler: &'a Sampler<'a>,
    known: &'a Known,
}

impl Writer<'_> {
    fn write(
        &self,
        input: &Rows,
        conditions: &[Option<Vec<u16>>],
        counts: &mut Counts,
        out: &mut dyn Write,
    ) -> csv::Result<()> {
        let (schema, samples) = (self.sampler.schema(), self.options.samples as usize);
        // What the model generates replaces what stood in these columns.
        let is_generated = |name: &String| schema.generated.iter().any(|column| column.name == *name);
        let kept: Vec<usize> = (0..input.names.len()).filter(|place| !is_generated(&input.names[*place])).collect();
        let mut writer = csv::Writer::from_writer(out);
        let names = kept.iter().map(|place| input.names[*place].as_str());
        writer.write_record(names.chain(schema.generated.iter().map(|column| column.name.as_str())))?;
        let mut random = stream(self.options.seed, Purpose::Samples, 0);
        let sampler = self.sampler;
        // Places of records, each as often as its condition has samples, and of bad ones once.
        let times = |condition: &Option<Vec<u16>>| if condition.is_some() { samples } else { 1 };
        let mut places =
            conditions.iter().enumerate().flat_map(|(place, condition)| iter::repeat_n(place, times(condition)));
        let next = || {
            let places: Vec<usize> = places.by_ref().take(sampler.batch_size()).collect();
            let mut asked = task::Rows::new(sampler.schema().given.len());
            places.iter().filter_map(|place| conditions[*place].as_ref()).for_each(|given| asked.push(given));
            (!places.is_empty()).then(|| (sampler.prepare(asked, &mut random), places))
        };
        let beside = self.options.beside();
        thread::scope(|scope| {
            let prepared = ahead(scope, beside, iter::from_fn(next));
            let drawn = prepared.map(|(prepared, places)| (sampler.decode(prepared), places));
            ahead(scope, beside, drawn).try_for_each(|(drawn, places)| {
                let mut rows = drawn.iter();
                for place in places {
                    let (record, condition) = (&input.records[place].0, conditions[place].as_ref());
                    kept.iter().try_for_each(|place| writer.write_field(&record[*place]))?;
                    match condition.and_then(|given| Some((given, rows.next()?))) {
                        Some((given, row)) => {
                            counts.add(self.known, given, row);
                            let values = schema.generated.iter().zip(row);
                            values
                                .map(|(column, value)| column.value(*value))
                                .try_for_each(|v| writer.write_field(v))?;
                        }
                        None => schema.generated.iter().try_for_each(|_| writer.write_field(""))?,
                    }
                    writer.write_record(None::<&[u8]>)?;
                }
                csv::Result::Ok(())
            })
        })?;
        Ok(writer.flush()?)
    }
}

impl Counts {
    fn add(&mut self, known: &Known, given: &[u16], generated: &[u16]) {
        self.rows += 1;
        if let Known::Truth(truth) = known
            && truth.find(given).is_some_and(|group| truth.rank(group, generated).is_some())
        {
            self.valid += 1;
        }
    }
}

fn summary(options: &Predict, known: &Known, counts: &Counts, [bad, unseen]: [usize; 2]) -> String {
    let how = match options.decode {
        DecodeKind::Greedy => "greedy".to_owned(),
        DecodeKind::Sample => format!("sampled at temperature {}", options.temperature.unwrap_or(1.0)),
    };
    let mut text = format!("{} rows, {how}, seed {}", counts.rows, options.seed);
    match known {
        Known::Truth(truth) => {
            let what = if truth.kind() == Kind::Exact { "valid" } else { "found in the table" };
            text += &format!("; {} {what}", output::percent(counts.valid as f64 / counts.rows.max(1) as f64));
        }
        Known::Nothing(reason) => text += &format!("; conditions and rows were not checked: {reason}"),
    }
    if unseen > 0 {
        text += &format!("; {unseen} conditions do not occur in the table");
    }
    if bad > 0 {
        text += &format!("; {bad} bad rows left without generated values");
    }
    text
}
