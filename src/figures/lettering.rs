//! Backends that set text from the outlines of the built-in font, so that PNG and SVG agree to the pixel and
//! an SVG looks the same where the font is not installed.
//!
//! In an SVG each glyph is an outline, defined once; the words are kept as labels for searches and screen readers.
//! By hand for that reason: usvg turns text into outlines as well, but writes those of every word again and drops the
//! words. `ab_glyph` reads the font and fills the outlines.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, GlyphId, Outline, OutlineCurve, Point, PxScale, point};
use plotters::prelude::{BitMapBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontTransform,
};

use crate::printable::printable;

/// Pixels of a PNG for one of the chart, on each axis: text and slanted lines read well when it is enlarged.
pub const DENSITY: u32 = 2;

/// Height of an em as a share of the size that charts name.
const EM: f32 = 0.86;

/// The built-in font, where its bytes are one.
fn font() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(dejavu::sans::regular()).ok()).as_ref()
}

/// Width of a text of this size, pixels.
pub fn width(text: &str, size: i32) -> i32 {
    font().map_or(0, |font| {
        let line = Line::new(font, text);
        (line.advance * EM * size as f32 / line.units).ceil() as i32
    })
}

/// A text's glyphs on a line that starts at 0, in the font's own units.
struct Line {
    glyphs: Vec<(GlyphId, f32)>,
    advance: f32,
    units: f32,
}

impl Line {
    fn new(font: &FontRef<'static>, text: &str) -> Self {
        let (mut glyphs, mut advance, mut before) = (Vec::new(), 0.0, None);
        for glyph in text.chars().map(|letter| font.glyph_id(letter)) {
            advance += before.map_or(0.0, |before| font.kern_unscaled(before, glyph));
            glyphs.push((glyph, advance));
            advance += font.h_advance_unscaled(glyph);
            before = Some(glyph);
        }
        Self { glyphs, advance, units: font.units_per_em().unwrap_or(2048.0) }
    }

    /// Where the line's start stands from the point that the text is anchored at, in ems and pixels.
    fn start<S: BackendTextStyle>(&self, style: &S) -> (f32, f32) {
        let em = em(style);
        let left = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -0.5,
            HPos::Right => -1.0,
        };
        // Capitals and digits are 0.73 em high, descenders go down 0.24 em.
        let down = match style.anchor().v_pos {
            VPos::Top => 0.76,
            VPos::Center => 0.365,
            VPos::Bottom => -0.24,
        };
        (left * self.advance * em / self.units, down * em)
    }
}

fn em<S: BackendTextStyle>(style: &S) -> f32 {
    EM * style.size() as f32
}

/// Fonts and drawing can fail in one way that matters here: not at all.
type Drawn<E> = Result<(), DrawingErrorKind<E>>;

/// The outlines of an SVG's texts, filled while it is drawn.
#[derive(Clone, Default)]
pub struct Lettering(Rc<RefCell<Texts>>);

#[derive(Default)]
struct Texts {
    glyphs: BTreeMap<u16, String>,
    lines: String,
}

impl Lettering {
    /// The SVG with its texts, which stand above all else.
    pub fn into(self, svg: &str) -> String {
        let texts = self.0.borrow();
        let glyphs = texts.glyphs.iter().fold(String::new(), |mut all, (id, path)| {
            let _ = writeln!(all, "<path id=\"glyph{id}\" d=\"{path}\"/>");
            all
        });
        let body = svg.trim_end().strip_suffix("</svg>").unwrap_or(svg);
        format!("{body}<defs>\n{glyphs}</defs>\n{}</svg>\n", texts.lines)
    }

