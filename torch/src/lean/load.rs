//! A step's data on their way to the device.

use super::Lean;
use super::buffers::{PriorKind, Sizes, padded};
use crate::data::{Data, PriorData, RandomData, Settings};
use crate::random;

impl Lean {
    /// Copies a step's data, of the sizes of the variant, and settings to the device.
    pub fn load(&self, data: &Data<'_>, settings: &[Settings]) {
        let Sizes { e, n, rows, c, .. } = self.sizes;
        let own = (n * c) as usize;
        let (candidate_rows, counts, log_shares, room): (&[i32], &[i32], &[f32], i64) =
            match (self.variant.prior, data.prior) {
                (PriorKind::Paired { p, .. }, PriorData::Paired(paired)) => {
                    (paired.candidates, paired.counts, paired.log_shares, p)
                }
                _ => (&[], &[], &[], 0),
            };
        let (seeds, noise, codes, uniforms): (&[u64], &[f32], &[f32], &[f32]) = match data.random {
            RandomData::Seeds(seeds) => (seeds, &[], &[], &[]),
            RandomData::Given { noise, codes, uniforms } if self.variant.open => {
                // Codes that no trial uses may be there.
                let used = self.variant.prior != PriorKind::None;
                (&[], noise, if used { codes } else { &[] }, if used { uniforms } else { &[] })
            }
            RandomData::Given { .. } => (&[], &[], &[], &[]),
        };
        let knobs: Vec<f32> = settings.iter().flat_map(Settings::knobs).collect();
        self.kernels.upload(&self.input.all, |all| {
            let mut rest = all;
            let mut next = |len: usize| {
                let (part, after) = std::mem::take(&mut rest).split_at_mut(padded(len as i64) as usize);
                rest = after;
                &mut part[..len]
            };
            let to = next((e * rows * c) as usize);
            // Lists may be longer here than they are there.
            let list = candidate_rows.len() / counts.len().max(1);
            let lists = counts.len() / e as usize;
            for (trial, to) in to.chunks_exact_mut((rows * c) as usize).enumerate() {
                let (batch, candidates) = to.split_at_mut(own);
                ints(batch, &data.rows[trial * own..][..own]);
                let room = candidates.len() / lists.max(1);
                for (place, to) in candidates.chunks_exact_mut(room.max(1)).enumerate() {
                    let (values, rest) = to.split_at_mut(list);
                    ints(values, &candidate_rows[(trial * lists + place) * list..][..list]);
                    rest.fill(0);
                }
            }
            ints(next(counts.len()), counts);
            let halves = random::halves(seeds);
            next(2 * e as usize)[..halves.len()].copy_from_slice(&halves);
            floats(next(knobs.len()), &knobs);
            let to = next(counts.len() * room as usize);
            let own = log_shares.chunks((log_shares.len() / counts.len().max(1)).max(1));
            for (to, from) in to.chunks_exact_mut(room.max(1) as usize).zip(own) {
                floats(to, from);
                to[from.len()..].fill(0);
            }
            for values in [noise, codes, uniforms].into_iter().filter(|values| !values.is_empty()) {
                floats(next(values.len()), values);
            }
        });
    }
}

fn ints(to: &mut [u32], from: &[i32]) {
    to.iter_mut().zip(from).for_each(|(to, value)| *to = value.cast_unsigned());
}

fn floats(to: &mut [u32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, value)| *to = value.to_bits());
}
