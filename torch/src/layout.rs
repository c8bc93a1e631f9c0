//! Sizes of a model and the order of its weights, in one place: the flat layout and the tensors are made from it.
//!
//! Stands in for `cvae`'s own layout until this package depends on it.

use std::ops::Range;

/// How the decoder combines the columns that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trunk {
    /// An MLP on the one-hot blocks.
    Additive,
    /// A product of unit complex numbers of learned angle (Jayakumar et al. 2020).
    Multiplicative,
}

/// What the head of a generated column sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heads {
    /// The condition and z only.
    Independent,
    /// The generated columns before its own as well.
    Autoregressive,
}

/// A generated column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// Number of values.
    pub size: usize,
    /// Whether its head has a quarter of the width: enough for a column that the condition determines.
    pub narrow: bool,
}

/// Sizes and kinds of a model. Trials of one shape train as one batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Numbers of values of the given columns.
    pub given: Vec<usize>,
    /// The generated columns, in the order of generation.
    pub generated: Vec<Column>,
    /// Dimensions of z. At 0 the model is plain: the encoder is not run and z is empty.
    pub latent: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Learned angles of a value in a multiplicative trunk; an additive one has twice as many units.
    pub angles: usize,
    /// Kind of trunk.
    pub trunk: Trunk,
    /// Kind of heads.
    pub heads: Heads,
}

/// A layer's weights `[outputs, inputs]` and biases `[outputs]`.
#[derive(Debug)]
pub struct Linear<T> {
    /// `[outputs, inputs]`.
    pub weight: T,
    /// `[outputs]`.
    pub bias: T,
}

/// The layers of one generated column.
#[derive(Debug)]
pub struct Head<T> {
    /// `[width, features]`.
    pub input: Linear<T>,
    /// `[width, width]`.
    pub hidden: Linear<T>,
    /// `[size, width]`.
    pub output: Linear<T>,
}

/// One thing for each weight of a model: its tensor, its place, its gradient.
#[derive(Debug)]
pub struct Parts<T> {
    /// The encoder's table, `[all values, hidden]`.
    pub embed: T,
    /// `[hidden, hidden]`.
    pub hidden: Linear<T>,
    /// `[2 latent, hidden]`: means, then what logarithms of variances are made from.
    pub output: Linear<T>,
    /// An additive trunk's second layer, `[state, state]`.
    pub trunk: Option<Linear<T>>,
    /// One for each generated column.
    pub heads: Vec<Head<T>>,
    /// The trunk's table of given values, `[given values, state]`.
    pub condition: T,
    /// The trunk's table of generated values but the last column's, `[values, state]`.
    pub prefix: Option<T>,
    /// `[2 widths of all heads, latent]`: each head's gate, then its shift.
    pub latent: Linear<T>,
}

impl Shape {
    /// Calls `take` with name and shape of each weight, in the order of the flat layout.
    pub fn parts<T>(&self, mut take: impl FnMut(&str, &[usize]) -> T) -> Parts<T> {
        let linear = |take: &mut dyn FnMut(&str, &[usize]) -> T, name: &str, inputs: usize, outputs: usize| Linear {
            weight: take(&format!("{name}.weight"), &[outputs, inputs]),
            bias: take(&format!("{name}.bias"), &[outputs]),
        };
        let (hidden, state, features) = (self.hidden, self.state(), self.features());
        // A model without z has no encoder: its tensors are empty.
        let encoder = if self.latent > 0 { hidden } else { 0 };
        let embed = take("encoder.embed.weight", &[self.values(), encoder]);
        let encoder_hidden = linear(&mut take, "encoder.hidden", encoder, encoder);
        let output = linear(&mut take, "encoder.output", encoder, 2 * self.latent);
        let additive = self.trunk == Trunk::Additive;
        let trunk = additive.then(|| linear(&mut take, "decoder.trunk.hidden", state, state));
        let heads = (0..self.generated.len()).map(|column| {
            let (width, name) = (self.width(column), format!("decoder.{column}"));
            Head {
                input: linear(&mut take, &format!("{name}.input"), features, width),
                hidden: linear(&mut take, &format!("{name}.hidden"), width, width),
                output: linear(&mut take, &format!("{name}.output"), width, self.generated[column].size),
            }
        });
        let heads = heads.collect();
        let condition = take("decoder.trunk.condition.weight", &[self.given_values(), state]);
        let autoregressive = self.heads == Heads::Autoregressive;
        let prefix = autoregressive.then(|| take("decoder.trunk.prefix.weight", &[self.prefix_values(), state]));
        let latent = linear(&mut take, "decoder.latent", self.latent, 2 * self.widths());
        Parts { embed, hidden: encoder_hidden, output, trunk, heads, condition, prefix, latent }
    }

