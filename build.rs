//! Lets the programs find libtorch where the linker found it, without LD_LIBRARY_PATH, and `cvae` do without it.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    println!("cargo:rerun-if-changed=build.rs");
    // Symbols of the C++ that wraps libtorch are not handed on, so that the program that has no use for it, `cvae`,
    // does without libtorch: see src/main.rs.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-link-arg-bin=cvae=-Wl,--exclude-libs,ALL");
    }
    // With LIBTORCH_USE_PYTORCH torch-sys asks Python for the place; so does this, below.
    let folder = match std::env::var_os("LIBTORCH_USE_PYTORCH") {
        Some(_) => pytorch_library_folder(),
        None => std::env::var_os("LIBTORCH").map(|libtorch| PathBuf::from(libtorch).join("lib")),
    };
    if let Some(folder) = folder {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}

fn pytorch_library_folder() -> Option<PathBuf> {
    let script = "import os, torch; print(os.path.join(os.path.dirname(torch.__file__), 'lib'))";
    let output = std::process::Command::new("python3").args(["-c", script]).output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(folder.trim()))
}
