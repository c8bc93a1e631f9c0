//! What a two-dimensional code decodes to, over a grid of z.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::frame::Frame;
use super::legend;
use super::render::Chart;
use super::style::{TICK, WRONG, ink_on, text, viridis};

/// A square of codes and the date that each gives under one condition.
#[derive(Clone, Debug)]
pub struct CodeGrid {
    /// Title.
    pub title: String,
    /// The ends of both axes.
    pub range: (f64, f64),
    /// Codes on a side.
    pub side: usize,
    /// Row by row from the lowest z2, and in a row from the lowest z1: the place of the date among `dates`, or
    /// none where the date fails.
    pub cells: Vec<Option<usize>>,
    /// The condition's valid dates, in order of time.
    pub dates: Vec<String>,
}

impl CodeGrid {
    fn colour(&self, date: Option<usize>) -> RGBColor {
        date.map_or(WRONG, |rank| viridis(rank as f64 / (self.dates.len().max(2) - 1) as f64))
    }

    /// The middle of a cell on both axes.
    fn middle(&self, cell: usize) -> (f64, f64) {
        let (low, high) = self.range;
        let step = (high - low) / self.side as f64;
        (low + (0.5 + (cell % self.side) as f64) * step, low + (0.5 + (cell / self.side) as f64) * step)
    }

    /// Where a date's label stands: the cell of the date that is nearest to the mean of its cells. Dates
    /// with less than one cell in 160 have no room for one.
    fn labels(&self) -> Vec<(usize, (f64, f64))> {
        let label = |date: usize| {
            let cells: Vec<(f64, f64)> = (0..self.cells.len())
                .filter(|cell| self.cells[*cell] == Some(date))
                .map(|cell| self.middle(cell))
                .collect();
            if cells.is_empty() || cells.len() * 160 < self.cells.len() {
                return None;
            }
            let n = cells.len() as f64;
            let mean = cells.iter().fold((0.0, 0.0), |sum, cell| (sum.0 + cell.0 / n, sum.1 + cell.1 / n));
            let far = |cell: &(f64, f64)| (cell.0 - mean.0).powi(2) + (cell.1 - mean.1).powi(2);
            cells.into_iter().min_by(|a, b| far(a).total_cmp(&far(b))).map(|cell| (date, cell))
        };
        (0..self.dates.len()).filter_map(label).collect()
    }
}

impl Chart for CodeGrid {
    fn size(&self) -> (u32, u32) {
        (940, 960)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let (across, down) = self.size();
        let head = legend::draw(area, &self.title, &[], across)?;
        let body = area.clone().shrink((0, head as i32), (across, down - head));
        let axis = |name: &str| {
            let title = format!("{name}, standard deviations of the prior");
            Axis { title, range: Some(self.range), ..Axis::default() }.drawn([], 7)
        };
        let frame = Frame::new(&body, axis("z1"), axis("z2"), 8)?;
        let half = 0.5 * (self.range.1 - self.range.0) / self.side as f64;
        for (cell, date) in self.cells.iter().enumerate() {
            let (x, y) = self.middle(cell);
            if let (Some(from), Some(to)) = (frame.at(x - half, y + half), frame.at(x + half, y - half)) {
                body.draw(&Rectangle::new([from, to], self.colour(*date).filled()))?;
            }
        }
        for (date, (x, y)) in self.labels() {
            let Some(at) = frame.at(x, y) else { continue };
            let style = text(TICK - 3, ink_on(self.colour(Some(date))), HPos::Center, VPos::Center);
            body.draw_text(&self.dates[date], &style, at)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_inside_their_dates() {
        let cells = vec![Some(0), Some(0), Some(1), None];
        let dates = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let grid = CodeGrid { title: String::new(), range: (-1.0, 1.0), side: 2, cells, dates };
        assert_eq!(grid.labels(), [(0, (-0.5, -0.5)), (1, (-0.5, 0.5))]);
    }
}
