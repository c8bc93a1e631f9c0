//! What a trunk's first layer has found in its columns: which units place a column's values at equal distances on a
//! circle.
//!
//! A multiplicative trunk adds up learned angles, so a unit that counts weekdays places the v-th of n values at 2 pi k v /
//! n for some k: its coherence |mean of e^(i (angle - 2 pi k v / n))| is 1. An additive trunk adds up plain units; one that
//! counts has all its power over the values at one frequency of their Fourier transform.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_distr::StandardNormal;
use serde::Serialize;

use crate::model::{Model, RADIANS_PER_UNIT};
use crate::random::{Purpose, stream};

/// What a column adds to the trunk's units.
#[derive(Clone, Debug)]
pub struct TrunkColumn {
    /// Its name.
    pub name: String,
    /// Names of its values.
    pub values: Vec<String>,
    /// What each value adds, `[units, values]`; radians where the units are angles.
    pub units: Vec<Vec<f64>>,
}

/// A trunk's first layer.
#[derive(Clone, Debug)]
pub struct TrunkUnits {
    /// Whether the units are angles.
    pub angular: bool,
    /// Given columns, then generated ones that are not among them by name: what a column that repeats a given one adds
    /// is added to that.
    pub columns: Vec<TrunkColumn>,
    /// Number of given columns.
    pub given: usize,
}

/// How well a unit places a column's values on a circle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// The unit, counted from 1.
    pub unit: usize,
    /// Turns of the circle over all values.
    pub frequency: usize,
    /// 1 where all values are where they should be; of an additive unit the share of its power at that frequency.
    pub coherence: f64,
}

/// A column's fits against those of random units.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnFits {
    /// The column.
    pub column: String,
    /// Number of its values.
    pub values: usize,
    /// Coherence that one random unit in 2,000 exceeds.
    pub threshold: f64,
    /// Units that exceed it.
    pub found: usize,
    /// Units expected to by chance.
    pub by_chance: f64,
    /// All units, the most coherent first.
    #[serde(skip)]
    pub fits: Vec<Fit>,
}

/// The first layer of a model's trunk.
pub fn trunk_units(model: &Model) -> TrunkUnits {
    let (layout, schema) = (&model.layout, &model.schema);
    let trunk = &layout.trunk;
    let angular = trunk.angles > 0;
    let (state, units) = (trunk.state, if angular { trunk.angles } else { trunk.state });
    let scale = if angular { f64::from(RADIANS_PER_UNIT) } else { 1.0 };
    let entry = |table: &[f32], row: usize, unit: usize| scale * f64::from(table[row * state + unit]);
    let mut columns: Vec<TrunkColumn> = Vec::new();
    let tables = [(&Some(trunk.condition.clone()), &schema.given), (&trunk.prefix, &schema.generated)];
    for (table, of_table) in tables {
        let Some(place) = table else { continue };
        let table = &model.weights[place.clone()];
        let mut first = 0;
        for column in of_table {
            let rows = first..first + column.size();
            first = rows.end;
            // No head sees the last column.
            if rows.end * state > table.len() {
                break;
            }
            let of_unit = |unit| rows.clone().map(|row| entry(table, row, unit)).collect::<Vec<f64>>();
            let added: Vec<Vec<f64>> = (0..units).map(of_unit).collect();
            match columns.iter_mut().find(|known| known.name == column.name && known.values[..] == column.values[..]) {
                Some(known) => {
                    let sums = known.units.iter_mut().flatten().zip(added.iter().flatten());
                    sums.for_each(|(sum, more)| *sum += more);
                }
                None => columns.push(TrunkColumn {
                    name: column.name.clone(),
                    values: column.values.to_vec(),
                    units: added,
                }),
            }
        }
    }
    TrunkUnits { angular, columns, given: schema.given.len() }
}

/// The complex number at this angle.
fn turned(angle: f64) -> (f64, f64) {
    (angle.cos(), angle.sin())
}

fn length((x, y): (f64, f64)) -> f64 {
    x.hypot(y)
}

