//! What makes a trial the one it is: its seed, and the values that differ from the defaults by meaning, in whatever
//! file or option they were written.
//!
//! A new key whose default keeps the old behaviour renames no trial. When a default changes, list the old one in
//! [`FIRST_DEFAULTS`]; when a key is renamed, list it in [`RENAMED`]; when the same config trains to other results
//! than before, raise [`SEMANTICS`].

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::config_file::ConfigFile;
use super::provenance::SEMANTICS;

/// Keys that change no result: trials that differ in them alone are one trial.
const WITHOUT_EFFECT: [&str; 2] = ["training.checkpoint_every", "training.keep_checkpoint"];

/// Keys whose default has changed, with the default that names have been counted from ever since the key was new.
const FIRST_DEFAULTS: &[(&str, &str)] = &[];

/// Keys that are read and have no effect any more, with their last default: they stay in the names of trials that set
/// them, and are written where they differ.
pub(super) const REMOVED: [(&str, &str); 1] = [("evaluation.importance", "512")];

/// Keys that have been renamed: today's dotted path and the first one, which hashes are made of.
const RENAMED: &[(&str, &str)] = &[];

/// Every key with the text of its first default, in the order of the config.
static DEFAULTS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let first = |key: &str| FIRST_DEFAULTS.iter().find(|(known, _)| *known == key).map(|(_, text)| (*text).to_owned());
    let defaults = flatten(&ConfigFile::default()).into_iter().map(|(key, value)| {
        let text = first(&key).unwrap_or_else(|| canonical(&value));
        (key, text)
    });
    defaults.chain(REMOVED.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))).collect()
});

/// A trial's seed, and the values that tell it from the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub(super) seed: u64,
    semantics: u32,
    /// Keys with the canonical text of their values, in the order of the config.
    pub(super) differences: Vec<(&'static str, String)>,
}

impl Identity {
    /// The identity of the trial with this config.
    pub fn of(config: &ConfigFile) -> Self {
        let values = flatten(config);
        let differs = |(key, value): (String, toml::Value)| {
            let (key, default) = DEFAULTS.iter().find(|(known, _)| *known == key)?;
            let text = canonical(&value);
            (key != "seed" && has_effect(key) && text != *default).then_some((key.as_str(), text))
        };
        let differences = values.into_iter().filter_map(differs).collect();
        let semantics = config.provenance.as_ref().map_or(SEMANTICS, |provenance| provenance.semantics);
        Self { seed: config.seed, semantics, differences }
    }

    /// The identity of a trial given by its keys and values as text, in the order of the config: for labels.
    pub fn of_flat(config: &[(String, String)]) -> Self {
        let text = |key: &str| config.iter().find(|(known, _)| known == key).map(|(_, text)| text);
        let differs = |(key, default): &'static (String, String)| {
            let text = text(key).filter(|text| *text != default && key != "seed" && has_effect(key))?;
            Some((key.as_str(), text.clone()))
        };
        let seed = text("seed").and_then(|seed| seed.parse().ok()).unwrap_or_default();
        Self { seed, semantics: SEMANTICS, differences: DEFAULTS.iter().filter_map(differs).collect() }
    }

    /// The 48 bits at the start of the digest: with 32 two of 100,000 trials would as likely as not share theirs.
    pub fn number(&self) -> u64 {
        let first =
            |key: &'static str| RENAMED.iter().find(|(today, _)| *today == key).map_or(key, |(_, first)| *first);
        let mut lines: Vec<String> =
            self.differences.iter().map(|(key, text)| format!("{}={text}", first(key))).collect();
        // The order of the fields is a matter of the source.
        lines.sort();
        let text = format!("semantics={}\nseed={}\n{}", self.semantics, self.seed, lines.join("\n"));
        Sha256::digest(text).iter().take(6).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    /// [`Identity::number`] as twelve hexadecimal digits.
    pub fn hash(&self) -> String {
        format!("{:012x}", self.number())
    }

    /// The text of a key's value, be it the default one or not.
    pub(super) fn value(&self, key: &str) -> &str {
        let default = || DEFAULTS.iter().find(|(known, _)| known == key).map_or("", |(_, text)| text);
        self.differences.iter().find(|(known, _)| *known == key).map_or_else(default, |(_, text)| text)
    }
}

/// Whether a key counts, as all do but those that change no result.
pub(super) fn has_effect(key: &str) -> bool {
    !WITHOUT_EFFECT.contains(&key)
}

/// Every key of a config, in order.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    DEFAULTS.iter().map(|(key, _)| key.as_str()).filter(|key| REMOVED.iter().all(|(removed, _)| removed != key))
}

/// Every key as a dotted path, with its value, in the order of the fields.
pub(super) fn flatten(config: &ConfigFile) -> Vec<(String, toml::Value)> {
    let file = ConfigFile { provenance: None, ..config.clone() };
    // Every key is a string and every value a plain TOML type, which always serialises; seeds beyond TOML's whole
    // numbers come from no file.
    let table = toml::Table::try_from(&file).unwrap_or_default();
    let mut values = Vec::with_capacity(40);
    for (key, value) in table {
        match value {
            toml::Value::Table(section) => {
                values.extend(section.into_iter().map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            value => values.push((key, value)),
        }
    }
    values
}

/// A value as names and hashes have it: equal for values that mean the same, and independent of TOML's writer.
fn canonical(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        // Adding 0 makes -0 a 0.
        toml::Value::Float(number) => format!("{:?}", number + 0.0),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Override, Source};

    fn identity(text: &str, sets: &[&str]) -> Identity {
        let sets: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
        let source = Source::of_text(text, std::path::Path::new("a.toml")).unwrap();
        let config = source.resolve(sets.iter().map(|set| (set, crate::experiment::source::Origin::CommandLine)));
        Identity::of(&config.unwrap())
    }

    /// A hash that is not this one renames every trial there is: see the top of this module for what to list.
    #[test]
    fn hashes_are_those_of_earlier_versions() {
        assert_eq!(identity("", &[]).hash(), "670095d15733");
        assert_eq!(
            identity("seed = 7\n[model]\nlatent_dim = 4\n[beta]\nvalue = 0.6\nhigh = 1", &[]).hash(),
            "5c4fae3f676c"
        );
    }

    #[test]
    fn values_count_by_what_they_mean() {
        let one = identity("[beta]\nvalue = 1\nlow = 0.0", &[]);
        assert_eq!(one, identity("[beta]\nvalue = 1.0\nlow = -0.0", &[]));
        assert_eq!(one, identity("", &["beta.value=1e0", "beta={ low = 0 }"]));
        assert_eq!(identity("", &[]), identity("threads = 2\n[beta]\nhigh = inf\nvalue = 0.55", &[]));
        assert_ne!(one.hash(), identity("[beta]\nvalue = 1\nlow = 0.0", &["seed=2"]).hash());
    }

    #[test]
    fn what_changes_no_result_is_left_out_and_all_else_counts() {
        assert_eq!(identity("", &["training.checkpoint_every=7"]), identity("", &[]));
        for set in ["data.seed=2", "threads=1", "device=cpu", "evaluation.every=7", "training.divergence=50"] {
            assert_ne!(identity("", &[set]).hash(), identity("", &[]).hash(), "{set}");
        }
    }

    #[test]
    fn another_semantics_makes_another_trial() {
        let one = identity("", &[]);
        assert_ne!(Identity { semantics: 2, ..one.clone() }.hash(), one.hash());
    }
}
