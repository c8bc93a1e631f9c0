//! What lies between matrix products: few passes over rows, compiled for several sets of vector instructions, of
//! which the widest that the machine has is taken. All give the same results.
//!
//! Matrices are stored by rows. Slices of one call must fit each other; where they don't, the shortest counts.

use multiversion::multiversion;

use super::scalar::{LANES, exp, fold, larger, silu, sin_cos};

/// The first numbers of a buffer that only grows: what is in them is for the caller to write.
pub fn resized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// values = silu(values + bias); slopes are those of the silu.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn bias_silu(values: &mut [f32], slopes: &mut [f32], bias: &[f32]) {
    for (values, slopes) in values.chunks_exact_mut(bias.len()).zip(slopes.chunks_exact_mut(bias.len())) {
        for ((value, slope), bias) in values.iter_mut().zip(slopes).zip(bias) {
            (*value, *slope) = silu(*value + bias);
        }
    }
}

/// values = silu(values + bias) + skipped; slopes are those of the silu.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn bias_silu_add(values: &mut [f32], slopes: &mut [f32], bias: &[f32], skipped: &[f32]) {
    let width = bias.len();
    let rows = values.chunks_exact_mut(width).zip(slopes.chunks_exact_mut(width)).zip(skipped.chunks_exact(width));
    for ((values, slopes), skipped) in rows {
        for (((value, slope), bias), skipped) in values.iter_mut().zip(slopes).zip(bias).zip(skipped) {
            let (unit, rise) = silu(*value + bias);
            (*value, *slope) = (unit + skipped, rise);
        }
    }
}

/// The same without slopes.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn bias_silu_add_values(values: &mut [f32], bias: &[f32], skipped: &[f32]) {
    let width = bias.len();
    for (values, skipped) in values.chunks_exact_mut(width).zip(skipped.chunks_exact(width)) {
        for ((value, bias), skipped) in values.iter_mut().zip(bias).zip(skipped) {
            *value = silu(*value + bias).0 + skipped;
        }
    }
}

/// gradient *= slopes; its sum over rows is added to `sums`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn silu_backward(gradient: &mut [f32], slopes: &[f32], sums: &mut [f32]) {
    for (gradient, slopes) in gradient.chunks_exact_mut(sums.len()).zip(slopes.chunks_exact(sums.len())) {
        for ((gradient, slope), sum) in gradient.iter_mut().zip(slopes).zip(sums.iter_mut()) {
            *gradient *= slope;
            *sum += *gradient;
        }
    }
}

/// out = gradient slopes; its sum over rows is added to `sums`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn silu_backward_to(out: &mut [f32], gradient: &[f32], slopes: &[f32], sums: &mut [f32]) {
    let width = sums.len();
    let rows = out.chunks_exact_mut(width).zip(gradient.chunks_exact(width)).zip(slopes.chunks_exact(width));
    for ((out, gradient), slopes) in rows {
        for (((out, gradient), slope), sum) in out.iter_mut().zip(gradient).zip(slopes).zip(sums.iter_mut()) {
            *out = gradient * slope;
            *sum += *out;
        }
    }
}

/// silu(units + units gate + shift) by rows: `picked` names each row's units in a table of `units`, and the latent
/// layer's outputs `[n, 2 width]`, or `[1, 2 width]` where all rows share one, are its gate and shift. `out` has as many
/// rows as are picked.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn gate(out: &mut [f32], slopes: &mut [f32], latent: &[f32], units: &[f32], picked: &[usize]) {
    let width = out.len().checked_div(picked.len()).unwrap_or(1);
    let rows = out.chunks_exact_mut(width).zip(slopes.chunks_exact_mut(width));
    for ((out, slopes), (latent, row)) in rows.zip(latent.chunks_exact(2 * width).cycle().zip(picked)) {
        let units = &units[row * width..][..width];
        let (gates, shifts) = latent.split_at(width);
        for ((out, slope), (unit, (gate, shift))) in
            out.iter_mut().zip(slopes).zip(units.iter().zip(gates.iter().zip(shifts)))
        {
            (*out, *slope) = silu(unit.mul_add(*gate, unit + shift));
        }
    }
}

