//! Which version of the code a run was made with.

use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::model::DeviceChoice;

/// Version, commit, and whether the work tree differed from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this crate.
    pub version: String,
    /// Commit of the work tree that the command was run in; `unknown` outside of one.
    pub commit: String,
    /// Whether tracked files differed from that commit, those that commands write not counted.
    pub dirty: bool,
    /// What the config's device came to on the machine: `cpu` or `cuda`.
    #[serde(default)]
    pub device: String,
}

/// Folders that commands write to: what stands there decides nothing about a run.
const WRITTEN: [&str; 4] = [":(top,exclude)data", ":(top,exclude)runs", ":(top,exclude)plots", ":(top,exclude)report"];

impl Provenance {
    /// The same for a run on another device.
    pub fn on(&self, device: DeviceChoice) -> Self {
        let device = if device == DeviceChoice::Cpu { "cpu".to_owned() } else { self.device.clone() };
        Self { device, ..self.clone() }
    }

    /// Asks git about the current folder.
    pub fn here(device: DeviceChoice) -> Self {
        let cuda = device != DeviceChoice::Cpu && crate::model::engine::installed().is_some();
        let commit = git(&["rev-parse", "--short=12", "HEAD"]);
        let changes = git(&[&["status", "--porcelain", "--untracked-files=no", "--", ":/"], &WRITTEN[..]].concat());
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: commit.unwrap_or_else(|| "unknown".to_owned()),
            dirty: changes.is_some_and(|changes| !changes.is_empty()),
            device: if cuda { "cuda" } else { "cpu" }.to_owned(),
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
