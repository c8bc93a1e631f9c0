//! The same step as `model`'s with a gradient derived by hand: products of libtorch, and between them one kernel of
//! `kernels/` where autograd takes five to ten. All buffers are made once, so that on a GPU a step can be captured as
//! a CUDA graph. For multiplicative trunks; `step` leaves the others to autograd.
//!
//! The names of sizes are those of `kernels/`.

mod buffers;
mod load;

use std::ffi::CStr;
use std::rc::Rc;

use tch::{Device, Tensor};

use self::buffers::{Buffers, HeadBuffers, Input, Maps, Place, Sizes, TableMap};
pub(crate) use self::buffers::{PriorKind, Variant};
use crate::kernels::{Graph, Kernels};
use crate::layout::{Linear, Parts, Shape, Trunk};
use crate::model::ROUNDS;
use crate::random;

/// Rows of a chunk, as in `kernels/`.
const CHUNK: i64 = 16;
/// Rows that a kernel reads before it writes any.
const AHEAD: i64 = 4;
/// First sums of the gradient's squares, of each trial, and how many of them are added next.
const NORM_PARTS: i64 = 2048;
const NORM_FOLD: i64 = 64;
/// From so many trials on, and for columns of so many values at most, a table's gradient is a sum into places.
const MANY_TRIALS: i64 = 32;
const LARGEST: usize = 48;
/// Steps before a graph is captured: libraries allocate at their first calls.
const EAGER_STEPS: u32 = 2;

/// Buffers of a step.
#[derive(Debug)]
pub(crate) struct Lean {
    shape: Shape,
    pub variant: Variant,
    kernels: Rc<Kernels>,
    parts: Parts<Place>,
    sizes: Sizes,
    input: Input,
    maps: Maps,
    a: Buffers,
    graph: Option<Graph>,
    steps: u32,
}

impl Lean {
    /// Whether models of this shape are computed here.
    pub fn fits(shape: &Shape) -> bool {
        shape.trunk == Trunk::Multiplicative && shape.angles > 0
    }

    pub fn new(shape: &Shape, variant: Variant, kernels: Rc<Kernels>, device: Device) -> Self {
        let mut places = shape.padded().0.into_iter();
        let parts = shape.parts(|_, sizes| (places.next().unwrap_or_default(), sizes.to_vec()));
        let sizes = Sizes::new(shape, &variant);
        let input = Input::new(&sizes, &variant, device);
        let a = Buffers::new(shape, &sizes, &variant, device);
        let maps = Maps::new(shape, &parts, device);
        Self { shape: shape.clone(), variant, kernels, parts, sizes, input, maps, a, graph: None, steps: 0 }
    }

    /// The gradient of every trial's loss, in the padded layout `[E, weights]`, after [`Lean::differentiate`].
    pub fn gradient(&self) -> &Tensor {
        &self.a.gradient
    }

    /// Terms of the last step, `[E, 4]`.
    pub fn terms(&self) -> &Tensor {
        &self.a.terms
    }

    /// Gradient and update on what was loaded; `state` is weights, moments and the mask of those that decay.
    pub fn step(&mut self, state: [&Tensor; 4]) {
        if let Some(graph) = self.graph.as_ref().filter(|_| self.kernels.graphs()) {
            self.kernels.replay(graph);
            return;
        }
        let work = || {
            self.differentiate(state[0]);
            self.update(state);
        };
        if self.steps >= EAGER_STEPS
            && self.kernels.graphs()
            && let Some(graph) = self.kernels.capture(work)
        {
            self.kernels.replay(&graph);
            self.graph = Some(graph);
        } else {
            self.differentiate(state[0]);
            self.update(state);
        }
        self.steps += 1;
    }

