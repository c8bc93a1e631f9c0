//! Trials that train as one in their own folders are the trials trained alone.

use std::path::Path;

use cvae::experiment::{ConfigFile, Override, RunFolder, TrialEnding, TrialError, run_trials};
use cvae::metrics::{Measure, Unit};
use cvae::model::engine;
use cvae::training::{History, Observer, Phase, Progress, Row};

/// A small model whose phases begin at steps 10 and 20, evaluated at every tenth step.
const SMALL: &str = r#"
device = "cpu"
engine = "torch"
threads = 1
model = { latent_dim = 2, hidden_dim = 16, angles = 6 }
beta = { calendar = 100.0, code = 100.0, rise = 10 }
training = { steps = 50, batch_size = 48, warm_up = 5, checkpoint_every = 7 }
objective = { codes = 16 }
evaluation = { every = 10, samples = 2, final_samples = 20, codes = 16 }
"#;

/// Stops at a step.
struct Until(Option<u64>, u64);

impl Observer for Until {
    fn step(&mut self, progress: Progress) {
        self.1 = progress.step;
    }
    fn phase(&mut self, _: u64, _: Phase) {}
    fn evaluating(&mut self, _: f64) {}
    fn evaluated(&mut self, _: &Row) {}
    fn interrupted(&self) -> bool {
        self.0.is_some_and(|last| self.1 + 1 >= last)
    }
}

/// Trains these trials as one in folders of these names; how each ended.
fn train(root: &Path, trials: &[(&str, &[&str])], until: Option<u64>) -> Vec<Result<TrialEnding, TrialError>> {
    engine::install(cvae_torch::engine::make);
    let path = root.join("small.toml");
    std::fs::write(&path, SMALL).unwrap();
    let opened: Vec<_> = trials
        .iter()
        .map(|(name, sets)| {
            let sets: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
            let config = ConfigFile::load(&path, &sets).unwrap();
            (RunFolder::open(&root.join(name), &config).unwrap(), config)
        })
        .collect();
    let members: Vec<_> = opened.iter().map(|(folder, config)| (folder, config)).collect();
    let observers = trials.iter().map(|_| Until(until, 0)).collect();
    let mut endings: Vec<Option<Result<TrialEnding, TrialError>>> = trials.iter().map(|_| None).collect();
    run_trials(&members, observers, &mut |place, ending| endings[place] = Some(ending));
    endings.into_iter().map(Option::unwrap).collect()
}

/// Compares what two folders hold: losses to rounding, and figures that are counted to what rounding may tip over.
fn assert_alike(together: &Path, alone: &Path) {
    let rows = |folder: &Path| History::read(&folder.join("history.csv")).unwrap();
    let (together, alone) = (rows(together), rows(alone));
    assert_eq!((together.len(), alone.len()), (5, 5));
    for (together, alone) in together.iter().zip(&alone) {
        for measure in Measure::of_history(["weekday", "month", "leap", "decade"]) {
            let unit = measure.spec().unit;
            if unit == Unit::Text || [Measure::TrainSeconds, Measure::DatesPerSecond].contains(&measure) {
                continue;
            }
            let (a, b) = (together.number(measure), alone.number(measure));
            let alike = a == b || a.is_nan() && b.is_nan() || (a - b).abs() < 2e-3 * b.abs().max(1.0);
            assert!(alike, "{}: {a} {b}", measure.name());
        }
        assert_eq!(together.words(Measure::Phase), alone.words(Measure::Phase));
    }
}

const TRIALS: [(&str, &[&str]); 3] = [
    ("one", &["seed=1"]),
    ("two", &["seed=2", "beta.value=0.3", "data.seed=4"]),
    // Another learning rate and end of the first phase.
    ("three", &["seed=3", "training.learning_rate=0.002", "beta.calendar=11.5"]),
];

#[test]
fn trials_that_train_as_one_are_the_trials_alone() {
    let (group, single) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert!(train(group.path(), &TRIALS, None).iter().all(|ending| matches!(ending, Ok(TrialEnding::Finished(_)))));
    for trial in TRIALS {
        assert!(train(single.path(), &[trial], None)[0].is_ok());
        assert_alike(&group.path().join(trial.0), &single.path().join(trial.0));
    }
}

