//! Matrix products over plain slices, all matrices stored by rows.
//!
//! The right factor is packed into panels of few columns, whose rows lie one after another. A tile of the result, some
//! rows by one panel, stays in registers while its sums grow (Goto and van de Geijn 2008, "Anatomy of High-Performance
//! Matrix Multiplication", section 4). A sum runs over its terms in order, each fused, so that results depend on no
//! machine; one without fused operations rounds twice, as they would take it a hundred times as long.

use std::cell::RefCell;
use std::ops::Range;

use multiversion::multiversion;
use multiversion::target::target_cfg_f;

/// Columns of a panel.
const LANES: usize = 16;
/// Rows of a tile.
const ROWS: usize = 6;
/// Terms that a tile's sums take in one turn of its loop.
const TERMS: usize = 4;
/// Rows whose gradients of weights are added up at a time: a panel of so many stays in the cache nearest to the processor.
const DEPTH: usize = 256;
/// Whether every machine of this kind has fused operations; of x86-64 those with AVX2 do.
const FUSES: bool = cfg!(not(target_arch = "x86_64"));

/// One row of a panel.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Lanes([f32; LANES]);

/// A matrix in a slice.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// Rows without gaps.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::part(values, rows, columns, columns)
    }

    /// The first `columns` of rows that are `stride` long.
    ///
    /// # Panics
    /// When the slice is too short, or rows run into each other: an error of this module's callers.
    pub fn part(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        let len = rows.saturating_mul(stride);
        assert!(columns <= stride && len <= values.len(), "a matrix longer than its slice");
        Self { values: &values[..len], rows, columns, stride, transposed: false }
    }

    /// Some of its rows, as they lie.
    fn part_of(self, rows: Range<usize>) -> Self {
        Self { values: &self.values[rows.start * self.stride..rows.end * self.stride], rows: rows.len(), ..self }
    }

    /// The numbers of all rows, with what lies between them.
    pub fn values(self) -> &'a [f32] {
        self.values
    }

    /// Rows as columns.
    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }
}

/// The right factor of products, `[depth, columns]`, packed once for many of them.
#[derive(Debug, Default)]
pub struct Panels {
    /// Group by group of panels: the first row of each, then the second.
    lanes: Vec<Lanes>,
    depth: usize,
    columns: usize,
    /// Panels of a group.
    together: usize,
}

impl Panels {
    /// Takes a matrix in place of what was packed before.
    pub fn pack(&mut self, right: Matrix<'_>) {
        self.pack_by(right, panels_of_a_tile());
    }

    fn pack_by(&mut self, right: Matrix<'_>, together: usize) {
        (self.depth, self.columns, self.together) = (right.rows, right.columns, together);
        let count = right.columns.div_ceil(LANES);
        self.lanes.resize(count * right.rows, Lanes::default());
        let pack = if right.transposed { pack_columns } else { pack_rows };
        for panel in (0..count).filter(|_| right.rows > 0) {
            let first = panel - panel % together;
            let together = together.min(count - first);
            let group = &mut self.lanes[first * right.rows..][..together * right.rows];
            pack(group, (panel - first, together), right, panel * LANES);
        }
    }

    /// out = left right, or what `out` holds plus that; the rows of `out` are `stride` long. Where they have room for
    /// whole panels, what lies beyond the columns is that of columns of zeros.
    ///
    /// # Panics
    /// When the extents don't fit each other or `out`: an error of this module's callers.
    pub fn multiply(&self, out: &mut [f32], stride: usize, left: Matrix<'_>, add: bool) {
        assert_eq!(left.columns, self.depth, "a product of matrices that don't fit");
        assert!(self.columns <= stride, "rows of a product run into each other");
        let len = left.rows.saturating_mul(stride);
        assert!(len <= out.len(), "a product longer than its slice");
        let out = &mut out[..len];
        if self.depth == 0 && !add {
            out.chunks_mut(stride.max(1)).for_each(|row| row[..self.columns].fill(0.0));
        }
        if self.depth == 0 || out.is_empty() {
            return;
        }
        let whole = self.columns.next_multiple_of(LANES);
        let columns = if whole <= stride { whole } else { self.columns };
        let multiply = if left.transposed { by_columns } else { by_rows };
        for (group, lanes) in self.lanes.chunks(self.together * self.depth).enumerate() {
            let column = group * self.together * LANES;
            multiply(out, Place { stride, column, columns, add }, left, lanes);
        }
    }
}

/// Panels that a tile takes at once: as many as give it enough sums for both units that add them, few enough to keep
/// them in registers.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn panels_of_a_tile() -> usize {
    if target_cfg_f!(target_feature = "avx512f") { 2 } else { 1 }
}