    fn add<S: BackendTextStyle>(&self, text: &str, style: &S, (x, y): BackendCoord) {
        let Some(font) = font() else { return };
        let line = Line::new(font, text);
        let (left, down) = line.start(style);
        let turn = match style.transform() {
            FontTransform::Rotate90 => " rotate(90)",
            FontTransform::Rotate180 => " rotate(180)",
            FontTransform::Rotate270 => " rotate(270)",
            FontTransform::None => "",
        };
        let scale = em(style) / line.units;
        let (red, green, blue) = style.color().rgb;
        let mut texts = self.0.borrow_mut();
        // Control characters are not allowed in XML.
        let label = printable(text)
            .replace(['\n', '\t'], " ")
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;");
        // Writing to a string does not fail.
        let _ = write!(
            texts.lines,
            "<g role=\"img\" aria-label=\"{label}\" fill=\"#{red:02X}{green:02X}{blue:02X}\" transform=\"translate({x},{y}){turn} \
             translate({left:.2},{down:.2}) scale({scale:.6},-{scale:.6})\">"
        );
        for (glyph, at) in &line.glyphs {
            if let Some(outline) = font.outline(*glyph) {
                texts.glyphs.entry(glyph.0).or_insert_with(|| path(&outline));
                let _ = write!(texts.lines, "<use href=\"#glyph{}\" x=\"{at:.0}\"/>", glyph.0);
            }
        }
        texts.lines += "</g>\n";
    }
}

/// An outline in SVG's words.
fn path(outline: &Outline) -> String {
    let (mut path, mut at) = (String::new(), None);
    for curve in &outline.curves {
        let (from, to) = match curve {
            OutlineCurve::Line(from, to) | OutlineCurve::Quad(from, _, to) | OutlineCurve::Cubic(from, _, _, to) => {
                (*from, *to)
            }
        };
        if at != Some(from) {
            let _ = write!(path, "M{:.0} {:.0}", from.x, from.y);
        }
        let _ = match curve {
            OutlineCurve::Line(..) => write!(path, "L{:.0} {:.0}", to.x, to.y),
            OutlineCurve::Quad(_, a, _) => write!(path, "Q{:.0} {:.0} {:.0} {:.0}", a.x, a.y, to.x, to.y),
            OutlineCurve::Cubic(_, a, b, _) => {
                write!(path, "C{:.0} {:.0} {:.0} {:.0} {:.0} {:.0}", a.x, a.y, b.x, b.y, to.x, to.y)
            }
        };
        at = Some(to);
    }
    path
}

/// An SVG whose texts go to a [`Lettering`].
pub struct Outlined<'a> {
    inner: SVGBackend<'a>,
    lettering: Lettering,
}

impl<'a> Outlined<'a> {
    /// Draws into this text; the lettering has to be put in afterwards.
    pub fn new(svg: &'a mut String, size: (u32, u32), lettering: Lettering) -> Self {
        Self { inner: SVGBackend::with_string(svg, size), lettering }
    }
}

