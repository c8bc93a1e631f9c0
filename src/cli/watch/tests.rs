//! The view on a terminal in memory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::App;
use super::draw::{Surroundings, draw};
use crate::experiment::{ConfigFile, LiveRuns, RunFolder};

/// A history of a few evaluations that end at this pass rate.
fn history(pass: f64) -> String {
    let mut text =
        "step,phase,train_loss,test_loss,train_recon,test_recon,train_kl,test_kl,greedy_pass,sampled_pass\n".to_owned();
    for (step, phase) in [(100, "calendar"), (200, "code"), (300, "match")] {
        let (loss, kl) = (12.0 - step as f64 / 40.0, step as f64 / 100.0);
        text +=
            &format!("{step},{phase},{loss},{loss},{loss},{loss},{kl},{kl},{},{pass}\n", pass * step as f64 / 300.0);
    }
    text
}

/// Finished trials of three pass rates, a failed one, and one whose name would steer the terminal.
fn runs(root: &Path) -> LiveRuns {
    for (seed, name, pass) in
        [(1, "best", 0.99), (2, "worst", 0.25), (3, "middle", 0.5), (4, "fell", 0.1), (5, "a\x1b[31mb", 0.3)]
    {
        let config = ConfigFile { seed, ..ConfigFile::default() }.check().unwrap();
        let folder = RunFolder::open(&root.join("exp").join(name), &config).unwrap();
        fs::write(folder.history(), history(pass)).unwrap();
        fs::write(folder.log(), format!("2026-01-01T00:00:00Z started on {name}\n")).unwrap();
        let end = if name == "fell" { folder.error() } else { folder.metrics() };
        fs::write(end, "the loss diverged\n").unwrap();
        drop(folder);
    }
    let mut runs = LiveRuns::new(vec![root.to_owned()]);
    // Another test's child may hold a lock for an instant.
    for _ in 0..500 {
        runs.look(Duration::MAX);
        if runs.trials().iter().any(|trial| trial.error.is_some()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    runs
}

struct View {
    app: App,
    runs: LiveRuns,
    terminal: Terminal<TestBackend>,
}

impl View {
    fn new(root: &Path, width: u16, height: u16) -> Self {
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        Self { app: App::default(), runs: runs(root), terminal }
    }

    /// Presses keys, then draws; the screen's lines.
    fn press(&mut self, keys: &[KeyCode]) -> Vec<String> {
        let now = Timestamp::now();
        self.app.arrange(&self.runs, now);
        for key in keys {
            assert!(!self.app.key(KeyEvent::new(*key, KeyModifiers::NONE), &self.runs), "{key:?} ends the view");
            self.app.arrange(&self.runs, now);
        }
        let about = Surroundings { title: "cvae watch", note: "" };
        let Self { app, runs, terminal } = self;
        terminal.draw(|frame| draw(frame, app, runs, about, now)).unwrap();
        let buffer = terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        buffer.content.chunks(width).map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>()).collect()
    }

    /// The names of the trials on the screen, from top to bottom.
    fn names(lines: &[String]) -> Vec<String> {
        let rows = lines.iter().filter(|line| line.starts_with("finished  ") || line.starts_with("failed  "));
        rows.filter_map(|line| Some(line.trim_end().rsplit_once("  ")?.1.to_owned())).collect()
    }
}

#[test]
fn a_small_screen_shows_trials_curves_and_keys() {
    let root = tempfile::tempdir().unwrap();
    let mut view = View::new(root.path(), 80, 24);
    let lines = view.press(&[]);
    let text = lines.join("\n");
    assert!(lines[0].starts_with("cvae watch  5 trials: 4 finished, 1 failed  "), "{text}");
    assert!(lines[1].contains("state") && lines[1].contains("sampled") && lines[1].contains("trial"), "{text}");
    assert_eq!(View::names(&lines)[0], "fell", "what failed stands first\n{text}");
    assert!(text.contains("exp/fell  the loss diverged"), "{text}");
    for title in ["loss  train 4.500", "reconstruction  train", "KL  train 3.000", "pass  greedy 10.00 %"] {
        assert!(text.contains(title), "{title}\n{text}");
    }
    assert!(text.chars().any(|letter| ('\u{2801}'..='\u{28ff}').contains(&letter)), "there are curves\n{text}");
    assert!(lines[23].starts_with("q quit  ↑↓ choose  s sort: state  / filter  l log"), "{text}");
    // Names do not steer the terminal.
    assert!(text.contains("a\\u{1b}[31mb") && !text.contains('\x1b'), "{text}");
}

#[test]
fn keys_sort_filter_choose_and_open_the_log() {
    let root = tempfile::tempdir().unwrap();
    let mut view = View::new(root.path(), 200, 50);
    let lines = view.press(&[KeyCode::Char('s'); 4]);
    assert_eq!(View::names(&lines), ["best", "middle", "a\\u{1b}[31mb", "worst", "fell"], "{}", lines.join("\n"));
    assert!(lines[49].contains("sort: greedy"));
    // The chosen trial stays chosen, wherever it goes.
    assert!(lines.iter().any(|line| line.starts_with("exp/fell  the loss")));
    let lines = view.press(&[KeyCode::Char('r')]);
    assert_eq!(View::names(&lines)[0], "fell");
    let lines = view.press(&[KeyCode::Home, KeyCode::Down]);
    assert!(
        lines.iter().any(|line| line.starts_with("exp/worst  phases: calendar from 0, code from 100, match from 200"))
    );
    let typed: Vec<KeyCode> = "/FAILED".chars().map(KeyCode::Char).collect();
    let lines = view.press(&typed);
    assert_eq!(View::names(&lines), ["fell"]);
    assert!(lines[49].starts_with("filter: FAILED"));
    let lines = view.press(&[KeyCode::Char('x'), KeyCode::Enter]);
    assert!(lines.join("\n").contains("no trial passes the filter"));
    let lines = view.press(&[KeyCode::Esc, KeyCode::End, KeyCode::Char('l')]);
    let text = lines.join("\n");
    assert!(lines[2].starts_with("2026-01-01T00:00:00Z started on best"), "{text}");
    let lines = view.press(&[KeyCode::Char('q'), KeyCode::Char('?')]);
    assert!(lines.join("\n").contains("reverse the order"));
    let lines = view.press(&[KeyCode::Char('x'), KeyCode::Char('c'), KeyCode::Char('c')]);
    assert!(View::names(&lines).is_empty() && lines.join("\n").contains("KL  train"), "curves alone");
    assert!(view.app.key(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE), &view.runs));
}

