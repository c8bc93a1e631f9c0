//! Layers that `tch::nn` lacks.

use tch::{Kind, Tensor, nn};

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
    pub fn new(path: &nn::Path<'_>, sizes: &[usize], width: i64, stdev: f64) -> Self {
        let rows: usize = sizes.iter().sum();
        let weight = path.randn("weight", &[rows as i64, width], 0.0, stdev);
        let starts: Vec<i64> = (0..sizes.len()).map(|field| sizes[..field].iter().sum::<usize>() as i64).collect();
        let offsets = Tensor::from_slice(&starts).unsqueeze(0).to_device(path.device());
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
    use crate::dates::CONDITION_FIELDS;
    use tch::Device;

    #[test]
    fn a_sum_of_rows_equals_the_product_with_one_hot_blocks_exactly() {
        tch::manual_seed(1);
        let store = nn::VarStore::new(Device::Cpu);
        let layer = EmbeddingSum::new(&store.root(), &CONDITION_FIELDS, 16, 1.0);
        // Multiples of 1/64, so that no order of summation rounds.
        tch::no_grad(|| layer.weight.shallow_clone().copy_(&((&layer.weight * 64.0).round() / 64.0)));
        let columns = CONDITION_FIELDS.map(|size| Tensor::randint(size as i64, [500], (Kind::Int64, Device::Cpu)));
        let indices = Tensor::stack(&columns, 1);
        let product = one_hot_blocks(&indices, &CONDITION_FIELDS).matmul(&layer.weight);
        let summed = layer.forward(&indices);
        assert!(product.abs().max().double_value(&[]) > 1.0);
        assert!(summed.equal(&product));
        let fields = (0..4).map(|field| layer.field(field, &indices.select(1, field as i64)));
        assert!(fields.reduce(|sum, row| sum + row).unwrap().equal(&product));
    }
}
