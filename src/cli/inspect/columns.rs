//! `--by-column`: which generated column the likelihood gap comes from.

use serde_json::json;

use super::super::exit::Exit;
use super::super::output;
use super::{Inspect, rows};
use crate::experiment::Config;
use crate::metrics::{ColumnGap, Measure, column_gaps};
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
        let gaps = column_gaps(model, &truth, conditions, codes, run, &mut output::on_bar(&bar));
        output::end_bar(&bar);
        let Some(gaps) = gaps else { return Ok(Exit::Interrupted) };
        let column = |(name, column): (&&str, &ColumnGap)| {
            let ColumnGap { entropy, gap } = column;
            json!({ "column": name, "entropy": entropy, "nll_gap": { "value": gap.value, "error": gap.error } })
        };
        let columns: Vec<_> = names.iter().zip(&gaps).map(column).collect();
        report.insert(part.to_owned(), json!({ "conditions": conditions.len(), "columns": columns }));
        parts.push((part, gaps));
    }
    if options.json {
        output::print(&output::json(&report)?)?;
        return Ok(Exit::Done);
    }
    let mut header = vec!["column".to_owned()];
    header.extend(parts.iter().flat_map(|(part, _)| [format!("H, {part}"), format!("NLL gap, {part}")]));
    let cells = |name: &str, of: &dyn Fn(&[ColumnGap]) -> [String; 2]| -> Vec<String> {
        std::iter::once(name.to_owned()).chain(parts.iter().flat_map(|(_, gaps)| of(gaps))).collect()
    };
    // An estimate of nothing may be a little less: it is no negative nought.
    let gap = |value: f64, error: f64| Measure::NLL_GAP.text(if value.abs() < 5e-5 { 0.0 } else { value }, error);
    let mut lines: Vec<Vec<String>> = names
        .iter()
        .enumerate()
        .map(|(place, name)| {
            cells(name, &|gaps| {
                let ColumnGap { entropy, gap: found } = gaps[place];
                [format!("{entropy:.4}"), gap(found.value, found.error)]
            })
        })
        .collect();
    lines.push(cells("all", &|gaps| {
        let sum = |of: fn(&ColumnGap) -> f64| gaps.iter().map(of).sum::<f64>();
        [format!("{:.4}", sum(|column| column.entropy)), gap(sum(|column| column.gap.value), f64::NAN)]
    }));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let width = output::terminal_width().filter(|_| !options.wide);
    let (table, dropped) = output::fitted(&header, lines, &[0], width, output::long_table);
    output::print(&format!(
        "{table}\nnats, given the condition and the columns before:\n\
         H of the truth, KL of the model from it ± one standard error"
    ))?;
    output::say_dropped(&dropped);
    Ok(Exit::Done)
}
