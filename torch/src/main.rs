//! `cvae` with libtorch: the program that `cvae` goes on as where a config asks for a GPU or for autograd.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--version") && std::env::args().len() == 2 {
        let devices = tch::Cuda::device_count();
        println!("cvae-torch {} (libtorch sees {devices} CUDA devices)", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    cvae::model::engine::install(cvae_torch::engine::make);
    cvae::model::bulk::install(cvae_torch::engine::make_decoder);
    cvae::cli::program()
}
