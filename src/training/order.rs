//! The order in which a trial sees its data.

use rand::seq::SliceRandom;

use crate::random::{Purpose, stream};

/// Pass after pass over rows in random order.
#[derive(Debug)]
pub(super) struct Order {
    len: usize,
    batch: usize,
    purpose: Purpose,
    seed: u64,
    epoch: Option<u64>,
    rows: Vec<u32>,
}

impl Order {
    pub(super) fn new(len: usize, batch: usize, purpose: Purpose, seed: u64) -> Self {
        Self { len, batch: batch.min(len), purpose, seed, epoch: None, rows: Vec::new() }
    }

    /// The rows of a step's batch. What is left of an epoch after its last full batch waits for another
    /// epoch's order.
    pub(super) fn rows(&mut self, step: u64) -> &[u32] {
        let per_epoch = (self.len / self.batch) as u64;
        let (epoch, place) = (step / per_epoch, step % per_epoch);
        if self.epoch != Some(epoch) {
            self.rows = (0..self.len as u32).collect();
            self.rows.shuffle(&mut stream(self.seed, self.purpose, epoch));
            self.epoch = Some(epoch);
        }
        &self.rows[place as usize * self.batch..][..self.batch]
    }
}
