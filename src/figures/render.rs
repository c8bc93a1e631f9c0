//! From a chart to the bytes of a PNG or an SVG, and to files.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use super::lettering::{DENSITY, Dense, Lettering, Outlined};
use super::style;
use crate::files::{self, FileError};

/// What drawing comes to.
pub(super) type Painted<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// Something that can be drawn.
pub trait Chart {
    /// Width and height, pixels.
    fn size(&self) -> (u32, u32);

    /// Draws on a white area of that size.
    ///
    /// # Errors
    /// Those of the backend.
    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>>;
}

/// Why a chart could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// The backend failed.
    #[error("the chart could not be drawn: {0}")]
    Draw(String),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A name that says neither PNG nor SVG.
    #[error("{0}: charts are written as .png or .svg; name such a file, or a folder for both")]
    Extension(PathBuf),
}

fn drawn<C: Chart, DB: DrawingBackend>(chart: &C, backend: DB) -> Result<(), FigureError> {
    style::install_font();
    let area = backend.into_drawing_area();
    let draw = || {
        area.fill(&WHITE)?;
        chart.draw(&area)?;
        area.present()
    };
    draw().map_err(|error: DrawingAreaErrorKind<DB::ErrorType>| FigureError::Draw(error.to_string()))
}

/// The chart as an SVG.
///
/// # Errors
/// When it can't be drawn.
pub fn svg(chart: &impl Chart) -> Result<String, FigureError> {
    let mut text = String::new();
    let lettering = Lettering::default();
    drawn(chart, Outlined::new(&mut text, chart.size(), lettering.clone()))?;
    Ok(lettering.into(&text))
}

/// The chart as a PNG.
///
/// # Errors
/// When it can't be drawn.
pub fn png(chart: &impl Chart) -> Result<Vec<u8>, FigureError> {
    let (width, height) = chart.size();
    let size = (width * DENSITY, height * DENSITY);
    let mut pixels = vec![255; 3 * size.0 as usize * size.1 as usize];
    drawn(chart, Dense::new(&mut pixels, chart.size()))?;
    encoded(&pixels, size).map_err(|error| FigureError::Draw(error.to_string()))
}

/// Pixels as a PNG, with a palette where 256 colours are enough: a third of the bytes.
fn encoded(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    match indexed(pixels) {
        Some((palette, places)) => {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(palette);
            // Neighbouring places in a palette mean nothing.
            encoder.set_filter(png::Filter::NoFilter);
            encoder.write_header()?.write_image_data(&places)?;
        }
        None => {
            encoder.set_color(png::ColorType::Rgb);
            encoder.set_filter(png::Filter::Adaptive);
            encoder.write_header()?.write_image_data(pixels)?;
        }
    }
    Ok(bytes)
}

/// The colours in the order in which they come, and each pixel's place among them; none where there are too many.
fn indexed(pixels: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut known: HashMap<&[u8], u8> = HashMap::new();
    let mut palette = Vec::new();
    let mut places = Vec::with_capacity(pixels.len() / 3);
    for pixel in pixels.chunks_exact(3) {
        let next = known.len();
        let place = match known.get(pixel) {
            Some(place) => *place,
            None => {
                let place = u8::try_from(next).ok()?;
                known.insert(pixel, place);
                palette.extend_from_slice(pixel);
                place
            }
        };
        places.push(place);
    }
    Some((palette, places))
}

/// Writes the chart to a file whose extension says how.
///
/// # Errors
/// When the extension is neither png nor svg, or the chart can't be drawn or written.
pub fn write_file(chart: &impl Chart, path: &Path) -> Result<(), FigureError> {
    let bytes = match path.extension().and_then(|extension| extension.to_str()) {
        Some("png") => png(chart)?,
        Some("svg") => svg(chart)?.into_bytes(),
        _ => return Err(FigureError::Extension(path.to_owned())),
    };
    Ok(files::replace(path, |partial| fs::write(partial, &bytes))?)
}

/// The files of a chart in a folder.
pub fn both(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["png", "svg"].map(|extension| folder.join(format!("{name}.{extension}")))
}

