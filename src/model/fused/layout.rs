//! Where each of a model's weights lies in one flat vector, in the order of [`crate::model::Model::parameters`].

use std::ops::Range;

use crate::dates::Field;
use crate::dates::{CONDITION_FIELDS, DATE_FIELDS};
use crate::model::decoder::{head_width, plain_units};
use crate::model::{Heads, ModelConfig, Trunk};

/// A layer's weights `[outputs, inputs]` and biases `[outputs]`.
#[derive(Clone, Debug)]
pub struct Linear {
    pub weight: Range<usize>,
    pub bias: Range<usize>,
    pub inputs: usize,
    pub outputs: usize,
}

/// The layers of one head.
#[derive(Clone, Debug)]
pub struct Head {
    pub input: Linear,
    pub hidden: Linear,
    pub output: Linear,
    /// The head's rows of the decoder's latent layer: its gate, then its shift.
    pub latent: Linear,
    pub width: usize,
    pub size: usize,
}

/// Places and sizes of all weights.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The encoder's table, `[sum of sizes, hidden]`.
    pub embed: Range<usize>,
    pub encoder_hidden: Linear,
    pub encoder_output: Linear,
    pub heads: Vec<Head>,
    /// The decoder's tables, `[sum of sizes, state]`.
    pub condition: Range<usize>,
    pub prefix: Range<usize>,
    /// The decoder's latent layer, all heads' rows of it.
    pub all_latent: Linear,
    pub len: usize,
    pub hidden: usize,
    pub latent: usize,
    pub angles: usize,
    pub plain: usize,
}

/// Hands out places one after another.
struct Places(usize);

impl Places {
    fn take(&mut self, len: usize) -> Range<usize> {
        self.0 += len;
        self.0 - len..self.0
    }

    fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        Linear { weight: self.take(outputs * inputs), bias: self.take(outputs), inputs, outputs }
    }
}

impl Layout {
    /// The layout of a model of this config, if it is of the kind that is computed here.
    pub fn of(config: &ModelConfig) -> Option<Self> {
        let ModelConfig { latent_dim, hidden_dim, angles, heads, trunk } = *config;
        let computed = (heads, trunk) == (Heads::Autoregressive, Trunk::Multiplicative);
        computed.then(|| Self::new(latent_dim as usize, hidden_dim, angles))
    }

    /// Name, shape and place of each of the model's tensors, in the order of [`crate::model::Model::parameters`].
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Range<usize>)> {
        let mut tensors = Vec::new();
        let mut table = |name: &str, place: &Range<usize>, columns: usize| {
            tensors.push((format!("{name}.weight"), vec![place.len() / columns, columns], place.clone()));
        };
        table("encoder.embed", &self.embed, self.hidden);
        table("decoder.trunk.condition", &self.condition, self.state());
        table("decoder.trunk.prefix", &self.prefix, self.state());
        let mut layer = |name: &str, layer: &Linear| {
            tensors.push((format!("{name}.weight"), vec![layer.outputs, layer.inputs], layer.weight.clone()));
            tensors.push((format!("{name}.bias"), vec![layer.outputs], layer.bias.clone()));
        };
        layer("encoder.hidden", &self.encoder_hidden);
        layer("encoder.output", &self.encoder_output);
        layer("decoder.latent", &self.all_latent);
        for (field, head) in Field::ALL.iter().zip(&self.heads) {
            for (part, linear) in [("input", &head.input), ("hidden", &head.hidden), ("output", &head.output)] {
                layer(&format!("decoder.{}.{part}", field.name()), linear);
            }
        }
        tensors.sort_by_key(|(_, _, place)| place.start);
        tensors
    }

    fn new(latent: usize, hidden_dim: i64, angle_count: i64) -> Self {
        let (hidden, angles, plain) = (hidden_dim as usize, angle_count as usize, plain_units(angle_count) as usize);
        let (state, features) = (angles + plain, 2 * angles + plain);
        let mut places = Places(0);
        let rows = CONDITION_FIELDS.iter().chain(&DATE_FIELDS).sum::<usize>();
        let embed = places.take(rows * hidden);
        let encoder_hidden = places.linear(hidden, hidden);
        let encoder_output = places.linear(hidden, 2 * latent);
        let mut heads: Vec<Head> = Vec::new();
        for field in Field::ALL {
            let (width, size) = (head_width(field, hidden_dim) as usize, field.size());
            heads.push(Head {
                input: places.linear(features, width),
                hidden: places.linear(width, width),
                output: places.linear(width, size),
                latent: Linear { weight: 0..0, bias: 0..0, inputs: latent, outputs: 2 * width },
                width,
                size,
            });
        }
        let condition = places.take(CONDITION_FIELDS.iter().sum::<usize>() * state);
        let prefix = places.take(DATE_FIELDS[..3].iter().sum::<usize>() * state);
        let outputs = heads.iter().map(|head| head.latent.outputs).sum();
        let all_latent = places.linear(latent, outputs);
        let (mut weight, mut bias) = (Places(all_latent.weight.start), Places(all_latent.bias.start));
        for head in &mut heads {
            head.latent.weight = weight.take(head.latent.outputs * latent);
            head.latent.bias = bias.take(head.latent.outputs);
        }
        let len = places.0;
        Self {
            embed,
            encoder_hidden,
            encoder_output,
            heads,
            condition,
            prefix,
            all_latent,
            len,
            hidden,
            latent,
            angles,
            plain,
        }
    }

    /// Places of the weights that decay, as [`crate::model::decoder::Decoder::decayed`] has them.
    pub fn decayed(&self) -> impl Iterator<Item = Range<usize>> {
        let turning = 2 * self.angles;
        self.heads.iter().flat_map(move |head| {
            let rows = head.input.weight.clone().step_by(head.input.inputs);
            rows.map(move |start| start..start + turning).chain([head.hidden.weight.clone()])
        })
    }

    /// Entries of the trunk's state.
    pub fn state(&self) -> usize {
        self.angles + self.plain
    }

    /// The trunk's features.
    pub fn features(&self) -> usize {
        2 * self.angles + self.plain
    }
}
