//! The buffers that a step is computed in, their sizes, and what their rows stand for.

use std::ops::Range;
use std::rc::Rc;

use tch::{Device, Kind, Tensor};

use super::{CHUNK, NORM_FOLD, NORM_PARTS};
use crate::data::KNOBS;
use crate::layout::{Head, Heads, Parts, Shape};

/// What changes which launches a step is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Trials.
    pub trials: i64,
    /// Rows of the batch.
    pub n: i64,
    /// Whether any trial's code is open.
    pub open: bool,
    /// Where codes from the prior come from.
    pub prior: PriorKind,
    /// Whether random numbers are drawn on the device.
    pub seeds: bool,
}

/// Kind and sizes of the hybrid term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PriorKind {
    None,
    Own,
    Paired { m: i64, p: i64, k: i64, balanced: bool },
}

/// A place of the flat weights and, for a matrix, its rows and columns.
pub type Place = (Range<usize>, Vec<usize>);

/// Sizes, named as in `kernels/`; `h` is the encoder's width, `s` the state's, `w` twice the heads' widths, `b` the
/// biases' number, `states` the number of different states, `len` the weights of a trial.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub e: i64,
    pub n: i64,
    pub r: i64,
    pub rows: i64,
    pub c: i64,
    pub q: i64,
    pub z: i64,
    pub h: i64,
    pub s: i64,
    pub angles: i64,
    pub f: i64,
    pub w: i64,
    pub b: i64,
    pub encoder_b: i64,
    pub states: i64,
    pub len: i64,
}

/// What a step is taken on.
#[derive(Debug)]
pub struct Input {
    /// All that is copied to the device, one after the other.
    pub all: Tensor,
    /// The encoder's rows: the batch's, then candidates, `[E, N, C]`, 32-bit.
    pub encoder_rows: Tensor,
    /// `[E, m]`, 32-bit.
    pub counts: Tensor,
    /// `[E, 2]`, where random numbers are drawn on the device.
    pub seeds: Tensor,
    /// `[E, KNOBS]`.
    pub knobs: Tensor,
    /// `[E, m, p]`. What follows is not copied where random numbers are drawn on the device.
    pub log_shares: Tensor,
    /// `[E, n, Z]`.
    pub noise: Tensor,
    /// `[E, m, k, Z]`, or `[E, n, Z]` where each row of the batch has one.
    pub codes: Tensor,
    /// `[E, m, k]`.
    pub uniforms: Tensor,
    /// The decoder's rows: the batch's, then those of codes from the prior, `[E, R, C]`, 32-bit.
    pub rows: Tensor,
    /// `[E, R, Z]`.
    pub z: Tensor,
}

impl Input {
    pub fn new(sizes: &Sizes, variant: &Variant, device: Device) -> Self {
        let Sizes { e, n, r, rows, c, z, .. } = *sizes;
        let (m, p, k) = match variant.prior {
            PriorKind::Paired { m, p, k, .. } => (m, p, k),
            _ => (0, 0, 0),
        };
        let noise = if variant.open { e * n * z } else { 0 };
        let codes = e * if variant.prior == PriorKind::Own { n * z } else { m * k * z };
        let lens = [e * rows * c, e * m, 2 * e, e * KNOBS as i64, e * m * p, noise, codes, e * m * k];
        // What is drawn on the device lies elsewhere.
        let copied = if variant.seeds { 5 } else { lens.len() };
        let zeros =
            |lens: &[i64]| Tensor::zeros([lens.iter().map(|len| padded(*len)).sum::<i64>()], (Kind::Int, device));
        let (all, drawn) = (zeros(&lens[..copied]), zeros(&lens[copied..]));
        let places = |buffer: &Tensor, lens: &[i64]| {
            let mut start = 0;
            let parts = lens.iter().map(|len| {
                start += padded(*len);
                buffer.narrow(0, start - padded(*len), *len)
            });
            parts.collect::<Vec<_>>()
        };
        let mut parts = places(&all, &lens[..copied]).into_iter().chain(places(&drawn, &lens[copied..]));
        let mut next = || parts.next().unwrap_or_else(|| all.shallow_clone());
        let [encoder_rows, counts, seeds] = [(); 3].map(|()| next());
        let [knobs, log_shares, noise, codes, uniforms] = [(); 5].map(|()| next().view_dtype(Kind::Float));
        let rows = Tensor::zeros([e, r, c], (Kind::Int, device));
        let z = Tensor::zeros([e, r, z], (Kind::Float, device));
        Self { all, encoder_rows, counts, seeds, knobs, log_shares, noise, codes, uniforms, rows, z }
    }
}

/// So much that what follows begins at a multiple of 128 bytes.
pub fn padded(len: i64) -> i64 {
    (len + 31) / 32 * 32
}

