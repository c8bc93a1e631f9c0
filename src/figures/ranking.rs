//! Bars of several figures for each of a list of settings, with intervals: ablations and the like.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::legend::{self, Entry, Sign, wrapped};
use super::lettering::width;
use super::render::Chart;
use super::style::{EXPECTED, FAINT, GOOD, GRID, LABEL, TICK, WRONG, text};

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Mean over the trials that finished; NaN where none did.
    pub mean: f64,
    /// Half the width of its interval; NaN for a single trial.
    pub half: f64,
    /// How both are written.
    pub words: String,
}

/// A figure: a column of bars.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What it is, with its unit.
    pub title: String,
    /// The end of its axis; it begins at 0.
    pub top: f64,
    /// A level to read the bars against.
    pub guide: Option<f64>,
    /// One for each setting.
    pub bars: Vec<Bar>,
}

/// The chart.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Title.
    pub title: String,
    /// Lines below the bars.
    pub notes: Vec<String>,
    /// What the level in the columns means.
    pub guide: String,
    /// The settings from the top down, and how many of their trials failed or diverged.
    pub settings: Vec<(String, usize)>,
    /// The columns.
    pub figures: Vec<Figures>,
}

/// Height of a setting, and width of a column, pixels.
const ROW: i32 = 42;
const COLUMN: i32 = 218;
/// Width of a bar at the axis's end; the rest of a column is for its words.
const BAR: i32 = 84;
const HEAD: i32 = 34;

impl Ranking {
    fn names(&self) -> i32 {
        let lines = self.settings.iter().flat_map(|(name, _)| wrapped(name, TICK, 230));
        lines.map(|line| width(&line, TICK)).max().unwrap_or(0) + 40
    }

    fn across(&self) -> u32 {
        (self.names() + COLUMN * self.figures.len() as i32).max(560) as u32
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |name: &str, sign| Entry { name: name.to_owned(), sign };
        let guide = self.figures.iter().any(|figures| figures.guide.is_some());
        let failed = self.settings.iter().any(|(_, failed)| *failed > 0);
        let guide = guide.then(|| entry(&self.guide, Sign::Guide));
        guide.into_iter().chain(failed.then(|| entry("failed or diverged", Sign::Cross))).collect()
    }
}

impl Chart for Ranking {
    fn size(&self) -> (u32, u32) {
        let head = legend::height(&self.title, &self.entries(), self.across());
        let body = HEAD + ROW * self.settings.len() as i32 + 12;
        (self.across(), head + body as u32 + legend::foot_height(&self.notes))
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let head = legend::draw(area, &self.title, &self.entries(), self.across())? as i32;
        let (top, names) = (head + HEAD, self.names());
        let bottom = top + ROW * self.settings.len() as i32;
        for (place, (name, failed)) in self.settings.iter().enumerate() {
            let middle = top + ROW * place as i32 + ROW / 2;
            let lines = wrapped(name, TICK, 230);
            for (line, words) in lines.iter().enumerate() {
                let at = middle + 19 * line as i32 - 19 * (lines.len() as i32 - 1) / 2;
                area.draw_text(words, &text(TICK, BLACK, HPos::Right, VPos::Center), (names - 12, at))?;
            }
            if *failed > 0 {
                area.draw(&Cross::new((12, middle), 6, WRONG.stroke_width(2)))?;
                area.draw_text(&failed.to_string(), &text(TICK, WRONG, HPos::Left, VPos::Center), (22, middle))?;
            }
        }
        for (column, figures) in self.figures.iter().enumerate() {
            let left = names + COLUMN * column as i32;
            area.draw_text(&figures.title, &text(LABEL, BLACK, HPos::Left, VPos::Center), (left, head + 16))?;
            area.draw(&PathElement::new(vec![(left, top), (left, bottom)], EXPECTED.stroke_width(1)))?;
            area.draw(&PathElement::new(vec![(left + BAR, top), (left + BAR, bottom)], GRID.stroke_width(1)))?;
            let reach = |value: f64| (value / figures.top).clamp(0.0, 1.0) * f64::from(BAR);
            for (place, bar) in figures.bars.iter().enumerate() {
                let middle = top + ROW * place as i32 + ROW / 2;
                let words = |colour, shift: i32| {
                    area.draw_text(&bar.words, &text(TICK, colour, HPos::Left, VPos::Center), (left + shift, middle))
                };
                if !bar.mean.is_finite() {
                    words(FAINT, 8)?;
                    continue;
                }
                let end = left + reach(bar.mean).round() as i32;
                area.draw(&Rectangle::new([(left, middle - 12), (end, middle + 12)], GOOD.mix(0.75).filled()))?;
                if bar.half.is_finite() {
                    let ends = [bar.mean - bar.half, bar.mean + bar.half].map(|end| left + reach(end).round() as i32);
                    let whisker = vec![(ends[0], middle), (ends[1], middle)];
                    area.draw(&PathElement::new(whisker, BLACK.stroke_width(2)))?;
                    for end in ends {
                        let tip = vec![(end, middle - 5), (end, middle + 5)];
                        area.draw(&PathElement::new(tip, BLACK.stroke_width(2)))?;
                    }
                }
                words(BLACK, BAR + 8)?;
            }
            if let Some(guide) = figures.guide {
                let at = left + reach(guide).round() as i32;
                for dash in (top..bottom).step_by(10) {
                    area.draw(&PathElement::new(vec![(at, dash), (at, dash + 6)], EXPECTED.stroke_width(2)))?;
                }
            }
        }
        legend::draw_foot(area, &self.notes, bottom + 12)
    }
}
