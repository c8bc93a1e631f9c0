//! Trials that go on from finished ones.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{code, errors, folder, run, text};

/// The steps and phases of a trial's history.
fn history(trial: &Path) -> Vec<(u64, String)> {
    let mut reader = csv::Reader::from_path(trial.join("history.csv")).unwrap();
    let rows = reader.records().map(|row| row.unwrap());
    rows.map(|row| (row[0].parse().unwrap(), row[2].to_owned())).collect()
}

/// A folder with a finished trial of tiny.toml in `first`.
fn first(sets: &[&str]) -> tempfile::TempDir {
    let folder = folder();
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let arguments: Vec<&str> = ["train", "tiny.toml", "-o", "first"].into_iter().chain(sets).collect();
    let output = run(folder.path(), &arguments);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    folder
}

/// The released model.
fn release() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/model")
}

const MORE: [&str; 6] = ["train", "tiny.toml", "--from", "first", "--set", "training.steps=100"];

#[test]
fn a_finished_trial_goes_on_with_more_steps_as_another_one() {
    let folder = first(&[]);
    let path = PathBuf::from(text(&run(folder.path(), &[&MORE[..], &["--print-folder"]].concat())).trim());
    let trial = folder.path().join(&path);
    assert!(!trial.exists(), "nothing is made yet");
    let output = run(folder.path(), &MORE);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let told = errors(&output);
    assert!(told.contains("goes on from first after step 60; Adam's moments begin at 0"), "{told}");
    let steps: Vec<u64> = history(&trial).into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, [80, 100]);
    let shown = text(&run(folder.path(), &["runs", "show", path.to_str().unwrap()]));
    assert!(shown.contains("came from   first after step 60, "), "{shown}");
    // Its name, its config and its log say where it came from.
    let config = fs::read_to_string(trial.join("config.toml")).unwrap();
    let hash = config.lines().find_map(|line| line.strip_prefix("from = \"")?.strip_suffix('"')).unwrap().to_owned();
    assert!(path.file_name().unwrap().to_string_lossy().starts_with(&format!("from{hash}-")), "{}", path.display());
    let log = fs::read_to_string(trial.join("log.txt")).unwrap();
    assert!(log.contains("goes on from first after step 60") && log.contains("resumed after step 60"), "{log}");
    // Done again, nothing is left to do; it can be compared, and gone on from itself.
    let again = run(folder.path(), &MORE);
    assert!(code(&again) == 0 && errors(&again).contains("finished earlier"), "{}", errors(&again));
    assert_eq!(code(&run(folder.path(), &["compare", "first", path.to_str().unwrap()])), 0);
    let third = ["train", "tiny.toml", "--from", path.to_str().unwrap(), "--set", "training.steps=120", "-o", "third"];
    let output = run(folder.path(), &third);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert_eq!(history(&folder.path().join("third")), [(120, history(&trial)[1].1.clone())]);
}

#[test]
fn moments_are_taken_over_where_the_checkpoint_was_kept() {
    let (kept, gone) = (first(&["training.keep_checkpoint=true"]), first(&[]));
    assert!(kept.path().join("first/checkpoint/checkpoint.safetensors").exists());
    assert!(!gone.path().join("first/checkpoint").exists());
    let weights = |folder: &Path, name: &str| fs::read(folder.join(name).join("model.safetensors")).unwrap();
    assert_eq!(weights(kept.path(), "first"), weights(gone.path(), "first"));
    for folder in [kept.path(), gone.path()] {
        let output = run(folder, &[&MORE[..], &["-o", "second"]].concat());
        assert_eq!(code(&output), 0, "{}", errors(&output));
        let told = if folder == kept.path() { "Adam's moments with it" } else { "begin at 0" };
        assert!(errors(&output).contains(told), "{}", errors(&output));
    }
    assert_ne!(weights(kept.path(), "second"), weights(gone.path(), "second"));
}

#[test]
fn what_does_not_fit_is_said_before_anything_is_made() {
    let folder = first(&[]);
    let refused = |sets: &[&str], words: &[&str]| {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> =
            ["train", "tiny.toml", "--from", "first", "-o", "second"].into_iter().chain(sets).collect();
        let output = run(folder.path(), &arguments);
        assert_eq!(code(&output), 2, "{}", errors(&output));
        words.iter().for_each(|word| assert!(errors(&output).contains(word), "{word}: {}", errors(&output)));
        assert!(!folder.path().join("second").exists());
    };
    refused(&[], &["tiny.toml: training.steps: ", "has done 60, and is 60", "--set training.steps=90"]);
    refused(&["training.steps=90", "model.latent_dim=3"], &["model.latent_dim: it is 3, and 2 in first"]);
    refused(&["training.steps=90", "data.seed=3"], &["data.seed: it is 3, and 1 in first"]);
    let linear = ["training.steps=90", "beta.schedule=linear", "beta.rise=90", "beta.low=0"];
    refused(&linear, &["beta.schedule: at step 60 of 90", "and first ended with", "beta.schedule=constant"]);
    // One that is at work, or was interrupted, is no finished one.
    fs::remove_file(folder.path().join("first/metrics.csv")).unwrap();
    let output = run(folder.path(), &MORE);
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("first is not a finished trial"), "{}", errors(&output));
    for (place, words) in
        [("nowhere", "nowhere is not the folder of a trial"), (release(), "is a release, which has no")]
    {
        let output = run(folder.path(), &["train", "tiny.toml", "--from", place, "--set", "training.steps=90"]);
        assert_eq!(code(&output), 2);
        assert!(errors(&output).contains(words), "{}", errors(&output));
    }
    // A config that names a trial is not begun without it.
    let output = run(folder.path(), &["train", "tiny.toml", "--set", "from=\"0a1b2c3d4e5f\"", "-o", "alone"]);
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("ends in 0a1b2c3d4e5f, and has not begun"), "{}", errors(&output));
}
