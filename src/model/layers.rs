//! Layers that `tch::nn` lacks, and initial weights.

use std::cell::RefCell;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tch::{Kind, Tensor, nn};

/// Where weights are declared: a path of names, and the stream that their initial values come from.
/// libtorch's generator would do, were it not shared by all threads of the process.
#[derive(Debug)]
pub struct Scope<'a> {
    path: nn::Path<'a>,
    random: &'a RefCell<ChaCha8Rng>,
}

impl<'a> Scope<'a> {
    /// The root of a store.
    pub fn new(path: nn::Path<'a>, random: &'a RefCell<ChaCha8Rng>) -> Self {
        Self { path, random }
    }

    /// The scope below this one.
    pub fn sub(&self, name: &str) -> Scope<'a> {
        Scope { path: &self.path / name, random: self.random }
    }

    /// A tensor of N(0, stdev^2).
    fn normal(&self, name: &str, shape: &[i64], stdev: f64) -> Tensor {
        let mut random = self.random.borrow_mut();
        self.fill(name, shape, || random.sample::<f32, _>(StandardNormal) * stdev as f32)
    }

    /// A tensor of U(-bound, bound).
    fn uniform(&self, name: &str, shape: &[i64], bound: f64) -> Tensor {
        let mut random = self.random.borrow_mut();
        self.fill(name, shape, || (random.random::<f32>() * 2.0 - 1.0) * bound as f32)
    }

    fn fill(&self, name: &str, shape: &[i64], mut next: impl FnMut() -> f32) -> Tensor {
        let count = shape.iter().product::<i64>();
        let values: Vec<f32> = (0..count).map(|_| next()).collect();
        self.path.var_copy(name, &Tensor::from_slice(&values).view(shape))
    }

    /// A hidden layer, initialised for rectified units (He et al. 2015).
    pub fn hidden(&self, name: &str, inputs: i64, outputs: i64) -> nn::Linear {
        self.linear(name, inputs, outputs, (6.0 / inputs as f64).sqrt())
    }

    /// A layer of outputs, small at first, so that an untrained model is close to uniform.
    pub fn output(&self, name: &str, inputs: i64, outputs: i64) -> nn::Linear {
        self.linear(name, inputs, outputs, (1.0 / inputs as f64).sqrt())
    }

    fn linear(&self, name: &str, inputs: i64, outputs: i64, bound: f64) -> nn::Linear {
        let scope = self.sub(name);
        let ws = scope.uniform("weight", &[outputs, inputs], bound);
        nn::Linear { ws, bs: Some(scope.path.zeros("bias", &[outputs])) }
    }
}

/// The product of concatenated one-hot blocks with a matrix, computed as what it is: a sum of rows.
#[derive(Debug)]
pub struct EmbeddingSum {
    /// One row for each value of each field, `[sum of sizes, width]`.
    pub weight: Tensor,
    /// Where each field's rows begin, `[1, fields]`.
    offsets: Tensor,
    starts: Vec<i64>,
}

impl EmbeddingSum {
    /// A table for fields of these sizes; its entries start as N(0, stdev^2).
    pub fn new(scope: &Scope<'_>, sizes: &[usize], width: i64, stdev: f64) -> Self {
        let rows: usize = sizes.iter().sum();
        let weight = scope.normal("weight", &[rows as i64, width], stdev);
        let starts: Vec<i64> = (0..sizes.len()).map(|field| sizes[..field].iter().sum::<usize>() as i64).collect();
        let offsets = Tensor::from_slice(&starts).unsqueeze(0).to_device(weight.device());
        Self { weight, offsets, starts }
    }

    /// Sum over all fields of each one's row: indices `[n, fields]` to `[n, width]`.
    pub fn forward(&self, indices: &Tensor) -> Tensor {
        let (n, fields) = (indices.size()[0], self.starts.len() as i64);
        let rows = (indices + &self.offsets).view([-1]);
        let bags = Tensor::arange_start_step(0, n * fields, fields, (Kind::Int64, indices.device()));
        Tensor::embedding_bag::<Tensor>(&self.weight, &rows, &bags, false, 0, false, None, false).0
    }

    /// The rows of one field alone: indices `[n]` to `[n, width]`.
    pub fn field(&self, field: usize, indices: &Tensor) -> Tensor {
        Tensor::embedding(&self.weight, &(indices + self.starts[field]), -1, false, false)
    }
}

/// Concatenated one-hot blocks of fields of these sizes, `[n, sum of sizes]`: what [`EmbeddingSum`]
/// multiplies without building it.
pub fn one_hot_blocks(indices: &Tensor, sizes: &[usize]) -> Tensor {
    let blocks = sizes.iter().enumerate().map(|(field, size)| indices.select(1, field as i64).one_hot(*size as i64));
    Tensor::cat(&blocks.collect::<Vec<_>>(), 1).to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dates::{CONDITION_FIELDS, Condition};
    use crate::random::{Purpose, stream};
    use tch::Device;

    #[test]
    fn a_sum_of_rows_equals_the_product_with_one_hot_blocks_exactly() {
        let store = nn::VarStore::new(Device::Cpu);
        let random = RefCell::new(stream(1, Purpose::Weights, 0));
        let layer = EmbeddingSum::new(&Scope::new(store.root(), &random), &CONDITION_FIELDS, 16, 1.0);
        // Multiples of 1/64, so that no order of summation rounds.
        tch::no_grad(|| layer.weight.shallow_clone().copy_(&((&layer.weight * 64.0).round() / 64.0)));
        let rows: Vec<_> =
            Condition::all().step_by(13).map(|condition| condition.indices().map(|index| index as i64)).collect();
        let indices = Tensor::from_slice2(&rows);
        let product = one_hot_blocks(&indices, &CONDITION_FIELDS).matmul(&layer.weight);
        let summed = layer.forward(&indices);
        assert!(product.abs().max().double_value(&[]) > 1.0);
        assert!(summed.equal(&product));
        let fields = (0..4).map(|field| layer.field(field, &indices.select(1, field as i64)));
        assert!(fields.reduce(|sum, row| sum + row).unwrap().equal(&product));
    }
}
