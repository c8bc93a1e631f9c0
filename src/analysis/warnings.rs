//! What the figures of a model warn of, and what to do then.

use std::fmt;

use serde::Serialize;

use crate::metrics::{Measure, Row};

/// The figures that warnings are read from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Reconstruction at z from the posterior, nats per date.
    pub recon: f64,
    /// Entropy of the date given its condition, nats: no decoder that ignores z reconstructs better.
    pub floor: f64,
    /// KL of the posterior from the prior, nats per date.
    pub kl: f64,
    /// Whether the model has a latent code, which could collapse.
    pub has_code: bool,
    /// Latent dimensions in use.
    pub active_units: usize,
    /// Pass rate of greedy decoding at z from the prior, all conditions.
    pub greedy_pass: f64,
    /// The same over the held-out conditions, where there are any.
    pub held_out_pass: Option<f64>,
    /// Mean coverage of greedy decoding, in as many draws as a condition has rows.
    pub greedy_coverage: f64,
    /// Mean coverage to be expected of a perfect sampler at that number of samples.
    pub expected_coverage: f64,
}

impl Figures {
    /// The figures that a finished trial logged, of a model with a latent code or without.
    pub fn of(metrics: &Row, has_code: bool) -> Self {
        let number = |measure| metrics.number(measure);
        Self {
            recon: number(Measure::TestRecon),
            floor: number(Measure::TestEntropyFloor),
            kl: number(Measure::TestKl),
            has_code,
            active_units: metrics.count(Measure::ActiveUnits) as usize,
            greedy_pass: number(Measure::GreedyPass),
            held_out_pass: Some(number(Measure::GreedyPassValidation)).filter(|pass| pass.is_finite()),
            greedy_coverage: number(Measure::GreedyCoverage),
            expected_coverage: number(Measure::PerfectCoverage),
        }
    }
}

/// Something is wrong with a model that its loss does not show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Warning {
    /// z carries the whole date past the condition: reconstruction is low, samples from the prior fail.
    LatentBypass {
        /// Reconstruction at z from the posterior, nats.
        recon: f64,
        /// Pass rate at z from the prior.
        pass: f64,
    },
    /// z carries nothing, and greedy decoding knows one date for each condition.
    PosteriorCollapse {
        /// KL of the posterior from the prior, nats.
        kl: f64,
        /// Latent dimensions in use.
        active_units: usize,
        /// Mean coverage of greedy decoding, in as many draws as a condition has rows.
        coverage: f64,
    },
    /// Conditions that were not trained on fare clearly worse than those that were.
    HeldOutGap {
        /// Pass rate over held-out conditions.
        held_out: f64,
        /// Pass rate over all conditions.
        all: f64,
    },
}

/// A pass rate below which the calendar is unknown: twice the 1/7 that a right month, decade and leap year
/// with a random day give.
const UNKNOWN_CALENDAR: f64 = 2.0 / 7.0;
/// KL below which z carries next to nothing, nats.
const NO_INFORMATION: f64 = 0.1;
/// Coverage as a share of a perfect sampler's below which greedy decoding knows about one row of each condition: of
/// dates, two of them cover a fifth.
const ONE_ROW: f64 = 0.2;
/// Difference in pass rate that is not noise with a few hundred conditions.
const CLEAR_GAP: f64 = 0.02;

/// What these figures warn of.
pub fn warnings(figures: &Figures) -> Vec<Warning> {
    let &Figures { recon, floor, kl, active_units, greedy_pass: pass, greedy_coverage: coverage, .. } = figures;
    // Below the floor, z must be telling the decoder what the condition does not.
    let bypass = (recon < floor && pass < UNKNOWN_CALENDAR).then_some(Warning::LatentBypass { recon, pass });
    // Where samples are so few that a perfect sampler would cover no more, coverage says nothing.
    let one_date = coverage < ONE_ROW * figures.expected_coverage;
    let unused = figures.has_code && (kl < NO_INFORMATION || active_units == 0);
    let collapse = (unused && one_date).then_some(Warning::PosteriorCollapse { kl, active_units, coverage });
    let gap = figures.held_out_pass.filter(|held_out| pass - held_out > CLEAR_GAP);
    let gap = gap.map(|held_out| Warning::HeldOutGap { held_out, all: pass });
    [bypass, collapse, gap].into_iter().flatten().collect()
}

impl Warning {
    /// The warning's name, for machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::LatentBypass { .. } => "LatentBypass",
            Self::PosteriorCollapse { .. } => "PosteriorCollapse",
            Self::HeldOutGap { .. } => "HeldOutGap",
        }
    }
}

/// A warning for machines.
#[derive(Clone, Debug, Serialize)]
pub struct WarningRecord {
    name: &'static str,
    text: String,
}

