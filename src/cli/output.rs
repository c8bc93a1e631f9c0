//! Printing: tables, percentages, progress bars.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::files::FileError;

/// Prints a line of message to standard error. One that nobody reads any more is no reason to end.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}
pub(super) use say;

/// Prints data to standard output. A reader that has seen enough, such as `head`, is no failure.
///
/// # Errors
/// Those of standard output.
pub fn print(text: &str) -> Result<(), FileError> {
    let mut out = io::stdout().lock();
    let mut write = || {
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(stdout_failed()),
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
    table.add_rows(rows);
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

/// A share as a percentage. 100 % is printed for all, never for nearly all.
pub fn percent(share: f64) -> String {
    if share.is_nan() {
        return "-".to_owned();
    }
    let rounded = format!("{:.2} %", 100.0 * share);
    if rounded == "100.00 %" && share < 1.0 { format!("{:.4} %", (1e6 * share).floor() / 1e4) } else { rounded }
}

/// A progress bar on standard error, hidden when that is no terminal.
pub fn bar(length: u64, template: &str) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    // The templates are constants of this program; a broken one would show at once.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("━╸─"));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn nearly_all_is_never_printed_as_all() {
        assert_eq!(percent(1.0), "100.00 %");
        assert_eq!(percent(0.9999999), "99.9999 %");
        assert_eq!(percent(0.99991), "99.99 %");
        assert_eq!(percent(1.0 / 7.0), "14.29 %");
        assert_eq!(percent(f64::NAN), "-");
    }
}

/// Shows work on a bar.
pub fn on_bar(bar: &indicatif::ProgressBar) -> impl FnMut(usize) -> std::ops::ControlFlow<()> + '_ {
    |done| {
        bar.set_position(done as u64);
        std::ops::ControlFlow::Continue(())
    }
}
