//! Posterior means on two principal components.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::frame::Frame;
use super::legend;
use super::lettering::width;
use super::marks::{colours, of_group};
use super::render::{Chart, Painted};
use super::style::{LABEL, TICK, text, viridis};

/// What the points' colours mean.
#[derive(Clone, Debug)]
pub enum Colours {
    /// A number, shown on a scale.
    Scale {
        /// What the number is.
        name: String,
        /// One for each point.
        values: Vec<f64>,
        /// The ends of the scale.
        range: (f64, f64),
    },
    /// Membership of a group, ten at most.
    Groups {
        /// What the groups are, above their names.
        title: String,
        /// The group of each point.
        of_point: Vec<usize>,
        /// The groups' names.
        names: Vec<String>,
    },
}

/// A cloud of points.
#[derive(Clone, Debug)]
pub struct Scatter {
    /// Title.
    pub title: String,
    /// Share of the variance on each axis, 0..=1.
    pub shares: [f64; 2],
    /// The points.
    pub points: Vec<[f64; 2]>,
    /// Their colours.
    pub colours: Colours,
}

/// Width of the plot with its axes, and height of the chart, pixels.
const PLOT: (u32, u32) = (760, 720);

impl Chart for Scatter {
    fn size(&self) -> (u32, u32) {
        (PLOT.0 + self.colours.width(), PLOT.1)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let head = legend::draw(area, &self.title, &[], self.size().0)?;
        let body = area.clone().shrink((0, head as i32), (PLOT.0, PLOT.1 - head));
        let axis = |axis: usize, which: &str| {
            let title = format!(
                "{which} principal component of the posterior means, {:.0} % of the variance",
                100.0 * self.shares[axis]
            );
            let values = self.points.iter().map(|point| point[axis]);
            Axis { title, ..Axis::default() }.drawn(values, 8)
        };
        let frame = Frame::new(&body, axis(0, "1st"), axis(1, "2nd"), 8)?;
        let radius = if self.points.len() > 1000 { 2 } else { 4 };
        for (place, point) in self.points.iter().enumerate() {
            let Some(at) = frame.at(point[0], point[1]) else { continue };
            body.draw(&Circle::new(at, radius, self.colours.of(place).mix(0.85).filled()))?;
        }
        let side = (self.colours.width(), PLOT.1 - head);
        self.colours.draw_legend(&area.clone().shrink((PLOT.0 as i32, head as i32), side))
    }
}

impl Colours {
    fn of(&self, point: usize) -> RGBColor {
        match self {
            Self::Scale { values, range, .. } => viridis((values[point] - range.0) / (range.1 - range.0)),
            Self::Groups { of_point, names, .. } => of_group(of_point[point], names.len()),
        }
    }

    /// Width of the legend: as wide as its words.
    fn width(&self) -> u32 {
        let words = match self {
            Self::Scale { name, .. } => width(name, LABEL),
            Self::Groups { title, names, .. } => {
                let names = names.iter().map(|name| 22 + width(name, TICK));
                names.chain([width(title, LABEL)]).max().unwrap_or(0)
            }
        };
        (words + 18) as u32
    }

    fn draw_legend<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Painted<DB> {
        let style = |size| text(size, BLACK, HPos::Left, VPos::Center);
        match self {
            Self::Scale { name, range, .. } => {
                area.draw_text(name, &style(LABEL), (0, 26))?;
                let height = 300;
                colours(area, (0, 48), (26, height))?;
                // Every number of a short scale, every fifth of a long one, each where it belongs.
                let (low, high) = (range.0.round() as i32, range.1.round() as i32);
                let step = if high - low > 12 { 5 } else { 1 };
                for tick in (low..=high).filter(|tick| *tick == low || tick % step == 0) {
                    let share = (range.1 - f64::from(tick)) / (range.1 - range.0);
                    let at = (36, 48 + (share * f64::from(height)) as i32);
                    area.draw_text(&tick.to_string(), &style(TICK), at)?;
                }
            }
            Self::Groups { title, names, .. } => {
                area.draw_text(title, &style(LABEL), (0, 26))?;
                for (place, name) in names.iter().enumerate() {
                    let at = 58 + 30 * place as i32;
                    area.draw(&Circle::new((8, at), 7, of_group(place, names.len()).filled()))?;
                    area.draw_text(name, &style(TICK), (22, at))?;
                }
            }
        }
        Ok(())
    }
}
