//! The measures: one entry each, from which all else is made.
//!
//! The columns of history.csv and metrics.csv, the tables of `cvae compare`, the charts of `cvae plot` and the
//! glossary docs/columns.md follow this list. To add a measure, add its entry here and its value to
//! `Evaluation::row` (training/measures.rs); charts that show it name it by its constant.
//!
//! Two kinds of measures are not written out one by one: the exact figures of the marginal (`exact.rs`), and those that
//! hold the name of a given column (`family.rs`).

use std::sync::LazyLock;

use super::exact::{self, Figure, Part, Weighting};
use super::family;
use super::measure::{Measure, Source, Spec, Unit};
use Source::{Both, History, Metrics};

/// The values of measures.
type Values<'a> = &'a dyn Fn(Measure) -> f64;

/// Makes a constant for each measure and the list of their descriptions from one list of entries.
macro_rules! measures {
    ($($measure:ident => $spec:expr,)*) => {
        #[derive(Clone, Copy)]
        enum Place { $($measure,)* Count }

        #[allow(non_upper_case_globals, missing_docs)]
        impl Measure {
            $(pub const $measure: Self = Self(Place::$measure as u16);)*
        }

        /// In the order of the constants.
        fn listed() -> Vec<Spec> {
            vec![$($spec,)*]
        }
    };
}

const fn entry(name: &'static str, unit: Unit, source: Source, meaning: &'static str) -> Spec {
    Spec::new(name, unit, source, meaning)
}

