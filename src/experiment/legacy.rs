//! Names that trials had before they were named by meaning: ending in a hash of every key that a config had then.

use sha2::{Digest, Sha256};

use super::config::Config;
use super::identity::REMOVED;

/// The sections of that time with their keys, in their order; the first one has no name.
const KEYS: [(&str, &[&str]); 7] = [
    ("", &["seed", "threads", "device"]),
    ("data", &["split", "held_out", "seed"]),
    ("model", &["latent_dim", "hidden_dim", "angles", "heads", "trunk"]),
    ("beta", &["schedule", "value", "low", "high", "rise", "cycles", "calendar", "code"]),
    ("objective", &["hybrid", "pairing", "codes", "free_bits"]),
    (
        "training",
        &[
            "steps",
            "batch_size",
            "learning_rate",
            "warm_up",
            "final_share",
            "second_moment",
            "late_second_moment",
            "weight_decay",
            "gradient_clip",
            "divergence",
            "checkpoint_every",
        ],
    ),
    ("evaluation", &["every", "samples", "final_samples", "importance"]),
];

/// The hash that ended the name of a trial with this config. Values of later keys do not count, as they stand at the
/// default that keeps what was there.
pub(super) fn hash(config: &Config) -> String {
    let values: Vec<(String, toml::Value)> = super::identity::flatten(config);
    let json = |path: &str| match values.iter().find(|(key, _)| key == path).map(|(_, value)| value) {
        // JSON has no infinity and writes null.
        Some(value) => serde_json::to_string(value).unwrap_or_default(),
        None => {
            let removed = REMOVED.iter().find(|(key, _)| *key == path);
            removed.map_or("null", |(_, default)| default).to_owned()
        }
    };
    let section = |(section, keys): &(&str, &[&str])| {
        let path = |key: &str| if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        let pairs: Vec<String> = keys.iter().map(|key| format!("\"{key}\":{}", json(&path(key)))).collect();
        if section.is_empty() { pairs.join(",") } else { format!("\"{section}\":{{{}}}", pairs.join(",")) }
    };
    let text = format!("{{{}}}", KEYS.iter().map(section).collect::<Vec<_>>().join(","));
    Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