#[test]
fn a_chosen_trial_that_vanishes_gives_way_to_its_neighbour_and_no_size_is_too_small() {
    let root = tempfile::tempdir().unwrap();
    let mut view = View::new(root.path(), 80, 24);
    view.press(&[KeyCode::Char('S'), KeyCode::End]);
    assert_eq!(view.app.trial(&view.runs).unwrap().name, "worst");
    fs::remove_dir_all(root.path().join("exp/worst")).unwrap();
    view.runs.look(Duration::MAX);
    view.press(&[]);
    assert_eq!(view.app.trial(&view.runs).unwrap().name, "middle");
    // Where there is room for little, it goes to the state and the name.
    view.terminal = Terminal::new(TestBackend::new(20, 5)).unwrap();
    let text = view.press(&[]).join("\n");
    assert!(text.contains("state") && text.contains("trial") && !text.contains("step"), "{text}");
    for (width, height) in [(1, 1), (10, 3), (20, 5), (79, 8), (300, 100)] {
        view.terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        for key in ['c', 'l', 'q', '?', 'x'] {
            view.press(&[KeyCode::Char(key)]);
        }
    }
    fs::remove_dir_all(root.path().join("exp")).unwrap();
    view.runs.look(Duration::MAX);
    assert!(view.press(&[]).is_empty() || view.app.trial(&view.runs).is_none());
}
