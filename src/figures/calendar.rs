//! A calendar heat map: the years of a decade by the days of a month, coloured by how often each was generated.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::lettering::width;
use super::marks::colours;
use super::numbers::number;
use super::render::Chart;
use super::style::{FAINT, LABEL, TICK, TITLE, WRONG, ink_on, text, viridis};

/// A day of the calendar that is valid or was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Year.
    pub year: u32,
    /// Day of the month, 1..=31.
    pub day: u32,
    /// How often it was generated.
    pub count: u64,
    /// Whether it meets the condition.
    pub valid: bool,
}

/// The heat map of one condition.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// Title.
    pub title: String,
    /// The month whose days are shown.
    pub month: String,
    /// First and last year.
    pub years: (u32, u32),
    /// Days that are valid or were generated; all others are left empty.
    pub cells: Vec<Cell>,
    /// Count to be expected of each valid day.
    pub expected: f64,
    /// Generated dates that the calendar does not show: those of other months, decades or years out of range.
    pub elsewhere: u64,
}

/// Side of a day, pixels.
const SIDE: i32 = 32;
/// Where the days begin, pixels from the left and from the top.
const ORIGIN: (i32, i32) = (94, 92);
/// Size of numbers: the chart is wide, and they are what it is read for.
const NUMBER: i32 = LABEL + 1;

impl Chart for Calendar {
    fn size(&self) -> (u32, u32) {
        let years = self.years.1 - self.years.0 + 1;
        ((ORIGIN.0 + 31 * SIDE + 24) as u32, (ORIGIN.1 + 92) as u32 + years * SIDE as u32)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let bottom = ORIGIN.1 + (self.years.1 - self.years.0 + 1) as i32 * SIDE;
        area.draw_text(&self.title, &text(TITLE, BLACK, HPos::Left, VPos::Top), (18, 12))?;
        let what = format!("day of the month ({})", self.month);
        area.draw_text(&what, &text(LABEL, BLACK, HPos::Center, VPos::Top), (ORIGIN.0 + 31 * SIDE / 2, 44))?;
        let turned = text(LABEL, BLACK, HPos::Center, VPos::Center).transform(FontTransform::Rotate270);
        area.draw_text("year", &turned, (22, (ORIGIN.1 + bottom) / 2))?;
        for day in 1..=31 {
            let at = (ORIGIN.0 + (day - 1) * SIDE + SIDE / 2, ORIGIN.1 - 6);
            area.draw_text(&day.to_string(), &text(NUMBER, BLACK, HPos::Center, VPos::Bottom), at)?;
        }
        for year in self.years.0..=self.years.1 {
            let top = ORIGIN.1 + (year - self.years.0) as i32 * SIDE;
            let style = text(NUMBER, BLACK, HPos::Right, VPos::Center);
            area.draw_text(&year.to_string(), &style, (ORIGIN.0 - 10, top + SIDE / 2))?;
            for day in 0..31 {
                let corner = (ORIGIN.0 + day * SIDE, top);
                area.draw(&Rectangle::new([corner, (corner.0 + SIDE, corner.1 + SIDE)], FAINT.mix(0.5)))?;
            }
        }
        let years = self.years.0..=self.years.1;
        for cell in self.cells.iter().filter(|cell| years.contains(&cell.year)) {
            self.draw_cell(area, cell)?;
        }
        self.draw_legend(area, bottom)
    }
}

impl Calendar {
    /// Twice the expected count has the last colour of the scale.
    fn colour(&self, count: f64) -> RGBColor {
        viridis(count / (2.0 * self.expected.max(f64::MIN_POSITIVE)))
    }

    fn draw_cell<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        cell: &Cell,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let left = ORIGIN.0 + (cell.day as i32 - 1) * SIDE;
        let top = ORIGIN.1 + (cell.year as i32 - self.years.0 as i32) * SIDE;
        let corners = |inset: i32| [(left + inset, top + inset), (left + SIDE - inset, top + SIDE - inset)];
        let fill = match (cell.valid, cell.count) {
            (true, 0) => WHITE,
            (true, count) => self.colour(count as f64),
            (false, _) => WRONG,
        };
        area.draw(&Rectangle::new(corners(2), fill.filled()))?;
        if cell.valid {
            area.draw(&Rectangle::new(corners(1), BLACK.stroke_width(2)))?;
        }
        // The largest at which it fits.
        let words = cell.count.to_string();
        let size = (TICK - 5..=NUMBER).rev().find(|size| width(&words, *size) <= SIDE - 3).unwrap_or(TICK - 5);
        let style = text(size, ink_on(fill), HPos::Center, VPos::Center);
        area.draw_text(&words, &style, (left + SIDE / 2, top + SIDE / 2))
    }

    fn draw_legend<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        bottom: i32,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let top = bottom + 22;
        let word =
            |at: i32, words: &str| area.draw_text(words, &text(LABEL, BLACK, HPos::Left, VPos::Center), (at, top + 11));
        area.draw(&Rectangle::new([(ORIGIN.0, top), (ORIGIN.0 + 22, top + 22)], BLACK.stroke_width(2)))?;
        word(ORIGIN.0 + 32, "valid, outlined")?;
        let wrong = ORIGIN.0 + 210;
        area.draw(&Rectangle::new([(wrong, top), (wrong + 22, top + 22)], WRONG.filled()))?;
        word(wrong + 32, "generated, not valid")?;
        if self.elsewhere > 0 {
            let words = format!("and {} outside of this calendar", number(self.elsewhere as f64, 0));
            area.draw_text(&words, &text(TICK, WRONG, HPos::Left, VPos::Top), (wrong, top + 28))?;
        }
        let (scale, width) = (ORIGIN.0 + 470, 300);
        colours(area, (scale, top), (width, 22))?;
        word(scale + width + 12, "count of a valid date")?;
        for (place, count) in [(0, 0.0), (width / 2, self.expected), (width, 2.0 * self.expected)] {
            let expected = place == width / 2;
            let words = if expected { format!("{} expected", number(count, 1)) } else { number(count, 0) };
            area.draw_text(&words, &text(TICK, BLACK, HPos::Center, VPos::Top), (scale + place, top + 28))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::svg;

    #[test]
    fn years_beyond_the_calendar_are_not_drawn_over_its_legend() {
        let cell = |year| Cell { year, day: 3, count: 2, valid: false };
        let of = |cells| Calendar {
            title: "the last decade".to_owned(),
            month: "JAN".to_owned(),
            years: (2200, 2200),
            cells,
            expected: 1.0,
            elsewhere: 2,
        };
        let drawn = svg(&of(vec![cell(2200)])).unwrap();
        assert_eq!(svg(&of(vec![cell(2200), cell(2203), cell(2199)])).unwrap(), drawn);
    }
}
