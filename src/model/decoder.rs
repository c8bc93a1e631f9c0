//! The decoder p(date | z, condition): a trunk that combines fields, and one head for each field of the date.

use tch::{Tensor, nn, nn::Module};

use super::config::{Heads, ModelConfig, Trunk};
use super::layers::{EmbeddingSum, Scope};
use crate::dates::{CONDITION_FIELDS, DATE_FIELDS, Field};

/// Adam moves every entry of a table by about the learning rate a step. In units of 6 radians an
/// angle can turn within a few hundred steps; in radians it took three times as long (measured).
pub(super) const RADIANS_PER_UNIT: f64 = 6.0;
/// Spread of the initial angles, in the units above: 1.8 radians.
const ANGLE_STDEV: f64 = 0.3;

/// Units of a multiplicative trunk's state that are added and not multiplied. The length of a month does
/// not depend on the weekday; from angles alone it was learned late, and 30-2 was sampled for long.
pub(super) fn plain_units(angles: i64) -> i64 {
    angles / 2
}

/// Width of a field's head.
pub(super) fn head_width(field: Field, hidden_dim: i64) -> i64 {
    match field {
        // Decade and month repeat the condition; a quarter of the width is plenty for that.
        Field::Decade | Field::Month => (hidden_dim / 4).max(1),
        Field::Digit | Field::Day => hidden_dim,
    }
}

/// Trunk and heads.
///
/// Every field given to the decoder, of the condition and of the date so far, adds a row to a running
/// state; the trunk turns the state into features, and a head turns features and z into logits.
/// z enters after the trunk, as a gate and a shift: multiplied into it, the weekday is never learned.
#[derive(Debug)]
pub struct Decoder {
    condition: EmbeddingSum,
    prefix: Option<EmbeddingSum>,
    trunk: TrunkLayers,
    latent: nn::Linear,
    heads: Vec<Head>,
}

#[derive(Debug)]
enum TrunkLayers {
    Additive { hidden: nn::Linear },
    Multiplicative { angles: i64 },
}

/// One field's logits from the trunk's features and z's gate and shift.
#[derive(Debug)]
struct Head {
    input: nn::Linear,
    hidden: nn::Linear,
    output: nn::Linear,
    width: i64,
}

impl Decoder {
    /// Declares the weights in `scope`.
    pub fn new(scope: &Scope<'_>, config: &ModelConfig) -> Self {
        let trunk_scope = scope.sub("trunk");
        let angles = config.angles;
        let (trunk, state, features, stdev) = match config.trunk {
            Trunk::Additive => {
                let units = 2 * angles;
                (TrunkLayers::Additive { hidden: trunk_scope.hidden("hidden", units, units) }, units, units, 0.5)
            }
            Trunk::Multiplicative => {
                let plain = plain_units(angles);
                (TrunkLayers::Multiplicative { angles }, angles + plain, 2 * angles + plain, ANGLE_STDEV)
            }
        };
        let table = |name: &str, sizes: &[usize]| EmbeddingSum::new(&trunk_scope.sub(name), sizes, state, stdev);
        let head = |field: &Field| Head::new(&scope.sub(field.name()), *field, features, config.hidden_dim);
        let heads: Vec<Head> = Field::ALL.iter().map(head).collect();
        let widths: i64 = heads.iter().map(|head| head.width).sum();
        Self {
            condition: table("condition", &CONDITION_FIELDS),
            prefix: match config.heads {
                Heads::Independent => None,
                // The day comes last: no head sees it.
                Heads::Autoregressive => Some(table("prefix", &DATE_FIELDS[..3])),
            },
            trunk,
            latent: scope.output("latent", config.latent_dim, 2 * widths),
            heads,
        }
    }

    /// The weights that a decay is for: those with which heads read cosines and sines of the angles, and those of their
    /// hidden layers. Angles that are no part of the calendar tell single conditions apart, which helps with those that
    /// are trained on, and misleads with others. With the logits decayed as well, dates such as 31-4 stay too likely
    /// (measured).
    pub fn decayed(&self) -> Vec<Tensor> {
        let mut decayed: Vec<_> = self.heads.iter().map(|head| head.hidden.ws.shallow_clone()).collect();
        if let TrunkLayers::Multiplicative { angles } = &self.trunk {
            decayed.extend(self.heads.iter().map(|head| head.input.ws.narrow(1, 0, 2 * angles)));
        }
        decayed
    }

    /// The state after the condition `[n, 4]`, `[n, state]`. It depends on nothing else, so one
    /// computation serves all dates drawn for a condition.
    pub fn condition_state(&self, condition: &Tensor) -> Tensor {
        self.condition.forward(condition)
    }

    /// The state after one more field of the date, whose values are `[n]`.
    pub fn advance(&self, state: &Tensor, field: Field, values: &Tensor) -> Tensor {
        match (&self.prefix, field) {
            (None, _) | (_, Field::Day) => state.shallow_clone(),
            (Some(prefix), _) => state + prefix.field(field as usize, values),
        }
    }

    /// What each head takes of z `[n, latent]`: its gate and shift, `[n, 2 width]`.
    pub fn latent(&self, z: &Tensor) -> Vec<Tensor> {
        let sizes: Vec<i64> = self.heads.iter().map(|head| 2 * head.width).collect();
        self.latent.forward(z).split_with_sizes(&sizes, 1)
    }

    /// A field's units before z enters, `[n, width]`, from the state.
    pub fn units(&self, state: &Tensor, field: Field) -> Tensor {
        self.heads[field as usize].input.forward(&self.features(state)).silu()
    }

