//! A panel: lines and points on a pair of axes.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::{Axis, Scale};
use super::frame::Frame;
use super::legend::{Entry, Legend, Sign};
use super::marks::{colour, dashed, hollow, is_dashed};
use super::render::Painted;
use super::style::{EXPECTED, FAINT, LABEL, TICK, WRONG, text};

/// A point, with half the width of its interval; NaN where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Across.
    pub x: f64,
    /// Up.
    pub y: f64,
    /// Half the width of the interval of `y`.
    pub half: f64,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A line.
    Line,
    /// A thin pale line: one of several whose mean is drawn as well.
    Thin,
    /// A line with a mark at each point and its interval.
    Marked,
    /// Marks alone.
    Dots,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend; none where another of the same colour is named.
    pub name: String,
    /// Its place in the palette; from the eighth on lines are dashed, and marks have another shape.
    pub colour: usize,
    /// How it is drawn.
    pub look: Look,
    /// Its points, from left to right.
    pub points: Vec<Point>,
}

/// A line to read the series against.
#[derive(Clone, Debug)]
pub struct Guide {
    /// Its name in the legend.
    pub name: String,
    /// Where it goes.
    pub points: Vec<(f64, f64)>,
}

/// A panel.
#[derive(Clone, Debug, Default)]
pub struct Facet {
    /// What it shows.
    pub title: String,
    /// Across.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// What it shows.
    pub series: Vec<Series>,
    /// What that is read against.
    pub guides: Vec<Guide>,
    /// The best point: the place of its series, and where it is across.
    pub best: Option<(usize, f64)>,
    /// Where trials failed: across, and how many.
    pub failures: Vec<(f64, usize)>,
    /// Where parts of the way across begin, with their names.
    pub phases: Vec<(f64, String)>,
}

impl Guide {
    fn is_level(&self) -> bool {
        self.points.windows(2).all(|pair| pair[0].1 == pair[1].1)
    }
}

impl Facet {
    /// The legend's entries of its series.
    pub(super) fn named(&self) -> impl Iterator<Item = Entry> {
        self.series.iter().map(|series| {
            let sign = match series.look {
                Look::Line | Look::Thin => Sign::Line(series.colour),
                Look::Marked => Sign::Marked(series.colour),
                Look::Dots => Sign::Mark(series.colour),
            };
            Entry::new(&series.name, sign)
        })
    }

    /// Those of its guides.
    pub(super) fn guided(&self) -> impl Iterator<Item = Entry> {
        let sign = |guide: &Guide| if guide.is_level() { Sign::Guide } else { Sign::Bound };
        self.guides.iter().map(move |guide| Entry::new(&guide.name, sign(guide)))
    }

