//! The decoder's latent layer. A code has few numbers: too few for a library's matrix product to pay.
//!
//! The layer's weights `[outputs, latent]` lie transposed here, `[latent, outputs]`, so that loops run over outputs.

use multiversion::multiversion;

/// Dimensions of a code, or rows, whose products are added up at a time.
const AT_ONCE: usize = 4;
/// Outputs whose sums are formed at a time, and fewer where there are no more.
const WIDE: usize = 64;
const NARROW: usize = 8;

/// The transpose of a matrix of `columns` columns.
pub fn transpose(out: &mut Vec<f32>, matrix: &[f32], columns: usize) {
    let rows = matrix.len() / columns;
    out.clear();
    out.extend((0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])));
}

/// Adds a transposed matrix to one of `columns` columns.
pub fn add_transposed(out: &mut [f32], transposed: &[f32], columns: usize) {
    let rows = out.len() / columns;
    for (row, out) in out.chunks_exact_mut(columns).enumerate() {
        out.iter_mut().enumerate().for_each(|(column, entry)| *entry += transposed[column * rows + row]);
    }
}

/// out `[n, outputs]` = codes `[n, latent]` through the layer's weights, plus its bias.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn from_codes(out: &mut [f32], codes: &[f32], weights: &[f32], bias: &[f32]) {
    let outputs = bias.len();
    let (wide, narrow) = (outputs - outputs % WIDE, outputs - outputs % NARROW);
    for (out, code) in out.chunks_exact_mut(outputs).zip(codes.chunks_exact(weights.len() / outputs)) {
        for start in (0..wide).step_by(WIDE) {
            outputs_from_code::<WIDE>(out, code, weights, bias, start);
        }
        for start in (wide..narrow).step_by(NARROW) {
            outputs_from_code::<NARROW>(out, code, weights, bias, start);
        }
        for start in narrow..outputs {
            outputs_from_code::<1>(out, code, weights, bias, start);
        }
    }
}

/// So many outputs of one code, from the `start`-th on: their sums stay in registers.
#[inline(always)]
fn outputs_from_code<const N: usize>(out: &mut [f32], code: &[f32], weights: &[f32], bias: &[f32], start: usize) {
    let outputs = bias.len();
    let mut sums = [0.0; N];
    sums.copy_from_slice(&bias[start..][..N]);
    let (quads, rest) = code.as_chunks::<AT_ONCE>();
    let mut row_quads = weights.chunks_exact(AT_ONCE * outputs);
    for ([a, b, c, d], rows) in quads.iter().zip(&mut row_quads) {
        let row = |place: usize| &rows[place * outputs + start..][..N];
        let entries = row(0).iter().zip(row(1)).zip(row(2).iter().zip(row(3)));
        for (sum, ((by_a, by_b), (by_c, by_d))) in sums.iter_mut().zip(entries) {
            *sum = a.mul_add(*by_a, b.mul_add(*by_b, c.mul_add(*by_c, d.mul_add(*by_d, *sum))));
        }
    }
    for (a, row) in rest.iter().zip(row_quads.remainder().chunks_exact(outputs)) {
        for (sum, by_a) in sums.iter_mut().zip(&row[start..][..N]) {
            *sum += a * by_a;
        }
    }
    out[start..][..N].copy_from_slice(&sums);
}

/// Adds the gradient of the layer's weights from that of its outputs `[n, outputs]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn by_codes(weights: &mut [f32], gradient: &[f32], codes: &[f32], latent: usize) {
    let outputs = weights.len() / latent;
    let quads = gradient.chunks_exact(AT_ONCE * outputs);
    let rest = quads.remainder().chunks_exact(outputs);
    let mut code_quads = codes.chunks_exact(AT_ONCE * latent);
    for (rows, codes) in quads.zip(&mut code_quads) {
        let (first, last) = rows.split_at(2 * outputs);
        let ((row_a, row_b), (row_c, row_d)) = (first.split_at(outputs), last.split_at(outputs));
        for (dimension, weights) in weights.chunks_exact_mut(outputs).enumerate() {
            let [a, b, c, d] = std::array::from_fn(|row| codes[row * latent + dimension]);
            let entries = row_a.iter().zip(row_b).zip(row_c.iter().zip(row_d));
            for (weight, ((by_a, by_b), (by_c, by_d))) in weights.iter_mut().zip(entries) {
                *weight = a.mul_add(*by_a, b.mul_add(*by_b, c.mul_add(*by_c, d.mul_add(*by_d, *weight))));
            }
        }
    }
    for (row, code) in rest.zip(code_quads.remainder().chunks_exact(latent)) {
        for (weights, a) in weights.chunks_exact_mut(outputs).zip(code) {
            for (weight, by_a) in weights.iter_mut().zip(row) {
                *weight += a * by_a;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_with_codes_are_the_sums_that_they_stand_for() {
        let numbers = |count: usize, step: usize| -> Vec<f32> {
            (0..count).map(|place| ((place * step) % 11) as f32 - 5.0).collect()
        };
        for (n, latent, outputs) in [(11, 7, 18), (8, 8, 32), (1, 1, 2), (3, 9, 130), (2, 5, 92)] {
            let (codes, layer, rows) = (numbers(n * latent, 3), numbers(outputs * latent, 5), numbers(n * outputs, 7));
            let bias = numbers(outputs, 4);
            let (mut weights, mut out) = (Vec::new(), vec![9.0; n * outputs]);
            transpose(&mut weights, &layer, latent);
            from_codes(&mut out, &codes, &weights, &bias);
            let mut gradient = vec![0.0; latent * outputs];
            by_codes(&mut gradient, &rows, &codes, latent);
            let mut sums = vec![1.0; outputs * latent];
            add_transposed(&mut sums, &gradient, latent);
            // Whole numbers: no order of summation rounds.
            for output in 0..outputs {
                for row in 0..n {
                    let product = (0..latent).map(|k| codes[row * latent + k] * layer[output * latent + k]);
                    assert_eq!(out[row * outputs + output], bias[output] + product.sum::<f32>());
                }
                for k in 0..latent {
                    let product = (0..n).map(|row| rows[row * outputs + output] * codes[row * latent + k]);
                    assert_eq!(sums[output * latent + k], 1.0 + product.sum::<f32>());
                }
            }
        }
    }
}
