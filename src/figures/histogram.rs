//! A histogram over conditions, with the level expected of a perfect sampler.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::render::Chart;
use super::style::{EXPECTED, FONT, GOOD, GRID, LABEL, TICK, TITLE, WRONG, text};

/// How many conditions have which value.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Title.
    pub title: String,
    /// What is counted, with its unit.
    pub x: String,
    /// One value for each condition.
    pub values: Vec<f64>,
    /// The ends of the axis.
    pub range: (f64, f64),
    /// What a perfect sampler is expected to show, mean over the conditions.
    pub expected: f64,
}

const BINS: usize = 60;

impl Histogram {
    fn counts(&self) -> Vec<u32> {
        let mut counts = vec![0; BINS];
        let (low, high) = self.range;
        for value in &self.values {
            let place = ((value - low) / (high - low) * BINS as f64).floor();
            counts[(place.max(0.0) as usize).min(BINS - 1)] += 1;
        }
        counts
    }
}

impl Chart for Histogram {
    fn size(&self) -> (u32, u32) {
        (960, 560)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let counts = self.counts();
        let (low, high) = self.range;
        let top = f64::from(counts.iter().copied().max().unwrap_or(1)) * 1.25;
        let mut chart = ChartBuilder::on(area)
            .margin(18)
            .caption(&self.title, text(TITLE, BLACK, HPos::Left, VPos::Top))
            .x_label_area_size(62)
            .y_label_area_size(84)
            .build_cartesian_2d(low..high, 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_desc(&self.x)
            .y_desc("conditions")
            .axis_desc_style((FONT, LABEL))
            .label_style((FONT, TICK))
            .x_label_formatter(&|value| format!("{value:.2}"))
            .y_label_formatter(&|value| format!("{value:.0}"))
            .draw()?;
        let width = (high - low) / BINS as f64;
        chart.draw_series(counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bin, count)| {
            let left = low + bin as f64 * width;
            Rectangle::new([(left, 0.0), (left + width, f64::from(*count))], GOOD.filled())
        }))?;
        let mean = self.values.iter().sum::<f64>() / self.values.len().max(1) as f64;
        let marks = [(mean, WRONG, "mean", 0.97), (self.expected, EXPECTED, "perfect sampler", 0.90)];
        for (at, colour, name, height) in marks {
            chart.draw_series([PathElement::new(vec![(at, 0.0), (at, top * height)], colour.stroke_width(2))])?;
            // Each label stands on the side away from the other mark, unless there is no room for it.
            let place = (at - low) / (high - low);
            let lower = at <= mean.min(self.expected);
            let before = place > 0.75 || (lower && place > 0.25);
            let (side, shift) = if before { (HPos::Right, -6) } else { (HPos::Left, 6) };
            let label = Text::new(format!("{name} {at:.4}"), (shift, 0), text(LABEL, colour, side, VPos::Top));
            chart.draw_series([EmptyElement::at((at, top * height)) + label])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_even_on_the_ends() {
        let values = vec![0.0, 1.0, 0.5, 1.2, -0.1];
        let histogram = Histogram { title: String::new(), x: String::new(), values, range: (0.0, 1.0), expected: 0.5 };
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[BINS / 2], counts[BINS - 1]), (2, 1, 2));
    }
}
