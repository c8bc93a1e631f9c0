//! Checkpoints: weights, moments and counters in one file, replaced by rename.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::schedule::ScheduleState;
use crate::checksums::ChecksumError;
use crate::files;
use crate::model::{
    Layout, Tensor, Tensors, TrainingState, Values, WeightsError, flat, load_tensors, named, save_tensors,
};
use crate::printable::ShownPath;

/// Everything about a run that is not a tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Steps done.
    pub step: u64,
    /// Where the beta schedule stands.
    pub schedule: ScheduleState,
    /// Sums over the steps since the last evaluation: loss, reconstruction, KL, prior reconstruction.
    pub sums: [f64; 4],
    /// Number of those steps.
    pub summed: u64,
    /// Terms of finished steps that the schedule has not seen yet.
    pub pending: Vec<[f64; 4]>,
    /// Seconds spent in training steps.
    pub seconds: f64,
    /// SHA-256 of the history up to this step, whose later rows belong to no checkpoint.
    pub history: String,
    /// What tells the run from others: a checkpoint of another one is not taken up.
    pub run: String,
    /// The step at which Adam's moments were 0: the first one, but where weights alone were taken over.
    #[serde(default, skip_serializing_if = "is_first")]
    pub moments_since: u64,
    /// The lowest negative log-likelihood of validation rows so far, nats, where a sample is trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<f64>,
    /// The weights that it belongs to.
    #[serde(skip)]
    pub best_weights: Vec<f32>,
}

fn is_first(step: &u64) -> bool {
    *step == 0
}

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The tensors.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The counters.
    #[error("{path} can't be taken up: {reason}; remove it to train from the start", path = .path.shown())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Longer than any run took: a thousand years.
const MOST_SECONDS: f64 = 3.2e10;
/// The counters travel as a tensor of bytes, so that one rename replaces everything at once.
const STATE: &str = "state";
const MODEL: &str = "model.";
const BEST: &str = "best";
const AVERAGE: &str = "average";
const BASES: &str = "bases";
const MOMENTS: [&str; 2] = ["first", "second"];

