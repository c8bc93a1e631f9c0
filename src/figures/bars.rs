//! KL of each latent dimension, with the active ones marked.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::{Axis, Drawn};
use super::frame::Frame;
use super::legend::{self, Entry, Sign};
use super::render::Chart;
use super::style::{FAINT, GOOD, TICK, text};

/// One bar for each latent dimension.
#[derive(Clone, Debug)]
pub struct Bars {
    /// Title.
    pub title: String,
    /// Mean KL of each dimension, nats.
    pub values: Vec<f64>,
    /// Whether each dimension is active.
    pub active: Vec<bool>,
}

impl Chart for Bars {
    fn size(&self) -> (u32, u32) {
        (960, 560)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let count = self.values.len();
        let entries = [(GOOD, "active: Var E[z] > 0.01"), (FAINT, "not active")];
        let entries = entries.map(|(colour, name)| Entry::new(name, Sign::Patch(colour)));
        let (across, down) = self.size();
        let head = legend::draw(area, &self.title, &entries, across)?;
        let body = area.clone().shrink((0, head as i32), (across, down - head));
        let names = (1..=count).map(|place| place.to_string()).collect();
        // Room for the words above the highest.
        let top = self.values.iter().copied().fold(0.1, f64::max) * 1.1;
        let y = Axis { title: "mean KL, nats".to_owned(), range: Some((0.0, top)), ..Axis::default() };
        let frame = Frame::new(&body, Drawn::named("latent dimension", names), y.drawn([], 6), 8)?;
        for (place, (value, active)) in self.values.iter().zip(&self.active).enumerate() {
            let colour = if *active { GOOD } else { FAINT };
            let (left, right) = (place as f64 - 0.38, place as f64 + 0.38);
            let corners = (frame.at(left, *value), frame.at(right, 0.0), frame.at(place as f64, *value));
            let (Some(from), Some(to), Some(middle)) = corners else { continue };
            body.draw(&Rectangle::new([from, to], colour.filled()))?;
            if count <= 16 {
                let style = text(TICK, BLACK, HPos::Center, VPos::Bottom);
                body.draw_text(&format!("{value:.2}"), &style, (middle.0, middle.1 - 4))?;
            }
        }
        Ok(())
    }
}
