//! The calendar heat map as text: the years of the decade by the days of the month.

use std::collections::HashMap;
use std::io;

use crate::figures::Cell;

/// Whether standard output takes colours: a terminal that can, and neither NO_COLOR nor CLICOLOR=0 is set.
pub fn takes_colour() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Shades of a valid date by count over expected count: up to 1/2, 1, 3/2, and above; each with its colour
/// among the terminal's 256, which follow viridis.
const SHADES: [(f64, char, u8); 4] = [(0.5, '░', 60), (1.0, '▒', 31), (1.5, '▓', 35), (f64::INFINITY, '█', 185)];
/// A valid date that was never generated.
const MISSING: char = '□';
/// A date that was generated and is not valid, in vermilion.
const WRONG: (char, u8) = ('✗', 166);
const NOTHING: char = '·';

/// Draws the map; 68 columns wide.
pub fn calendar(cells: &[Cell], years: (u32, u32), expected: f64, colour: bool) -> String {
    let by_day: HashMap<(u32, u32), &Cell> = cells.iter().map(|cell| ((cell.year, cell.day), cell)).collect();
    let paint =
        |glyph: char, code: u8| if colour { format!("\x1b[38;5;{code}m{glyph}\x1b[0m") } else { glyph.to_string() };
    let glyph = |cell: Option<&&Cell>| match cell {
        None => NOTHING.to_string(),
        Some(Cell { valid: false, .. }) => paint(WRONG.0, WRONG.1),
        Some(Cell { count: 0, .. }) => MISSING.to_string(),
        Some(cell) => {
            let ratio = cell.count as f64 / expected;
            let shade = SHADES.iter().find(|(limit, ..)| ratio <= *limit).unwrap_or(&SHADES[3]);
            paint(shade.1, shade.2)
        }
    };
    let mut text = String::from("      ");
    // Every day has two columns; every fifth has its number.
    for day in 1..=31 {
        text += &if day == 1 || day % 5 == 0 { format!("{day:<2}") } else { "  ".to_owned() };
    }
    for year in years.0..=years.1 {
        text = format!("{}\n{year}  ", text.trim_end());
        for day in 1..=31 {
            text += &glyph(by_day.get(&(year, day)));
            text.push(' ');
        }
    }
    let shades: Vec<String> = SHADES.iter().map(|(_, glyph, code)| paint(*glyph, *code)).collect();
    format!(
        "{}\nvalid dates: {MISSING} missing  {} up to 1/2  {} 1  {} 3/2  {} more of the expected count;  {} not valid",
        text.trim_end(),
        shades[0],
        shades[1],
        shades[2],
        shades[3],
        paint(WRONG.0, WRONG.1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_shows_valid_missing_and_wrong_days_in_their_places() {
        let cell = |day, count, valid| Cell { year: 2200, day, count, valid };
        let cells = [cell(1, 4, true), cell(2, 0, true), cell(3, 1, true), cell(5, 2, false), cell(31, 9, true)];
        let text = calendar(&cells, (2200, 2200), 4.0, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "      1       5         10        15        20        25        30");
        assert_eq!(lines[1], format!("2200  ▒ □ ░ · ✗ {}█", "· ".repeat(25)));
        assert!(calendar(&cells, (2200, 2200), 4.0, true).contains("\x1b[38;5;166m✗\x1b[0m"));
    }
}