/// The same without slopes.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn gate_values(out: &mut [f32], latent: &[f32], units: &[f32], picked: &[usize]) {
    let width = out.len().checked_div(picked.len()).unwrap_or(1);
    for (out, (latent, row)) in out.chunks_exact_mut(width).zip(latent.chunks_exact(2 * width).cycle().zip(picked)) {
        let units = &units[row * width..][..width];
        let (gates, shifts) = latent.split_at(width);
        for (out, (unit, (gate, shift))) in out.iter_mut().zip(units.iter().zip(gates.iter().zip(shifts))) {
            *out = silu(unit.mul_add(*gate, unit + shift)).0;
        }
    }
}

/// Back through [`gate`]: `latent` turns from gate and shift into their gradients, which are added up in `sums`, and
/// the units' gradients are added to `unit_gradient` at the rows that were picked.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn gate_backward(
    gradient: &[f32],
    slopes: &[f32],
    latent: &mut [f32],
    sums: &mut [f32],
    units: &[f32],
    unit_gradient: &mut [f32],
    picked: &[usize],
) {
    let width = sums.len() / 2;
    let (gate_sums, shift_sums) = sums.split_at_mut(width);
    let rows = gradient.chunks_exact(width).zip(slopes.chunks_exact(width));
    for ((gradient, slopes), (latent, row)) in rows.zip(latent.chunks_exact_mut(2 * width).zip(picked)) {
        let units = &units[row * width..][..width];
        let unit_gradient = &mut unit_gradient[row * width..][..width];
        let (gates, shifts) = latent.split_at_mut(width);
        // Two loops: in one, the compiler gives up on telling eight slices apart, and stays with single numbers.
        let inputs = gradient.iter().zip(slopes).zip(shift_sums.iter_mut());
        for (shift, ((gradient, slope), sum)) in shifts.iter_mut().zip(inputs) {
            *shift = gradient * slope;
            *sum += *shift;
        }
        let inputs = shifts.iter().zip(units).zip(gate_sums.iter_mut());
        for ((gate, back), ((change, unit), sum)) in gates.iter_mut().zip(unit_gradient).zip(inputs) {
            *back += change.mul_add(*gate, *change);
            *gate = change * unit;
            *sum += *gate;
        }
    }
}

/// Back through [`gate`] where all rows share one row of the latent layer, `[2 width]`: what it leaves in `latent` is of
/// no use.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn shared_gate_backward(
    gradient: &[f32],
    slopes: &[f32],
    latent: &mut [f32],
    sums: &mut [f32],
    units: &[f32],
    unit_gradient: &mut [f32],
    picked: &[usize],
) {
    let width = sums.len() / 2;
    let (gate_sums, shift_sums) = sums.split_at_mut(width);
    let (gates, shifts) = latent.split_at_mut(width);
    let rows = gradient.chunks_exact(width).zip(slopes.chunks_exact(width));
    for ((gradient, slopes), row) in rows.zip(picked) {
        let units = &units[row * width..][..width];
        let unit_gradient = &mut unit_gradient[row * width..][..width];
        let inputs = gradient.iter().zip(slopes).zip(shift_sums.iter_mut());
        for (shift, ((gradient, slope), sum)) in shifts.iter_mut().zip(inputs) {
            *shift = gradient * slope;
            *sum += *shift;
        }
        let inputs = shifts.iter().zip(units).zip(gate_sums.iter_mut());
        for ((gate, back), ((change, unit), sum)) in gates.iter().zip(unit_gradient).zip(inputs) {
            *back += change.mul_add(*gate, *change);
            *sum += change * unit;
        }
    }
}

