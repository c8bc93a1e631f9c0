//! How fast a trial goes, by its log: steps and evaluations together, since it was last begun.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::tail::Growth;
use crate::experiment::log::{Noted, noted};

/// What a log says of a trial's progress.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    began: Option<(Timestamp, u64)>,
    last: Option<(Timestamp, u64)>,
    ended: bool,
}

impl Pace {
    /// Takes in what the log has grown by.
    pub fn take(&mut self, growth: &Growth) {
        match growth {
            Growth::Same => return,
            Growth::Lines(_) => {}
            Growth::Gone | Growth::Anew(_) => *self = Self::default(),
        }
        let (Growth::Lines(text) | Growth::Anew(text)) = growth else { return };
        for (at, note) in text.lines().filter_map(noted) {
            self.ended = note == Noted::Ended;
            match note {
                Noted::Begun(step) => (self.began, self.last) = (Some((at, step)), None),
                Noted::Step(step) => self.last = Some((at, step)),
                Noted::Ended => {}
            }
        }
    }

    /// A step that is known from elsewhere to be done by then.
    pub fn reached(&mut self, at: Timestamp, step: u64) {
        if self.began.is_some_and(|(_, begun)| step > begun) && self.last.is_none_or(|(_, last)| step > last) {
            self.last = Some((at, step));
        }
    }

    /// The last step that is known to be done.
    pub fn step(&self) -> Option<u64> {
        self.last.or(self.began).map(|(_, step)| step)
    }

    /// Whether the log says that the trial ended, well or not: a killed one says nothing.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The time that is left to this number of steps, the last evaluation not counted; none before the first news of
    /// this session.
    pub fn left(&self, steps: u64, now: Timestamp) -> Option<Duration> {
        let ((begun_at, begun), (at, step)) = (self.began?, self.last?);
        let done = step.checked_sub(begun).filter(|done| *done > 0)?;
        let gone = at.duration_since(begun_at).as_secs_f64().max(0.0);
        let left = steps.saturating_sub(step) as f64 * gone / done as f64;
        let left = SignedDuration::try_from_secs_f64(left).ok()? - now.duration_since(at);
        Some(Duration::try_from(left).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn the_time_left_counts_from_the_last_news_of_this_session() {
        let mut pace = Pace::default();
        assert_eq!((pace.left(100, at(0)), pace.step()), (None, None));
        let lines = |from: i64, notes: &[(i64, &str)]| {
            notes.iter().map(|(second, note)| format!("{} {note}\n", at(from + second))).collect::<String>()
        };
        pace.take(&Growth::Anew(lines(0, &[(0, "started on the CPU"), (20, "interrupted after step 40")])));
        assert!(pace.ended());
        // A night later.
        let resumed = lines(40_000, &[(0, "resumed after step 40 on the CPU"), (10, "step 60: loss 1.0, test ELBO 2")]);
        pace.take(&Growth::Lines(resumed));
        assert!(!pace.ended() && pace.step() == Some(60));
        assert_eq!(pace.left(100, at(40_010)), Some(Duration::from_secs(20)));
        assert_eq!(pace.left(100, at(40_025)), Some(Duration::from_secs(5)));
        assert_eq!(pace.left(100, at(41_000)), Some(Duration::ZERO));
        pace.reached(at(40_020), 80);
        assert_eq!((pace.step(), pace.left(100, at(40_020))), (Some(80), Some(Duration::from_secs(10))));
        pace.reached(at(40_030), 70);
        assert_eq!(pace.step(), Some(80), "an older checkpoint is no news");
    }
}
