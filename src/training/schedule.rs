//! The KL weight over training. Progress counts in steps, and phases turn on the state of training.

use serde::{Deserialize, Serialize};

/// A schedule of beta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BetaSchedule {
    /// The same throughout.
    Constant {
        /// Beta.
        beta: f64,
    },
    /// A linear warm-up (Bowman et al. 2016).
    Linear {
        /// Beta at step 0.
        from: f64,
        /// Beta from step `rise` on.
        to: f64,
        /// Steps of the rise.
        rise: u64,
    },
    /// Repeated linear warm-ups (Fu et al. 2019).
    Cyclical {
        /// Beta at the start of a cycle.
        from: f64,
        /// Beta after its rise.
        to: f64,
        /// Steps of a cycle.
        cycle: u64,
        /// Steps of its rise.
        rise: u64,
    },
    /// First the calendar, then the code, then the match with the prior.
    ///
    /// While the decoder cannot tell a valid date, z would simply carry the whole date past it: so beta is
    /// high at first. Then it is low, so that z takes over the choice among valid dates; then it rises,
    /// so that draws from the prior fall where the posteriors lie.
    Phased {
        /// Beta until the calendar is known.
        high: f64,
        /// Beta until z carries the choice.
        low: f64,
        /// Beta at the end.
        end: f64,
        /// Steps of the rise from `low` to `end`.
        rise: u64,
        /// What ends the first two phases.
        turn: Turn,
    },
}

/// What ends the phases before the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turn {
    /// Thresholds that are known for the task.
    Thresholds {
        /// Running reconstruction that ends the first phase, nats.
        calendar: f64,
        /// Running KL that ends the second, nats.
        code: f64,
    },
    /// A reconstruction that is hardly better than some steps before, as for any task, within bounds.
    Plateau {
        /// Steps that are compared with as many before them.
        window: u64,
        /// The fewest steps that each of the two phases takes: what is hard to learn begins on a plateau.
        earliest: [u64; 2],
        /// The most, but for what `high` says.
        latest: [u64; 2],
        /// Where it is known how low the reconstruction can get: above so many nats the first phase goes on, plateaus or
        /// not, but for so many steps at the most. What is hard to learn has plateaus on its way.
        high: Option<(f64, u64)>,
    },
}

/// Steps of a window in which the reconstruction must get better by [`LEAST_GAIN`] for a phase to go on.
const WINDOW: u64 = 200;
/// The gain in a window, as a share, below which a phase ends.
const LEAST_GAIN: f64 = 0.01;
/// The least and the most that the first two phases take of a run, as shares.
const EARLIEST: [f64; 2] = [0.15, 0.05];
const LATEST: [f64; 2] = [0.3, 0.1];
/// So far above the entropy of the training rows the first phase goes on, nats, and the most that it takes of a run then.
const NEAR: f64 = 0.4;
const LATEST_HIGH: f64 = 0.5;

impl Turn {
    /// The rule for a run of so many steps of any task; with the entropy H(row | condition) of the training rows, nats,
    /// where it is known.
    pub fn plateau(steps: u64, entropy: Option<f64>) -> Self {
        let of = |share: f64| (share * steps as f64).ceil() as u64;
        let high = entropy.map(|entropy| (entropy + NEAR, of(LATEST_HIGH)));
        Self::Plateau { window: WINDOW, earliest: EARLIEST.map(of), latest: LATEST.map(of), high }
    }
}

/// Phases of a phased schedule. Files keep the first names: `calendar`, `code`, `match`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// The decoder learns p(y | condition); z is closed or held back.
    #[default]
    #[serde(rename = "calendar")]
    Condition,
    /// z takes over the choice.
    #[serde(rename = "code")]
    Encode,
    /// The aggregated posterior is aligned with the prior. Schedules without phases are here throughout.
    #[serde(rename = "match")]
    Align,
}

/// Share of a running mean that a new step replaces: it looks back some 20 steps.
const NEW_SHARE: f64 = 0.05;

/// Where a schedule stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// The current phase.
    pub phase: Phase,
    /// The step at which it began.
    pub since: u64,
    /// Running reconstruction, nats.
    recon: Option<f64>,
    /// Running KL, nats.
    kl: Option<f64>,
    /// The window that is under way: its steps and the sum of their reconstruction, nats.
    #[serde(default)]
    window: (u64, f64),
    /// Mean reconstruction of the window before, nats.
    #[serde(default)]
    before: Option<f64>,
}

