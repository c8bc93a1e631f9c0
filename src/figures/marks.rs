//! Marks that can be told apart where they lie on each other, and dashes.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::render::Painted;
use super::style::{MANY, PALETTE, viridis};

/// The colour at a place, the palette over and over.
pub fn colour(place: usize) -> RGBColor {
    PALETTE[place % PALETTE.len()]
}

/// The colour of one of so many groups.
pub fn of_group(group: usize, groups: usize) -> RGBColor {
    if groups <= PALETTE.len() { colour(group) } else { MANY[group % MANY.len()] }
}

/// Whether the palette is used for the second time: then lines are dashed.
pub fn is_dashed(place: usize) -> bool {
    (place / PALETTE.len()) % 2 == 1
}

/// Corners of the marks from their middle, but for the circle: after another number than that of the colours they
/// come again. Each begins within an edge, so that all corners have joints.
const SHAPES: [&[(i32, i32)]; 5] = [
    &[],
    &[(0, 5), (-6, 5), (0, -6), (6, 5), (0, 5)],
    &[(0, -5), (5, -5), (5, 5), (-5, 5), (-5, -5), (0, -5)],
    &[(3, -3), (6, 0), (0, 6), (-6, 0), (0, -6), (3, -3)],
    &[(0, -5), (6, -5), (0, 6), (-6, -5), (0, -5)],
];

/// The mark of a place, an outline that hides nothing below it.
pub fn hollow<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, at: (i32, i32), place: usize) -> Painted<DB> {
    match SHAPES[place % SHAPES.len()] {
        [] => area.draw(&Circle::new(at, 5, colour(place).stroke_width(2))),
        corners => outline(area, at, corners, colour(place)),
    }
}

/// A triangle that a dot in it does not hide.
pub fn triangle<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, at: (i32, i32), colour: RGBColor) -> Painted<DB> {
    outline(area, at, &[(0, -7), (10, -7), (0, 10), (-10, -7), (0, -7)], colour)
}

fn outline<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    (x, y): (i32, i32),
    corners: &[(i32, i32)],
    colour: RGBColor,
) -> Painted<DB> {
    let corners: Vec<(i32, i32)> = corners.iter().map(|corner| (x + corner.0, y + corner.1)).collect();
    area.draw(&PathElement::new(corners, colour.stroke_width(2)))
}

/// The colours of numbers: from the least on the left or at the foot of a bar to the greatest.
pub fn colours<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    (left, top): (i32, i32),
    (width, height): (i32, i32),
) -> Painted<DB> {
    const STEPS: i32 = 60;
    for step in 0..STEPS {
        let colour = viridis(f64::from(step) / f64::from(STEPS - 1)).filled();
        let along = |length: i32, step: i32| length * step / STEPS;
        let part = if width > height {
            [(left + along(width, step), top), (left + along(width, step + 1), top + height)]
        } else {
            let foot = top + height;
            [(left, foot - along(height, step + 1)), (left + width, foot - along(height, step))]
        };
        area.draw(&Rectangle::new(part, colour))?;
    }
    Ok(())
}

/// A line in dashes of this length, with gaps of that one.
pub fn dashed<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    line: &[(i32, i32)],
    lengths: (f64, f64),
    style: ShapeStyle,
) -> Painted<DB> {
    dashes(line, lengths).into_iter().try_for_each(|dash| area.draw(&PathElement::new(dash, style)))
}

/// The dashes. Ends are whole pixels: they go where the line passes one most closely, since dashes that end at the
/// pixel next to the line would each point another way.
fn dashes(line: &[(i32, i32)], (dash, gap): (f64, f64)) -> Vec<Vec<(i32, i32)>> {
    let mut lengths = vec![0.0];
    for pair in line.windows(2) {
        let (x, y) = (f64::from(pair[1].0 - pair[0].0), f64::from(pair[1].1 - pair[0].1));
        lengths.push(lengths[lengths.len() - 1] + x.hypot(y));
    }
    let total = lengths[lengths.len() - 1];
    if total == 0.0 {
        return Vec::new();
    }
    let at = |length: f64| {
        let part = lengths.partition_point(|end| *end <= length).clamp(1, line.len() - 1);
        let share = (length - lengths[part - 1]) / (lengths[part] - lengths[part - 1]).max(1e-9);
        let between = |from: i32, to: i32| f64::from(from) + share * f64::from(to - from);
        (between(line[part - 1].0, line[part].0), between(line[part - 1].1, line[part].1))
    };
    let miss = |length: f64| {
        let (x, y) = at(length);
        (x - x.round()).abs() + (y - y.round()).abs()
    };
    let near = |length: f64| {
        let tried = (-5..=5).map(|step| (length + 0.25 * f64::from(step)).clamp(0.0, total));
        let cost = |tried: &f64| miss(*tried) + 0.1 * (tried - length).abs();
        tried.min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(length)
    };
    let pixel = |length: f64| {
        let (x, y) = at(length);
        (x.round() as i32, y.round() as i32)
    };
    let count = (total / (dash + gap)).ceil() as usize;
    let part = |rank: usize| {
        let start = rank as f64 * (dash + gap);
        let (from, to) = (near(start), near((start + dash).min(total)));
        let corners = lengths.iter().zip(line).filter(|(length, _)| **length > from && **length < to);
        let corners = corners.map(|(_, corner)| *corner);
        [pixel(from)].into_iter().chain(corners).chain([pixel(to)]).collect()
    };
    (0..count).map(part).filter(|dash: &Vec<_>| dash.first() != dash.last()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_of_a_slanted_line_lie_on_it_and_turn_its_corners() {
        let all = dashes(&[(0, 0), (100, 50)], (8.0, 4.0));
        assert!(all.len() > 8 && all.iter().flatten().all(|(x, y)| *x == 2 * *y), "{all:?}");
        assert_eq!(dashes(&[(0, 0), (4, 0), (4, 4)], (8.0, 4.0)), [[(0, 0), (4, 0), (4, 4)]]);
        assert!(dashes(&[(3, 3), (3, 3)], (8.0, 4.0)).is_empty());
    }

    #[test]
    fn no_two_of_fourteen_marks_are_alike() {
        let of = |place: usize| (colour(place), SHAPES[place % SHAPES.len()]);
        assert!((0..14).all(|a| (0..a).all(|b| of(a) != of(b))));
    }
}
