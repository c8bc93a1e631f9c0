//! Models of tables and other tasks: a condition's marginal row by row, or all conditions' figures.

use serde::Serialize;
use serde_json::json;

use super::super::exit::{BadInput, Exit};
use super::super::output;
use super::Inspect;
use super::all::sealed_conditions;
use crate::cli::predict::DecodeKind;
use crate::experiment::Config;
use crate::files;
use crate::metrics::{Estimate, Marginal, MarginalSummary, Measure, Weighting, marginals};
use crate::model::Model;
use crate::printable::ShownPath;
use crate::task::Truth;

/// Inspects a condition, or with --all every one.
///
/// # Errors
/// When the data can't be had, the condition does not occur, or an option is for dates alone.
pub fn run(options: &Inspect, model: &Model, config: &Config) -> anyhow::Result<Exit> {
    if options.latent {
        return Err(BadInput("--latent is for dates; name a condition, or use --all".to_owned()).into());
    }
    let of_draws = [
        ("-n", options.samples.is_some()),
        ("--decode sample", options.decode == DecodeKind::Sample),
        ("--temperature", options.temperature.is_some()),
        ("--device cuda", options.device != "cpu"),
    ];
    if let Some((option, _)) = of_draws.into_iter().find(|(_, set)| *set) {
        let message =
            format!("{option} is for dates; of other data nothing is drawn, all figures are exact: leave it out");
        return Err(BadInput(message).into());
    }
    if options.output.is_some() && options.condition.is_some() {
        let message = "-o: of other data one condition is printed alone; leave it out, or use --all for a table of all";
        return Err(BadInput(message.to_owned()).into());
    }
    let truth = truth(model, config)?;
    let of = |groups: &[usize]| {
        let run = (options.seed, options.cores());
        let bar = output::bar(groups.len() as u64, "{bar:30} {human_pos}/{human_len} conditions  {eta} left");
        let measured = marginals(model, &truth, groups, options.codes.max(1) as usize, run, &mut output::on_bar(&bar));
        bar.finish_and_clear();
        measured.unwrap_or_default()
    };
    match &options.condition {
        Some(text) => one(options, &truth, text, &of),
        None => all(options, &truth, config, &of),
    }
}

/// The data that a model was trained on.
///
/// # Errors
/// When they can't be had, or are others now.
pub(in crate::cli) fn truth(model: &Model, config: &Config) -> anyhow::Result<Truth> {
    let truth = config.data.load()?.truth;
    if truth.schema() == &model.schema {
        return Ok(truth);
    }
    let message =
        "the data that its config names are not those that the model was trained on; restore them, or train again";
    Err(BadInput(message.to_owned()).into())
}

/// One condition's exact figures: a row of conditions.csv, nats, with standard errors.
#[derive(Serialize)]
struct Row {
    condition: String,
    split: &'static str,
    rows: usize,
    /// p(c) up to a constant.
    mass: f64,
    entropy: f64,
    invalid_mass: f64,
    invalid_mass_error: f64,
    nll_gap: f64,
    nll_gap_error: f64,
    prior_mi: f64,
    entropy_given_z: f64,
}

impl Row {
    fn new(truth: &Truth, group: usize, split: &'static str, marginal: &Marginal) -> Self {
        let Marginal { invalid_mass, nll_gap, prior_mi, entropy_given_z, .. } = marginal;
        Self {
            condition: truth.schema().label(truth.condition(group)),
            split,
            rows: truth.count(group),
            mass: truth.mass(group),
            entropy: truth.entropy(group),
            invalid_mass: invalid_mass.value,
            invalid_mass_error: invalid_mass.error,
            nll_gap: nll_gap.value,
            nll_gap_error: nll_gap.error,
            prior_mi: prior_mi.value,
            entropy_given_z: entropy_given_z.value,
        }
    }
}

/// Marginals of some conditions.
type Marginals<'a> = &'a dyn Fn(&[usize]) -> Vec<Marginal>;

/// Rows of a condition that are shown.
const SHOWN: usize = 30;

