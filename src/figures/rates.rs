//! Pass rates by each field of the condition, in four panels on one axis.

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

/// All four fields.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Title.
    pub title: String,
    /// Weekday, month, leap year and decade.
    pub panels: [Panel; 4],
}

impl Chart for Rates {
    fn size(&self) -> (u32, u32) {
        (1200, 900)
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
        let (upper, lower) = body.split_vertically(400);
        let (left, rest) = upper.split_horizontally(420);
        let (middle, right) = rest.split_horizontally(530);
        for (panel, area) in self.panels.iter().zip([left, middle, right, lower]) {
            panel.draw(&area, &axis)?;
        }
        Ok(())
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
