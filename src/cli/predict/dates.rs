//! Lines of conditions in, the same with a generated date out.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::iter;
use std::path::{Path, PathBuf};
use std::thread;

use rand_chacha::ChaCha8Rng;

use super::ahead::ahead;
use super::lines::{Batches, Entry, Parser};
use super::options::{DecodeKind, Predict};
use crate::cli::exit::{BadInput, Exit};
use crate::cli::input::Input;
use crate::cli::{closed, is_standard_stream, of_table, output};
use crate::dates::{CONDITION_FIELDS, Condition, DateTokens, Line, Outcome, ValidDates};
use crate::files::{self, FileError};
use crate::model::{PreparedBatch, Sampler};
use crate::random::{Purpose, stream};
use crate::task::Rows;

/// Lines whose conditions are remembered from the check: 32 MiB. Where there are more, they are read again.
const REMEMBERED: usize = 1 << 24;
/// Lines that are read while those before them are checked.
const READ_AHEAD: usize = 1 << 10;
/// Bytes of bad lines in a batch.
const BAD_BYTES: usize = 4 << 20;
/// Lines that are written at once.
const WRITTEN: usize = 1 << 10;
/// Faulty lines that are shown one by one.
const SHOWN: usize = 10;

/// Predicts the lines of dates.
///
/// # Errors
/// When the input has bad lines, or can't be read or written.
pub fn run(options: &Predict, sampler: &Sampler<'_>) -> anyhow::Result<Exit> {
    options.answer(options.read()?, sampler)
}

impl Predict {
    /// Checks options and input.
    fn read(&self) -> anyhow::Result<Question> {
        let output = self.output_path()?;
        let valid = ValidDates::new();
        let mut input = Input::open_for_rereading(&self.input)?;
        let checked = self.check(&mut input, &valid)?;
        if checked.bad > 0 && !self.keep_going {
            let more = format!("{} of {} lines are bad; nothing was written", checked.bad, checked.lines);
            let hint = if self.model.is_none() { of_table(&self.input) } else { "" };
            return Err(BadInput(format!("{more}. Mend them, or use --keep-going to predict the others{hint}")).into());
        }
        if checked.lines == 0 {
            return Err(BadInput(format!("{} holds no lines", input.name())).into());
        }
        Ok(Question { output, valid, input, checked })
    }

    fn answer(&self, question: Question, sampler: &Sampler<'_>) -> anyhow::Result<Exit> {
        let Question { output, valid, mut input, checked } = question;
        let mut writer = Writer::new(sampler, &valid, self);
        let written = if is_standard_stream(&output) || files::is_standard_output(&output) {
            writer.print(&mut input, &checked)?
        } else {
            writer.write_file(&mut input, &checked, &output)?;
            true
        };
        if written {
            output::say!("{}", writer.summary(checked.bad));
        }
        Ok(if checked.bad > 0 { Exit::Partial } else { Exit::Done })
    }

    /// Reads the whole input and shows the first faults, each with its place.
    fn check(&self, input: &mut Input, valid: &ValidDates) -> anyhow::Result<Checked> {
        let (name, failed) = (input.name(), input.failed());
        let mut checked = Checked { conditions: Some(Vec::new()), ..Checked::default() };
        let mut parser = Parser::new(valid);
        let mut check = |line: io::Result<Line>| -> io::Result<()> {
            let line = line?;
            checked.lines += 1;
            match parser.condition(&line) {
                Ok(condition) => checked.remember(condition, REMEMBERED),
                Err(error) => {
                    checked.conditions = None;
                    checked.bad += 1;
                    if checked.bad <= SHOWN {
                        output::say!("{name}:{}:{}: {error}", line.number, error.column());
                    }
                }
            }
            Ok(())
        };
        let mut lines = input.lines()?;
        let chunks = iter::from_fn(|| {
            let chunk: Vec<_> = lines.by_ref().take(READ_AHEAD).collect();
            (!chunk.is_empty()).then_some(chunk)
        });
        let mut all = |chunks: &mut dyn Iterator<Item = Vec<_>>| chunks.flatten().try_for_each(&mut check);
        thread::scope(|scope| all(&mut ahead(scope, self.beside(), chunks))).map_err(failed)?;
        if checked.bad > SHOWN {
            output::say!("... and {} more bad lines", checked.bad - SHOWN);
        }
        Ok(checked)
    }
}

/// What is to be predicted, checked, and where to.
struct Question {
    output: PathBuf,
    valid: ValidDates,
    input: Input,
    checked: Checked,
}

