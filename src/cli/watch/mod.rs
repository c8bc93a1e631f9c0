//! `cvae watch`: a live view of trials, from their folders alone.

mod app;
mod beside;
mod cells;
mod curves;
mod draw;
mod terminal;
#[cfg(test)]
mod tests;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use self::app::App;
pub use self::beside::beside;
use self::cells::Column;
use self::draw::{Surroundings, draw};
pub use self::terminal::has_terminal;
use self::terminal::{Screen, Waited};
use super::exit::{BadInput, Exit};
use super::{interrupt, output};
use crate::experiment::LiveRuns;
use crate::printable::ShownPath;

/// Watch trials while they run: states, time left, loss, pass rates and curves
///
/// It reads run folders only. So it works beside a sweep on this machine or on a cluster, over a network mount, and
/// after the end. Keys are explained in its last line. Without a terminal, or with --once, it prints a table and ends.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae watch
  cvae watch runs/latent_beta
  cvae watch runs --once

A trial's time left goes by the pace of its current session. Files are not checked against checksums here; cvae compare
and cvae runs show check them. Where a file system has no locks, a trial that wrote something in the last two minutes
counts as running.")]
pub struct Watch {
    /// Folders of trials, or folders that hold such
    #[arg(value_name = "RUNS", default_value = "runs", value_parser = super::place())]
    runs: Vec<PathBuf>,
    /// Print the table once and end
    #[arg(long)]
    once: bool,
    /// Seconds between looks at the folders; more for a slow network mount
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = crate::cli::whole::<u16>(1, 3600), allow_negative_numbers = true)]
    every: u16,
}

/// How long a look at folders may keep the screen waiting.
const PATIENCE: Duration = Duration::from_millis(400);
/// How soon a signal, or the end of what is watched, is noticed.
const TICK: Duration = Duration::from_millis(250);

impl Watch {
    /// Shows the view until it is left, or prints a table.
    ///
    /// # Errors
    /// When there is nothing to show, or the terminal fails.
    pub fn run(self) -> anyhow::Result<Exit> {
        let title = format!(
            "cvae watch {}",
            self.runs.iter().map(|path| path.shown().to_string()).collect::<Vec<_>>().join(" ")
        );
        if self.once || !has_terminal() {
            return once(self.runs);
        }
        let stop = interrupt::listen();
        let every = Duration::from_secs(self.every.into());
        view(LiveRuns::new(self.runs), &title, every, &|| (stop.load(Ordering::Relaxed), String::new()))?;
        Ok(if stop.load(Ordering::Relaxed) { Exit::Interrupted } else { Exit::Done })
    }
}

/// Prints the trials as a table.
fn once(roots: Vec<PathBuf>) -> anyhow::Result<Exit> {
    super::check_there(&roots)?;
    let names = roots.iter().map(|root| root.shown().to_string()).collect::<Vec<_>>().join(", ");
    let mut runs = LiveRuns::new(roots);
    runs.look(Duration::MAX);
    if runs.trials().is_empty() {
        return Err(BadInput(format!("no trial in {names}; name folders of runs, such as runs/quick")).into());
    }
    let now = Timestamp::now();
    let mut app = App::default();
    app.arrange(&runs, now);
    // Names last, and as they are: another program may read them.
    let header = Column::ALL.map(Column::heading);
    let row = |place: &usize| Column::ALL.map(|column| column.text(&runs.trials()[*place], now)).to_vec();
    let counts: Vec<String> =
        runs.counts().into_iter().map(|(status, count)| format!("{count} {}", status.name())).collect();
    let rows = app.shown.iter().map(row).collect();
    let table = output::fitting(&header, rows, &[0, header.len() - 1], output::trial_table);
    output::print(&format!("{table}\n{} trials: {}", runs.trials().len(), counts.join(", ")))?;
    Ok(Exit::Done)
}

/// How a view was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftBy {
    /// What it shows has ended.
    End,
    /// By q.
    Quit,
    /// By Ctrl-C.
    Stopping,
    /// By the terminal, which is gone: whoever ignores SIGHUP wants what runs beside the view to go on.
    HangUp,
}

/// Shows the view until it is left or `state` says that it is over; `state` also tells a note.
fn view(runs: LiveRuns, title: &str, every: Duration, state: &dyn Fn() -> (bool, String)) -> anyhow::Result<LeftBy> {
    let shown = catch_unwind(AssertUnwindSafe(|| {
        let mut screen = Screen::open()?;
        let shown = screen.show(runs, title, every, state);
        shown.or_else(|error| if screen.is_gone() { Ok(LeftBy::HangUp) } else { Err(error) })
    }));
    match shown {
        Ok(shown) => shown.context("cannot show the view on this terminal; --once prints a table"),
        // The screen that the panic was told on is gone.
        Err(_) => anyhow::bail!("the view broke down; --once prints a table"),
    }
}

impl Screen {
    fn show(
        &mut self,
        mut runs: LiveRuns,
        title: &str,
        every: Duration,
        state: &dyn Fn() -> (bool, String),
    ) -> io::Result<LeftBy> {
        let mut app = App::default();
        let (mut looked, mut stale): (Option<Instant>, bool) = (None, true);
        loop {
            let (over, note) = state();
            let due = looked.is_none_or(|looked| looked.elapsed() >= every) || runs.unseen() > 0;
            if due || over {
                let new = runs.look(PATIENCE);
                // The clock and the time left go on without news.
                stale |= new || looked.is_none_or(|looked| looked.elapsed() >= every);
                looked = Some(Instant::now());
            }
            if over {
                return Ok(LeftBy::End);
            }
            if stale {
                let now = Timestamp::now();
                app.arrange(&runs, now);
                self.terminal.draw(|frame| draw(frame, &mut app, &runs, Surroundings { title, note: &note }, now))?;
                stale = false;
            }
            let patience = if runs.unseen() == 0 { TICK } else { Duration::ZERO };
            let mut waited = self.wait(patience)?;
            while waited == Waited::Key {
                stale = true;
                match event::read()? {
                    Event::Key(key) if key.kind != KeyEventKind::Release && app.key(key, &runs) => {
                        let control = !key.modifiers.is_empty();
                        return Ok(if control { LeftBy::Stopping } else { LeftBy::Quit });
                    }
                    Event::Resize(..) => self.terminal.autoresize()?,
                    _ => {}
                }
                app.arrange(&runs, Timestamp::now());
                waited = self.wait(Duration::ZERO)?;
            }
            if waited == Waited::Gone {
                return Ok(LeftBy::HangUp);
            }
        }
    }
}
