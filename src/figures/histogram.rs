//! A histogram over conditions, over that of a perfect sampler.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::frame::Frame;
use super::legend::{self, Entry, Sign};
use super::lettering::width;
use super::marks::dashed;
use super::numbers::number;
use super::render::{Chart, Painted};
use super::style::{EXPECTED, FAINT, GOOD, LABEL, WRONG, text};

/// How many conditions have which value.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Title.
    pub title: String,
    /// What is counted, with its unit; a "share" is written in percent.
    pub x: String,
    /// The model's value for each condition.
    pub values: Vec<f64>,
    /// The same of a perfect sampler that drew as often.
    pub perfect: Vec<f64>,
    /// The ends of the axis.
    pub range: (f64, f64),
    /// The mean expected of a perfect sampler.
    pub expected: f64,
}

const BINS: usize = 60;

impl Histogram {
    fn counts(&self, values: &[f64]) -> Vec<u32> {
        let mut counts = vec![0; BINS];
        let (low, high) = self.range;
        for value in values {
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
        let model = Entry::new("the model", Sign::Patch(GOOD));
        let perfect = Entry::new("a perfect sampler", Sign::Patch(FAINT));
        let counts = [&self.perfect, &self.values].map(|values| self.counts(values));
        let top = f64::from(counts.iter().flatten().copied().max().unwrap_or(1)) * 1.25;
        let (across, down) = self.size();
        let head = legend::draw(area, &self.title, &[model, perfect], across)?;
        let body = area.clone().shrink((0, head as i32), (across, down - head));
        let x = Axis { title: self.x.clone(), share: self.is_share(), range: Some(self.range), ..Axis::default() };
        let y = Axis { title: "conditions".to_owned(), range: Some((0.0, top)), ..Axis::default() };
        let frame = Frame::new(&body, x.drawn([], 10), y.drawn([], 7), 8)?;
        // The perfect sampler's bars stay visible through the model's.
        for (counts, colour) in counts.iter().zip([FAINT.to_rgba(), GOOD.mix(0.7)]) {
            self.draw_bars(&frame, counts, colour)?;
        }
        self.draw_levels(&frame, top)
    }
}

impl Histogram {
    fn is_share(&self) -> bool {
        self.x.starts_with("share")
    }

    fn draw_bars<DB: DrawingBackend>(&self, frame: &Frame<'_, DB>, counts: &[u32], colour: RGBAColor) -> Painted<DB> {
        let (low, high) = self.range;
        let width = (high - low) / BINS as f64;
        for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let left = low + bin as f64 * width;
            let corners = (frame.at(left, f64::from(*count)), frame.at(left + width, 0.0));
            if let (Some(from), Some(to)) = corners {
                frame.area.draw(&Rectangle::new([from, to], colour.filled()))?;
            }
        }
        Ok(())
    }

    /// The mean, and in dashes above it what a perfect sampler is expected to have, so that both are seen where they
    /// are the same.
    fn draw_levels<DB: DrawingBackend>(&self, frame: &Frame<'_, DB>, top: f64) -> Painted<DB> {
        let mean = self.values.iter().sum::<f64>() / self.values.len().max(1) as f64;
        let (low, high) = self.range;
        let marks = [(mean, WRONG, "the model's mean", 0.97), (self.expected, EXPECTED, "a perfect sampler's", 0.89)];
        for (at, colour, name, height) in marks {
            let (Some(from), Some(to)) = (frame.at(at, 0.0), frame.at(at, top * height)) else { continue };
            if colour == EXPECTED {
                dashed(frame.area, &[from, to], (8.0, 6.0), colour.stroke_width(3))?;
            } else {
                frame.area.draw(&PathElement::new(vec![from, to], colour.stroke_width(3)))?;
            }
            // Each label stands on the side away from the other mark, unless there is no room for it.
            let place = (at - low) / (high - low);
            let lower = at <= mean.min(self.expected);
            let before = place > 0.75 || (lower && place > 0.25);
            let value = if self.is_share() { format!("{} %", number(100.0 * at, 2)) } else { number(at, 4) };
            let words = format!("{name} {value}");
            let room = width(&words, LABEL);
            let left = if before { to.0 - 10 - room } else { to.0 + 10 };
            // No grid line goes through the words.
            let ground = [(left - 4, to.1 - 2), (left + room + 4, to.1 + 20)];
            frame.area.draw(&Rectangle::new(ground, WHITE.filled()))?;
            frame.area.draw_text(&words, &text(LABEL, colour, HPos::Left, VPos::Top), (left, to.1))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_even_on_the_ends() {
        let histogram = Histogram {
            title: String::new(),
            x: String::new(),
            values: Vec::new(),
            perfect: Vec::new(),
            range: (0.0, 1.0),
            expected: 0.5,
        };
        let counts = histogram.counts(&[0.0, 1.0, 0.5, 1.2, -0.1]);
        assert_eq!((counts[0], counts[BINS / 2], counts[BINS - 1]), (2, 1, 2));
    }
}