#[derive(Debug, Default)]
struct Checked {
    lines: usize,
    bad: usize,
    /// Indices of the lines' conditions; none where a line is bad or there are very many: they are read again.
    conditions: Option<Vec<u16>>,
}

impl Checked {
    /// Adds a condition, unless there are that many.
    fn remember(&mut self, condition: Condition, most: usize) {
        self.conditions = self.conditions.take().filter(|conditions| conditions.len() < most);
        if let Some(conditions) = &mut self.conditions {
            conditions.push(condition.index() as u16);
        }
    }
}

/// The rows of some conditions.
fn rows<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Rows {
    let mut rows = Rows::new(CONDITION_FIELDS.len());
    conditions.for_each(|condition| rows.push(&condition.row()));
    rows
}

/// The dates of drawn rows.
fn dates(drawn: &Rows) -> Vec<DateTokens> {
    // A head has as many logits as its field has values, so every choice is inside its field.
    drawn.iter().filter_map(DateTokens::from_row).collect()
}

/// Draws dates for lines and writes them in their order.
struct Writer<'a> {
    sampler: &'a Sampler<'a>,
    valid: &'a ValidDates,
    options: &'a Predict,
    /// One for each round of retries, so that batches don't matter.
    retry_random: Vec<ChaCha8Rng>,
    /// The text of each condition, by its index.
    texts: Vec<String>,
    dates: usize,
    passes: usize,
    mended: usize,
}

impl<'a> Writer<'a> {
    fn new(sampler: &'a Sampler<'a>, valid: &'a ValidDates, options: &'a Predict) -> Self {
        Self {
            sampler,
            valid,
            options,
            retry_random: Vec::new(),
            texts: Condition::all().map(|condition| condition.to_string()).collect(),
            dates: 0,
            passes: 0,
            mended: 0,
        }
    }

