//! The best cell of a grid of KL weights and latent sizes, and whether it lies on the grid's edge.

/// The place of the best cell, row by row of `up`; of cells that are written alike, one inside the grid before one on
/// its edge. A cell is a mean with its words; NaN where no trial has finished.
pub fn best_cell(cells: &[Option<(f64, String)>], higher: bool, across: &[String], up: &[String]) -> Option<usize> {
    let worth = |value: f64| if higher { value } else { -value };
    let finished = || cells.iter().enumerate().filter_map(|(place, cell)| Some((place, cell.as_ref()?)));
    let finished = || finished().filter(|(_, (value, _))| value.is_finite());
    let (_, (_, top)) = finished().max_by(|(_, a), (_, b)| worth(a.0).total_cmp(&worth(b.0)))?;
    let ranked = |place: usize, value: f64| (edges(place, across, up).is_empty(), worth(value));
    finished()
        .filter(|(_, (_, words))| words == top)
        .max_by(|(a, (left, _)), (b, (right, _))| {
            let (left, right) = (ranked(*a, *left), ranked(*b, *right));
            left.0.cmp(&right.0).then(left.1.total_cmp(&right.1))
        })
        .map(|(place, _)| place)
}

/// Which ends of the grid a cell lies on, in words; a grid of two values has nothing but ends.
pub fn edges(place: usize, across: &[String], up: &[String]) -> Vec<String> {
    let on = |place: usize, values: &[String], name: &str| {
        let edge = values.len() > 2 && (place == 0 || place + 1 == values.len());
        edge.then(|| format!("{name} = {}", values[place]))
    };
    let columns = across.len();
    [on(place % columns, across, "β"), on(place / columns, up, "latent size")].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells_of(values: &[f64]) -> Vec<Option<(f64, String)>> {
        values.iter().map(|value| Some((*value, format!("{value:.1}")))).collect()
    }

    #[test]
    fn a_best_cell_on_the_edge_is_called_out_and_one_inside_is_not() {
        let names = |count: usize| (0..count).map(|name| name.to_string()).collect::<Vec<_>>();
        let rising = cells_of(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
        let edge = best_cell(&rising, true, &names(3), &names(3)).unwrap();
        assert_eq!(edges(edge, &names(3), &names(3)), ["β = 2", "latent size = 2"]);
        assert_eq!(best_cell(&rising, false, &names(3), &names(3)), Some(0));
        // Written alike, the one inside is as good.
        let alike = cells_of(&[1.0, 1.0, 1.0, 1.0, 0.999, 1.0, 1.0, 1.0, 1.0]);
        let inner = best_cell(&alike, true, &names(3), &names(3)).unwrap();
        assert!(inner == 4 && edges(inner, &names(3), &names(3)).is_empty());
        assert_eq!(best_cell(&cells_of(&[f64::NAN; 4]), true, &names(2), &names(2)), None);
    }
}