    /// Gradient and terms.
    pub fn differentiate(&self, weights: &Tensor) {
        let Sizes { e, n, r, c, q, z, s, angles, w, states, len, .. } = self.sizes;
        let (run, input, a, parts) = (&self.kernels, &self.input, &self.a, &self.parts);
        let given = self.shape.given.len() as i64;
        let open = self.variant.open;
        if self.variant.seeds {
            random::fill(run, &input.seeds, [&input.noise, &input.codes, &input.uniforms]);
        }
        let own = i64::from(self.variant.prior == PriorKind::Own);
        let tensors = [&input.encoder_rows, &input.rows, &input.codes, &input.z];
        run.run(c"place", e * n, &tensors, &[self.sizes.rows, n, r, c, z, own]);
        if open {
            self.encode(weights);
            self.pair();
        }
        run.run(c"columns", e * c * q, &[&input.rows, &a.columns], &[r, c, q]);
        let (condition, prefix) = (start(&parts.condition), parts.prefix.as_ref().map_or(0, start));
        let numbers = [r, s, angles, given, states, len, condition, prefix, e, c];
        run.run(c"features", e * r * s, &[&input.rows, weights, &a.features, &self.maps.starts], &numbers);
        let latent = self.matrix(weights, &parts.latent.weight);
        if open {
            self.product(c"products: latent", &input.z, &a.latent, &latent.transpose(1, 2));
        }
        let mut at = 0;
        for column in 0..self.shape.generated.len() {
            self.head(weights, column, at);
            at += 2 * self.shape.width(column) as i64;
        }
        if open {
            let gradient = self.matrix(&a.gradient, &parts.latent.weight);
            self.product(c"products: latent", &a.latent.transpose(1, 2), &gradient, &input.z);
            self.product(c"products: latent", &a.latent.narrow(1, 0, n), &a.z_back, &latent);
        }
        let numbers = [r, s, angles, states, e];
        run.run(c"features_back", e * r * s, &[&a.features, &a.features_back, &a.states_back], &numbers);
        self.table(&self.maps.condition, &parts.condition, (&a.states_back, r, s));
        if let Some(prefix) = &parts.prefix {
            self.table(&self.maps.prefix, prefix, (&a.states_back, r, s));
        }
        if open {
            self.encode_back(weights);
        }
        let numbers = [self.sizes.b, r, n, self.sizes.encoder_b, len];
        run.run(c"bias_sum", e * self.sizes.b, &[&a.bias_parts, &self.maps.biases, &a.gradient], &numbers);
        run.run(c"loss_part", a.loss_parts.numel() as i64, &[&a.losses, &a.loss_parts], &[r, n]);
        let numbers = [r, n, z, i64::from(open)];
        run.run(c"terms", e, &[&a.loss_parts, &a.kl, &input.knobs, &a.terms], &numbers);
        debug_assert_eq!(at, w);
    }

    /// Clips the gradient and moves the weights.
    fn update(&self, [weights, first, second, decayed]: [&Tensor; 4]) {
        let (Sizes { e, len, .. }, a, run) = (self.sizes, &self.a, &self.kernels);
        let [parts, folded, norm] = &a.norm;
        run.run(c"norm_part", e * NORM_PARTS, &[&a.gradient, parts], &[len, NORM_PARTS]);
        run.run(c"fold", e * (NORM_PARTS / NORM_FOLD), &[parts, folded], &[NORM_FOLD]);
        run.run(c"fold", e, &[folded, norm], &[NORM_PARTS / NORM_FOLD]);
        let tensors = [weights, &a.gradient, first, second, norm, &self.input.knobs, decayed];
        run.run(c"adam", e * len, &tensors, &[len]);
    }

    /// The encoder: batch and candidates to posteriors, the batch's z, and the KL.
    fn encode(&self, weights: &Tensor) {
        let Sizes { e, n, r, rows, c, z, h, len, .. } = self.sizes;
        let (run, input, a, parts) = (&self.kernels, &self.input, &self.a, &self.parts);
        let tensors = [&input.encoder_rows, weights, &a.embedded, &a.embedded_slopes, &self.maps.starts];
        run.run(c"embed", e * rows * h, &tensors, &[rows, h, c, len, start(&parts.embed)]);
        self.product(
            c"products: encoder",
            &a.embedded,
            &a.hidden_slopes,
            &self.matrix(weights, &parts.hidden.weight).transpose(1, 2),
        );
        let numbers = [rows, h, len, start(&parts.hidden.bias)];
        run.run(c"activate", e * rows * h, &[&a.hidden_slopes, &a.hidden, weights], &numbers);
        self.product(
            c"products: encoder",
            &a.hidden,
            &a.posterior,
            &self.matrix(weights, &parts.output.weight).transpose(1, 2),
        );
        let tensors = [&a.posterior, &input.noise, &input.z, &input.knobs, weights];
        run.run(c"posterior", e * rows * z, &tensors, &[rows, n, r, z, len, start(&parts.output.bias)]);
        run.run(c"kl_part", a.kl_parts.numel() as i64, &[&a.posterior, &a.kl_parts], &[rows, n, z]);
        run.run(c"kl", e * z, &[&a.kl_parts, &a.kl, &a.kl_slopes, &input.knobs], &[n, z]);
    }

