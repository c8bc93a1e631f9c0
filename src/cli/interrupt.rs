//! Ctrl-C and SIGTERM: a run ends after its current step, any other command at once; a second signal ends all.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context;

use super::output;
use crate::files;

/// Set by the first signal, where a run listens.
static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Takes signals from now on: this process ends with exit code 130 and leaves no file half written.
///
/// # Errors
/// When the handler can't be set.
pub fn install() -> anyhow::Result<()> {
    let handler = || match STOP.get() {
        Some(stop) if !stop.swap(true, Ordering::Relaxed) => {}
        _ => end(),
    };
    ctrlc::set_handler(handler).context("cannot listen for Ctrl-C")
}

/// From now on the first signal sets this flag alone: the run keeps what it has and ends by itself.
pub fn listen() -> Arc<AtomicBool> {
    Arc::clone(STOP.get_or_init(Arc::default))
}

fn end() {
    let unwritten = files::abandon();
    for path in &unwritten {
        output::say!("interrupted; {} was not written, its partial file is removed", path.display());
    }
    if unwritten.is_empty() {
        output::say!("interrupted");
    }
    // exit() would tear down libtorch under the threads that still compute, and crash as often as not. Another
    // program in the place of this one ends them all at once.
    let _ = Command::new("/bin/sh").args(["-c", "exit 130"]).exec();
    std::process::exit(130);
}