impl Checkpoint {
    /// Writes weights, moments and the counters.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: &Path, layout: &Layout, training: TrainingState) -> Result<(), CheckpointError> {
        let state = serde_json::to_vec(self)
            .map_err(|error| CheckpointError::State { path: path.to_owned(), reason: error.to_string() })?;
        let weights = named(layout, &training.weights).into_iter();
        let mut tensors: Tensors = weights.map(|(name, tensor)| (format!("{MODEL}{name}"), tensor)).collect();
        let moments = MOMENTS.into_iter().zip([training.first, training.second]);
        tensors.extend(moments.map(|(name, values)| (name.to_owned(), Tensor::of_floats(values))));
        if !training.average.is_empty() {
            tensors.insert(AVERAGE.to_owned(), Tensor::of_floats(training.average));
        }
        if !training.bases.is_empty() {
            tensors.insert(BASES.to_owned(), Tensor::of_floats(training.bases));
        }
        if self.best.is_some() {
            tensors.insert(BEST.to_owned(), Tensor::of_floats(self.best_weights.clone()));
        }
        tensors.insert(STATE.to_owned(), Tensor::of_bytes(state));
        Ok(save_tensors(&tensors, path)?)
    }

    /// Checks that a run of so many steps can have come to these counters; terms wait in groups of fewer than `window`.
    ///
    /// # Errors
    /// What no run comes to.
    pub fn check(&self, steps: u64, window: usize) -> Result<(), String> {
        let Self { step, summed, seconds, schedule, .. } = self;
        let wrong = if *step == 0 || *step > steps {
            format!("step {step}, where the run has {steps}")
        } else if *summed > *step {
            format!("{summed} summed steps after step {step}")
        } else if *summed == 0 && self.sums.iter().any(|sum| *sum != 0.0) {
            "sums over no steps".to_owned()
        } else if self.pending.len() as u64 > *step || self.pending.len() >= window {
            format!("{} terms that the schedule has not seen", self.pending.len())
        } else if !(0.0..=MOST_SECONDS).contains(seconds) {
            format!("{seconds} seconds of training")
        } else if !self.sums.iter().chain(self.pending.iter().flatten()).all(|term| term.is_finite()) {
            "terms of the loss that are not finite".to_owned()
        } else if self.moments_since > *step {
            format!("moments since step {} after step {step}", self.moments_since)
        } else if schedule.since > *step {
            format!("a phase since step {} after step {step}", schedule.since)
        } else {
            return Ok(());
        };
        Err(format!("its counters are impossible ({wrong})"))
    }

    /// The step that a checkpoint was written after, read off it without its tensors; none where it can't be.
    pub fn step_of(path: &Path) -> Option<u64> {
        #[derive(Deserialize)]
        struct Place {
            data_offsets: [u64; 2],
        }
        #[derive(Deserialize)]
        struct Header {
            // [`STATE`]; the header has other tensors beside it.
            state: Place,
        }
        const MOST: u64 = 1 << 20;
        let mut file = files::open_regular(path).ok()?;
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let length = u64::from_le_bytes(length);
        let mut header = Vec::new();
        file.by_ref().take(length.min(MOST)).read_to_end(&mut header).ok()?;
        let [start, end] = serde_json::from_slice::<Header>(&header).ok()?.state.data_offsets;
        file.seek(SeekFrom::Start(length.checked_add(8)?.checked_add(start)?)).ok()?;
        let mut state = Vec::new();
        file.take(end.checked_sub(start)?.min(MOST)).read_to_end(&mut state).ok()?;
        Some(serde_json::from_slice::<Self>(&state).ok()?.step)
    }

    /// Reads what [`Checkpoint::save`] wrote for a model of this layout.
    ///
    /// # Errors
    /// When the file can't be read, is damaged or belongs to another model.
    pub fn load(path: &Path, layout: &Layout) -> Result<(Self, TrainingState), CheckpointError> {
        let damaged = |reason: &str| CheckpointError::State { path: path.to_owned(), reason: reason.to_owned() };
        let mut tensors = load_tensors(path).map_err(|error| match error {
            WeightsError::Format { reason, .. } => damaged(&format!("it is damaged, {reason}")),
            WeightsError::Damaged { .. } => damaged("it is damaged, its bytes don't match its checksum"),
            WeightsError::Checksum(ChecksumError::Unlisted { .. }) => {
                damaged("it is damaged or of another version, it has no checksum")
            }
            error => error.into(),
        })?;
        let state = tensors.remove(STATE).ok_or_else(|| damaged("it has no counters"))?;
        let Values::U8(bytes) = state.values else { return Err(damaged("its counters are not text")) };
        let mut state: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(&error.to_string()))?;
        let has_average = tensors.contains_key(AVERAGE);
        let mut moments = |name: &str| -> Result<Vec<f32>, CheckpointError> {
            let tensor = tensors.remove(name).ok_or_else(|| damaged(&format!("its moments {name} are missing")))?;
            match tensor.values {
                Values::F32(values) if values.len() == layout.len => Ok(values),
                _ => Err(damaged(&format!("its moments {name} are not {} floats", layout.len))),
            }
        };
        let (first, second) = (moments(MOMENTS[0])?, moments(MOMENTS[1])?);
        if !first.iter().all(|value| value.is_finite())
            || !second.iter().all(|value| value.is_finite() && *value >= 0.0)
        {
            return Err(damaged("its moments are none that a run comes to"));
        }
        if state.best.is_some() {
            state.best_weights = moments(BEST)?;
        }
        let average = if has_average { moments(AVERAGE)? } else { Vec::new() };
        let bases = match tensors.remove(BASES).map(|tensor| tensor.values) {
            None => Vec::new(),
            Some(Values::F32(bases))
                if bases.len() == layout.bases_len() && bases.iter().all(|value| value.is_finite()) =>
            {
                bases
            }
            Some(_) => return Err(damaged("its bases are none that a run comes to")),
        };
        let weights = tensors.into_iter();
        let weights = weights.map(|(name, tensor)| (name.strip_prefix(MODEL).unwrap_or(&name).to_owned(), tensor));
        let weights = flat(layout, weights.collect(), path)?;
        Ok((state, TrainingState { weights, first, second, average, bases }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;
    use crate::task::dates;

    fn layout() -> Layout {
        Layout::new(&ModelConfig { hidden_dim: 4, angles: 2, ..ModelConfig::default() }, &dates::schema())
    }

    #[test]
    fn counters_survive_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let state = Checkpoint {
            step: 7,
            sums: [0.1 + 0.2, 1e-300, 3.0, f64::MIN_POSITIVE],
            summed: 3,
            pending: vec![[1.0 / 3.0, 2.0f64.sqrt(), 0.0, -0.0]],
            seconds: 12.345678901234567,
            ..Checkpoint::default()
        };
        let layout = layout();
        let values = |scale: f32| (0..layout.len).map(|place| place as f32 * scale).collect::<Vec<_>>();
        let training = TrainingState {
            weights: values(0.1),
            first: values(0.2),
            second: values(0.3),
            average: values(0.4),
            bases: vec![0.5; layout.bases_len()],
        };
        state.save(&path, &layout, training.clone()).unwrap();
        assert_eq!(Checkpoint::load(&path, &layout).unwrap(), (state, training));
        assert_eq!(Checkpoint::step_of(&path), Some(7));
        std::fs::write(&path, "short").unwrap();
        assert_eq!((Checkpoint::step_of(&path), Checkpoint::step_of(folder.path())), (None, None));
    }

    #[test]
    fn damaged_checkpoints_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        save_tensors(&Tensors::from([("other".to_owned(), Tensor::of_floats(vec![1.0]))]), &path).unwrap();
        let error = Checkpoint::load(&path, &layout()).unwrap_err().to_string();
        assert!(error.contains("checkpoint.safetensors") && error.contains("no counters"), "{error}");
    }

    #[test]
    fn counters_that_no_run_comes_to_are_refused() {
        let sound =
            || Checkpoint { step: 7, summed: 3, pending: vec![[0.5; 4]], seconds: 1.0, ..Checkpoint::default() };
        assert_eq!(sound().check(10, 10), Ok(()));
        let refused = |hostile: Checkpoint, words: &str| {
            let reason = hostile.check(10, 10).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        };
        refused(Checkpoint { step: u64::MAX, ..sound() }, "step 18446744073709551615, where the run has 10");
        refused(Checkpoint { step: 0, summed: 0, pending: Vec::new(), ..sound() }, "step 0");
        refused(Checkpoint { summed: u64::MAX, ..sound() }, "summed steps");
        refused(Checkpoint { pending: vec![[0.5; 4]; 10], step: 10, ..sound() }, "10 terms");
        for seconds in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            refused(Checkpoint { seconds, ..sound() }, "seconds of training");
        }
        for term in [f64::NAN, f64::NEG_INFINITY] {
            refused(Checkpoint { sums: [0.5, 0.5, term, 0.5], ..sound() }, "not finite");
            refused(Checkpoint { pending: vec![[0.5, 0.5, 0.5, term]], ..sound() }, "not finite");
        }
        refused(Checkpoint { summed: 0, sums: [1.0; 4], ..sound() }, "sums over no steps");
        let mut schedule = ScheduleState::default();
        schedule.since = 8;
        refused(Checkpoint { schedule, ..sound() }, "a phase since step 8 after step 7");
    }
}
