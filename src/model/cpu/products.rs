//! Matrix products over plain slices, all matrices stored by rows. The arithmetic has `unsafe` here alone: the library takes
//! pointers. Every extent is compared with its slice before it is handed on; one that doesn't fit panics.

#![allow(unsafe_code)]

use gemm_common::Parallelism;
use gemm_f32::gemm::f32::get_gemm_fn;

/// A matrix in a slice; either its rows or its columns lie without gaps.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows without gaps.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::part(values, rows, columns, columns)
    }

    /// The first `columns` of rows that are `stride` long.
    pub fn part(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// Rows as columns.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// out = x w^T: x `[n, inputs]` through a layer's weights `[outputs, inputs]`.
pub fn forward(out: &mut [f32], x: Matrix<'_>, w: Matrix<'_>) {
    multiply(out, w.rows, x, w.transposed(), false);
}

/// The same into rows that are `stride` long.
pub fn forward_strided(out: &mut [f32], stride: usize, x: Matrix<'_>, w: Matrix<'_>) {
    multiply(out, stride, x, w.transposed(), false);
}

/// out = dy w: the gradient `[n, outputs]` back through a layer's weights `[outputs, inputs]`.
pub fn backward(out: &mut [f32], dy: Matrix<'_>, w: Matrix<'_>) {
    multiply(out, w.columns, dy, w, false);
}

/// out += dy w.
pub fn backward_add(out: &mut [f32], dy: Matrix<'_>, w: Matrix<'_>) {
    multiply(out, w.columns, dy, w, true);
}

/// dw += dy^T x: the gradient of a layer's weights `[outputs, inputs]`.
pub fn weight_gradient(dw: &mut [f32], dy: Matrix<'_>, x: Matrix<'_>) {
    multiply(dw, x.columns, dy.transposed(), x, true);
}

/// out = left right, or what `out` holds plus that; the rows of `out` are `stride` long.
///
/// # Panics
/// When the extents don't fit each other or their slices: an error of this module's callers.
fn multiply(out: &mut [f32], stride: usize, left: Matrix<'_>, right: Matrix<'_>, add: bool) {
    let (m, n, k) = (left.rows, right.columns, left.columns);
    assert_eq!(k, right.rows, "a product of matrices that don't fit");
    assert!(n <= stride, "rows of a product run into each other");
    // The last entry of each matrix, if it has any; saturating, since extents may be any numbers.
    let last = |rows: usize, columns: usize, by_row: usize, by_column: usize| {
        let (down, along) = (rows.saturating_sub(1), columns.saturating_sub(1));
        down.saturating_mul(by_row).saturating_add(along.saturating_mul(by_column))
    };
    assert!(m == 0 || n == 0 || last(m, n, stride, 1) < out.len(), "a product longer than its slice");
    for matrix in [left, right] {
        let Matrix { values, rows, columns, row_stride, column_stride } = matrix;
        let end = last(rows, columns, row_stride, column_stride);
        assert!(rows == 0 || columns == 0 || end < values.len(), "a matrix longer than its slice");
    }
    // SAFETY: by the assertions every entry that the call reads or writes lies inside of its slice; `out` is borrowed
    // mutably and so overlaps no other; a stride over several rows or columns is shorter than its slice, and so far
    // below `isize::MAX`.
    // The library's kernels prefer columns without gaps: it is given out^T = right^T left^T.
    unsafe {
        get_gemm_fn()(
            n,
            m,
            k,
            out.as_mut_ptr(),
            stride as isize,
            1,
            add,
            right.values.as_ptr(),
            right.row_stride as isize,
            right.column_stride as isize,
            left.values.as_ptr(),
            left.row_stride as isize,
            left.column_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count).map(|place| ((place * step) % 11) as f32 - 5.0).collect()
    }

    #[test]
    fn products_are_the_sums_that_they_stand_for() {
        let (n, inputs, outputs) = (37, 19, 7);
        let (x, w, dy) = (numbers(n * inputs, 3), numbers(outputs * inputs, 5), numbers(n * outputs, 7));
        let views = (Matrix::new(&x, n, inputs), Matrix::new(&w, outputs, inputs), Matrix::new(&dy, n, outputs));
        let mut y = vec![9.0; n * 16];
        forward_strided(&mut y, 16, views.0, views.1);
        let mut dx = vec![1.0; n * inputs];
        backward_add(&mut dx, views.2, views.1);
        let mut dw = vec![2.0; outputs * inputs];
        weight_gradient(&mut dw, views.2, views.0);
        // Whole numbers: no order of summation rounds.
        for row in 0..n {
            for output in 0..outputs {
                let sum: f32 = (0..inputs).map(|input| x[row * inputs + input] * w[output * inputs + input]).sum();
                assert_eq!(y[row * 16 + output], sum);
            }
            assert!(y[row * 16 + outputs..][..16 - outputs].iter().all(|gap| *gap == 9.0));
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
    #[should_panic(expected = "longer than its slice")]
    fn a_slice_that_is_too_short_is_noticed() {
        let x = numbers(6, 1);
        forward(&mut [0.0; 3], Matrix::new(&x, 2, 3), Matrix::new(&x, 2, 3));
    }
}
