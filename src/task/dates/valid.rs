//! The exact truth: every condition's valid dates, and what each token combination amounts to.

use jiff::civil;

use super::calendar::{Date, FIRST_YEAR, LAST_YEAR};
use super::condition::Condition;
use super::tokens::DateTokens;

/// What generated tokens amount to under a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A date that meets the condition: its rank among the condition's valid dates.
    Pass(usize),
    /// A date of the range that meets another condition.
    Fail(Condition),
    /// No date, or none in range.
    NoDate,
}

/// The valid dates of every condition, in order of time.
#[derive(Clone, Debug)]
pub struct ValidDates {
    dates: Vec<Vec<Date>>,
    // By dense token index: the dense index of the condition met, and the rank in its list.
    by_tokens: Vec<Option<(u16, u8)>>,
}

impl ValidDates {
    /// Lists them all: 146,462 dates, some 10 ms.
    pub fn new() -> Self {
        let mut dates = vec![Vec::new(); Condition::COUNT];
        let mut by_tokens = vec![None; DateTokens::COUNT];
        for date in all_dates() {
            let condition = Condition::of(date).index();
            let rank = dates[condition].len();
            by_tokens[DateTokens::of(date).index()] = Some((condition as u16, rank as u8));
            dates[condition].push(date);
        }
        Self { dates, by_tokens }
    }

    /// The dates that meet this condition, 4 to 37 of them, or none.
    pub fn of(&self, condition: Condition) -> &[Date] {
        &self.dates[condition.index()]
    }

    /// Whether any date of the range meets the condition.
    pub fn satisfiable(&self, condition: Condition) -> bool {
        !self.of(condition).is_empty()
    }

    /// The 6,804 conditions that some date meets, in order of index.
    pub fn conditions(&self) -> Vec<Condition> {
        Condition::all().filter(|condition| self.satisfiable(*condition)).collect()
    }

    /// What these tokens amount to under this condition.
    pub fn outcome(&self, condition: Condition, tokens: DateTokens) -> Outcome {
        match self.by_tokens[tokens.index()] {
            Some((met, rank)) if usize::from(met) == condition.index() => Outcome::Pass(usize::from(rank)),
            Some((met, _)) => Condition::from_index(usize::from(met)).map_or(Outcome::NoDate, Outcome::Fail),
            None => Outcome::NoDate,
        }
    }

    /// Mean of ln(number of valid dates) over conditions, nats; a condition that stands there once for
    /// each of its dates counts by them. No model's mean negative log-likelihood of such dates can be lower.
    pub fn mean_entropy(&self, conditions: &[Condition]) -> f64 {
        let entropies = conditions.iter().map(|condition| (self.of(*condition).len() as f64).ln());
        entropies.sum::<f64>() / conditions.len() as f64
    }
}

impl Default for ValidDates {
    fn default() -> Self {
        Self::new()
    }
}

/// Every date of the benchmark, in order of time.
fn all_dates() -> impl Iterator<Item = Date> {
    let first = civil::date(FIRST_YEAR, 1, 1);
    first.series(jiff::Span::new().days(1)).take_while(|date| date.year() <= LAST_YEAR).filter_map(Date::from_civil)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_agree_with_the_calendar() {
        let valid = ValidDates::new();
        let conditions = valid.conditions();
        assert_eq!(conditions.len(), 6804);
        assert_eq!(conditions.len(), Condition::SATISFIABLE);
        let counts: Vec<usize> = conditions.iter().map(|condition| valid.of(*condition).len()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 146_462);
        assert_eq!((counts.iter().min(), counts.iter().max()), (Some(&4), Some(&37)));
        let by_date: Vec<_> =
            conditions.iter().flat_map(|c| valid.of(*c).iter().map(|date| Condition::of(*date))).collect();
        assert!((valid.mean_entropy(&by_date) - 3.2209).abs() < 5e-5);
    }

    #[test]
    fn only_leap_years_in_the_decade_of_2200_are_impossible() {
        let valid = ValidDates::new();
        let impossible: Vec<_> = Condition::all().filter(|condition| !valid.satisfiable(*condition)).collect();
        assert_eq!(impossible.len(), 84);
        assert!(impossible.iter().all(|condition| condition.leap && condition.decade.number() == 220));
    }

    #[test]
    fn every_token_combination_has_the_outcome_that_the_calendar_gives() {
        let valid = ValidDates::new();
        let condition = Condition::of(Date::new(3, 12, 1962).unwrap());
        let mut passes = 0;
        for index in 0..DateTokens::COUNT {
            let indices = [index / 3720, index / 310 % 12, index / 31 % 10, index % 31];
            let tokens = DateTokens::from_indices(indices).unwrap();
            match (tokens.date(), valid.outcome(condition, tokens)) {
                (Ok(date), Outcome::Pass(rank)) => {
                    assert_eq!(valid.of(condition)[rank], date);
                    passes += 1;
                }
                (Ok(date), Outcome::Fail(met)) => assert_eq!(met, Condition::of(date)),
                (Err(_), outcome) => assert_eq!(outcome, Outcome::NoDate),
                (Ok(date), Outcome::NoDate) => panic!("{date} exists"),
            }
        }
        assert_eq!(passes, valid.of(condition).len());
    }
}
