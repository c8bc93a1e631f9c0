//! Spreading work over threads: which thread does what changes no result.

use std::ops::ControlFlow;

use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

/// Told how many items are done; an answer of `Break` ends the work, within a fraction of a second.
pub type Progress<'a> = &'a mut dyn FnMut(usize) -> ControlFlow<()>;

/// Items that each thread takes between two looks at the progress.
const ROUND: usize = 8;

/// The results of work on all items, in their order; none where the progress asked for an end. Each thread has buffers
/// of its own, which `init` makes.
pub(super) fn in_parallel<T: Sync, S, R: Send>(
    threads: usize,
    items: &[T],
    init: impl Fn() -> S + Sync + Send,
    work: impl Fn(&mut S, &T) -> R + Sync + Send,
    progress: Progress<'_>,
) -> Option<Vec<R>> {
    let pool = match threads {
        0 | 1 => None,
        // Without more threads the work is done on this one.
        count => ThreadPoolBuilder::new().num_threads(count.min(items.len().max(1))).build().ok(),
    };
    let mut results = Vec::with_capacity(items.len());
    let mut buffers = init();
    let round = ROUND * pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads);
    for items in items.chunks(round) {
        match &pool {
            None => results.extend(items.iter().map(|item| work(&mut buffers, item))),
            Some(pool) => {
                let of_round = pool.install(|| items.par_iter().map_init(&init, &work).collect::<Vec<_>>());
                results.extend(of_round);
            }
        }
        if progress(results.len()).is_break() {
            return None;
        }
    }
    Some(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items_whoever_does_them() {
        let items: Vec<usize> = (0..50).collect();
        for threads in [1, 3] {
            let mut heard = Vec::new();
            let squares = in_parallel(threads, &items, || (), |(), item| item * item, &mut |done| {
                heard.push(done);
                ControlFlow::Continue(())
            });
            assert_eq!(squares.unwrap(), items.iter().map(|item| item * item).collect::<Vec<_>>());
            assert_eq!(heard.last(), Some(&50));
            assert!(heard.len() > 1);
        }
    }

    #[test]
    fn work_ends_where_the_progress_asks_for_it() {
        let items: Vec<usize> = (0..1000).collect();
        for threads in [1, 2] {
            let mut last = 0;
            let stopped = in_parallel(threads, &items, || (), |(), item| *item, &mut |done| {
                last = done;
                if done >= 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert!(stopped.is_none() && last < 150, "{last}");
        }
    }
}
