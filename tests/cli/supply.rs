//! What the program is built of: licences, sources, pinned versions, hashes; no network, and unsafe code in one place.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The packages that this platform's build takes, as cargo resolves them.
fn packages() -> Vec<Value> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &platform])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn deny(section: &str, key: &str) -> Vec<toml::Value> {
    let deny: toml::Table = toml::from_str(&read("deny.toml")).unwrap();
    deny[section][key].as_array().unwrap().clone()
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let allowed = deny("licenses", "allow");
    let packages = packages();
    assert!(packages.len() > 50);
    for package in &packages {
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{} names no licence", package["name"]));
        let expression = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX).unwrap();
        let passes = expression.evaluate(|wanted| {
            let id = wanted.license.id().map(|id| id.name);
            allowed.iter().any(|allowed| allowed.as_str() == id)
        });
        assert!(passes, "{} is under {licence}, which deny.toml does not allow", package["name"]);
    }
}

#[test]
fn nothing_that_reaches_for_the_network_is_built_in() {
    let banned = deny("bans", "deny");
    assert!(banned.len() > 5);
    for package in packages() {
        let found = banned.iter().find(|banned| banned["name"].as_str() == package["name"].as_str());
        assert!(found.is_none(), "{} is banned by deny.toml", package["name"]);
    }
}

#[test]
fn dependencies_are_pinned_and_hashed_and_come_from_one_registry() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    for section in ["dependencies", "dev-dependencies"] {
        for (name, wanted) in manifest[section].as_table().unwrap() {
            let version = wanted.as_str().or_else(|| wanted.get("version")?.as_str());
            // A part of this repository has a path in place of a version.
            let pinned = version.is_some_and(|version| version.starts_with('=')) || wanted.get("path").is_some();
            assert!(pinned, "{name} is not pinned");
        }
    }
    let lock: toml::Table = toml::from_str(&read("Cargo.lock")).unwrap();
    for package in lock["package"].as_array().unwrap() {
        if let Some(source) = package.get("source") {
            let registry = "registry+https://github.com/rust-lang/crates.io-index";
            assert_eq!(source.as_str(), Some(registry), "{package}");
            assert_eq!(package["checksum"].as_str().map(str::len), Some(64), "{package}");
        }
    }
}

#[test]
fn what_the_scripts_download_is_checked_by_hash() {
    let script = read("scripts/libtorch.py");
    let is_digest = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digests = script.split('"').filter(is_digest).count();
    assert!(digests > 0);
    assert_eq!(digests, script.matches(".whl\",").count(), "a wheel without its digest");
    // pip refuses what has no hash in a requirements file then.
    assert!(read("scripts/environment.py").contains("--require-hashes"));
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => sources(&path, found),
            Some("rs") => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn unsafe_code_is_confined_to_one_module_and_there_is_no_socket() {
    let mut files = Vec::new();
    for folder in ["src", "fuzz", "benches"] {
        sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 50);
    // The compiler refuses unsafe code where the lint is not named again, however that is spelt; a module that needs
    // some has to be named here.
    let names_it = |text: &str, word: &str| {
        text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
            line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|found| found == word)
        })
    };
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let allowed = path.ends_with("src/cli/closed.rs");
        let programs = ["src/lib.rs", "src/main.rs"];
        let root = programs.iter().any(|program| path.ends_with(program));
        assert_eq!(names_it(&text, "unsafe_code"), allowed || root, "{}", path.display());
        assert_eq!(names_it(&text, "unsafe"), allowed, "{}", path.display());
        assert!(!text.contains("std::net") && !text.contains("UdpSocket"), "{}", path.display());
    }
    assert!(read("src/lib.rs").contains("#![deny(unsafe_code)]"));
    assert!(read("src/main.rs").contains("#![forbid(unsafe_code)]"));
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
}

#[test]
fn no_command_opens_a_socket() {
    let folder = crate::common::folder();
    let traced = folder.path().join("trace");
    let trace = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("strace");
        command.args(["-f", "-e", "trace=network", "-o"]).arg(&traced).arg(program).args(arguments);
        command.current_dir(folder.path()).output()
    };
    // strace is not everywhere, and not everywhere allowed; where it is, it is the better witness.
    if !trace("true", &[]).is_ok_and(|output| output.status.success()) {
        println!("skipped: strace is missing or may not trace here");
        return;
    }
    std::fs::write(folder.path().join("in.txt"), "[MON] [DEC] [False] [196]\n").unwrap();
    let commands: [&[&str]; 6] = [
        &["train", "tiny.toml", "--set", "training.steps=30", "-o", "trial"],
        &["predict", "-i", "in.txt", "out.txt", "--model", "trial"],
        &["eval", "out.txt", "--model", "trial"],
        &["inspect", "[MON] [DEC] [False] [196]", "--model", "trial", "-n", "10", "-o", "pictures/"],
        &["compare", "trial"],
        &["plot", "--logs", "trial"],
    ];
    for arguments in commands {
        let output = trace(env!("CARGO_BIN_EXE_cvae"), arguments).unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let calls = std::fs::read_to_string(&traced).unwrap();
        assert!(!calls.contains("AF_INET"), "{arguments:?}: {calls}");
    }
}

#[test]
fn the_program_needs_no_libtorch() {
    let library = b"libtorch";
    let program = std::fs::read(env!("CARGO_BIN_EXE_cvae")).unwrap();
    assert!(!program.windows(library.len() + 3).any(|window| window.starts_with(library) && window.ends_with(b".so")));
    let lock: toml::Table = toml::from_str(&read("Cargo.lock")).unwrap();
    let packages = lock["package"].as_array().unwrap();
    let (mut needed, mut next) = (vec!["cvae"], 0);
    while let Some(name) = needed.get(next).copied() {
        let package = packages.iter().find(|package| package["name"].as_str() == Some(name)).unwrap();
        for dependency in package.get("dependencies").and_then(|list| list.as_array()).into_iter().flatten() {
            let name = dependency.as_str().unwrap().split(' ').next().unwrap();
            if !needed.contains(&name) {
                needed.push(name);
            }
        }
        next += 1;
    }
    assert!(needed.len() > 100 && !needed.contains(&"tch"), "{needed:?}");
}