/// Cross-entropy of rows of logits, which are as long as `bias`: a multiple of [`LANES`], and the lowest number for what
/// is no class. Logits turn into their gradients, `scale` (softmax - one-hot), and these are added up in `sums`, one for
/// each class; the sum of -log p is returned.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn cross_entropy(
    logits: &mut [f32],
    bias: &[f32],
    targets: &[usize],
    (scale, shares): (f32, &[f32]),
    sums: &mut [f32],
) -> f64 {
    let mut total = 0.0;
    for (place, (row, target)) in logits.chunks_exact_mut(bias.len()).zip(targets).enumerate() {
        let scale = shares.get(place).map_or(scale, |share| scale * share);
        let highest = add_bias(row, bias);
        let own = row[*target] - highest;
        let mut mass = [0.0; LANES];
        for lanes in row.chunks_exact_mut(LANES) {
            for (mass, logit) in mass.iter_mut().zip(lanes) {
                *logit = exp(*logit - highest);
                *mass += *logit;
            }
        }
        let mass = fold(mass, |a, b| a + b);
        total += f64::from(mass.ln() - own);
        let share = scale / mass;
        for logit in row.iter_mut() {
            *logit *= share;
        }
        row[*target] -= scale;
        for (sum, gradient) in sums.iter_mut().zip(&*row) {
            *sum += gradient;
        }
    }
    total
}

/// Logits of rows that are as long as `bias`, as [`cross_entropy`] takes it, plus their bias turn into log softmax.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn log_softmax(logits: &mut [f32], bias: &[f32]) {
    for row in logits.chunks_exact_mut(bias.len()) {
        let (highest, mut mass) = (add_bias(row, bias), [0.0; LANES]);
        for lanes in row.chunks_exact(LANES) {
            for (mass, logit) in mass.iter_mut().zip(lanes) {
                *mass += exp(*logit - highest);
            }
        }
        let normaliser = highest + fold(mass, |a, b| a + b).ln();
        for logit in row.iter_mut() {
            *logit -= normaliser;
        }
    }
}

/// The most likely class of each row of logits, as [`cross_entropy`] takes them.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn most_likely(logits: &mut [f32], bias: &[f32], chosen: &mut Vec<u16>) {
    for row in logits.chunks_exact_mut(bias.len()) {
        let highest = add_bias(row, bias);
        chosen.push(row.iter().position(|logit| *logit == highest).unwrap_or(0) as u16);
    }
}

/// Adds the bias to a row of logits; the highest of them.
#[inline(always)]
fn add_bias(row: &mut [f32], bias: &[f32]) -> f32 {
    let mut high = [f32::MIN; LANES];
    for (lanes, bias) in row.chunks_exact_mut(LANES).zip(bias.chunks_exact(LANES)) {
        for (high, (logit, bias)) in high.iter_mut().zip(lanes.iter_mut().zip(bias)) {
            *logit += bias;
            *high = larger(*logit, *high);
        }
    }
    fold(high, larger)
}

/// out = e^values.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn exponentials(out: &mut [f32], values: &[f32]) {
    out.iter_mut().zip(values).for_each(|(out, value)| *out = exp(*value));
}

/// The state's features `[cosines, sines, plain units]` from the state `[angles, plain units]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn features(out: &mut [f32], state: &[f32], angles: usize, radians: f32) {
    let (turning, plain) = state.split_at(angles);
    let (cosines, rest) = out.split_at_mut(angles);
    let (sines, rest) = rest.split_at_mut(angles);
    for ((cosine, sine), angle) in cosines.iter_mut().zip(sines).zip(turning) {
        (*sine, *cosine) = sin_cos(angle * radians);
    }
    rest.copy_from_slice(plain);
}

/// Back through [`features`]: the state's gradient into `out`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn features_backward(out: &mut [f32], gradient: &[f32], features: &[f32], angles: usize, radians: f32) {
    let (by_cosine, rest) = gradient.split_at(angles);
    let (by_sine, plain) = rest.split_at(angles);
    let (cosines, sines) = features.split_at(angles);
    let (turning, out) = out.split_at_mut(angles);
    let gradients = by_cosine.iter().zip(by_sine);
    for ((out, (by_cosine, by_sine)), (cosine, sine)) in
        turning.iter_mut().zip(gradients).zip(cosines.iter().zip(sines))
    {
        *out = (by_sine * cosine - by_cosine * sine) * radians;
    }
    out.copy_from_slice(plain);
}

