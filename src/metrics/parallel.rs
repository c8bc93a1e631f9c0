//! Spreading work over threads: which thread does what changes no result.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Told how many items are done, several times a second; an answer of `Break` ends the work.
pub type Progress<'a> = &'a mut dyn FnMut(usize) -> ControlFlow<()>;

/// How often the progress is asked while no item is finished.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether the work shall end: an item that takes long looks at it now and then, and may return anything after that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop<'a>(&'a AtomicBool);

impl Stop<'_> {
    /// For work that nobody stops.
    pub(super) fn never() -> Stop<'static> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Stop(&NEVER)
    }

    /// Whether it was asked for.
    pub(super) fn asked(self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The results of work on all items, in their order; none where the progress asked for an end. Each thread has buffers
/// of its own, which `init` makes. By hand and not with rayon, whose callers can't be asked while they wait.
pub(super) fn in_parallel<T: Sync, S, R: Send>(
    threads: usize,
    items: &[T],
    init: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T, Stop<'_>) -> R + Sync,
    progress: Progress<'_>,
) -> Option<Vec<R>> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let run = || {
            let (sender, init, work, next, stop) = (sender.clone(), &init, &work, &next, &stop);
            move || {
                let mut buffers = init();
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    // A receiver that is gone means that the caller has panicked; its panic is the one to show.
                    let _ = sender.send((index, work(&mut buffers, item, Stop(stop))));
                }
            }
        };
        let started = (0..threads.clamp(1, items.len().max(1)))
            .filter(|_| thread::Builder::new().spawn_scoped(scope, run()).is_ok())
            .count();
        if started == 0 {
            // The system gives no threads: this one does it all.
            run()();
        }
        drop(sender);
        let mut done = 0;
        loop {
            match receiver.recv_timeout(PAUSE) {
                Ok((index, result)) => {
                    results[index] = Some(result);
                    done += 1;
                }
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if progress(done).is_break() {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    if stop.load(Ordering::Relaxed) { None } else { results.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items_whoever_does_them() {
        let items: Vec<usize> = (0..50).collect();
        for threads in [1, 3] {
            let mut heard = Vec::new();
            let work = |(): &mut (), item: &usize, _: Stop<'_>| item * item;
            let squares = in_parallel(threads, &items, || (), work, &mut |done| {
                heard.push(done);
                ControlFlow::Continue(())
            });
            assert_eq!(squares.unwrap(), items.iter().map(|item| item * item).collect::<Vec<_>>());
            assert_eq!(heard.last(), Some(&50));
        }
    }

    #[test]
    fn work_ends_where_the_progress_asks_for_it_also_within_an_item() {
        for threads in [1, 2] {
            let work = |(): &mut (), item: &usize, stop: Stop<'_>| {
                // The second item would never end.
                while *item == 1 && !stop.asked() {
                    thread::sleep(Duration::from_millis(1));
                }
                *item
            };
            let mut asked = 0;
            let stopped = in_parallel(threads, &[0, 1, 2, 3], || (), work, &mut |_| {
                asked += 1;
                if asked < 6 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            assert!(stopped.is_none() && asked >= 6);
        }
    }
}
