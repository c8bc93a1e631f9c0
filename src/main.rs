//! The program that users call: it runs what needs no libtorch and hands the rest to `cvae-torch`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use cvae::cli::{Arguments, program};

fn main() -> ExitCode {
    program(Arguments::run_or_hand_over)
}
