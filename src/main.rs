//! Parses the arguments, runs the command, prints the error chain and sets the exit code.

use std::process::ExitCode;

use clap::Parser;
use cvae::cli::{Arguments, Exit};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.run() {
        Ok(exit) => exit.into(),
        Err(error) => Exit::report(&error).into(),
    }
}