    /// Writes to standard output; says whether all of it was read.
    fn print(&mut self, input: &mut Input, checked: &Checked) -> anyhow::Result<bool> {
        let mut out = BufWriter::new(output::stdout());
        let written = closed::check().map_err(Into::into).and_then(|()| self.write_all(input, checked, &mut out));
        let written = written.and_then(|()| Ok(out.flush()?));
        let Err(error) = written else { return Ok(true) };
        // What could not be written is not tried again.
        drop(out.into_parts());
        match error.downcast::<io::Error>() {
            // A reader that has seen enough, such as `head`, is no failure.
            Ok(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Ok(error) => Err(output::stdout_failed()(error).into()),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file, or writes to a pipe, a device or a descriptor as it is.
    fn write_file(&mut self, input: &mut Input, checked: &Checked, path: &Path) -> anyhow::Result<()> {
        let mut failure = None;
        let mut write = |file: File| {
            let mut out = BufWriter::with_capacity(1 << 16, file);
            let written = self.write_all(input, checked, &mut out);
            // What went wrong keeps its own words; the file is not replaced either way.
            written.map_err(|error| match error.downcast::<io::Error>() {
                Ok(error) => error,
                Err(error) => {
                    failure = Some(error);
                    io::ErrorKind::Other.into()
                }
            })?;
            out.flush()
        };
        let replaced = match files::stream(path)? {
            Some(stream) => write(stream).map_err(FileError::at("write", path)),
            None => files::replace(path, |partial| write(File::create(partial)?)),
        };
        replaced.map_err(|error| failure.unwrap_or_else(|| error.into()))
    }

    fn write_all(&mut self, input: &mut Input, checked: &Checked, out: &mut impl Write) -> anyhow::Result<()> {
        let (failed, sampler) = (input.failed(), self.sampler);
        let lines: Box<dyn Iterator<Item = Result<Entry, FileError>> + Send> = match &checked.conditions {
            Some(conditions) => {
                let condition = |index: &u16| Condition::from_index((*index).into());
                Box::new(conditions.iter().filter_map(condition).map(|condition| Ok(Ok(condition))))
            }
            None => {
                let mut parser = Parser::new(self.valid);
                Box::new(input.lines()?.map(move |line| line.map(|line| parser.entry(&line)).map_err(&failed)))
            }
        };
        let samples = self.options.samples as usize;
        let most = sampler.batch_size();
        let batches = Batches { lines: lines.fuse(), samples, most, most_bad_bytes: BAD_BYTES, repeated: None };
        let mut random = stream(self.options.seed, Purpose::Samples, 0);
        let prepare = move |batch: Result<Vec<Entry>, FileError>| {
            let batch = batch?;
            let prepared = sampler.prepare(rows(batch.iter().flatten()), &mut random);
            Ok((batch, prepared))
        };
        let decode = |batch: Result<(Vec<Entry>, PreparedBatch), FileError>| {
            batch.map(|(batch, prepared)| (batch, dates(&sampler.decode(prepared))))
        };
        let bar = output::bar((checked.lines * samples) as u64, "{bar:30} {human_pos}/{human_len} dates  {eta} left");
        let beside = self.options.beside();
        let done = thread::scope(|scope| {
            let prepared = ahead(scope, beside, batches.map(prepare));
            ahead(scope, beside, prepared.map(decode)).try_for_each(|batch| {
                let (batch, drawn) = batch?;
                // A bad line counts as if it had its dates.
                let bad = batch.iter().filter(|entry| entry.is_err()).count();
                bar.inc((drawn.len() + bad * samples) as u64);
                Ok(self.write_batch(&batch, drawn, out)?)
            })
        });
        output::end_bar(&bar);
        done
    }

    fn write_batch(&mut self, batch: &[Entry], mut drawn: Vec<DateTokens>, out: &mut impl Write) -> io::Result<()> {
        let asked: Vec<Condition> = batch.iter().flatten().copied().collect();
        self.dates += drawn.len();
        self.passes += self.failing(&asked, &drawn).map_or(drawn.len(), |failing| drawn.len() - failing.len());
        self.retry(&asked, &mut drawn);
        let (mut dates, mut text) = (drawn.iter(), Vec::new());
        for entries in batch.chunks(WRITTEN) {
            text.clear();
            for entry in entries {
                match (entry, entry.as_ref().ok().and_then(|_| dates.next())) {
                    (Ok(condition), Some(tokens)) => {
                        text.extend_from_slice(self.texts[condition.index()].as_bytes());
                        text.push(b' ');
                        tokens.append_to(&mut text);
                    }
                    (Ok(_), None) => continue,
                    (Err(bad), _) => text.extend_from_slice(bad.as_bytes()),
                }
                text.push(b'\n');
            }
            out.write_all(&text)?;
        }
        Ok(())
    }

    /// The places of the samples that fail their conditions, where there are any.
    fn failing(&self, asked: &[Condition], drawn: &[DateTokens]) -> Option<Vec<usize>> {
        let passes = |index: &usize| matches!(self.valid.outcome(asked[*index], drawn[*index]), Outcome::Pass(_));
        let failing: Vec<usize> = (0..asked.len()).filter(|index| !passes(index)).collect();
        (!failing.is_empty()).then_some(failing)
    }

    /// Draws failing samples again where --retries asks for it; what still fails keeps its first draw.
    fn retry(&mut self, asked: &[Condition], drawn: &mut [DateTokens]) {
        for round in 0..self.options.retries as usize {
            let Some(failing) = self.failing(asked, drawn) else { return };
            if round == self.retry_random.len() {
                self.retry_random.push(stream(self.options.seed, Purpose::Retries, round as u64));
            }
            let conditions: Vec<Condition> = failing.iter().map(|index| asked[*index]).collect();
            let again = dates(&self.sampler.draw(&rows(conditions.iter()), &mut self.retry_random[round]));
            for (index, tokens) in failing.into_iter().zip(again) {
                if matches!(self.valid.outcome(asked[index], tokens), Outcome::Pass(_)) {
                    drawn[index] = tokens;
                    self.mended += 1;
                }
            }
        }
    }

    fn summary(&self, bad: usize) -> String {
        let Predict { decode, seed, retries, .. } = self.options;
        let how = match decode {
            DecodeKind::Greedy => "greedy".to_owned(),
            DecodeKind::Sample => format!("sampled at temperature {}", self.options.temperature.unwrap_or(1.0)),
        };
        let rate = if self.dates == 0 { f64::NAN } else { self.passes as f64 / self.dates as f64 };
        let mut text = format!(
            "{} dates, {how}, seed {seed}; raw pass rate {} ({} fail)",
            self.dates,
            output::percent(rate),
            self.dates - self.passes
        );
        if *retries > 0 {
            text += &format!("; up to {retries} retries changed {} of them", self.mended);
        }
        if bad > 0 {
            text += &format!("; {bad} bad lines left without a date");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_remembered_of_some_lines_or_of_none() {
        let mut checked = Checked { conditions: Some(Vec::new()), ..Checked::default() };
        let condition = Condition::from_index(7).unwrap();
        let remembered: Vec<Option<Vec<u16>>> = (0..4)
            .map(|_| {
                checked.remember(condition, 2);
                checked.conditions.clone()
            })
            .collect();
        assert_eq!(remembered, [Some(vec![7]), Some(vec![7, 7]), None, None]);
    }
}
