//! Title and legend above a chart, notes below it.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::lettering::width;
use super::style::{EXPECTED, LABEL, PALETTE, TICK, TITLE, WRONG, text};

/// How an entry looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    /// A line of this colour.
    Line(usize),
    /// A line with a mark.
    Marked(usize),
    /// A mark.
    Dot(usize),
    /// The line that others are read against.
    Guide,
    /// A failure.
    Cross,
}

/// An entry of a legend.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its words.
    pub name: String,
    /// Its sign.
    pub sign: Sign,
}

const MARGIN: i32 = 18;
const SIGN: i32 = 30;
const LINE: i32 = 25;

/// The colour at a place, the palette over and over.
pub fn colour(place: usize) -> RGBColor {
    PALETTE[place % PALETTE.len()]
}

/// Whether the palette is used for the second time: then lines are dashed.
pub fn is_dashed(place: usize) -> bool {
    (place / PALETTE.len()) % 2 == 1
}

/// Words in lines that fit this width.
pub fn wrapped(words: &str, size: i32, room: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split(' ') {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), size) <= room => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Where each entry stands, row by row, and how many rows there are.
fn places(entries: &[Entry], across: u32) -> (Vec<(i32, i32)>, i32) {
    let (mut left, mut row) = (MARGIN, 0);
    let places = entries
        .iter()
        .map(|entry| {
            let needed = SIGN + 8 + width(&entry.name, LABEL);
            if left > MARGIN && left + needed > across as i32 - MARGIN {
                (left, row) = (MARGIN, row + 1);
            }
            let place = (left, row);
            left += needed + 26;
            place
        })
        .collect();
    (places, if entries.is_empty() { 0 } else { row + 1 })
}

/// Height of title and legend, pixels.
pub fn height(title: &str, entries: &[Entry], across: u32) -> u32 {
    let lines = wrapped(title, TITLE, across as i32 - 2 * MARGIN).len() as i32;
    (14 + 28 * lines + LINE * places(entries, across).1 + 10) as u32
}

/// Draws both; their height.
pub fn draw<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    title: &str,
    entries: &[Entry],
    across: u32,
) -> Result<u32, DrawingAreaErrorKind<DB::ErrorType>> {
    let lines = wrapped(title, TITLE, across as i32 - 2 * MARGIN);
    for (place, line) in lines.iter().enumerate() {
        area.draw_text(line, &text(TITLE, BLACK, HPos::Left, VPos::Top), (MARGIN, 12 + 28 * place as i32))?;
    }
    let top = 14 + 28 * lines.len() as i32;
    for (entry, (left, row)) in entries.iter().zip(places(entries, across).0) {
        let middle = top + row * LINE + LINE / 2;
        let (start, end) = ((left, middle), (left + SIGN, middle));
        let half = (left + SIGN / 2, middle);
        match entry.sign {
            Sign::Line(place) | Sign::Marked(place) => {
                let style = colour(place).stroke_width(3);
                if is_dashed(place) {
                    area.draw(&PathElement::new(vec![start, (left + 12, middle)], style))?;
                    area.draw(&PathElement::new(vec![(left + 18, middle), end], style))?;
                } else {
                    area.draw(&PathElement::new(vec![start, end], style))?;
                }
                if matches!(entry.sign, Sign::Marked(_)) {
                    area.draw(&Circle::new(half, 5, colour(place).filled()))?;
                }
            }
            Sign::Dot(place) => area.draw(&Circle::new(half, 5, colour(place).filled()))?,
            Sign::Guide => {
                for dash in 0..3 {
                    let from = left + 11 * dash;
                    area.draw(&PathElement::new(vec![(from, middle), (from + 7, middle)], EXPECTED.stroke_width(2)))?;
                }
            }
            Sign::Cross => area.draw(&Cross::new(half, 6, WRONG.stroke_width(2)))?,
        }
        let style = text(LABEL, BLACK, HPos::Left, VPos::Center);
        area.draw_text(&entry.name, &style, (left + SIGN + 8, middle))?;
    }
    Ok(height(title, entries, across))
}

/// Height of the notes, pixels.
pub fn foot_height(notes: &[String]) -> u32 {
    if notes.is_empty() { 0 } else { 8 + 22 * notes.len() as u32 }
}

/// Draws the notes from this height on.
pub fn draw_foot<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    notes: &[String],
    top: i32,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    for (place, note) in notes.iter().enumerate() {
        let at = (MARGIN, top + 4 + 22 * place as i32);
        area.draw_text(note, &text(TICK, EXPECTED, HPos::Left, VPos::Top), at)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_do_not_fit_go_to_the_next_row() {
        let entry = |name: &str| Entry { name: name.to_owned(), sign: Sign::Guide };
        let entries = [entry("one name"), entry("another name"), entry("a third name")];
        assert_eq!(places(&entries, 2000).1, 1);
        assert_eq!(places(&entries, 120).1, 3);
        assert_eq!(wrapped("a bb ccc", 20, 1), ["a", "bb", "ccc"]);
    }
}