    /// Chooses the row of each code from the prior.
    fn pair(&self) {
        let PriorKind::Paired { m, p, k, balanced } = self.variant.prior else { return };
        let Sizes { e, n, r, rows, c, z, .. } = self.sizes;
        let (run, input, a) = (&self.kernels, &self.input, &self.a);
        let tensors = [&a.posterior, &input.codes, &a.density, &input.log_shares];
        run.run(c"density", e * m * k * p, &tensors, &[rows, n, m, p, k, z]);
        for round in 0..if balanced { ROUNDS } else { 0 } {
            let tensors = [&a.density, &a.row_mass, &a.code_mass, &input.counts];
            run.run(c"code_mass", e * m * k, &tensors, &[p, k, i64::from(round == 0)]);
            run.run(c"row_mass", e * m * p, &[&a.density, &a.code_mass, &a.row_mass, &input.log_shares], &[p, k]);
        }
        let tensors = [
            &a.density,
            &a.row_mass,
            &input.uniforms,
            &input.counts,
            &input.encoder_rows,
            &input.rows,
            &input.z,
            &input.codes,
        ];
        run.run(c"pick", e * m * k, &tensors, &[n, r, m, p, k, z, c, rows, i64::from(balanced)]);
    }

    /// A head forward and backward.
    fn head(&self, weights: &Tensor, column: usize, at: i64) {
        let Sizes { e, n, r, c, q, w: all, b, len, states, .. } = self.sizes;
        let (run, a, head) = (&self.kernels, &self.a, &self.parts.heads[column]);
        let HeadBuffers { units, gated, hidden, sum, back, logits } = &a.heads[column];
        let (width, size) = (self.shape.width(column) as i64, self.shape.generated[column].size as i64);
        let open = i64::from(self.variant.open);
        let state = if states == 1 { 0 } else { column as i64 };
        let (features, features_back) = (a.features.get(state), a.features_back.get(state));
        let [input_w, hidden_w, output_w] =
            [&head.input, &head.hidden, &head.output].map(|layer| self.matrix(weights, &layer.weight));
        let [input_g, hidden_g, output_g] =
            [&head.input, &head.hidden, &head.output].map(|layer| self.matrix(&a.gradient, &layer.weight));
        let own_logits = logits.narrow(2, 0, r);
        let [input_b, hidden_b, output_b] = self.head_biases(column);
        let latent_b = b - all;
        let chunked = |columns: i64| e * ((r + CHUNK - 1) / CHUNK) * columns;

        self.product(c"products: forward", &features, units, &input_w.transpose(1, 2));
        let gate = [r, width, all, at, len, start(&head.input.bias), start(&self.parts.latent.bias), open];
        run.run(c"gate", e * ((r + AHEAD - 1) / AHEAD) * width, &[units, &a.latent, gated, weights], &gate);
        self.product(c"products: forward", gated, hidden, &hidden_w.transpose(1, 2));
        let numbers = [r, width, len, start(&head.hidden.bias)];
        run.run(c"residual", e * ((r + AHEAD - 1) / AHEAD) * width, &[hidden, gated, sum, weights], &numbers);
        self.product(c"products: forward", &output_w, &own_logits, &sum.transpose(1, 2));
        let target = self.shape.given.len() as i64 + column as i64;
        let numbers = [r, size, q, c, target, n, len, start(&head.output.bias), i64::from(column == 0)];
        run.run(c"cross_entropy", e * r, &[logits, &self.input.rows, &a.losses, &self.input.knobs, weights], &numbers);

        run.run(c"bias_part", chunked(size), &[logits, &a.bias_parts], &[r, size, q, b, output_b]);
        self.product(c"products: weights", &own_logits, &output_g, sum);
        self.product(c"products: back", &own_logits.transpose(1, 2), back, &output_w);
        let numbers = [r, width, len, start(&head.hidden.bias), b, hidden_b];
        run.run(c"residual_back", chunked(width), &[hidden, back, weights, &a.bias_parts], &numbers);
        self.product(c"products: weights", &hidden.transpose(1, 2), &hidden_g, gated);
        self.add_product(c"products: back", hidden, back, &hidden_w);
        let numbers = [&gate[..], &[b, input_b, latent_b]].concat();
        run.run(c"gate_back", chunked(width), &[units, &a.latent, back, weights, &a.bias_parts], &numbers);
        self.product(c"products: weights", &units.transpose(1, 2), &input_g, &features);
        // Heads of one state add up.
        if states == 1 && column > 0 {
            self.add_product(c"products: back", units, &features_back, &input_w);
        } else {
            self.product(c"products: back", units, &features_back, &input_w);
        }
    }