impl From<Warning> for WarningRecord {
    fn from(warning: Warning) -> Self {
        Self { name: warning.name(), text: warning.to_string() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LatentBypass { recon, pass } => write!(
                f,
                "latent bypass: the posterior reconstructs to {recon:.2} nats, but only {:.1} % of the samples from the \
                 prior pass. z carries the answer past the condition. Keep beta at 1 or above until the decoder knows the \
                 condition: beta.schedule = \"phased\" with beta.high = inf, for dates a lower beta.calendar.",
                100.0 * pass
            ),
            Self::PosteriorCollapse { kl, active_units, coverage } => write!(
                f,
                "posterior collapse: KL {kl:.3} nats, {active_units} active latent dimensions, and greedy decoding \
                 covers {:.1} % of the valid answers. z decides nothing. Lower beta.low or beta.value, train longer, or \
                 take --decode sample, whose variety does not need z.",
                100.0 * coverage
            ),
            Self::HeldOutGap { held_out, all } => write!(
                f,
                "held-out gap: {:.1} % of the samples pass on conditions that were held out, {:.1} % on all. The \
                 model has memorised conditions. Use model.trunk = \"multiplicative\" if it is another, fewer hidden units, or \
                 hold out less (data.held_out).",
                100.0 * held_out,
                100.0 * all
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dates::{self, Condition, Holdout, Split, ValidDates};
    use crate::metrics::{Draws, Population, Scores, Tally, latent_use, tally_model, test_terms, unwatched};
    use crate::model::{Decode, Model, ModelConfig};

    /// The figures of a model that is as it should be.
    fn sound() -> Figures {
        Figures {
            recon: 1.0,
            floor: 3.24,
            kl: 2.7,
            has_code: true,
            active_units: 4,
            greedy_pass: 0.999,
            held_out_pass: Some(0.998),
            greedy_coverage: 0.63,
            expected_coverage: 0.64,
        }
    }

    fn names(figures: Figures) -> Vec<&'static str> {
        warnings(&figures).into_iter().map(Warning::name).collect()
    }

    #[test]
    fn a_sound_model_raises_none_and_neither_does_an_untrained_one() {
        assert!(names(sound()).is_empty());
        let untrained = Figures { recon: 11.9, kl: 0.2, greedy_pass: 0.0, held_out_pass: Some(0.0), ..sound() };
        assert!(names(untrained).is_empty());
    }

    #[test]
    fn each_trouble_is_named_with_its_advice() {
        let bypass = Figures { recon: 0.1, kl: 5.2, greedy_pass: 0.14, held_out_pass: Some(0.14), ..sound() };
        assert_eq!(names(bypass), ["LatentBypass"]);
        let text = warnings(&bypass)[0].to_string();
        assert!(text.contains("14.0 %") && text.contains("beta.schedule"), "{text}");
        let collapse = Figures { recon: 3.24, kl: 0.0, active_units: 0, greedy_coverage: 0.065, ..sound() };
        assert_eq!(names(collapse), ["PosteriorCollapse"]);
        assert!(names(Figures { has_code: false, ..collapse }).is_empty(), "without z nothing can collapse");
        let gap = Figures { held_out_pass: Some(0.9), ..sound() };
        assert_eq!(names(gap), ["HeldOutGap"]);
        assert_eq!(names(Figures { held_out_pass: None, ..sound() }), [""; 0]);
    }

    #[test]
    fn few_samples_alone_are_no_collapse() {
        let few = Figures { kl: 0.0, greedy_coverage: 0.065, expected_coverage: 0.065, ..sound() };
        assert!(names(few).is_empty());
    }

    /// The pass rate over conditions of a sampler that is right with this probability.
    fn pass_of(conditions: &[Condition], population: &Population, right: impl Fn(Condition) -> bool) -> f64 {
        let tally = |condition: &Condition| {
            let group = population.find(&condition.row()).unwrap();
            let mut tally = Tally::new(population, group);
            match population.generated(group).next() {
                Some(row) if right(*condition) => tally.add(population, row),
                _ => tally.add_invalid(),
            }
            tally
        };
        Scores::of(population, &conditions.iter().map(tally).collect::<Vec<_>>()).unwrap().pass.mean
    }

    #[test]
    fn a_sampler_that_knows_its_training_conditions_by_heart_shows_a_gap() {
        let valid = ValidDates::new();
        let split = Split::new(&valid, Holdout::Conditions, 0.1, 1).unwrap();
        let seen: std::collections::HashSet<Condition> = split.seen.iter().copied().collect();
        let population = Population::new(dates::truth(&valid));
        let pass = |conditions: &[Condition]| pass_of(conditions, &population, |condition| seen.contains(&condition));
        let figures =
            Figures { greedy_pass: pass(&valid.conditions()), held_out_pass: Some(pass(&split.held_out)), ..sound() };
        assert_eq!(names(figures), ["HeldOutGap"]);
    }

    #[test]
    fn a_model_without_a_code_has_collapsed() {
        let config = ModelConfig { hidden_dim: 16, angles: 8, ..ModelConfig::default() };
        let mut model = Model::new(config, crate::task::dates::schema(), 1);
        for name in ["encoder.output.weight", "encoder.output.bias", "decoder.latent.weight", "decoder.latent.bias"] {
            model.tensor_mut(name).unwrap().fill(0.0);
        }
        let population = Population::new(dates::truth(&ValidDates::new()));
        let conditions: Vec<usize> = (0..population.len()).step_by(50).collect();
        let data = population.subset(&conditions);
        let draws = Draws { samples: 50, decode: Decode::Greedy, seed: 1, threads: 1 };
        let tallies = tally_model(&model, &population, &conditions, draws, &mut unwatched).unwrap();
        let rows = data.groups().rows();
        let (scores, terms) = (Scores::of(&population, &tallies).unwrap(), test_terms(&model, rows, 1));
        let figures = Figures {
            recon: terms.recon,
            floor: data.mean_entropy(),
            kl: terms.kl,
            has_code: true,
            active_units: latent_use(&model, rows).active_units(),
            greedy_pass: scores.pass.mean,
            held_out_pass: None,
            greedy_coverage: scores.coverage_at_rows.mean,
            expected_coverage: scores.expected_coverage_at_rows,
        };
        assert_eq!(names(figures), ["PosteriorCollapse"]);
    }
}
