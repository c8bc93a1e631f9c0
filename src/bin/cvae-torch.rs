//! All commands, on libtorch. `cvae` calls it, and users call `cvae`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use cvae::cli::{Arguments, program};

fn main() -> ExitCode {
    program(Arguments::run)
}
