//! Signals: what a run, a sweep and its trials do when they are told to stop, to pause, or to ignore it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{code, cvae, errors, folder, run, text};

const LONG: [&str; 4] = ["--set", "training.steps=1000000", "--set", "evaluation.every=1000000"];

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn send(signal: &str, process: u32) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}

/// Waits until this holds, a minute at most.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        sleep(Duration::from_millis(10));
    }
}

fn checkpoint(trial: &Path) -> PathBuf {
    trial.join("checkpoint/checkpoint.safetensors")
}

fn log(trial: &Path) -> String {
    fs::read_to_string(trial.join("log.txt")).unwrap_or_default()
}

/// The trials of a sweep, as their folders are there.
fn trials(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("runs/grid")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut trials: Vec<_> = entries.filter(|path| path.join("log.txt").exists()).collect();
    trials.sort();
    trials
}

/// A sweep of so many seeds that does not end by itself, with a checkpoint in each trial.
fn long_sweep(folder: &Path, seeds: &str) -> Command {
    fs::write(folder.join("grid.toml"), format!("base = \"tiny.toml\"\n[sweep]\nseeds = {seeds}\n")).unwrap();
    cvae(folder, &[&["sweep", "grid.toml", "--jobs", "2"], &LONG[..]].concat())
}

fn children(process: u32) -> Vec<u32> {
    // A child is listed under the thread that started it.
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let listed: String = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok()).collect();
    listed.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// The letter that the system has for a process's state: T where it is paused.
fn state(process: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).unwrap_or('?')
}

#[test]
fn a_run_stops_within_a_second_in_every_evaluation_and_loses_no_step() {
    let folder = folder();
    // Evaluations of hours; the only checkpoints are those before them.
    let sets = ["training.checkpoint_every=1000000", "evaluation.samples=1000000", "evaluation.final_samples=1000000"];
    for (name, steps, every) in [("middle", "1000", "20"), ("last", "30", "30")] {
        let (steps, evaluated) = (format!("training.steps={steps}"), format!("evaluation.every={every}"));
        let mut arguments = vec!["train", "tiny.toml", "-o", name, "--set", &steps, "--set", &evaluated];
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        let trial = folder.path().join(name);
        let resumed = format!("resumed after step {every}");
        for (signal, round) in [("-TERM", "started"), ("-INT", &resumed)] {
            let mut child = start(&mut cvae(folder.path(), &arguments));
            wait_for("a checkpoint before the evaluation", || {
                assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
                checkpoint(&trial).exists() && log(&trial).contains(round)
            });
            sleep(Duration::from_millis(700));
            let told = Instant::now();
            send(signal, child.id());
            let output = child.wait_with_output().unwrap();
            let took = told.elapsed();
            assert_eq!(code(&output), 130, "{name}: {}", errors(&output));
            assert!(errors(&output).contains("stopping"), "{}", errors(&output));
            // A busy machine needs some time of its own.
            assert!(took < Duration::from_secs(3), "{name} {signal}: {took:?}");
        }
        let stops = log(&trial).matches(&format!("interrupted after step {every}")).count();
        assert_eq!(stops, 2, "{}", log(&trial));
    }
}

#[test]
fn every_signal_that_asks_for_an_end_stops_a_run_with_a_checkpoint() {
    let folder = folder();
    for signal in ["-HUP", "-USR1", "-XCPU", "-XFSZ"] {
        let name = &signal[1..];
        let arguments = [&["train", "tiny.toml", "-o", name, "--set", "training.checkpoint_every=1000000"], &LONG[..]];
        let mut child = start(&mut cvae(folder.path(), &arguments.concat()));
        wait_for("a start", || {
            assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
            log(&folder.path().join(name)).contains("started")
        });
        send(signal, child.id());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal}: {:?} {}", output.status, errors(&output));
        assert!(checkpoint(&folder.path().join(name)).exists(), "{signal}");
    }
}

