//! Compiles the kernels for the CPU and the shim to libtorch, lets programs find libtorch where the linker found it, and
//! keeps libtorch_cuda, where there is one, in their dynamic section: nothing refers to a symbol of it, so that the
//! linker would drop it, and without it libtorch sees no GPU.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/kernels");
    println!("cargo:rerun-if-changed=src/shim.cpp");
    // Set by torch-sys, whether libtorch was found by LIBTORCH or by LIBTORCH_USE_PYTORCH.
    let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    let folder = Path::new(&folder);
    let include = folder.with_file_name("include");
    cc::Build::new().cpp(true).std("c++17").opt_level(2).file("src/kernels/cpu.cpp").compile("cvae_kernels");
    cc::Build::new().cpp(true).std("c++17").warnings(false).include(include).file("src/shim.cpp").compile("cvae_shim");
    for argument in link_arguments(folder) {
        println!("cargo:rustc-link-arg={argument}");
    }
}

include!("src/link.rs");
