//! The curves of one trial: loss, reconstruction, KL and pass rates over steps, with the phases of the KL schedule.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Borders, Chart, Dataset, GraphType, Paragraph};

use super::cells::number;
use crate::experiment::LiveTrial;
use crate::metrics::{Measure, Unit, percent};

/// Colours that are told apart with any kind of colour vision, on dark and light.
const COLOURS: [Color; 3] = [Color::Cyan, Color::Magenta, Color::Yellow];

/// A chart: its title, and its curves with the name of each.
type Curves = (&'static str, &'static [(&'static str, Measure)]);

const CHARTS: [Curves; 4] = [
    ("loss", &[("train", Measure::TrainLoss), ("test", Measure::TestLoss)]),
    ("reconstruction", &[("train", Measure::TrainRecon), ("test", Measure::TestRecon)]),
    ("KL", &[("train", Measure::TrainKl), ("test", Measure::TestKl)]),
    (
        "pass",
        &[
            ("greedy", Measure::GreedyPass),
            ("sampled", Measure::SampledPass),
            ("validation", Measure::GreedyPassValidation),
        ],
    ),
];

/// Draws the curves of a trial: side by side where the screen is wide, else two and two.
pub fn draw(frame: &mut Frame<'_>, area: Rect, trial: &LiveTrial) {
    let share = |count: usize| vec![Constraint::Ratio(1, count as u32); count];
    if area.width >= 160 {
        let places = Layout::horizontal(share(CHARTS.len())).spacing(1).split(area);
        CHARTS.iter().zip(places.iter()).for_each(|(curves, place)| chart(frame, *place, trial, curves));
        return;
    }
    let rows = Layout::vertical(share(2)).split(area);
    for (curves, row) in CHARTS.chunks(2).zip(rows.iter()) {
        let places = Layout::horizontal(share(2)).spacing(1).split(*row);
        curves.iter().zip(places.iter()).for_each(|(curves, place)| chart(frame, *place, trial, curves));
    }
}

fn chart(frame: &mut Frame<'_>, area: Rect, trial: &LiveTrial, (title, curves): &Curves) {
    let block = Block::new().borders(Borders::TOP).title(legend(trial, title, curves)).border_style(Style::new().dim());
    let points: Vec<Vec<(f64, f64)>> = curves.iter().map(|(_, measure)| points(trial, *measure)).collect();
    let Some((low, high)) = range(points.iter().flatten().map(|(_, value)| *value)) else {
        frame.render_widget(Paragraph::new("no evaluation yet".dim()).block(block), area);
        return;
    };
    let last = trial.points().last().map_or(0, |point| point.step);
    let steps = trial.steps.unwrap_or(last).max(last).max(1) as f64;
    let phases: Vec<[(f64, f64); 2]> = trial
        .phases()
        .into_iter()
        .filter(|(step, _)| *step > 0)
        .map(|(step, _)| [(step as f64, low), (step as f64, high)])
        .collect();
    let line = |points, colour| {
        Dataset::default().data(points).graph_type(GraphType::Line).marker(Marker::Braille).style(colour)
    };
    let mut sets: Vec<Dataset<'_>> = phases.iter().map(|ends| line(ends.as_slice(), Color::DarkGray)).collect();
    sets.extend(points.iter().zip(COLOURS).map(|(points, colour)| line(points.as_slice(), colour)));
    let unit = curves[0].1.spec().unit;
    let mut x = Axis::default().bounds([0.0, steps]).style(Style::new().dim());
    if area.height >= 9 {
        x = x.labels(["0".to_owned(), format!("{steps:.0} steps")]);
    }
    let y = Axis::default().bounds([low, high]).labels([low, high].map(|value| label(unit, value)));
    frame.render_widget(Chart::new(sets).block(block).x_axis(x).y_axis(y.style(Style::new().dim())), area);
}

/// The title, with each curve's name in its colour and its last value.
fn legend(trial: &LiveTrial, title: &'static str, curves: &[(&'static str, Measure)]) -> Line<'static> {
    let mut spans = vec![title.bold()];
    for ((name, measure), colour) in curves.iter().zip(COLOURS) {
        let value = trial.last(*measure);
        let text = if measure.spec().unit == Unit::Share { percent(value) } else { number(value) };
        spans.push(Span::styled(format!("  {name} {text}"), colour));
    }
    Line::from(spans)
}

fn label(unit: Unit, value: f64) -> String {
    if unit == Unit::Share { format!("{:.0} %", 100.0 * value) } else { format!("{value:.2}") }
}

/// A measure over steps, where it is a number.
fn points(trial: &LiveTrial, measure: Measure) -> Vec<(f64, f64)> {
    let all = trial.points().iter().map(|point| (point.step as f64, point.value(measure)));
    all.filter(|(_, value)| value.is_finite()).collect()
}

/// The range of some values, of some width; none where there is none.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    match high - low {
        width if width > 1e-9 => Some((low, high)),
        _ if low.is_finite() => Some((low - 0.5, high + 0.5)),
        _ => None,
    }
}
