//! `cvae plot`: charts of experiments and trials, whole or damaged.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{code, cvae, errors, folder, model, run};

/// Three trials of a grid of which two finished and one failed, made of one trained model's files.
fn grid(root: &Path) -> PathBuf {
    let grid = root.join("grid");
    let config = fs::read_to_string(model().join("config.toml")).unwrap();
    for (name, beta) in [("low", "0.1"), ("middle", "0.6"), ("high", "4.0")] {
        let trial = grid.join(name);
        fs::create_dir_all(&trial).unwrap();
        let config = config.replace("value = 0.6", &format!("value = {beta}"));
        assert!(config.contains(&format!("value = {beta}")));
        fs::write(trial.join("config.toml"), config).unwrap();
        fs::copy(model().join("history.csv"), trial.join("history.csv")).unwrap();
        if name == "high" {
            fs::write(trial.join("error.txt"), "the loss was 212 nats at step 7\n").unwrap();
        } else {
            fs::copy(model().join("metrics.csv"), trial.join("metrics.csv")).unwrap();
        }
    }
    grid
}

/// The files of a folder by name, with their bytes.
fn charts(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut charts: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect();
    charts.sort();
    charts
}

#[test]
fn charts_are_the_same_twice_need_no_font_and_mark_what_failed() {
    let folder = folder();
    let grid = grid(folder.path());
    for output in ["a", "b"] {
        let done = run(folder.path(), &["plot", grid.to_str().unwrap(), "-o", output]);
        assert_eq!(code(&done), 0, "{}", errors(&done));
        let said = errors(&done);
        assert!(said.contains("high failed: the loss was 212 nats at step 7"), "{said}");
        assert!(said.contains("heatmaps, since") && said.contains("cvae plot model"), "{said}");
    }
    let (a, b) = (charts(&folder.path().join("a/grid")), charts(&folder.path().join("b/grid")));
    assert!(a == b);
    let names: Vec<&str> = a.iter().map(|(name, _)| name.as_str()).filter(|name| name.ends_with(".svg")).collect();
    let expected = ["pass_by_field", "pass_by_setting", "rate_distortion", "settings", "sweep", "training"];
    assert_eq!(names, expected.map(|name| format!("{name}.svg")));
    assert_eq!(a.iter().filter(|(name, _)| name.ends_with(".png")).count(), names.len());
    let svg = |name: &str| String::from_utf8(a.iter().find(|(file, _)| file == name).unwrap().1.clone()).unwrap();
    assert!(!svg("sweep.svg").contains("<text") && svg("sweep.svg").contains("failed or diverged"));
    assert!(svg("settings.svg").contains("aria-label=\"failed\""), "{}", svg("settings.svg"));
    assert!(svg("training.svg").contains("prior MI, validation dates") && svg("pass_by_field.svg").contains("1/7"));
    assert!(svg("rate_distortion.svg").contains("1 failed or diverged"));
}

