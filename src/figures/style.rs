//! The look that all charts share: font, sizes, and colours that colour-blind readers can tell apart.

use std::sync::Once;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

/// The font's name, in SVGs as well.
pub const FONT: &str = "DejaVu Sans";
/// Size of titles, pixels.
pub const TITLE: i32 = 22;
/// Size of axis titles and legends, pixels.
pub const LABEL: i32 = 17;
/// Size of tick labels, pixels.
pub const TICK: i32 = 15;

/// Okabe and Ito's (2008) colours in an order that keeps neighbours far apart.
pub const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(0, 0, 0),
];
/// Tol's (2021) muted colours, for more groups than the palette has.
pub const MANY: [RGBColor; 10] = [
    RGBColor(51, 34, 136),
    RGBColor(136, 204, 238),
    RGBColor(68, 170, 153),
    RGBColor(17, 119, 51),
    RGBColor(153, 153, 51),
    RGBColor(221, 204, 119),
    RGBColor(204, 102, 119),
    RGBColor(136, 34, 85),
    RGBColor(170, 68, 153),
    RGBColor(150, 150, 150),
];
/// For what is as it should be.
pub const GOOD: RGBColor = PALETTE[0];
/// For what is wrong: vermilion.
pub const WRONG: RGBColor = PALETTE[5];
/// For what is expected of a perfect model.
pub const EXPECTED: RGBColor = RGBColor(60, 60, 60);
/// For what is there and does not count.
pub const FAINT: RGBColor = RGBColor(175, 175, 175);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(225, 225, 225);

/// Makes the built-in font known to plotters.
pub fn install_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // The bytes are a font of this program: there is nothing to be done about a failure but draw no text.
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
    });
}

/// Text of this size and colour, placed by this anchor.
pub fn text(size: i32, colour: RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour).pos(Pos::new(horizontal, vertical))
}

/// The viridis colour map (Smith and van der Walt 2015) at `share` in 0..=1, between nine of its colours.
pub fn viridis(share: f64) -> RGBColor {
    const ANCHORS: [[u8; 3]; 9] = [
        [0x44, 0x01, 0x54],
        [0x47, 0x2d, 0x7b],
        [0x3b, 0x52, 0x8b],
        [0x2c, 0x72, 0x8e],
        [0x21, 0x91, 0x8c],
        [0x28, 0xae, 0x80],
        [0x5e, 0xc9, 0x62],
        [0xad, 0xdc, 0x30],
        [0xfd, 0xe7, 0x25],
    ];
    let place = share.clamp(0.0, 1.0) * (ANCHORS.len() - 1) as f64;
    let low = (place as usize).min(ANCHORS.len() - 2);
    let part = place - low as f64;
    let mix = |channel: usize| {
        let (from, to) = (f64::from(ANCHORS[low][channel]), f64::from(ANCHORS[low + 1][channel]));
        (from + part * (to - from)).round() as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}

/// Black or white, whichever reads better on this colour.
pub fn ink_on(colour: RGBColor) -> RGBColor {
    let RGBColor(red, green, blue) = colour;
    let luminance = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
    if luminance > 140.0 { BLACK } else { WHITE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viridis_runs_from_violet_to_yellow_and_text_on_it_can_be_read() {
        assert_eq!((viridis(0.0), viridis(1.0)), (RGBColor(0x44, 1, 0x54), RGBColor(0xfd, 0xe7, 0x25)));
        assert_eq!(viridis(0.5), RGBColor(0x21, 0x91, 0x8c));
        assert_eq!((ink_on(viridis(0.0)), ink_on(viridis(1.0))), (WHITE, BLACK));
    }
}
