//! What the tests of the program share: running it, and a small trained model.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A config whose run takes about a second: small layers, few steps, few samples.
pub const TINY: &str = "
seed = 3
threads = 1
[model]
latent_dim = 2
hidden_dim = 16
angles = 8
[beta]
value = 0.6
rise = 20
[training]
steps = 60
batch_size = 64
warm_up = 5
checkpoint_every = 5
[evaluation]
every = 20
samples = 1
final_samples = 1
codes = 2
";

/// The program with these arguments, in this folder.
pub fn cvae(folder: &Path, arguments: &[&str]) -> Command {
    // Tests may run in the background, where shells and nohup ignore signals for their children, which keep that.
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,QUIT", env!("CARGO_BIN_EXE_cvae")]);
    command.current_dir(folder).args(arguments).env("NO_COLOR", "1");
    command
}

/// Runs it and takes its output.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    cvae(folder, arguments).output().expect("the program starts")
}

/// Runs it with this standard input.
pub fn run_with_input(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    use std::io::Write;
    use std::process::Stdio;
    let mut child = cvae(folder, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("it has an input").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// Standard error as text.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output as text.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The exit code.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {}", errors(output)))
}

/// A new folder holding `tiny.toml`.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("tiny.toml"), TINY).expect("a config");
    folder
}

/// A trained model, made once for all tests.
pub fn model() -> PathBuf {
    static MODEL: OnceLock<TempDir> = OnceLock::new();
    let folder = MODEL.get_or_init(|| {
        let folder = folder();
        let output = run(folder.path(), &["train", "tiny.toml", "-o", "model"]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        folder
    });
    folder.path().join("model")
}
