//! Lines of conditions in, the same with a generated date out.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;

use super::ahead::write_in_order;
use super::options::{DecodeKind, Predict};
use crate::cli::exit::{BadInput, Exit};
use crate::cli::input::Input;
use crate::cli::{closed, is_standard_stream, output};
use crate::dates::{Condition, DateTokens, Line, LineError, Outcome, ValidDates, has_date_shape};
use crate::files::{self, FileError};
use crate::model::Sampler;
use crate::random::{Purpose, stream};
use crate::task::Rows;

/// Lines predicted at once, times their samples: so many that most conditions come several times among them.
const BLOCK: usize = 65_536;
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
            writer.print(&mut input, checked.lines)?
        } else {
            writer.write_file(&mut input, checked.lines, &output)?;
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
        let mut checked = Checked::default();
        let mut read = || -> io::Result<()> {
            for line in input.lines().map_err(|error| error.cause)? {
                let line = line?;
                checked.lines += 1;
                if let Err(error) = condition(&line, valid) {
                    checked.bad += 1;
                    if checked.bad <= SHOWN {
                        output::say!("{name}:{}:{}: {error}", line.number, error.column());
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
}

/// The condition of a line, which some date must meet.
fn condition(line: &Line, valid: &ValidDates) -> Result<Condition, LineError> {
    let condition = line.parse()?.condition_alone(&line.text)?;
    if valid.satisfiable(condition) { Ok(condition) } else { Err(LineError::Unsatisfiable(condition)) }
}

/// One draw for each condition.
fn draw(sampler: &Sampler<'_>, conditions: &[Condition], random: &mut ChaCha8Rng) -> Vec<DateTokens> {
    let mut asked = Rows::new(4);
    conditions.iter().for_each(|condition| asked.push(&condition.row()));
    // A head has as many logits as its field has values, so every choice is inside its field.
    sampler.draw(&asked, random).iter().filter_map(DateTokens::from_row).collect()
}

/// A bad line as it stands, less a date at its end: nothing that could pass for an answer.
fn without_date(text: &str) -> &str {
    let text = text.trim_end();
    match text.rsplit_once(char::is_whitespace) {
        Some((rest, last)) if has_date_shape(last) => rest.trim_end(),
        _ => text,
    }
}

/// Some lines and the dates drawn for them.
struct Block {
    lines: Vec<Line>,
    /// Those of the lines; none of bad ones.
    conditions: Vec<Option<Condition>>,
    /// As often as each condition has samples.
    asked: Vec<Condition>,
    drawn: Vec<DateTokens>,
}

impl Block {
    fn draw(
        lines: Vec<Line>,
        valid: &ValidDates,
        sampler: &Sampler<'_>,
        samples: usize,
        random: &mut ChaCha8Rng,
    ) -> Self {
        let conditions: Vec<Option<Condition>> = lines.iter().map(|line| condition(line, valid).ok()).collect();
        let asked: Vec<Condition> =
            conditions.iter().flatten().flat_map(|condition| std::iter::repeat_n(*condition, samples)).collect();
        let mut drawn = Vec::with_capacity(asked.len());
        // A line with very many samples is decoded in parts.
        for part in asked.chunks(BLOCK) {
            drawn.extend(draw(sampler, part, random));
        }
        Self { lines, conditions, asked, drawn }
    }
}

/// Draws dates for lines and writes them in their order.
struct Writer<'a> {
    sampler: &'a Sampler<'a>,
    valid: &'a ValidDates,
    options: &'a Predict,
    retry_random: ChaCha8Rng,
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
            dates: 0,
            passes: 0,
            mended: 0,
        }
    }

    /// Writes to standard output; says whether all of it was read.
    fn print(&mut self, input: &mut Input, lines: usize) -> anyhow::Result<bool> {
        let mut out = BufWriter::new(output::stdout());
        let written = closed::check().map_err(Into::into).and_then(|()| self.write_all(input, lines, &mut out));
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
    fn write_file(&mut self, input: &mut Input, lines: usize, path: &Path) -> anyhow::Result<()> {
        let mut failure = None;
        let mut write = |file: File| {
            let mut out = BufWriter::with_capacity(1 << 16, file);
            let written = self.write_all(input, lines, &mut out);
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

    fn write_all(&mut self, input: &mut Input, lines: usize, out: &mut impl Write) -> anyhow::Result<()> {
        let failed = input.failed();
        let bar = output::bar(lines as u64, "{bar:30} {human_pos}/{human_len} lines  {eta} left");
        let (sampler, valid, samples) = (self.sampler, self.valid, self.options.samples as usize);
        let mut random = stream(self.options.seed, Purpose::Samples, 0);
        let mut source = input.lines()?.fuse();
        let next = || {
            let lines: io::Result<Vec<Line>> = source.by_ref().take(BLOCK.div_ceil(samples)).collect();
            match lines {
                Ok(lines) if lines.is_empty() => None,
                lines => Some(lines.map(|lines| Block::draw(lines, valid, sampler, samples, &mut random))),
            }
        };
        let done = write_in_order(self.options.beside(), next, |block: io::Result<Block>| {
            let block = block?;
            bar.inc(block.lines.len() as u64);
            self.write_block(block, out)
        });
        output::end_bar(&bar);
        done.map_err(|error| match error.downcast::<io::Error>() {
            Ok(error) if error.kind() == io::ErrorKind::InvalidData => failed(error).into(),
            Ok(error) => error.into(),
            Err(error) => error,
        })
    }

    fn write_block(&mut self, block: Block, out: &mut impl Write) -> anyhow::Result<()> {
        let Block { lines, conditions, asked, mut drawn } = block;
        self.dates += drawn.len();
        self.passes += self.failing(&asked, &drawn).map_or(drawn.len(), |failing| drawn.len() - failing.len());
        self.retry(&asked, &mut drawn);
        let mut dates = drawn.iter();
        for (line, condition) in lines.iter().zip(&conditions) {
            match condition {
                Some(condition) => {
                    for tokens in dates.by_ref().take(self.options.samples as usize) {
                        writeln!(out, "{condition} {tokens}")?;
                    }
                }
                None => {
                    writeln!(out, "{}", without_date(&line.text))?;
                }
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
            let again = draw(self.sampler, &conditions, &mut self.retry_random);
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