    /// Name, shape and place in the flat layout of each weight.
    pub fn places(&self) -> Vec<(String, Vec<usize>, Range<usize>)> {
        let (mut places, mut start) = (Vec::new(), 0);
        self.parts(|name, shape| {
            let len = shape.iter().product::<usize>();
            places.push((name.to_owned(), shape.to_vec(), start..start + len));
            start += len;
        });
        places
    }

    /// The places of all weights where each begins at a multiple of 32, as products on a GPU prefer, and the end.
    pub(crate) fn padded(&self) -> (Vec<Range<usize>>, usize) {
        let mut end = 0;
        let pad = |len: usize| len.next_multiple_of(32);
        let places = self.places().into_iter().map(|(_, _, place)| {
            let start = end;
            end += pad(place.len());
            start..start + place.len()
        });
        (places.collect(), end)
    }

    /// Numbers of the flat layout in the padded one, with zeros between.
    pub(crate) fn pad(&self, flat: &[f32]) -> Vec<f32> {
        let (places, len) = self.padded();
        let mut padded = vec![0.0; len];
        for (to, (_, _, from)) in places.into_iter().zip(self.places()) {
            padded[to].copy_from_slice(&flat[from]);
        }
        padded
    }

    /// Numbers of the padded layout in the flat one.
    pub(crate) fn unpad(&self, padded: &[f32]) -> Vec<f32> {
        self.padded().0.into_iter().flat_map(|place| padded[place].to_vec()).collect()
    }

    /// Number of weights.
    pub fn weights(&self) -> usize {
        self.places().last().map_or(0, |(_, _, place)| place.end)
    }

    /// 1 for each weight that a decay is for, 0 for the others, in the flat layout: the heads' hidden layers and, of
    /// what reads a multiplicative trunk, the columns of the angles.
    pub fn decayed(&self) -> Vec<f32> {
        let mut mask = vec![0.0; self.weights()];
        let turning = if self.trunk == Trunk::Multiplicative { 2 * self.angles } else { 0 };
        for (name, shape, place) in self.places() {
            let head = name.starts_with("decoder.") && !name.starts_with("decoder.trunk");
            let columns = match name.rsplit_once('.').map(|(layer, _)| layer) {
                Some(layer) if head && layer.ends_with(".hidden") => shape.get(1).copied().unwrap_or(0),
                Some(layer) if head && layer.ends_with(".input") => shape.get(1).map_or(0, |_| turning),
                _ => 0,
            };
            if columns > 0 {
                mask[place].chunks_exact_mut(shape[1]).for_each(|row| row[..columns].fill(1.0));
            }
        }
        mask
    }

    /// Columns of a row of data: given, then generated.
    pub fn columns(&self) -> usize {
        self.given.len() + self.generated.len()
    }

    /// Numbers of values of all columns, given ones first.
    pub fn sizes(&self) -> Vec<usize> {
        self.given.iter().copied().chain(self.generated.iter().map(|column| column.size)).collect()
    }

    /// Values of all columns together.
    pub fn values(&self) -> usize {
        self.sizes().iter().sum()
    }

    /// Values of the given columns together.
    pub fn given_values(&self) -> usize {
        self.given.iter().sum()
    }

    /// Values of the generated columns but the last, which no head sees.
    pub fn prefix_values(&self) -> usize {
        let seen = self.generated.len().saturating_sub(1);
        self.generated[..seen].iter().map(|column| column.size).sum()
    }

    /// Width of a head.
    pub fn width(&self, column: usize) -> usize {
        if self.generated[column].narrow { (self.hidden / 4).max(1) } else { self.hidden }
    }

    /// Widths of all heads together.
    pub fn widths(&self) -> usize {
        (0..self.generated.len()).map(|column| self.width(column)).sum()
    }

    /// Units of a multiplicative trunk's state that are added and not multiplied.
    pub fn plain(&self) -> usize {
        self.angles / 2
    }

    /// Entries of the trunk's state.
    pub fn state(&self) -> usize {
        match self.trunk {
            Trunk::Additive => 2 * self.angles,
            Trunk::Multiplicative => self.angles + self.plain(),
        }
    }

    /// The trunk's features.
    pub fn features(&self) -> usize {
        match self.trunk {
            Trunk::Additive => 2 * self.angles,
            Trunk::Multiplicative => 2 * self.angles + self.plain(),
        }
    }
}
