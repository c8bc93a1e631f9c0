//! Baselines: one line in a sweep, and run folders that every command reads.

use std::fs;

use crate::common::{code, errors, run, text};

const SUITE: &str = "
threads = 1
[data]
task = \"permutations\"
[model]
hidden_dim = 16
angles = 8
latent_dim = 2
[beta]
rise = 20
[training]
steps = 60
batch_size = 64
warm_up = 5
[evaluation]
every = 20
samples = 2
final_samples = 20
codes = 4
[[sweep.chain]]
set = {}
[[sweep.chain]]
set = { \"model.kind\" = \"counts\" }
[[sweep.chain]]
set = { \"model.kind\" = \"columns\", \"model.smoothing\" = 0.1 }
";

#[test]
fn baselines_are_one_line_each_in_a_sweep_and_stand_beside_the_model_in_every_command() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small.toml"), SUITE).unwrap();
    let done = run(folder.path(), &["sweep", "small.toml"]);
    assert_eq!(code(&done), 0, "{}", errors(&done));
    let again = run(folder.path(), &["sweep", "small.toml", "--status"]);
    assert!(text(&again).contains('3') && code(&again) == 0, "{}{}", text(&again), errors(&again));
    let compared = run(folder.path(), &["compare", "runs/small", "--markdown"]);
    let table = text(&compared);
    let row = |name: &str| table.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {table}"));
    assert!(row("counts").contains('%') && row("columns").contains('%'), "{table}");
    let plotted = run(folder.path(), &["plot", "runs/small", "-o", "plots"]);
    assert_eq!(code(&plotted), 0, "{}", errors(&plotted));
    let listed = run(folder.path(), &["runs"]);
    assert_eq!(code(&listed), 0, "{}", errors(&listed));
    let trials: Vec<_> = fs::read_dir(folder.path().join("runs/small")).unwrap().map(|entry| entry.unwrap()).collect();
    let of =
        |kind: &str| trials.iter().find(|trial| trial.file_name().to_string_lossy().contains(kind)).unwrap().path();
    // Nothing is left to chance: the figures have no error, and a second seed would have the same.
    let (counts, columns) = (of("counts"), of("columns"));
    for trial in [&counts, &columns] {
        let history = fs::read_to_string(trial.join("history.csv")).unwrap();
        assert_eq!(history.lines().count(), 2, "{history}");
        assert!(!trial.join("model.safetensors").exists() && trial.join("SHA256SUMS").exists());
    }
    let metric = |trial: &std::path::Path, name: &str| -> f64 {
        let mut table = csv::Reader::from_path(trial.join("metrics.csv")).unwrap();
        let place = table.headers().unwrap().iter().position(|known| known == name).unwrap();
        table.records().next().unwrap().unwrap()[place].parse().unwrap()
    };
    assert_eq!((metric(&counts, "nll_gap_error"), metric(&counts, "active_units")), (0.0, 0.0));
    assert!(metric(&counts, "invalid_mass_train") < metric(&columns, "invalid_mass_train"));
    // It has no weights to predict with, and says so.
    let asked = ["inspect", "--all", "--model", counts.to_str().unwrap()];
    let refused = run(folder.path(), &asked);
    assert!(code(&refused) != 0 && errors(&refused).contains("is a baseline"), "{}", errors(&refused));
}

#[test]
fn keys_of_baselines_are_refused_where_they_have_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small.toml"), SUITE.split("[[sweep").next().unwrap()).unwrap();
    for (set, expected) in [
        ("model.smoothing=2", "model.smoothing: it belongs to model.kind"),
        ("model.kind=count", "did you mean `counts`?"),
    ] {
        let refused = run(folder.path(), &["train", "small.toml", "--set", set]);
        assert!(code(&refused) == 2 && errors(&refused).contains(expected), "{}", errors(&refused));
    }
}
