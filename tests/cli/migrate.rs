//! Trials that were named before names were made by meaning: used as they are, and renamed by `cvae migrate`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{code, errors, folder, run, text};

const FINISHED: &str = "value0.2-seed1-a7e564cbcf9e";
const INTERRUPTED: &str = "value0.6-seed2-db4bd64c64b9";
/// With the evaluation of that time: a key that is only read now, and the default of the one in its place.
const GRID: &str = "base = \"tiny.toml\"\n[evaluation]\nimportance = 2\ncodes = 1024\n[sweep]\nzip = { seed = [1, 2], \"beta.value\" = [0.2, 0.6] }\n";

/// A folder with an experiment that commit 0f1122a ran: a finished trial and an interrupted one.
fn before() -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("grid.toml"), GRID).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/before_identity");
    let target = folder.path().join("runs/grid");
    fs::create_dir_all(&target).unwrap();
    let copied = Command::new("cp").arg("-r").arg(source.join(".")).arg(&target).status().unwrap();
    assert!(copied.success());
    folder
}

/// The names of the trials' folders.
fn trials(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("runs/grid")).unwrap().map(|entry| entry.unwrap().path());
    let names = entries.filter(|path| path.is_dir()).map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Every file of a trial with its bytes.
fn files(trial: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![trial.to_owned()];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else {
                files.insert(path.strip_prefix(trial).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn migrate(folder: &Path, options: &[&str]) -> Output {
    run(folder, &[&["migrate", "runs"], options].concat())
}

#[test]
fn trials_of_before_are_read_compared_plotted_and_resumed_under_their_names() {
    let folder = before();
    let finished = format!("runs/grid/{FINISHED}");
    let status = run(folder.path(), &["sweep", "grid.toml", "--status"]);
    assert!(text(&status).contains("2 trials: 1 finished, 0 running, 1 interrupted"), "{}", text(&status));
    for command in [
        &["compare", "runs/grid"][..],
        &["compare", "runs/grid", "--each"],
        &["plot", "--logs", "runs/grid"],
        &["inspect", "[WED] [JAN] [False] [181]", "-n", "10", "--model", &finished, "-o", "heat.svg"],
    ] {
        let done = run(folder.path(), command);
        assert_eq!(code(&done), 0, "{command:?}: {}", errors(&done));
    }
    let print = ["train", "grid.toml", "--set", "seed=1", "--set", "beta.value=0.2", "--print-folder"];
    assert_eq!(text(&run(folder.path(), &print)).trim(), finished);
    let done = run(folder.path(), &["sweep", "grid.toml"]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    assert_eq!(trials(folder.path()), [FINISHED, INTERRUPTED]);
    let log = fs::read_to_string(folder.path().join("runs/grid").join(INTERRUPTED).join("log.txt")).unwrap();
    assert!(log.contains("resumed after step 21"), "{log}");
    let table = fs::read_to_string(folder.path().join("runs/grid/results.csv")).unwrap();
    assert!(table.contains(FINISHED) && table.contains(INTERRUPTED), "{table}");
}

#[test]
fn migrate_renames_trials_once_and_changes_nothing_in_them() {
    let folder = before();
    let place = folder.path().join("runs/grid");
    let before = [FINISHED, INTERRUPTED].map(|name| files(&place.join(name)));
    let listed = migrate(folder.path(), &["--dry-run"]);
    assert_eq!(code(&listed), 0, "{}", errors(&listed));
    assert_eq!(trials(folder.path()), [FINISHED, INTERRUPTED]);
    let done = migrate(folder.path(), &[]);
    assert_eq!((code(&done), text(&done)), (0, text(&listed)), "{}", errors(&done));
    assert_eq!(errors(&done), "runs/grid: 2 trials renamed, 0 named so already, results.csv rebuilt\n");
    let names = trials(folder.path());
    assert!(names[0].starts_with("value0.2-latent_dim2-") && names[0].contains("-seed1-"), "{names:?}");
    assert!(!names.iter().any(|name| name == FINISHED || name == INTERRUPTED), "{names:?}");
    assert!(names.iter().zip(&before).all(|(name, before)| files(&place.join(name)) == *before));
    let sums = Command::new("sha256sum").args(["--check", "SHA256SUMS"]).current_dir(place.join(&names[0])).output();
    assert!(sums.unwrap().status.success());
    let table = fs::read_to_string(place.join("results.csv")).unwrap();
    assert!(table.lines().nth(1).unwrap().starts_with(&names[0]), "{table}");

    let again = migrate(folder.path(), &[]);
    assert_eq!((code(&again), text(&again)), (0, String::new()));
    assert_eq!(errors(&again), "runs/grid: 0 trials renamed, 2 named so already\n");
    // The sweep takes the interrupted one up under its new name.
    assert_eq!(code(&run(folder.path(), &["sweep", "grid.toml"])), 0);
    assert_eq!(trials(folder.path()), names);
    assert_eq!(code(&run(folder.path(), &["plot", "--logs", "runs"])), 0);
}

#[test]
fn migrate_goes_on_where_it_was_killed() {
    let folder = before();
    let place = folder.path().join("runs/grid");
    let table = fs::read(place.join("results.csv")).unwrap();
    assert_eq!(code(&migrate(folder.path(), &[])), 0);
    // As after a kill before the table was rebuilt.
    fs::write(place.join("results.csv"), table).unwrap();
    let done = migrate(folder.path(), &[]);
    assert!(errors(&done).contains("results.csv rebuilt"), "{}", errors(&done));
    assert_eq!(code(&run(folder.path(), &["compare", "runs"])), 0);
}

#[test]
fn migrate_refuses_what_would_lose_work_and_moves_nothing_then() {
    let refused = |prepare: &dyn Fn(&Path), message: &str| {
        let folder = before();
        prepare(&folder.path().join("runs/grid"));
        let names = trials(folder.path());
        let output = migrate(folder.path(), &[]);
        assert_eq!(code(&output), 1, "{}", errors(&output));
        assert!(errors(&output).contains(message), "{}", errors(&output));
        assert_eq!(trials(folder.path()), names);
    };
    refused(
        &|grid| {
            let row = fs::read_to_string(grid.join("results.csv")).unwrap().replace(FINISHED, "seed9-0123456789ab");
            fs::write(grid.join("results.csv"), row).unwrap();
        },
        "has a row of seed9-0123456789ab, which has no folder",
    );
    refused(
        &|grid| fs::rename(grid.join(INTERRUPTED), grid.join("value0.6-seed2-0123456789ab")).unwrap(),
        "does not belong to its config.toml",
    );
    refused(
        &|grid| {
            fs::create_dir(grid.join("copy-seed1-a7e564cbcf9e")).unwrap();
            fs::copy(grid.join(FINISHED).join("config.toml"), grid.join("copy-seed1-a7e564cbcf9e/config.toml"))
                .unwrap();
        },
        "are the same trial; remove one of them",
    );
    let folder = before();
    let lock =
        File::options().write(true).open(folder.path().join("runs/grid").join(INTERRUPTED).join("lock")).unwrap();
    lock.lock().unwrap();
    let output = migrate(folder.path(), &[]);
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("is running; wait for it to end"), "{}", errors(&output));
    assert_eq!(trials(folder.path()), [FINISHED, INTERRUPTED]);
    assert_eq!(code(&run(folder.path(), &["migrate", "."])), 1);
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert_eq!(code(&run(folder.path(), &["migrate", "empty"])), 2);
}

#[test]
fn an_override_makes_the_same_trial_wherever_it_is_written() {
    let folder = folder();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("run.toml", "base = \"tiny.toml\"\n");
    let print = |sets: &[&str]| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let output = run(folder.path(), &[&["train", "run.toml", "--print-folder"], &sets[..]].concat());
        assert_eq!(code(&output), 0, "{}", errors(&output));
        text(&output)
    };
    let one = print(&["beta.low=0.1", "model.hidden_dim=8"]);
    assert_eq!(print(&["model={hidden_dim=8}", "beta={low=0.10}"]), one);
    write("run.toml", "base = \"tiny.toml\"\n[beta]\nlow = 1e-1\n[model]\nhidden_dim = 8\n");
    assert_eq!(print(&[]), one);
    write("above.toml", "base = \"tiny.toml\"\n[beta]\nlow = 0.1\n[model]\nhidden_dim = 8\n");
    write("run.toml", "base = \"above.toml\"\n");
    assert_eq!(print(&[]), one);
    write("run.toml", "base = \"tiny.toml\"\n[sweep]\nset = { model.hidden_dim = 8, beta = { low = 0.1 } }\n");
    let swept = run(folder.path(), &["sweep", "run.toml", "--dry-run"]);
    assert!(text(&swept).contains(one.trim().rsplit('/').next().unwrap()), "{one}{}", text(&swept));
}