/// Packs columns from the `column`-th on as one panel of a group.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn pack_rows(group: &mut [Lanes], (panel, together): (usize, usize), right: Matrix<'_>, column: usize) {
    for (lanes, row) in group.chunks_exact_mut(together).zip(right.values.chunks_exact(right.stride)) {
        let (Lanes(lanes), row) = (&mut lanes[panel], &row[column..right.columns]);
        if let Some(row) = row.first_chunk() {
            *lanes = *row;
        } else {
            *lanes = [0.0; LANES];
            lanes.iter_mut().zip(row).for_each(|(lane, value)| *lane = *value);
        }
    }
}

/// The same of a matrix whose columns lie without gaps.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn pack_columns(group: &mut [Lanes], (panel, together): (usize, usize), right: Matrix<'_>, column: usize) {
    let mut columns = right.values[column * right.stride..].chunks_exact(right.stride);
    for lane in 0..LANES {
        let lanes = group.chunks_exact_mut(together).map(|lanes| &mut lanes[panel].0[lane]);
        match columns.next() {
            Some(column) => lanes.zip(column).for_each(|(lane, value)| *lane = *value),
            None => lanes.for_each(|lane| *lane = 0.0),
        }
    }
}

/// Where the product with some panels goes.
#[derive(Clone, Copy)]
struct Place {
    stride: usize,
    /// The panels' first column, of so many.
    column: usize,
    columns: usize,
    add: bool,
}

