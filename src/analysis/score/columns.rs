//! Similarities of single columns and of pairs, as the library sdmetrics defines them.

use std::collections::HashMap;

use serde::Serialize;

use super::UNSEEN;
use crate::task::{Rows, Truth};

/// Similarities of generated rows' columns with the truth's.
#[derive(Clone, Debug, Serialize)]
pub struct Similarities {
    /// Mean over columns of 1 - the total variation between their distributions: TVComplement.
    pub tv_complement: f64,
    /// Mean over pairs of columns of 1 - the total variation between their joint distributions: ContingencySimilarity;
    /// none where there are more pairs than are looked at.
    pub contingency_similarity: Option<f64>,
    /// Mean over columns of the share of the truth's values that were generated: CategoryCoverage.
    pub category_coverage: f64,
    /// Column by column.
    pub columns: Vec<ColumnScore>,
}

/// The same of one column.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnScore {
    /// Its name.
    pub column: String,
    /// 1 - total variation.
    pub tv_complement: f64,
    /// Share of its values that were generated.
    pub category_coverage: f64,
}

/// Pairs of columns that are looked at.
const MOST_PAIRS: usize = 500;

impl Similarities {
    pub(super) fn of(truth: &Truth, generated: &Rows) -> Self {
        let names: Vec<&str> = truth.schema().columns().map(|column| column.name.as_str()).collect();
        let real = weighted(truth);
        let drawn: Vec<(&[u16], f64)> = generated.iter().map(|row| (row, 1.0)).collect();
        let column = |place: usize| {
            let [real, drawn] = [&real, &drawn].map(|rows| shares(rows, |row| u32::from(row[place])));
            let covered = real.keys().filter(|value| drawn.contains_key(value)).count();
            ColumnScore {
                column: names[place].to_owned(),
                tv_complement: 1.0 - distance(&real, &drawn),
                category_coverage: covered as f64 / real.len() as f64,
            }
        };
        let columns: Vec<ColumnScore> = (0..names.len()).map(column).collect();
        let pairs: Vec<(usize, usize)> =
            (0..names.len()).flat_map(|a| (a + 1..names.len()).map(move |b| (a, b))).take(MOST_PAIRS + 1).collect();
        let similarity = |(a, b): &(usize, usize)| {
            let pair = |row: &[u16]| u32::from(row[*a]) << 16 | u32::from(row[*b]);
            1.0 - distance(&shares(&real, pair), &shares(&drawn, pair))
        };
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
            sum / count
        };
        Self {
            tv_complement: mean(&mut columns.iter().map(|column| column.tv_complement)),
            contingency_similarity: (pairs.len() <= MOST_PAIRS).then(|| mean(&mut pairs.iter().map(similarity))),
            category_coverage: mean(&mut columns.iter().map(|column| column.category_coverage)),
            columns,
        }
    }
}

fn weighted(truth: &Truth) -> Vec<(&[u16], f64)> {
    let row = |group: usize| {
        let rows = truth.range(group).enumerate();
        rows.map(move |(rank, row)| (truth.groups().rows().row(row), truth.weight(group, rank)))
    };
    (0..truth.len()).flat_map(row).collect()
}

/// Shares of the total weight by key. Values that the truth does not have count as one.
fn shares(rows: &[(&[u16], f64)], key: impl Fn(&[u16]) -> u32) -> HashMap<u32, f64> {
    let total: f64 = rows.iter().map(|(_, weight)| weight).sum();
    let mut shares: HashMap<u32, f64> = HashMap::new();
    rows.iter().for_each(|(row, weight)| *shares.entry(key(row)).or_default() += weight / total);
    shares
}

/// Total variation between two distributions.
fn distance(a: &HashMap<u32, f64>, b: &HashMap<u32, f64>) -> f64 {
    let of_a: f64 = a.iter().map(|(key, share)| (share - b.get(key).unwrap_or(&0.0)).abs()).sum();
    let of_b: f64 = b.iter().filter(|(key, _)| !a.contains_key(key)).map(|(_, share)| share).sum();
    0.5 * (of_a + of_b)
}

const _: () = assert!(UNSEEN == u16::MAX, "no column has as many values");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Column, Kind, Schema};

    #[test]
    fn similarities_of_a_few_rows_are_those_counted_by_hand() {
        let column = |name| Column::new(name, ["x", "y"].map(str::to_owned));
        let rows = |values: &[[u16; 2]]| {
            let mut rows = Rows::new(2);
            values.iter().for_each(|row| rows.push(row));
            rows
        };
        let real = rows(&[[0, 0], [0, 0], [1, 1], [1, 0]]);
        let truth = Truth::new(Schema::new(vec![column("a")], vec![column("b")]), &real, None, Kind::Sample);
        let found = Similarities::of(&truth, &rows(&[[0, 0], [0, UNSEEN]]));
        assert_eq!((found.columns[0].tv_complement, found.columns[0].category_coverage), (0.5, 0.5));
        assert_eq!((found.columns[1].tv_complement, found.columns[1].category_coverage), (0.5, 0.5));
        assert_eq!(found.contingency_similarity, Some(0.5));
        let same = Similarities::of(&truth, &real);
        assert_eq!((same.tv_complement, same.contingency_similarity, same.category_coverage), (1.0, Some(1.0), 1.0));
    }
}
