//! Which engine a config is trained with, and whether this program has it.

use std::path::{Path, PathBuf};

use super::config::Config;
use crate::model::{CpuEngine, DeviceChoice, EngineError, EngineKind, EngineOptions, MakeEngine, engine};

/// An engine that another program has, and what asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsTorch {
    /// The key at fault, as configs write it.
    pub key: &'static str,
    /// Whether the built-in engine will do where that program is missing.
    pub optional: bool,
}

/// Whether a config is to be trained by `cvae-torch`.
pub fn needs_torch(config: &Config) -> Option<NeedsTorch> {
    asks_for_torch(config, gpu_found)
}

fn asks_for_torch(config: &Config, gpu_found: impl Fn() -> bool) -> Option<NeedsTorch> {
    match (config.engine, config.device) {
        // Baselines need no engine.
        _ if config.model.kind.is_baseline() => None,
        (EngineKind::Torch, _) => Some(NeedsTorch { key: "engine = \"torch\"", optional: false }),
        (_, DeviceChoice::Cuda) => Some(NeedsTorch { key: "device = \"cuda\"", optional: false }),
        (_, DeviceChoice::Auto) if !config.builtin_alone() && gpu_found() => {
            Some(NeedsTorch { key: "device = \"auto\"", optional: true })
        }
        _ => None,
    }
}

/// The program beside this one that trains with libtorch.
const PROGRAM: &str = "cvae-torch";

/// Where `cvae-torch` lies, whether it is there or not.
///
/// # Errors
/// When the system can't tell where this program lies.
pub fn torch_program() -> std::io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX)))
}

/// Whether a config is trained on a GPU, as far as can be told without libtorch.
pub(super) fn on_gpu(config: &Config) -> bool {
    let has_torch = || engine::installed().is_some() || torch_program().is_ok_and(|program| program.exists());
    match config.device {
        _ if config.model.kind.is_baseline() => false,
        DeviceChoice::Cuda => true,
        DeviceChoice::Auto => !config.builtin_alone() && gpu_found() && has_torch(),
        DeviceChoice::Cpu => false,
    }
}

/// Whether the system has an NVIDIA GPU, without libtorch.
fn gpu_found() -> bool {
    let listed = Path::new("/proc/driver/nvidia/gpus").read_dir();
    listed.is_ok_and(|mut gpus| gpus.next().is_some()) || Path::new("/dev/nvidia0").exists()
}

/// What no other engine trains.
const GROWING: &str =
    "training.first_batch_size is for the built-in engine alone; set engine = \"builtin\" and device = \"cpu\"";

/// The engine that a config is trained with in this program.
///
/// # Errors
/// When only `cvae-torch` has it.
pub(super) fn engine_of(config: &Config) -> Result<(MakeEngine, EngineOptions), EngineError> {
    let options = EngineOptions { threads: config.threads as usize, device: config.device, engine: config.engine };
    match (needs_torch(config), engine::installed()) {
        // Batches of one size at every step make all steps of a GPU alike.
        (Some(NeedsTorch { optional: false, .. }), Some(_)) if config.training.first_batch_size > 0 => {
            Err(EngineError::Unsupported(GROWING))
        }
        (Some(_), Some(make)) => Ok((make, options)),
        (Some(NeedsTorch { key, optional: false }), None) => Err(EngineError::NotInstalled(key)),
        _ => Ok((CpuEngine::make, options)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::ConfigFile;

    #[test]
    fn a_gpu_that_is_found_trains_what_it_can() {
        let config = |text: &str| toml::from_str::<ConfigFile>(text).unwrap().check().unwrap();
        let key = |text: &str, gpu| asks_for_torch(&config(text), || gpu).map(|needs| (needs.key, needs.optional));
        assert_eq!(key("", true), Some(("device = \"auto\"", true)));
        assert_eq!(key("", false), None);
        let cures = [
            "objective = { importance_samples = 5, hybrid = 0 }",
            "objective = { mmd = 100 }",
            "training = { encoder_updates = 1, aggressive_steps = 100 }\nbeta = { schedule = \"constant\" }",
            "model = { prior = \"conditional\" }",
            "model = { kind = \"counts\" }",
        ];
        for text in cures {
            assert_eq!(key(text, true), None, "{text}");
        }
        assert_eq!(key("device = \"cuda\"\nobjective = { mmd = 100 }", true), Some(("device = \"cuda\"", false)));
    }
}
