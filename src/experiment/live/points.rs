//! The part of a history that a live view shows, kept small: a thousand trials of it fit a few megabytes.

use super::tail::Growth;
use crate::metrics::{Measure, Row, Source};
use crate::training::Phase;

/// The measures that are kept of each row.
pub const KEPT: [Measure; 9] = [
    Measure::TrainLoss,
    Measure::TestLoss,
    Measure::TrainRecon,
    Measure::TestRecon,
    Measure::TrainKl,
    Measure::TestKl,
    Measure::GreedyPass,
    Measure::GreedyPassValidation,
    Measure::SampledPass,
];

/// One evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Steps done.
    pub step: u64,
    /// The phase of the KL schedule, where it is one that is known.
    pub phase: Option<Phase>,
    /// The values of [`KEPT`]; NaN where a column or its number is missing.
    values: [f64; KEPT.len()],
}

impl Point {
    /// The value of one of the measures that are kept; NaN for any other measure.
    pub fn value(&self, measure: Measure) -> f64 {
        KEPT.iter().position(|kept| *kept == measure).map_or(f64::NAN, |place| self.values[place])
    }
}

/// Where step, phase and what the kept measures are computed from stand in a line.
type Columns = (usize, Option<usize>, Vec<(usize, Measure)>);

/// The evaluations of a trial, extended as its history grows.
#[derive(Clone, Debug, Default)]
pub struct Points {
    columns: Option<Columns>,
    /// The evaluations, in order.
    pub all: Vec<Point>,
}

impl Points {
    /// Takes in what a history has grown by; says whether anything changed. Cells that are no numbers are left out: a
    /// view goes on where a table is damaged.
    pub fn take(&mut self, growth: &Growth) -> bool {
        match growth {
            Growth::Same => return false,
            Growth::Gone => *self = Self::default(),
            Growth::Lines(text) => self.rows(text),
            Growth::Anew(text) => {
                *self = Self::default();
                self.rows(text);
            }
        }
        true
    }

    fn rows(&mut self, text: &str) {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        for record in reader.records().map_while(Result::ok) {
            let Some((step, phase, places)) = &self.columns else {
                self.columns = columns(&record);
                if self.columns.is_none() {
                    return;
                }
                continue;
            };
            let Some(step) = record.get(*step).and_then(|cell| cell.parse().ok()) else { continue };
            let phase = phase.and_then(|place| Phase::named(record.get(place)?));
            let mut row = Row::default();
            for (place, measure) in places {
                if let Some(number) = record.get(*place).and_then(|cell| cell.parse::<f64>().ok()) {
                    row.set(*measure, number);
                }
            }
            self.all.push(Point { step, phase, values: KEPT.map(|measure| row.number(measure)) });
        }
        self.all.shrink_to_fit();
    }

    /// Where each phase begins: the step of the last evaluation before it, or 0.
    pub fn phases(&self) -> Vec<(u64, Phase)> {
        let mut found: Vec<(u64, Phase)> = Vec::new();
        let mut before = 0;
        for point in &self.all {
            if let Some(phase) = point.phase
                && found.last().is_none_or(|(_, last)| *last != phase)
            {
                found.push((before, phase));
            }
            before = point.step;
        }
        found
    }
}

/// Finds the columns in a header; none where it has no steps.
fn columns(header: &csv::StringRecord) -> Option<Columns> {
    let place = |name: &str| header.iter().position(|column| column == name);
    let is_needed = |measure: &Measure| {
        KEPT.iter().any(|kept| match kept.spec().source {
            Source::Derived { from, .. } => kept == measure || from.contains(measure),
            _ => kept == measure,
        })
    };
    let named = header.iter().enumerate().filter_map(|(place, name)| Some((place, Measure::named(name)?)));
    let kept = named.filter(|(_, measure)| is_needed(measure)).collect();
    Some((place(Measure::Step.name())?, place(Measure::Phase.name()), kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_their_header_and_damage_is_passed_over() {
        let mut points = Points::default();
        let text = "step,phase,new_column,greedy_pass,beta\n10,calendar,7,0.5,inf\nx,code,1,1,1\n20,code,?,-,0.1\n";
        assert!(points.take(&Growth::Anew(text.to_owned())));
        assert!(points.take(&Growth::Lines("30,match,1,0.75\n".to_owned())));
        assert!(!points.take(&Growth::Same));
        let pass: Vec<f64> = points.all.iter().map(|point| point.value(Measure::GreedyPass)).collect();
        assert!(pass[0] == 0.5 && pass[1].is_nan() && pass[2] == 0.75, "{pass:?}");
        assert!(points.all[0].value(Measure::TestKl).is_nan() && points.all[0].value(Measure::Lr).is_nan());
        assert_eq!(points.phases(), [(0, Phase::Condition), (10, Phase::Encode), (20, Phase::Align)]);
        assert!(points.take(&Growth::Gone) && points.all.is_empty());
        assert!(points.take(&Growth::Anew("no,step\n1,2\n".to_owned())) && points.all.len() == 1);
        assert!(points.take(&Growth::Anew("nothing\n1\n".to_owned())) && points.all.is_empty());
        // The names of earlier versions, and what is computed from other columns.
        points.take(&Growth::Anew("step,greedy_pass_held_out,invalid_mass_by_condition\n1,0.5,0.25\n".to_owned()));
        assert_eq!(points.all[0].value(Measure::GreedyPassValidation), 0.5);
        assert_eq!(points.all[0].value(Measure::SampledPass), 0.75);
    }
}
