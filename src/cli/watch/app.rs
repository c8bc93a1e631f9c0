//! The state of the live view, and what keys do to it. It draws nothing.

use std::path::PathBuf;

use jiff::Timestamp;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::cells::Column;
use crate::experiment::{LiveRuns, LiveTrial};

/// What is on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Trials and curves.
    #[default]
    List,
    /// The same, and keys go into the filter.
    Filter,
    /// The log of the chosen trial, so many lines up from its end.
    Log(usize),
    /// All keys.
    Help,
}

/// Which of trials and curves are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Panes {
    #[default]
    Both,
    Trials,
    Curves,
}

/// The view's state.
#[derive(Debug)]
pub struct App {
    /// What is on the screen.
    pub mode: Mode,
    /// Which panes are.
    pub panes: Panes,
    /// The column that trials are sorted by.
    pub sort: Column,
    /// Whether the order is turned round.
    pub reversed: bool,
    /// Words that a trial must have in its name, experiment or state.
    pub filter: String,
    /// The shown trials, in order: places among all.
    pub shown: Vec<usize>,
    /// The chosen row among the shown ones.
    pub row: usize,
    /// The first row on the screen.
    pub top: usize,
    /// Rows that fit the screen, as last drawn.
    pub page: usize,
    /// The folder of the chosen trial, which stays chosen wherever it moves.
    chosen: Option<PathBuf>,
    /// Whether a key was pressed: until then the first trial is the chosen one.
    begun: bool,
}

impl Default for App {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            panes: Panes::default(),
            sort: Column::State,
            reversed: false,
            filter: String::new(),
            shown: Vec::new(),
            row: 0,
            top: 0,
            page: 1,
            chosen: None,
            begun: false,
        }
    }
}

impl App {
    /// Filters and sorts the trials as they are now, and finds the chosen one again.
    pub fn arrange(&mut self, runs: &LiveRuns, now: Timestamp) {
        let trials = runs.trials();
        let words: Vec<String> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        let passes = |trial: &LiveTrial| {
            let text = format!("{}/{} {}", trial.experiment, trial.name, trial.status.name()).to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        self.shown = (0..trials.len()).filter(|place| words.is_empty() || passes(&trials[*place])).collect();
        self.shown.sort_by(|a, b| {
            let order = self.sort.compare(&trials[*a], &trials[*b], now);
            if self.reversed { order.reverse() } else { order }
        });
        let is_chosen = |place: &usize| Some(&trials[*place].folder) == self.chosen.as_ref();
        if !self.begun {
            self.row = 0;
        } else if let Some(row) = self.shown.iter().position(is_chosen) {
            self.row = row;
        }
        self.choose(self.row, runs);
    }

    /// Chooses a row, or the nearest that there is.
    fn choose(&mut self, row: usize, runs: &LiveRuns) {
        self.row = row.min(self.shown.len().saturating_sub(1));
        self.chosen = self.trial(runs).map(|trial| trial.folder.clone());
        let last = self.row.saturating_sub(self.page.saturating_sub(1));
        self.top = self.top.clamp(last, self.row);
    }

    /// Keeps the chosen row on a screen of so many rows.
    pub fn fit(&mut self, page: usize) {
        self.page = page.max(1);
        let last = self.row.saturating_sub(self.page - 1);
        // Nothing below is wasted, and the chosen row is seen.
        self.top = self.top.min(self.shown.len().saturating_sub(self.page)).clamp(last, self.row);
    }

    /// The chosen trial.
    pub fn trial<'a>(&self, runs: &'a LiveRuns) -> Option<&'a LiveTrial> {
        runs.trials().get(*self.shown.get(self.row)?)
    }

    /// Does what a key asks for; says whether the view ends.
    pub fn key(&mut self, key: KeyEvent, runs: &LiveRuns) -> bool {
        self.begun = true;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return matches!(key.code, KeyCode::Char('c' | 'd'));
        }
        match self.mode {
            Mode::List => return self.list_key(key.code, runs),
            Mode::Filter => self.filter_key(key.code),
            Mode::Log(up) => self.log_key(key.code, up),
            Mode::Help => self.mode = Mode::List,
        }
        false
    }

    fn list_key(&mut self, code: KeyCode, runs: &LiveRuns) -> bool {
        let page = self.page.saturating_sub(1).max(1);
        match code {
            KeyCode::Char('q') => return true,
            KeyCode::Esc if self.filter.is_empty() => return true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Up | KeyCode::Char('k') => self.choose(self.row.saturating_sub(1), runs),
            KeyCode::Down | KeyCode::Char('j') => self.choose(self.row + 1, runs),
            KeyCode::PageUp => self.choose(self.row.saturating_sub(page), runs),
            KeyCode::PageDown | KeyCode::Char(' ') => self.choose(self.row + page, runs),
            KeyCode::Home | KeyCode::Char('g') => self.choose(0, runs),
            KeyCode::End | KeyCode::Char('G') => self.choose(usize::MAX, runs),
            KeyCode::Char('s') => self.sort = next(&Column::ALL, self.sort, 1),
            KeyCode::Char('S') => self.sort = next(&Column::ALL, self.sort, Column::ALL.len() - 1),
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('c') => self.panes = next(&[Panes::Both, Panes::Trials, Panes::Curves], self.panes, 1),
            KeyCode::Char('l') | KeyCode::Enter if self.chosen.is_some() => self.mode = Mode::Log(0),
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            _ => {}
        }
        false
    }

    fn filter_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(letter) => self.filter.push(letter),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Enter => self.mode = Mode::List,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::List;
            }
            _ => {}
        }
    }

    fn log_key(&mut self, code: KeyCode, up: usize) {
        let page = self.page.saturating_sub(1).max(1);
        self.mode = match code {
            KeyCode::Up | KeyCode::Char('k') => Mode::Log(up.saturating_add(1)),
            KeyCode::Down | KeyCode::Char('j') => Mode::Log(up.saturating_sub(1)),
            KeyCode::PageUp => Mode::Log(up.saturating_add(page)),
            KeyCode::PageDown | KeyCode::Char(' ') => Mode::Log(up.saturating_sub(page)),
            KeyCode::Home | KeyCode::Char('g') => Mode::Log(usize::MAX),
            KeyCode::End | KeyCode::Char('G') => Mode::Log(0),
            KeyCode::Char('q' | 'l') | KeyCode::Esc | KeyCode::Enter => Mode::List,
            _ => Mode::Log(up),
        };
    }
}

/// The value so many places after this one, round and round.
fn next<T: Copy + PartialEq>(all: &[T], now: T, by: usize) -> T {
    let place = all.iter().position(|one| *one == now).unwrap_or(0);
    all[(place + by) % all.len()]
}