/// Writes the chart to a folder as `name.png` and `name.svg`; the paths of both.
///
/// # Errors
/// When the chart can't be drawn or written.
pub fn write_both(chart: &impl Chart, folder: &Path, name: &str) -> Result<[PathBuf; 2], FigureError> {
    files::make_folder(folder)?;
    let paths = both(folder, name);
    paths.iter().try_for_each(|path| write_file(chart, path))?;
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Bars, Calendar, Cell, CodeGrid, Colours, Histogram, Panel, Rate, Rates, Scatter};
    use crate::figures::{Clock, Clocks, Ring};

    fn twice(chart: &impl Chart) -> (Vec<u8>, String) {
        let first = (png(chart).unwrap(), svg(chart).unwrap());
        assert_eq!(first, (png(chart).unwrap(), svg(chart).unwrap()));
        assert!(first.0.starts_with(b"\x89PNG"));
        // Letters are outlines: an SVG needs no font.
        assert!(first.1.contains("<use href") && !first.1.contains("<text"));
        first
    }

    #[test]
    fn every_chart_is_drawn_the_same_twice() {
        let cell = |day, count, valid| Cell { year: 1960, day, count, valid };
        let calendar = Calendar {
            title: "a title".to_owned(),
            month: "JAN".to_owned(),
            years: (1960, 1969),
            cells: vec![cell(1, 5, true), cell(2, 0, true), cell(9, 2, false)],
            expected: 3.5,
            elsewhere: 1,
        };
        assert!(twice(&calendar).1.contains("a title"));
        // What was generated beyond the years that are shown stands nowhere, above all not on the legend.
        let mut beyond = calendar.clone();
        beyond.cells.extend([1959, 1970, 1975].map(|year| Cell { year, ..cell(3, 7, false) }));
        assert_eq!(twice(&beyond), twice(&calendar));
        let histogram = Histogram {
            title: "coverage".to_owned(),
            x: "coverage".to_owned(),
            perfect: vec![0.5],
            values: vec![0.1, 0.5, 0.5, 0.9],
            range: (0.0, 1.0),
            expected: 0.8,
        };
        twice(&histogram);
        let rate = |name: &str, mean| Rate { name: name.to_owned(), mean, half_width: 0.01, worst: mean - 0.1 };
        let panel = |name: &str| Panel { name: name.to_owned(), rates: vec![rate("MON", 0.9), rate("TUE", 1.0)] };
        let panels = ["weekday", "month", "leap", "decade"].map(panel).to_vec();
        twice(&Rates { title: "pass rate".to_owned(), panels });
        let ring =
            |names: &[&str]| Ring { angles: vec![0.0, 2.0], names: names.iter().map(|name| (*name).into()).collect() };
        let clock = Clock { title: "angle 1".to_owned(), rings: vec![ring(&["MON", "TUE"]), ring(&[])] };
        let columns = vec!["weekday".to_owned(), "month".to_owned()];
        let clocks = Clocks { title: "week".to_owned(), ticks: 7, columns, clocks: vec![clock; 5] };
        assert!(twice(&clocks).1.contains("MON"));
        let bars = Bars { title: "KL".to_owned(), values: vec![1.0, 0.0], active: vec![true, false] };
        twice(&bars);
        let points = vec![[0.0, 1.0], [1.0, 0.0]];
        for colours in [
            Colours::Scale { name: "day".to_owned(), values: vec![1.0, 31.0], range: (1.0, 31.0) },
            Colours::Groups {
                title: "group".to_owned(),
                of_point: vec![0, 1],
                names: vec!["one".to_owned(), "two".to_owned()],
            },
        ] {
            twice(&Scatter { title: "means".to_owned(), shares: [0.6, 0.4], points: points.clone(), colours });
        }
        let grid = CodeGrid {
            title: "codes".to_owned(),
            range: (-3.0, 3.0),
            side: 2,
            cells: vec![Some(0), Some(1), None, Some(1)],
            dates: vec!["1-1-1960".to_owned(), "8-1-1960".to_owned()],
        };
        twice(&grid);
    }

    #[test]
    fn few_colours_are_indexed_and_many_are_not() {
        let (palette, places) = indexed(&[1, 2, 3, 0, 0, 0, 1, 2, 3]).unwrap();
        assert_eq!((palette, places), (vec![1, 2, 3, 0, 0, 0], vec![0, 1, 0]));
        let many: Vec<u8> = (0..=256u16).flat_map(|colour| [(colour >> 8) as u8, colour as u8, 0]).collect();
        assert!(indexed(&many).is_none() && indexed(&many[..768]).is_some());
    }

    #[test]
    fn a_name_that_says_no_format_is_refused() {
        let bars = Bars { title: String::new(), values: vec![1.0], active: vec![true] };
        let error = write_file(&bars, Path::new("chart.pdf")).unwrap_err().to_string();
        assert!(error.contains(".png or .svg"), "{error}");
    }
}
