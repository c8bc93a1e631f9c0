//! The exact marginals of every condition: what `--all` says of a model beyond what was drawn.

use serde::Serialize;

use super::row::Row;
use super::{Inspect, Subject};
use crate::cli::output;
use crate::dates::Condition;
use crate::figures::count;
use crate::metrics::{Estimate, Marginal, MarginalSummary, Weighting, marginals};

/// Exact figures over conditions.
#[derive(Debug, Serialize)]
pub struct Exact {
    codes: u32,
    /// Over all conditions, by date: each counts with its number of valid dates.
    by_date: Figures,
    /// Over all conditions, each counting once.
    by_condition: Figures,
    /// Over the conditions that were held out of training, by date.
    held_out: Option<Figures>,
}

/// Means with their standard errors from the choice of codes.
#[derive(Debug, Serialize)]
struct Figures {
    invalid_mass: Shown,
    nll_gap: Shown,
    tv: f64,
    prior_mi: Shown,
    entropy_given_z: Shown,
    worst_invalid_mass: Shown,
    worst_condition: String,
}

#[derive(Debug, Serialize)]
struct Shown {
    value: f64,
    error: f64,
}

impl From<Estimate> for Shown {
    fn from(Estimate { value, error }: Estimate) -> Self {
        Self { value, error }
    }
}

impl From<MarginalSummary> for Figures {
    fn from(summary: MarginalSummary) -> Self {
        Self {
            invalid_mass: summary.invalid_mass.into(),
            nll_gap: summary.nll_gap.into(),
            tv: summary.tv,
            prior_mi: summary.prior_mi.into(),
            entropy_given_z: summary.entropy_given_z.into(),
            worst_invalid_mass: summary.worst_invalid_mass.into(),
            worst_condition: summary.worst_condition.to_string(),
        }
    }
}

/// Measures the marginals of these conditions and adds each one's to its row; none where no codes are asked for.
pub fn measure(options: &Inspect, subject: &Subject, conditions: &[Condition], rows: &mut [Row]) -> Option<Exact> {
    if options.codes == 0 {
        return None;
    }
    let bar = output::bar(conditions.len() as u64, "{bar:30} {human_pos}/{human_len} marginals  {eta} left");
    let run = (options.seed, subject.threads);
    let measured =
        marginals(&subject.model, &subject.valid, conditions, options.codes as usize, run, &mut output::on_bar(&bar));
    output::end_bar(&bar);
    let measured = measured?;
    for (row, (condition, marginal)) in rows.iter_mut().zip(&measured) {
        let tv = MarginalSummary::of(&[(*condition, marginal.clone())], Weighting::ByCondition)?.tv;
        row.set_exact(marginal, tv);
    }
    let of =
        |marginals: &[(Condition, Marginal)], weighting| MarginalSummary::of(marginals, weighting).map(Figures::from);
    let held_out: Vec<(Condition, Marginal)> = measured
        .iter()
        .zip(rows.iter())
        .filter(|(_, row)| row.held_out)
        .map(|(measured, _)| measured.clone())
        .collect();
    Some(Exact {
        codes: options.codes,
        by_date: of(&measured, Weighting::ByRow)?,
        by_condition: of(&measured, Weighting::ByCondition)?,
        held_out: of(&held_out, Weighting::ByRow),
    })
}

impl Exact {
    /// The table, at most this wide, and the columns that were left out.
    pub fn text(&self, width: Option<usize>) -> (String, Vec<String>) {
        let header = ["exact figures of sampled decoding", "by date", "by condition", "held out, by date", "perfect"];
        let all = [Some(&self.by_date), Some(&self.by_condition), self.held_out.as_ref()];
        let row = |name: &str, perfect: &str, text: &dyn Fn(&Figures) -> String| {
            let cells = all.iter().map(|figures| figures.map_or("-".to_owned(), text));
            std::iter::once(name.to_owned()).chain(cells).chain([perfect.to_owned()]).collect::<Vec<_>>()
        };
        let nats = |figure: &Shown| format!("{:.5} ± {:.5}", figure.value, figure.error);
        let share = |figure: &Shown| format!("{:.2e} ± {:.0e}", figure.value, figure.error);
        let rows = vec![
            row("invalid mass", "0", &|figures| share(&figures.invalid_mass)),
            row("  of the worst condition", "0", &|figures| share(&figures.worst_invalid_mass)),
            row("", "", &|figures| figures.worst_condition.clone()),
            row("NLL gap, nats", "0", &|figures| nats(&figures.nll_gap)),
            row("total variation", "0", &|figures| format!("{:.4}", figures.tv)),
            row("prior MI, nats", "-", &|figures| nats(&figures.prior_mi)),
            row("H(y given z), nats", "-", &|figures| nats(&figures.entropy_given_z)),
        ];
        let (table, dropped) = output::fitted(&header, rows, &[0, 1], width, output::named_table);
        let codes = count(self.codes as usize);
        let text =
            format!("{table}\nprobabilities averaged over {codes} codes for each condition; ± one standard error");
        (text, dropped)
    }
}
