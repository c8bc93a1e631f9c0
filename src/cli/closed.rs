//! Whether standard output was closed when the program was started, as by `>&-`. Before `main` Rust opens the null device
//! in its place, which takes everything and tells of nothing; so this looks before that.
#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Run by the loader, which calls every function of this section before the program begins.
#[cfg(target_os = "linux")]
#[used]
// SAFETY: the section holds pointers to C functions, and this is one.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

#[cfg(target_os = "linux")]
extern "C" fn look() {
    // SAFETY: the number is only asked about; where it is no open file, the system says so.
    let output = unsafe { std::os::fd::BorrowedFd::borrow_raw(1) };
    CLOSED.store(rustix::io::fcntl_getfd(output).is_err(), Ordering::Relaxed);
}

/// Checks that there is a standard output to write to.
///
/// # Errors
/// When it was closed.
pub fn check() -> io::Result<()> {
    match CLOSED.load(Ordering::Relaxed) {
        true => Err(io::Error::other("it is closed; leave it open, or send it to /dev/null")),
        false => Ok(()),
    }
}