const fn derived(
    name: &'static str,
    unit: Unit,
    from: &'static [Measure],
    compute: fn(Values<'_>) -> f64,
    meaning: &'static str,
) -> Spec {
    Spec::new(name, unit, Source::Derived { from, compute }, meaning)
}

measures! {
    // Progress and schedule.
    Step => entry("step", Unit::Count, History, "Training steps done."),
    Epoch => entry("epoch", Unit::Number, History, "Passes over the training rows: steps x batch size / training rows."),
    Phase => entry("phase", Unit::Text, Both, "Phase of the KL schedule; schedules without phases are in the last one."),
    PhaseSince => entry("phase_since", Unit::Count, History, "Step at which that phase began."),
    Beta => entry("beta", Unit::Number, History, "KL weight of the last step; `inf` while z is fixed at 0."),
    Lr => entry("lr", Unit::Number, History, "Learning rate of the last step."),
    TrainLoss => entry("train_loss", Unit::Nats, History, "Training objective, mean over the steps since the previous row.")
        .lower(""),
    TrainRecon => entry("train_recon", Unit::Nats, History, "Its reconstruction term: -log p(row given z, condition) with z from the posterior.")
        .lower(""),
    TrainKl => entry("train_kl", Unit::Nats, History, "Its KL divergence of the posterior from the prior."),
    TrainPriorRecon => entry("train_prior_recon", Unit::Nats, History, "Its hybrid term: the reconstruction with z from the prior.")
        .lower(""),
    TrainSeconds => entry("train_seconds", Unit::Seconds, Both, "Seconds spent in training steps, over all sessions of the run.")
        .lower("").called("training, s", "training time"),
    DatesPerSecond => entry("dates_per_second", Unit::PerSecond, History, "Training rows per second, evaluations not counted.")
        .higher(""),
    // What was generated.
    Samples => entry("samples", Unit::Count, Both, "Samples drawn for each condition: `evaluation.samples` in a history, `evaluation.final_samples` at the end."),
    Codes => entry("codes", Unit::Count, Both, "Codes drawn for each condition in the exact marginals (`evaluation.codes`, fewer in a history)."),
    Conditions => entry("conditions", Unit::Count, Metrics, "Conditions that were measured: all that some row meets, but for sealed ones."),
    ValidationConditions => entry("validation_conditions", Unit::Count, Metrics, "Those among them that no training row meets."),
    GreedyPass => entry("greedy_pass", Unit::Share, Both, "Share of greedy samples that are rows of their condition.")
        .higher("100 %").called("greedy pass", "greedy pass rate"),
    GreedyPassTrain => derived("greedy_pass_train", Unit::Share, TRAIN_GREEDY,
        |of| train(of, Measure::GreedyPass, Measure::GreedyPassValidation), "`greedy_pass` over the training conditions.")
        .higher("100 %").called("greedy, train", "greedy pass, train"),
    GreedyPassValidation => entry("greedy_pass_validation", Unit::Share, Both, "`greedy_pass` over the validation conditions.")
        .higher("100 %").called("greedy, validation", "greedy pass, validation"),
    GreedyValidRow => entry("greedy_valid_row", Unit::Share, Both, "Share of greedy samples that are rows of some condition.")
        .higher("100 %"),
    GreedyCoverage => entry("greedy_coverage_at_rows", Unit::Share, Both, "Share of a condition's rows that greedy decoding generates at least once in as many draws as it has rows (or `samples`, if those are fewer), mean over conditions: rarefied from all draws (Hurlbert 1971).")
        .higher("`perfect_coverage_at_rows`").called("greedy coverage", "greedy coverage"),
    GreedyCoverageValidation => entry("greedy_coverage_at_rows_validation", Unit::Share, Metrics, "`greedy_coverage_at_rows` over the validation conditions.")
        .higher("`perfect_coverage_at_rows`").called("greedy coverage, validation", "greedy coverage, validation"),
    PerfectCoverage => entry("perfect_coverage_at_rows", Unit::Share, Both, "The same, expected of draws from the truth."),
    GreedyCoverageRatio => derived("greedy_coverage_ratio", Unit::Share, &[Measure::GreedyCoverage, Measure::PerfectCoverage],
        |of| of(Measure::GreedyCoverage) / of(Measure::PerfectCoverage), "`greedy_coverage_at_rows` / `perfect_coverage_at_rows`.")
        .higher("100 %").called("greedy coverage / perfect", "greedy coverage / perfect"),
    GreedyTv => entry("greedy_tv", Unit::Distance, Both, "Total variation distance of greedy decoding from the truth, mean over conditions, sampling noise removed in quadrature.")
        .lower("0").called("greedy tv", "greedy total variation").with_error(Measure::GreedyTvError),
    GreedyTvError => entry("greedy_tv_error", Unit::Distance, Metrics, "Standard error of `greedy_tv`, by the jackknife over conditions."),
    GreedyTvValidation => entry("greedy_tv_validation", Unit::Distance, Metrics, "`greedy_tv` over the validation conditions.")
        .lower("0").called("greedy tv, validation", "greedy total variation, validation"),
    SampledPass => derived("sampled_pass", Unit::Share, &[Measure::INVALID_MASS_BY_CONDITION],
        |of| 1.0 - of(Measure::INVALID_MASS_BY_CONDITION), "1 - `invalid_mass_by_condition`: the exact pass rate of samples at temperature 1.")
        .higher("100 %").called("sampled pass", "sampled pass rate"),
    SampledPassValidation => derived("sampled_pass_validation", Unit::Share, &[Measure::INVALID_MASS_BY_CONDITION_VALIDATION],
        |of| 1.0 - of(Measure::INVALID_MASS_BY_CONDITION_VALIDATION), "`sampled_pass` over the validation conditions.")
        .higher("100 %").called("sampled, validation", "sampled pass, validation"),
    WorstInvalidMass => entry("worst_invalid_mass", Unit::Mass, Metrics, "`invalid_mass` of the worst condition.")
        .lower("0").called("worst invalid mass", "invalid mass, worst condition").with_error(Measure::WorstInvalidMassError),
    WorstInvalidMassError => entry("worst_invalid_mass_error", Unit::Mass, Metrics, "Its standard error."),
    WorstCondition => entry("worst_condition", Unit::Text, Metrics, "That condition."),
    // Losses and the latent code, on the validation rows.
    TestLoss => entry("test_loss", Unit::Nats, History, "Reconstruction, KL and hybrid term on the validation rows, with the weights of the last step; without free bits, an MMD term or importance weights.")
        .lower(""),
    TestRecon => entry("test_recon", Unit::Nats, Both, "Reconstruction on the validation rows with z from the posterior.")
        .lower("").called("reconstruction", "reconstruction"),
    TestKl => entry("test_kl", Unit::Nats, Both, "KL divergence of the posterior from the prior on the validation rows.")
        .called("KL", "KL"),
    TestPriorRecon => entry("test_prior_recon", Unit::Nats, Both, "Reconstruction on the validation rows with z from the prior, paired as the config says.")
        .lower(""),
    TestElbo => entry("test_elbo", Unit::Nats, Both, "`test_recon` + `test_kl`: the negative ELBO at KL weight 1.")
        .lower("`test_entropy_floor`").called("test ELBO", "−ELBO"),
    TestElboGap => derived("test_elbo_gap", Unit::Nats, &[Measure::TestElbo, Measure::TestEntropyFloor],
        |of| of(Measure::TestElbo) - of(Measure::TestEntropyFloor), "`test_elbo` - `test_entropy_floor`.")
        .lower("0").called("ELBO gap", "−ELBO above floor"),
    TestEntropyFloor => entry("test_entropy_floor", Unit::Nats, Metrics, "Mean entropy of the truth given the condition over the validation rows: no model's NLL is lower."),
    TestMi => entry("test_mi", Unit::Nats, Metrics, "Mutual information I(z; row given condition) under the encoder's aggregated posterior (Hoffman and Johnson 2016), mean over the validation conditions; at most `test_entropy_floor`. What the decoder makes of z is `prior_mi`.")
        .called("encoder MI", "encoder's I(z; row | condition)"),
    ActiveUnits => entry("active_units", Unit::Count, Both, "Latent dimensions whose posterior mean has a variance above 0.01 over the validation rows (Burda et al. 2016).")
        .called("active units", "active units"),
}

const TRAIN_GREEDY: &[Measure] =
    &[Measure::GreedyPass, Measure::GreedyPassValidation, Measure::Conditions, Measure::ValidationConditions];

/// The mean over the training conditions, from that over all and that over the validation ones.
fn train(of: Values<'_>, all: Measure, validation: Measure) -> f64 {
    let [count, held] = [Measure::Conditions, Measure::ValidationConditions].map(of);
    if held == 0.0 { of(all) } else { (count * of(all) - held * of(validation)) / (count - held) }
}

/// Measures that have constants, without the exact figures.
const LISTED: u16 = Place::Count as u16;
/// Measures that every task has.
const FIXED: u16 = LISTED + exact::COUNT;

/// Columns of earlier versions that no measure stands for any more: estimates with a bias, and figures that depend on
/// the number of samples. They are left out where files are read.
const RETIRED: [&str; 19] = [
    "greedy_pass_worst",
    "greedy_pass_worst_condition",
    "greedy_coverage",
    "greedy_coverage_held_out",
    "sampled_pass_worst",
    "sampled_pass_worst_condition",
    "sampled_valid_date",
    "sampled_coverage",
    "sampled_coverage_held_out",
    "sampled_tv",
    "sampled_tv_held_out",
    "expected_coverage",
    "expected_tv",
    "test_nll",
    "test_nll_error",
    "test_nll_gap",
    "greedy_pass_seen",
    "sampled_pass_seen",
    "held_out",
];

static SPECS: LazyLock<Vec<Spec>> = LazyLock::new(|| listed().into_iter().chain(exact::specs(LISTED)).collect());

#[allow(missing_docs)]
impl Measure {
    pub const INVALID_MASS: Self = Self::exact(Figure::InvalidMass, Part::All, Weighting::ByRow);
    pub const INVALID_MASS_BY_CONDITION: Self = Self::exact(Figure::InvalidMass, Part::All, Weighting::ByCondition);
    pub const INVALID_MASS_BY_CONDITION_VALIDATION: Self =
        Self::exact(Figure::InvalidMass, Part::Validation, Weighting::ByCondition);
    pub const NLL_GAP: Self = Self::exact(Figure::NllGap, Part::All, Weighting::ByRow);
    pub const TV: Self = Self::exact(Figure::Tv, Part::All, Weighting::ByRow);
    pub const PRIOR_MI: Self = Self::exact(Figure::PriorMi, Part::All, Weighting::ByRow);
    pub const ENTROPY_GIVEN_Z: Self = Self::exact(Figure::EntropyGivenZ, Part::All, Weighting::ByRow);
}

impl Measure {
    /// An exact figure of the marginal.
    pub const fn exact(figure: Figure, part: Part, weighting: Weighting) -> Self {
        Self(LISTED + exact::place(figure, part, weighting))
    }

    /// The share of greedy samples that are right in this given column: rows that some condition with its value has.
    pub fn greedy_pass_of(column: &str) -> Self {
        Self(FIXED + family::greedy_pass(column))
    }

    /// Whether it holds the name of a given column.
    pub fn is_of_column(self) -> bool {
        self.0 >= FIXED
    }

    /// The measures that every task has, in the order of the columns.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..FIXED).map(Self)
    }

    /// What it is.
    pub fn spec(self) -> &'static Spec {
        SPECS.get(usize::from(self.0)).unwrap_or_else(|| family::describe(self.0 - FIXED))
    }

    /// A value as tables show it, with half the width of its interval where that is a number.
    pub fn text(self, value: f64, half: f64) -> String {
        self.spec().text(value, half)
    }

    /// The column's name.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The measure of this name, or of one that it had in earlier versions.
    pub fn named(name: &str) -> Option<Self> {
        let today = match name {
            "held_out_conditions" => "validation_conditions".to_owned(),
            "greedy_valid_date" => "greedy_valid_row".to_owned(),
            name if RETIRED.contains(&name) => return None,
            name => name.replace("_held_out", "_validation"),
        };
        Self::all()
            .find(|measure| measure.name() == today)
            .or_else(|| family::named(&today).map(|place| Self(FIXED + place)))
    }

    /// Whether an earlier version had a column of this name that none stands for any more.
    pub fn is_retired(name: &str) -> bool {
        RETIRED.contains(&name)
    }

    /// The columns of history.csv for a task with these given columns.
    pub fn of_history<'a>(given: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        Self::logged(|source| matches!(source, History | Both), given)
    }

    /// The columns of metrics.csv for a task with these given columns.
    pub fn of_metrics<'a>(given: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        Self::logged(|source| matches!(source, Metrics | Both), given)
    }

    fn logged<'a>(there: fn(Source) -> bool, given: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let fixed = Self::all().filter(|measure| there(measure.spec().source));
        fixed.chain(given.into_iter().map(Self::greedy_pass_of)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Direction, Row, Value};

    #[test]
    fn names_are_unique_and_every_entry_says_what_it_is() {
        assert_eq!((SPECS.len(), Measure::all().count()), (usize::from(FIXED), usize::from(FIXED)));
        for measure in Measure::all() {
            assert_eq!(Measure::named(measure.name()), Some(measure));
            let spec = measure.spec();
            assert!(spec.meaning.ends_with('.') && !spec.heading.is_empty() && !spec.title.is_empty(), "{spec:?}");
            assert!(spec.direction != Direction::Neither || spec.perfect.is_empty(), "{spec:?}");
        }
    }

    #[test]
    fn exact_figures_have_names_by_part_and_weighting_and_their_errors_beside_them() {
        let measure = Measure::exact(Figure::NllGap, Part::Validation, Weighting::ByCondition);
        assert_eq!(measure.name(), "nll_gap_by_condition_validation");
        assert_eq!(measure.spec().error.unwrap().name(), "nll_gap_by_condition_validation_error");
        assert_eq!((Measure::NLL_GAP.name(), Measure::TV.name()), ("nll_gap", "tv"));
        assert!(Measure::NLL_GAP.spec().error.unwrap().spec().error.is_none());
    }

    #[test]
    fn columns_of_earlier_versions_are_read_under_todays_names_and_what_is_gone_is_left_out() {
        assert_eq!(Measure::named("greedy_pass_held_out"), Some(Measure::GreedyPassValidation));
        assert_eq!(Measure::named("held_out_conditions"), Some(Measure::ValidationConditions));
        assert_eq!(Measure::named("greedy_valid_date"), Some(Measure::GreedyValidRow));
        assert_eq!(Measure::named("greedy_pass_weekday"), Some(Measure::greedy_pass_of("weekday")));
        for gone in ["test_nll_gap", "greedy_pass_worst", "expected_tv", "unheard_of"] {
            assert_eq!(Measure::named(gone), None, "{gone}");
        }
    }

    #[test]
    fn training_conditions_are_counted_by_the_split() {
        let mut row = Row::default();
        // A model that passes wherever it was trained, and half of the time elsewhere.
        for (measure, value) in [(Measure::GreedyPass, 0.95), (Measure::GreedyPassValidation, 0.5)] {
            row.set(measure, Value::Number(value));
        }
        assert!(!row.has(Measure::GreedyPassTrain) && row.number(Measure::GreedyPassTrain).is_nan());
        row.set(Measure::Conditions, Value::Count(100));
        row.set(Measure::ValidationConditions, Value::Count(10));
        assert!(row.has(Measure::GreedyPassTrain) && (row.number(Measure::GreedyPassTrain) - 1.0).abs() < 1e-12);
        row.set(Measure::ValidationConditions, Value::Count(0));
        row.set(Measure::GreedyPassValidation, Value::Number(f64::NAN));
        assert_eq!(row.number(Measure::GreedyPassTrain), 0.95);
    }

    #[test]
    fn the_pass_rate_of_sampling_is_what_is_not_invalid_or_what_an_earlier_version_counted() {
        let exact = Row::default().with(Measure::INVALID_MASS_BY_CONDITION, 0.25);
        assert_eq!(exact.number(Measure::SampledPass), 0.75);
        let mut counted = Row::default();
        counted.read(Measure::SampledPass, "0.5").unwrap();
        assert!(counted.has(Measure::SampledPass) && counted.number(Measure::SampledPass) == 0.5);
        assert!(!counted.has(Measure::SampledPassValidation));
    }

    #[test]
    fn values_are_written_by_their_unit() {
        assert_eq!(Measure::GreedyPass.text(0.999_999_9, 0.000_001), "99.9999 % ± 0.000");
        assert_eq!(Measure::INVALID_MASS.text(4.53e-5, 1.2e-6), "4.5e-5 ± 1e-6");
        assert_eq!(Measure::INVALID_MASS.text(0.0, f64::NAN), "0.0e0");
        assert_eq!(Measure::TestMi.text(2.65, f64::NAN), "2.6500");
        assert_eq!(Measure::TrainSeconds.text(149.4, 4.2), "149 ± 4");
        assert_eq!(Measure::TestMi.text(f64::NAN, 1.0), "-");
    }
}
