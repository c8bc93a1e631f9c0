//! Where each weight of a model lies in one flat vector. Both engines exchange weights and moments in this order.

use std::ops::Range;

use super::config::{Heads, ModelConfig, Prior, Trunk};
use crate::task::{Column, Schema};

/// Radians of one unit of a learned angle. Adam moves every entry of a table by about the learning rate per step; in
/// these units an angle can turn within a few hundred steps, in radians it took three times as long (measured).
pub const RADIANS_PER_UNIT: f32 = 6.0;
/// Spread of the initial angles, in the units above: 1.8 radians.
const ANGLE_STDEV: f64 = 0.3;
/// Spread of the initial rows of an additive trunk's tables.
const ADDITIVE_STDEV: f64 = 0.5;

/// How a tensor's initial values are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// N(0, stdev^2).
    Normal(f64),
    /// U(-bound, bound).
    Uniform(f64),
    /// 0.
    Zeros,
}

/// One of a model's tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorPlace {
    /// Its name in weight files.
    pub name: String,
    /// Its shape, by rows.
    pub shape: Vec<usize>,
    /// Its place in the flat vector.
    pub place: Range<usize>,
    /// How it begins.
    pub init: Init,
}

/// A layer's weights `[outputs, inputs]` and biases `[outputs]`.
#[derive(Clone, Debug, Default)]
pub struct Linear {
    /// Place of the weights.
    pub weight: Range<usize>,
    /// Place of the biases.
    pub bias: Range<usize>,
    /// Inputs.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
}

/// A network of diagonal Gaussians over z, an MLP on the one-hot blocks of columns: the encoder q(z | y, c) of all
/// columns, or the conditional prior p(z | c) of the given ones.
#[derive(Clone, Debug)]
pub struct GaussianLayout {
    /// The table `[sum of the columns' sizes, hidden]`, whose rows add up to the first layer's units.
    pub embed: Range<usize>,
    /// Hidden layer.
    pub hidden: Linear,
    /// Means and logarithms of variances.
    pub output: Linear,
}

/// The layers of one generated column's head.
#[derive(Clone, Debug)]
pub struct Head {
    /// From the trunk's features to the units that z gates.
    pub input: Linear,
    /// Hidden layer, with a connection around it.
    pub hidden: Linear,
    /// Logits.
    pub output: Linear,
    /// The head's rows of the decoder's latent layer: its gate, then its shift.
    pub latent: Linear,
    /// Width of the hidden layers.
    pub width: usize,
    /// Number of the column's values.
    pub size: usize,
}

/// The decoder's trunk: tables whose rows add up to a state, and what turns the state into features.
#[derive(Clone, Debug)]
pub struct TrunkLayout {
    /// The table of the given columns, `[sum of sizes, state]`.
    pub condition: Range<usize>,
    /// The table of the generated columns but the last, `[sum of sizes, state]`; none with independent heads.
    pub prefix: Option<Range<usize>>,
    /// The hidden layer of an additive trunk.
    pub hidden: Option<Linear>,
    /// Learned angles of a multiplicative trunk, 0 in an additive one.
    pub angles: usize,
    /// Entries of the state.
    pub state: usize,
    /// Features that heads read.
    pub features: usize,
}

/// Places and sizes of all weights.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Number of given columns.
    pub given: usize,
    /// The row of each column's first value in a table of all columns.
    pub offsets: Vec<usize>,
    /// None in a model without z.
    pub encoder: Option<GaussianLayout>,
    /// None where the prior is N(0, I).
    pub prior: Option<GaussianLayout>,
    /// The decoder's trunk.
    pub trunk: TrunkLayout,
    /// One head for each generated column.
    pub heads: Vec<Head>,
    /// All tensors in order.
    pub tensors: Vec<TensorPlace>,
    /// Number of weights.
    pub len: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Dimensions of z.
    pub latent: usize,
}

/// Hands out places one after another.
#[derive(Default)]
struct Places {
    tensors: Vec<TensorPlace>,
    len: usize,
}

impl Places {
    fn take(&mut self, name: String, shape: &[usize], init: Init) -> Range<usize> {
        let place = self.len..self.len + shape.iter().product::<usize>();
        self.len = place.end;
        if !place.is_empty() {
            self.tensors.push(TensorPlace { name, shape: shape.to_vec(), place: place.clone(), init });
        }
        place
    }

