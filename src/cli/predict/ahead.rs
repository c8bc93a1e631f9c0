//! Blocks are drawn while the one before is written, so that neither waits for the other.

use std::iter;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// Writes blocks in the order in which they are made. Where `beside` asks for it and the system gives a thread, the next
/// ones are made meanwhile, at most two of them. The first error ends it.
pub fn write_in_order<B: Send, E>(
    beside: bool,
    make: impl FnMut() -> Option<B> + Send,
    write: impl FnMut(B) -> Result<(), E>,
) -> Result<(), E> {
    let make = Mutex::new(make);
    let made = || make.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(1);
        let maker = move || {
            // A receiver that is gone means that writing has failed.
            let _ = iter::from_fn(&mut *made()).try_for_each(|block| sender.send(block));
        };
        if beside && thread::Builder::new().spawn_scoped(scope, maker).is_ok() {
            receiver.into_iter().try_for_each(write)
        } else {
            iter::from_fn(&mut *made()).try_for_each(write)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_in_order_and_the_first_error_ends_the_work() {
        for beside in [false, true] {
            let (mut made, mut written) = (0, Vec::new());
            let make = || (made < 100).then(|| (made, made += 1).0);
            let done = write_in_order(beside, make, |block| {
                written.push(block);
                if block == 10 { Err("full") } else { Ok(()) }
            });
            assert_eq!((done, written), (Err("full"), (0..=10).collect::<Vec<_>>()));
            assert!((11..=13).contains(&made), "{made}");
            let mut left = (0..5).collect::<Vec<_>>().into_iter();
            let mut written = Vec::new();
            write_in_order(
                beside,
                || left.next(),
                |block| {
                    written.push(block);
                    Ok::<(), ()>(())
                },
            )
            .unwrap();
            assert_eq!(written, [0, 1, 2, 3, 4]);
        }
    }
}
