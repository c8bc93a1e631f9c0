//! Says which devices this build of libtorch can use.

fn main() {
    println!("cvae-torch {} (CUDA: {})", env!("CARGO_PKG_VERSION"), tch::Cuda::is_available());
}
