//! Title and legend of a chart, notes below it.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::lettering::width;
use super::marks::{colour, hollow, is_dashed, triangle};
use super::render::Painted;
use super::style::{EXPECTED, FAINT, LABEL, TICK, TITLE, WRONG, text};

/// How an entry looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    /// A line of the colour at this place.
    Line(usize),
    /// A line with a mark.
    Marked(usize),
    /// The mark of this place.
    Mark(usize),
    /// A dot.
    Dot(RGBColor),
    /// A triangle.
    Triangle(RGBColor),
    /// A patch.
    Patch(RGBColor),
    /// The line that others are read against.
    Guide,
    /// The same, where it slants.
    Bound,
    /// The best of a grid, in a map.
    Frame,
    /// The best of a grid, on a line.
    Ring,
    /// A failure.
    Cross,
    /// What is not there yet.
    Ellipsis,
}

/// An entry of a legend.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its words.
    pub name: String,
    /// Its sign.
    pub sign: Sign,
}

/// The words for trials that failed, in every chart.
pub const FAILED: &str = "failed or diverged";

/// Room at the sides of titles and notes.
pub const MARGIN: i32 = 18;
/// Width of a sign, and where the words beside it begin.
const SIGN: i32 = 30;
const WORDS: i32 = SIGN + 8;

impl Entry {
    /// An entry.
    pub fn new(name: &str, sign: Sign) -> Self {
        Self { name: name.to_owned(), sign }
    }

    fn draw_sign<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        (left, middle): (i32, i32),
        size: i32,
    ) -> Painted<DB> {
        let (start, end) = ((left, middle), (left + SIGN, middle));
        let half = (left + SIGN / 2, middle);
        let patch = [(left + 4, middle - 8), (left + SIGN - 4, middle + 8)];
        let line = |from, to, style: ShapeStyle| area.draw(&PathElement::new(vec![from, to], style));
        match self.sign {
            Sign::Line(place) | Sign::Marked(place) => {
                let style = colour(place).stroke_width(3);
                if is_dashed(place) {
                    line(start, (left + 12, middle), style)?;
                    line((left + 18, middle), end, style)?;
                } else {
                    line(start, end, style)?;
                }
                if matches!(self.sign, Sign::Marked(_)) {
                    area.draw(&Circle::new(half, 5, colour(place).filled()))?;
                }
            }
            Sign::Mark(place) => hollow(area, half, place)?,
            Sign::Dot(colour) => area.draw(&Circle::new(half, 5, colour.filled()))?,
            Sign::Triangle(colour) => triangle(area, half, colour)?,
            Sign::Patch(colour) => area.draw(&Rectangle::new(patch, colour.filled()))?,
            Sign::Guide => {
                for from in (left..left + SIGN).step_by(11) {
                    line((from, middle), (from + 7, middle), EXPECTED.stroke_width(2))?;
                }
            }
            Sign::Bound => line(start, end, EXPECTED.stroke_width(2))?,
            Sign::Frame => area.draw(&Rectangle::new(patch, WRONG.stroke_width(3)))?,
            Sign::Ring => area.draw(&Circle::new(half, 8, WRONG.stroke_width(2)))?,
            Sign::Cross => area.draw(&Cross::new(half, 6, WRONG.stroke_width(2)))?,
            Sign::Ellipsis => {
                area.draw(&Rectangle::new(patch, FAINT.mix(0.5).filled()))?;
                area.draw_text("…", &text(size, BLACK, HPos::Center, VPos::Center), half)?;
            }
        }
        Ok(())
    }
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

/// Entries in rows.
#[derive(Clone, Debug)]
pub struct Legend {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Size of their words.
    pub size: i32,
    /// From where to where they reach, pixels.
    pub span: (i32, i32),
}

impl Legend {
    /// A legend as wide as a chart.
    pub fn of_chart(entries: Vec<Entry>, across: u32) -> Self {
        Self { entries, size: LABEL, span: (MARGIN, across as i32 - MARGIN) }
    }

