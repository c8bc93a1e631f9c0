//! A chain of steps over batches, each on a thread of its own, so that none waits for the others.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope};

/// Runs an iterator on a thread of its own, at most two items ahead of the taker: one in the channel, one that waits for it.
/// Where `beside` is false or the system gives no thread, it runs on the taker's thread.
///
/// Dropping what is returned ends the thread. If the iterator panics, the items end early and then the scope panics: they
/// are complete only where the scope has returned.
pub fn ahead<'scope, I>(
    scope: &'scope Scope<'scope, '_>,
    beside: bool,
    items: I,
) -> impl Iterator<Item = I::Item> + Send + use<'scope, I>
where
    I: Iterator<Item: Send> + Send + 'scope,
{
    let (sender, receiver) = sync_channel(1);
    // A thread that can't be had must not take the items along.
    let shared = Arc::new(Mutex::new(Some(items)));
    let take = |shared: &Mutex<Option<I>>| shared.lock().unwrap_or_else(PoisonError::into_inner).take();
    let theirs = Arc::clone(&shared);
    let make = move || {
        // A receiver that is gone means that no more are wanted.
        let _ = take(&theirs).into_iter().flatten().try_for_each(|item| sender.send(item));
    };
    let spawned = beside && Builder::new().spawn_scoped(scope, make).is_ok();
    let here = if spawned { None } else { take(&shared) };
    here.into_iter().flatten().chain(receiver)
}

#[cfg(test)]
mod tests {
    use std::iter::from_fn;
    use std::thread::scope;

    use super::*;

    #[test]
    fn items_come_in_order_and_a_taker_that_stops_ends_the_work() {
        for beside in [false, true] {
            let (mut made, mut doubled) = (0, 0);
            let taken: Vec<i32> = scope(|scope| {
                let items = ahead(scope, beside, from_fn(|| (made < 100).then(|| (made, made += 1).0)));
                let twice = ahead(scope, beside, items.map(|item| (2 * item, doubled += 1).0));
                twice.take(11).collect()
            });
            assert_eq!(taken, (0..=10).map(|item| 2 * item).collect::<Vec<_>>());
            // Each step has at most two items that nobody took: one made, and one in its hands.
            assert!((11..=13).contains(&doubled) && (doubled..=doubled + 2).contains(&made), "{doubled} {made}");
            let all: Vec<i32> = scope(|scope| ahead(scope, beside, 0..5).collect());
            assert_eq!(all, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_step_that_panics_ends_the_scope_in_a_panic() {
        let faulty = |item| if item == 3 { panic!("a fault of this test") } else { item };
        let ended = std::panic::catch_unwind(|| scope(|scope| ahead(scope, true, (0..5).map(faulty)).count()));
        assert!(ended.is_err());
    }
}
