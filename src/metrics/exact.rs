//! The measures of the exact marginal: five figures, each over all conditions, the validation ones and the training
//! ones, by row and by condition, with standard errors.

use super::measure::{Measure, Source, Spec, Unit};

/// What is measured of a marginal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Mass on what is no row of the condition.
    InvalidMass,
    /// KL(truth, marginal).
    NllGap,
    /// Total variation.
    Tv,
    /// Mutual information of z and the row.
    PriorMi,
    /// What is left to chance given z.
    EntropyGivenZ,
}

/// Over which conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Training and validation ones.
    All,
    /// Those that training held out and recipes are chosen by.
    Validation,
    /// Those that some training row has.
    Train,
}

/// How conditions count in a mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighting {
    /// Each condition by its mass, as the data are: by its number of rows where they are uniform.
    ByRow,
    /// Each condition once.
    ByCondition,
}

impl Figure {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::InvalidMass, Self::NllGap, Self::Tv, Self::PriorMi, Self::EntropyGivenZ];

    fn spec(self, name: &'static str, source: Source, meaning: &'static str) -> Spec {
        let of = |unit| Spec::new(name, unit, source, meaning);
        match self {
            Self::InvalidMass => of(Unit::Mass).lower("0").called("invalid mass", "invalid mass"),
            Self::NllGap => of(Unit::Nats).lower("0").called("NLL gap", "NLL gap"),
            Self::Tv => of(Unit::Distance).lower("0").called("tv", "total variation"),
            Self::PriorMi => of(Unit::Nats).higher("").called("prior MI", "prior MI"),
            Self::EntropyGivenZ => of(Unit::Nats).called("H given z", "H given z"),
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::InvalidMass => (
                "invalid_mass",
                "1 - the sum over a condition's rows of the model's marginal, the decoder's probability averaged over z \
                 from the prior: the exact failure rate of samples at temperature 1",
            ),
            Self::NllGap => ("nll_gap", "KL(truth, marginal), without the bias of the logarithm of an average"),
            Self::Tv => ("tv", "Total variation between truth and marginal, without the noise of the codes"),
            Self::PriorMi => ("prior_mi", "Mutual information of z and the row under prior and decoder"),
            Self::EntropyGivenZ => ("entropy_given_z", "H(row given z, condition): what is left to chance given z"),
        }
    }
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::All, Self::Validation, Self::Train];
}

const WEIGHTINGS: [Weighting; 2] = [Weighting::ByRow, Weighting::ByCondition];

/// Number of these measures.
pub(super) const COUNT: u16 = (Figure::ALL.len() * Part::ALL.len() * WEIGHTINGS.len() * 2) as u16;

/// A measure's place among them; its error follows it.
pub(super) const fn place(figure: Figure, part: Part, weighting: Weighting) -> u16 {
    let (figure, part, weighting) = (figure as u16, part as u16, weighting as u16);
    ((part * WEIGHTINGS.len() as u16 + weighting) * Figure::ALL.len() as u16 + figure) * 2
}

/// Their descriptions in order, for measures that begin at this number.
pub(super) fn specs(first: u16) -> Vec<Spec> {
    let mut specs = Vec::new();
    for part in Part::ALL {
        for weighting in WEIGHTINGS {
            for figure in Figure::ALL {
                specs.extend(pair(figure, part, weighting, first));
            }
        }
    }
    specs
}

/// A figure and its standard error.
fn pair(figure: Figure, part: Part, weighting: Weighting, first: u16) -> [Spec; 2] {
    let (part_name, over) = match part {
        Part::All => ("", "all conditions"),
        Part::Validation => ("_validation", "the validation conditions"),
        Part::Train => ("_train", "the training conditions"),
    };
    let (weighting_name, by) = match weighting {
        Weighting::ByRow => ("", "by row: each counts with its mass in the data"),
        Weighting::ByCondition => ("_by_condition", "by condition: each counts once"),
    };
    let (name, what) = figure.words();
    // They live as long as the program, and are made once.
    let name: &'static str = format!("{name}{weighting_name}{part_name}").leak();
    let meaning = format!("{what}; mean over {over} {by}.").leak();
    // What charts of training show.
    let in_history = weighting == Weighting::ByRow && part != Part::Train;
    let source = if in_history { Source::Both } else { Source::Metrics };
    let error = Measure(first + place(figure, part, weighting) + 1);
    let mut spec = figure.spec(name, source, meaning).with_error(error);
    if part != Part::All {
        let suffix = part_name.trim_start_matches('_');
        spec = spec.called(format!("{}, {suffix}", spec.heading).leak(), format!("{}, {suffix}", spec.title).leak());
    }
    if weighting == Weighting::ByCondition {
        spec = spec.called(format!("{}, by condition", spec.heading).leak(), spec.title);
    }
    let error_name: &'static str = format!("{name}_error").leak();
    let meaning = format!("Standard error of `{name}` from the choice of codes.").leak();
    [spec, Spec::new(error_name, spec.unit, Source::Metrics, meaning)]
}