    fn table(&mut self, name: &str, rows: usize, columns: usize, stdev: f64) -> Range<usize> {
        self.take(format!("{name}.weight"), &[rows, columns], Init::Normal(stdev))
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize, init: Init) -> Linear {
        let weight = self.take(format!("{name}.weight"), &[outputs, inputs], init);
        let bias = self.take(format!("{name}.bias"), &[outputs], Init::Zeros);
        Linear { weight, bias, inputs, outputs }
    }

    /// A hidden layer, initialised for rectified units (He et al. 2015).
    fn hidden(&mut self, name: &str, inputs: usize, outputs: usize) -> Linear {
        self.linear(name, inputs, outputs, Init::Uniform((6.0 / inputs as f64).sqrt()))
    }

    /// A layer of outputs, small at first, so that an untrained model is close to uniform.
    fn output(&mut self, name: &str, inputs: usize, outputs: usize) -> Linear {
        self.linear(name, inputs, outputs, Init::Uniform((1.0 / inputs as f64).sqrt()))
    }
}

/// Width of a column's head: a quarter is plenty for a column that the given ones determine.
fn head_width(column: &Column, hidden: usize) -> usize {
    if column.determined { (hidden / 4).max(1) } else { hidden }
}

impl Layout {
    /// The layout of a model of this config for this schema.
    pub fn new(config: &ModelConfig, schema: &Schema) -> Self {
        let [latent, hidden, angles] =
            [config.latent_dim, config.hidden_dim, config.angles].map(|size| usize::try_from(size).unwrap_or(0));
        let mut places = Places::default();
        let sizes: Vec<usize> = schema.sizes().collect();
        let offsets = sizes.iter().scan(0, |next, size| Some(std::mem::replace(next, *next + size))).collect();
        let encoder = (latent > 0).then(|| GaussianLayout {
            // One row for each column adds up to units of variance 1.
            embed: places.table("encoder.embed", sizes.iter().sum(), hidden, (sizes.len() as f64).powf(-0.5)),
            hidden: places.hidden("encoder.hidden", hidden, hidden),
            output: places.output("encoder.output", hidden, 2 * latent),
        });
        let (trunk_hidden, angles, state, features, stdev) = match config.trunk {
            Trunk::Additive => {
                let units = 2 * angles;
                (Some(places.hidden("decoder.trunk.hidden", units, units)), 0, units, units, ADDITIVE_STDEV)
            }
            Trunk::Multiplicative => {
                // Units that are added and not multiplied. The length of a month does not depend on the weekday; from
                // angles alone it was learned late, and 30-2 was sampled for long.
                let plain = angles / 2;
                (None, angles, angles + plain, 2 * angles + plain, ANGLE_STDEV)
            }
        };
        let mut heads = Vec::new();
        for column in &schema.generated {
            let (width, size) = (head_width(column, hidden), column.size());
            // The trunk has a name of its own.
            let name = if column.name == "trunk" { "column.trunk" } else { &column.name };
            heads.push(Head {
                input: places.hidden(&format!("decoder.{name}.input"), features, width),
                hidden: places.hidden(&format!("decoder.{name}.hidden"), width, width),
                output: places.output(&format!("decoder.{name}.output"), width, size),
                latent: Linear::default(),
                width,
                size,
            });
        }
        let given = schema.given.len();
        let rows = |columns: &[usize]| columns.iter().sum::<usize>();
        let condition = places.table("decoder.trunk.condition", rows(&sizes[..given]), state, stdev);
        // No head sees the last column.
        let seen = &sizes[given..(sizes.len() - 1).max(given)];
        let prefix = match config.heads {
            Heads::Independent => None,
            Heads::Autoregressive => Some(places.table("decoder.trunk.prefix", rows(seen), state, stdev)),
        };
        let outputs = heads.iter().map(|head| 2 * head.width).sum();
        let all = places.output("decoder.latent", latent, outputs);
        let mut first = 0;
        for head in &mut heads {
            let rows = first..first + 2 * head.width;
            head.latent = Linear {
                weight: all.weight.start + rows.start * latent..all.weight.start + rows.end * latent,
                bias: all.bias.start + rows.start..all.bias.start + rows.end,
                inputs: latent,
                outputs: rows.len(),
            };
            first = rows.end;
        }
        // The last tensors, so that all others lie where they do without them.
        let conditional = latent > 0 && config.prior == Prior::Conditional;
        let prior = conditional.then(|| GaussianLayout {
            embed: places.table("prior.embed", rows(&sizes[..given]), hidden, (given as f64).powf(-0.5)),
            hidden: places.hidden("prior.hidden", hidden, hidden),
            // It begins as N(0, I).
            output: places.linear("prior.output", hidden, 2 * latent, Init::Zeros),
        });
        let trunk = TrunkLayout { condition, prefix, hidden: trunk_hidden, angles, state, features };
        let Places { tensors, len } = places;
        Self { given, offsets, encoder, prior, trunk, heads, tensors, len, hidden, latent }
    }

