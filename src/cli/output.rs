//! Printing: tables, percentages, progress bars.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle, presets};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::closed;
use crate::files::FileError;
pub use crate::metrics::percent;
use crate::printable::{is_hidden, one_line, printable};

/// Prints a message to standard error, with control characters escaped, above the progress bars.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::cli::output::message(&format!($($words)*))
    };
}
pub(super) use say;

/// The progress bars on standard error, which give way to messages, whoever prints them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// What [`say!`] does with its words. A reader that has left is no reason to end.
pub fn message(words: &str) {
    let line = format!("{}\n", printable(words));
    BARS.suspend(|| {
        let _ = io::stderr().write_all(line.as_bytes());
    });
}

/// Removes all bars for good: the process is about to end.
pub fn clear_bars() {
    // A terminal that takes no more needs no clearing.
    let _ = BARS.clear();
    BARS.set_draw_target(ProgressDrawTarget::hidden());
}

/// Removes a bar whose work is done.
pub fn end_bar(bar: &ProgressBar) {
    bar.finish_and_clear();
    BARS.remove(bar);
}

/// Prints data to standard output, with control characters escaped. A reader that has seen enough, such as `head`, is no
/// failure.
///
/// # Errors
/// Those of standard output.
pub fn print(text: &str) -> Result<(), FileError> {
    print_bytes(printable(text).as_bytes())
}

/// The same for text with colours, in which nothing is of a file.
///
/// # Errors
/// Those of standard output.
pub fn print_coloured(text: &str) -> Result<(), FileError> {
    print_bytes(text.as_bytes())
}

/// A value as JSON in which everything that would steer a terminal is escaped, as JSON allows of any character.
///
/// # Errors
/// When it can't be serialised.
pub fn json(value: &impl serde::Serialize) -> serde_json::Result<String> {
    let escape = |letter: char| match is_hidden(letter) {
        true => letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        false => letter.to_string(),
    };
    Ok(serde_json::to_string_pretty(value)?.chars().map(escape).collect())
}