impl<'a> DrawingBackend for Outlined<'a> {
    type ErrorType = <SVGBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.inner.get_size()
    }

    fn ensure_prepared(&mut self) -> Drawn<Self::ErrorType> {
        self.inner.ensure_prepared()
    }

    fn present(&mut self) -> Drawn<Self::ErrorType> {
        self.inner.present()
    }

    fn draw_pixel(&mut self, at: BackendCoord, colour: BackendColor) -> Drawn<Self::ErrorType> {
        self.inner.draw_pixel(at, colour)
    }

    fn draw_line<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S) -> Drawn<Self::ErrorType> {
        self.inner.draw_line(a, b, style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        a: BackendCoord,
        b: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn<Self::ErrorType> {
        self.inner.draw_rect(a, b, style, fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn<Self::ErrorType> {
        self.inner.draw_path(path, style)
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        centre: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn<Self::ErrorType> {
        self.inner.draw_circle(centre, radius, style, fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Drawn<Self::ErrorType> {
        self.inner.fill_polygon(corners, style)
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn<Self::ErrorType> {
        self.lettering.add(text, style, at);
        Ok(())
    }
}

/// A bitmap of [`DENSITY`] pixels for each of the chart's.
pub struct Dense<'a>(BitMapBackend<'a>);

impl<'a> Dense<'a> {
    /// Draws into these pixels, red, green and blue of each, row by row.
    pub fn new(pixels: &'a mut [u8], (width, height): (u32, u32)) -> Self {
        Self(BitMapBackend::with_buffer(pixels, (width * DENSITY, height * DENSITY)))
    }
}

/// A style whose strokes are as much wider.
struct Wide<'s, S>(&'s S);

impl<S: BackendStyle> BackendStyle for Wide<'_, S> {
    fn color(&self) -> BackendColor {
        self.0.color()
    }

    fn stroke_width(&self) -> u32 {
        self.0.stroke_width() * DENSITY
    }
}

fn dense((x, y): BackendCoord) -> BackendCoord {
    (x * DENSITY as i32, y * DENSITY as i32)
}

impl<'a> DrawingBackend for Dense<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        let (width, height) = self.0.get_size();
        (width / DENSITY, height / DENSITY)
    }

    fn ensure_prepared(&mut self) -> Drawn<Self::ErrorType> {
        self.0.ensure_prepared()
    }

    fn present(&mut self) -> Drawn<Self::ErrorType> {
        self.0.present()
    }

    fn draw_pixel(&mut self, at: BackendCoord, colour: BackendColor) -> Drawn<Self::ErrorType> {
        self.draw_rect(at, (at.0 + 1, at.1 + 1), &colour, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S) -> Drawn<Self::ErrorType> {
        self.draw_path([a, b], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        a: BackendCoord,
        b: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn<Self::ErrorType> {
        if fill {
            return self.0.draw_rect(dense(a), dense(b), &style.color(), true);
        }
        // Four strokes that overlap at the corners.
        let wide = Wide(style).stroke_width() as i32;
        let ((left, top), (right, bottom)) = (dense(a), dense(b));
        let (near, far) = (wide / 2, wide - wide / 2);
        for (from, to) in [
            ((left - near, top - near), (right + far, top + far)),
            ((left - near, bottom - near), (right + far, bottom + far)),
            ((left - near, top - near), (left + far, bottom + far)),
            ((right - near, top - near), (right + far, bottom + far)),
        ] {
            self.0.draw_rect(from, (to.0 - 1, to.1 - 1), &style.color(), true)?;
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn<Self::ErrorType> {
        self.0.draw_path(path.into_iter().map(dense), &Wide(style))
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        centre: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn<Self::ErrorType> {
        self.0.draw_circle(dense(centre), radius * DENSITY, &Wide(style), fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Drawn<Self::ErrorType> {
        self.0.fill_polygon(corners.into_iter().map(dense), style)
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn<Self::ErrorType> {
        let Some(font) = font() else { return Ok(()) };
        let line = Line::new(font, text);
        let (left, down) = line.start(style);
        let density = DENSITY as f32;
        let (across, height) = self.0.get_size();
        let em = em(style) * density;
        // The font's height, which its pixel scale means, is another than that of an em.
        let scale = PxScale::from(em * font.height_unscaled() / line.units);
        let (colour, at) = (style.color(), dense(at));
        for (glyph, place) in &line.glyphs {
            let origin: Point = point(left * density + place * em / line.units, down * density);
            let Some(outlined) = font.outline_glyph(glyph.with_scale_and_position(scale, origin)) else { continue };
            let corner = outlined.px_bounds().min;
            let mut pixels = Vec::new();
            // Sixteen shades look as smooth as more, and let most charts do with a palette.
            outlined.draw(|x, y, cover| pixels.push((x as i32, y as i32, (15.0 * cover.min(1.0)).round() / 15.0)));
            for (x, y, cover) in pixels {
                let turned = style.transform().transform(x + corner.x as i32, y + corner.y as i32);
                let pixel = (at.0 + turned.0, at.1 + turned.1);
                let inside = (0..across as i32).contains(&pixel.0) && (0..height as i32).contains(&pixel.1);
                if inside && cover > 0.0 {
                    self.0.draw_pixel(pixel, colour.mix(f64::from(cover)))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_text_takes_more_room_and_sizes_scale_it() {
        assert!(width("mm", 16) > width("ii", 16));
        // A figure of DejaVu Sans is 1,303 of 2,048 units wide.
        assert_eq!(width("00", 100), (2.0f32 * 1303.0 * 86.0 / 2048.0).ceil() as i32);
    }

    #[test]
    fn an_outline_starts_each_of_its_contours() {
        let font = font().unwrap();
        let path = path(&font.outline(font.glyph_id('o')).unwrap());
        assert_eq!(path.matches('M').count(), 2, "{path}");
    }
}
