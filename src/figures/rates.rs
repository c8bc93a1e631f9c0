//! Pass rates by each given column, in panels on one axis.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::axis::{Axis, Drawn};
use super::frame::Frame;
use super::legend::{self, Entry, Sign};
use super::marks::triangle;
use super::render::{Chart, Painted};
use super::style::{GOOD, WRONG};

/// The pass rate of the conditions that share one value of a field.
#[derive(Clone, Debug)]
pub struct Rate {
    /// The value.
    pub name: String,
    /// Mean over those conditions, 0..=1.
    pub mean: f64,
    /// Half the width of the mean's 95 % interval.
    pub half_width: f64,
    /// The worst of those conditions.
    pub worst: f64,
}

/// One field.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The field.
    pub name: String,
    /// Its values in order.
    pub rates: Vec<Rate>,
}

/// All given columns.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Title.
    pub title: String,
    /// One for each given column, in order.
    pub panels: Vec<Panel>,
}

/// Width of the chart and height of a row of panels, pixels.
const WIDTH: u32 = 1200;
const ROW: u32 = 400;
/// Values that a row of panels has room for; a panel with more has its own.
const VALUES: usize = 24;
/// Room for an axis, in values.
const MARGIN: usize = 7;

impl Chart for Rates {
    fn size(&self) -> (u32, u32) {
        (WIDTH, 100 + ROW * self.rows().len() as u32)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let entries = [
            Entry::new("mean over conditions, with its 95 % interval", Sign::Dot(GOOD)),
            Entry::new("worst condition", Sign::Triangle(WRONG)),
        ];
        let head = legend::draw(area, &self.title, &entries, self.size().0)?;
        let (_, body) = area.split_vertically(head as i32);
        let worst = self.panels.iter().flat_map(|panel| &panel.rates).map(|rate| rate.worst).fold(0.99, f64::min);
        // Room below the worst, and a hundredth at the least, so that the ticks of a perfect model differ; the axis
        // never hides how far from 100 % it is, since its ticks name the rates.
        let low = (worst - 0.06 * (1.0 - worst).max(1e-3)).max(-0.02);
        let axis = Axis {
            title: "pass rate".to_owned(),
            share: true,
            range: Some((low, 1.0 + 0.06 * (1.0 - low))),
            possible: Some((0.0, 1.0)),
            ..Axis::default()
        };
        let rows = self.rows();
        let heights = body.dim_in_pixel().1 / rows.len().max(1) as u32;
        let mut rest = body;
        for row in rows {
            let (area, below) = rest.split_vertically(heights as i32);
            rest = below;
            let shares: usize = row.iter().map(|panel| panel.rates.len() + MARGIN).sum();
            let mut right = area;
            for panel in row {
                let width = WIDTH as usize * (panel.rates.len() + MARGIN) / shares;
                let (own, others) = right.split_horizontally(width as i32);
                right = others;
                panel.draw(&own, &axis)?;
            }
        }
        Ok(())
    }
}

impl Rates {
    /// Panels that stand beside each other: as many as there is room for.
    fn rows(&self) -> Vec<Vec<&Panel>> {
        let mut rows: Vec<Vec<&Panel>> = Vec::new();
        for panel in &self.panels {
            let taken = rows.last().map_or(VALUES, |row| row.iter().map(|panel| panel.rates.len()).sum());
            match rows.last_mut() {
                Some(row) if taken + panel.rates.len() <= VALUES => row.push(panel),
                _ => rows.push(vec![panel]),
            }
        }
        rows
    }
}

impl Panel {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, axis: &Axis) -> Painted<DB> {
        let names = self.rates.iter().map(|rate| rate.name.clone()).collect();
        let frame = Frame::new(area, Drawn::named(&self.name, names), axis.drawn([], 6), 12)?;
        for (place, rate) in self.rates.iter().enumerate() {
            let at = |rate: f64| frame.at(place as f64, rate);
            let (low, high) = axis.interval(rate.mean, rate.half_width);
            if let (Some(low), Some(high)) = (at(low), at(high))
                && low != high
            {
                area.draw(&PathElement::new(vec![low, high], GOOD.stroke_width(2)))?;
            }
            if let (Some(mean), Some(worst)) = (at(rate.mean), at(rate.worst)) {
                area.draw(&Circle::new(mean, 4, GOOD.filled()))?;
                triangle(area, worst, WRONG)?;
            }
        }
        Ok(())
    }
}
