//! `--angles`: which units of the trunk's first layer count a given column's values, and what else lies on their circles.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Inspect;
use crate::analysis::{ColumnFits, Fit, TrunkUnits, column_fits, lattice, trunk_units};
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::figures::{Clock, Clocks, Ring, write_both};
use crate::files;
use crate::model::Model;
use crate::printable::ShownPath;

/// Clocks that are drawn, at the most.
const CLOCKS: usize = 8;
/// Rings of a clock.
const RINGS: usize = 5;
/// Units that are listed, at the least.
const LISTED: usize = 10;

#[derive(Debug, Serialize)]
struct Report {
    /// `angles` or, in an additive trunk, `units`.
    kind: &'static str,
    units: usize,
    /// Each given column against random units.
    columns: Vec<ColumnFits>,
    /// The column that most units count beyond chance.
    counted: String,
    found: Vec<Unit>,
}

/// A unit that counts, and how near other columns are to the same places on its circle.
#[derive(Debug, Serialize)]
struct Unit {
    #[serde(flatten)]
    fit: Fit,
    /// Beyond chance.
    counts: bool,
    /// By column, 1 where all its values are at multiples of a turn by the number of counted values.
    others: BTreeMap<String, f64>,
}

/// Inspects the trunk.
///
/// # Errors
/// When a file can't be written.
pub fn run(options: &Inspect, model: &Model) -> anyhow::Result<Exit> {
    let folder = options.folder();
    files::make_folder(folder)?;
    let found = Found::of(model);
    let mut written = vec![folder.join("angles.csv")];
    write(&found.report, &written[0])?;
    written.extend(found.draw(folder)?);
    written.iter().for_each(|path| output::say!("wrote {}", path.shown()));
    output::print(&if options.json { output::json(&found.report)? } else { text(&found.report) })?;
    Ok(Exit::Done)
}

/// Draws the clocks of a model; none where its trunk has no angles.
///
/// # Errors
/// When a file can't be written.
pub fn draw(model: &Model, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    Found::of(model).draw(folder)
}

/// What was found in a trunk.
struct Found {
    trunk: TrunkUnits,
    report: Report,
    /// Place of the column that most units count.
    counted: usize,
}

impl Found {
    fn of(model: &Model) -> Self {
        let trunk = trunk_units(model);
        let columns: Vec<ColumnFits> =
            trunk.columns[..trunk.given].iter().map(|column| column_fits(column, trunk.angular)).collect();
        let beyond =
            |fits: &ColumnFits| fits.fits[..fits.found].iter().map(|fit| fit.coherence).sum::<f64>() - fits.by_chance;
        let highest = (0..columns.len()).max_by(|a, b| beyond(&columns[*a]).total_cmp(&beyond(&columns[*b])));
        let counted = highest.unwrap_or(0);
        Self { report: report(&trunk, columns, counted), trunk, counted }
    }

    fn draw(&self, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        if !self.trunk.angular {
            return Ok(Vec::new());
        }
        Ok(write_both(&clocks(&self.trunk, &self.report, self.counted), folder, "angles")?.to_vec())
    }
}

fn report(trunk: &TrunkUnits, columns: Vec<ColumnFits>, counted: usize) -> Report {
    let fits = &columns[counted];
    let unit = |fit: &Fit| {
        let others = trunk.columns.iter().enumerate().filter(|(place, _)| trunk.angular && *place != counted);
        let near = |(_, column): (usize, &crate::analysis::TrunkColumn)| {
            (column.name.clone(), lattice(&column.units[fit.unit - 1], fits.values).0)
        };
        Unit { fit: *fit, counts: fit.coherence > fits.threshold, others: others.map(near).collect() }
    };
    Report {
        kind: if trunk.angular { "angles" } else { "units" },
        units: fits.fits.len(),
        counted: fits.column.clone(),
        found: fits.fits.iter().map(unit).collect(),
        columns,
    }
}