    /// A field's logits `[n, size]` from its units and its part of [`Decoder::latent`].
    pub fn logits(&self, units: &Tensor, latent: &Tensor, field: Field) -> Tensor {
        let head = &self.heads[field as usize];
        let parts = latent.chunk(2, 1); // gate and shift, [n, width] each
        let gated = (units + units * &parts[0] + &parts[1]).silu();
        let hidden = head.hidden.forward(&gated).silu() + gated;
        head.output.forward(&hidden)
    }

    /// Units of all four fields with the true fields before each one given (teacher forcing),
    /// condition `[n, 4]` and date `[n, 4]`. They don't depend on z: several z can share them.
    pub fn forced_units(&self, condition: &Tensor, date: &Tensor) -> Vec<Tensor> {
        let mut state = self.condition_state(condition);
        let mut units = Vec::with_capacity(Field::ALL.len());
        for field in Field::ALL {
            units.push(self.units(&state, field));
            state = self.advance(&state, field, &date.select(1, field as i64));
        }
        units
    }

    /// Logits of all four fields, `[n, size]` each, from [`Decoder::forced_units`] and z `[n, latent]`.
    pub fn forced_logits(&self, units: &[Tensor], z: &Tensor) -> Vec<Tensor> {
        let latent = self.latent(z);
        Field::ALL.iter().map(|field| self.logits(&units[*field as usize], &latent[*field as usize], *field)).collect()
    }

    /// `[n, state]` to `[n, features]`.
    fn features(&self, state: &Tensor) -> Tensor {
        match &self.trunk {
            TrunkLayers::Additive { hidden } => hidden.forward(&state.silu()).silu(),
            // The product of unit complex numbers has the sum of their angles.
            TrunkLayers::Multiplicative { angles } => {
                let angle = state.narrow(1, 0, *angles) * RADIANS_PER_UNIT;
                let plain = state.narrow(1, *angles, state.size()[1] - angles);
                Tensor::cat(&[angle.cos(), angle.sin(), plain], 1)
            }
        }
    }
}

impl Head {
    fn new(scope: &Scope<'_>, field: Field, features: i64, hidden_dim: i64) -> Self {
        let width = head_width(field, hidden_dim);
        Self {
            input: scope.hidden("input", features, width),
            hidden: scope.hidden("hidden", width, width),
            output: scope.output("output", width, field.size() as i64),
            width,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use std::cell::RefCell;
    use tch::{Device, Kind};

    fn decoder(heads: Heads, trunk: Trunk) -> (nn::VarStore, Decoder) {
        let store = nn::VarStore::new(Device::Cpu);
        let random = RefCell::new(stream(3, Purpose::Weights, 0));
        let config = ModelConfig { latent_dim: 2, hidden_dim: 16, angles: 8, heads, trunk };
        let decoder = Decoder::new(&Scope::new(store.root(), &random), &config);
        (store, decoder)
    }

    fn indices(rows: &[[i64; 4]]) -> Tensor {
        Tensor::from_slice2(rows)
    }

    #[test]
    fn only_autoregressive_heads_see_the_fields_before_them() {
        let condition = indices(&[[0, 0, 0, 0], [0, 0, 0, 0]]);
        let date = indices(&[[5, 1, 2, 3], [6, 1, 2, 3]]);
        let z = Tensor::zeros([2, 2], (Kind::Float, Device::Cpu));
        for trunk in [Trunk::Additive, Trunk::Multiplicative] {
            for (heads, depends) in [(Heads::Independent, false), (Heads::Autoregressive, true)] {
                let (_store, decoder) = decoder(heads, trunk);
                let logits = decoder.forced_logits(&decoder.forced_units(&condition, &date), &z);
                let sizes: Vec<_> = logits.iter().map(|field| field.size()).collect();
                assert_eq!(sizes, [[2, 41], [2, 12], [2, 10], [2, 31]]);
                // The rows differ in the decade alone, which the decade's own head must not see.
                let differs: Vec<_> = logits.iter().map(|field| !field.get(0).equal(&field.get(1))).collect();
                assert_eq!(differs, [false, depends, depends, depends], "{heads:?} {trunk:?}");
            }
        }
    }

    #[test]
    fn the_multiplicative_trunk_is_a_product_of_unit_complex_numbers() {
        let (_store, decoder) = decoder(Heads::Autoregressive, Trunk::Multiplicative);
        let condition = indices(&[[6, 11, 1, 40]]);
        let features = decoder.features(&decoder.condition_state(&condition)); // cosines, sines, plain units
        assert_eq!(features.size(), [1, 8 + 8 + 4]);
        let (mut real, mut imaginary) = (vec![1.0; 8], vec![0.0; 8]);
        for (field, value) in [6, 11, 1, 40].into_iter().enumerate() {
            let row = decoder.condition.field(field, &Tensor::from_slice(&[value as i64])) * RADIANS_PER_UNIT;
            for unit in 0..8 {
                let angle = row.double_value(&[0, unit as i64]);
                let (a, b) = (real[unit], imaginary[unit]);
                real[unit] = a * angle.cos() - b * angle.sin();
                imaginary[unit] = a * angle.sin() + b * angle.cos();
            }
        }
        for unit in 0..8 {
            assert!((features.double_value(&[0, unit as i64]) - real[unit]).abs() < 1e-4);
            assert!((features.double_value(&[0, 8 + unit as i64]) - imaginary[unit]).abs() < 1e-4);
        }
    }
}