#[test]
fn charts_that_no_longer_apply_are_removed_and_nothing_else() {
    let folder = folder();
    let grid = grid(folder.path());
    let output = folder.path().join("plots/grid");
    fs::create_dir_all(&output).unwrap();
    // As an earlier call lists what it drew; and what others have put there, under names of charts or not.
    let stale = ["heatmaps.png", "coverage.svg", "diversity_MON_JAN_False_205.png", "weights.sha256"];
    let list: String = stale.map(|name| format!("{}  {name}\n", ::cvae::checksums::sha256(b"old"))).concat();
    let kept = ["heatmaps.svg", "coverage.png", "latent_kl.svg", "notes.txt", "diversity_MON_JAN_False_205.svg"];
    stale.iter().chain(&kept).for_each(|name| fs::write(output.join(name), "old").unwrap());
    let edited = format!("{list}{}  pass_rate.svg\n", ::cvae::checksums::sha256(b"another"));
    fs::write(output.join("pass_rate.svg"), "old").unwrap();
    fs::write(output.join("charts.sha256"), edited).unwrap();
    let done = run(folder.path(), &["plot", "--logs", grid.to_str().unwrap()]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    assert!(errors(&done).contains("heatmaps.png, a chart of an earlier call"), "{}", errors(&done));
    let there = |name: &str| output.join(name).exists();
    // Charts of weights stay where none of weights are asked for.
    assert!(!there("heatmaps.png") && there("heatmaps.svg") && there("coverage.svg") && there("sweep.svg"));
    let done = run(folder.path(), &["plot", grid.to_str().unwrap()]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    assert!(stale.iter().all(|name| !there(name)) && kept.iter().all(|name| there(name)), "{:?}", charts(&output));
    assert!(there("pass_rate.svg"), "it is not what was drawn");
    let checked =
        std::process::Command::new("sha256sum").args(["--check", "charts.sha256"]).current_dir(&output).output();
    assert!(checked.unwrap().status.success());
}

#[test]
fn a_history_of_one_row_is_seen() {
    let folder = folder();
    let grid = grid(folder.path());
    let drawn = |rows: usize| {
        for trial in ["low", "middle", "high"] {
            let history = fs::read_to_string(model().join("history.csv")).unwrap();
            let lines: Vec<&str> = history.lines().take(1 + rows).collect();
            fs::write(grid.join(trial).join("history.csv"), lines.join("\n") + "\n").unwrap();
        }
        let done = run(folder.path(), &["plot", "--logs", grid.to_str().unwrap()]);
        assert_eq!(code(&done), 0, "{}", errors(&done));
        ["training", "pass_by_field", "pass_by_setting"]
            .map(|name| fs::read_to_string(folder.path().join(format!("plots/grid/{name}.svg"))).unwrap())
    };
    assert!(drawn(1).iter().all(|svg| svg.contains("<circle")));
    assert!(drawn(3)[0].matches("<circle").count() < drawn(1)[0].matches("<circle").count());
}

#[test]
fn what_has_not_finished_is_not_marked_as_failed() {
    let folder = folder();
    let grid = folder.path().join("grid");
    let config = fs::read_to_string(model().join("config.toml")).unwrap();
    for (name, beta, latent) in [("a", "0.1", "2"), ("b", "0.6", "2"), ("c", "0.1", "4"), ("d", "0.6", "4")] {
        let trial = grid.join(name);
        fs::create_dir_all(&trial).unwrap();
        let config = config.replace("value = 0.6", &format!("value = {beta}"));
        let config = config.replace("latent_dim = 2", &format!("latent_dim = {latent}"));
        fs::write(trial.join("config.toml"), config).unwrap();
        if name != "d" {
            fs::copy(model().join("metrics.csv"), trial.join("metrics.csv")).unwrap();
        }
    }
    let maps = || {
        let done = run(folder.path(), &["plot", "--logs", grid.to_str().unwrap()]);
        assert_eq!(code(&done), 0, "{}", errors(&done));
        fs::read_to_string(folder.path().join("plots/grid/heatmaps.svg")).unwrap()
    };
    let open = maps();
    assert!(open.contains("\"not finished\"") && open.contains("\"…\"") && !open.contains("failed or diverged"));
    fs::write(grid.join("d/error.txt"), "the loss was 212 nats at step 7\n").unwrap();
    let failed = maps();
    assert!(failed.contains("failed or diverged") && !failed.contains("\"…\""));
}

#[test]
fn a_trial_with_weights_gets_the_charts_of_what_it_generates() {
    let folder = folder();
    let trial = model();
    let done = cvae(folder.path(), &["plot", trial.to_str().unwrap(), "-n", "2"]).output().unwrap();
    assert_eq!(code(&done), 0, "{}", errors(&done));
    let written = charts(&folder.path().join("plots/model"));
    for name in
        ["training", "coverage", "diversity_MON_DEC_False_196", "latent_kl", "latent_day", "latent_plane", "angles"]
    {
        assert!(written.iter().any(|(file, _)| file == &format!("{name}.svg")), "{name}");
    }
    let digest = |bytes: &[u8]| ::cvae::checksums::sha256(bytes);
    let weights = digest(&fs::read(trial.join("model.safetensors")).unwrap());
    let named = written.iter().find(|(file, _)| file == "weights.sha256").unwrap();
    assert_eq!(String::from_utf8_lossy(&named.1), format!("{weights}  model.safetensors\n"));
}

#[test]
fn committed_charts_of_the_release_are_of_its_weights() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let weights = ::cvae::checksums::sha256(&fs::read(root.join("model/cvae.safetensors")).unwrap());
    let drawn = fs::read_to_string(root.join("plots/model/weights.sha256")).unwrap_or_default();
    assert_eq!(drawn, format!("{weights}  cvae.safetensors\n"), "plots/model is of other weights: make plots");
}

#[test]
fn columns_that_were_not_logged_are_named_and_leave_the_rest() {
    let folder = folder();
    let grid = grid(folder.path());
    for trial in ["low", "middle", "high"] {
        for (name, column) in [("metrics.csv", "greedy_coverage_at_rows,"), ("history.csv", "test_recon,")] {
            let path = grid.join(trial).join(name);
            let Ok(text) = fs::read_to_string(&path) else { continue };
            fs::write(&path, text.replace(column, &format!("x_{column}"))).unwrap();
        }
    }
    let done = run(folder.path(), &["plot", "--logs", grid.to_str().unwrap()]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    let svg = |name: &str| fs::read_to_string(folder.path().join(format!("plots/grid/{name}.svg"))).unwrap();
    assert!(svg("sweep").contains("Not shown, since some trials did not log it: greedy coverage"), "{}", svg("sweep"));
    assert!(
        svg("training").contains("Not shown at every step, since some trials did not log it: "),
        "{}",
        svg("training")
    );
}

#[test]
fn folders_without_runs_are_named() {
    let folder = folder();
    assert_ne!(code(&run(folder.path(), &["plot", "."])), 0);
    fs::create_dir(folder.path().join("empty")).unwrap();
    let done = run(folder.path(), &["plot", "empty"]);
    assert_eq!(code(&done), 2);
    assert!(errors(&done).contains("no run"), "{}", errors(&done));
}

#[test]
fn damaged_and_copied_trials_do_not_keep_the_rest_from_being_drawn() {
    let folder = folder();
    let grid = grid(folder.path());
    let copy = grid.join("low copy");
    fs::create_dir(&copy).unwrap();
    for name in ["config.toml", "metrics.csv", "history.csv"] {
        fs::copy(grid.join("low").join(name), copy.join(name)).unwrap();
    }
    fs::write(grid.join("middle/history.csv"), "step,epoch\n1,x\n").unwrap();
    // A run in progress, whose last row is being written.
    let history = fs::read_to_string(grid.join("high/history.csv")).unwrap();
    fs::write(grid.join("high/history.csv"), &history[..history.len() - 9]).unwrap();
    let done = run(folder.path(), &["plot", "--logs", grid.to_str().unwrap()]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    let said = errors(&done);
    assert!(said.contains("low copy is the same trial as") && said.contains("counted once"), "{said}");
    assert!(said.contains("middle is left out") && said.contains("row 1, column \"epoch\": \"x\""), "{said}");
    assert!(folder.path().join("plots/grid/training.svg").exists());
}

#[test]
fn a_run_that_cannot_be_drawn_does_not_keep_the_others_from_it_and_of_a_table_no_dates_are_drawn() {
    let folder = folder();
    fs::write(folder.path().join("t.csv"), "a,b\n1,x\n1,y\n2,x\n2,z\n3,x\n3,y\n").unwrap();
    let short = ["--set", "training.batch_size=2", "--set", "objective.codes=2", "--set", "data.held_out=0.34"];
    let table = ["train", "tiny.toml", "--table", "t.csv", "--given", "a", "-o", "runs/a/table"];
    let trained = run(folder.path(), &[&table[..], &short].concat());
    assert_eq!(code(&trained), 0, "{}", errors(&trained));
    fs::remove_file(folder.path().join("t.csv")).unwrap();
    fs::create_dir_all(folder.path().join("runs/b")).unwrap();
    fs::rename(grid(folder.path()), folder.path().join("runs/b/grid")).unwrap();
    let drawn = run(folder.path(), &["plot", "runs", "-o", "all"]);
    assert_eq!(code(&drawn), 0, "{}", errors(&drawn));
    assert!(errors(&drawn).contains("left out of a: what the weights generate"), "{}", errors(&drawn));
    assert!(folder.path().join("all/a/training.svg").exists());
    fs::create_dir(folder.path().join("plots")).unwrap();
    fs::write(folder.path().join("plots/a"), "in the way").unwrap();
    let drawn = run(folder.path(), &["plot", "runs"]);
    assert_eq!(code(&drawn), 1);
    assert!(errors(&drawn).contains("error: a: ") && errors(&drawn).contains("plots/a"), "{}", errors(&drawn));
    assert!(folder.path().join("plots/grid/training.svg").exists());
}

#[test]
fn a_weight_of_0_has_a_place_on_logarithmic_axes() {
    let folder = folder();
    let grid = grid(folder.path());
    let config = fs::read_to_string(grid.join("low/config.toml")).unwrap();
    fs::write(grid.join("low/config.toml"), config.replace("value = 0.1", "value = 0.0")).unwrap();
    let done = run(folder.path(), &["plot", "--logs", grid.to_str().unwrap()]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    let svg = fs::read_to_string(folder.path().join("plots/grid/sweep.svg")).unwrap();
    assert!(svg.contains("0 has no place on the logarithmic axis"), "{svg}");
    // Two of three trials finished: each has its mark in every panel.
    assert!(svg.contains("aria-label=\"0\"") && svg.matches("<circle").count() >= 12, "{svg}");
}

#[test]
fn results_alone_are_enough_for_what_needs_no_history() {
    let folder = folder();
    let config = "base = \"tiny.toml\"\n[sweep]\nseeds = [1, 2]\n";
    fs::write(folder.path().join("two.toml"), config).unwrap();
    let done = run(folder.path(), &["sweep", "two.toml"]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    fs::create_dir(folder.path().join("two")).unwrap();
    fs::copy(folder.path().join("runs/two/results.csv"), folder.path().join("two/results.csv")).unwrap();
    let done = run(folder.path(), &["plot", "two"]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    let names: Vec<String> = charts(&folder.path().join("plots/two")).into_iter().map(|(name, _)| name).collect();
    let drawn = ["charts.sha256", "rate_distortion.png", "rate_distortion.svg", "settings.png", "settings.svg"];
    assert_eq!(names, drawn);
    assert!(errors(&done).contains("no history.csv"), "{}", errors(&done));
}

#[test]
fn committed_charts_are_those_of_the_committed_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = folder();
    let mut compared = 0;
    for entry in fs::read_dir(root.join("plots")).unwrap().map(|entry| entry.unwrap()) {
        let run_folder = root.join("runs").join(entry.file_name());
        // The release's charts are of its weights, whose last digits depend on the machine.
        if !run_folder.is_dir() {
            continue;
        }
        let done = run(folder.path(), &["plot", "--logs", run_folder.to_str().unwrap()]);
        assert_eq!(code(&done), 0, "{}", errors(&done));
        let drawn = charts(&folder.path().join("plots").join(entry.file_name()));
        // What is left of an earlier call would go into the report as well.
        let stale = charts(&entry.path()).into_iter().find(|(name, _)| drawn.iter().all(|(known, _)| known != name));
        assert!(stale.is_none(), "{}/{} is of no run: make report", entry.path().display(), stale.unwrap().0);
        for (name, bytes) in drawn {
            if name.ends_with(".svg") {
                let committed = fs::read(entry.path().join(&name)).unwrap_or_default();
                assert!(committed == bytes, "{}/{name} is not that of runs/: make report", entry.path().display());
                compared += 1;
            }
        }
    }
    assert!(compared > 0, "plots/ holds no chart of a run");
}