    fn line(&self) -> i32 {
        self.size + 8
    }

    /// An entry's words in lines.
    fn lines(&self, entry: &Entry) -> Vec<String> {
        wrapped(&entry.name, self.size, self.span.1 - self.span.0 - WORDS)
    }

    /// Where each entry stands, and how many rows there are. One whose words need several rows has them alone.
    fn places(&self) -> (Vec<(i32, i32)>, i32) {
        let (from, to) = self.span;
        let (mut left, mut row) = (from, 0);
        let place = |entry: &Entry| {
            let needed = WORDS + width(&entry.name, self.size);
            if left > from && left + needed > to {
                (left, row) = (from, row + 1);
            }
            let place = (left, row);
            row += self.lines(entry).len() as i32 - 1;
            left += needed + 24;
            place
        };
        let places: Vec<(i32, i32)> = self.entries.iter().map(place).collect();
        (places, if self.entries.is_empty() { 0 } else { row + 1 })
    }

    /// Its height, pixels.
    pub fn height(&self) -> i32 {
        self.line() * self.places().1
    }

    /// Draws it from this height on.
    pub fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, top: i32) -> Painted<DB> {
        for (entry, (left, row)) in self.entries.iter().zip(self.places().0) {
            let middle = |line: usize| top + (row + line as i32) * self.line() + self.line() / 2;
            entry.draw_sign(area, (left, middle(0)), self.size)?;
            for (line, words) in self.lines(entry).iter().enumerate() {
                let style = text(self.size, BLACK, HPos::Left, VPos::Center);
                area.draw_text(words, &style, (left + WORDS, middle(line)))?;
            }
        }
        Ok(())
    }
}

fn title_lines(title: &str, across: u32) -> Vec<String> {
    wrapped(title, TITLE, across as i32 - 2 * MARGIN)
}

/// Height of title and legend, pixels.
pub fn height(title: &str, entries: &[Entry], across: u32) -> u32 {
    let legend = Legend::of_chart(entries.to_vec(), across);
    (24 + 28 * title_lines(title, across).len() as i32 + legend.height()) as u32
}

/// Draws both; their height.
pub fn draw<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    title: &str,
    entries: &[Entry],
    across: u32,
) -> Result<u32, DrawingAreaErrorKind<DB::ErrorType>> {
    let lines = title_lines(title, across);
    for (place, line) in lines.iter().enumerate() {
        area.draw_text(line, &text(TITLE, BLACK, HPos::Left, VPos::Top), (MARGIN, 12 + 28 * place as i32))?;
    }
    Legend::of_chart(entries.to_vec(), across).draw(area, 14 + 28 * lines.len() as i32)?;
    Ok(height(title, entries, across))
}

fn foot_lines(notes: &[String], across: u32) -> Vec<String> {
    notes.iter().flat_map(|note| wrapped(note, TICK, across as i32 - 2 * MARGIN)).collect()
}

/// Height of the notes, pixels.
pub fn foot_height(notes: &[String], across: u32) -> u32 {
    if notes.is_empty() { 0 } else { 8 + 22 * foot_lines(notes, across).len() as u32 }
}

/// Draws the notes from this height on.
pub fn draw_foot<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    notes: &[String],
    across: u32,
    top: i32,
) -> Painted<DB> {
    for (place, note) in foot_lines(notes, across).iter().enumerate() {
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
        let entries = ["one name", "another name", "a third name"].map(|name| Entry::new(name, Sign::Guide));
        let rows = |across| Legend::of_chart(entries.to_vec(), across).places().1;
        assert_eq!(rows(2000), 1);
        assert_eq!(rows(200), 3);
        // Words that do not fit either.
        assert!(rows(120) > 3);
        assert_eq!(wrapped("a bb ccc", 20, 1), ["a", "bb", "ccc"]);
    }
}
