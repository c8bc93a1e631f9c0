//! Posterior means on two principal components.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::render::Chart;
use super::style::{FONT, GRID, LABEL, PALETTE, TICK, TITLE, text, viridis};

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
    /// Membership of a group, seven at most.
    Groups {
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

/// Width of the legend, pixels.
const LEGEND: i32 = 250;

impl Chart for Scatter {
    fn size(&self) -> (u32, u32) {
        (1000, 720)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let (head, body) = area.split_vertically(50);
        head.draw_text(&self.title, &text(TITLE, BLACK, HPos::Left, VPos::Top), (24, 16))?;
        let (left, right) = body.split_horizontally(1000 - LEGEND);
        let mut chart = ChartBuilder::on(&left)
            .margin(16)
            .x_label_area_size(58)
            .y_label_area_size(76)
            .build_cartesian_2d(self.range(0), self.range(1))?;
        let axis =
            |place: usize| format!("component {} ({:.0} % of the variance)", place + 1, 100.0 * self.shares[place]);
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_desc(axis(0))
            .y_desc(axis(1))
            .axis_desc_style((FONT, LABEL))
            .label_style((FONT, TICK))
            .x_label_formatter(&|value| format!("{value:.1}"))
            .y_label_formatter(&|value| format!("{value:.1}"))
            .draw()?;
        let radius = if self.points.len() > 1000 { 2 } else { 4 };
        let dots = self.points.iter().enumerate();
        chart.draw_series(dots.map(|(place, point)| {
            Circle::new((point[0], point[1]), radius, self.colours.of(place).mix(0.85).filled())
        }))?;
        self.colours.draw_legend(&right)
    }
}

impl Scatter {
    /// An axis that holds all points, with some room.
    fn range(&self, axis: usize) -> std::ops::Range<f64> {
        let values = || self.points.iter().map(|point| point[axis]);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        let room = (0.05 * (high - low)).max(0.1);
        low - room..high + room
    }
}

impl Colours {
    fn of(&self, point: usize) -> RGBColor {
        match self {
            Self::Scale { values, range, .. } => viridis((values[point] - range.0) / (range.1 - range.0)),
            Self::Groups { of_point, .. } => PALETTE[of_point[point] % PALETTE.len()],
        }
    }

    fn draw_legend<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let style = |size| text(size, BLACK, HPos::Left, VPos::Center);
        match self {
            Self::Scale { name, range, .. } => {
                area.draw_text(name, &style(LABEL), (0, 26))?;
                let height = 300;
                for step in 0..height {
                    let colour = viridis(1.0 - f64::from(step) / f64::from(height - 1));
                    area.draw(&Rectangle::new([(0, 48 + step), (26, 49 + step)], colour.filled()))?;
                }
                // Every number of a short scale, every fifth of a long one, each where it belongs.
                let (low, high) = (range.0.round() as i32, range.1.round() as i32);
                let step = if high - low > 12 { 5 } else { 1 };
                for tick in (low..=high).filter(|tick| *tick == low || tick % step == 0) {
                    let share = (range.1 - f64::from(tick)) / (range.1 - range.0);
                    let at = (36, 48 + (share * f64::from(height)) as i32);
                    area.draw_text(&tick.to_string(), &style(TICK), at)?;
                }
            }
            Self::Groups { names, .. } => {
                for (place, name) in names.iter().enumerate() {
                    let at = 26 + 30 * place as i32;
                    area.draw(&Circle::new((8, at), 7, PALETTE[place % PALETTE.len()].filled()))?;
                    area.draw_text(name, &style(TICK), (22, at))?;
                }
            }
        }
        Ok(())
    }
}