fn write(report: &Report, path: &Path) -> Result<(), files::FileError> {
    files::replace(path, |partial| {
        let mut writer = csv::Writer::from_path(partial).map_err(files::of_csv)?;
        let names: Vec<&str> =
            report.found.first().into_iter().flat_map(|unit| unit.others.keys()).map(String::as_str).collect();
        let header = ["unit", "frequency", "coherence", "counts"].into_iter().chain(names);
        writer.write_record(header).map_err(files::of_csv)?;
        for Unit { fit, counts, others } in &report.found {
            let cells =
                [fit.unit.to_string(), fit.frequency.to_string(), fit.coherence.to_string(), counts.to_string()];
            let others = others.values().map(ToString::to_string);
            writer.write_record(cells.into_iter().chain(others)).map_err(files::of_csv)?;
        }
        writer.flush()
    })
}

fn text(report: &Report) -> String {
    let three = |value: f64| format!("{value:.3}");
    let row = |fits: &ColumnFits| {
        let of = format!("{} of {}", fits.found, report.units);
        vec![fits.column.clone(), fits.values.to_string(), of, format!("{:.2}", fits.by_chance), three(fits.threshold)]
    };
    let header = ["given column", "values", "count it", "by chance", "coherence above"];
    let columns = output::fitting(&header, report.columns.iter().map(row).collect(), &[0, 2], output::table);
    let names: Vec<&str> =
        report.found.first().into_iter().flat_map(|unit| unit.others.keys()).map(String::as_str).collect();
    let turns = format!("turns per {}", report.counted);
    let header: Vec<&str> = ["unit", turns.as_str(), "coherence"].into_iter().chain(names.iter().copied()).collect();
    let shown = report.found.iter().filter(|unit| unit.counts).count().max(LISTED).min(report.found.len());
    let row = |unit: &Unit| {
        let fit = [unit.fit.unit.to_string(), unit.fit.frequency.to_string(), format!("{:.4}", unit.fit.coherence)];
        fit.into_iter().chain(unit.others.values().map(|value| three(*value))).collect()
    };
    let units = output::fitting(&header, report.found[..shown].iter().map(row).collect(), &[0, 2], output::long_table);
    let what = match report.kind {
        "angles" => format!(
            "coherence: 1 where an angle places the values of {} at equal distances on the circle; other columns: 1 where \
             their\nvalues lie at the same places, about 1 / sqrt(their number) at random",
            report.counted
        ),
        _ => format!("coherence: share of a unit's power over the values of {} at one frequency", report.counted),
    };
    format!("{columns}\none random unit in 2,000 exceeds the coherence in the last column\n\n{units}\n{what}")
}

/// The clocks of the most coherent angles.
fn clocks(trunk: &TrunkUnits, report: &Report, counted: usize) -> Clocks {
    let values = trunk.columns[counted].values.len();
    // Columns that nothing can be seen of on a circle come last.
    let mut order: Vec<usize> = (0..trunk.columns.len()).filter(|place| *place != counted).collect();
    order.sort_by_key(|place| trunk.columns[*place].values.len() <= 2);
    order.insert(0, counted);
    order.truncate(RINGS);
    let ring = |place: usize, unit: usize| {
        let column = &trunk.columns[place];
        let angles = &column.units[unit];
        // The first value of what is counted stands at the top, the others where they come nearest to its places.
        let turn = if place == counted { angles[0] } else { lattice(angles, values).1 };
        let angles = angles.iter().map(|angle| (angle - turn).rem_euclid(TAU)).collect();
        Ring { angles, names: if place == counted { column.values.clone() } else { Vec::new() } }
    };
    let clock = |unit: &Unit| Clock {
        title: format!("angle {}: coherence {:.3}", unit.fit.unit, unit.fit.coherence),
        rings: order.iter().map(|place| ring(*place, unit.fit.unit - 1)).collect(),
    };
    let found = &report.columns[counted];
    Clocks {
        title: format!(
            "{} of {} learned angles count the {} (by chance {:.2}); the most coherent",
            found.found, report.units, report.counted, found.by_chance
        ),
        ticks: values,
        columns: order.iter().map(|place| trunk.columns[*place].name.clone()).collect(),
        clocks: report.found.iter().take(CLOCKS).map(clock).collect(),
    }
}
