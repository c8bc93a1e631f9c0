//! Drawing rows and weighing rows with one trained model, very many at once: what an evaluation needs.

use std::collections::HashMap;
use std::rc::Rc;

use cvae::model::{Decode, Encodings, Noise, PairedCodes};
use cvae::task::{Groups, Rows};
use tch::{Device, Kind, Tensor};

use crate::data::Candidates;
use crate::kernels::Kernels;
use crate::layout::{Heads, Shape};
use crate::model::{Model, Paired};
use crate::random;
use crate::step::{read, read_into};

/// The decoder of a trained model on a device.
#[derive(Debug)]
pub struct Decoder {
    model: Model,
    device: Device,
    /// None where the device's own kernels can't be compiled: random numbers are drawn on the CPU then.
    kernels: Option<Rc<Kernels>>,
    /// Rows, or rows times codes, that are computed at once: some 5 KiB each at the default width, as measured.
    at_once: usize,
}

impl Decoder {
    /// The decoder of a model with these weights, in the order of [`Shape::places`].
    pub fn new(shape: &Shape, weights: &[f32], device: Device) -> Self {
        // First, since it decides on the stream that tensors are made on.
        let kernels = Kernels::on(device).ok();
        let flat = Tensor::from_slice(&shape.pad(weights)).unsqueeze(0).to_device(device);
        // States, features, units and logits of one. Other programs may take their share of the memory at the same time.
        let widest = (0..shape.generated.len()).map(|column| shape.width(column)).max().unwrap_or(0);
        let largest = shape.generated.iter().map(|column| column.size).max().unwrap_or(0);
        let bytes = size_of::<f32>() * (shape.state() + shape.features() + 10 * widest + 4 * largest);
        let free = kernels.as_ref().and_then(|kernels| kernels.free_memory()).unwrap_or(0);
        let at_once = ((free / 4).min(12 << 30) as usize / bytes.max(1)).clamp(1 << 14, 1 << 21);
        Self { model: Model::new(shape, &flat), device, kernels, at_once }
    }

    /// `draws` rows for each condition `[conditions, given]`, condition by condition, `[conditions * draws, generated]`.
    /// A condition's rows depend on its own seed alone, and on the device by rounding.
    pub fn draw(&self, conditions: &Rows, seeds: &[u64], draws: usize, decode: Decode) -> Rows {
        let columns = self.model.shape.generated.len();
        let mut values = Vec::with_capacity(conditions.len() * draws * columns);
        let at_once = (self.at_once / draws.max(1)).max(1);
        for start in (0..conditions.len()).step_by(at_once) {
            let part = start..conditions.len().min(start + at_once);
            let mut asked = Rows::new(conditions.width());
            asked.extend(conditions, part.clone());
            let drawn = tch::no_grad(|| self.draw_block(&asked, &seeds[part], draws as i64, decode));
            let first = values.len();
            values.resize(first + drawn.numel(), 0i16);
            drawn.copy_data(&mut values[first..], drawn.numel());
        }
        Rows::of_values(columns, values.into_iter().map(i16::cast_unsigned).collect())
    }

    fn draw_block(&self, conditions: &Rows, seeds: &[u64], draws: i64, decode: Decode) -> Tensor {
        let (model, shape) = (&self.model, &self.model.shape);
        let (count, columns, latent) = (seeds.len() as i64, shape.generated.len() as i64, shape.latent as i64);
        let n = count * draws;
        let [z, uniforms] = self.numbers(seeds, [draws * latent, draws * columns]);
        let (z, uniforms) = (z.view([1, n, latent]), uniforms.view([n, columns]));
        let given = model.given_state(&self.indices(conditions)); // [1, conditions, state]
        let size = given.size()[2];
        let mut state = given.unsqueeze(2).expand([1, count, draws, size], false).reshape([1, n, size]);
        let (mut drawn, mut first_row) = (Vec::new(), 0);
        for (column, latents) in model.latents(&z).iter().enumerate() {
            let units = model.head_units(column, &state); // [1, n, width]
            let logits = model.head_logits(column, &units, latents).squeeze_dim(0); // [n, size]
            let chosen = match decode {
                Decode::Greedy => logits.argmax(1, false),
                Decode::Sample { temperature } => {
                    // The inverse of the distribution function: how many values it takes to pass the number.
                    let passed = (logits / temperature).softmax(1, Kind::Float).cumsum(1, Kind::Float);
                    let last = passed.size()[1] - 1;
                    let mark = uniforms.narrow(1, column as i64, 1) * passed.narrow(1, last, 1);
                    passed.le_tensor(&mark).sum_dim_intlist([1i64].as_slice(), false, Kind::Int64).clamp_max(last)
                }
            }; // [n]
            if let Some(prefix) = model.weights.prefix.as_ref().filter(|_| column as i64 + 1 < columns) {
                state += prefix.squeeze_dim(0).index_select(0, &(&chosen + first_row)).unsqueeze(0);
                first_row += shape.generated[column].size as i64;
            }
            drawn.push(chosen);
        }
        Tensor::stack(&drawn, 1).to_kind(Kind::Int16).to_device(Device::Cpu).contiguous()
    }