/// out = the sum of rows of a table, one for each column: value plus the column's offset, less that of the table.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn gather(out: &mut [f32], table: &[f32], (offsets, first): (&[usize], usize), values: &[u16]) {
    let width = out.len();
    let mut rows = offsets.iter().zip(values).map(|(offset, value)| offset - first + usize::from(*value));
    let Some(row) = rows.next() else { return out.fill(0.0) };
    out.copy_from_slice(&table[row * width..][..width]);
    for row in rows {
        for (out, entry) in out.iter_mut().zip(&table[row * width..][..width]) {
            *out += entry;
        }
    }
}

/// Adds a gradient to the rows of a table's gradient that [`gather`] takes.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn scatter(gradient: &[f32], table: &mut [f32], (offsets, first): (&[usize], usize), values: &[u16]) {
    let width = gradient.len();
    for (offset, value) in offsets.iter().zip(values) {
        let row = offset - first + usize::from(*value);
        for (entry, gradient) in table[row * width..][..width].iter_mut().zip(gradient) {
            *entry += gradient;
        }
    }
}

/// Adds the sum over rows to `sums`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn sum_rows(values: &[f32], sums: &mut [f32]) {
    for row in values.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

/// The sum of squares.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn square_norm(values: &[f32]) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0f64; LANES];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value * value);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| f64::from(value * value)).sum::<f64>()
}

/// One update of Adam: moments, then weights, from the gradient times `clip_scale`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn adam(weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], by: &AdamFactors) {
    let AdamFactors { clip_scale, first_share, second_share, rate, second_scale, epsilon } = *by;
    let moments = first.iter_mut().zip(second);
    for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradient).zip(moments) {
        let gradient = gradient * clip_scale;
        *first = (gradient - *first).mul_add(first_share, *first);
        *second = gradient.mul_add(gradient, -*second).mul_add(second_share, *second);
        *weight -= *first * rate / ((*second * second_scale).sqrt() + epsilon);
    }
}

/// One update of schedule-free AdamW: y and z move by the gradient over the root of its second moments. `rate` is the
/// learning rate, `y_share` the share of it that y moves by, and `share` how far y moves to z.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn schedule_free(
    y: &mut [f32],
    gradient: &[f32],
    z: &mut [f32],
    second: &mut [f32],
    by: &AdamFactors,
    (rate, y_share, share): (f32, f32, f32),
) {
    let AdamFactors { clip_scale, second_share, second_scale, epsilon, .. } = *by;
    for ((y, gradient), (z, second)) in y.iter_mut().zip(gradient).zip(z.iter_mut().zip(second)) {
        let gradient = gradient * clip_scale;
        *second = gradient.mul_add(gradient, -*second).mul_add(second_share, *second);
        let step = rate * gradient / ((*second * second_scale).sqrt() + epsilon);
        *y = (*z - *y).mul_add(share, *y) - y_share * step;
        *z -= step;
    }
}

/// values += (others - values) share.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn approach(values: &mut [f32], others: &[f32], share: f32) {
    values.iter_mut().zip(others).for_each(|(value, other)| *value = (other - *value).mul_add(share, *value));
}

/// values += others scale.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn add_scaled(values: &mut [f32], others: &[f32], scale: f32) {
    values.iter_mut().zip(others).for_each(|(value, other)| *value = other.mul_add(scale, *value));
}

/// The numbers that one update of Adam multiplies by.
#[derive(Clone, Copy, Debug)]
pub struct AdamFactors {
    /// Factor of the gradient.
    pub clip_scale: f32,
    /// Share of the gradient in the first moments, 1 - beta1.
    pub first_share: f32,
    /// Share of its square in the second moments, 1 - beta2.
    pub second_share: f32,
    /// Learning rate over the first moments' bias correction.
    pub rate: f32,
    /// One over the second moments' bias correction.
    pub second_scale: f32,
    /// Keeps the quotient finite.
    pub epsilon: f32,
}
