//! Lines and points in panels side by side: training curves, sweeps, rate against distortion.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::legend::{self, Entry, Sign};
use super::lettering::width;
use super::render::Chart;
use super::style::{EXPECTED, FONT, GRID, LABEL, TICK, WRONG, text};
use super::ticks::{decimals, logarithmic, nice};

/// An axis.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// What it shows, with its unit.
    pub title: String,
    /// Whether it is logarithmic; what is not above 0 then is left out.
    pub log: bool,
    /// Whether its values are shares, written as percentages.
    pub share: bool,
    /// Its ends, where they are not those of the points.
    pub range: Option<(f64, f64)>,
    /// Where its ticks stand; chosen where there are none.
    pub ticks: Vec<f64>,
}

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
    /// Its place in the palette; from the eighth on lines are dashed.
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
    /// Where trials failed: across, and how many.
    pub failures: Vec<(f64, usize)>,
}

/// Panels with one legend.
#[derive(Clone, Debug)]
pub struct Facets {
    /// Title.
    pub title: String,
    /// Lines below the panels.
    pub notes: Vec<String>,
    /// How many stand side by side.
    pub columns: usize,
    /// Width and height of a panel, pixels.
    pub facet: (u32, u32),
    /// The panels, row by row.
    pub facets: Vec<Facet>,
}

/// The word for failed trials in legends.
const FAILED: &str = "failed or diverged";

impl Facets {
    fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut add = |name: &str, sign: Sign| {
            if !name.is_empty() && entries.iter().all(|entry| entry.name != name) {
                entries.push(Entry { name: name.to_owned(), sign });
            }
        };
        for facet in &self.facets {
            for series in &facet.series {
                let sign = match series.look {
                    Look::Line | Look::Thin => Sign::Line(series.colour),
                    Look::Marked => Sign::Marked(series.colour),
                    Look::Dots => Sign::Dot(series.colour),
                };
                add(&series.name, sign);
            }
        }
        let mut rest = |facet: &Facet| facet.guides.iter().for_each(|guide| add(&guide.name, Sign::Guide));
        self.facets.iter().for_each(&mut rest);
        if self.facets.iter().any(|facet| !facet.failures.is_empty()) {
            add(FAILED, Sign::Cross);
        }
        entries
    }

    fn rows(&self) -> u32 {
        self.facets.len().div_ceil(self.columns) as u32
    }

    fn across(&self) -> u32 {
        self.facet.0 * self.columns.min(self.facets.len()).max(1) as u32
    }
}

impl Chart for Facets {
    fn size(&self) -> (u32, u32) {
        let head = legend::height(&self.title, &self.entries(), self.across());
        let foot = legend::foot_height(&self.notes);
        (self.across(), head + self.rows() * self.facet.1 + foot)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let head = legend::draw(area, &self.title, &self.entries(), self.across())?;
        for (place, facet) in self.facets.iter().enumerate() {
            let (column, row) = ((place % self.columns) as u32, (place / self.columns) as u32);
            let (left, top) = ((column * self.facet.0) as i32, (head + row * self.facet.1) as i32);
            let part = area.clone().shrink((left, top), self.facet);
            facet.draw(&part)?;
        }
        legend::draw_foot(area, &self.notes, (head + self.rows() * self.facet.1) as i32)
    }
}

/// An axis as drawn: its ends and ticks, as logarithms where it is logarithmic.
struct Drawn {
    ends: (f64, f64),
    ticks: Vec<f64>,
}

/// An axis with ticks at chosen places.
struct Ticked {
    inner: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.inner.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Light lines stand between the ticks: none are wanted.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.inner.range()
    }
}

impl Drawn {
    fn coordinates(&self) -> Ticked {
        Ticked { inner: (self.ends.0..self.ends.1).into(), ticks: self.ticks.clone() }
    }
}

impl Axis {
    /// A value's place on the axis, where it has one.
    fn place(&self, value: f64) -> Option<f64> {
        let place = if self.log { value.log10() } else { value };
        place.is_finite().then_some(place)
    }