    /// log p(y | z, c) of the rows of these conditions, one condition after the other, each under `codes` codes from the
    /// prior, nats: `[rows, codes]`. A condition's codes depend on its own seed alone, and on the device by rounding.
    pub fn log_probabilities(&self, table: &Groups, conditions: &[usize], seeds: &[u64], codes: usize) -> Vec<f32> {
        let values = |condition: &usize| table.range(*condition).len() * codes;
        let mut weighed = vec![0.0; conditions.iter().map(values).sum()];
        let (mut rest, mut start) = (&mut weighed[..], 0);
        while start < conditions.len() {
            let (mut end, mut count) = (start + 1, values(&conditions[start]));
            while end < conditions.len() && count + values(&conditions[end]) <= self.at_once {
                count += values(&conditions[end]);
                end += 1;
            }
            let part = start..end;
            let total = tch::no_grad(|| self.weigh_block(table, &conditions[part.clone()], &seeds[part], codes as i64));
            let (own, others) = rest.split_at_mut(count);
            read_into(&total, own);
            (rest, start) = (others, end);
        }
        weighed
    }

    /// `[rows, codes]`.
    fn weigh_block(&self, table: &Groups, conditions: &[usize], seeds: &[u64], codes: i64) -> Tensor {
        let (model, shape) = (&self.model, &self.model.shape);
        let (count, latent) = (seeds.len() as i64, shape.latent as i64);
        let mut rows = Rows::new(table.rows().width());
        let mut group_of = Vec::new();
        for (group, condition) in conditions.iter().enumerate() {
            rows.extend(table.rows(), table.range(*condition));
            group_of.resize(rows.len(), group);
        }
        let [z, _] = self.numbers(seeds, [codes * latent, 0]);
        let latents = model.latents(&z.view([1, count * codes, latent]));
        let units = model.units(&model.one_hot(&self.indices(&rows)));
        let ints = |values: &[i64]| Tensor::from_slice(values).to_device(self.device);
        let mut total: Option<Tensor> = None;
        for (column, (units, latents)) in units.iter().zip(&latents).enumerate() {
            // A head is computed once for each code and each different prefix among a condition's rows.
            let seen = if shape.heads == Heads::Autoregressive { column } else { 0 };
            let (given, size) = (shape.given.len(), shape.generated[column].size as i64);
            let (mut places, mut first_rows, mut prefix_groups) = (HashMap::new(), Vec::new(), Vec::new());
            let mut picked = Vec::with_capacity(rows.len());
            for (row, group) in group_of.iter().enumerate() {
                let place = *places.entry((*group, &rows.row(row)[given..given + seen])).or_insert_with(|| {
                    first_rows.push(row as i64);
                    prefix_groups.push(*group as i64);
                    first_rows.len() as i64 - 1
                });
                picked.push(place * size + i64::from(rows.row(row)[given + column]));
            }
            let (prefixes, width) = (first_rows.len() as i64, units.size()[2]);
            let units = units.squeeze_dim(0).index_select(0, &ints(&first_rows)).unsqueeze(1); // [prefixes, 1, width]
            let units = units.expand([prefixes, codes, width], false).reshape([1, prefixes * codes, width]);
            let latents = latents.view([count, codes, 2 * width]).index_select(0, &ints(&prefix_groups));
            let logits = model.head_logits(column, &units, &latents.view([1, prefixes * codes, 2 * width]));
            let logs = logits.log_softmax(2, Kind::Float).view([prefixes, codes, size]);
            let logs = logs.transpose(1, 2).reshape([prefixes * size, codes]);
            let own = logs.index_select(0, &ints(&picked)); // [rows, codes]
            total = Some(match total {
                Some(total) => total + own,
                None => own,
            });
        }
        total.unwrap_or_else(|| Tensor::zeros([rows.len() as i64, codes], (Kind::Float, self.device)))
    }