impl Place {
    /// Stores a tile's sums in rows from the first on, as many as there are.
    #[inline(always)]
    fn store<const P: usize, const R: usize>(self, out: &mut [f32], sums: &[[Lanes; P]; R]) {
        for (row, sums) in out.chunks_exact_mut(self.stride).zip(sums) {
            let mut row = &mut row[self.column..self.columns];
            for Lanes(sums) in sums {
                let (out, rest) = row.split_at_mut(LANES.min(row.len()));
                row = rest;
                match out.as_mut_array::<LANES>() {
                    Some(out) if self.add => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
                    Some(out) => *out = *sums,
                    None if self.add => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
                    None => out.iter_mut().zip(sums).for_each(|(out, sum)| *out = *sum),
                }
            }
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn by_rows(out: &mut [f32], place: Place, left: Matrix<'_>, lanes: &[Lanes]) {
    match (lanes.len() == left.columns, FUSES || target_cfg_f!(target_feature = "fma")) {
        (true, true) => tiles_by_rows::<1, true>(out, place, left, lanes),
        (true, false) => tiles_by_rows::<1, false>(out, place, left, lanes),
        (false, true) => tiles_by_rows::<2, true>(out, place, left, lanes),
        (false, false) => tiles_by_rows::<2, false>(out, place, left, lanes),
    }
}

#[inline(always)]
fn tiles_by_rows<const P: usize, const FUSED: bool>(out: &mut [f32], place: Place, left: Matrix<'_>, lanes: &[Lanes]) {
    let (panels, _) = lanes.as_chunks::<P>();
    let height = ROWS * left.stride;
    for (rows, out) in left.values.chunks(height).zip(out.chunks_mut(ROWS * place.stride)) {
        // Where rows are missing, the last one counts again, and is not stored.
        let last = rows.len() - left.stride;
        let row = |row: usize| &rows[last.min(row * left.stride)..][..left.columns];
        place.store(out, &tile::<P, FUSED>([row(0), row(1), row(2), row(3), row(4), row(5)], panels));
    }
}

/// The sums of six rows.
#[inline(always)]
fn tile<const P: usize, const FUSED: bool>(
    [a, b, c, d, e, f]: [&[f32]; ROWS],
    panels: &[[Lanes; P]],
) -> [[Lanes; P]; ROWS] {
    let mut sums = [[Lanes::default(); P]; ROWS];
    let (right, right_rest) = panels.as_chunks::<TERMS>();
    let (a, b, c) = (a.as_chunks::<TERMS>(), b.as_chunks::<TERMS>(), c.as_chunks::<TERMS>());
    let (d, e, f) = (d.as_chunks::<TERMS>(), e.as_chunks::<TERMS>(), f.as_chunks::<TERMS>());
    let left = a.0.iter().zip(b.0).zip(c.0.iter().zip(d.0)).zip(e.0.iter().zip(f.0));
    for ((((a, b), (c, d)), (e, f)), right) in left.zip(right) {
        for (term, right) in right.iter().enumerate() {
            add_terms::<P, _, FUSED>(&mut sums, [a[term], b[term], c[term], d[term], e[term], f[term]], right);
        }
    }
    let left = a.1.iter().zip(b.1).zip(c.1.iter().zip(d.1)).zip(e.1.iter().zip(f.1));
    for ((((a, b), (c, d)), (e, f)), right) in left.zip(right_rest) {
        add_terms::<P, _, FUSED>(&mut sums, [*a, *b, *c, *d, *e, *f], right);
    }
    sums
}

/// Adds to each sum its row's term.
#[inline(always)]
fn add_terms<const P: usize, const R: usize, const FUSED: bool>(
    sums: &mut [[Lanes; P]; R],
    left: [f32; R],
    right: &[Lanes; P],
) {
    for (sums, left) in sums.iter_mut().zip(left) {
        for (Lanes(sums), Lanes(right)) in sums.iter_mut().zip(right) {
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = if FUSED { left.mul_add(*right, *sum) } else { left * right + *sum };
            }
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn by_columns(out: &mut [f32], place: Place, left: Matrix<'_>, lanes: &[Lanes]) {
    match (lanes.len() == left.columns, FUSES || target_cfg_f!(target_feature = "fma")) {
        (true, true) => tiles_by_columns::<1, true>(out, place, left, lanes),
        (true, false) => tiles_by_columns::<1, false>(out, place, left, lanes),
        (false, true) => tiles_by_columns::<2, true>(out, place, left, lanes),
        (false, false) => tiles_by_columns::<2, false>(out, place, left, lanes),
    }
}

#[inline(always)]
fn tiles_by_columns<const P: usize, const FUSED: bool>(
    out: &mut [f32],
    place: Place,
    left: Matrix<'_>,
    lanes: &[Lanes],
) {
    let (panels, _) = lanes.as_chunks::<P>();
    let mut first = 0;
    while first < left.rows {
        let (left_of, out) = ((&left.values[first..], left.stride), &mut out[first * place.stride..]);
        // The rest in tiles that are about as high as each other.
        let height = match left.rows - first {
            ROWS | 10.. => ROWS,
            5 | 9 => 5,
            4 | 7 | 8 => 4,
            rest => rest,
        };
        match height {
            ROWS => place.store(out, &tile_of_columns::<P, ROWS, FUSED>(left_of, panels)),
            5 => place.store(out, &tile_of_columns::<P, 5, FUSED>(left_of, panels)),
            4 => place.store(out, &tile_of_columns::<P, 4, FUSED>(left_of, panels)),
            3 => place.store(out, &tile_of_columns::<P, 3, FUSED>(left_of, panels)),
            2 => place.store(out, &tile_of_columns::<P, 2, FUSED>(left_of, panels)),
            _ => place.store(out, &tile_of_columns::<P, 1, FUSED>(left_of, panels)),
        }
        first += height;
    }
}

/// The sums of the first columns of rows that are `stride` long.
#[inline(always)]
fn tile_of_columns<const P: usize, const R: usize, const FUSED: bool>(
    (values, stride): (&[f32], usize),
    panels: &[[Lanes; P]],
) -> [[Lanes; P]; R] {
    let mut sums = [[Lanes::default(); P]; R];
    for (row, right) in values.chunks(stride).zip(panels) {
        let Some(left) = row.first_chunk() else { break };
        add_terms::<P, _, FUSED>(&mut sums, *left, right);
    }
    sums
}

thread_local! {
    /// What a single product packs.
    static PANELS: RefCell<Panels> = RefCell::default();
}

fn multiply(out: &mut [f32], stride: usize, left: Matrix<'_>, right: Matrix<'_>, add: bool) {
    PANELS.with_borrow_mut(|panels| {
        panels.pack(right);
        panels.multiply(out, stride, left, add);
    });
}

/// out = x w^T: x `[n, inputs]` through a layer's weights `[outputs, inputs]`.
pub fn forward(out: &mut [f32], x: Matrix<'_>, w: Matrix<'_>) {
    multiply(out, w.rows, x, w.transposed(), false);
}

/// out = dy w: the gradient `[n, outputs]` back through a layer's weights `[outputs, inputs]`.
pub fn backward(out: &mut [f32], dy: Matrix<'_>, w: Matrix<'_>) {
    multiply(out, w.columns, dy, w, false);
}

/// dw += dy^T x: the gradient of a layer's weights `[outputs, inputs]`.
pub fn weight_gradient(dw: &mut [f32], dy: Matrix<'_>, x: Matrix<'_>) {
    for rows in (0..x.rows).step_by(DEPTH).map(|first| first..x.rows.min(first + DEPTH)) {
        multiply(dw, x.columns, dy.part_of(rows.clone()).transposed(), x.part_of(rows), true);
    }
}

#[cfg(test)]
mod tests;
