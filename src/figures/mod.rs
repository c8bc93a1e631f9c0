//! Charts as PNG and SVG: what is drawn, never what is measured.
//!
//! A chart is a record of what it shows. The font is built in and nothing depends on time or machine,
//! so that the same record gives the same bytes.

mod axis;
mod bars;
mod calendar;
mod clocks;
mod facet;
mod facets;
mod frame;
mod grid;
mod heat;
mod histogram;
mod legend;
mod lettering;
mod marks;
mod numbers;
mod ranking;
mod rates;
mod render;
mod scatter;
mod style;
mod ticks;

pub use axis::{Axis, Scale};
pub use bars::Bars;
pub use calendar::{Calendar, Cell};
pub use clocks::{Clock, Clocks, Ring};
pub use facet::{Facet, Guide, Look, Point, Series};
pub use facets::{Facets, Names};
pub use grid::CodeGrid;
pub use heat::{HeatCell, HeatMap, HeatMaps};
pub use histogram::Histogram;
pub use numbers::{count, number};
pub use ranking::{Figures, Mark, Ranking};
pub use rates::{Panel, Rate, Rates};
pub use render::{Chart, FigureError, both, png, svg, write_both, write_file};
pub use scatter::{Colours, Scatter};
