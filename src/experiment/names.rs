//! Names of trials: what differs, the seed, and the hash by which a trial's folder is found again.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::config::Config;
use super::identity::{Identity, keys};
use super::legacy;

/// The label of a setting that has every usual value.
const UNCHANGED: &str = "nothing changed";
/// The label of the default config.
const DEFAULT: &str = "default";
/// File systems take 255 bytes; the hash tells trials apart whose readable parts are left out.
const READABLE: usize = 100;

/// The names of an experiment's trials: what tells a trial from most of the others, then what else differs from the
/// defaults, the seed, and the hash.
pub fn trial_names(trials: &[Identity]) -> Vec<String> {
    let unusual = Unusual::among(trials);
    trials.iter().map(|trial| name(trial, unusual.parts(trial))).collect()
}

/// The name of a trial by itself: what differs from the defaults, the seed, and the hash.
pub fn trial_name(config: &Config) -> String {
    name(&config.identity(), Vec::new())
}

fn name(trial: &Identity, first: Vec<(&'static str, String)>) -> String {
    let mut rest: Vec<(&'static str, String)> =
        trial.differences.iter().filter(|(key, _)| first.iter().all(|(known, _)| known != key)).cloned().collect();
    // Where a trial came from tells it from every other one.
    rest.sort_by_key(|(key, _)| (*key != "from", !key.contains('.')));
    let mut name = String::new();
    for part in first.iter().chain(&rest).map(readable) {
        if name.len() + part.len() > READABLE {
            break;
        }
        name += &part;
        name.push('-');
    }
    format!("{name}seed{}-{}", trial.seed, trial.hash())
}

/// Labels of settings, each a trial that stands for those of other seeds: what tells it from most of the others.
pub fn labels(settings: &[Identity]) -> Vec<String> {
    // The default setting is called so, and others are not described by how they differ from it.
    let others: Vec<Identity> = settings.iter().filter(|one| !one.differences.is_empty()).cloned().collect();
    let unusual = Unusual::among(&others);
    let label = |one: &Identity| {
        let parts = if others.len() == 1 { one.differences.clone() } else { unusual.parts(one) };
        match (one.differences.is_empty(), parts.is_empty()) {
            (true, _) => DEFAULT.to_owned(),
            (false, true) => UNCHANGED.to_owned(),
            (false, false) => parts.iter().map(readable).collect::<Vec<_>>().join("-"),
        }
    };
    settings.iter().map(label).collect()
}

/// What is usual among trials: for each key that they differ in, the value that more than half of them have.
struct Unusual {
    varying: Vec<(&'static str, Option<String>)>,
}

impl Unusual {
    fn among(trials: &[Identity]) -> Self {
        let mut counts: HashMap<&str, HashMap<&str, usize>> = HashMap::new();
        for (key, text) in trials.iter().flat_map(|trial| &trial.differences) {
            *counts.entry(key).or_default().entry(text).or_default() += 1;
        }
        let mut varying = Vec::new();
        for key in keys() {
            let Some(values) = counts.get(key) else { continue };
            let at_default = trials.len() - values.values().sum::<usize>();
            if values.len() == 1 && at_default == 0 {
                continue;
            }
            let usual = if 2 * at_default > trials.len() {
                trials.iter().map(|trial| trial.value(key)).find(|text| !values.contains_key(text))
            } else {
                values.iter().find(|(_, count)| 2 * **count > trials.len()).map(|(text, _)| *text)
            };
            varying.push((key, usual.map(str::to_owned)));
        }
        varying.sort_by_key(|(key, _)| !key.contains('.'));
        Self { varying }
    }

    fn parts(&self, trial: &Identity) -> Vec<(&'static str, String)> {
        let own = self.varying.iter().map(|(key, usual)| (*key, trial.value(key), usual));
        own.filter(|(_, value, usual)| usual.as_deref() != Some(*value))
            .map(|(key, value, _)| (key, value.to_owned()))
            .collect()
    }
}

/// `model.latent_dim = 8` as part of a folder's name: `latent_dim8`. A name that two keys share has its section.
fn readable((key, text): &(&'static str, String)) -> String {
    let last = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
    let shared = keys().filter(|other| last(other) == last(key)).count() > 1;
    let key = if shared { key } else { last(key) };
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let in_value = |c: char| if c == '.' { c } else { plain(c) };
    let text = text.strip_suffix(".0").unwrap_or(text);
    key.chars().map(plain).chain(text.chars().map(in_value)).collect()
}

/// The hash at the end of a trial's name.
pub fn named_hash(name: &str) -> Option<&str> {
    let (rest, hash) = name.rsplit_once('-')?;
    let seed = rest.rsplit('-').next()?.strip_prefix("seed")?;
    let is_seed = !seed.is_empty() && seed.bytes().all(|byte| byte.is_ascii_digit());
    let is_hash = hash.len() == 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_seed && is_hash).then_some(hash)
}

/// Whether a hash in a name is that of this config, by meaning or as earlier versions made it.
pub fn is_hash_of(hash: &str, config: &Config) -> bool {
    hash == config.hash() || hash == legacy::hash(config)
}

/// The trials' folders that an experiment has: a trial is found by its hash, however its name begins.
#[derive(Debug, Default)]
pub struct Known {
    names: HashMap<String, Vec<String>>,
}

impl Known {
    /// Those in a folder; none where it cannot be read.
    pub fn read(folder: &Path) -> Self {
        let mut names: HashMap<String, Vec<String>> = HashMap::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if let Some(hash) = named_hash(&name) {
                names.entry(hash.to_owned()).or_default().push(name);
            }
        }
        names.values_mut().for_each(|names| names.sort());
        Self { names }
    }

    /// The name of the folder that the trial has, or else the one that it shall have.
    pub fn name(&self, config: &Config, hash: &str, name: String) -> String {
        if self.names.is_empty() {
            return name;
        }
        match self.names.get(hash).or_else(|| self.names.get(&legacy::hash(config))) {
            Some(known) if !known.contains(&name) => known[0].clone(),
            _ => name,
        }
    }
}

/// The folder of a trial by itself, within that of an experiment.
pub fn trial_folder(experiment: &Path, config: &Config) -> PathBuf {
    experiment.join(Known::read(experiment).name(config, &config.hash(), trial_name(config)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::ConfigFile;

    fn identity(set: impl Fn(&mut ConfigFile)) -> Identity {
        let mut file = ConfigFile::default();
        set(&mut file);
        Identity::of(&file)
    }

    fn readable_of(trials: &[Identity]) -> Vec<String> {
        trial_names(trials).iter().map(|name| name.rsplit_once('-').unwrap().0.to_owned()).collect()
    }

    #[test]
    fn what_differs_stands_first_and_seeds_are_told_apart() {
        let short = |file: &mut ConfigFile| (file.training.steps, file.threads) = (900, 1);
        let plain = identity(short);
        let split = identity(|file| {
            short(file);
            (file.data.seed, file.seed) = (2, 3);
        });
        let usual_rate = identity(|file| {
            short(file);
            file.training.learning_rate = 0.1;
        });
        assert_eq!(
            readable_of(&[plain.clone(), plain, split, usual_rate]),
            [
                "steps900-threads1-seed1",
                "steps900-threads1-seed1",
                "data_seed2-steps900-threads1-seed3",
                "learning_rate0.1-steps900-threads1-seed1"
            ]
        );
    }

    #[test]
    fn a_grid_names_its_values_even_where_one_is_the_default() {
        let value = |value| identity(|file| file.beta.value = value);
        assert_eq!(readable_of(&[value(0.55), value(1.0)]), ["value0.55-seed1", "value1-seed1"]);
        assert_eq!(readable_of(&[value(0.55)]), ["seed1"]);
    }

    #[test]
    fn labels_name_what_was_changed() {
        let one = |heads, value| {
            identity(|file| {
                (file.beta.value, file.training.steps) = (value, 900);
                file.objective.hybrid = heads;
            })
        };
        let labels = labels(&[identity(|_| {}), one(0.0, 0.6), one(1.0, 0.6), one(1.0, 0.7), one(1.0, 0.6)]);
        assert_eq!(labels, ["default", "hybrid0", UNCHANGED, "value0.7", UNCHANGED]);
    }

    #[test]
    fn a_name_of_many_values_fits_a_file_system() {
        let many = identity(|file| {
            (file.seed, file.threads, file.data.seed) = (u64::MAX >> 1, 7, 12_345_678_901);
            (file.training.steps, file.training.checkpoint_every, file.training.warm_up) = (123_456_789, 5, 99_999);
            (file.beta.value, file.beta.low, file.beta.high) = (0.123_456_789, 0.012_345_678_9, 1e-5);
            (file.objective.hybrid, file.objective.free_bits) = (0.123_456_78, 0.123_456_78);
        });
        let name = trial_name(&ConfigFile::default().check().unwrap());
        assert!(name.starts_with("seed1-"), "{name}");
        let name = &trial_names(std::slice::from_ref(&many))[0];
        assert!(name.len() < 160 && name.starts_with("data_seed12345678901-") && !name.contains("--"), "{name}");
    }
}
