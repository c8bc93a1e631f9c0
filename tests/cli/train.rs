//! `cvae train`: configs, run folders, repeatability, and losses that go wrong.

use std::fs;
use std::path::Path;

use cvae::metrics::Measure;
use cvae::training::History;

use crate::common::{code, errors, folder, run, text};

fn train(folder: &Path, output: &str, sets: &[&str]) -> std::process::Output {
    let mut arguments = vec!["train", "tiny.toml", "-o", output];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    run(folder, &arguments)
}

#[test]
fn a_seed_makes_a_run_bit_identical() {
    let folder = folder();
    for output in ["a", "b"] {
        let done = train(folder.path(), output, &[]);
        assert_eq!(code(&done), 0, "{}", errors(&done));
    }
    let other = train(folder.path(), "c", &["seed=4"]);
    assert_eq!(code(&other), 0, "{}", errors(&other));
    let weights = |output: &str| fs::read(folder.path().join(output).join("model.safetensors")).unwrap();
    assert!(weights("a") == weights("b"));
    assert!(weights("a") != weights("c"));
}

#[test]
fn a_finished_run_leaves_its_folder_as_documented_and_is_not_repeated() {
    let folder = folder();
    let first = run(folder.path(), &["train", "tiny.toml", "--set", "model.latent_dim=3"]);
    assert_eq!(code(&first), 0, "{}", errors(&first));
    let trial = fs::read_dir(folder.path().join("runs/tiny")).unwrap().next().unwrap().unwrap();
    assert!(trial.file_name().to_string_lossy().starts_with("latent_dim3-hidden_dim16-"));
    let mut files: Vec<_> = fs::read_dir(trial.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(
        files,
        ["SHA256SUMS", "config.toml", "history.csv", "lock", "log.txt", "metrics.csv", "model.safetensors"]
    );
    let history = History::read(&trial.path().join("history.csv")).unwrap();
    assert_eq!(history.iter().map(|row| row.count(Measure::Step)).collect::<Vec<_>>(), [20, 40, 60]);
    let header = fs::read_to_string(trial.path().join("history.csv")).unwrap();
    let columns: Vec<&str> =
        Measure::of_history(["weekday", "month", "leap", "decade"]).iter().map(|column| column.name()).collect();
    assert_eq!(header.lines().next().unwrap(), columns.join(","));
    let config = fs::read_to_string(trial.path().join("config.toml")).unwrap();
    assert!(config.contains("latent_dim = 3") && config.contains("[provenance]") && config.contains("threads = 1"));

    let before = fs::metadata(trial.path().join("model.safetensors")).unwrap().modified().unwrap();
    let again = run(folder.path(), &["train", "tiny.toml", "--set", "model.latent_dim=3"]);
    assert_eq!((code(&again), text(&again)), (0, text(&first)));
    assert!(errors(&again).contains("finished earlier"), "{}", errors(&again));
    assert_eq!(fs::metadata(trial.path().join("model.safetensors")).unwrap().modified().unwrap(), before);
}

#[test]
fn a_resolved_config_trains_the_same_model_again() {
    let folder = folder();
    assert_eq!(code(&train(folder.path(), "a", &["training.steps=40"])), 0);
    let again = run(folder.path(), &["train", "a/config.toml", "-o", "b"]);
    assert_eq!(code(&again), 0, "{}", errors(&again));
    let weights = |output: &str| fs::read(folder.path().join(output).join("model.safetensors")).unwrap();
    assert!(weights("a") == weights("b"));
}

#[test]
fn every_kind_of_model_schedule_and_split_trains() {
    let folder = folder();
    let kinds: [&[&str]; 14] = [
        &["model.heads=independent"],
        &["model.trunk=additive", "beta.schedule=constant"],
        &["model.heads=independent", "model.trunk=additive", "beta.schedule=linear"],
        &["beta.schedule=cyclical", "beta.cycles=3", "beta.rise=9"],
        &["data.split=dates", "objective.free_bits=0.5"],
        // From high to low and up again within the first steps, so that each phase is passed through.
        &["beta.calendar=100", "beta.code=0", "beta.high=2"],
        &[
            "objective.importance_samples=3",
            "objective.hybrid=0",
            "beta.schedule=constant",
            "objective.noise=stratified",
        ],
        &["objective.mmd=10", "beta.schedule=constant", "beta.value=0"],
        &["training.encoder_updates=2", "training.aggressive_steps=20", "beta.schedule=constant"],
        &["model.prior=conditional", "beta.schedule=constant"],
        &["training.optimizer=muon", "training.average=0.9"],
        &["training.matrix_rate=0.5", "training.first_batch_size=32"],
        &["training.optimizer=schedule-free", "training.final_share=1"],
        &["training.optimizer=soap", "training.restart=0.5"],
    ];
    for (index, kind) in kinds.iter().enumerate() {
        let output = train(folder.path(), &format!("kind{index}"), &[*kind, &["training.steps=30"]].concat());
        assert_eq!(code(&output), 0, "{kind:?}: {}", errors(&output));
        let history = History::read(&folder.path().join(format!("kind{index}/history.csv"))).unwrap();
        assert!(
            history
                .iter()
                .all(|row| row.number(Measure::TrainLoss).is_finite() && row.number(Measure::TestElbo).is_finite()),
            "{kind:?}"
        );
    }
    let phased = fs::read_to_string(folder.path().join("kind5/log.txt")).unwrap();
    assert!(phased.contains("phase code begins") && phased.contains("phase match begins"), "{phased}");
}

#[test]
fn a_loss_that_diverges_ends_the_run_and_says_where() {
    let folder = folder();
    let output = train(folder.path(), "a", &["training.learning_rate=10", "training.gradient_clip=1e9"]);
    assert_eq!(code(&output), 1);
    let message = errors(&output);
    assert!(message.contains("at step ") && message.contains("lower training.learning_rate"), "{message}");
    let kept = fs::read_to_string(folder.path().join("a/error.txt")).unwrap();
    assert!(message.contains(kept.trim()), "{kept}");
    assert!(!folder.path().join("a/metrics.csv").exists());
}

#[test]
fn configs_that_make_no_sense_are_bad_input_with_their_place() {
    let folder = folder();
    let config = |text: &str| fs::write(folder.path().join("bad.toml"), text).unwrap();
    for (wrong, place) in [
        ("seeds = 1", "line 1, column 1"),
        ("[training]\nsteps = -4", "line 2, column 9"),
        ("[training]\nlearning_rate = nan", "bad.toml:2:17"),
        ("seed = ", "line 1"),
    ] {
        config(wrong);
        let output = run(folder.path(), &["train", "bad.toml"]);
        assert_eq!(code(&output), 2, "{wrong}");
        assert!(errors(&output).contains(place), "{wrong}: {}", errors(&output));
    }
    assert!(!folder.path().join("runs").exists());
    let missing = run(folder.path(), &["train", "none.toml"]);
    assert_eq!(code(&missing), 2);
    assert!(errors(&missing).contains("none.toml") && errors(&missing).contains("check the path"));
}

#[test]
fn a_folder_of_the_users_own_is_refused_and_nothing_in_it_is_touched() {
    let folder = folder();
    let mine = folder.path().join("mine");
    let files = ["checkpoint/weights.bin", "data.partial", "error.txt", "SHA256SUMS", "history.csv", "notes.md"];
    for name in files {
        let path = mine.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        let refused = train(folder.path(), "mine", &[]);
        assert_eq!(code(&refused), 1, "{name}: {}", errors(&refused));
        let message = errors(&refused);
        assert!(message.contains("is not a run's folder") && message.contains("name an empty folder"), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(fs::read_dir(&mine).unwrap().count(), 1, "{name}: something was added");
        fs::remove_dir_all(&mine).unwrap();
    }
    // In a run's own folder what others put there stays.
    assert_eq!(code(&train(folder.path(), "mine", &[])), 0);
    fs::remove_file(mine.join("metrics.csv")).unwrap();
    let added = ["notes.md", "data.partial", ".mine.partial", "checkpoint/weights.bin"];
    fs::create_dir_all(mine.join("checkpoint")).unwrap();
    added.iter().for_each(|name| fs::write(mine.join(name), "mine").unwrap());
    let again = train(folder.path(), "mine", &[]);
    assert_eq!(code(&again), 0, "{}", errors(&again));
    assert!(added.iter().all(|name| fs::read_to_string(mine.join(name)).unwrap() == "mine"));
    // A finished trial whose config is lost is not given another.
    fs::remove_file(mine.join("config.toml")).unwrap();
    let lost = train(folder.path(), "mine", &[]);
    assert_eq!(code(&lost), 1);
    assert!(!mine.join("config.toml").exists() && errors(&lost).contains("no config.toml"), "{}", errors(&lost));
    // Nor is a folder of another config locked or changed.
    let other = train(folder.path(), "other", &[]);
    assert_eq!(code(&other), 0);
    fs::remove_file(folder.path().join("other/lock")).unwrap();
    assert_eq!(code(&train(folder.path(), "other", &["seed=9"])), 1);
    assert!(!folder.path().join("other/lock").exists());
}

#[test]
fn cuda_needs_the_other_engine() {
    let folder = folder();
    let output = train(folder.path(), "a", &["device=cuda"]);
    // Where cvae-torch is built, it is started, and refuses as well unless there is a GPU.
    let said = errors(&output);
    assert!(code(&output) == 0 || said.contains("device = \"cpu\""), "{said}");
    assert!(said.contains("cvae-torch"), "{said}");
}