/// Constant indices, 32-bit.
#[derive(Debug)]
pub struct Maps {
    /// Where each column's values begin, `[C]`.
    pub starts: Tensor,
    /// Places of the biases' gradients, `[B]`.
    pub biases: Tensor,
    pub embed: TableMap,
    pub condition: TableMap,
    pub prefix: TableMap,
}

/// What the rows of a table stand for.
#[derive(Debug)]
pub struct TableMap {
    /// Column, value and state of each row.
    pub rows: [Tensor; 3],
    /// Of each column: its number, first row, size and state, `[columns, 4]`.
    pub columns: Tensor,
    /// The most values of a column.
    pub largest: usize,
}

#[derive(Debug)]
pub struct Buffers {
    pub gradient: Tensor,
    pub bias_parts: Tensor,
    pub terms: Tensor,
    pub norm: [Tensor; 3],
    // Encoder: units, slopes, outputs, their gradients.
    pub embedded: Tensor,
    pub embedded_slopes: Tensor,
    pub hidden: Tensor,
    pub hidden_slopes: Tensor,
    pub posterior: Tensor,
    pub posterior_back: Tensor,
    pub z_back: Tensor,
    pub hidden_back: Tensor,
    pub embedded_back: Tensor,
    pub kl_parts: Tensor,
    pub kl: Tensor,
    pub kl_slopes: Tensor,
    // Pairing.
    pub density: Tensor,
    pub code_mass: Tensor,
    pub row_mass: Tensor,
    // Decoder.
    pub columns: Tensor,
    pub features: Tensor,
    pub features_back: Tensor,
    pub states_back: Tensor,
    pub latent: Tensor,
    pub losses: Tensor,
    pub loss_parts: Tensor,
    pub heads: Vec<HeadBuffers>,
}

/// Buffers of the heads of one width, which take turns.
#[derive(Clone, Debug)]
pub struct HeadBuffers {
    pub units: Rc<Tensor>,
    pub gated: Rc<Tensor>,
    pub hidden: Rc<Tensor>,
    pub sum: Rc<Tensor>,
    pub back: Rc<Tensor>,
    /// `[E, size, Q]`: neighbours on the device read neighbours in memory.
    pub logits: Rc<Tensor>,
}

impl Buffers {
    pub fn new(shape: &Shape, sizes: &Sizes, variant: &Variant, device: Device) -> Self {
        let Sizes { e, n, r, rows, c, q, z, h, s, f, w, b, states, len, .. } = *sizes;
        let float = |sizes: &[i64]| Tensor::zeros(sizes, (Kind::Float, device));
        let int = |sizes: &[i64]| Tensor::zeros(sizes, (Kind::Int, device));
        let (m, p, k) = match variant.prior {
            PriorKind::Paired { m, p, k, .. } => (m, p, k),
            _ => (0, 0, 0),
        };
        let mut heads: Vec<HeadBuffers> = Vec::new();
        for column in 0..shape.generated.len() {
            let width = shape.width(column) as i64;
            let wide = || Rc::new(float(&[e, r, width]));
            let logits = Rc::new(float(&[e, shape.generated[column].size as i64, q]));
            let alike = (0..column).find(|other| shape.width(*other) as i64 == width).map(|other| heads[other].clone());
            heads.push(match alike {
                Some(buffers) => HeadBuffers { logits, ..buffers },
                None => HeadBuffers { units: wide(), gated: wide(), hidden: wide(), sum: wide(), back: wide(), logits },
            });
        }
        // The encoder's buffers are not needed while all codes are closed.
        let [e1, rows1, n1] = if variant.open { [e, rows, n] } else { [0, 0, 0] };
        let chunks = |rows: i64| (rows + CHUNK - 1) / CHUNK;
        Self {
            gradient: float(&[e, len]),
            bias_parts: float(&[e, chunks(r), b]),
            terms: float(&[e, 4]),
            norm: [float(&[e, NORM_PARTS]), float(&[e, NORM_PARTS / NORM_FOLD]), float(&[e])],
            embedded: float(&[e1, rows1, h]),
            embedded_slopes: float(&[e1, rows1, h]),
            hidden: float(&[e1, rows1, h]),
            hidden_slopes: float(&[e1, rows1, h]),
            posterior: float(&[e1, rows1, 2 * z]),
            posterior_back: float(&[e1, n1, 2 * z]),
            z_back: float(&[e1, n1, z]),
            hidden_back: float(&[e1, n1, h]),
            embedded_back: float(&[e1, n1, h]),
            kl_parts: float(&[e, chunks(n), z]),
            kl: float(&[e, z]),
            kl_slopes: float(&[e, z]),
            density: float(&[e, m, k, p]),
            code_mass: float(&[e, m, k]),
            row_mass: float(&[e, m, p]),
            columns: int(&[e, c, q]),
            features: float(&[states, e, r, f]),
            features_back: float(&[states, e, r, f]),
            states_back: float(&[states, e, r, s]),
            latent: float(&[e1, if variant.open { r } else { 0 }, w]),
            losses: float(&[e, r]),
            loss_parts: float(&[e, chunks(n) + chunks(r - n)]),
            heads,
        }
    }
}