/// Prints a path as it is, for scripts; it need not be UTF-8. A terminal is shown it escaped.
///
/// # Errors
/// Those of standard output.
pub fn print_path(path: &Path) -> Result<(), FileError> {
    if io::stdout().is_terminal() {
        return print(&path.to_string_lossy());
    }
    print_bytes(path.as_os_str().as_encoded_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), FileError> {
    let mut out = io::stdout().lock();
    let mut write = || {
        closed::check()?;
        out.write_all(bytes)?;
        out.write_all(b"\n")?;
        out.flush()
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(stdout_failed()),
    }
}

/// Standard output for data that may come from files: as it is, but for a terminal, which nothing in it may steer.
pub fn stdout() -> Box<dyn Write> {
    let out = io::stdout().lock();
    if out.is_terminal() { Box::new(Visible { out, line: Vec::new() }) } else { Box::new(out) }
}

/// Writes whole lines, with control characters escaped.
struct Visible<W: Write> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if let Some(end) = self.line.iter().rposition(|byte| *byte == b'\n') {
            let lines: Vec<u8> = self.line.drain(..=end).collect();
            self.out.write_all(printable(&String::from_utf8_lossy(&lines)).as_bytes())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Drop for Visible<W> {
    fn drop(&mut self) {
        // What stands behind the last line end; a terminal that takes no more is told by the lines before it.
        let _ = self.out.write_all(printable(&String::from_utf8_lossy(&self.line)).as_bytes());
    }
}

/// Adds the name of standard output to an error of writing to it.
pub fn stdout_failed() -> impl FnOnce(io::Error) -> FileError {
    FileError::at("write to", Path::new("standard output"))
}

/// A table with this header, whose columns after the first are right-aligned.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    table.add_rows(rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect::<Vec<_>>()));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The same without lines between its rows, for tables of many rows.
pub fn long_table(header: &[&str], rows: Vec<Vec<String>>) -> Table {
    let line = |fill| LineStyle::none().fill(fill).junction(fill);
    let style = TableStyle::new().top_border(line('─')).header_separator(line('═')).bottom_border(line('─'));
    let mut table = table(header, rows);
    table.load_style(style);
    table
}

/// The same with names in its last column.
pub fn named_table(header: &[&str], rows: Vec<Vec<String>>) -> Table {
    let mut table = long_table(header, rows);
    if header.last() == Some(&"condition")
        && let Some(column) = table.column_mut(header.len() - 1)
    {
        column.set_cell_alignment(CellAlignment::Left);
    }
    table
}

/// The same with trials in its last column.
pub fn trial_table(header: &[&str], rows: Vec<Vec<String>>) -> Table {
    let mut table = long_table(header, rows);
    if let Some(names) = table.column_mut(header.len().saturating_sub(1)) {
        names.set_cell_alignment(CellAlignment::Left);
    }
    table
}

/// A table of many rows as the terminal takes it: without columns that don't fit, which a note names, apart from those that
/// stay. To a pipe it goes whole.
pub fn fitting(header: &[&str], rows: Vec<Vec<String>>, kept: &[usize], make: MakeTable) -> String {
    let (text, dropped) = fitted(header, rows, kept, terminal_width(), make);
    if !dropped.is_empty() {
        say!("not shown, for lack of room: {}; a pipe takes all columns", dropped.join(", "));
    }
    text
}

/// What makes a table of a header and rows.
pub type MakeTable = fn(&[&str], Vec<Vec<String>>) -> Table;

/// A table as Markdown. By hand, since comfy-table's preset for it neither aligns
/// numbers to the right nor escapes bars.
pub fn markdown(header: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let align = |place| if place == 0 { "---" } else { "---:" }.to_owned();
    let head =
        [line(header.iter().map(|cell| (*cell).to_owned()).collect()), line((0..header.len()).map(align).collect())];
    let cell = |cell: &String| one_line(cell).replace('|', "\\|");
    let rows = rows.iter().map(|row| line(row.iter().map(cell).collect()));
    head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// Prints a table. Where columns are named that must stay, others are left out from the right until it fits the
/// terminal, and named on standard error.
///
/// # Errors
/// Those of standard output.
pub fn print_table(header: &[&str], rows: Vec<Vec<String>>, kept: Option<&[usize]>) -> Result<(), FileError> {
    let width = kept.and_then(|_| terminal_width());
    let (text, dropped) = fitted(header, rows, kept.unwrap_or_default(), width, table);
    print(&text)?;
    say_dropped(&dropped);
    Ok(())
}

/// Names the columns that were left out.
pub fn say_dropped(dropped: &[String]) {
    if !dropped.is_empty() {
        say!("left out, since the terminal is too narrow: {} (--wide shows all)", dropped.join("; "));
    }
}

/// Columns of a terminal that tells of none.
const USUAL: usize = 80;

/// Columns of the terminal that standard output is; none where it is a file or a pipe.
pub fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let size = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    // Some terminals do not report a size.
    let named = || std::env::var("COLUMNS").ok()?.parse().ok();
    size.or_else(named).filter(|width| *width > 0).or(Some(USUAL))
}

/// The table as text, its cells broken into lines where the terminal is too narrow.
pub fn on_terminal(table: &mut Table) -> String {
    if let Some(width) = terminal_width() {
        narrow(table, width);
    }
    table.to_string()
}

fn narrow(table: &mut Table, width: usize) {
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.try_into().unwrap_or(u16::MAX));
}

/// A table that is at most this wide, if leaving out columns that need not stay makes it so, and what was left out.
pub fn fitted(
    header: &[&str],
    mut rows: Vec<Vec<String>>,
    kept: &[usize],
    width: Option<usize>,
    make: MakeTable,
) -> (String, Vec<String>) {
    let (mut header, mut dropped) = (header.to_vec(), Vec::new());
    // Where each shown column stood at first.
    let mut shown: Vec<usize> = (0..header.len()).collect();
    loop {
        let text = make(&header, rows.clone()).to_string();
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        let last = shown.iter().rposition(|column| !kept.contains(column));
        match (width, last) {
            (Some(width), Some(last)) if widest > width => {
                shown.remove(last);
                dropped.insert(0, header.remove(last).to_owned());
                rows.iter_mut().for_each(|row| drop(row.remove(last)));
            }
            // What must stay is broken into lines where it is too wide by itself.
            (Some(width), None) if widest > width => {
                let mut table = make(&header, rows);
                narrow(&mut table, width);
                return (table.to_string(), dropped);
            }
            _ => return (text, dropped),
        }
    }
}

/// A progress bar on standard error below those that are there, hidden when that is no terminal.
pub fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = BARS.add(ProgressBar::new(length));
    // The templates are constants of this program; a broken one would show at once.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("━╸─"));
    // Its thread is one that the system may not give: none is asked for where nothing is shown.
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(250));
    }
    bar
}

