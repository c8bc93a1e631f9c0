//! Damaged files are noticed and named, and never loaded.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{code, errors, folder, model, run, text};

/// A copy of a finished trial that may be damaged.
fn copy(folder: &Path) -> PathBuf {
    let trial = folder.join("trial");
    fs::create_dir(&trial).unwrap();
    for file in fs::read_dir(model()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), trial.join(file.file_name())).unwrap();
    }
    trial
}

/// A flipped bit, a cut, two swapped parts, and another file in its place.
fn damages(whole: &[u8]) -> Vec<Vec<u8>> {
    let (mut flipped, mut swapped) = (whole.to_vec(), whole.to_vec());
    flipped[whole.len() / 2] ^= 1;
    let quarter = whole.len() / 4;
    swapped[quarter..3 * quarter].rotate_left(quarter);
    vec![flipped, whole[..whole.len() / 2].to_vec(), swapped, b"another file".to_vec(), Vec::new()]
}

#[test]
fn a_finished_trial_is_read_whole_or_not_at_all() {
    let folder = folder();
    let trial = copy(folder.path());
    fs::write(folder.path().join("conditions.txt"), "[MON] [DEC] [False] [196]").unwrap();
    let predict = ["predict", "-i", "conditions.txt", "-", "--model", "trial"];
    let plot = ["plot", "--logs", "trial"];
    let commands: [(&str, &[&str]); 8] = [
        ("metrics.csv", &["compare", "trial"]),
        ("metrics.csv", &plot),
        ("history.csv", &plot),
        ("config.toml", &plot),
        ("config.toml", &["compare", "trial"]),
        ("metrics.csv", &["train", "tiny.toml", "-o", "trial"]),
        ("config.toml", &predict),
        ("model.safetensors", &predict),
    ];
    for (name, command) in commands {
        let path = trial.join(name);
        let whole = fs::read(&path).unwrap();
        let sound = run(folder.path(), command);
        assert_eq!(code(&sound), 0, "{}", errors(&sound));
        for damaged in damages(&whole) {
            fs::write(&path, damaged).unwrap();
            let refused = run(folder.path(), command);
            assert!([1, 2].contains(&code(&refused)), "{command:?} took a damaged {name}");
            assert_eq!(text(&refused), "", "{command:?} with a damaged {name}");
            let message = errors(&refused);
            assert!(message.contains(name) && message.contains("damaged"), "{command:?}: {message}");
        }
        fs::write(&path, whole).unwrap();
    }
}

/// The command that reads a file of a finished trial.
fn reader(name: &str) -> &'static [&'static str] {
    match name {
        "history.csv" => &["plot", "--logs", "trial"],
        "model.safetensors" => &["predict", "-i", "conditions.txt", "-", "--model", "trial"],
        _ => &["compare", "trial"],
    }
}

const FILES: [&str; 4] = ["config.toml", "history.csv", "model.safetensors", "metrics.csv"];

#[test]
fn damaged_checksums_are_noticed() {
    let folder = folder();
    let trial = copy(folder.path());
    fs::write(folder.path().join("conditions.txt"), "[MON] [DEC] [False] [196]").unwrap();
    let sums = trial.join("SHA256SUMS");
    let whole = fs::read_to_string(&sums).unwrap();
    let refuses = |content: &str, name: &str, words: &str| {
        fs::write(&sums, content).unwrap();
        let refused = run(folder.path(), reader(name));
        assert!([1, 2].contains(&code(&refused)), "{name} was read with {content:?}");
        assert!(errors(&refused).contains(words), "{name} with {content:?}: {}", errors(&refused));
        assert_eq!(text(&refused), "", "{name}");
    };
    for name in FILES {
        assert_eq!(code(&run(folder.path(), reader(name))), 0, "{name}");
        // Its line lost, its digest another one, the whole file empty, cut, or another one.
        let lines = || whole.split_inclusive('\n');
        let others: String = lines().filter(|line| !line.contains(name)).collect();
        assert_eq!(others.lines().count(), 3);
        refuses(&others, name, &format!("{name} has no checksum in SHA256SUMS"));
        let flipped: String = lines()
            .map(|line| match line.contains(name) {
                true => format!("{}{}", if line.starts_with('0') { '1' } else { '0' }, &line[1..]),
                false => line.to_owned(),
            })
            .collect();
        refuses(&flipped, name, &format!("{name} is damaged or was edited"));
        refuses("", name, "has no checksum in SHA256SUMS");
        refuses(&whole[..whole.len() / 2 + 9], name, "SHA256SUMS");
        refuses("another file", name, "SHA256SUMS:1: no line of sha256sum");
        fs::write(&sums, &whole).unwrap();
    }
}