impl Variant {
    /// The same with longer lists of candidates, so that steps whose longest lists differ can be of one variant.
    pub fn with_room(self) -> Self {
        match self.prior {
            PriorKind::Paired { m, p, k, balanced } => {
                Self { prior: PriorKind::Paired { m, p: (p + 7) / 8 * 8, k, balanced }, ..self }
            }
            _ => self,
        }
    }

    /// Whether a step of this variant can be taken in the buffers of another.
    pub fn fits(self, other: Self) -> bool {
        match (self.prior, other.prior) {
            (PriorKind::Paired { m, p, k, balanced }, PriorKind::Paired { p: room, .. }) => {
                let prior = PriorKind::Paired { m, p: room, k, balanced };
                p <= room && Self { prior, ..self } == other
            }
            _ => self == other,
        }
    }
}

impl Sizes {
    pub fn new(shape: &Shape, variant: &Variant) -> Self {
        let Variant { trials: e, n, prior, .. } = *variant;
        let (r, rows) = match prior {
            PriorKind::None => (n, n),
            PriorKind::Own => (2 * n, n),
            PriorKind::Paired { m, p, k, .. } => (n + m * k, n + m * p),
        };
        // A model without z has no encoder.
        let (z, h) = (shape.latent as i64, if shape.latent > 0 { shape.hidden as i64 } else { 0 });
        let encoder_b = h + 2 * z;
        let outputs: usize = shape.generated.iter().map(|column| column.size).sum();
        let w = 2 * shape.widths() as i64;
        Self {
            e,
            n,
            r,
            rows,
            c: shape.columns() as i64,
            q: (r + 3) / 4 * 4,
            z,
            h,
            s: shape.state() as i64,
            angles: shape.angles as i64,
            f: shape.features() as i64,
            w,
            b: encoder_b + 2 * shape.widths() as i64 + outputs as i64 + w,
            encoder_b,
            states: if shape.heads == Heads::Autoregressive { shape.generated.len() as i64 } else { 1 },
            len: shape.padded().1 as i64,
        }
    }
}

impl Maps {
    pub fn new(shape: &Shape, parts: &Parts<Place>, device: Device) -> Self {
        let ints = |values: Vec<i32>| Tensor::from_slice(&values).to_device(device);
        let sizes = shape.sizes();
        let starts = (0..sizes.len()).map(|column| sizes[..column].iter().sum::<usize>() as i32).collect();
        let head = |head: &Head<Place>| {
            [&head.input.bias, &head.hidden.bias, &head.output.bias].map(|(place, _)| place.clone())
        };
        let encoder = [&parts.hidden.bias, &parts.output.bias].map(|(place, _)| place.clone());
        let places = encoder.into_iter().chain(parts.heads.iter().flat_map(head)).chain([parts.latent.bias.0.clone()]);
        let biases = places.flatten().map(|place| place as i32).collect();
        // The rows of a table that holds the values of these columns; the n-th of them reads the state `part(n)`.
        let table = |columns: Range<usize>, part: &dyn Fn(usize) -> usize| {
            let rows = columns.clone().flat_map(|column| (0..sizes[column]).map(move |value| (column, value)));
            let rows: Vec<_> = rows.collect();
            let map = |of: &dyn Fn(&(usize, usize)) -> usize| ints(rows.iter().map(|row| of(row) as i32).collect());
            let of_row = [map(&|row| row.0), map(&|row| row.1), map(&|row| part(row.0 - columns.start))];
            let mut first = 0;
            let of_column = columns.clone().flat_map(|column| {
                first += sizes[column];
                [column, first - sizes[column], sizes[column], part(column - columns.start)].map(|number| number as i32)
            });
            let (of_column, largest) = (ints(of_column.collect()), sizes[columns.clone()].iter().max().copied());
            TableMap { rows: of_row, columns: of_column, largest: largest.unwrap_or(0) }
        };
        let given = shape.given.len();
        Self {
            starts: ints(starts),
            biases: ints(biases),
            embed: table(0..sizes.len(), &|_| 0),
            condition: table(0..given, &|_| 0),
            prefix: table(given..sizes.len().max(given + 1) - 1, &|column| column + 1),
        }
    }
}