/// How far an evaluation has come: the share is of what is drawn, and some figures are computed after that.
pub fn evaluating(share: f64) -> String {
    let percent = (100.0 * share).floor();
    if percent < 100.0 { format!("evaluating {percent} %") } else { "evaluating, last figures".to_owned() }
}

/// Shows work on a bar.
pub fn on_bar(bar: &indicatif::ProgressBar) -> impl FnMut(usize) -> std::ops::ControlFlow<()> + '_ {
    |done| {
        bar.set_position(done as u64);
        std::ops::ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        vec![["a|b\x1b[1m", "1", "99.99 % ± 0.010", "2.6"].map(str::to_owned).to_vec()]
    }

    #[test]
    fn an_evaluation_that_still_computes_is_never_said_to_be_done() {
        assert_eq!(evaluating(0.0), "evaluating 0 %");
        assert_eq!(evaluating(0.9999), "evaluating 99 %");
        assert_eq!(evaluating(1.0), "evaluating, last figures");
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_from_the_right_but_for_those_that_must_stay() {
        let header = ["trials", "seeds", "pass", "MI"];
        let all = |width| fitted(&header, rows(), &[0, 1], width, table);
        let (text, dropped) = all(None);
        assert!(text.contains("MI") && dropped.is_empty() && all(Some(80)).0 == text);
        let wide = text.lines().map(|line| line.chars().count()).max().unwrap();
        let (text, dropped) = all(Some(wide - 1));
        assert!(text.contains("99.99") && dropped == ["MI"], "{text}");
        assert!(text.lines().all(|line| line.chars().count() < wide), "{text}");
        // What must stay is broken into lines, as far as a letter in each.
        let (narrow, dropped) = all(Some(3));
        assert!(narrow.lines().count() > text.lines().count() && dropped == ["pass", "MI"], "{narrow}");
        let (text, dropped) = fitted(&header, rows(), &[0, 3], Some(26), table);
        assert!(text.contains("2.6") && dropped == ["seeds", "pass"], "{text}");
    }

    #[test]
    fn data_on_a_terminal_is_escaped_line_by_line() {
        let mut shown = Vec::new();
        let mut out = Visible { out: &mut shown, line: Vec::new() };
        for part in ["a\u{1b}[1m", "\u{9b}b\nc\r", "d\u{7}"].map(str::as_bytes) {
            part.chunks(1).for_each(|byte| out.write_all(byte).unwrap());
        }
        drop(out);
        assert_eq!(String::from_utf8(shown).unwrap(), "a\\u{1b}[1m\\u{9b}b\nc\\rd\\u{7}");
    }

    #[test]
    fn json_says_the_same_in_characters_that_are_seen() {
        let text = "a\u{1b}\u{9b}\u{202e}\u{7f}\u{e0001}\n\"é";
        let json = json(&text).unwrap();
        assert!(!json.contains(is_hidden) && json.contains("\\u009b\\u202e\\u007f"), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn cells_do_not_steer_the_terminal_and_do_not_end_markdown_cells() {
        let header = ["trials", "seeds", "pass", "MI"];
        assert!(table(&header, rows()).to_string().contains("a|b\\u{1b}[1m"));
        let text = markdown(&header, &rows());
        let lines = ["| trials | seeds | pass | MI |", "| --- | ---: | ---: | ---: |"];
        assert_eq!(text, format!("{}\n{}\n| a\\|b\\u{{1b}}[1m | 1 | 99.99 % ± 0.010 | 2.6 |", lines[0], lines[1]));
    }
}
