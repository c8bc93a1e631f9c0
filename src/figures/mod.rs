//! Charts as PNG and SVG: what is drawn, never what is measured.
//!
//! A chart is a record of what it shows. The font is built in and nothing depends on time or machine,
//! so that the same record gives the same bytes.

mod bars;
mod calendar;
mod facets;
mod grid;
mod heat;
mod histogram;
mod legend;
mod lettering;
mod ranking;
mod rates;
mod render;
mod scatter;
mod style;
mod ticks;

pub use bars::Bars;
pub use calendar::{Calendar, Cell};
pub use facets::{Axis, Facet, Facets, Guide, Look, Point, Series};
pub use grid::CodeGrid;
pub use heat::{HeatCell, HeatMap, HeatMaps};
pub use histogram::Histogram;
pub use ranking::{Bar, Figures, Ranking};
pub use rates::{Panel, Rate, Rates};
pub use render::{Chart, FigureError, png, svg, write_both, write_file};
pub use scatter::{Colours, Scatter};
