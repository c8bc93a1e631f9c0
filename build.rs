//! Tells the program which commit it is built from.

use std::path::PathBuf;
use std::process::Command;

/// What the program is made of, apart from crates.
const SOURCES: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];

/// Sets `CVAE_COMMIT` to the commit that the sources are of, or `unknown`, and `CVAE_DIRTY` to words where they
/// differ from it; and `CVAE_DATE` to the commit's day, where it is known.
fn main() {
    SOURCES.iter().for_each(|path| println!("cargo:rerun-if-changed={path}"));
    // Unpacked inside of another project's repository, the sources are not of its commits.
    let top = git(&["rev-parse", "--show-toplevel"]).and_then(|top| PathBuf::from(top).canonicalize().ok());
    let here = std::env::current_dir().and_then(|folder| folder.canonicalize()).ok();
    let ours = top.is_some() && top == here && git(&["ls-files", "--error-unmatch", "build.rs"]).is_some();
    let commit = if ours { git(&["rev-parse", "--short=12", "HEAD"]) } else { packaged() };
    let changes = match ours {
        true => git(&[&["status", "--porcelain", "--untracked-files=all", "--"], &SOURCES[..]].concat()),
        false => None,
    };
    let changes = changes.unwrap_or_default();
    // Once they are committed, the program is that of a commit; without changes, a later commit has the same sources.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|_| !changes.is_empty()) {
        println!("cargo:rerun-if-changed={log}");
    }
    // The day of the commit, for manual pages: the same sources have the same pages.
    let day = if ours { git(&["log", "-1", "--format=%cs"]) } else { None };
    println!("cargo:rustc-env=CVAE_DATE={}", day.unwrap_or_default());
    println!("cargo:rustc-env=CVAE_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo:rustc-env=CVAE_DIRTY={}", if changes.is_empty() { "" } else { ", with changes" });
}

/// The commit that `cargo package` notes beside the sources.
fn packaged() -> Option<String> {
    let note = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = note.split_once("\"sha1\"")?;
    let digits = rest.split('"').nth(1)?;
    (digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digits[..12].to_owned())
}

/// What git says of the folder of the sources, whatever the caller's environment points it to.
fn git(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"].iter().for_each(|name| {
        command.env_remove(name);
    });
    let output = command.args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
