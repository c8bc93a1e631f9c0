use super::*;

fn numbers(count: usize, step: usize) -> Vec<f32> {
    (0..count).map(|place| ((place * step) % 11) as f32 - 5.0).collect()
}

#[test]
fn products_are_the_sums_that_they_stand_for() {
    check(37, 19, 7);
    // More rows than one block of a gradient has.
    check(2 * DEPTH + 5, 3, 18);
}

fn check(n: usize, inputs: usize, outputs: usize) {
    let stride = outputs.next_multiple_of(LANES);
    let (x, w, dy) = (numbers(n * inputs, 3), numbers(outputs * inputs, 5), numbers(n * outputs, 7));
    let views = (Matrix::new(&x, n, inputs), Matrix::new(&w, outputs, inputs), Matrix::new(&dy, n, outputs));
    let mut panels = Panels::default();
    let mut y = vec![9.0; n * stride];
    panels.pack(views.1.transposed());
    panels.multiply(&mut y, stride, views.0, false);
    let mut dx = vec![1.0; n * inputs];
    panels.pack(views.1);
    panels.multiply(&mut dx, inputs, views.2, true);
    let mut dw = vec![2.0; outputs * inputs];
    weight_gradient(&mut dw, views.2, views.0);
    // Whole numbers: no order of summation rounds.
    for row in 0..n {
        for output in 0..outputs {
            let sum: f32 = (0..inputs).map(|input| x[row * inputs + input] * w[output * inputs + input]).sum();
            assert_eq!(y[row * stride + output], sum);
        }
        assert!(y[row * stride + outputs..][..stride - outputs].iter().all(|gap| *gap == 0.0));
        for input in 0..inputs {
            let sum: f32 = (0..outputs).map(|output| dy[row * outputs + output] * w[output * inputs + input]).sum();
            assert_eq!(dx[row * inputs + input], 1.0 + sum);
        }
    }
    for output in 0..outputs {
        for input in 0..inputs {
            let sum: f32 = (0..n).map(|row| dy[row * outputs + output] * x[row * inputs + input]).sum();
            assert_eq!(dw[output * inputs + input], 2.0 + sum);
        }
    }
}

#[test]
fn tiles_of_any_height_and_width_are_the_same_sums_fused_or_not() {
    for (rows, depth, columns) in [(1, 1, 1), (5, 4, 16), (6, 9, 17), (7, 3, 32), (13, 8, 33), (22, 5, 48), (9, 0, 3)] {
        let (left, right) = (numbers(rows * depth, 3), numbers(depth * columns, 5));
        let transpose = |values: &[f32], columns: usize| -> Vec<f32> {
            let mut out = Vec::new();
            crate::model::cpu::codes::transpose(&mut out, values, columns.max(1));
            out
        };
        let (left_columns, right_columns) = (transpose(&left, depth), transpose(&right, columns));
        let lefts = [Matrix::new(&left, rows, depth), Matrix::new(&left_columns, depth, rows).transposed()];
        let rights = [Matrix::new(&right, depth, columns), Matrix::new(&right_columns, columns, depth).transposed()];
        let sum = |row: usize, column: usize| -> f32 {
            (0..depth).map(|term| left[row * depth + term] * right[term * columns + column]).sum()
        };
        let expected: Vec<f32> = (0..rows * columns).map(|place| 2.0 + sum(place / columns, place % columns)).collect();
        for (left, right, together) in lefts
            .iter()
            .flat_map(|left| rights.iter().flat_map(move |right| [1, 2].map(move |together| (*left, *right, together))))
        {
            let (mut panels, mut out) = (Panels::default(), vec![2.0; rows * columns]);
            panels.pack_by(right, together);
            panels.multiply(&mut out, columns, left, true);
            assert_eq!(out, expected, "{rows} {depth} {columns} {together}");
            panels.multiply(&mut out, columns, left, false);
            assert!(out.iter().zip(&expected).all(|(out, expected)| *out == expected - 2.0));
            // As a machine without fused operations has it.
            let lanes = &panels.lanes[..depth * together.min(columns.div_ceil(LANES))];
            let place = Place { stride: columns, column: 0, columns, add: false };
            if depth > 0 && !left.transposed {
                out.fill(9.0);
                if lanes.len() == depth {
                    tiles_by_rows::<1, false>(&mut out, place, left, lanes);
                } else {
                    tiles_by_rows::<2, false>(&mut out, place, left, lanes);
                }
                let width = columns.min(LANES * lanes.len() / depth);
                for (row, expected) in out.chunks(columns).zip(expected.chunks(columns)) {
                    assert!(row[..width].iter().zip(expected).all(|(out, expected)| *out == expected - 2.0));
                    assert!(row[width..].iter().all(|rest| *rest == 9.0));
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "longer than its slice")]
fn a_slice_that_is_too_short_is_noticed() {
    let x = numbers(6, 1);
    forward(&mut [0.0; 3], Matrix::new(&x, 2, 3), Matrix::new(&x, 2, 3));
}
