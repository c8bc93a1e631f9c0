//! Drawing the live view.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::app::{App, Mode, Panes};
use super::cells::{Column, short_name};
use super::curves;
use crate::experiment::{LiveRuns, LiveTrial, Status};
use crate::printable::{ShownPath, one_line};

/// What the first and last line tell beside the trials.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// What is watched.
    pub title: &'a str,
    /// What is going on beside the view.
    pub note: &'a str,
}

/// Columns that a narrow screen does without, the first ones first, for so many letters of a name.
const SPARED: [(Column, usize); 6] = [
    (Column::Validation, 26),
    (Column::Sampled, 26),
    (Column::Left, 26),
    (Column::Loss, 26),
    (Column::Greedy, 12),
    (Column::Step, 6),
];

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, app: &mut App, runs: &LiveRuns, about: Surroundings<'_>, now: Timestamp) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(header(runs, about, now), head);
    frame.render_widget(footer(app, about), foot);
    match app.mode {
        Mode::Help => frame.render_widget(Paragraph::new(HELP.trim_matches('\n')).wrap(Wrap { trim: false }), body),
        Mode::Log(up) => log(frame, body, app, runs, up),
        Mode::List | Mode::Filter => list(frame, body, app, runs, now),
    }
}

fn header(runs: &LiveRuns, about: Surroundings<'_>, now: Timestamp) -> Paragraph<'static> {
    let counts: Vec<String> =
        runs.counts().into_iter().map(|(status, count)| format!("{count} {}", status.name())).collect();
    let mut words = format!("  {} trials", runs.trials().len());
    if !counts.is_empty() {
        words += &format!(": {}", counts.join(", "));
    }
    if runs.unseen() > 0 {
        words += &format!(", {} still to be read", runs.unseen());
    }
    let clock = now.to_zoned(TimeZone::system()).strftime("  %H:%M:%S").to_string();
    Paragraph::new(Line::from(vec![one_line(about.title).bold(), words.into(), clock.dim()]))
}

fn footer(app: &App, about: Surroundings<'_>) -> Paragraph<'static> {
    let key = |key: &'static str, words: String| [key.bold(), Span::from(format!(" {words}  "))];
    let mut spans: Vec<Span<'static>> = match app.mode {
        Mode::Filter => {
            let mut spans = vec!["filter: ".bold(), one_line(&app.filter).into(), "▏".into()];
            spans.extend(["   enter".bold(), " keeps it  ".into(), "esc".bold(), " clears it".into()]);
            return Paragraph::new(Line::from(spans));
        }
        Mode::Log(_) => [key("↑↓", "scroll".into()), key("q", "back".into())].concat(),
        Mode::Help => key("any key", "back".into()).into(),
        Mode::List => {
            let sorted = format!("sort: {}{}", app.sort.heading(), if app.reversed { ", reversed" } else { "" });
            let filter = if app.filter.is_empty() { "filter".into() } else { format!("filter: {}", app.filter) };
            let filter = one_line(&filter);
            [
                key("q", "quit".into()),
                key("↑↓", "choose".into()),
                key("s", sorted),
                key("/", filter),
                key("l", "log".into()),
                key("c", "curves".into()),
                key("?", "help".into()),
            ]
            .concat()
        }
    };
    spans.push(one_line(about.note).fg(Color::Yellow));
    Paragraph::new(Line::from(spans))
}

fn list(frame: &mut Frame<'_>, area: Rect, app: &mut App, runs: &LiveRuns, now: Timestamp) {
    let curves_height = match app.panes {
        Panes::Trials => 0,
        Panes::Both => (area.height * 11 / 20).clamp(6, 24).min(area.height.saturating_sub(4)),
        Panes::Curves => area.height,
    };
    let [table, below] = Layout::vertical([Constraint::Min(0), Constraint::Length(curves_height)]).areas(area);
    if runs.trials().is_empty() {
        let roots: Vec<String> = runs.roots().iter().map(|root| root.shown().to_string()).collect();
        frame.render_widget(Paragraph::new(format!("\nno trial yet in {}", roots.join(", "))), table);
        return;
    }
    trials(frame, table, app, runs, now);
    if let (Some(trial), true) = (app.trial(runs), curves_height > 0) {
        let [about, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(below);
        frame.render_widget(about_trial(trial, usize::from(about.width)), about);
        curves::draw(frame, rest, trial);
    }
}

/// The chosen trial's name, shortened where it leaves no room for its error or its phases.
fn about_trial(trial: &LiveTrial, width: usize) -> Paragraph<'static> {
    let rest = match &trial.error {
        Some(error) => one_line(&format!("  {error}")).fg(Color::Red),
        None => {
            let phases: Vec<String> =
                trial.phases().iter().map(|(step, phase)| format!("{} from {step}", phase.name())).collect();
            let words = if phases.is_empty() { String::new() } else { format!("  phases: {}", phases.join(", ")) };
            words.dim()
        }
    };
    let room = width.saturating_sub(rest.content.chars().count()).max(width / 3);
    let name = short_name(&one_line(&format!("{}/{}", trial.experiment, trial.name)), room);
    Paragraph::new(Line::from(vec![name.bold(), rest]))
}

fn trials(frame: &mut Frame<'_>, area: Rect, app: &mut App, runs: &LiveRuns, now: Timestamp) {
    app.fit(usize::from(area.height).saturating_sub(1));
    let all = runs.trials();
    // One experiment's name need not stand in every row.
    let alone = all.iter().all(|trial| trial.experiment == all[0].experiment);
    let text = |trial: &LiveTrial, column| match column {
        Column::Name if alone => one_line(&trial.name),
        column => column.text(trial, now),
    };
    let row = |place: &usize| Column::ALL.map(|column| text(&all[*place], column));
    let texts: Vec<[String; 8]> = app.shown.iter().map(row).collect();
    let width = |place: usize| {
        let heading = Column::ALL[place].heading().len();
        texts.iter().map(|row| row[place].chars().count()).max().unwrap_or(0).max(heading)
    };
    let widths: Vec<usize> = (0..Column::ALL.len()).map(width).collect();
    let mut columns: Vec<usize> = (0..Column::ALL.len()).collect();
    let used = |columns: &[usize]| columns.iter().filter(|place| **place != 7).map(|place| widths[*place] + 2).sum();
    for (spared, name) in SPARED {
        let used: usize = used(&columns);
        if usize::from(area.width).saturating_sub(used) < name.min(widths[7]) {
            columns.retain(|place| Column::ALL[*place] != spared);
        }
    }
    let room = usize::from(area.width).saturating_sub(used(&columns));
    let cell = |place: usize, text: &str| match Column::ALL[place] {
        Column::Name => short_name(text, room),
        Column::State => format!("{text:<width$}  ", width = widths[place]),
        _ => format!("{text:>width$}  ", width = widths[place]),
    };
    let line = |row: &[String]| columns.iter().map(|place| cell(*place, &row[*place])).collect::<String>();
    let headings = columns.iter().map(|place| {
        let heading = Column::ALL[*place].heading();
        let style = if Column::ALL[*place] == app.sort { Modifier::UNDERLINED } else { Modifier::empty() };
        Span::styled(cell(*place, heading), Style::new().add_modifier(Modifier::BOLD | style))
    });
    let mut lines = vec![Line::from_iter(headings)];
    let rows = texts.iter().zip(&app.shown).enumerate().skip(app.top).take(app.page);
    for (row, (text, place)) in rows {
        let style = Style::new().fg(colour(runs.trials()[*place].status));
        let style = if row == app.row { style.add_modifier(Modifier::REVERSED) } else { style };
        lines.push(Line::styled(format!("{:<width$}", line(text), width = usize::from(area.width)), style));
    }
    if app.shown.is_empty() {
        lines.push(Line::from("no trial passes the filter; / changes it, esc clears it"));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn colour(status: Status) -> Color {
    match status {
        Status::Running => Color::Cyan,
        Status::Failed => Color::Red,
        Status::Interrupted => Color::Yellow,
        Status::Missing => Color::DarkGray,
        Status::Finished => Color::Reset,
    }
}

fn log(frame: &mut Frame<'_>, area: Rect, app: &mut App, runs: &LiveRuns, up: usize) {
    let Some(trial) = app.trial(runs) else {
        app.mode = Mode::List;
        return;
    };
    let text = trial.log_text();
    let lines: Vec<&str> = text.lines().collect();
    let [head, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let page = usize::from(rest.height).max(1);
    let up = up.min(lines.len().saturating_sub(page));
    let end = lines.len() - up;
    let shown = lines[end.saturating_sub(page)..end].iter().map(|line| Line::from(one_line(line)));
    let place = format!("  lines {} to {end} of {}", end.saturating_sub(page) + 1, lines.len());
    let title = trial.folder.shown().to_string();
    frame.render_widget(Paragraph::new(Line::from(vec![title.bold(), place.dim()])), head);
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()).alignment(Alignment::Left), rest);
    (app.page, app.mode) = (page, Mode::Log(up));
}

/// What every key does.
const HELP: &str = "
↑ ↓ j k      choose a trial
page up/down a page of them; g and G the first and the last
s, S         sort by the next or the previous column
r            reverse the order
/            filter by words of name, experiment or state: failed seed2
esc          clear the filter; without one, quit
l, enter     the log and the error of the chosen trial
c            trials and curves, trials alone, curves alone
q, ctrl-c    quit; no trial stops, except by ctrl-c in a view of --watch

loss             training loss of the last evaluation, nats
greedy, sampled  pass rates: greedy decoding, sampling at temperature 1
validation       greedy pass rate over the validation conditions
left             time to the last step at this session's pace; the last
                 evaluation comes on top
Vertical lines in the curves: ends of the phases of the KL schedule.
";
