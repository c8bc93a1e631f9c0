//! Which samples were trained on: a model that copies its training dates is told from one that found the rule.

use super::tally::{Tally, share};
use crate::dates::{Condition, Date, DateTokens, Outcome, Split, ValidDates};

/// The valid dates that a model was trained on.
#[derive(Clone, Debug)]
pub struct Trained {
    /// By dense index of the condition, in order of its valid dates.
    dates: Vec<Vec<bool>>,
}

impl Trained {
    /// The training dates of a split.
    pub fn new(valid: &ValidDates, split: &Split) -> Self {
        let mut dates: Vec<Vec<bool>> =
            Condition::all().map(|condition| vec![false; valid.of(condition).len()]).collect();
        for date in &split.train {
            let condition = Condition::of(*date);
            if let Outcome::Pass(rank) = valid.outcome(condition, DateTokens::of(*date)) {
                dates[condition.index()][rank] = true;
            }
        }
        Self { dates }
    }

    /// Whether each of a condition's valid dates was trained on, in order of time.
    pub fn of(&self, condition: Condition) -> &[bool] {
        &self.dates[condition.index()]
    }

    /// Whether this date was trained on.
    pub fn holds(&self, valid: &ValidDates, date: Date) -> bool {
        let condition = Condition::of(date);
        matches!(valid.outcome(condition, DateTokens::of(date)), Outcome::Pass(rank) if self.of(condition)[rank])
    }

    /// Share of the samples, 0..=1, that are a training date of their condition. A perfect sampler shows
    /// the share of the condition's dates that were trained on; above it, a model prefers what it has seen.
    pub fn copied(&self, tally: &Tally) -> f64 {
        let trained = tally.counts.iter().zip(self.of(tally.condition)).filter(|(_, trained)| **trained);
        share(trained.map(|(count, _)| count).sum(), tally.samples())
    }

    /// Share of a condition's dates, 0..=1, that were trained on: what [`Trained::copied`] is for a perfect sampler.
    pub fn share(&self, condition: Condition) -> f64 {
        let dates = self.of(condition);
        share(dates.iter().filter(|trained| **trained).count() as u64, dates.len() as u64)
    }

    /// Share of the condition's held-out dates generated at least once, 0..=1; none where all were trained on.
    /// A perfect sampler is expected at [`super::expected_coverage`], as for all dates.
    pub fn held_out_coverage(&self, tally: &Tally) -> Option<f64> {
        let held_out = || tally.counts.iter().zip(self.of(tally.condition)).filter(|(_, trained)| !**trained);
        let found = held_out().filter(|(count, _)| **count > 0).count() as u64;
        let all = held_out().count() as u64;
        (all > 0).then(|| share(found, all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dates::Holdout;

    fn setting() -> (ValidDates, Split, Trained, Condition) {
        let valid = ValidDates::new();
        let split = Split::new(&valid, Holdout::Dates, 0.3, 1).unwrap();
        let trained = Trained::new(&valid, &split);
        let condition = Condition::of(Date::new(3, 12, 1962).unwrap());
        (valid, split, trained, condition)
    }

    #[test]
    fn a_copy_of_the_training_set_holds_nothing_else() {
        let (valid, split, trained, condition) = setting();
        let mut tally = Tally::new(&valid, condition);
        split.train.iter().filter(|date| Condition::of(**date) == condition).for_each(|date| {
            tally.add_date(&valid, Some(*date));
        });
        assert_eq!((trained.copied(&tally), trained.held_out_coverage(&tally)), (1.0, Some(0.0)));
        assert!(split.train.iter().take(100).all(|date| trained.holds(&valid, *date)));
        assert!(!split.test.iter().any(|date| trained.holds(&valid, *date)));
    }

    #[test]
    fn a_perfect_sampler_copies_by_chance_only() {
        let (valid, _, trained, condition) = setting();
        let mut tally = Tally::new(&valid, condition);
        valid.of(condition).iter().for_each(|date| tally.add_date(&valid, Some(*date)));
        assert_eq!(trained.copied(&tally), trained.share(condition));
        assert!(trained.share(condition) > 0.4 && trained.share(condition) < 0.95);
        assert_eq!(trained.held_out_coverage(&tally), Some(1.0));
    }

    #[test]
    fn useless_samples_copy_nothing_and_whole_conditions_have_no_held_out_dates() {
        let (valid, _, trained, condition) = setting();
        let mut tally = Tally::new(&valid, condition);
        tally.add_date(&valid, None);
        assert_eq!((trained.copied(&tally), trained.held_out_coverage(&tally)), (0.0, Some(0.0)));
        let split = Split::new(&valid, Holdout::Conditions, 0.1, 1).unwrap();
        let trained = Trained::new(&valid, &split);
        assert_eq!(trained.held_out_coverage(&Tally::new(&valid, split.seen[0])), None);
        assert_eq!(trained.share(split.held_out[0]), 0.0);
    }
}