    /// Draws it below its title and a legend for which there is this room.
    pub(super) fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        legend: &Legend,
        room: i32,
    ) -> Painted<DB> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = self.x.drawn(points().map(|point| point.x).chain(self.failures.iter().map(|(x, _)| *x)), 6);
        let shown = |point: &&Point| point.y.is_finite() && x.place(point.x).is_some();
        let interval = |point: &Point| <[f64; 2]>::from(self.y.interval(point.y, point.half));
        // Guides that slant are drawn as far as the points reach.
        let level = self.guides.iter().filter(|guide| guide.is_level()).filter_map(|guide| guide.points.first());
        let y = self.y.drawn(points().filter(shown).flat_map(interval).chain(level.map(|point| point.1)), 5);
        let frame = Frame::new(area, x, y, room + if self.title.is_empty() { 8 } else { 26 })?;
        let title = text(LABEL, BLACK, HPos::Left, VPos::Center);
        let left = if legend.entries.is_empty() { frame.start.0 } else { legend.span.0 };
        area.draw_text(&self.title, &title, (left, 12))?;
        legend.draw(area, 24)?;
        self.draw_phases(&frame)?;
        self.draw_guides(&frame)?;
        let spots = self.spots(&frame);
        for (series, spots) in self.series.iter().zip(&spots) {
            if series.look != Look::Dots {
                draw_lines(&frame, series, spots)?;
            }
            if matches!(series.look, Look::Marked | Look::Dots) {
                self.draw_marks(&frame, series, spots)?;
            }
        }
        self.draw_best(&frame, &spots)?;
        self.draw_failures(&frame)
    }

    /// Where the points of each series are drawn. Marks of several series at one place stand side by side, and lines
    /// of shares on their scale, where many are all or none, one above the other: the last would hide the others.
    fn spots<DB: DrawingBackend>(&self, frame: &Frame<'_, DB>) -> Vec<Vec<Option<(i32, i32)>>> {
        let mut taken: Vec<(i32, i32)> = Vec::new();
        let middle = 3 * (self.series.len() as i32 - 1) / 2;
        let mut spot = |rank: usize, point: &Point| {
            let (x, y) = frame.at(point.x, point.y)?;
            match self.series[rank].look {
                Look::Marked => Some((x + 3 * rank as i32 - middle, y)),
                Look::Line if self.y.scale == Scale::Logit => {
                    let free = |y: &i32| taken.iter().all(|other| other.0 != x || (other.1 - y).abs() > 1);
                    let tried = (0..).map(|step: i32| y + if step % 2 == 0 { step } else { -step - 1 });
                    let free = (x, tried.take(2 * self.series.len()).find(free).unwrap_or(y));
                    taken.push(free);
                    Some(free)
                }
                _ => Some((x, y)),
            }
        };
        let ranked = self.series.iter().enumerate();
        ranked.map(|(rank, series)| series.points.iter().map(|point| spot(rank, point)).collect()).collect()
    }

    fn draw_guides<DB: DrawingBackend>(&self, frame: &Frame<'_, DB>) -> Painted<DB> {
        for guide in &self.guides {
            let line: Vec<_> = guide.points.iter().filter_map(|(x, y)| frame.at(*x, *y)).collect();
            if guide.is_level() {
                dashed(frame.area, &line, (6.0, 4.0), EXPECTED.stroke_width(2))?;
            } else {
                frame.area.draw(&PathElement::new(line, EXPECTED.stroke_width(2)))?;
            }
        }
        Ok(())
    }

    /// A line up from where each phase begins, its name beside the top of it.
    fn draw_phases<DB: DrawingBackend>(&self, frame: &Frame<'_, DB>) -> Painted<DB> {
        for (place, (across, name)) in self.phases.iter().enumerate() {
            let Some(x) = frame.column(*across) else { continue };
            dashed(frame.area, &[(x, frame.start.1), (x, frame.end.1)], (3.0, 4.0), FAINT.stroke_width(2))?;
            // Phases may follow each other closely: names stand one below the other.
            let y = frame.start.1 + 10 + 17 * (place % 3) as i32;
            frame.area.draw_text(name, &text(TICK - 2, EXPECTED, HPos::Left, VPos::Center), (x + 4, y))?;
        }
        Ok(())
    }

    fn draw_marks<DB: DrawingBackend>(
        &self,
        frame: &Frame<'_, DB>,
        series: &Series,
        spots: &[Option<(i32, i32)>],
    ) -> Painted<DB> {
        let colour = colour(series.colour);
        for (point, spot) in series.points.iter().zip(spots) {
            let Some(spot) = *spot else { continue };
            let (low, high) = self.y.interval(point.y, point.half);
            let ends = (frame.at(point.x, low), frame.at(point.x, high));
            if let (Some(low), Some(high)) = ends
                && low != high
            {
                let ends = vec![(spot.0, low.1), (spot.0, high.1)];
                frame.area.draw(&PathElement::new(ends, colour.stroke_width(2)))?;
            }
            match series.look {
                Look::Dots => hollow(frame.area, spot, series.colour)?,
                _ => frame.area.draw(&Circle::new(spot, 4, colour.filled()))?,
            }
        }
        Ok(())
    }

    fn draw_best<DB: DrawingBackend>(&self, frame: &Frame<'_, DB>, spots: &[Vec<Option<(i32, i32)>>]) -> Painted<DB> {
        let Some((rank, across)) = self.best else { return Ok(()) };
        let points = self.series.get(rank).map(|series| series.points.as_slice()).unwrap_or_default();
        let best = points.iter().position(|point| point.x == across);
        let spot = best.and_then(|best| spots[rank][best]);
        spot.map_or(Ok(()), |spot| frame.area.draw(&Circle::new(spot, 8, WRONG.stroke_width(2))))
    }

    /// At the foot of the panel, where no value hides them.
    fn draw_failures<DB: DrawingBackend>(&self, frame: &Frame<'_, DB>) -> Painted<DB> {
        for (across, count) in &self.failures {
            let Some(x) = frame.column(*across) else { continue };
            let y = frame.end.1 - 12;
            frame.area.draw(&Cross::new((x, y), 6, WRONG.stroke_width(2)))?;
            if *count > 1 {
                let style = text(TICK, WRONG, HPos::Left, VPos::Center);
                frame.area.draw_text(&count.to_string(), &style, (x + 9, y))?;
            }
        }
        Ok(())
    }
}

/// The line of a series; a value that has no place, such as an infinite one, leaves a gap.
fn draw_lines<DB: DrawingBackend>(frame: &Frame<'_, DB>, series: &Series, spots: &[Option<(i32, i32)>]) -> Painted<DB> {
    let colour = colour(series.colour);
    let thin = series.look == Look::Thin;
    let style = if thin { colour.mix(0.35).stroke_width(1) } else { colour.stroke_width(2) };
    for part in spots.split(Option::is_none) {
        let line: Vec<(i32, i32)> = part.iter().copied().flatten().collect();
        match line.as_slice() {
            [] => (),
            // A line of one point would not be seen.
            [spot] => frame.area.draw(&Circle::new(*spot, if thin { 2 } else { 4 }, style.filled()))?,
            line if is_dashed(series.colour) => dashed(frame.area, line, (9.0, 5.0), style)?,
            line => frame.area.draw(&PathElement::new(line.to_vec(), style))?,
        }
    }
    Ok(())
}