impl ScheduleState {
    /// The state before the first step.
    pub fn new(schedule: &BetaSchedule) -> Self {
        let phase = if matches!(schedule, BetaSchedule::Phased { .. }) { Phase::Condition } else { Phase::Align };
        Self { phase, ..Self::default() }
    }

    /// The state of a run that goes on from another one: its phase, the step that it counts from, and its last
    /// reconstruction and KL.
    pub fn resumed(phase: Phase, since: u64, (recon, kl): (Option<f64>, Option<f64>)) -> Self {
        Self { phase, since, recon, kl, ..Self::default() }
    }

    /// Beta at a step.
    pub fn beta(&self, schedule: &BetaSchedule, step: u64) -> f64 {
        let rising = |from: f64, to: f64, done: u64, rise: u64| {
            if done >= rise { to } else { from + (to - from) * done as f64 / rise as f64 }
        };
        match *schedule {
            BetaSchedule::Constant { beta } => beta,
            BetaSchedule::Linear { from, to, rise } => rising(from, to, step, rise),
            BetaSchedule::Cyclical { from, to, cycle, rise } => rising(from, to, step % cycle, rise),
            BetaSchedule::Phased { high, low, end, rise, .. } => match self.phase {
                Phase::Condition => high,
                Phase::Encode => low,
                Phase::Align => rising(low, end, step.saturating_sub(self.since), rise),
            },
        }
    }

    /// Takes in the terms of a finished step, nats; says whether a new phase begins after it.
    pub fn observe(&mut self, schedule: &BetaSchedule, step: u64, recon: f64, kl: f64) -> bool {
        let update = |running: Option<f64>, new: f64| Some(running.map_or(new, |mean| mean + NEW_SHARE * (new - mean)));
        self.recon = update(self.recon, recon);
        self.kl = update(self.kl, kl);
        let BetaSchedule::Phased { turn, .. } = *schedule else { return false };
        let next = match (self.phase, turn) {
            (Phase::Align, _) => return false,
            (Phase::Condition, Turn::Thresholds { calendar, .. }) => self.recon.is_some_and(|recon| recon < calendar),
            (Phase::Encode, Turn::Thresholds { code, .. }) => self.kl.is_some_and(|kl| kl > code),
            (phase, Turn::Plateau { window, earliest, latest, high }) => {
                let (done, place) = (step + 1 - self.since, usize::from(phase == Phase::Encode));
                let flat = self.is_flat(window, recon);
                match high.filter(|(level, _)| phase == Phase::Condition && self.recon >= Some(*level)) {
                    Some((_, most)) => done >= most,
                    None => flat && done >= earliest[place] || done >= latest[place],
                }
            }
        };
        if next {
            self.phase = if self.phase == Phase::Condition { Phase::Encode } else { Phase::Align };
            (self.since, self.window, self.before) = (step + 1, (0, 0.0), None);
        }
        next
    }

    /// Whether a window ends with this step in which the reconstruction was hardly better than in the one before.
    fn is_flat(&mut self, window: u64, recon: f64) -> bool {
        self.window = (self.window.0 + 1, self.window.1 + recon);
        if self.window.0 < window {
            return false;
        }
        let mean = self.window.1 / window as f64;
        let flat = self.before.is_some_and(|before| mean > before - LEAST_GAIN * before.abs());
        (self.window, self.before) = ((0, 0.0), Some(mean));
        flat
    }
}

