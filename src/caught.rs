//! Panics of a library turned into errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread becomes an error, so that nobody else needs to tell of it.
pub fn is_catching() -> bool {
    CATCHING.get()
}

/// Does some work of a library that panics where others return an error, as libtorch's does.
///
/// # Errors
/// What the panic said, in a line.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = CATCHING.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(before);
    done.map_err(|panic| panic_message(&*panic))
}

/// The first line of what a panic said.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no message");
    text.lines().next().unwrap_or(text).chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_first_line_of_what_it_said() {
        assert_eq!(caught(|| 3), Ok(3));
        let error = caught(|| {
            assert!(is_catching());
            panic!("out of {}\nmore", "memory")
        });
        assert_eq!(error, Err::<(), _>("out of memory".to_owned()));
        assert!(!is_catching());
    }
}
