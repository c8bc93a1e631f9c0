//! Lines of conditions in, the same with a generated date out.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::{iter, thread};

use rand_chacha::ChaCha8Rng;

use super::ahead::ahead;
use super::options::{DecodeKind, Predict};
use crate::cli::exit::{BadInput, Exit};
use crate::cli::input::Input;
use crate::cli::{closed, is_standard_stream, output};
use crate::dates::{CONDITION_FIELDS, Condition, DateTokens, Line, LineError, Outcome, ValidDates, has_date_shape};
use crate::files::{self, FileError};
use crate::model::{Prepared, Sampler};
use crate::random::{Purpose, stream};
use crate::task::Rows;

/// Lines whose conditions are remembered from the check: 32 MiB. Where there are more, they are read again.
const REMEMBERED: usize = 1 << 24;
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
            return Err(BadInput(format!("{more}. Mend them, or use --keep-going to predict the others")).into());
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
        let (mut checked, mut conditions) = (Checked::default(), Conditions::new(valid));
        let mut read = || -> io::Result<()> {
            for line in input.lines().map_err(|error| error.cause)? {
                let line = line?;
                checked.lines += 1;
                match conditions.of(&line) {
                    Ok(condition) if checked.conditions.len() < REMEMBERED => {
                        checked.conditions.push(condition.index() as u16);
                    }
                    Ok(_) => (),
                    Err(error) => {
                        checked.bad += 1;
                        if checked.bad <= SHOWN {
                            output::say!("{name}:{}:{}: {error}", line.number, error.column());
                        }
                    }
                }
            }
            Ok(())
        };
        read().map_err(failed)?;
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
    /// Indices of the good lines' conditions, of the first ones where there are very many.
    conditions: Vec<u16>,
}

/// The conditions of lines.
struct Conditions<'a> {
    valid: &'a ValidDates,
    /// Those of short lines: most lines repeat one of them.
    known: HashMap<String, Condition>,
}

impl<'a> Conditions<'a> {
    /// Bytes of a line that is kept, and lines that are.
    const KEPT: (usize, usize) = (32, 2 * Condition::COUNT);

    fn new(valid: &'a ValidDates) -> Self {
        Self { valid, known: HashMap::new() }
    }

    /// The condition of a line, which some date must meet.
    fn of(&mut self, line: &Line) -> Result<Condition, LineError> {
        let (length, most) = Self::KEPT;
        if line.text.len() > length {
            return self.parse(line);
        }
        if let Some(known) = self.known.get(&line.text) {
            return Ok(*known);
        }
        let condition = self.parse(line)?;
        if self.known.len() < most {
            self.known.insert(line.text.clone(), condition);
        }
        Ok(condition)
    }

    fn parse(&self, line: &Line) -> Result<Condition, LineError> {
        let condition = line.parse()?.condition_alone(&line.text)?;
        if self.valid.satisfiable(condition) { Ok(condition) } else { Err(LineError::Unsatisfiable(condition)) }
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

/// A bad line as it stands, less a date at its end: nothing that could pass for an answer.
fn without_date(text: &str) -> &str {
    let text = text.trim_end();
    match text.rsplit_once(char::is_whitespace) {
        Some((rest, last)) if has_date_shape(last) => rest.trim_end(),
        _ => text,
    }
}

/// A line: its condition, or a bad one as it stands, less its date.
type Entry = Result<Condition, String>;

/// Takes lines and prepares the draws for their conditions.
struct Asker<'a, L> {
    lines: L,
    sampler: &'a Sampler<'a>,
    random: ChaCha8Rng,
    samples: usize,
    /// The condition of the last line, and how often it is still to be drawn for.
    left: Option<(Condition, usize)>,
}

impl<L: Iterator<Item = io::Result<Entry>>> Asker<'_, L> {
    /// As many as are drawn at once, in the order of the lines, conditions as often as each has samples; none at the end.
    fn next(&mut self) -> Option<io::Result<(Vec<Entry>, Prepared)>> {
        let (mut entries, most) = (Vec::new(), self.sampler.at_once());
        while entries.len() < most {
            if let Some((condition, left)) = self.left.take() {
                let count = left.min(most - entries.len());
                entries.extend(iter::repeat_n(Ok(condition), count));
                self.left = (count < left).then_some((condition, left - count));
                continue;
            }
            match self.lines.next() {
                None => break,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(Ok(condition))) => self.left = Some((condition, self.samples)),
                Some(Ok(bad)) => entries.push(bad),
            }
        }
        if entries.is_empty() {
            return None;
        }
        let prepared = self.sampler.prepare(rows(entries.iter().flatten()), &mut self.random);
        Some(Ok((entries, prepared)))
    }
}

