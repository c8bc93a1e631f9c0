//! `cvae compare`: what is counted, what is left out, and what is warned of.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{code, errors, folder, model, run, text};

/// A finished trial with this change of its config, made of one trained model's files, with fitting checksums.
fn trial(root: &Path, name: &str, change: (&str, &str)) -> PathBuf {
    let folder = root.join("runs").join(name);
    fs::create_dir_all(&folder).unwrap();
    let config = fs::read_to_string(model().join("config.toml")).unwrap();
    assert!(config.contains(change.0), "{config}");
    fs::write(folder.join("config.toml"), config.replacen(change.0, change.1, 1)).unwrap();
    let metrics = fs::read(model().join("metrics.csv")).unwrap();
    ::cvae::checksums::write(&folder, &["config.toml"], ("metrics.csv", &metrics)).unwrap();
    fs::write(folder.join("metrics.csv"), metrics).unwrap();
    folder
}

/// The cells of a trial's row.
fn cells(table: &str, name: &str) -> Vec<String> {
    let row = table.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name} in {table}"));
    row.split('|').map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn trials_that_failed_are_counted_and_damaged_ones_do_not_keep_the_rest_from_being_shown() {
    let folder = folder();
    let seed = |seed: u32| format!("seed = {seed}");
    for number in 1..=6 {
        trial(folder.path(), &format!("a{number}"), ("seed = 3", &seed(number)));
    }
    for number in 4..=6 {
        let failed = folder.path().join(format!("runs/a{number}"));
        ["metrics.csv", "SHA256SUMS"].iter().for_each(|name| fs::remove_file(failed.join(name)).unwrap());
        fs::write(failed.join("error.txt"), "the loss became NaN\n").unwrap();
    }
    let compare = || run(folder.path(), &["compare", "runs", "--markdown"]);
    let done = compare();
    assert_eq!(code(&done), 0, "{}", errors(&done));
    assert_eq!(cells(&text(&done), "a1")[1], "3 of 6, 3 failed");
    fs::write(folder.path().join("runs/a2/metrics.csv"), "damaged").unwrap();
    let done = compare();
    assert_eq!(code(&done), 0, "{}", errors(&done));
    assert!(errors(&done).contains("a2 is left out") && errors(&done).contains("damaged"), "{}", errors(&done));
    assert_eq!(cells(&text(&done), "a1")[1], "2 of 5, 3 failed");
    // Nothing but failures.
    let done = run(folder.path(), &["compare", "runs/a4", "runs/a5"]);
    assert_eq!(code(&done), 2);
    assert!(errors(&done).contains("2 of 2 failed"), "{}", errors(&done));
}

#[test]
fn a_copied_folder_is_named_and_counted_once() {
    let folder = folder();
    trial(folder.path(), "a", ("seed = 3", "seed = 1"));
    trial(folder.path(), "b", ("seed = 3", "seed = 2"));
    trial(folder.path(), "b copy", ("seed = 3", "seed = 2"));
    let done = run(folder.path(), &["compare", "runs", "--markdown"]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    assert!(errors(&done).contains("runs/b copy is the same trial as runs/b: it is counted once"), "{}", errors(&done));
    assert_eq!(cells(&text(&done), "| a ")[1], "2");
}

#[test]
fn means_over_trials_of_different_commits_are_warned_of() {
    let folder = folder();
    trial(folder.path(), "a", ("seed = 3", "seed = 1"));
    let other = trial(folder.path(), "b", ("seed = 3", "seed = 2"));
    let config = fs::read_to_string(other.join("config.toml")).unwrap();
    let commit = config.lines().find(|line| line.starts_with("commit = ")).expect("a commit").to_owned();
    fs::write(other.join("config.toml"), config.replace(&commit, "commit = \"0123456789ab\"")).unwrap();
    let metrics = fs::read(other.join("metrics.csv")).unwrap();
    ::cvae::checksums::write(&other, &["config.toml"], ("metrics.csv", &metrics)).unwrap();
    let done = run(folder.path(), &["compare", "runs"]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    let said = errors(&done);
    assert!(said.contains("warning: trials of different commits (") && said.contains("0123456789ab"), "{said}");
    let each = run(folder.path(), &["compare", "runs", "--each"]);
    assert!(!errors(&each).contains("different commits"), "{}", errors(&each));
}

#[test]
fn what_was_seen_in_training_is_computed_from_the_split() {
    let folder = folder();
    trial(folder.path(), "half", ("split = \"conditions\"\nheld_out = 0.1", "split = \"dates\"\nheld_out = 0.5"));
    let columns = "greedy-pass,greedy-pass-train,sampled-pass";
    let done = run(folder.path(), &["compare", "runs", "--markdown", "--columns", columns]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    let row = cells(&text(&done), "half");
    let number = |cell: &String| cell.trim_end_matches(" %").parse::<f64>().unwrap();
    // Few conditions have no training date left: the rates are all but the same.
    assert!((number(&row[2]) - number(&row[3])).abs() <= 0.02 * (1.0 + number(&row[2])), "{row:?}");
    // The exact rate of sampling, or what an earlier version counted.
    assert!((0.0..=100.0).contains(&number(&row[4])), "{row:?}");
}

#[test]
fn control_characters_of_names_are_not_printed_raw() {
    let folder = folder();
    trial(folder.path(), "a\u{1b}[31m", ("seed = 3", "seed = 1"));
    let damaged = trial(folder.path(), "b\u{1b}[31m", ("seed = 3", "seed = 2"));
    fs::write(damaged.join("metrics.csv"), "damaged").unwrap();
    let done = run(folder.path(), &["compare", "runs"]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    let said = text(&done) + &errors(&done);
    assert!(!said.contains('\u{1b}') && said.contains("a\\u{1b}[31m") && said.contains("b\\u{1b}[31m"), "{said}");
}
