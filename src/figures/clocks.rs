//! Clock faces: where learned angles place the values of columns on a circle.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::legend::{self, Entry, Sign};
use super::marks::colour;
use super::render::{Chart, Painted};
use super::style::{FAINT, LABEL, TICK, text};

/// Values on a ring of a clock.
#[derive(Clone, Debug)]
pub struct Ring {
    /// Where each value is, radians, from the top clockwise.
    pub angles: Vec<f64>,
    /// Names beside the values; none for inner rings.
    pub names: Vec<String>,
}

/// One learned angle.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Title.
    pub title: String,
    /// The column that it counts, then other columns, from the outside in.
    pub rings: Vec<Ring>,
}

/// Clocks of one column.
#[derive(Clone, Debug)]
pub struct Clocks {
    /// Title.
    pub title: String,
    /// Equal distances that are marked on every circle.
    pub ticks: usize,
    /// Names of the columns on the rings.
    pub columns: Vec<String>,
    /// The clocks, row by row.
    pub clocks: Vec<Clock>,
}

/// Side of a clock and clocks in a row.
const SIDE: i32 = 300;
const ACROSS: usize = 4;
/// Radius of the outer ring, pixels, and of the others as a share of it.
const RADIUS: f64 = 108.0;
const SHARES: [f64; 5] = [1.0, 0.76, 0.6, 0.44, 0.28];

impl Chart for Clocks {
    fn size(&self) -> (u32, u32) {
        let rows = self.clocks.len().div_ceil(ACROSS).max(1);
        ((ACROSS as i32 * SIDE) as u32, (100 + rows as i32 * (SIDE + 20)) as u32)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let entry = |(place, name): (usize, &String)| Entry::new(name, Sign::Dot(colour(place)));
        let entries: Vec<Entry> = self.columns.iter().enumerate().map(entry).collect();
        let head = legend::draw(area, &self.title, &entries, self.size().0)? as i32;
        for (place, clock) in self.clocks.iter().enumerate() {
            let corner = ((place % ACROSS) as i32 * SIDE, head + (place / ACROSS) as i32 * (SIDE + 20));
            clock.draw(area, corner, self.ticks)?;
        }
        Ok(())
    }
}

impl Clock {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, corner: (i32, i32), ticks: usize) -> Painted<DB> {
        let centre = (corner.0 + SIDE / 2, corner.1 + SIDE / 2 + 20);
        let at = |angle: f64, radius: f64| {
            let (x, y) = (radius * angle.sin(), radius * angle.cos());
            (centre.0 + x.round() as i32, centre.1 - y.round() as i32)
        };
        let style = text(LABEL, BLACK, HPos::Center, VPos::Center);
        area.draw_text(&self.title, &style, (centre.0, corner.1 + 14))?;
        for (ring, share) in self.rings.iter().zip(SHARES) {
            let radius = share * RADIUS;
            area.draw(&Circle::new(centre, radius as i32, FAINT.stroke_width(1)))?;
            for tick in 0..ticks {
                let angle = std::f64::consts::TAU * tick as f64 / ticks as f64;
                let line = vec![at(angle, radius - 5.0), at(angle, radius + 5.0)];
                area.draw(&PathElement::new(line, FAINT.stroke_width(2)))?;
            }
            for name in ring.names.iter().zip(&ring.angles).map(|(name, angle)| (name, at(*angle, radius + 24.0))) {
                area.draw_text(name.0, &text(TICK, BLACK, HPos::Center, VPos::Center), name.1)?;
            }
        }
        for (place, (ring, share)) in self.rings.iter().zip(SHARES).enumerate() {
            let radius = if place == 0 { 6 } else { 4 };
            for angle in &ring.angles {
                area.draw(&Circle::new(at(*angle, share * RADIUS), radius, colour(place).mix(0.8).filled()))?;
            }
        }
        Ok(())
    }
}