/// The frequency at which values lie best on a circle, and how well.
fn best(values: &[f64], angular: bool) -> (usize, f64) {
    let n = values.len();
    let roots: Vec<(f64, f64)> = (0..n).map(|place| turned(TAU * place as f64 / n as f64)).collect();
    let mean = values.iter().sum::<f64>() / n as f64;
    let points: Vec<(f64, f64)> =
        values.iter().map(|value| if angular { turned(*value) } else { (value - mean, 0.0) }).collect();
    // The sum of points, the v-th turned back by k v steps.
    let sum = |k: usize| {
        points.iter().enumerate().fold((0.0, 0.0), |(x, y), (v, (a, b))| {
            let (c, s) = roots[k * v % n];
            (x + a * c + b * s, y + b * c - a * s)
        })
    };
    let power: f64 = points.iter().map(|(a, b)| a * a + b * b).sum::<f64>() * n as f64;
    let coherence = |k: usize| match angular {
        true => length(sum(k)) / n as f64,
        false if power == 0.0 => 0.0,
        // Plain units have the same power at k and n - k.
        false if 2 * k == n => length(sum(k)).powi(2) / power,
        false => 2.0 * length(sum(k)).powi(2) / power,
    };
    let most = if angular { n.saturating_sub(1) } else { n / 2 };
    let of = |k: usize| (k, coherence(k));
    (1..=most).map(of).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

/// How near angles are to multiples of 2 pi / n, from where they fit best: 1 where all are there; random ones are at
/// about 1 / sqrt(number of angles). With it the angle by which they are turned from those multiples.
pub fn lattice(angles: &[f64], n: usize) -> (f64, f64) {
    let points = angles.iter().map(|angle| turned(n as f64 * angle));
    let (x, y) = points.fold((0.0, 0.0), |(x, y), (a, b)| (x + a, y + b));
    (length((x, y)) / angles.len() as f64, y.atan2(x) / n as f64)
}

/// Share of random units that exceed a column's threshold.
const CHANCE: f64 = 1.0 / 2000.0;
/// Random units that thresholds are taken from.
const RANDOM: usize = 20_000;

/// How well each unit places a column's values on a circle, against random units.
pub fn column_fits(column: &TrunkColumn, angular: bool) -> ColumnFits {
    let n = column.values.len();
    let mut random = stream(1, Purpose::Samples, n as u64);
    let mut chance: Vec<f64> = (0..RANDOM)
        .map(|_| {
            let value = |_| if angular { TAU * random.random::<f64>() } else { random.sample(StandardNormal) };
            best(&(0..n).map(value).collect::<Vec<f64>>(), angular).1
        })
        .collect();
    chance.sort_by(f64::total_cmp);
    let threshold = chance[RANDOM - 1 - (CHANCE * RANDOM as f64) as usize];
    let fit = |(unit, values): (usize, &Vec<f64>)| {
        let (frequency, coherence) = best(values, angular);
        Fit { unit: unit + 1, frequency, coherence }
    };
    let mut fits: Vec<Fit> = column.units.iter().enumerate().map(fit).collect();
    fits.sort_by(|a, b| b.coherence.total_cmp(&a.coherence));
    let found = fits.iter().filter(|fit| fit.coherence > threshold).count();
    let by_chance = CHANCE * fits.len() as f64;
    ColumnFits { column: column.name.clone(), values: n, threshold, found, by_chance, fits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ModelConfig, Trunk};
    use crate::task::dates;

    fn column(units: Vec<Vec<f64>>) -> TrunkColumn {
        let values = (0..units[0].len()).map(|value| value.to_string()).collect();
        TrunkColumn { name: "week".to_owned(), values, units }
    }

    #[test]
    fn units_that_count_are_told_from_random_ones() {
        let counting = |k: f64| (0..7).map(|v| 0.4 + TAU * k * f64::from(v) / 7.0).collect::<Vec<f64>>();
        let near: Vec<f64> =
            counting(2.0).iter().enumerate().map(|(v, a)| a + if v == 3 { 0.3 } else { 0.0 }).collect();
        let other = vec![0.1, 2.0, 4.4, 0.3, 5.9, 1.1, 3.0];
        let found = column_fits(&column(vec![other, counting(3.0), near]), true);
        assert_eq!((found.fits[0].unit, found.fits[0].frequency, found.found), (2, 3, 2));
        assert!(
            (found.fits[0].coherence - 1.0).abs() < 1e-12 && (found.fits[1].frequency, found.fits[1].unit) == (2, 3)
        );
        // Random angles exceed .95 in 0.05 % of the cases.
        assert!((found.threshold - 0.95).abs() < 0.02 && (found.by_chance - 0.0015).abs() < 1e-9, "{found:?}");
        // A wave over the days is one frequency of plain units.
        let wave = (0..7).map(|v| 3.0 + (TAU * 2.0 * f64::from(v) / 7.0 + 0.3).cos()).collect::<Vec<f64>>();
        let found = column_fits(&column(vec![wave]), false);
        assert!(
            found.fits[0].frequency == 2 && (found.fits[0].coherence - 1.0).abs() < 1e-9 && found.threshold < 0.9999
        );
    }

    #[test]
    fn what_lies_on_the_same_circle_is_found_whatever_its_order() {
        let offsets = [0, 3, 3, 6, 1, 4, 6, 2, 5, 0, 3, 5];
        let months: Vec<f64> = offsets.iter().map(|days| 0.7 + TAU * f64::from(*days) / 7.0).collect();
        let (coherence, turn) = lattice(&months, 7);
        assert!((coherence - 1.0).abs() < 1e-9 && ((turn - 0.7) * 7.0).sin().abs() < 1e-9);
        assert!(lattice(&[0.1, 0.9, 2.0, 3.3, 4.2, 5.9], 7).0 < 0.9);
    }

    #[test]
    fn columns_that_repeat_given_ones_are_added_to_them() {
        for (trunk, units) in [(Trunk::Multiplicative, 8), (Trunk::Additive, 16)] {
            let config = ModelConfig { hidden_dim: 16, angles: 8, trunk, ..ModelConfig::default() };
            let model = Model::new(config, dates::schema(), 1);
            let found = trunk_units(&model);
            let names: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!(names, ["weekday", "month", "leap", "decade", "digit"], "{trunk:?}");
            assert_eq!((found.angular, found.given), (trunk == Trunk::Multiplicative, 4));
            assert!(found.columns.iter().all(|column| column.units.len() == units));
            let (layout, w) = (&model.layout, &model.weights);
            let state = layout.trunk.state;
            let given = w[layout.trunk.condition.start + 8 * state + 1];
            let repeated = w[layout.trunk.prefix.clone().unwrap().start + (41 + 1) * state + 1];
            let scale = if found.angular { f64::from(RADIANS_PER_UNIT) } else { 1.0 };
            let sum = scale * (f64::from(given) + f64::from(repeated));
            assert!((found.columns[1].units[1][1] - sum).abs() < 1e-6);
        }
    }
}
