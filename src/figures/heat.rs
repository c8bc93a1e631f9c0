//! Heat maps of a figure over two settings, side by side.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::legend::{self, Entry, FAILED, Sign};
use super::marks::colours;
use super::render::{Chart, Painted};
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
    /// Whether none of its trials has ended.
    pub open: bool,
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
/// Room left of, above, right of and below a map; on the right stands the scale of its colours.
const ROOM: (i32, i32, i32, i32) = (86, 34, 104, 62);
/// Width of the scale, and how far it is from the map.
const SCALE: (i32, i32) = (14, 12);

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

    /// What of the signs there is.
    fn entries(&self) -> Vec<Entry> {
        let some = |is: fn(&HeatCell) -> bool| self.maps.iter().flat_map(|map| &map.cells).flatten().any(is);
        let best = self.maps.iter().any(|map| map.best.is_some());
        let failed = format!("{FAILED}, with their number where others finished");
        let entries = [
            best.then(|| Entry::new("best", Sign::Frame)),
            some(|cell| cell.failed > 0).then(|| Entry::new(&failed, Sign::Cross)),
            some(|cell| cell.open).then(|| Entry::new("not finished", Sign::Ellipsis)),
        ];
        entries.into_iter().flatten().collect()
    }
}

impl Chart for HeatMaps {
    fn size(&self) -> (u32, u32) {
        let head = legend::height(&self.title, &self.entries(), self.across());
        let foot = legend::foot_height(&self.notes, self.across());
        (self.across(), head + (self.rows() * self.map_size().1) as u32 + foot)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let head = legend::draw(area, &self.title, &self.entries(), self.across())? as i32;
        let (width, height) = self.map_size();
        for (place, map) in self.maps.iter().enumerate() {
            let (column, row) = ((place % self.columns) as i32, (place / self.columns) as i32);
            self.draw_map(area, map, (column * width, head + row * height))?;
        }
        legend::draw_foot(area, &self.notes, self.across(), head + self.rows() * height)
    }
}

impl HeatMap {
    /// The least and the greatest value; none where no trial has finished.
    fn ends(&self) -> Option<(f64, f64)> {
        let values = || self.cells.iter().flatten().map(|cell| cell.value).filter(|value| value.is_finite());
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        (low <= high).then_some((low, high))
    }

    /// How good a value is between the ends, 0..=1.
    fn share(&self, value: f64) -> f64 {
        match self.ends() {
            Some((low, high)) if high > low && self.falls => (high - value) / (high - low),
            Some((low, high)) if high > low => (value - low) / (high - low),
            _ => 1.0,
        }
    }

    /// How a value that some cell has is written.
    fn words(&self, value: f64) -> &str {
        self.cells.iter().flatten().find(|cell| cell.value == value).map_or("", |cell| cell.words.as_str())
    }

    /// The colours with the values at both ends, beside the map.
    fn draw_scale<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        (left, top): (i32, i32),
        height: i32,
    ) -> Painted<DB> {
        let Some((low, high)) = self.ends().filter(|(low, high)| low < high) else { return Ok(()) };
        colours(area, (left, top), (SCALE.0, height))?;
        let (best, worst) = if self.falls { (low, high) } else { (high, low) };
        let style = |vertical| text(TICK - 1, BLACK, HPos::Left, vertical);
        let at = left + SCALE.0 + 5;
        area.draw_text(self.words(best), &style(VPos::Top), (at, top))?;
        area.draw_text(self.words(worst), &style(VPos::Bottom), (at, top + height))
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
        for (place, cell) in map.cells.iter().enumerate() {
            if let Some(cell) = cell {
                draw_cell(area, cell, map.share(cell.value), corner(place))?;
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
        let scale = origin.0 + CELL.0 * across as i32 + SCALE.1;
        map.draw_scale(area, (scale, origin.1), CELL.1 * up as i32)?;
        let middle = (origin.0 + CELL.0 * across as i32 / 2, origin.1 + CELL.1 * up as i32 + 28);
        area.draw_text(&self.x.0, &text(LABEL, BLACK, HPos::Center, VPos::Top), middle)?;
        let turned = text(LABEL, BLACK, HPos::Center, VPos::Center).transform(FontTransform::Rotate270);
        area.draw_text(&self.y.0, &turned, (left + 24, origin.1 + CELL.1 * up as i32 / 2))
    }
}

fn draw_cell<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    cell: &HeatCell,
    share: f64,
    (x, y): (i32, i32),
) -> Painted<DB> {
    let finished = cell.value.is_finite();
    let fill = if finished { viridis(share) } else { FAINT };
    // What is still to come is paler than what failed.
    let style = if cell.open { fill.mix(0.5).filled() } else { fill.filled() };
    area.draw(&Rectangle::new([(x + 1, y + 1), (x + CELL.0 - 1, y + CELL.1 - 1)], style))?;
    if !finished && cell.failed > 0 {
        return area.draw(&Cross::new((x + CELL.0 / 2, y + CELL.1 / 2), 8, WRONG.stroke_width(3)));
    }
    let words = if cell.open { "…" } else { cell.words.as_str() };
    let style = text(TICK - 1, if finished { ink_on(fill) } else { BLACK }, HPos::Center, VPos::Center);
    // Below the badge of failures, where there is one.
    let middle = y + CELL.1 / 2 + if cell.failed > 0 { 7 } else { 0 };
    area.draw_text(words, &style, (x + CELL.0 / 2, middle))?;
    if cell.failed > 0 {
        area.draw(&Rectangle::new([(x + CELL.0 - 27, y + 1), (x + CELL.0 - 1, y + 13)], WHITE.filled()))?;
        area.draw(&Cross::new((x + CELL.0 - 20, y + 7), 4, WRONG.stroke_width(2)))?;
        let style = text(TICK - 3, WRONG, HPos::Left, VPos::Center);
        area.draw_text(&cell.failed.to_string(), &style, (x + CELL.0 - 12, y + 7))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::svg;

    fn maps(failed: usize) -> HeatMaps {
        let cell = |value: f64, failed: usize| {
            Some(HeatCell { value, words: format!("{value:.1}"), failed, open: value.is_nan() && failed == 0 })
        };
        let map = HeatMap {
            title: "pass".to_owned(),
            cells: vec![cell(0.5, 0), cell(0.9, 0), cell(f64::NAN, failed)],
            falls: false,
            best: Some(1),
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        HeatMaps {
            title: String::new(),
            notes: Vec::new(),
            x: ("β".to_owned(), names(&["1", "2", "3"])),
            y: ("size".to_owned(), names(&["1"])),
            columns: 1,
            maps: vec![map],
        }
    }

    #[test]
    fn an_unfinished_trial_is_no_failed_one() {
        let (open, failed) = (svg(&maps(0)).unwrap(), svg(&maps(2)).unwrap());
        assert!(open.contains("\"not finished\"") && open.contains("\"…\"") && !open.contains(FAILED));
        assert!(failed.contains(FAILED) && !failed.contains("\"…\""));
    }

    #[test]
    fn the_scale_names_its_ends() {
        let drawn = svg(&maps(0)).unwrap();
        // In the cell and beside the scale.
        assert!(["0.5", "0.9"].iter().all(|words| drawn.matches(&format!("label=\"{words}\"")).count() == 2));
        let falling = HeatMap { falls: true, ..maps(0).maps.remove(0) };
        assert_eq!((falling.share(0.5), falling.share(0.9)), (1.0, 0.0));
    }
}
