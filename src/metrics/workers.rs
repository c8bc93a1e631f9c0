//! Spreading work over threads: which thread does what changes no result.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::model::Model;

/// Items that workers take one after the other, each with its index.
pub(super) struct Queue<'a, T> {
    items: &'a [T],
    next: &'a AtomicUsize,
}

impl<'a, T> Iterator for Queue<'a, T> {
    type Item = (usize, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        self.items.get(index).map(|item| (index, item))
    }
}

/// The number of workers that [`spread`] is best given: libtorch's number of threads, which a command or
/// a config has set. A GPU takes one.
pub(super) fn workers(model: &Model) -> usize {
    if model.device().is_cuda() { 1 } else { tch::get_num_threads().max(1) as usize }
}

/// Has workers, each with a model of its own, take items from a queue; the results in the items' order.
///
/// libtorch's own threads share the work of one operation, and these operations are too small for that:
/// each worker runs them alone. `done` hears of every item as it is finished, on the calling thread.
pub(super) fn spread<T: Sync, R: Send>(
    model: &Model,
    items: &[T],
    workers: usize,
    work: impl Fn(&Model, Queue<'_, T>, &mut dyn FnMut(usize, R)) + Sync,
    mut done: impl FnMut(&R),
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let mut keep = |index: usize, result: R| {
        done(&result);
        results[index] = Some(result);
    };
    if workers <= 1 || items.len() <= 1 {
        work(model, Queue { items, next: &next }, &mut keep);
        return results.into_iter().flatten().collect();
    }
    let threads = tch::get_num_threads();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..workers.min(items.len()) {
            let (sender, replica) = (sender.clone(), model.replica());
            let (work, next) = (&work, &next);
            scope.spawn(move || {
                tch::set_num_threads(1);
                // A receiver that is gone means that the caller has panicked; its panic is the one to show.
                work(&replica, Queue { items, next }, &mut |index, result| drop(sender.send((index, result))));
            });
        }
        drop(sender);
        receiver.iter().for_each(|(index, result)| keep(index, result));
    });
    tch::set_num_threads(threads);
    results.into_iter().flatten().collect()
}

/// Has libtorch run operations on the calling thread alone: on a busy machine its threads wait for each other
/// longer than these small operations take.
pub fn alone<R>(work: impl FnOnce() -> R) -> R {
    let threads = tch::get_num_threads();
    tch::set_num_threads(1);
    let result = work();
    tch::set_num_threads(threads);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;
    use tch::Device;

    #[test]
    fn results_keep_the_order_of_the_items_whoever_does_them() {
        let model = Model::new(ModelConfig { hidden_dim: 8, angles: 4, ..ModelConfig::default() }, Device::Cpu, 1);
        let items: Vec<usize> = (0..50).collect();
        for workers in [1, 3] {
            let mut heard = 0;
            let work = |_: &Model, queue: Queue<'_, usize>, emit: &mut dyn FnMut(usize, usize)| {
                queue.for_each(|(index, item)| emit(index, item * item));
            };
            let squares = spread(&model, &items, workers, work, |_| heard += 1);
            assert_eq!(squares, items.iter().map(|item| item * item).collect::<Vec<_>>());
            assert_eq!(heard, 50);
        }
    }
}