/// Draws dates for lines and writes them in their order.
struct Writer<'a> {
    sampler: &'a Sampler<'a>,
    valid: &'a ValidDates,
    options: &'a Predict,
    retry_random: ChaCha8Rng,
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
            retry_random: stream(options.seed, Purpose::Retries, 0),
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
        let failed = input.failed();
        let samples = self.options.samples as usize;
        let bar = output::bar((checked.lines * samples) as u64, "{bar:30} {human_pos}/{human_len} dates  {eta} left");
        let sampler = self.sampler;
        let lines: Box<dyn Iterator<Item = io::Result<Entry>> + Send> = if checked.conditions.len() == checked.lines {
            let of = |index: &u16| Condition::from_index((*index).into()).map(|condition| Ok(Ok(condition)));
            Box::new(checked.conditions.iter().filter_map(of))
        } else {
            let mut conditions = Conditions::new(self.valid);
            let mut entry = move |line: Line| conditions.of(&line).map_err(|_| without_date(&line.text).to_owned());
            Box::new(input.lines()?.map(move |line| line.map(&mut entry)))
        };
        let mut asker = Asker {
            lines: lines.fuse(),
            sampler,
            random: stream(self.options.seed, Purpose::Samples, 0),
            samples,
            left: None,
        };
        let beside = self.options.beside();
        let done = thread::scope(|scope| {
            let asked = ahead(scope, beside, iter::from_fn(move || asker.next()));
            let draw = |unit: io::Result<(Vec<Entry>, Prepared)>| {
                unit.map(|(entries, prepared)| (entries, dates(&sampler.decode(&prepared))))
            };
            ahead(scope, beside, asked.map(draw)).try_for_each(|unit| {
                let (entries, drawn) = unit?;
                let bad = entries.iter().filter(|entry| entry.is_err()).count();
                bar.inc((drawn.len() + bad * samples) as u64);
                self.write_entries(&entries, drawn, out)
            })
        });
        output::end_bar(&bar);
        done.map_err(|error: anyhow::Error| match error.downcast::<io::Error>() {
            Ok(error) if error.kind() == io::ErrorKind::InvalidData => failed(error).into(),
            Ok(error) => error.into(),
            Err(error) => error,
        })
    }

    fn write_entries(
        &mut self,
        entries: &[Entry],
        mut drawn: Vec<DateTokens>,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let asked: Vec<Condition> = entries.iter().flatten().copied().collect();
        self.dates += drawn.len();
        self.passes += self.failing(&asked, &drawn).map_or(drawn.len(), |failing| drawn.len() - failing.len());
        self.retry(&asked, &mut drawn);
        let mut dates = drawn.iter();
        for entry in entries {
            match entry {
                Ok(condition) => {
                    let text = &self.texts[condition.index()];
                    dates.next().map_or(Ok(()), |tokens| writeln!(out, "{text} {tokens}"))?;
                }
                Err(text) => writeln!(out, "{text}")?,
            }
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
        for _ in 0..self.options.retries {
            let Some(failing) = self.failing(asked, drawn) else { return };
            let conditions: Vec<Condition> = failing.iter().map(|index| asked[*index]).collect();
            let again = dates(&self.sampler.draw(&rows(conditions.iter()), &mut self.retry_random));
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
