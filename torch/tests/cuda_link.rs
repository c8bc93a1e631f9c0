//! Programs built against a PyTorch with CUDA keep libtorch_cuda in their dynamic section, without which libtorch sees
//! no GPU. No GPU is needed here: a program of one line is linked as this package's programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

include!("../src/link.rs");

/// Where a CUDA build of libtorch is: in `CVAE_CUDA_TORCH`, the folder `torch` of an unpacked PyPI wheel, or the one that
/// this package was built against.
fn cuda_libraries() -> Option<PathBuf> {
    let named = std::env::var_os("CVAE_CUDA_TORCH").or_else(|| std::env::var_os("LIBTORCH"));
    let folder = PathBuf::from(named?).join("lib");
    folder.join("libtorch_cuda.so").exists().then_some(folder)
}

/// The names of the libraries that a program needs, from its dynamic section.
fn needed(program: &Path) -> String {
    let output =
        Command::new("readelf").arg("-d").arg(program).output().expect("binutils' readelf, which comes with cc");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| line.contains("(NEEDED)")).collect::<Vec<_>>().join("\n")
}

/// Links a program with the flags that rustc begins with, then those of `torch-sys`, then `more`.
fn link(folder: &Path, more: &[String]) -> String {
    let work = std::env::temp_dir().join(format!("cvae-cuda-link-{}-{}", std::process::id(), more.len()));
    std::fs::create_dir_all(&work).unwrap();
    let (source, program) = (work.join("main.c"), work.join("program"));
    std::fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let status = Command::new("cc")
        .args(["-Wl,--as-needed", "-Wl,--allow-shlib-undefined", "-o"])
        .arg(&program)
        .arg(&source)
        .arg(format!("-L{}", folder.display()))
        .args(["-ltorch_cuda", "-ltorch_cpu", "-ltorch", "-lc10"])
        .args(more)
        .status();
    assert!(status.unwrap().success());
    let needed = needed(&program);
    std::fs::remove_dir_all(work).unwrap();
    needed
}

#[test]
fn libtorch_cuda_stays_in_the_dynamic_section() {
    let Some(folder) = cuda_libraries() else {
        eprintln!(
            "skipped: no CUDA build of libtorch; `pip download torch==2.11.0 --no-deps`, unpack the wheel and set \
             CVAE_CUDA_TORCH to its folder torch"
        );
        return;
    };
    assert!(!link(&folder, &[]).contains("libtorch_cuda"), "what is worked around here is no longer needed");
    assert!(link(&folder, &link_arguments(&folder)).contains("libtorch_cuda"));
}

#[test]
fn this_package_needs_libtorch_cuda_where_it_was_built_with_it() {
    if let Some(folder) = cuda_libraries().filter(|_| std::env::var_os("CVAE_CUDA_TORCH").is_none()) {
        let needed = needed(Path::new(env!("CARGO_BIN_EXE_cvae-torch")));
        assert!(needed.contains("libtorch_cuda"), "{}: {needed}", folder.display());
    }
}

#[test]
fn a_cpu_build_is_linked_with_nothing_more() {
    assert_eq!(link_arguments(Path::new("/nowhere")), ["-Wl,-rpath,/nowhere"]);
}
