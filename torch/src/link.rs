/// What programs that use the libtorch in this folder are linked with beyond what `torch-sys` asks for.
fn link_arguments(folder: &std::path::Path) -> Vec<String> {
    let mut arguments = vec![format!("-Wl,-rpath,{}", folder.display())];
    if folder.join("libtorch_cuda.so").exists() {
        arguments.push(format!("-L{}", folder.display()));
        arguments.push("-Wl,--no-as-needed,-ltorch_cuda,--as-needed".to_owned());
    }
    arguments
}