impl Phase {
    /// The phase of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Condition, Self::Encode, Self::Align].into_iter().find(|phase| phase.name() == name)
    }

    /// The phase's name in tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Condition => "calendar",
            Self::Encode => "code",
            Self::Align => "match",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn betas(schedule: BetaSchedule, steps: &[u64]) -> Vec<f64> {
        let state = ScheduleState::new(&schedule);
        steps.iter().map(|step| state.beta(&schedule, *step)).collect()
    }

    #[test]
    fn schedules_by_step_take_the_values_that_they_are_defined_by() {
        assert_eq!(betas(BetaSchedule::Constant { beta: 0.3 }, &[0, 9]), [0.3, 0.3]);
        let linear = BetaSchedule::Linear { from: 0.0, to: 1.0, rise: 4 };
        assert_eq!(betas(linear, &[0, 1, 4, 100]), [0.0, 0.25, 1.0, 1.0]);
        let cyclical = BetaSchedule::Cyclical { from: 0.0, to: 2.0, cycle: 10, rise: 4 };
        assert_eq!(betas(cyclical, &[0, 2, 4, 9, 10, 12]), [0.0, 1.0, 2.0, 2.0, 0.0, 1.0]);
    }

    #[test]
    fn phases_turn_on_the_state_of_training_and_not_on_the_clock() {
        let turn = Turn::Thresholds { calendar: 3.3, code: 3.0 };
        let schedule = BetaSchedule::Phased { high: f64::INFINITY, low: 0.1, end: 0.5, rise: 4, turn };
        let mut state = ScheduleState::new(&schedule);
        assert!(!state.observe(&schedule, 0, 12.0, 0.0));
        assert_eq!(state.beta(&schedule, 1_000_000), f64::INFINITY);
        // The running mean, not one lucky step, turns the phase.
        assert!(!state.observe(&schedule, 1, 0.0, 0.0));
        let turned = (2..200).find(|step| state.observe(&schedule, *step, 3.2, 0.0)).unwrap();
        assert_eq!((state.phase, state.since), (Phase::Encode, turned + 1));
        assert_eq!(state.beta(&schedule, turned + 1), 0.1);
        let turned = (turned + 1..400).find(|step| state.observe(&schedule, *step, 1.0, 4.0)).unwrap();
        assert_eq!(state.phase, Phase::Align);
        assert_eq!(state.beta(&schedule, turned + 1), 0.1);
        assert!((state.beta(&schedule, turned + 3) - 0.3).abs() < 1e-12);
        assert_eq!(state.beta(&schedule, turned + 5), 0.5);
        assert!(!state.observe(&schedule, 500, 9.0, 0.0), "phases never turn back");
    }

    #[test]
    fn phases_of_any_task_end_when_the_reconstruction_stops_falling_or_after_a_share_of_the_run() {
        let turn = Turn::Plateau { window: 10, earliest: [40, 10], latest: [300, 50], high: None };
        let schedule = BetaSchedule::Phased { high: f64::INFINITY, low: 0.1, end: 0.5, rise: 4, turn };
        let mut state = ScheduleState::new(&schedule);
        // It falls by 3 % in each window until step 100, then stands still.
        let recon = |step: u64| 5.0 * 0.97f64.powf(step.min(100) as f64 / 10.0);
        let turned = (0..400).find(|step| state.observe(&schedule, *step, recon(*step), 0.0)).unwrap();
        assert_eq!((turned, state.phase), (119, Phase::Encode));
        // The second phase goes on falling, and ends after its share.
        let turned = (120..400).find(|step| state.observe(&schedule, *step, 1e3 / *step as f64, 0.0)).unwrap();
        assert_eq!((turned, state.phase), (169, Phase::Align));
        assert!(!state.observe(&schedule, 500, 9.0, 0.0));
        let plain = Turn::Plateau { window: 200, earliest: [150, 50], latest: [300, 100], high: None };
        assert_eq!(Turn::plateau(1000, None), plain);
        // A plateau at the start ends nothing.
        let mut state = ScheduleState::new(&schedule);
        let turned = (0..400).find(|step| state.observe(&schedule, *step, 5.0, 0.0)).unwrap();
        assert_eq!((turned, state.phase), (39, Phase::Encode));
    }

    #[test]
    fn a_plateau_far_above_a_known_entropy_ends_nothing() {
        let Turn::Plateau { high, .. } = Turn::plateau(1000, Some(3.0)) else { unreachable!() };
        assert_eq!(high, Some((3.4, 500)));
        let turn = Turn::Plateau { window: 10, earliest: [40, 10], latest: [120, 50], high: Some((3.4, 300)) };
        let schedule = BetaSchedule::Phased { high: f64::INFINITY, low: 0.1, end: 0.5, rise: 4, turn };
        let turned = |recon: fn(u64) -> f64| {
            let mut state = ScheduleState::new(&schedule);
            (0..400).find(|step| state.observe(&schedule, *step, recon(*step), 0.0)).unwrap()
        };
        // It stands still at 5 nats until step 200, then falls.
        assert_eq!(turned(|step| if step < 200 { 5.0 } else { 3.0 }), 231);
        assert_eq!(turned(|step| if step < 50 { 5.0 } else { 3.0 }), 89);
        // It is never learned: after its share the phase ends all the same.
        assert_eq!(turned(|_| 5.0), 299);
    }
}