    /// The places of the encoder's weights, the first ones.
    pub fn of_encoder(&self) -> Range<usize> {
        0..self.encoder.as_ref().map_or(0, |encoder| encoder.output.bias.end)
    }

    /// Number of generated columns that a column's head sees.
    pub fn seen(&self, column: usize) -> usize {
        if self.trunk.prefix.is_some() { column } else { 0 }
    }

    /// The hidden layers by their places, whose weights are matrices in the sense of Muon and SOAP: all but tables, outputs and
    /// what z gates.
    pub fn matrices(&self) -> Vec<&Linear> {
        let gaussians = self.encoder.iter().chain(&self.prior).map(|network| &network.hidden);
        let heads = self.heads.iter().flat_map(|head| [&head.input, &head.hidden]);
        let mut layers: Vec<&Linear> = gaussians.chain(&self.trunk.hidden).chain(heads).collect();
        layers.sort_by_key(|layer| layer.weight.start);
        layers
    }

    /// Places of all other weights, in order.
    pub fn between_matrices(&self) -> Vec<Range<usize>> {
        let matrices = self.matrices();
        let starts = [0].into_iter().chain(matrices.iter().map(|layer| layer.weight.end));
        let ends = matrices.iter().map(|layer| layer.weight.start).chain([self.len]);
        starts.zip(ends).map(|(start, end)| start..end).collect()
    }

    /// Numbers that SOAP remembers of them: for both sides of each the mean square of the gradient, and its basis.
    pub fn bases_len(&self) -> usize {
        self.matrices().iter().map(|layer| 2 * (layer.outputs * layer.outputs + layer.inputs * layer.inputs)).sum()
    }

    /// Places of the weights that decay: those with which heads read cosines and sines of the angles, and those of
    /// their hidden layers. Some learned angles memorise single conditions, which misleads on others. With the logits
    /// decayed as well, dates such as 31-4 stay too likely (measured).
    pub fn decayed(&self) -> impl Iterator<Item = Range<usize>> {
        let turning = 2 * self.trunk.angles;
        self.heads.iter().flat_map(move |head| {
            let rows = head.input.weight.clone().step_by(head.input.inputs);
            let rows = rows.take(if turning > 0 { head.width } else { 0 });
            rows.map(move |start| start..start + turning).chain([head.hidden.weight.clone()])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::dates;

    #[test]
    fn tensors_fill_the_vector_without_gaps_and_heads_share_the_latent_layer() {
        for (heads, trunk, latent_dim) in [
            (Heads::Autoregressive, Trunk::Multiplicative, 8),
            (Heads::Independent, Trunk::Additive, 3),
            (Heads::Autoregressive, Trunk::Additive, 0),
        ] {
            let config = ModelConfig { latent_dim, hidden_dim: 16, angles: 8, heads, trunk, ..ModelConfig::default() };
            let layout = Layout::new(&config, &dates::schema());
            let mut next = 0;
            for TensorPlace { name, shape, place, .. } in &layout.tensors {
                assert_eq!((place.start, place.len()), (next, shape.iter().product()), "{name}");
                next = place.end;
            }
            assert_eq!(next, layout.len);
            let has = |name: &str| layout.tensors.iter().any(|tensor| tensor.name == name);
            assert_eq!(has("decoder.trunk.prefix.weight"), heads == Heads::Autoregressive);
            assert_eq!(has("decoder.trunk.hidden.weight"), trunk == Trunk::Additive);
            assert_eq!((has("encoder.embed.weight"), has("decoder.latent.weight")), (latent_dim > 0, latent_dim > 0));
            let ends: Vec<_> = layout.heads.iter().map(|head| head.latent.bias.end).collect();
            assert_eq!(ends.last(), Some(&layout.len));
            assert_eq!(layout.heads[0].width, 4, "a determined column has a narrow head");
        }
    }
}
