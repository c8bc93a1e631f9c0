//! Heat maps of a figure over two settings, side by side.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::legend;
use super::render::Chart;
use super::style::{FAINT, LABEL, TICK, WRONG, ink_on, text, viridis};

/// What a cell shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatCell {
    /// Mean over the trials that finished; NaN where none did.
    pub value: f64,
    /// How it is written.
    pub words: String,
    /// Trials that failed or diverged.
    pub failed: usize,
}

/// One figure.
#[derive(Clone, Debug)]
pub struct HeatMap {
    /// What it shows, with its unit.
    pub title: String,
    /// Cells row by row from the bottom, one for each value of both settings; none where no trial was made.
    pub cells: Vec<Option<HeatCell>>,
    /// Whether small values are good: the bright end of the colours is for good ones.
    pub falls: bool,
    /// The best cell, which is outlined.
    pub best: Option<usize>,
}

/// Maps with one pair of axes.
#[derive(Clone, Debug)]
pub struct HeatMaps {
    /// Title.
    pub title: String,
    /// Lines below the maps.
    pub notes: Vec<String>,
    /// Name of what varies across, and its values.
    pub x: (String, Vec<String>),
    /// Name of what varies upwards, and its values.
    pub y: (String, Vec<String>),
    /// How many maps stand side by side.
    pub columns: usize,
    /// The maps.
    pub maps: Vec<HeatMap>,
}

/// Width and height of a cell, pixels.
const CELL: (i32, i32) = (66, 34);
/// Room left of, above, right of and below a map.
const ROOM: (i32, i32, i32, i32) = (86, 34, 24, 62);

impl HeatMaps {
    fn map_size(&self) -> (i32, i32) {
        let (across, up) = (self.x.1.len() as i32, self.y.1.len() as i32);
        (ROOM.0 + CELL.0 * across + ROOM.2, ROOM.1 + CELL.1 * up + ROOM.3)
    }

    fn across(&self) -> u32 {
        // Narrow grids have room for their title all the same.
        (self.map_size().0 * self.columns.min(self.maps.len()).max(1) as i32).max(620) as u32
    }

    fn rows(&self) -> i32 {
        self.maps.len().div_ceil(self.columns) as i32
    }
}

impl Chart for HeatMaps {
    fn size(&self) -> (u32, u32) {
        let head = legend::height(&self.title, &[], self.across()) + 26;
        (self.across(), head + (self.rows() * self.map_size().1) as u32 + legend::foot_height(&self.notes))
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let head = legend::draw(area, &self.title, &[], self.across())? as i32;
        let word =
            |at: i32, words: &str| area.draw_text(words, &text(LABEL, BLACK, HPos::Left, VPos::Center), (at, head + 2));
        area.draw(&Rectangle::new([(20, head - 7), (48, head + 11)], WRONG.stroke_width(3)))?;
        word(58, "best")?;
        area.draw(&Rectangle::new([(120, head - 7), (148, head + 11)], FAINT.mix(0.5).filled()))?;
        area.draw(&Cross::new((134, head + 2), 6, WRONG.stroke_width(2)))?;
        word(158, "failed or diverged, with their number where others finished")?;
        let head = head + 26;
        let (width, height) = self.map_size();
        for (place, map) in self.maps.iter().enumerate() {
            let (column, row) = ((place % self.columns) as i32, (place / self.columns) as i32);
            self.draw_map(area, map, (column * width, head + row * height))?;
        }
        legend::draw_foot(area, &self.notes, head + self.rows() * height)
    }
}

impl HeatMaps {
    fn draw_map<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        map: &HeatMap,
        (left, top): (i32, i32),
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let (across, up) = (self.x.1.len(), self.y.1.len());
        let origin = (left + ROOM.0, top + ROOM.1);
        let corner = |cell: usize| {
            let (column, row) = (cell % across, cell / across);
            (origin.0 + CELL.0 * column as i32, origin.1 + CELL.1 * (up - 1 - row) as i32)
        };
        area.draw_text(&map.title, &text(LABEL, BLACK, HPos::Left, VPos::Center), (origin.0, top + 18))?;
        let values = || map.cells.iter().flatten().map(|cell| cell.value).filter(|value| value.is_finite());
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        for (place, cell) in map.cells.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let share = if high > low { (cell.value - low) / (high - low) } else { 1.0 };
            let share = if map.falls && high > low { 1.0 - share } else { share };
            let fill = if cell.value.is_finite() { viridis(share) } else { FAINT };
            let (x, y) = corner(place);
            area.draw(&Rectangle::new([(x + 1, y + 1), (x + CELL.0 - 1, y + CELL.1 - 1)], fill.filled()))?;
            if cell.value.is_finite() {
                let style = text(TICK - 1, ink_on(fill), HPos::Center, VPos::Center);
                // Below the badge of failures, where there is one.
                let middle = y + CELL.1 / 2 + if cell.failed > 0 { 7 } else { 0 };
                area.draw_text(&cell.words, &style, (x + CELL.0 / 2, middle))?;
                if cell.failed > 0 {
                    area.draw(&Rectangle::new([(x + CELL.0 - 27, y + 1), (x + CELL.0 - 1, y + 13)], WHITE.filled()))?;
                    area.draw(&Cross::new((x + CELL.0 - 20, y + 7), 4, WRONG.stroke_width(2)))?;
                    let style = text(TICK - 3, WRONG, HPos::Left, VPos::Center);
                    area.draw_text(&cell.failed.to_string(), &style, (x + CELL.0 - 12, y + 7))?;
                }
            } else {
                area.draw(&Cross::new((x + CELL.0 / 2, y + CELL.1 / 2), 8, WRONG.stroke_width(3)))?;
            }
        }
        if let Some(best) = map.best {
            let (x, y) = corner(best);
            area.draw(&Rectangle::new([(x, y), (x + CELL.0, y + CELL.1)], WRONG.stroke_width(3)))?;
        }
        for (column, name) in self.x.1.iter().enumerate() {
            let at = (origin.0 + CELL.0 * column as i32 + CELL.0 / 2, origin.1 + CELL.1 * up as i32 + 6);
            area.draw_text(name, &text(TICK, BLACK, HPos::Center, VPos::Top), at)?;
        }
        for (row, name) in self.y.1.iter().enumerate() {
            let at = (origin.0 - 8, origin.1 + CELL.1 * (up - 1 - row) as i32 + CELL.1 / 2);
            area.draw_text(name, &text(TICK, BLACK, HPos::Right, VPos::Center), at)?;
        }
        let middle = (origin.0 + CELL.0 * across as i32 / 2, origin.1 + CELL.1 * up as i32 + 28);
        area.draw_text(&self.x.0, &text(LABEL, BLACK, HPos::Center, VPos::Top), middle)?;
        let turned = text(LABEL, BLACK, HPos::Center, VPos::Center).transform(FontTransform::Rotate270);
        area.draw_text(&self.y.0, &turned, (left + 24, origin.1 + CELL.1 * up as i32 / 2))
    }
}
