//! The experiments that come with the project.

use std::fs;
use std::path::Path;

use crate::common::{code, errors, folder, run, text};

#[test]
fn every_shipped_experiment_runs_for_a_few_steps() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let short = [
        "training.steps=12",
        "training.warm_up=2",
        "training.batch_size=32",
        "model.hidden_dim=8",
        "model.angles=4",
        "objective.codes=8",
        "evaluation.every=12",
        "evaluation.final_samples=1",
        "evaluation.codes=2",
    ];
    let folder = folder();
    let mut names = Vec::new();
    for entry in fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // Rises are for full runs; here every schedule has a dozen steps.
        let text = fs::read_to_string(&path).unwrap();
        let shorter = [
            ("rise = 400", "rise = 6"),
            ("\nsteps = 4000", "\nsteps = 12"),
            ("device = \"cuda\"", "device = \"cpu\""),
            ("\"training.steps\" = 3000, \"training.batch_size\" = 512, ", ""),
            ("\"training.steps\" = [9000, 18000, 6000, 9000]", "\"training.steps\" = [12, 13, 14, 12]"),
            ("\"training.steps\" = [12000, 24000]", "\"training.steps\" = [12, 13]"),
            (
                "\"training.steps\" = [8000, 8000, 8000, 2000, 2000, 2000]",
                "\"training.steps\" = [14, 14, 14, 13, 13, 13]",
            ),
        ];
        let text = shorter.iter().fold(text, |text, (long, short)| text.replace(long, short));
        let rises = [(1500, 6), (1000, 6), (250, 3), (9000, 6), (4500, 6), (2250, 3)].map(|(long, short)| {
            let rise = |steps: u64| format!("rise\" = {steps}");
            (rise(long), rise(short))
        });
        let text = rises.iter().fold(text, |text, (long, short)| text.replace(long, short));
        fs::write(folder.path().join(&name), text).unwrap();
        names.push(name);
    }
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        let mut arguments = vec!["sweep", &name];
        // What a sweep varies is not replaced.
        let grid = fs::read_to_string(folder.path().join(&name)).unwrap();
        let varied = |set: &str| grid.contains(&format!("\"{}\" = ", set.split('=').next().unwrap()));
        short.iter().filter(|set| !varied(set)).for_each(|set| arguments.extend(["--set", set]));
        let status = run(folder.path(), &[arguments.as_slice(), &["--status"]].concat());
        assert_eq!(code(&status), 0, "{name}: {}", errors(&status));
        let trials: usize = text(&status).split(' ').next().unwrap().parse().unwrap();
        // The first and the last trial of a grid; the others differ from them by one value.
        for index in [0, trials - 1] {
            let output = run(folder.path(), &[arguments.as_slice(), &["--index", &index.to_string()]].concat());
            assert_eq!(code(&output), 0, "{name} {index}: {}", errors(&output));
        }
    }
}
