//! What is shown of a trial: one cell for each column, in the live view and in the plain table.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use crate::experiment::{LiveTrial, Status, named_hash};
use crate::metrics::{Measure, percent};
use crate::printable::one_line;

/// A column. The order is that of the table, and of the key that sorts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    State,
    Step,
    Left,
    Loss,
    Greedy,
    Validation,
    Sampled,
    Name,
}

impl Column {
    pub const ALL: [Self; 8] =
        [Self::State, Self::Step, Self::Left, Self::Loss, Self::Greedy, Self::Validation, Self::Sampled, Self::Name];

    /// Its heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Step => "step",
            Self::Left => "left",
            Self::Loss => "loss",
            Self::Greedy => "greedy",
            Self::Validation => "validation",
            Self::Sampled => "sampled",
            Self::Name => "trial",
        }
    }

    /// The measure that it shows, where it shows one.
    fn measure(self) -> Option<Measure> {
        match self {
            Self::Loss => Some(Measure::TrainLoss),
            Self::Greedy => Some(Measure::GreedyPass),
            Self::Validation => Some(Measure::GreedyPassValidation),
            Self::Sampled => Some(Measure::SampledPass),
            _ => None,
        }
    }

    /// Its text for a trial.
    pub fn text(self, trial: &LiveTrial, now: Timestamp) -> String {
        let value = |measure| trial.last(measure);
        match self {
            Self::State => trial.status.name().to_owned(),
            Self::Step => match trial.steps {
                Some(steps) => format!("{}/{steps}", trial.step()),
                None => trial.step().to_string(),
            },
            Self::Left => match trial.left(now) {
                _ if trial.status != Status::Running => String::new(),
                Some(left) if left.is_zero() => "soon".to_owned(),
                left => left.map_or_else(|| "?".to_owned(), duration),
            },
            Self::Loss => number(value(Measure::TrainLoss)),
            Self::Name => one_line(&format!("{}/{}", trial.experiment, trial.name)),
            column => column.measure().map_or_else(String::new, |measure| percent(value(measure))),
        }
    }

    /// Which of two trials stands first: the one that goes on, or is better. Names decide between equals.
    pub fn compare(self, a: &LiveTrial, b: &LiveTrial, now: Timestamp) -> Ordering {
        let named = || (&a.experiment, &a.name).cmp(&(&b.experiment, &b.name));
        let share = |trial: &LiveTrial| trial.step() as f64 / trial.steps.unwrap_or(1).max(1) as f64;
        let first = match self {
            Self::State => urgency(a.status).cmp(&urgency(b.status)),
            Self::Step => share(b).total_cmp(&share(a)),
            Self::Left => {
                let left = |trial: &LiveTrial| trial.left(now).unwrap_or(Duration::MAX);
                left(a).cmp(&left(b))
            }
            Self::Name => Ordering::Equal,
            Self::Loss => worst_last(a.last(Measure::TrainLoss)).total_cmp(&worst_last(b.last(Measure::TrainLoss))),
            column => {
                let value = |trial: &LiveTrial| column.measure().map_or(f64::NAN, |measure| -trial.last(measure));
                worst_last(value(a)).total_cmp(&worst_last(value(b)))
            }
        };
        first.then_with(named)
    }
}

/// What is not there stands last.
fn worst_last(value: f64) -> f64 {
    if value.is_nan() { f64::INFINITY } else { value }
}

/// What a reader looks for first.
fn urgency(status: Status) -> u8 {
    match status {
        Status::Running => 0,
        Status::Failed => 1,
        Status::Interrupted => 2,
        Status::Missing => 3,
        Status::Finished => 4,
    }
}

/// A number of nats.
pub fn number(value: f64) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.3}") }
}

/// A time in one unit.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..60.0 => format!("{seconds:.0} s"),
        ..3600.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// A trial's name that fits: without its hash, and without the middle where that is not enough, since what differs
/// stands first and the seed last.
pub fn short_name(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    let name = match named_hash(name) {
        Some(hash) => name[..name.len() - hash.len()].trim_end_matches('-'),
        None => name,
    };
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let seed = name.rfind("-seed").map_or(0, |place| name[place..].chars().count());
    let tail = if seed + 4 < width { seed } else { 0 };
    let head = width.saturating_sub(tail + 1);
    let chars: Vec<char> = name.chars().collect();
    chars[..head.min(length)].iter().chain(&['…']).chain(&chars[length - tail..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_what_differs_and_the_seed() {
        let name = "exp/value0.6-steps2000-learning_rate0.01-seed12-68c5bd84278c";
        assert_eq!(short_name(name, 80), name);
        assert_eq!(short_name(name, 47), "exp/value0.6-steps2000-learning_rate0.01-seed12");
        assert_eq!(short_name(name, 30), "exp/value0.6-steps2000…-seed12");
        assert_eq!(short_name("a folder of the user's", 8), "a folde…");
        assert_eq!(short_name(name, 5), "exp/…");
    }

    #[test]
    fn times_have_one_unit() {
        let of = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!([of(59), of(61), of(7200), of(180_000)], ["59 s", "1 min", "2.0 h", "2 d"]);
    }
}
