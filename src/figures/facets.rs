//! Panels side by side: training curves, sweeps, rate against distortion.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::facet::Facet;
use super::legend::{self, Entry, FAILED, Legend, MARGIN, Sign};
use super::render::Chart;
use super::style::TICK;

/// Where the names of series stand; those of guides and marks that all panels share stand above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Above the panels, once for all.
    #[default]
    Above,
    /// Below them with all others, so that panels of several charts lie side by side.
    Below,
    /// In each panel, where a colour means another thing in each.
    Inside,
}

/// The chart.
#[derive(Clone, Debug)]
pub struct Facets {
    /// Title.
    pub title: String,
    /// Lines below the panels.
    pub notes: Vec<String>,
    /// How many stand side by side.
    pub columns: usize,
    /// Width and height of a panel, pixels.
    pub facet: (u32, u32),
    /// Where the series are named.
    pub names: Names,
    /// The panels, row by row.
    pub facets: Vec<Facet>,
}

/// Entries without those that are named already.
fn once(entries: impl IntoIterator<Item = Entry>) -> Vec<Entry> {
    let mut once: Vec<Entry> = Vec::new();
    for entry in entries {
        if !entry.name.is_empty() && once.iter().all(|known| known.name != entry.name) {
            once.push(entry);
        }
    }
    once
}

impl Facets {
    /// The legends above, below, and in each panel.
    fn legends(&self) -> (Vec<Entry>, Legend, Vec<Legend>) {
        let series = once(self.facets.iter().flat_map(Facet::named));
        let guides = self.facets.iter().flat_map(Facet::guided);
        let best = self.facets.iter().any(|facet| facet.best.is_some());
        let best = best.then(|| Entry::new("best", Sign::Ring));
        let failed = self.facets.iter().any(|facet| !facet.failures.is_empty());
        let rest = guides.chain(best).chain(failed.then(|| Entry::new(FAILED, Sign::Cross)));
        let (above, below) = match self.names {
            Names::Above => (once(series.into_iter().chain(rest)), Vec::new()),
            Names::Below => (Vec::new(), once(series.into_iter().chain(rest))),
            Names::Inside => (once(rest), Vec::new()),
        };
        let inside = |facet: &Facet| {
            let entries = if self.names == Names::Inside { once(facet.named()) } else { Vec::new() };
            Legend { entries, size: TICK, span: (MARGIN, self.facet.0 as i32 - 8) }
        };
        let below = Legend { size: TICK, ..Legend::of_chart(below, self.across()) };
        (above, below, self.facets.iter().map(inside).collect())
    }

    fn rows(&self) -> u32 {
        self.facets.len().div_ceil(self.columns) as u32
    }

    fn across(&self) -> u32 {
        self.facet.0 * self.columns.min(self.facets.len()).max(1) as u32
    }
}

/// Height of the highest of the panels' legends: plots beside each other are of one height.
fn highest(legends: &[Legend]) -> u32 {
    legends.iter().map(Legend::height).max().unwrap_or(0) as u32
}

impl Chart for Facets {
    fn size(&self) -> (u32, u32) {
        let (above, below, inside) = self.legends();
        let head = legend::height(&self.title, &above, self.across());
        let body = self.rows() * (self.facet.1 + highest(&inside)) + below.height() as u32;
        (self.across(), head + body + legend::foot_height(&self.notes, self.across()))
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let (above, below, inside) = self.legends();
        let head = legend::draw(area, &self.title, &above, self.across())?;
        let height = self.facet.1 + highest(&inside);
        for (place, (facet, legend)) in self.facets.iter().zip(&inside).enumerate() {
            let (column, row) = ((place % self.columns) as u32, (place / self.columns) as u32);
            let corner = ((column * self.facet.0) as i32, (head + row * height) as i32);
            let part = area.clone().shrink(corner, (self.facet.0, height));
            facet.draw(&part, legend, highest(&inside) as i32)?;
        }
        let foot = (head + self.rows() * height) as i32;
        below.draw(area, foot)?;
        legend::draw_foot(area, &self.notes, self.across(), foot + below.height())
    }
}
