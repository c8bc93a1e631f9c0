//! The recorded commit is the one that the program was built from.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{code, cvae, errors, folder, run, text};

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", errors(&output));
}

#[test]
fn runs_name_the_program_and_not_the_repository_that_they_are_started_in() {
    let folder = folder();
    git(folder.path(), &["init", "-q"]);
    git(folder.path(), &["commit", "-q", "--allow-empty", "-m", "mine"]);
    let version = text(&run(folder.path(), &["--version"]));
    let commit = version.split("(commit ").nth(1).and_then(|rest| rest.split([',', ')']).next());
    let commit = commit.unwrap_or_else(|| panic!("{version}"));
    let done = run(folder.path(), &["train", "tiny.toml", "-o", "run"]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    let config = fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    assert!(config.contains(&format!("commit = \"{commit}\"")), "{commit}: {config}");
    assert_eq!(text(&cvae(folder.path(), &["-V"]).output().unwrap()), format!("cvae {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_build_knows_the_commit_of_its_own_sources_alone() {
    let root = tempfile::tempdir().unwrap();
    let script = root.path().join("script");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
    let compiled = Command::new("rustc").args(["--edition", "2024", "-o"]).arg(&script).arg(&source).status().unwrap();
    assert!(compiled.success());
    let place = root.path().join("outer/cvae");
    fs::create_dir_all(place.join("src")).unwrap();
    fs::copy(&source, place.join("build.rs")).unwrap();
    fs::write(place.join("src/lib.rs"), "").unwrap();
    let asked = || {
        let output = Command::new(&script).current_dir(&place).env("GIT_CEILING_DIRECTORIES", root.path()).output();
        let said = text(&output.unwrap());
        let value =
            |name: &str| said.split(&format!("rustc-env={name}=")).nth(1).unwrap().lines().next().unwrap().to_owned();
        (value("CVAE_COMMIT"), value("CVAE_DIRTY"))
    };
    let unknown = ("unknown".to_owned(), String::new());
    // A source archive, by itself and inside of another project.
    assert_eq!(asked(), unknown);
    let outer = root.path().join("outer");
    git(&outer, &["init", "-q"]);
    git(&outer, &["add", "."]);
    git(&outer, &["commit", "-q", "-m", "mine"]);
    assert_eq!(asked(), unknown);
    // A package of a registry, with the note that cargo adds.
    fs::write(
        place.join(".cargo_vcs_info.json"),
        "{\"git\": {\"sha1\": \"0123456789abcdef0123456789abcdef01234567\"}}",
    )
    .unwrap();
    assert_eq!(asked().0, "0123456789ab");
    // A repository of its own, without changes and with some.
    git(&place, &["init", "-q"]);
    git(&place, &["add", "."]);
    git(&place, &["commit", "-q", "-m", "own"]);
    let (commit, dirty) = asked();
    assert!(commit.len() == 12 && commit != "0123456789ab" && dirty.is_empty(), "{commit} {dirty}");
    fs::write(place.join("src/new.rs"), "").unwrap();
    assert_eq!(asked(), (commit, ", with changes".to_owned()));
}
