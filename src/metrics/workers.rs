//! Spreading work over threads: which thread does what changes no result.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::model::Model;

/// What a listener to work under way answers: nothing, or whether it shall go on.
pub trait Answer {
    /// Whether the work shall end early.
    fn stops(self) -> bool;
}

impl Answer for () {
    fn stops(self) -> bool {
        false
    }
}

impl Answer for ControlFlow<()> {
    fn stops(self) -> bool {
        self.is_break()
    }
}

/// How often a listener is asked while no item is finished.
const PAUSE: Duration = Duration::from_millis(100);

/// Items that workers take one after the other, each with its index.
pub(super) struct Queue<'a, T> {
    items: &'a [T],
    next: &'a AtomicUsize,
    stop: &'a AtomicBool,
}

impl<T> Queue<'_, T> {
    /// Whether the work shall end early: what becomes of an item that takes long does not matter any more.
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl<'a, T> Iterator for Queue<'a, T> {
    type Item = (usize, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        if self.stopped() {
            return None;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        self.items.get(index).map(|item| (index, item))
    }
}

/// The number of workers that [`spread`] is best given: libtorch's number of threads, which a command or
/// a config has set. A GPU takes one.
pub(super) fn workers(model: &Model) -> usize {
    if model.device().is_cuda() { 1 } else { tch::get_num_threads().max(1) as usize }
}

/// Has workers, each with a model of its own, take items from a queue; the results in the items' order, some of
/// them missing where `heard` asked for an early end.
///
/// libtorch's own threads share the work of one operation, and these operations are too small for that:
/// each worker runs them alone. `heard` is told of every item as it is finished, and asked now and then while none is,
/// on the calling thread.
pub(super) fn spread<T: Sync, R: Send, A: Answer>(
    model: &Model,
    items: &[T],
    workers: usize,
    work: impl Fn(&Model, Queue<'_, T>, &mut dyn FnMut(usize, R)) + Sync,
    mut heard: impl FnMut(Option<&R>) -> A,
) -> Vec<R> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let threads = tch::get_num_threads();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..workers.clamp(1, items.len().max(1)) {
            let (sender, replica) = (sender.clone(), model.replica());
            let (work, next, stop) = (&work, &next, &stop);
            scope.spawn(move || {
                tch::set_num_threads(1);
                // A receiver that is gone means that the caller has panicked; its panic is the one to show.
                let queue = Queue { items, next, stop };
                work(&replica, queue, &mut |index, result| drop(sender.send((index, result))));
            });
        }
        drop(sender);
        loop {
            let (result, ended) = match receiver.recv_timeout(PAUSE) {
                Ok(result) => (Some(result), false),
                Err(RecvTimeoutError::Timeout) => (None, false),
                Err(RecvTimeoutError::Disconnected) => (None, true),
            };
            if ended {
                break;
            }
            if heard(result.as_ref().map(|(_, result)| result)).stops() {
                stop.store(true, Ordering::Relaxed);
            }
            if let Some((index, result)) = result {
                results[index] = Some(result);
            }
        }
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
            let squares = spread(&model, &items, workers, work, |square| heard += usize::from(square.is_some()));
            assert_eq!(squares, items.iter().map(|item| item * item).collect::<Vec<_>>());
            assert_eq!(heard, 50);
        }
    }

    #[test]
    fn work_ends_early_when_it_is_asked_to_also_within_an_item() {
        let model = Model::new(ModelConfig { hidden_dim: 8, angles: 4, ..ModelConfig::default() }, Device::Cpu, 1);
        for workers in [1, 3] {
            let work = |_: &Model, mut queue: Queue<'_, usize>, emit: &mut dyn FnMut(usize, usize)| {
                while let Some((index, item)) = queue.next() {
                    // The second item would never end.
                    while *item == 1 && !queue.stopped() {
                        thread::sleep(Duration::from_millis(1));
                    }
                    emit(index, *item);
                }
            };
            let mut asked = 0;
            spread(&model, &[0, 1, 2, 3, 4, 5, 6, 7], workers, work, |_| {
                asked += 1;
                if asked < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            assert!(asked >= 3);
        }
    }
}
