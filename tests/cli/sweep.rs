//! `cvae sweep` and `cvae compare`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::common::{code, cvae, errors, folder, run, text};

const SWEEP: &str = "
base = \"tiny.toml\"
[sweep]
seeds = [1, 2]
product = { \"beta.value\" = [0.2, 0.6] }
";

fn sweep_folder() -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("grid.toml"), SWEEP).unwrap();
    folder
}

fn sweep(folder: &Path, options: &[&str]) -> Output {
    run(folder, &[&["sweep", "grid.toml"], options].concat())
}

/// What a sweep leaves: every file by its place, apart from logs, and less the columns of time,
/// which checksums depend on as well.
fn results(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut trials: Vec<_> =
        fs::read_dir(folder.join("runs/grid")).unwrap().map(|entry| entry.unwrap().path()).collect();
    trials.sort();
    for trial in trials.iter().filter(|path| path.is_dir()) {
        let mut names: Vec<_> = fs::read_dir(trial).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        for path in names.iter().filter(|path| !path.ends_with("log.txt")) {
            let content = fs::read(path).unwrap();
            let content = match path.extension().and_then(|extension| extension.to_str()) {
                Some("csv") => without_times(&String::from_utf8(content).unwrap()).into_bytes(),
                _ if path.ends_with("SHA256SUMS") => Vec::new(),
                _ => content,
            };
            files.push((path.strip_prefix(folder).unwrap().display().to_string(), content));
        }
    }
    let table = fs::read_to_string(folder.join("runs/grid/results.csv")).unwrap();
    files.push(("results.csv".to_owned(), without_times(&table).into_bytes()));
    files
}