fn one(options: &Inspect, truth: &Truth, text: &str, of: Marginals<'_>) -> anyhow::Result<Exit> {
    let schema = truth.schema();
    let given = schema.parse_condition(text).map_err(|error| BadInput(error.to_string()))?;
    let group = truth.find(&given).ok_or_else(|| BadInput(format!("no row meets {}", schema.label(&given))))?;
    let Some(marginal) = of(&[group]).into_iter().next() else { return Ok(Exit::Interrupted) };
    let mut rows: Vec<(usize, &[u16])> = truth.generated(group).enumerate().collect();
    let probabilities = truth.probabilities(group);
    rows.sort_by(|a, b| probabilities[b.0].total_cmp(&probabilities[a.0]));
    if options.json {
        let row = |(rank, row): &(usize, &[u16])| {
            let Estimate { value, error } = marginal.rows[*rank];
            json!({ "row": schema.row_label(row), "truth": probabilities[*rank], "model": value, "error": error })
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        output::print(&output::json(&json!({ "condition": schema.label(&given), "rows": rows }))?)?;
        return Ok(Exit::Done);
    }
    let shown = rows.iter().take(SHOWN).map(|(rank, row)| {
        let Estimate { value, error } = marginal.rows[*rank];
        vec![schema.row_label(row), format!("{:.5}", probabilities[*rank]), format!("{value:.5} ± {error:.5}")]
    });
    let table = output::long_table(&["row", "truth", "model"], shown.collect());
    let more = if rows.len() > SHOWN { format!("\nand {} rows more", rows.len() - SHOWN) } else { String::new() };
    let figures = [
        ("invalid mass", marginal.invalid_mass),
        ("NLL gap", marginal.nll_gap),
        ("prior MI", marginal.prior_mi),
        ("H given z", marginal.entropy_given_z),
    ];
    let figures = figures.map(|(name, figure)| format!("{name} {:.5} ± {:.5}", figure.value, figure.error)).join("; ");
    let label = schema.label(&given);
    output::print(&format!(
        "{label}: {} rows, H {:.4} nats\n{table}{more}\n{figures}",
        rows.len(),
        truth.entropy(group)
    ))?;
    Ok(Exit::Done)
}

fn all(options: &Inspect, truth: &Truth, config: &Config, of: Marginals<'_>) -> anyhow::Result<Exit> {
    let split = config.data.split(truth)?;
    let (mut lines, mut report) = (Vec::new(), serde_json::Map::new());
    let mut rows = Vec::new();
    let parts = match options.sealed {
        true => vec![("sealed", sealed_conditions(&split)?)],
        false => vec![("train", split.seen.as_slice()), ("validation", split.held_out.as_slice())],
    };
    for (part, groups) in parts {
        let marginals = of(groups);
        rows.extend(groups.iter().zip(&marginals).map(|(group, marginal)| Row::new(truth, *group, part, marginal)));
        let Some(summary) = MarginalSummary::of(&marginals.iter().collect::<Vec<_>>(), Weighting::ByRow) else {
            continue;
        };
        let figure = |figure: Estimate| json!({ "value": figure.value, "error": figure.error });
        let worst = truth.schema().label(truth.condition(groups[summary.worst]));
        report.insert(
            part.to_owned(),
            json!({
                "conditions": groups.len(),
                "invalid_mass": figure(summary.invalid_mass),
                "nll_gap": figure(summary.nll_gap),
                "tv": figure(summary.tv),
                "prior_mi": figure(summary.prior_mi),
                "entropy_given_z": figure(summary.entropy_given_z),
                "worst_condition": worst,
            }),
        );
        let text = |measure: Measure, figure: Estimate| measure.text(figure.value, figure.error);
        lines.push(vec![
            part.to_owned(),
            groups.len().to_string(),
            text(Measure::INVALID_MASS, summary.invalid_mass),
            text(Measure::NLL_GAP, summary.nll_gap),
            text(Measure::TV, summary.tv),
            text(Measure::PRIOR_MI, summary.prior_mi),
            text(Measure::ENTROPY_GIVEN_Z, summary.entropy_given_z),
            worst,
        ]);
    }
    let path = options.folder().join("conditions.csv");
    files::make_folder(options.folder())?;
    files::replace(&path, |partial| {
        let mut writer = csv::Writer::from_path(partial).map_err(files::of_csv)?;
        rows.iter().try_for_each(|row| writer.serialize(row)).map_err(files::of_csv)?;
        writer.flush()
    })?;
    output::say!("wrote {}", path.shown());
    if options.json {
        output::print(&output::json(&report)?)?;
        return Ok(Exit::Done);
    }
    let header =
        ["conditions", "number", "invalid mass", "NLL gap", "TV", "prior MI", "H given z", "most invalid mass"];
    output::print(&output::table(&header, lines).to_string())?;
    Ok(Exit::Done)
}
