//! Parses the arguments, runs the command, prints the error chain and sets the exit code.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use cvae::cli::{Arguments, Exit};

fn main() -> ExitCode {
    // What panics is a bug or libtorch at its limits; a user gets one line, a developer asks for more.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|panic| {
            let text = panic.to_string();
            let line: String = text.split("\\n").next().unwrap_or(&text).chars().take(600).collect();
            let _ = writeln!(std::io::stderr(), "internal error: {line}");
        }));
    }
    let arguments = Arguments::parse();
    match arguments.run() {
        Ok(exit) => exit.into(),
        Err(error) => Exit::report(&error).into(),
    }
}
