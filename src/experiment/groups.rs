//! Which trials of an experiment train as one: a GPU takes little longer for a hundred small models than for one.

use std::collections::HashMap;

use super::config::Config;
use super::engine::{needs_torch, on_gpu};
use super::plan::Trial;
use crate::training::Objective;

/// Trials that train as one where nothing else is asked for: more make a GPU hardly faster.
pub const TOGETHER: usize = 128;

/// The trials of an experiment in groups that train as one, by their places. On the CPU a trial is alone, unless so many
/// at once are asked for of libtorch. Groups depend on no trial's state: those that are run again keep theirs.
pub fn groups(trials: &[Trial], most: Option<usize>) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    // Of each shape, the group that is being filled.
    let mut open: HashMap<String, usize> = HashMap::new();
    for (place, Trial { config, .. }) in trials.iter().enumerate() {
        let most = match most {
            Some(most) if needs_torch(config).is_some() => most,
            None if on_gpu(config) => TOGETHER,
            _ => 1,
        };
        let shape = shape(config);
        match open.get(&shape).filter(|group| groups[**group].len() < most) {
            Some(group) => groups[*group].push(place),
            None => {
                open.insert(shape, groups.len());
                groups.push(vec![place]);
            }
        }
    }
    groups
}

/// What trials that train as one have in common.
fn shape(config: &Config) -> String {
    let (objective, batch_size) = (&config.objective, config.training.batch_size);
    let run = (config.engine, config.device, config.threads);
    let Objective { pairing, codes, noise, .. } = objective;
    format!("{:?} {batch_size} {pairing:?} {codes} {noise:?} {run:?}", config.model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{ConfigFile, Override};

    fn trials(sets: &[&[&str]]) -> Vec<Trial> {
        let trial = |set: &&[&str]| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("test.toml");
            std::fs::write(&path, "").unwrap();
            let sets: Vec<Override> = set.iter().map(|set| set.parse().unwrap()).collect();
            let config = ConfigFile::load(&path, &sets).unwrap();
            Trial { name: String::new(), folder: folder.path().to_owned(), config }
        };
        sets.iter().map(trial).collect()
    }

    #[test]
    fn trials_of_one_shape_on_a_gpu_train_as_one() {
        let cuda = "device=cuda";
        let trials = trials(&[
            &[cuda, "seed=1"],
            &[cuda, "seed=2", "beta.value=0.3", "training.learning_rate=0.001"],
            &[cuda, "model.latent_dim=2"],
            &[cuda, "seed=3", "training.steps=900", "data.seed=2"],
            &[cuda, "training.batch_size=256"],
            &["device=cpu"],
            &["device=cpu", "seed=2"],
        ]);
        assert_eq!(groups(&trials, None), [vec![0, 1, 3], vec![2], vec![4], vec![5], vec![6]]);
        assert_eq!(groups(&trials, Some(2)), [vec![0, 1], vec![2], vec![3], vec![4], vec![5], vec![6]]);
    }

    #[test]
    fn libtorch_on_the_cpu_takes_several_trials_where_that_is_asked_for() {
        let sets: [&[&str]; 2] = [&["device=cpu", "engine=torch"], &["device=cpu", "engine=torch", "seed=2"]];
        assert_eq!(groups(&trials(&sets), None).len(), 2);
        assert_eq!(groups(&trials(&sets), Some(8)), [[0, 1]]);
    }
}