    /// The posteriors of rows.
    pub fn encode(&self, rows: &Rows) -> Encodings {
        let latent = self.model.shape.latent;
        let mut encodings = Encodings { latent, ..Encodings::default() };
        for start in (0..rows.len()).step_by(self.at_once) {
            if latent == 0 {
                break;
            }
            let mut part = Rows::new(rows.width());
            part.extend(rows, start..rows.len().min(start + self.at_once));
            let (mu, logvar) = tch::no_grad(|| self.model.posterior(&self.model.one_hot(&self.indices(&part))));
            encodings.mu.extend(read(&mu));
            encodings.logvar.extend(read(&logvar));
        }
        encodings
    }

    /// -log p(y | z, c) of rows at codes `[n, latent]`, nats, mean over the rows.
    pub fn mean_cross_entropy(&self, rows: &Rows, z: &[f32]) -> f64 {
        let (latent, mut sum) = (self.model.shape.latent, 0.0);
        for start in (0..rows.len()).step_by(self.at_once) {
            let end = rows.len().min(start + self.at_once);
            let mut part = Rows::new(rows.width());
            part.extend(rows, start..end);
            let mean = tch::no_grad(|| {
                let indices = self.indices(&part);
                let units = self.model.units(&self.model.one_hot(&indices));
                let z = Tensor::from_slice(&z[start * latent..end * latent]).view([1, -1, latent as i64]);
                let z = if latent > 0 {
                    z
                } else {
                    Tensor::zeros([1, (end - start) as i64, 0], (Kind::Float, Device::Cpu))
                };
                self.model.reconstruction(&units, &z.to_device(self.device), &indices)
            });
            sum += f64::from(read(&mean)[0]) * (end - start) as f64;
        }
        sum / rows.len() as f64
    }

    /// The row that each code is paired with.
    pub fn paired_rows(&self, codes: &PairedCodes) -> Rows {
        let (m, k) = (codes.counts.len() as i64, codes.codes as i64);
        let (columns, latent) = (codes.candidates.width(), self.model.shape.latent as i64);
        let longest = codes.counts.iter().copied().max().unwrap_or(0);
        let mut lists = Candidates::default();
        lists.push(codes, longest);
        let ints = |values: &[i32], sizes: &[i64]| {
            Tensor::from_slice(values).view(sizes).to_device(self.device).to_kind(Kind::Int64)
        };
        let floats = |values: &[f32], sizes: &[i64]| Tensor::from_slice(values).view(sizes).to_device(self.device);
        let paired = Paired {
            candidates: ints(&lists.rows, &[1, m, longest as i64, columns as i64]),
            counts: ints(&lists.counts, &[1, m]),
            log_shares: floats(&lists.log_shares, &[1, m, longest as i64]),
            codes: floats(&codes.z, &[1, m, k, latent]),
            uniforms: floats(&codes.uniform, &[1, m, k]),
            balanced: codes.balanced,
        };
        let chosen = tch::no_grad(|| self.model.pair(&paired)).to_kind(Kind::Int16).to_device(Device::Cpu).contiguous();
        let mut values = vec![0i16; chosen.numel()];
        chosen.copy_data(&mut values, chosen.numel());
        Rows::of_values(columns, values.into_iter().map(i16::cast_unsigned).collect())
    }

    /// The codes `[draws, latent]` and uniform numbers `[draws, generated]` that a condition's rows are drawn from.
    pub fn noise(&self, seed: u64, draws: usize) -> Noise {
        let (latent, columns) = (self.model.shape.latent, self.model.shape.generated.len());
        let numbers = self.numbers(&[seed], [(draws * latent) as i64, (draws * columns) as i64]);
        let [z, uniform] = numbers.map(|numbers| read(&numbers));
        Noise { z, uniform }
    }

    /// Normal and uniform numbers, so many from each seed.
    fn numbers(&self, seeds: &[u64], [normal, uniform]: [i64; 2]) -> [Tensor; 2] {
        let count = seeds.len() as i64;
        let sizes: [&[i64]; 3] = [&[count, normal], &[count, 0], &[count, uniform]];
        let [normal, _, uniform] = match &self.kernels {
            Some(kernels) => random::draw(kernels, self.device, seeds, sizes),
            None => {
                random::draw(&Kernels::cpu(), Device::Cpu, seeds, sizes).map(|numbers| numbers.to_device(self.device))
            }
        };
        [normal, uniform]
    }

    /// `[1, n, columns]`, 64-bit.
    fn indices(&self, rows: &Rows) -> Tensor {
        let values: Vec<i64> = rows.iter().flatten().map(|value| i64::from(*value)).collect();
        Tensor::from_slice(&values).view([1, rows.len() as i64, rows.width() as i64]).to_device(self.device)
    }
}
