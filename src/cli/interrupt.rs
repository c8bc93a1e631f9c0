//! Signals: a run ends after its current step, any other command at once; a second Ctrl-C ends all.
//! A signal that was ignored when the program was started, as under `nohup`, stays ignored.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGXFSZ};
use signal_hook::iterator::Signals;

use super::output;
use crate::experiment::is_worker;
use crate::files;
use crate::printable::ShownPath;
use crate::signals::{ENDING, is_ignored};

/// Set by the first signal, where a run listens.
static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();
/// Set by Ctrl-Z, where a sweep listens.
static PAUSE: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// A signal sent twice within this time, as `timeout` does, is one.
const ONCE: Duration = Duration::from_millis(500);
/// How long a command has to fail at a file that grew too large before the signal of that ends it.
const TOLD: Duration = Duration::from_secs(1);

/// Whether the command has ended, well or not: no signal changes how.
static OVER: AtomicBool = AtomicBool::new(false);

/// From now on signals are ignored: the command has ended, and says so.
pub fn over() {
    OVER.store(true, Ordering::Relaxed);
}

/// Takes signals from now on: this process ends with exit code 130 and leaves no file half written.
///
/// # Errors
/// When the handlers can't be set.
pub fn install() -> anyhow::Result<()> {
    let taken = ENDING.into_iter().filter(|signal| !is_ignored(*signal)).map(|signal| signal.as_raw());
    serve(Signals::new(taken), |signals| {
        let mut first = None;
        signals.forever().for_each(|signal| take(signal, &mut first));
    })
}

/// From now on the first signal sets this flag alone: the run keeps what it has and ends by itself.
pub fn listen() -> Arc<AtomicBool> {
    Arc::clone(STOP.get_or_init(Arc::default))
}

/// From now on Ctrl-Z sets this flag, instead of pausing this process alone: a sweep has trials to pause with it.
///
/// # Errors
/// When the handler can't be set.
pub fn listen_for_pause() -> anyhow::Result<Arc<AtomicBool>> {
    let pause = Arc::clone(PAUSE.get_or_init(Arc::default));
    let taken = Some(SIGTSTP).filter(|_| !is_ignored(rustix::process::Signal::TSTP));
    let set = Arc::clone(&pause);
    serve(Signals::new(taken), move |signals| signals.forever().for_each(|_| set.store(true, Ordering::Relaxed)))?;
    Ok(pause)
}

fn serve(signals: std::io::Result<Signals>, serve: impl FnOnce(&mut Signals) + Send + 'static) -> anyhow::Result<()> {
    let start =
        |mut signals: Signals| thread::Builder::new().name("ctrl-c".to_owned()).spawn(move || serve(&mut signals));
    signals.and_then(start).context("cannot listen for signals")?;
    Ok(())
}

fn take(signal: i32, first: &mut Option<Instant>) {
    match (STOP.get(), *first) {
        (None, _) => {
            if signal == SIGXFSZ {
                // The write that met the limit fails as well, and says at what file.
                thread::sleep(TOLD);
            }
            if !OVER.load(Ordering::Relaxed) {
                end();
            }
        }
        (Some(stop), None) => {
            *first = Some(Instant::now());
            stop.store(true, Ordering::Relaxed);
            if !is_worker() {
                output::say!("stopping; what is done is kept (Ctrl-C again ends it at once)");
            }
        }
        // A sweep ends its trials itself, and their last checkpoint must not be lost to a signal to all processes.
        (Some(_), Some(at)) => {
            let insists = [SIGINT, SIGTERM, SIGHUP].contains(&signal) && at.elapsed() >= ONCE;
            if insists && !is_worker() {
                end();
            }
        }
    }
}

fn end() {
    let unwritten = files::abandon();
    output::clear_bars();
    for path in &unwritten {
        output::say!("interrupted; {} was not written, its partial file is removed", path.shown());
    }
    if unwritten.is_empty() {
        output::say!("interrupted");
    }
    // exit() would tear down libtorch under the threads that still compute, and crash as often as not. Another
    // program in the place of this one ends them all at once.
    let _ = Command::new("/bin/sh").args(["-c", "exit 130"]).exec();
    std::process::exit(130);
}
