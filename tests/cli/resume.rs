//! Runs that are killed or interrupted end as if they never were.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::common::{code, cvae, errors, folder, run};

const ARGUMENTS: [&str; 6] = ["train", "tiny.toml", "--set", "training.steps=200", "-o", "run"];

fn start(folder: &Path) -> Child {
    let mut command = cvae(folder, &ARGUMENTS);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

fn checkpoint(folder: &Path) -> Option<Vec<u8>> {
    fs::read(folder.join("run/checkpoint/checkpoint.safetensors")).ok()
}

/// Waits until the run has written so many checkpoints more; its exit status if it ends before.
fn wait_for_checkpoints(child: &mut Child, folder: &Path, count: usize) -> Option<ExitStatus> {
    let (mut last, mut seen) = (checkpoint(folder), 0);
    while seen < count {
        if let Some(status) = child.try_wait().expect("its state can be asked for") {
            return Some(status);
        }
        let now = checkpoint(folder);
        if now.is_some() && now != last {
            (last, seen) = (now, seen + 1);
        }
        sleep(Duration::from_millis(2));
    }
    None
}

/// What a run leaves, apart from its log and from how long it took.
fn results(folder: &Path) -> (Vec<u8>, Vec<String>, Vec<String>) {
    (
        fs::read(folder.join("run/model.safetensors")).unwrap(),
        untimed(folder, "history.csv"),
        untimed(folder, "metrics.csv"),
    )
}

/// A table of the run without the columns of times.
fn untimed(folder: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(folder.join("run").join(name)).unwrap();
    let timed: Vec<bool> = reader
        .headers()
        .unwrap()
        .iter()
        .map(|column| ["train_seconds", "dates_per_second"].contains(&column))
        .collect();
    assert!(timed.contains(&true), "a column of seconds");
    let row = |row: csv::StringRecord| {
        row.iter().zip(&timed).filter(|(_, timed)| !**timed).map(|(value, _)| value).collect::<Vec<_>>().join(",")
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn undisturbed() -> (Vec<u8>, Vec<String>, Vec<String>) {
    let folder = folder();
    let output = run(folder.path(), &ARGUMENTS);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    results(folder.path())
}

#[test]
fn a_run_killed_at_several_moments_ends_bit_for_bit_as_one_that_was_not() {
    let folder = folder();
    let mut kills = 0;
    // Kills at other distances from a checkpoint each time: before the first, right after one, later.
    for moment in 0..40 {
        let mut child = start(folder.path());
        if let Some(status) = wait_for_checkpoints(&mut child, folder.path(), moment % 4) {
            assert!(status.success());
            break;
        }
        sleep(Duration::from_millis(7 * moment as u64 % 50));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        kills += 1;
    }
    assert!(kills >= 5, "the run ended after {kills} kills; this test needs more of them");
    let output = run(folder.path(), &ARGUMENTS);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(results(folder.path()) == undisturbed());
    let left = fs::read_dir(folder.path().join("run")).unwrap();
    let left: Vec<_> = left.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.ends_with(".partial") && name != "checkpoint"), "{left:?}");
}

#[test]
fn ctrl_c_and_sigterm_stop_after_a_step_with_everything_kept() {
    let folder = folder();
    for signal in ["-INT", "-TERM"] {
        let mut child = start(folder.path());
        assert!(wait_for_checkpoints(&mut child, folder.path(), 2).is_none(), "it ended too soon");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
        assert!(checkpoint(folder.path()).is_some());
    }
    let log = fs::read_to_string(folder.path().join("run/log.txt")).unwrap();
    assert_eq!(log.matches("interrupted after step").count(), 2, "{log}");
    assert_eq!(code(&run(folder.path(), &ARGUMENTS)), 0);
    assert!(results(folder.path()) == undisturbed());
}

#[test]
fn a_run_stopped_in_its_evaluations_ends_bit_for_bit_as_one_that_was_not() {
    let folder = folder();
    let mut arguments = vec!["train", "tiny.toml", "-o", "run"];
    for set in ["training.checkpoint_every=1000000", "evaluation.samples=300", "evaluation.final_samples=300"] {
        arguments.extend(["--set", set]);
    }
    let mut stops = 0;
    for signal in ["-TERM", "-KILL", "-TERM", "-INT", "-KILL", "-TERM"] {
        let before = checkpoint(folder.path());
        let mut child =
            cvae(folder.path(), &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // A checkpoint that is another one says that an evaluation begins.
        while checkpoint(folder.path()) == before && child.try_wait().expect("its state").is_none() {
            sleep(Duration::from_millis(2));
        }
        sleep(Duration::from_millis(50));
        if child.try_wait().expect("its state").is_none() {
            stops += 1;
            assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill").success());
        }
        child.wait().expect("it ends");
    }
    assert!(stops >= 3, "only {stops} stops");
    let output = run(folder.path(), &arguments);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let stopped = results(folder.path());
    fs::remove_dir_all(folder.path().join("run")).unwrap();
    assert_eq!(code(&run(folder.path(), &arguments)), 0);
    assert!(stopped == results(folder.path()));
}

#[test]
fn a_run_with_another_optimizer_ends_bit_for_bit_as_one_that_was_not_stopped() {
    let average = ["training.optimizer=muon", "training.average=0.99"];
    let schedule_free = ["training.optimizer=schedule-free", "training.final_share=1"];
    let soap = ["training.optimizer=soap", "training.late_second_moment=0.99"];
    for sets in [average, schedule_free, soap] {
        let folder = folder();
        let arguments: Vec<&str> =
            ARGUMENTS.into_iter().chain(sets.into_iter().flat_map(|set| ["--set", set])).collect();
        let mut child = cvae(folder.path(), &arguments).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(wait_for_checkpoints(&mut child, folder.path(), 2).is_none(), "it ended too soon");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let trained = |folder: &Path| {
            let output = run(folder, &arguments);
            assert_eq!(code(&output), 0, "{}", errors(&output));
            results(folder)
        };
        let stopped = trained(folder.path());
        fs::remove_dir_all(folder.path().join("run")).unwrap();
        assert!(stopped == trained(folder.path()), "{sets:?}");
    }
}

#[test]
fn two_processes_never_share_a_run() {
    let folder = folder();
    let mut child = start(folder.path());
    assert!(wait_for_checkpoints(&mut child, folder.path(), 1).is_none(), "it ended too soon");
    let second = run(folder.path(), &ARGUMENTS);
    assert_eq!(code(&second), 75);
    assert!(errors(&second).contains("another process is running this trial"), "{}", errors(&second));
    assert!(child.wait().expect("it ends").success());
}