#[test]
fn a_sound_file_of_another_trial_is_not_taken_for_this_ones() {
    let folder = folder();
    let trial = copy(folder.path());
    fs::write(folder.path().join("conditions.txt"), "[MON] [DEC] [False] [196]").unwrap();
    let other = run(folder.path(), &["train", "tiny.toml", "-o", "other", "--set", "seed=8"]);
    assert_eq!(code(&other), 0, "{}", errors(&other));
    for name in FILES {
        let whole = fs::read(trial.join(name)).unwrap();
        fs::copy(folder.path().join("other").join(name), trial.join(name)).unwrap();
        let refused = run(folder.path(), reader(name));
        assert!([1, 2].contains(&code(&refused)), "{name}");
        assert!(errors(&refused).contains(&format!("{name} is damaged or was edited")), "{}", errors(&refused));
        fs::write(trial.join(name), whole).unwrap();
    }
}

#[test]
fn a_table_of_results_that_says_otherwise_than_its_trials_is_refused() {
    let folder = folder();
    fs::write(folder.path().join("one.toml"), "base = \"tiny.toml\"\n[sweep]\nseeds = [1]\n").unwrap();
    assert_eq!(code(&run(folder.path(), &["sweep", "one.toml"])), 0);
    let results = folder.path().join("runs/one/results.csv");
    let plot = || run(folder.path(), &["plot", "--logs", "runs/one"]);
    assert_eq!(code(&plot()), 0, "{}", errors(&plot()));
    let whole = fs::read_to_string(&results).unwrap();
    let (header, row) = whole.trim_end().split_once('\n').unwrap();
    let place = |name: &str| header.split(',').position(|column| column == name).unwrap();
    for column in ["greedy_pass", "model.latent_dim", "test_elbo"] {
        let mut cells: Vec<&str> = row.split(',').collect();
        cells[place(column)] = "0.5";
        fs::write(&results, format!("{header}\n{}\n", cells.join(","))).unwrap();
        let refused = plot();
        assert_eq!(code(&refused), 1, "{column}");
        let message = errors(&refused);
        assert!(
            message.contains("results.csv") && message.contains(&format!("{column:?} of latent_dim2-")),
            "{message}"
        );
    }
    // The way out that the message names.
    let rebuilt = run(folder.path(), &["compare", "runs/one", "--csv"]);
    assert_eq!(text(&rebuilt), whole);
    fs::remove_file(&results).unwrap();
    assert_eq!(code(&plot()), 0);
}

#[test]
fn figures_that_no_run_could_come_to_are_named_and_not_drawn() {
    let folder = folder();
    let trial = copy(folder.path());
    fs::remove_file(trial.join("SHA256SUMS")).unwrap();
    let whole = fs::read_to_string(trial.join("history.csv")).unwrap();
    let (header, rows) = whole.split_once('\n').unwrap();
    let with = |column: &str, value: &str| {
        let place = header.split(',').position(|name| name == column).unwrap();
        let (first, others) = rows.split_once('\n').unwrap();
        let mut cells: Vec<&str> = first.split(',').collect();
        cells[place] = value;
        fs::write(trial.join("history.csv"), format!("{header}\n{}\n{others}", cells.join(","))).unwrap();
        run(folder.path(), &["plot", "--logs", "trial"])
    };
    for (column, value) in [("greedy_pass", "-1e308"), ("invalid_mass", "-1e7"), ("test_kl", "-1e308")] {
        let refused = with(column, value);
        assert_eq!(code(&refused), 1, "{column}: {}", errors(&refused));
        let message = errors(&refused);
        assert!(message.contains("history.csv, row 1, column") && message.contains(column), "{message}");
    }
    // A loss may grow beyond all bounds; one that does is no reason to draw nothing.
    for value in ["1e308", "inf", "NaN"] {
        let drawn = with("test_loss", value);
        assert_eq!(code(&drawn), 0, "{value}: {}", errors(&drawn));
    }
}

