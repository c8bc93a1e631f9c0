//! How likely each row of a condition is under many codes at once.

use super::decoder::Decoder;
use super::heads::{BLOCK, HeadWeights};
use super::kernels::log_softmax;
use super::prefixes::Origin;
use crate::model::weights::Model;
use crate::task::Rows;

impl Decoder<'_> {
    /// log p(y | z, c) of each of a condition's rows under each of `codes` codes `[codes, latent]`, nats,
    /// `[rows, codes]`.
    ///
    /// A head is computed once for each code and each different prefix among the rows, and gives the probabilities of
    /// all values that follow. Under a conditional prior rows of one condition should stand together: a code is another z
    /// in each.
    pub fn log_probabilities(&mut self, rows: &Rows, codes: usize, z: &[f32]) -> Vec<f32> {
        let given = self.model.layout.given;
        let other = |row: &usize| rows.row(*row)[..given] != rows.row(*row - 1)[..given];
        if self.model.layout.prior.is_none() || !(1..rows.len()).any(|row| other(&row)) {
            return self.log_probabilities_by_column(rows, codes, z, &mut |_| ());
        }
        let mut starts: Vec<usize> = [0].into_iter().chain((1..rows.len()).filter(other)).collect();
        starts.push(rows.len());
        let of_condition = |bounds: &[usize]| {
            let mut part = Rows::new(rows.width());
            part.extend(rows, bounds[0]..bounds[1]);
            self.log_probabilities_by_column(&part, codes, z, &mut |_| ())
        };
        starts.windows(2).flat_map(of_condition).collect()
    }

    /// The same of one condition's rows, telling after each column the log probabilities of all columns up to it.
    pub fn log_probabilities_by_column(
        &mut self,
        rows: &Rows,
        codes: usize,
        z: &[f32],
        each: &mut dyn FnMut(&[f32]),
    ) -> Vec<f32> {
        let Self { model: Model { layout, weights, .. }, heads, trunk, pass, prefixes, prior, .. } = self;
        let (count, latent) = (rows.len(), layout.latent);
        let mut log_probabilities = vec![0.0; count * codes];
        if rows.is_empty() {
            return log_probabilities;
        }
        let z = prior.codes(layout, weights, (0..codes).map(|_| rows.row(0)), z);
        for (column, (head, packed)) in layout.heads.iter().zip(&*heads).enumerate() {
            let of = HeadWeights { head, weights, packed };
            prefixes.find(rows, 0, Origin::Grouped(count.max(1)), layout.given + layout.seen(column));
            trunk.forward((layout, weights, packed), column, &prefixes.rows);
            // The rows that go on from each prefix, with their values.
            let mut following = vec![Vec::new(); prefixes.rows.len()];
            for (row, prefix) in prefixes.picked.iter().enumerate() {
                following[*prefix].push((row, usize::from(rows.row(row)[layout.given + column])));
            }
            for start in (0..codes).step_by(BLOCK) {
                let block = start..codes.min(start + BLOCK);
                pass.gates(of, block.len(), &z[block.start * latent..block.end * latent]);
                for (prefix, following) in following.iter().enumerate() {
                    pass.gated_logits(of, &trunk.units, &[prefix; BLOCK][..block.len()]);
                    let logits = pass.rows();
                    log_softmax(logits, &packed.bias);
                    for (row, value) in following {
                        let out = &mut log_probabilities[row * codes..][block.clone()];
                        let of_value = logits.iter().skip(*value).step_by(packed.bias.len());
                        out.iter_mut().zip(of_value).for_each(|(sum, log)| *sum += log);
                    }
                }
            }
            each(&log_probabilities);
        }
        log_probabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Heads, ModelConfig, Prior, Trunk};
    use crate::random::{Purpose, normal, stream};
    use crate::task::dates::{self, ValidDates};

    #[test]
    fn shared_prefixes_change_no_probability() {
        let valid = ValidDates::new();
        let mut rows = dates::rows(valid.of(valid.conditions()[100]));
        let more = dates::rows(valid.of(valid.conditions()[2000]));
        rows.extend(&more, 0..more.len());
        let small = ModelConfig { latent_dim: 3, hidden_dim: 16, angles: 8, ..ModelConfig::default() };
        for config in [
            small,
            ModelConfig { heads: Heads::Independent, ..small },
            ModelConfig { trunk: Trunk::Additive, latent_dim: 0, ..small },
            ModelConfig { prior: Prior::Conditional, ..small },
        ] {
            let mut model = Model::new(config, dates::schema(), 3);
            if let Some(output) = model.tensor_mut("prior.output.weight") {
                output.copy_from_slice(&normal(&mut stream(2, Purpose::Weights, 0), output.len()));
            }
            let codes = BLOCK + 3;
            let z = normal(&mut stream(1, Purpose::Samples, 0), codes * model.layout.latent);
            let mut decoder = Decoder::new(&model);
            let all = decoder.log_probabilities(&rows, codes, &z);
            for code in [0, 7, BLOCK, codes - 1] {
                let z: Vec<f32> = (0..rows.len())
                    .flat_map(|_| z[code * model.layout.latent..][..model.layout.latent].to_vec())
                    .collect();
                let alone = decoder.cross_entropies(&rows, &z);
                for (together, alone) in all.iter().skip(code).step_by(codes).zip(alone) {
                    assert!((f64::from(*together) + alone).abs() < 1e-4, "{together} {alone} {config:?}");
                }
            }
        }
    }
}
