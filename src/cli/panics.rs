//! What panics: libtorch at its limits, or a bug. A user gets one line, a developer asks for more.

use std::sync::{Mutex, PoisonError};

use super::exit::Exit;
use super::output;
use crate::caught::is_catching;

/// What the first lack of memory was, to be told where nobody else tells of it.
static MEMORY: Mutex<Option<String>> = Mutex::new(None);

/// Has panics told in a line, and keeps to itself those that tell of too little memory: a trial or [`report`] does.
pub fn install() {
    let developer = std::env::var_os("RUST_BACKTRACE").is_some();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if is_catching() && !developer {
            return;
        }
        let text = panic.payload_as_str().unwrap_or_default();
        let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
        if is_memory(text) {
            memory.get_or_insert_with(|| first_line(text));
        } else if !(developer || memory.is_some() && text == "a scoped thread panicked") {
            output::say!("internal error: {}", first_line(&panic.to_string()));
        }
        if developer {
            usual(panic);
        }
    }));
}

/// Says what ended the command where no trial did, and how it ends the program.
pub fn report() -> Exit {
    if let Some(text) = MEMORY.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        output::say!("error: too little memory ({text}); free some, or raise the limit on it (ulimit -v)");
    }
    Exit::Failed
}

/// The first line of what libtorch said, whose own go on with the frames of its stack, or all of another text.
fn first_line(text: &str) -> String {
    let line = text.split("\\n").next().unwrap_or(text);
    let line = line.trim_start_matches("called `Result::unwrap()` on an `Err` value: ");
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(600).collect()
}

/// What libtorch and the system say where memory is lacking; a thread needs some as well.
fn is_memory(text: &str) -> bool {
    ["can't allocate memory", "bad_alloc", "failed to spawn thread", "out of memory", "Cannot allocate memory"]
        .iter()
        .any(|words| text.contains(words))
}
