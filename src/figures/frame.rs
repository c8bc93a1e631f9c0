//! A rectangle with two axes, on which lines and marks are drawn.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Drawn;
use super::lettering::width;
use super::render::Painted;
use super::style::{GRID, LABEL, TICK, text};

/// Room below a frame for ticks and title, and right of it.
const FOOT: i32 = 52;
const RIGHT: i32 = 24;

/// The rectangle.
pub struct Frame<'a, DB: DrawingBackend> {
    /// What it is drawn on.
    pub area: &'a DrawingArea<DB, Shift>,
    /// Its corner on the left at the top.
    pub start: (i32, i32),
    /// Its corner on the right at the bottom.
    pub end: (i32, i32),
    x: Drawn,
    y: Drawn,
}

impl<'a, DB: DrawingBackend> Frame<'a, DB> {
    /// Draws the axes on an area, so many pixels below its top.
    pub fn new(
        area: &'a DrawingArea<DB, Shift>,
        x: Drawn,
        y: Drawn,
        head: i32,
    ) -> Result<Self, DrawingAreaErrorKind<DB::ErrorType>> {
        let (across, down) = area.dim_in_pixel();
        let (top, bottom) = (head, down as i32 - FOOT);
        let words = y.words(f64::from(bottom - top), true);
        let widest = words.iter().map(|(_, word)| width(word, TICK)).max().unwrap_or(0);
        // What has no title needs no room for one.
        let left = widest + if y.title.is_empty() { 22 } else { 46 };
        let frame = Self { area, start: (left, top), end: (across as i32 - RIGHT, bottom), x, y };
        frame.draw_x()?;
        frame.draw_y(&words, widest)?;
        Ok(frame)
    }

    /// Where a pair of values stands; none where one of them has no place.
    pub fn at(&self, x: f64, y: f64) -> Option<(i32, i32)> {
        Some((self.column(x)?, self.up(self.y.share(y)?)))
    }

    /// Where a value stands across.
    pub fn column(&self, x: f64) -> Option<i32> {
        self.x.share(x).map(|share| self.across(share))
    }

    fn across(&self, share: f64) -> i32 {
        self.start.0 + (share * f64::from(self.end.0 - self.start.0)).round() as i32
    }

    fn up(&self, share: f64) -> i32 {
        self.end.1 - (share * f64::from(self.end.1 - self.start.1)).round() as i32
    }

    fn line(&self, from: (i32, i32), to: (i32, i32), colour: RGBColor) -> Painted<DB> {
        self.area.draw(&PathElement::new(vec![from, to], colour.stroke_width(1)))
    }

    fn draw_x(&self) -> Painted<DB> {
        let ((left, top), (right, bottom)) = (self.start, self.end);
        for (place, word) in self.x.words(f64::from(right - left), false) {
            let at = self.across(self.x.along(place));
            if self.x.lines {
                self.line((at, top), (at, bottom), GRID)?;
            }
            self.line((at, bottom), (at, bottom + 5), BLACK)?;
            self.area.draw_text(&word, &text(TICK, BLACK, HPos::Center, VPos::Top), (at, bottom + 8))?;
        }
        self.line((left, bottom), (right, bottom), BLACK)?;
        let style = text(LABEL, BLACK, HPos::Center, VPos::Top);
        self.area.draw_text(&self.x.title, &style, ((left + right) / 2, bottom + 27))
    }

    fn draw_y(&self, words: &[(f64, String)], widest: i32) -> Painted<DB> {
        let ((left, top), (right, bottom)) = (self.start, self.end);
        for (place, word) in words {
            let at = self.up(self.y.along(*place));
            if self.y.lines && at < bottom {
                self.line((left, at), (right, at), GRID)?;
            }
            self.line((left - 5, at), (left, at), BLACK)?;
            self.area.draw_text(word, &text(TICK, BLACK, HPos::Right, VPos::Center), (left - 9, at))?;
        }
        self.line((left, top), (left, bottom), BLACK)?;
        let turned = text(LABEL, BLACK, HPos::Center, VPos::Center).transform(FontTransform::Rotate270);
        self.area.draw_text(&self.y.title, &turned, (left - widest - 27, (top + bottom) / 2))
    }
}