#[test]
fn signals_that_are_ignored_from_the_start_stay_ignored() {
    let folder = folder();
    for (ignored, name) in [("HUP", "a"), ("INT", "b"), ("USR1", "c")] {
        let script = format!("trap '' {ignored}; exec \"$0\" train tiny.toml -o {name} \"$@\"");
        let mut command = Command::new("sh");
        command.current_dir(folder.path()).args(["-c", &script, env!("CARGO_BIN_EXE_cvae")]).args(LONG);
        let mut child = start(&mut command);
        let trial = folder.path().join(name);
        wait_for("a checkpoint", || checkpoint(&trial).exists());
        send(&format!("-{ignored}"), child.id());
        sleep(Duration::from_millis(500));
        assert!(child.try_wait().unwrap().is_none(), "SIG{ignored} was to be ignored");
        send("-TERM", child.id());
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
    // And so they do in the trials of a sweep.
    fs::write(folder.path().join("grid.toml"), "base = \"tiny.toml\"\n[sweep]\nseeds = [1]\n").unwrap();
    let mut command = Command::new("sh");
    let script = "trap '' HUP; exec \"$0\" sweep grid.toml \"$@\"";
    command.current_dir(folder.path()).args(["-c", script, env!("CARGO_BIN_EXE_cvae")]).args(LONG);
    let mut child = start(&mut command);
    wait_for("a checkpoint", || trials(folder.path()).iter().any(|trial| checkpoint(trial).exists()));
    let trial = children(child.id())[0];
    send("-HUP", trial);
    send("-HUP", child.id());
    sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none() && state(trial) != '?');
    send("-TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(log(&trials(folder.path())[0]).contains("interrupted after step"));
}

#[test]
fn a_trial_that_is_told_to_stop_counts_as_interrupted_and_is_taken_up() {
    let folder = folder();
    for signal in ["-TERM", "-USR1"] {
        let child = start(&mut long_sweep(folder.path(), "[1]"));
        let resumed = if signal == "-TERM" { "started on" } else { "resumed after" };
        wait_for("a trial", || trials(folder.path()).iter().any(|trial| log(trial).contains(resumed)));
        wait_for("a process", || !children(child.id()).is_empty());
        sleep(Duration::from_millis(300));
        send(signal, children(child.id())[0]);
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 130, "{}", errors(&output));
        let said = errors(&output);
        assert!(
            said.contains("stopped   ")
                && said.contains("steps1000000-")
                && said.contains("the same command takes them up"),
            "{said}"
        );
        assert!(said.contains("1 interrupted, 0 failed"), "{said}");
        let trial = &trials(folder.path())[0];
        assert!(!trial.join("error.txt").exists() && checkpoint(trial).exists());
    }
}

#[test]
fn a_signal_to_all_processes_of_a_sweep_loses_no_checkpoint() {
    let folder = folder();
    // No checkpoint but that of a trial that stops cleanly.
    let mut command = long_sweep(folder.path(), "[1, 2]");
    let mut child = start(command.args(["--set", "training.checkpoint_every=1000000"]));
    wait_for("two trials", || {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        trials(folder.path()).iter().filter(|trial| log(trial).contains("started")).count() == 2
    });
    sleep(Duration::from_millis(300));
    let trials_processes = children(child.id());
    assert_eq!(trials_processes.len(), 2);
    for process in trials_processes.into_iter().chain([child.id()]) {
        send("-TERM", process);
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    for trial in trials(folder.path()) {
        assert!(log(&trial).contains("interrupted after step"), "{}", log(&trial));
        assert!(checkpoint(&trial).exists());
    }
}

#[test]
fn a_sweep_that_is_paused_pauses_its_trials_and_goes_on_with_them() {
    let folder = folder();
    let mut child = start(&mut long_sweep(folder.path(), "[1, 2]"));
    let checkpoints = || trials(folder.path()).iter().filter(|trial| checkpoint(trial).exists()).count();
    wait_for("two trials", || checkpoints() == 2);
    let processes: Vec<u32> = children(child.id()).into_iter().chain([child.id()]).collect();
    assert_eq!(processes.len(), 3);
    for _ in 0..2 {
        send("-TSTP", child.id());
        wait_for("all paused", || processes.iter().all(|process| state(*process) == 'T'));
        send("-CONT", child.id());
        wait_for("all going on", || processes.iter().all(|process| state(*process) != 'T'));
    }
    let written = || fs::metadata(checkpoint(&trials(folder.path())[0])).and_then(|file| file.modified()).ok();
    let before = written();
    wait_for("steps after the pause", || written() != before);
    send("-TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn one_signal_sent_twice_at_once_is_one() {
    let folder = folder();
    let arguments = [&["train", "tiny.toml", "-o", "run", "--set", "training.checkpoint_every=1000000"], &LONG[..]];
    let child = start(&mut cvae(folder.path(), &arguments.concat()));
    wait_for("a start", || log(&folder.path().join("run")).contains("started"));
    // As `timeout` does: to the process, and to its group.
    let process = child.id().to_string();
    let sent = Command::new("sh").args(["-c", "kill -TERM $0; sleep 0.01; kill -TERM $0", &process]).status();
    assert!(sent.is_ok());
    assert_eq!(code(&child.wait_with_output().unwrap()), 130);
    assert!(log(&folder.path().join("run")).contains("interrupted after step"));
}

#[test]
fn a_limit_on_file_size_is_named_with_its_remedy() {
    let folder = folder();
    fs::write(folder.path().join("in.txt"), "[MON] [DEC] [False] [196]").unwrap();
    let model = crate::common::model();
    let script = "ulimit -f 1; \"$0\" predict -i in.txt out.txt -n 100000 --model \"$1\"";
    let output = Command::new("bash")
        .current_dir(folder.path())
        .args(["-c", script, env!("CARGO_BIN_EXE_cvae"), model.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(code(&output), 1, "{}", errors(&output));
    assert!(errors(&output).contains("out.txt") && errors(&output).contains("ulimit -f"), "{}", errors(&output));
    assert!(!folder.path().join("out.txt").exists());
    let bad = cvae(folder.path(), &["predict", "-i", "-", "-"])
        .env("TMPDIR", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(code(&bad), 1);
    assert!(errors(&bad).contains("/nonexistent") && errors(&bad).contains("set TMPDIR"), "{}", errors(&bad));
    assert_eq!(text(&run(folder.path(), &["eval", "none.txt"])), "");
}
