//! `watch` without a terminal, `runs`, and exports as text; tests/export.py reads exports with other tools.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::common::{TINY, code, errors, folder, model, run, text};

/// runs/exp with a finished trial and one that failed.
fn runs() -> tempfile::TempDir {
    let folder = folder();
    let trial = folder.path().join("runs/exp/good");
    fs::create_dir_all(&trial).unwrap();
    for entry in fs::read_dir(model()).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(entry.path(), trial.join(entry.file_name())).unwrap();
    }
    let bad = folder.path().join("runs/exp/bad");
    fs::create_dir_all(&bad).unwrap();
    let config = fs::read_to_string(trial.join("config.toml")).unwrap();
    fs::write(bad.join("config.toml"), config.replacen("seed = 3", "seed = 4", 1)).unwrap();
    fs::write(bad.join("error.txt"), "the loss diverged\x1b[31m\n").unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn without_a_terminal_watch_prints_a_table_and_ends() {
    let folder = runs();
    for arguments in [&["watch"][..], &["watch", "runs/exp", "--once"]] {
        let output = run(folder.path(), arguments);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        let table = text(&output);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[1].contains("state") && lines[1].contains("sampled"), "{table}");
        assert!(lines[3].contains("failed") && lines[3].contains("0/60") && lines[3].contains("exp/bad"), "{table}");
        assert!(lines[4].contains("finished") && lines[4].contains("60/60") && lines[4].contains(" %"), "{table}");
        assert!(table.ends_with("2 trials: 1 finished, 1 failed\n"), "{table}");
    }
    // Where nobody can see it, the view is no part of training either.
    let output = run(folder.path(), &["train", "tiny.toml", "--watch", "-o", "run"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(text(&output).contains("greedy"));
    let output = run(folder.path(), &["watch", "nothing"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("cannot read nothing: "), "{}", errors(&output));
}

#[test]
fn an_export_replaces_no_file_of_the_users_and_fails_where_nothing_can_be_exported() {
    let folder = runs();
    let export = |target: &str| run(folder.path(), &["export", "runs", "--to", "jsonl", "-o", target]);
    fs::create_dir(folder.path().join("mine")).unwrap();
    fs::write(folder.path().join("mine/trials.jsonl"), "mine").unwrap();
    let output = export("mine");
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("mine/trials.jsonl is there, and no export wrote it"), "{}", errors(&output));
    assert_eq!(fs::read_to_string(folder.path().join("mine/trials.jsonl")).unwrap(), "mine");
    let output = export("runs/exp/good");
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("runs/exp/good is a run's folder"), "{}", errors(&output));
    // Its own are replaced.
    for _ in 0..2 {
        assert_eq!(code(&export("exported")), 0);
    }
    fs::remove_dir_all(folder.path().join("runs/exp/bad")).unwrap();
    fs::write(folder.path().join("runs/exp/good/metrics.csv"), "cut off").unwrap();
    let output = export("nothing");
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("runs/exp/good is left out"), "{}", errors(&output));
}

#[test]
fn a_view_whose_terminal_vanishes_ends_though_it_ignores_that() {
    let folder = runs();
    // The terminal hangs up as the program that made it is killed.
    let inner = format!("stty cols 80 rows 24; echo $$ > pid; exec {} watch runs", env!("CARGO_BIN_EXE_cvae"));
    let mut made = Command::new("bash")
        .args(["-c", "trap '' HUP; exec script -fqec \"$0\" shown > /dev/null", &inner])
        .current_dir(folder.path())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program script, of util-linux");
    let is_so = |wanted: &dyn Fn() -> bool| {
        (0..200).any(|_| {
            wanted() || {
                sleep(Duration::from_millis(50));
                false
            }
        })
    };
    let shown =
        || fs::read(folder.path().join("shown")).is_ok_and(|bytes| bytes.windows(4).any(|word| word == b"good"));
    assert!(is_so(&shown), "the view opens");
    made.kill().unwrap();
    made.wait().unwrap();
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    let process = Path::new("/proc").join(pid.trim()).join("exe");
    assert!(is_so(&|| fs::read_link(&process).is_err()), "the view goes on without a terminal");
}