#[test]
fn trials_whose_noise_no_engine_draws_are_the_trials_alone_and_have_the_built_in_engines_losses() {
    // In the first, one trial's rows have unequal probabilities.
    let weighted: &[&str] = &["data.task=weighted_dates", "beta.turn=thresholds"];
    for (pairing, of_two) in [("objective.pairing=balanced", weighted), ("objective.pairing=own", &[])] {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let [group, alone, built_in] = folders.each_ref().map(|folder| folder.path());
        let sets = TRIALS.map(|(name, sets)| {
            (name, [sets, &["objective.noise=stratified", pairing], if name == "two" { of_two } else { &[] }].concat())
        });
        let trials = sets.each_ref().map(|(name, sets)| (*name, sets.as_slice()));
        let endings = train(group, &trials, None);
        assert!(endings.iter().all(|ending| matches!(ending, Ok(TrialEnding::Finished(_)))), "{endings:?}");
        for (name, sets) in trials {
            assert!(train(alone, &[(name, sets)], None)[0].is_ok());
            assert_alike(&group.join(name), &alone.join(name));
            assert!(train(built_in, &[(name, &[sets, &["engine=builtin"]].concat())], None)[0].is_ok());
            let losses = |root: &Path| {
                let rows = History::read(&root.join(name).join("history.csv")).unwrap();
                rows.iter().map(|row| row.number(Measure::TrainLoss)).collect::<Vec<_>>()
            };
            for (one, other) in losses(group).into_iter().zip(losses(built_in)) {
                assert!((one - other).abs() < 2e-3 * other, "{name}: {one} {other}");
            }
        }
    }
}

/// What some cures for an unused code, and some ways to move the weights, ask of the engine.
const BUILT_IN: [&[&str]; 8] = [
    &["objective.mmd=10"],
    &["objective.importance_samples=3", "objective.hybrid=0"],
    &["training.encoder_updates=2", "training.aggressive_steps=30"],
    &["model.prior=conditional"],
    &["training.optimizer=muon", "training.average=0.9"],
    &["training.optimizer=schedule-free", "training.final_share=1"],
    &["training.matrix_rate=0.5"],
    &["training.first_batch_size=16"],
];

#[test]
fn what_the_built_in_engine_alone_computes_is_refused_here_and_resumes_there_bit_for_bit() {
    for sets in BUILT_IN {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let [refused, stopped, whole] = folders.each_ref().map(|folder| folder.path());
        let sets = [sets, &["beta.schedule=constant"]].concat();
        let error = train(refused, &[("one", &sets)], None)[0].as_ref().unwrap_err().to_string();
        assert!(error.contains("the built-in engine alone") && error.contains("engine = \"builtin\""), "{error}");
        let sets = [&sets[..], &["engine=builtin"]].concat();
        // Between two updates of all weights, where there are others.
        let ending = &train(stopped, &[("one", &sets)], Some(23))[0];
        assert!(matches!(ending, Ok(TrialEnding::Interrupted(23))), "{ending:?}");
        for folder in [stopped, whole] {
            assert!(train(folder, &[("one", &sets)], None)[0].is_ok());
        }
        let weights = |root: &Path| std::fs::read(root.join("one/model.safetensors")).unwrap();
        assert!(weights(stopped) == weights(whole), "{sets:?}");
    }
}

#[test]
fn a_group_that_was_stopped_is_taken_up_and_may_then_be_another() {
    let (stopped, single) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let endings = train(stopped.path(), &TRIALS, Some(23));
    assert!(endings.iter().all(|ending| matches!(ending, Ok(TrialEnding::Interrupted(23)))), "{endings:?}");
    assert!(train(stopped.path(), &TRIALS[..1], Some(31))[0].is_ok());
    assert!(train(stopped.path(), &[TRIALS[2], TRIALS[0]], None).iter().all(Result::is_ok));
    for trial in [TRIALS[0], TRIALS[2]] {
        train(single.path(), &[trial], None);
        assert_alike(&stopped.path().join(trial.0), &single.path().join(trial.0));
    }
}

#[test]
fn a_trial_that_diverges_leaves_the_others_to_go_on() {
    let (group, single) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let diverging: (&str, &[&str]) =
        ("diverging", &["seed=9", "training.divergence=12.0", "training.learning_rate=0.3"]);
    let endings = train(group.path(), &[TRIALS[0], diverging, TRIALS[1]], None);
    assert!(endings[0].is_ok() && endings[1].is_err() && endings[2].is_ok(), "{endings:?}");
    let error = std::fs::read_to_string(group.path().join("diverging/error.txt")).unwrap();
    assert!(error.starts_with("the loss diverged to "), "{error}");
    for trial in [TRIALS[0], TRIALS[1]] {
        train(single.path(), &[trial], None);
        assert_alike(&group.path().join(trial.0), &single.path().join(trial.0));
    }
}
