//! Charts as PNG and SVG: what is drawn, never what is measured.
//!
//! A chart is a record of what it shows. The font is built in and nothing depends on time or machine,
//! so that the same record gives the same bytes.

mod bars;
mod calendar;
mod grid;
mod histogram;
mod rates;
mod render;
mod scatter;
mod style;

pub use bars::Bars;
pub use calendar::{Calendar, Cell};
pub use grid::CodeGrid;
pub use histogram::Histogram;
pub use rates::{Panel, Rate, Rates};
pub use render::{Chart, FigureError, png, svg, write_both, write_file};
pub use scatter::{Colours, Scatter};