#[test]
fn weights_that_do_not_fit_their_config_are_refused_with_both_shapes() {
    let folder = folder();
    let trial = copy(folder.path());
    let config = fs::read_to_string(trial.join("config.toml")).unwrap().replace("latent_dim = 2", "latent_dim = 3");
    fs::write(trial.join("config.toml"), config).unwrap();
    fs::remove_file(trial.join("SHA256SUMS")).unwrap();
    let refused = run(folder.path(), &["inspect", "[MON] [DEC] [False] [196]", "--model", "trial"]);
    assert_eq!(code(&refused), 1);
    let message = errors(&refused);
    assert!(message.contains(", 2], the config asks for [") && message.contains(", 3]"), "{message}");
}

#[test]
fn a_trial_without_checksums_is_refused_with_the_way_to_make_them() {
    let folder = folder();
    let trial = copy(folder.path());
    let sums = fs::read_to_string(trial.join("SHA256SUMS")).unwrap();
    assert!(sums.lines().count() == 4 && sums.ends_with("  metrics.csv\n"), "{sums}");
    fs::remove_file(trial.join("SHA256SUMS")).unwrap();
    let refused = run(folder.path(), &["compare", "trial"]);
    assert_eq!(code(&refused), 1);
    let message = errors(&refused);
    let (_, way) = message.trim().rsplit_once("run in its folder: ").expect("the message says what to run");
    let done = std::process::Command::new("sh").args(["-c", way]).current_dir(&trial).status().unwrap();
    assert!(done.success());
    assert_eq!(code(&run(folder.path(), &["compare", "trial"])), 0);
}

#[test]
fn a_damaged_checkpoint_or_history_is_not_taken_up() {
    let folder = folder();
    let train = ["train", "tiny.toml", "-o", "run", "--set", "evaluation.every=10", "--set", "training.steps=1000000"];
    let mut child = crate::common::cvae(folder.path(), &train)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let run_folder = folder.path().join("run");
    let checkpoint = run_folder.join("checkpoint/checkpoint.safetensors");
    let history = run_folder.join("history.csv");
    // Two evaluations, and the checkpoint after them.
    let rows = || fs::read_to_string(&history).unwrap_or_default().lines().count();
    while rows() < 4 || !checkpoint.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended too soon");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for (path, name) in [(&checkpoint, "checkpoint.safetensors"), (&history, "history.csv")] {
        let whole = fs::read(path).unwrap();
        for damaged in damages(&whole) {
            fs::write(path, damaged).unwrap();
            let refused = run(folder.path(), &train);
            assert_eq!(code(&refused), 1, "{}", errors(&refused));
            let message = errors(&refused);
            assert!(message.contains(name) && message.contains("damaged"), "{message}");
        }
        fs::write(path, whole).unwrap();
    }
}

#[test]
fn a_checkpoint_of_another_run_is_not_taken_up() {
    let folder = folder();
    let start = |output: &str, seed: &str| {
        let train = ["train", "tiny.toml", "-o", output, "--set", seed, "--set", "training.steps=1000000"];
        let mut child = crate::common::cvae(folder.path(), &train)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let checkpoint = folder.path().join(output).join("checkpoint/checkpoint.safetensors");
        while !checkpoint.exists() {
            assert!(child.try_wait().unwrap().is_none(), "the run ended too soon");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        checkpoint
    };
    let (one, other) = (start("one", "seed=1"), start("other", "seed=2"));
    fs::copy(one, other).unwrap();
    let refused = run(
        folder.path(),
        &["train", "tiny.toml", "-o", "other", "--set", "seed=2", "--set", "training.steps=1000000"],
    );
    assert_eq!(code(&refused), 1);
    assert!(errors(&refused).contains("it is of another run or version"), "{}", errors(&refused));
}