#[test]
fn runs_lists_shows_and_removes() {
    let folder = runs();
    let list = text(&run(folder.path(), &["runs"]));
    assert!(list.contains("exp          ") && list.contains("exp/good") && list.contains("failed"), "{list}");
    let shown = text(&run(folder.path(), &["runs", "show", "good"]));
    for part in
        ["state       finished", "steps       60 of 60", "seed = 3", "greedy_pass ", "commit", "test_entropy_floor"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = text(&run(folder.path(), &["runs", "show", "runs/exp/bad"]));
    assert!(shown.contains("error       the loss diverged\\u{1b}[31m"), "{shown}");
    assert_eq!(code(&run(folder.path(), &["runs", "show", "ugly"])), 2);

    fs::write(folder.path().join("runs/exp/results.csv"), "trial,x\ngood,1\nother,2\n").unwrap();
    let asked = run(folder.path(), &["runs", "rm", "good"]);
    assert_eq!(code(&asked), 2);
    assert!(errors(&asked).contains("remove this trial, ") && errors(&asked).contains("--yes"), "{}", errors(&asked));
    fs::write(folder.path().join("runs/exp/good/notes.md"), "mine").unwrap();
    let removed = run(folder.path(), &["runs", "rm", "--yes", "good", "runs/exp/bad"]);
    // A config without provenance would be the user's own; this one is a copy of a run's.
    assert_eq!(code(&removed), 0, "{}", errors(&removed));
    assert_eq!(names(&folder.path().join("runs/exp")), ["good", "results.csv"]);
    assert_eq!(names(&folder.path().join("runs/exp/good")), ["notes.md"]);
    assert_eq!(fs::read_to_string(folder.path().join("runs/exp/results.csv")).unwrap(), "trial,x\nother,2\n");
    // The folder that one stands in, by its name as well.
    let here = folder.path().join("runs/exp/other");
    fs::create_dir_all(&here).unwrap();
    fs::copy(model().join("config.toml"), here.join("config.toml")).unwrap();
    let removed = run(&here, &["runs", "rm", "--yes", "."]);
    assert_eq!(code(&removed), 0, "{}", errors(&removed));
    assert!(!here.exists());
    assert_eq!(fs::read_to_string(folder.path().join("runs/exp/results.csv")).unwrap(), "trial,x\n");
}

#[test]
fn exports_have_a_typed_value_in_every_column() {
    let folder = runs();
    let output = run(folder.path(), &["export", "runs", "--to", "jsonl", "-o", "out"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(errors(&output).contains("out: 2 trials, 3 evaluations written"), "{}", errors(&output));
    let rows = |name: &str| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(folder.path().join("out").join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let history = rows("history.jsonl");
    assert_eq!(history.iter().map(|row| row["step"].as_u64().unwrap()).collect::<Vec<_>>(), [20, 40, 60]);
    assert_eq!(history[0]["beta"].as_f64(), Some(f64::MAX), "an infinite weight is a number");
    assert!(history[0]["phase"].is_string() && history[0]["greedy_pass"].is_f64());
    let trials = rows("trials.jsonl");
    assert_eq!((&trials[0]["state"], &trials[1]["state"]), (&"failed".into(), &"finished".into()));
    assert!(trials[0]["greedy_pass"].is_null() && trials[1]["greedy_pass"].is_f64());
    assert_eq!((trials[1]["model.latent_dim"].as_u64(), trials[1]["beta.high"].as_f64()), (Some(2), Some(f64::MAX)));

    let output = run(folder.path(), &["export", "runs", "--to", "tensorboard", "-o", "logs"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let events = fs::read(folder.path().join("logs/exp/good/events.out.tfevents.cvae")).unwrap();
    assert!(events.windows(11).any(|bytes| bytes == b"greedy_pass"));
    // A damaged trial is named, and the others are exported.
    fs::write(folder.path().join("runs/exp/good/history.csv"), "step\n1\n").unwrap();
    let output = run(folder.path(), &["export", "runs", "--to", "parquet", "-o", "out"]);
    assert!(
        errors(&output).contains("runs/exp/good is left out: ") && errors(&output).contains("1 trials, 0"),
        "{}",
        errors(&output)
    );
    let bytes = fs::read(folder.path().join("out/trials.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    assert!(TINY.contains("steps = 60"), "as the rows above say");
}
