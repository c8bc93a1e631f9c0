//! Parses the arguments, runs the command, prints the error chain and sets the exit code.

#![forbid(unsafe_code)]

use std::panic::catch_unwind;
use std::process::ExitCode;

use clap::Parser;
use cvae::cli::{Arguments, Exit, panics};

fn main() -> ExitCode {
    panics::install();
    let arguments = Arguments::parse();
    match catch_unwind(|| arguments.run()) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(error)) => Exit::report(&error).into(),
        Err(_) => panics::report().into(),
    }
}