    fn encode_back(&self, weights: &Tensor) {
        let Sizes { e, n, r, rows, z, h, b, .. } = self.sizes;
        let (run, input, a, parts) = (&self.kernels, &self.input, &self.a, &self.parts);
        let chunks = (n + CHUNK - 1) / CHUNK;
        let gradient = |layer: &Linear<Place>| self.matrix(&a.gradient, &layer.weight);
        let own = |units: &Tensor| units.narrow(1, 0, n);
        let tensors =
            [&a.posterior, &a.z_back, &input.noise, &a.kl_slopes, &input.knobs, &a.posterior_back, &a.bias_parts];
        run.run(c"posterior_back", e * chunks * z, &tensors, &[rows, n, z, r, b, h]);
        self.product(
            c"products: encoder",
            &a.posterior_back.transpose(1, 2),
            &gradient(&parts.output),
            &own(&a.hidden),
        );
        self.product(
            c"products: encoder",
            &a.posterior_back,
            &a.hidden_back,
            &self.matrix(weights, &parts.output.weight),
        );
        let tensors = [&a.hidden_back, &a.hidden_slopes, &a.bias_parts];
        run.run(c"slopes", e * chunks * h, &tensors, &[rows, n, h, r, b, 0]);
        self.product(c"products: encoder", &a.hidden_back.transpose(1, 2), &gradient(&parts.hidden), &own(&a.embedded));
        self.product(
            c"products: encoder",
            &a.hidden_back,
            &a.embedded_back,
            &self.matrix(weights, &parts.hidden.weight),
        );
        let tensors = [&a.embedded_back, &a.embedded_slopes, &a.bias_parts];
        run.run(c"slopes", e * chunks * h, &tensors, &[rows, n, h, r, b, -1]);
        self.table(&self.maps.embed, &parts.embed, (&a.embedded_back, n, h));
    }

    /// A table's gradient from those of its rows' sums, `[states, E, rows, width]`.
    fn table(&self, map: &TableMap, place: &Place, (back, rows, width): (&Tensor, i64, i64)) {
        let Sizes { e, c, q, len, .. } = self.sizes;
        let (columns, gradient) = (&self.a.columns, &self.a.gradient);
        let numbers = |count| [rows, width, count, q, c, len, start(place), e, rows * width];
        if e >= MANY_TRIALS && map.largest <= LARGEST {
            let count = map.columns.numel() as i64 / 4;
            self.kernels.run(
                c"histogram",
                e * count * width,
                &[back, &map.columns, columns, gradient],
                &numbers(count),
            );
        } else {
            let [column, value, state] = &map.rows;
            let count = value.numel() as i64;
            let tensors = [back, column, value, state, columns, gradient];
            self.kernels.run(c"table", e * count * width, &tensors, &numbers(count));
        }
    }

    /// Products of all trials' matrices.
    fn product(&self, name: &CStr, left: &Tensor, out: &Tensor, right: &Tensor) {
        self.kernels.timed(name, || {
            let _ = left.bmm_out(out, right);
        });
    }

    /// The same, added to what is there.
    fn add_product(&self, name: &CStr, left: &Tensor, out: &Tensor, right: &Tensor) {
        self.kernels.timed(name, || {
            let _ = out.shallow_clone().baddbmm_(left, right);
        });
    }

    /// Columns of a head's biases among all.
    fn head_biases(&self, column: usize) -> [i64; 3] {
        let size = |column: usize| 2 * self.shape.width(column) + self.shape.generated[column].size;
        let first = self.sizes.encoder_b as usize + (0..column).map(size).sum::<usize>();
        let width = self.shape.width(column);
        [first, first + width, first + 2 * width].map(|place| place as i64)
    }

    /// A matrix of all trials, `[E, rows, columns]`, of a flat tensor `[E, weights]`.
    fn matrix(&self, flat: &Tensor, (place, sizes): &Place) -> Tensor {
        let sizes: Vec<i64> = sizes.iter().map(|size| *size as i64).collect();
        flat.narrow(1, place.start as i64, place.len() as i64).view([self.sizes.e, sizes[0], sizes[1]])
    }
}

/// Where a weight begins in the flat layout.
fn start((place, _): &Place) -> i64 {
    place.start as i64
}
