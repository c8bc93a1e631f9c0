//! A suite of exact tasks: each lists its whole population, so that every figure about a model of it is exact.
//!
//! A task is one function from nothing to a [`Truth`]; adding one takes a file here and a line in [`SUITE`].

mod algebra;
mod dyck;
mod hebrew;
mod iso_weeks;
mod joint_dates;
mod permutations;
mod weighted_dates;

use super::{Column, Kind, Rows, Schema, Truth};

/// A task of the suite.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As configs and arguments call it.
    pub name: &'static str,
    /// What is given and generated, and what makes it hard.
    pub about: &'static str,
    /// Lists the population.
    pub truth: fn() -> Truth,
}

/// Every task but dates.
pub const SUITE: [Entry; 7] = [
    Entry {
        name: "weighted_dates",
        about: "dates whose probability halves from one valid date of a condition to the next: p(y given c) is not \
                uniform",
        truth: weighted_dates::truth,
    },
    Entry {
        name: "joint_dates",
        about: "dates whose day and year digit are one column of 310 values: nothing is generated one column after the \
                other",
        truth: joint_dates::truth,
    },
    Entry {
        name: "iso_weeks",
        about: "decade, year digit and day of a date from its ISO week, weekday, month and span of 20 years",
        truth: iso_weeks::truth,
    },
    Entry {
        name: "hebrew",
        about: "year digit and day of a date of the Hebrew calendar, 5560 to 5960, from weekday, month, leap flag and \
                decade",
        truth: hebrew::truth,
    },
    Entry {
        name: "algebra",
        about: "five numbers modulo 11 from their sum, their sum of squares and y1 y2 + y3 y4",
        truth: algebra::truth,
    },
    Entry {
        name: "permutations",
        about: "a permutation of 1 to 8 from its inversions modulo 7, its descents and its first element",
        truth: permutations::truth,
    },
    Entry {
        name: "dyck",
        about: "balanced parentheses of 11 pairs from their depth, their number of () and their first return to depth 0",
        truth: dyck::truth,
    },
];

/// A column of whole numbers.
fn numbers(name: &str, range: std::ops::RangeInclusive<usize>) -> Column {
    Column::new(name, range.map(|number| number.to_string()))
}

/// A column of names.
fn names(name: &str, values: &[&str]) -> Column {
    Column::new(name, values.iter().map(|value| (*value).to_owned()))
}

/// The same column, determined by the given ones.
fn determined(column: Column) -> Column {
    Column { determined: true, ..column }
}

/// The truth of rows that all have the same weight.
fn uniform(schema: Schema, rows: &Rows) -> Truth {
    Truth::new(schema, rows, None, Kind::Exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Task;

    /// Rows, conditions, and the fewest and most rows of a condition.
    fn counts(name: &str) -> [usize; 4] {
        let truth = Task::named(name).unwrap().truth;
        let per_condition: Vec<usize> = (0..truth.len()).map(|group| truth.count(group)).collect();
        let (fewest, most) = (per_condition.iter().min(), per_condition.iter().max());
        [truth.groups().rows().len(), truth.len(), *fewest.unwrap(), *most.unwrap()]
    }

    #[test]
    fn every_population_has_as_many_rows_and_conditions_as_counted_by_hand() {
        assert_eq!(counts("dates"), [146_462, 6804, 4, 37]);
        assert_eq!(counts("weighted_dates"), [146_462, 6804, 4, 37]);
        assert_eq!(counts("joint_dates"), [146_462, 6804, 4, 37]);
        assert_eq!(counts("iso_weeks"), [146_462, 9348, 1, 20]);
        assert_eq!(counts("hebrew"), [146_443, 7084, 4, 32]);
        assert_eq!(counts("algebra"), [161_051, 1331, 1, 144]);
        assert_eq!(counts("permutations"), [40_320, 310, 1, 364]);
        assert_eq!(counts("dyck"), [58_786, 295, 1, 2475]);
    }

    #[test]
    fn columns_have_names_of_their_own() {
        for entry in SUITE {
            let truth = (entry.truth)();
            let mut names: Vec<_> = truth.schema().columns().map(|column| column.name.clone()).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), truth.schema().width(), "{}", entry.name);
            assert_eq!(truth.is_uniform(), entry.name != "weighted_dates");
        }
    }
}