    fn drawn(&self, values: impl Iterator<Item = f64>, wanted: usize) -> Drawn {
        let places: Vec<f64> = values.filter_map(|value| self.place(value)).collect();
        let (low, high) = match self.range.and_then(|(low, high)| Some((self.place(low)?, self.place(high)?))) {
            Some(ends) => ends,
            None => {
                let low = places.iter().copied().fold(f64::INFINITY, f64::min);
                let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
                let room = if high - low > 1e-12 { 0.06 * (high - low) } else { 0.5 * low.abs().max(0.1) };
                // Nothing below zero is shown of what cannot be negative.
                let floor = if !self.log && low >= 0.0 && low < 0.3 * high { 0.0 } else { low - room };
                (floor, high + room)
            }
        };
        let ticks = match (self.ticks.is_empty(), self.log) {
            (false, _) => self.ticks.iter().filter_map(|tick| self.place(*tick)).collect(),
            (true, true) => logarithmic(low, high),
            (true, false) => nice(low, high, wanted),
        };
        let slack = 1e-9 * (high - low);
        let inside = |tick: &f64| (low - slack..=high + slack).contains(tick);
        Drawn { ends: (low, high), ticks: ticks.into_iter().filter(inside).collect() }
    }

    /// Ticks with their words; none on a tick whose words would touch those of the one before.
    fn labels(&self, drawn: &Drawn, pixels: f64, upright: bool) -> Vec<(f64, String)> {
        let step = drawn.ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        let digits = decimals(if self.share { 100.0 * step } else { step });
        let word = |tick: f64| match (self.log, self.share) {
            (true, _) => plain(10f64.powf(tick)),
            (false, true) => format!("{:.digits$} %", 100.0 * tick),
            (false, false) => format!("{tick:.digits$}").replace('-', "−"),
        };
        let scale = pixels / (drawn.ends.1 - drawn.ends.0);
        let mut end = f64::NEG_INFINITY;
        drawn
            .ticks
            .iter()
            .map(|tick| {
                let word = word(*tick);
                let room = if upright { f64::from(TICK) } else { f64::from(width(&word, TICK)) };
                let middle = (tick - drawn.ends.0) * scale;
                if middle - 0.5 * room < end {
                    return (*tick, String::new());
                }
                end = middle + 0.5 * room + 6.0;
                (*tick, word)
            })
            .collect()
    }
}

