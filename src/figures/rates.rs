//! Pass rates by each field of the condition, in four panels on one axis.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::render::Chart;
use super::style::{FONT, GOOD, GRID, LABEL, TICK, TITLE, WRONG, text};

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

/// Height of the title, pixels.
const HEAD: i32 = 78;

impl Chart for Rates {
    fn size(&self) -> (u32, u32) {
        (1200, 900)
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let (head, body) = area.split_vertically(HEAD);
        head.draw_text(&self.title, &text(TITLE, BLACK, HPos::Left, VPos::Top), (24, 14))?;
        let words =
            |at: i32, words: &str| head.draw_text(words, &text(LABEL, BLACK, HPos::Left, VPos::Center), (at, 58));
        head.draw(&Circle::new((34, 58), 5, GOOD.filled()))?;
        words(48, "mean over conditions, with its 95 % interval")?;
        head.draw(&TriangleMarker::new((470, 58), 6, WRONG.filled()))?;
        words(484, "worst condition")?;
        let worst = self.panels.iter().flat_map(|panel| &panel.rates).map(|rate| rate.worst).fold(0.99, f64::min);
        // Room below the worst, and a hundredth at the least, so that the ticks of a perfect model differ; the axis never hides how far from 1 it is, since its ticks name the rates.
        let low = (worst - 0.06 * (1.0 - worst).max(1e-3)).max(-0.02);
        let high = 1.0 + 0.06 * (1.0 - low);
        let (upper, lower) = body.split_vertically(400);
        let (left, rest) = upper.split_horizontally(420);
        let (middle, right) = rest.split_horizontally(530);
        for (panel, area) in self.panels.iter().zip([left, middle, right, lower]) {
            draw_panel(panel, &area, low..high)?;
        }
        Ok(())
    }
}

fn draw_panel<DB: DrawingBackend>(
    panel: &Panel,
    area: &DrawingArea<DB, Shift>,
    range: std::ops::Range<f64>,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    let count = panel.rates.len();
    let (low, high) = (range.start, range.end);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(58)
        .y_label_area_size(86)
        .build_cartesian_2d(-0.5..count as f64 - 0.5, range)?;
    let name = |place: &f64| {
        let whole = (place - place.round()).abs() < 1e-9;
        let rate = whole.then(|| panel.rates.get(place.round() as usize)).flatten();
        // Of many values every other has a label.
        rate.filter(|_| count <= 20 || (place.round() as usize).is_multiple_of(2))
            .map_or_else(String::new, |rate| rate.name.clone())
    };
    let digits = if high - low < 0.05 { 3 } else { 2 };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_labels(2 * count + 1)
        .y_labels(8)
        .x_label_formatter(&name)
        .y_label_formatter(&|value| if *value > 1.0 + 1e-9 { String::new() } else { format!("{value:.digits$}") })
        .x_desc(&panel.name)
        .y_desc("pass rate")
        .axis_desc_style((FONT, LABEL))
        .label_style((FONT, TICK - 2))
        .draw()?;
    let places = || panel.rates.iter().enumerate().map(|(place, rate)| (place as f64, rate));
    chart.draw_series(places().map(|(x, rate)| TriangleMarker::new((x, rate.worst), 6, WRONG.filled())))?;
    chart.draw_series(places().filter(|(_, rate)| rate.half_width.is_finite()).map(|(x, rate)| {
        let ends = vec![(x, (rate.mean - rate.half_width).max(low)), (x, (rate.mean + rate.half_width).min(high))];
        PathElement::new(ends, GOOD.stroke_width(2))
    }))?;
    chart.draw_series(places().map(|(x, rate)| Circle::new((x, rate.mean), 5, GOOD.filled())))?;
    Ok(())
}
