//! KL of each latent dimension, with the active ones marked.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::render::Chart;
use super::style::{FAINT, FONT, GOOD, GRID, LABEL, TICK, TITLE, text};

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
        let top = self.values.iter().copied().fold(0.1, f64::max) * 1.3;
        let mut chart = ChartBuilder::on(area)
            .margin(18)
            .caption(&self.title, text(TITLE, BLACK, HPos::Left, VPos::Top))
            .x_label_area_size(62)
            .y_label_area_size(84)
            .build_cartesian_2d((0..count.saturating_sub(1)).into_segmented(), 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_desc("latent dimension")
            .y_desc("mean KL, nats")
            .x_labels(count.min(32))
            .axis_desc_style((FONT, LABEL))
            .label_style((FONT, TICK))
            .x_label_formatter(&|place| match place {
                SegmentValue::CenterOf(place) => (place + 1).to_string(),
                _ => String::new(),
            })
            .y_label_formatter(&|value| format!("{value:.2}"))
            .draw()?;
        let bars = self.values.iter().zip(&self.active).enumerate();
        chart.draw_series(bars.map(|(place, (value, active))| {
            let colour = if *active { GOOD } else { FAINT };
            let ends = [(SegmentValue::Exact(place), 0.0), (SegmentValue::Exact(place + 1), *value)];
            let mut bar = Rectangle::new(ends, colour.filled());
            let margin = (400 / count.max(1)) as u32 / 4;
            bar.set_margin(0, 0, margin, margin);
            bar
        }))?;
        if count <= 16 {
            chart.draw_series(self.values.iter().enumerate().map(|(place, value)| {
                let style = text(TICK, BLACK, HPos::Center, VPos::Bottom);
                EmptyElement::at((SegmentValue::CenterOf(place), *value))
                    + Text::new(format!("{value:.2}"), (0, -4), style)
            }))?;
        }
        for (row, colour, words) in [(0, GOOD, "active: Var E[z] > 0.01"), (1, FAINT, "not active")] {
            let top = 62 + row * 28;
            area.draw(&Rectangle::new([(690, top), (708, top + 18)], colour.filled()))?;
            area.draw_text(words, &text(LABEL, BLACK, HPos::Left, VPos::Center), (718, top + 9))?;
        }
        Ok(())
    }
}