/// A number as short as it can be written: 0.02, 1, 16.
fn plain(value: f64) -> String {
    format!("{:.4}", value).trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn word_at(labels: &[(f64, String)], at: f64) -> String {
    labels.iter().find(|(tick, _)| (tick - at).abs() < 1e-9).map_or_else(String::new, |(_, word)| word.clone())
}

impl Facet {
    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let (pixels, height) = area.dim_in_pixel();
        let points = || self.series.iter().flat_map(|series| &series.points);
        let across = points().map(|point| point.x).chain(self.failures.iter().map(|(x, _)| *x));
        let x = self.x.drawn(across, 6);
        let interval = |point: &Point| {
            let half = if point.half.is_finite() { point.half } else { 0.0 };
            [point.y - half, point.y + half]
        };
        let inside = |point: &&Point| self.x.place(point.x).is_some();
        let up = points().filter(inside).flat_map(interval);
        let y = self.y.drawn(up.chain(self.guide_values()), 5);
        let y_labels = self.y.labels(&y, f64::from(height) - 100.0, true);
        let widest = y_labels.iter().map(|(_, word)| width(word, TICK)).max().unwrap_or(0);
        let left = widest + 34;
        let x_labels = self.x.labels(&x, f64::from(pixels) - f64::from(left) - 26.0, false);
        let title = text(LABEL, BLACK, HPos::Left, VPos::Center);
        area.draw_text(&self.title, &title, (left + 8, 12))?;
        let mut chart = ChartBuilder::on(area)
            .margin_top(26)
            .margin_right(18)
            .margin_left(8)
            .margin_bottom(6)
            .x_label_area_size(46)
            .y_label_area_size(left)
            .build_cartesian_2d(x.coordinates(), y.coordinates())?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_desc(&self.x.title)
            .y_desc(&self.y.title)
            .axis_desc_style((FONT, LABEL))
            .label_style((FONT, TICK))
            .x_label_formatter(&|at| word_at(&x_labels, *at))
            .y_label_formatter(&|at| word_at(&y_labels, *at))
            .draw()?;
        let place = |x: f64, y: f64| Some((self.x.place(x)?, self.y.place(y)?));
        for guide in &self.guides {
            let line: Vec<_> = guide.points.iter().filter_map(|(x, y)| place(*x, *y)).collect();
            chart.draw_series(DashedLineSeries::new(line, 6, 4, EXPECTED.stroke_width(2)))?;
        }
        let marked = self.series.iter().filter(|series| series.look == Look::Marked).count();
        for (rank, series) in self.series.iter().enumerate() {
            let colour = legend::colour(series.colour);
            // Marks of several series at one place stand side by side, or the last would hide the others.
            let aside = match series.look {
                Look::Marked => 0.008 * (x.ends.1 - x.ends.0) * (rank as f64 - 0.5 * (marked as f64 - 1.0)),
                _ => 0.0,
            };
            let place = |x: f64, y: f64| place(x, y).map(|(x, y)| (x + aside, y));
            if series.look != Look::Dots {
                // A value that has no place, such as an infinite one, leaves a gap.
                let breaks = |point: &Point| place(point.x, point.y).is_none();
                for part in series.points.split(breaks) {
                    let line: Vec<_> = part.iter().filter_map(|point| place(point.x, point.y)).collect();
                    let style = match series.look {
                        Look::Thin => colour.mix(0.35).stroke_width(1),
                        _ => colour.stroke_width(2),
                    };
                    if legend::is_dashed(series.colour) {
                        chart.draw_series(DashedLineSeries::new(line, 9, 5, style))?;
                    } else {
                        chart.draw_series(LineSeries::new(line, style))?;
                    }
                }
            }
            if matches!(series.look, Look::Marked | Look::Dots) {
                for point in &series.points {
                    let Some(at) = place(point.x, point.y) else { continue };
                    let ends = (place(point.x, point.y - point.half), place(point.x, point.y + point.half));
                    if let (Some(low), Some(high)) = ends {
                        let ends = vec![(at.0, low.1.max(y.ends.0)), (at.0, high.1.min(y.ends.1))];
                        chart.draw_series([PathElement::new(ends, colour.stroke_width(2))])?;
                    }
                    chart.draw_series([Circle::new(at, 4, colour.mix(0.85).filled())])?;
                }
            }
        }
        // At the foot of the panel, where no value hides them.
        let foot = y.ends.0 + 0.05 * (y.ends.1 - y.ends.0);
        for (at, count) in &self.failures {
            let Some(at) = self.x.place(*at) else { continue };
            chart.draw_series([Cross::new((at, foot), 6, WRONG.stroke_width(2))])?;
            if *count > 1 {
                let style = text(TICK, WRONG, HPos::Left, VPos::Center);
                chart.draw_series([EmptyElement::at((at, foot)) + Text::new(count.to_string(), (9, 0), style)])?;
            }
        }
        Ok(())
    }

    /// Heights of level guides: those that slant are drawn as far as the points reach.
    fn guide_values(&self) -> impl Iterator<Item = f64> {
        let level = |guide: &&Guide| guide.points.windows(2).all(|pair| pair[0].1 == pair[1].1);
        self.guides.iter().filter(level).filter_map(|guide| guide.points.first().map(|point| point.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_would_touch_are_left_out() {
        let axis = Axis { log: true, ticks: vec![0.5, 0.6, 5.0], ..Axis::default() };
        let drawn = axis.drawn([0.5, 5.0].into_iter(), 5);
        let words: Vec<String> = axis.labels(&drawn, 200.0, false).into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, ["0.5", "", "5"]);
    }

    #[test]
    fn what_has_no_logarithm_has_no_place() {
        let axis = Axis { log: true, ..Axis::default() };
        assert_eq!((axis.place(0.0), axis.place(f64::INFINITY), axis.place(100.0)), (None, None, Some(2.0)));
    }
}
