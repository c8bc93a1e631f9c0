//! The order in which a trial sees its data.

use rand::seq::SliceRandom;

use crate::random::{Cumulative, Purpose, stream};

/// Rows in random order: pass after pass over all, or drawn by their weights.
#[derive(Debug)]
pub struct Order {
    source: Source,
    batch: usize,
    purpose: Purpose,
    seed: u64,
    // The pass, or the step, whose rows are there.
    made: Option<u64>,
    rows: Vec<u32>,
}

#[derive(Debug)]
enum Source {
    /// Each of these places once in a pass.
    Each(Vec<u32>),
    /// With replacement.
    Drawn(Cumulative),
}

/// The most observations that a pass goes over one by one.
const MOST_IN_PASS: f64 = 1e7;

impl Order {
    /// Each of so many rows once in a pass.
    pub fn of_each(len: usize, batch: usize, purpose: Purpose, seed: u64) -> Self {
        Self::of(Source::Each((0..len as u32).collect()), batch.min(len), purpose, seed)
    }

    /// Rows by their weights: each as often in a pass as its weight says where all are whole numbers and a pass fills a
    /// batch, else drawn with replacement.
    pub fn weighted(weights: &[f64], batch: usize, purpose: Purpose, seed: u64) -> Self {
        let total: f64 = weights.iter().sum();
        let whole = weights.iter().all(|weight| weight.fract() == 0.0) && total <= MOST_IN_PASS;
        if !whole || total < batch as f64 {
            return Self::of(Source::Drawn(Cumulative::new(weights)), batch, purpose, seed);
        }
        let repeated = |(row, weight): (usize, &f64)| std::iter::repeat_n(row as u32, *weight as usize);
        Self::of(Source::Each(weights.iter().enumerate().flat_map(repeated).collect()), batch, purpose, seed)
    }

    fn of(source: Source, batch: usize, purpose: Purpose, seed: u64) -> Self {
        Self { source, batch, purpose, seed, made: None, rows: Vec::new() }
    }

    /// The rows of a step's batch. What is left of a pass after its last full batch waits for another pass's order.
    pub fn rows(&mut self, step: u64) -> &[u32] {
        let (made, place) = match &self.source {
            Source::Each(places) => {
                let per_pass = (places.len() / self.batch) as u64;
                (step / per_pass, step % per_pass)
            }
            Source::Drawn(_) => (step, 0),
        };
        if self.made != Some(made) {
            let mut random = stream(self.seed, self.purpose, made);
            match &self.source {
                Source::Each(places) => {
                    self.rows.clone_from(places);
                    self.rows.shuffle(&mut random);
                }
                Source::Drawn(choose) => {
                    self.rows = (0..self.batch).map(|_| choose.draw(&mut random) as u32).collect();
                }
            }
            self.made = Some(made);
        }
        &self.rows[place as usize * self.batch..][..self.batch]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_has_each_row_as_often_as_its_weight_says() {
        let mut order = Order::weighted(&[1.0, 3.0, 2.0], 2, Purpose::Order, 1);
        let mut counts = [0; 3];
        (0..3).for_each(|step| order.rows(step).iter().for_each(|row| counts[*row as usize] += 1));
        assert_eq!(counts, [1, 3, 2]);
        let same = |step| Order::weighted(&[1.0; 9], 4, Purpose::Order, 7).rows(step).to_vec();
        assert_eq!(same(3), Order::of_each(9, 4, Purpose::Order, 7).rows(3));
    }

    #[test]
    fn weights_that_are_no_counts_are_drawn_by_and_steps_repeat() {
        let mut order = Order::weighted(&[0.5, 0.0, 1.5], 400, Purpose::Order, 1);
        let first = order.rows(0).to_vec();
        let share = first.iter().filter(|row| **row == 0).count();
        assert!((60..140).contains(&share) && !first.contains(&1), "{share}");
        assert_ne!(order.rows(1), first);
        assert_eq!(order.rows(0), first);
        // A pass that fills no batch is drawn as well.
        assert_eq!(Order::weighted(&[1.0; 3], 8, Purpose::Order, 1).rows(0).len(), 8);
    }
}
