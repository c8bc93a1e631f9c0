//! The exact marginals of every condition: what `--all` says of a model beyond what was drawn.

use serde::Serialize;

use super::row::Row;
use super::{Inspect, Subject};
use crate::cli::output;
use crate::figures::count;
use crate::metrics::{Estimate, Marginal, MarginalSummary, Weighting, marginals, marginals_in_bulk, mean_distance};

/// Exact figures over conditions.
#[derive(Debug, Serialize)]
pub struct Exact {
    codes: u32,
    /// Over all conditions, by date: each counts with its number of valid dates.
    by_date: Figures,
    /// Over all conditions, each counting once.
    by_condition: Figures,
    /// Over the training conditions, by date.
    train: Option<Figures>,
    /// Over the conditions that were held out of training, by date.
    held_out: Option<Figures>,
}

/// Means with their standard errors from the choice of codes.
#[derive(Debug, Serialize)]
struct Figures {
    invalid_mass: Shown,
    nll_gap: Shown,
    tv: Shown,
    prior_mi: Shown,
    entropy_given_z: Shown,
    worst_invalid_mass: Shown,
    worst_condition: String,
}

/// A figure with its standard error.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    pub value: f64,
    pub error: f64,
}

impl From<Estimate> for Shown {
    fn from(Estimate { value, error }: Estimate) -> Self {
        Self { value, error }
    }
}

impl Figures {
    fn of(marginals: &[(usize, &Marginal)], subject: &Subject, weighting: Weighting) -> Option<Self> {
        let figures: Vec<&Marginal> = marginals.iter().map(|(_, marginal)| *marginal).collect();
        let summary = MarginalSummary::of(&figures, weighting)?;
        Some(Self {
            invalid_mass: summary.invalid_mass.into(),
            nll_gap: summary.nll_gap.into(),
            tv: summary.tv.into(),
            prior_mi: summary.prior_mi.into(),
            entropy_given_z: summary.entropy_given_z.into(),
            worst_invalid_mass: summary.worst_invalid_mass.into(),
            worst_condition: subject.label(marginals[summary.worst].0),
        })
    }
}

/// Measures the marginals of these conditions and adds each one's to its row; none where no codes are asked for.
pub fn measure(options: &Inspect, subject: &Subject, conditions: &[usize], rows: &mut [Row]) -> Option<Exact> {
    if options.codes == 0 {
        return None;
    }
    let codes = if subject.model.layout.latent == 0 { 1 } else { options.codes as usize };
    let run = (options.seed, subject.threads);
    let population = &subject.population;
    let on_device = subject.on_device(|decoder| marginals_in_bulk(decoder, population, conditions, codes, run));
    let measured = on_device.or_else(|| {
        let bar = output::bar(conditions.len() as u64, "{bar:30} {human_pos}/{human_len} marginals  {eta} left");
        let measured = marginals(&subject.model, population, conditions, codes, run, &mut output::on_bar(&bar));
        output::end_bar(&bar);
        measured
    });
    let measured = measured?;
    for (row, marginal) in rows.iter_mut().zip(&measured) {
        row.set_exact(marginal, mean_distance(std::iter::once((1.0, marginal.distance))).value);
    }
    let all: Vec<(usize, &Marginal)> = conditions.iter().copied().zip(&measured).collect();
    let of = |part: &str| all.iter().copied().filter(|(group, _)| subject.part(*group) == part).collect::<Vec<_>>();
    let (held_out, train) = (of("validation"), of("train"));
    Some(Exact {
        codes: options.codes,
        by_date: Figures::of(&all, subject, Weighting::ByRow)?,
        by_condition: Figures::of(&all, subject, Weighting::ByCondition)?,
        train: Figures::of(&train, subject, Weighting::ByRow),
        held_out: Figures::of(&held_out, subject, Weighting::ByRow),
    })
}

impl Exact {
    /// The table, at most this wide, and the columns that were left out.
    pub fn text(&self, width: Option<usize>) -> (String, Vec<String>) {
        let header = [
            "exact figures of sampled decoding",
            "by date",
            "validation, by date",
            "train, by date",
            "by condition",
            "perfect",
        ];
        let all = [Some(&self.by_date), self.held_out.as_ref(), self.train.as_ref(), Some(&self.by_condition)];
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
            row("total variation", "0", &|figures| format!("{:.4} ± {:.4}", figures.tv.value, figures.tv.error)),
            row("prior MI, nats", "-", &|figures| nats(&figures.prior_mi)),
            row("H given z, nats", "-", &|figures| nats(&figures.entropy_given_z)),
        ];
        let (table, dropped) = output::fitted(&header, rows, &[0, 1], width, output::named_table);
        let codes = count(self.codes as usize);
        let text =
            format!("{table}\nprobabilities averaged over {codes} codes for each condition; ± one standard error");
        (text, dropped)
    }
}
