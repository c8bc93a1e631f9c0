//! `--by-column`: which generated column the likelihood gap and the invalid mass come from.

use serde_json::json;

use super::super::exit::Exit;
use super::super::output;
use super::{Inspect, rows};
use crate::experiment::Config;
use crate::metrics::{ColumnShare, Estimate, Measure, column_shares};
use crate::model::Model;

/// Measures every generated column, over the training and the validation conditions, and prints a table.
///
/// # Errors
/// When the data can't be had.
pub fn run(options: &Inspect, model: &Model, config: &Config) -> anyhow::Result<Exit> {
    let truth = rows::truth(model, config)?;
    let split = config.data.split(&truth)?;
    let names: Vec<&str> = truth.schema().generated.iter().map(|column| column.name.as_str()).collect();
    let run = (options.seed, options.cores());
    let (mut parts, mut report) = (Vec::new(), serde_json::Map::new());
    for (part, conditions) in [("train", &split.seen), ("validation", &split.held_out)] {
        if conditions.is_empty() {
            continue;
        }
        let bar = output::bar(conditions.len() as u64, "{bar:30} {human_pos}/{human_len} conditions  {eta} left");
        let codes = options.codes as usize;
        let shares = column_shares(model, &truth, conditions, codes, run, &mut output::on_bar(&bar));
        output::end_bar(&bar);
        let Some(shares) = shares else { return Ok(Exit::Interrupted) };
        let estimate = |of: Estimate| json!({ "value": of.value, "error": of.error });
        let column = |(name, column): (&&str, &ColumnShare)| {
            let ColumnShare { entropy, gap, invalid_mass } = *column;
            let (nll_gap, invalid_mass) = (estimate(gap), estimate(invalid_mass));
            json!({ "column": name, "entropy": entropy, "nll_gap": nll_gap, "invalid_mass": invalid_mass })
        };
        let columns: Vec<_> = names.iter().zip(&shares).map(column).collect();
        report.insert(part.to_owned(), json!({ "conditions": conditions.len(), "columns": columns }));
        parts.push((part, shares));
    }
    if options.json {
        output::print(&output::json(&report)?)?;
        return Ok(Exit::Done);
    }
    let mut header = vec!["column".to_owned()];
    header.extend(
        parts.iter().flat_map(|(part, _)| ["H", "NLL gap", "invalid mass"].map(|figure| format!("{figure}, {part}"))),
    );
    let cells = |name: &str, of: &dyn Fn(&[ColumnShare]) -> [String; 3]| -> Vec<String> {
        std::iter::once(name.to_owned()).chain(parts.iter().flat_map(|(_, shares)| of(shares))).collect()
    };
    // An estimate of nothing may be a little less: it is no negative nought.
    let gap = |value: f64, error: f64| Measure::NLL_GAP.text(if value.abs() < 5e-5 { 0.0 } else { value }, error);
    let failed = |value: f64, error: f64| Measure::INVALID_MASS.text(value.max(0.0), error);
    let mut lines: Vec<Vec<String>> = names
        .iter()
        .enumerate()
        .map(|(place, name)| {
            cells(name, &|shares| {
                let ColumnShare { entropy, gap: found, invalid_mass: lost } = shares[place];
                [format!("{entropy:.4}"), gap(found.value, found.error), failed(lost.value, lost.error)]
            })
        })
        .collect();
    lines.push(cells("all", &|shares| {
        let sum = |of: fn(&ColumnShare) -> f64| shares.iter().map(of).sum::<f64>();
        let lost = sum(|column| column.invalid_mass.value);
        let entropy = format!("{:.4}", sum(|column| column.entropy));
        [entropy, gap(sum(|column| column.gap.value), f64::NAN), failed(lost, f64::NAN)]
    }));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let width = output::terminal_width().filter(|_| !options.wide);
    let (table, dropped) = output::fitted(&header, lines, &[0], width, output::long_table);
    output::print(&format!(
        "{table}\nin nats, given the condition and the columns before: H of the truth, KL of the model from it;\n\
         invalid mass: the probability that a sample fails in this column; ± one standard error"
    ))?;
    output::say_dropped(&dropped);
    Ok(Exit::Done)
}
