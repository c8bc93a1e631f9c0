//! Which version of the code a run was made with.

use serde::{Deserialize, Serialize};

use crate::model::DeviceChoice;

/// Version of what a config means to training. A trial keeps the one that it was trained under.
pub const SEMANTICS: u32 = 1;

/// Commit that this program was built from, or `unknown`; build.rs asks git.
const COMMIT: &str = env!("CVAE_COMMIT");
/// Whether its sources differed from that commit.
const DIRTY: bool = !env!("CVAE_DIRTY").is_empty();

/// Version, commit, and whether the work tree differed from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this crate.
    pub version: String,
    /// Commit that the program was built from; `unknown` where it was built outside of a repository.
    pub commit: String,
    /// Whether the program's sources differed from that commit.
    pub dirty: bool,
    /// What the config's device came to on the machine: `cpu` or `cuda`.
    #[serde(default)]
    pub device: String,
    /// Version of what a config means to training, a part of the trial's identity; the first one had no such key.
    #[serde(default = "first_semantics", skip_serializing_if = "is_first")]
    pub semantics: u32,
}

fn first_semantics() -> u32 {
    1
}

fn is_first(semantics: &u32) -> bool {
    *semantics == first_semantics()
}

impl Provenance {
    /// The same for a run on another device.
    pub fn on(&self, device: DeviceChoice) -> Self {
        let device = if device == DeviceChoice::Cpu { "cpu".to_owned() } else { self.device.clone() };
        Self { device, ..self.clone() }
    }

    /// What this program is, and what this machine has.
    pub fn here(device: DeviceChoice) -> Self {
        let cuda = device != DeviceChoice::Cpu && crate::model::engine::installed().is_some();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: COMMIT.to_owned(),
            dirty: DIRTY,
            device: if cuda { "cuda" } else { "cpu" }.to_owned(),
            semantics: SEMANTICS,
        }
    }
}