fn without_times(text: &str) -> String {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let timed = |column: usize| ["train_seconds", "dates_per_second"].contains(&&records[0][column]);
    let row = |record: &csv::StringRecord| {
        let kept = record.iter().enumerate().filter(|(column, _)| !timed(*column)).map(|(_, value)| value);
        kept.collect::<Vec<_>>().join(",")
    };
    records.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn undisturbed() -> Vec<(String, Vec<u8>)> {
    let folder = sweep_folder();
    let output = sweep(folder.path(), &[]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    results(folder.path())
}

fn assert_same(left: &[(String, Vec<u8>)], right: &[(String, Vec<u8>)]) {
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(left), names(right));
    for ((name, left), (_, right)) in left.iter().zip(right) {
        assert!(left == right, "{name} differs");
    }
}

#[test]
fn a_sweep_runs_what_is_missing_and_repeats_nothing() {
    let folder = sweep_folder();
    let dry = sweep(folder.path(), &["--dry-run"]);
    assert!(
        text(&dry).contains("4 trials: 0 finished") && text(&dry).contains("ms as timed just now"),
        "{}",
        text(&dry)
    );
    assert!(!folder.path().join("runs").exists());
    assert_eq!(code(&sweep(folder.path(), &[])), 0);
    let table = fs::read_to_string(folder.path().join("runs/grid/results.csv")).unwrap();
    assert_eq!(table.lines().count(), 5);
    assert!(table.starts_with("trial,seed,"));
    let before = results(folder.path());
    let again = sweep(folder.path(), &[]);
    assert_eq!(code(&again), 0);
    assert!(!errors(&again).contains("finished  "), "{}", errors(&again));
    assert_same(&before, &results(folder.path()));

    // Another value adds its trials and leaves the others alone.
    fs::write(folder.path().join("grid.toml"), SWEEP.replace("[0.2, 0.6]", "[0.2, 0.6, 0.8]")).unwrap();
    let added = sweep(folder.path(), &[]);
    assert_eq!(errors(&added).matches("finished  value0.8-").count(), 2, "{}", errors(&added));
    assert_eq!(errors(&added).matches("finished  ").count(), 2);
    assert!(
        text(&sweep(folder.path(), &["--status"])).contains("6 trials: 6 finished, 0 running, 0 interrupted, 0 failed")
    );
}

#[test]
fn a_dry_run_lists_the_trials_at_once_and_trains_none() {
    let folder = folder();
    let grid = |varied: &str| {
        let grid = format!("base = \"tiny.toml\"\nthreads = 1\n[sweep]\n{varied}\n");
        fs::write(folder.path().join("grid.toml"), grid).unwrap();
        let began = std::time::Instant::now();
        let dry = sweep(folder.path(), &["--dry-run", "--jobs", "3"]);
        assert_eq!(code(&dry), 0, "{}", errors(&dry));
        (text(&dry), began.elapsed())
    };
    // What an evaluation would cost does not matter.
    let (said, took) = grid("set = { \"evaluation.importance\" = 100000, \"evaluation.samples\" = 100000 }");
    assert!(said.contains("1 trials: 0 finished") && said.contains("one after the other: 60 steps"), "{said}");
    assert!(took.as_secs() < 20, "{took:?}");
    let (said, _) = grid("seeds = [1, 2]");
    assert!(said.contains("2 at a time: 120 steps of "), "{said}");
    // The list comes also where no step can be timed.
    for (set, why) in [
        ("\"training.learning_rate\" = 10, \"training.gradient_clip\" = 1e9", "time unknown: the loss"),
        ("engine = \"torch\"", "time unknown: engine = \"torch\""),
    ] {
        let (said, _) = grid(&format!("seeds = [1, 2]\nset = {{ {set} }}"));
        assert!(
            said.contains("     1  missing") && said.contains("2 trials: 0 finished") && said.contains(why),
            "{said}"
        );
    }
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn a_failed_trial_is_shown_kept_and_not_tried_again_unasked() {
    let folder = folder();
    let grid = |rates: &str| {
        let text = format!(
            "base = \"tiny.toml\"\n[sweep]\nproduct = {{ \"training.learning_rate\" = {rates}, \"training.gradient_clip\" = [1e9] }}\n"
        );
        fs::write(folder.path().join("grid.toml"), text).unwrap();
    };
    grid("[10, 0.01]");
    let output = sweep(folder.path(), &["--jobs", "1"]);
    assert_eq!(code(&output), 1);
    let message = errors(&output);
    assert!(message.contains("FAILED    learning_rate10") && message.contains("at step "), "{message}");
    assert!(message.contains("1 finished, 0 running, 0 interrupted, 1 failed"), "{message}");
    let again = sweep(folder.path(), &[]);
    assert_eq!(code(&again), 1);
    assert!(!errors(&again).contains("FAILED"), "{}", errors(&again));
    let retried = sweep(folder.path(), &["--retry-failed"]);
    assert!(errors(&retried).contains("FAILED"), "{}", errors(&retried));

    grid("[9, 8, 7, 0.02]");
    let limited = sweep(folder.path(), &["--jobs", "1", "--max-failures", "2"]);
    assert_eq!(code(&limited), 1);
    assert_eq!(errors(&limited).matches("FAILED").count(), 2, "{}", errors(&limited));
    assert!(errors(&limited).contains("2 trials were not started after 2 failures"), "{}", errors(&limited));
}

#[test]
fn two_sweeps_share_a_folder_and_each_trial_is_run_once() {
    let folder = sweep_folder();
    let start = || {
        cvae(folder.path(), &["sweep", "grid.toml", "--jobs", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let (first, second) = (start(), start());
    let outputs = [first.wait_with_output().unwrap(), second.wait_with_output().unwrap()];
    assert!(outputs.iter().all(|output| code(output) == 0), "{} {}", errors(&outputs[0]), errors(&outputs[1]));
    assert_same(&results(folder.path()), &undisturbed());
    let trials = fs::read_dir(folder.path().join("runs/grid")).unwrap().map(|entry| entry.unwrap().path());
    for trial in trials.filter(|path| path.is_dir()) {
        let log = fs::read_to_string(trial.join("log.txt")).unwrap();
        assert_eq!(log.matches("started on").count(), 1, "{log}");
        assert_eq!(log.matches("finished").count(), 1, "{log}");
    }
}

/// Whether a process has got as far as to take signals, which a thread of its own does.
fn takes_signals(process: u32) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return false };
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    tasks.flatten().any(|task| name(task).trim() == "ctrl-c")
}

#[test]
fn a_sweep_killed_or_interrupted_ends_as_if_it_was_not() {
    let folder = sweep_folder();
    for (round, signal) in ["-KILL", "-TERM", "-KILL", "-INT", "-KILL"].iter().enumerate() {
        let mut child =
            cvae(folder.path(), &["sweep", "grid.toml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !takes_signals(child.id()) && child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(170 * round as u64));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        assert!(Command::new("kill").args([*signal, &child.id().to_string()]).status().unwrap().success());
        let status = child.wait().unwrap();
        // 0 where it had ended by itself in the meantime.
        assert!(*signal == "-KILL" || [Some(130), Some(0)].contains(&status.code()), "{signal}: {status}");
    }
    let output = sweep(folder.path(), &[]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert_same(&results(folder.path()), &undisturbed());
}

#[test]
fn ctrl_c_in_a_terminal_lets_every_trial_keep_its_steps() {
    use std::os::unix::process::CommandExt;
    let folder = sweep_folder();
    // No checkpoint by itself: only a trial that stops cleanly leaves one.
    let options = ["sweep", "grid.toml", "--set", "training.checkpoint_every=100000", "--set", "training.steps=3000"];
    let mut command = cvae(folder.path(), &options);
    let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let logs = || {
        let trials = fs::read_dir(folder.path().join("runs/grid")).ok()?.filter_map(Result::ok);
        Some(trials.filter_map(|trial| fs::read_to_string(trial.path().join("log.txt")).ok()).collect::<Vec<_>>())
    };
    // Trials under way have begun to evaluate.
    while logs().is_none_or(|logs| logs.iter().filter(|log| log.contains("step 20:")).count() < 1) {
        assert!(child.try_wait().unwrap().is_none(), "the sweep ended too soon");
        sleep(Duration::from_millis(20));
    }
    // A terminal sends the signal to the whole process group.
    assert!(Command::new("kill").args(["-INT", "--", &format!("-{}", child.id())]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let logs = logs().unwrap();
    assert!(!logs.is_empty() && logs.iter().all(|log| log.contains("interrupted after step")), "{logs:?}");
}

#[test]
fn a_sweep_that_is_told_to_stop_ends_with_130_and_goes_on_from_there() {
    let folder = sweep_folder();
    let long = ["sweep", "grid.toml", "--jobs", "2", "--set", "training.steps=1000000"];
    let logs = || {
        let trials = fs::read_dir(folder.path().join("runs/grid")).ok()?.filter_map(Result::ok);
        Some(trials.filter_map(|trial| fs::read_to_string(trial.path().join("log.txt")).ok()).collect::<String>())
    };
    for (signal, taken_up) in [("-TERM", "started on"), ("-INT", "resumed after step")] {
        let mut child = cvae(folder.path(), &long).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // Both trials are under way.
        while logs().is_none_or(|log| log.matches(taken_up).count() < 2) {
            assert!(child.try_wait().unwrap().is_none(), "the sweep ended too soon");
            sleep(Duration::from_millis(5));
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 130, "{signal}: {}", errors(&output));
        assert!(errors(&output).contains("interrupted; the same command goes on from there"), "{}", errors(&output));
    }
    assert_eq!(logs().unwrap().matches("interrupted after step").count(), 4);
}

#[test]
fn an_override_of_a_key_that_the_sweep_varies_is_refused() {
    let folder = sweep_folder();
    let refused = sweep(folder.path(), &["--set", "seed=7"]);
    assert_eq!(code(&refused), 2);
    assert!(errors(&refused).contains("seed is varied by the sweep at grid.toml:4:"), "{}", errors(&refused));
    assert!(!folder.path().join("runs").exists());
    // Without its sweep the config is one run, whose seed may be chosen.
    assert_eq!(code(&run(folder.path(), &["train", "grid.toml", "--set", "seed=7", "--print-folder"])), 0);
}

#[test]
fn a_folder_whose_config_was_changed_is_not_trained_under_its_old_name() {
    let folder = sweep_folder();
    assert_eq!(code(&sweep(folder.path(), &[])), 0);
    let trials = fs::read_dir(folder.path().join("runs/grid")).unwrap().map(|entry| entry.unwrap().path());
    let trial = trials.filter(|path| path.is_dir()).min().unwrap();
    let config = fs::read_to_string(trial.join("config.toml")).unwrap();
    fs::write(trial.join("config.toml"), config.replace("seed = 1", "seed = 5")).unwrap();
    let refused = sweep(folder.path(), &[]);
    assert_eq!(code(&refused), 1);
    assert!(errors(&refused).contains("config.toml is damaged or was edited"), "{}", errors(&refused));
    fs::remove_file(trial.join("SHA256SUMS")).unwrap();
    let refused = sweep(folder.path(), &[]);
    assert_eq!(code(&refused), 1);
    assert!(errors(&refused).contains("holds a trial of another config"), "{}", errors(&refused));
    fs::remove_file(trial.join("metrics.csv")).unwrap();
    let refused = sweep(folder.path(), &[]);
    assert_eq!(code(&refused), 1);
    assert!(errors(&refused).contains("FAILED") && errors(&refused).contains("another config"), "{}", errors(&refused));
    assert!(fs::read_to_string(trial.join("error.txt")).unwrap().contains("another config"));
}

#[test]
fn a_trial_can_be_run_by_its_index() {
    let folder = sweep_folder();
    for index in ["0", "1", "2", "3"] {
        let output = sweep(folder.path(), &["--index", index]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
    }
    assert_eq!(code(&sweep(folder.path(), &["--index", "4"])), 2);
    assert_eq!(code(&sweep(folder.path(), &[])), 0);
    assert_same(&results(folder.path()), &undisturbed());
}

#[test]
fn a_mode_of_locks_that_is_none_is_refused() {
    let folder = sweep_folder();
    let refused = cvae(folder.path(), &["sweep", "grid.toml"]).env("CVAE_LOCKS", "of").output().unwrap();
    assert_eq!(code(&refused), 2);
    assert!(
        errors(&refused).contains("CVAE_LOCKS") && errors(&refused).contains("set it to off"),
        "{}",
        errors(&refused)
    );
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn configs_that_make_no_sweep_are_refused_before_anything_runs() {
    let folder = folder();
    for (wrong, place) in [
        ("[sweep]\nproduct = { \"beta.value\" = [] }", "grid.toml:2:28: an empty list"),
        ("[sweep]\nproduct = { \"beta.valu\" = [1] }", "grid.toml:2:28: unknown field `valu`"),
        ("[sweep]\nseeds = [1, 1]", "grid.toml:2:13: seed=1 stands twice"),
        ("[sweep]\nproduct = { \"training.steps\" = [1000, 0] }", "grid.toml:2:39: training.steps: 0 is not"),
        ("base = \"none.toml\"", "none.toml"),
    ] {
        fs::write(folder.path().join("grid.toml"), wrong).unwrap();
        let output = sweep(folder.path(), &[]);
        assert_eq!(code(&output), 2, "{wrong}: {}", errors(&output));
        assert!(errors(&output).contains(place), "{wrong}: {}", errors(&output));
        assert!(!folder.path().join("runs").exists());
    }
}

#[test]
fn compare_joins_seeds_sorts_and_adds_references() {
    let folder = sweep_folder();
    assert_eq!(code(&sweep(folder.path(), &[])), 0);
    let compare = |options: &[&str]| {
        let output = run(folder.path(), &[&["compare", "runs/grid"], options].concat());
        assert_eq!(code(&output), 0, "{}", errors(&output));
        text(&output)
    };
    let table = compare(&["--markdown", "--references", "--sort", "test-elbo"]);
    let names: Vec<&str> = table.lines().skip(2).map(|line| line.split('|').nth(1).unwrap().trim()).collect();
    assert_eq!(names.len(), 5, "{table}");
    assert!(
        names[..2].contains(&"value0.2")
            && names[..2].contains(&"value0.6")
            && names[4] == "(perfect sampler: random valid dates)"
    );
    assert!(table.contains(" ± "), "{table}");
    assert_eq!(compare(&["--markdown", "--each"]).lines().count(), 2 + 4);
    assert_eq!(compare(&["--csv"]).lines().count(), 1 + 4);
    assert_eq!(code(&run(folder.path(), &["compare", "."])), 0);
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert_eq!(code(&run(folder.path(), &["compare", "empty"])), 2);
}
