//! Several figures of each of a list of settings, with intervals: ablations and the like.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::{Axis, Drawn};
use super::legend::{self, Entry, FAILED, Sign, wrapped};
use super::lettering::width;
use super::marks::dashed;
use super::render::{Chart, Painted};
use super::style::{EXPECTED, GOOD, GRID, LABEL, TICK, WRONG, text};

/// A setting's figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Mean over the trials that finished; NaN where none did.
    pub mean: f64,
    /// Half the width of its interval; NaN for a single trial.
    pub half: f64,
    /// How both are written, without the unit.
    pub words: String,
}

/// A figure: a column of marks.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What it is, with its unit, and its axis.
    pub axis: Axis,
    /// A level to read the marks against.
    pub guide: Option<f64>,
    /// One for each setting.
    pub marks: Vec<Mark>,
}

/// The chart.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Title.
    pub title: String,
    /// Lines below the marks.
    pub notes: Vec<String>,
    /// What the level in the columns means.
    pub guide: String,
    /// The settings from the top down, and how many of their trials failed or diverged.
    pub settings: Vec<(String, usize)>,
    /// The columns.
    pub figures: Vec<Figures>,
}

/// Height of a setting whose name has two lines at the most, of a line, and width of a column, pixels.
const ROW: i32 = 38;
const LINE: i32 = 17;
const COLUMN: i32 = 236;
/// Width of a column's plot; the rest is for its words.
const PLOT: i32 = 96;
/// Room above the settings for what the columns are, and below them for ticks.
const HEAD: i32 = 34;
const FOOT: i32 = 34;
/// Width of the settings' names.
const NAMES: i32 = 200;

/// A name in lines; a key and its value stay together.
fn lines(name: &str) -> Vec<String> {
    wrapped(&name.replace(' ', "\u{a0}").replace(",\u{a0}", ", "), TICK, NAMES)
}

impl Ranking {
    fn names(&self) -> i32 {
        let lines = self.settings.iter().flat_map(|(name, _)| lines(name));
        lines.map(|line| width(&line, TICK)).max().unwrap_or(0) + 44
    }

    /// Where each setting's middle stands below the first one's top, and the height of all.
    fn middles(&self) -> (Vec<i32>, i32) {
        let mut top = 0;
        let middle = |(name, _): &(String, usize)| {
            let height = ROW.max(LINE * lines(name).len() as i32 + 6);
            top += height;
            top - height / 2
        };
        (self.settings.iter().map(middle).collect(), top)
    }

    fn across(&self) -> u32 {
        (self.names() + COLUMN * self.figures.len() as i32).max(560) as u32
    }

    fn entries(&self) -> Vec<Entry> {
        let guide = self.figures.iter().any(|figures| figures.guide.is_some());
        let failed = self.settings.iter().any(|(_, failed)| *failed > 0);
        let guide = guide.then(|| Entry::new(&self.guide, Sign::Guide));
        guide.into_iter().chain(failed.then(|| Entry::new(FAILED, Sign::Cross))).collect()
    }

    fn draw_names<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, top: i32) -> Painted<DB> {
        let right = self.names() - 16;
        for ((name, failed), middle) in self.settings.iter().zip(self.middles().0) {
            let (middle, lines) = (top + middle, lines(name));
            for (line, words) in lines.iter().enumerate() {
                let at = middle + LINE * line as i32 - LINE * (lines.len() as i32 - 1) / 2;
                area.draw_text(words, &text(TICK, BLACK, HPos::Right, VPos::Center), (right, at))?;
            }
            if *failed > 0 {
                area.draw(&Cross::new((12, middle), 6, WRONG.stroke_width(2)))?;
                area.draw_text(&failed.to_string(), &text(TICK, WRONG, HPos::Left, VPos::Center), (22, middle))?;
            }
        }
        Ok(())
    }
}

impl Chart for Ranking {
    fn size(&self) -> (u32, u32) {
        let head = legend::height(&self.title, &self.entries(), self.across());
        let body = HEAD + self.middles().1 + FOOT;
        (self.across(), head + body as u32 + legend::foot_height(&self.notes, self.across()))
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let top = legend::draw(area, &self.title, &self.entries(), self.across())? as i32 + HEAD;
        let (middles, height) = self.middles();
        let bottom = top + height;
        let middles: Vec<i32> = middles.into_iter().map(|middle| top + middle).collect();
        self.draw_names(area, top)?;
        for (column, figures) in self.figures.iter().enumerate() {
            figures.draw(area, self.names() + COLUMN * column as i32, (top, bottom), &middles)?;
        }
        legend::draw_foot(area, &self.notes, self.across(), bottom + FOOT)
    }
}

impl Figures {
    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        left: i32,
        (top, bottom): (i32, i32),
        middles: &[i32],
    ) -> Painted<DB> {
        let shown = self.marks.iter().filter(|mark| mark.mean.is_finite());
        let ends = shown.flat_map(|mark| <[f64; 2]>::from(self.axis.interval(mark.mean, mark.half)));
        let drawn = self.axis.drawn(ends.chain(self.guide), 3).bare();
        let across = |share: f64| left + (share.clamp(0.0, 1.0) * f64::from(PLOT)).round() as i32;
        area.draw_text(&drawn.title, &text(LABEL, BLACK, HPos::Left, VPos::Center), (left, top - 18))?;
        let line = |from, to, colour: RGBColor| area.draw(&PathElement::new(vec![from, to], colour.stroke_width(1)));
        for (place, word) in drawn.words(f64::from(PLOT), false) {
            let at = across(drawn.along(place));
            line((at, top), (at, bottom), GRID)?;
            line((at, bottom), (at, bottom + 5), BLACK)?;
            area.draw_text(&word, &text(TICK, BLACK, HPos::Center, VPos::Top), (at, bottom + 8))?;
        }
        line((left, top), (left, bottom), BLACK)?;
        line((left, bottom), (left + PLOT, bottom), BLACK)?;
        if let Some(at) = self.guide.and_then(|guide| drawn.share(guide)).map(across) {
            dashed(area, &[(at, top), (at, bottom)], (6.0, 4.0), EXPECTED.stroke_width(2))?;
        }
        for (mark, middle) in self.marks.iter().zip(middles) {
            self.draw_mark(area, &drawn, mark, (&across, *middle))?;
            let style = text(TICK, BLACK, HPos::Left, VPos::Center);
            area.draw_text(&mark.words, &style, (left + PLOT + 10, *middle))?;
        }
        Ok(())
    }

    /// A dot and its interval; where the interval is cut off it has no tip.
    fn draw_mark<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        axis: &Drawn,
        mark: &Mark,
        (across, middle): (&dyn Fn(f64) -> i32, i32),
    ) -> Painted<DB> {
        if !mark.mean.is_finite() {
            return Ok(());
        }
        // What a logarithmic axis has no place for lies left of it.
        let at = |value: f64| across(axis.share(value).unwrap_or(0.0));
        let (low, high) = self.axis.interval(mark.mean, mark.half);
        if at(low) < at(high) {
            area.draw(&PathElement::new(vec![(at(low), middle), (at(high), middle)], GOOD.stroke_width(2)))?;
        }
        for (end, whole) in [(low, mark.mean - mark.half), (high, mark.mean + mark.half)] {
            if end == whole && axis.share(end).is_some() {
                let tip = vec![(at(end), middle - 8), (at(end), middle + 8)];
                area.draw(&PathElement::new(tip, GOOD.stroke_width(2)))?;
            }
        }
        area.draw(&Circle::new((at(mark.mean), middle), 4, GOOD.filled()))
    }
}
