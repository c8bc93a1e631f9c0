//! Random numbers of a step by a counter, from one seed a trial: see the kernel `draw`.

use tch::{Device, Kind, Tensor};

use crate::kernels::Kernels;

/// Noise, codes and uniform numbers have streams of their own.
const STREAMS: i64 = 3;

/// Fills noise, codes and uniform numbers, each with the trials' parts one after the other, from seeds `[E, 2]`.
pub(crate) fn fill(kernels: &Kernels, seeds: &Tensor, into: [&Tensor; 3]) {
    let trials = seeds.numel() as i64 / 2;
    for (stream, values) in (0..STREAMS).zip(into) {
        let len = values.numel() as i64 / trials.max(1);
        kernels.run(c"draw", trials * ((len + 1) / 2), &[seeds, values], &[len, stream, i64::from(stream == 2)]);
    }
}

/// Lower and upper half of each seed.
pub(crate) fn halves(seeds: &[u64]) -> Vec<u32> {
    seeds.iter().flat_map(|seed| [*seed as u32, (*seed >> 32) as u32]).collect()
}

/// New tensors of these sizes on a device, filled by [`fill`] with its kernels.
pub(crate) fn draw(kernels: &Kernels, device: Device, seeds: &[u64], sizes: [&[i64]; 3]) -> [Tensor; 3] {
    let halves: Vec<i32> = halves(seeds).into_iter().map(u32::cast_signed).collect();
    let values = sizes.map(|sizes| Tensor::zeros(sizes, (Kind::Float, device)));
    fill(kernels, &Tensor::from_slice(&halves).to_device(device), [&values[0], &values[1], &values[2]]);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    #[test]
    fn a_trials_numbers_depend_on_its_seed_alone() {
        let sizes = |trials: i64| [[trials, 5, 3, 1], [trials, 2, 2, 3], [trials, 2, 2, 1]];
        let of = |seeds: &[u64]| {
            let sizes = sizes(seeds.len() as i64);
            draw(&Kernels::cpu(), Device::Cpu, seeds, [&sizes[0], &sizes[1], &sizes[2]])
        };
        let (all, one) = (of(&[7, u64::MAX, 9]), of(&[u64::MAX]));
        for (all, one) in all.iter().zip(&one) {
            assert!(all.get(1).equal(&one.get(0)) && !all.get(0).equal(&one.get(0)));
        }
        assert_ne!(numbers(&one[0])[..12], numbers(&one[1]));
    }

    #[test]
    fn noise_is_standard_normal_and_uniform_numbers_fill_0_to_1() {
        let size = [2, 100_001];
        let [noise, codes, uniforms] = draw(&Kernels::cpu(), Device::Cpu, &[1, 2], [&size; 3]);
        for values in [noise, codes] {
            let values = numbers(&values);
            let mean_of =
                |power: i32| values.iter().map(|value| f64::from(*value).powi(power)).sum::<f64>() / 200_002.0;
            assert!(mean_of(1).abs() < 0.01 && (mean_of(2) - 1.0).abs() < 0.015 && (mean_of(4) - 3.0).abs() < 0.15);
            // Neighbours, which one draw gives, do not go together.
            let pairs: f64 = values.chunks_exact(2).map(|pair| f64::from(pair[0] * pair[1])).sum();
            assert!((pairs / 100_001.0).abs() < 0.015);
        }
        let uniforms = numbers(&uniforms);
        let mean = uniforms.iter().map(|value| f64::from(*value)).sum::<f64>() / 200_002.0;
        assert!((mean - 0.5).abs() < 0.005 && uniforms.iter().all(|value| (0.0..1.0).contains(value)));
    }
}
