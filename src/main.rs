//! The program that users call.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cvae::cli::program()
}
