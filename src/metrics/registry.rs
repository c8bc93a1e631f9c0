//! The measures: one entry each, from which all else is made.
//!
//! The columns of history.csv and metrics.csv, the tables of `cvae compare`, the charts of `cvae plot` and the
//! glossary docs/columns.md follow this list. To add a measure, add its entry here and its value to
//! `Evaluation::row` (training/measures.rs); charts that show it name it by its variant.

use super::measure::{Source, Spec, Unit};
use super::row::Row;
use Source::{Both, History, Metrics};

/// Makes the enum of measures and the list of their descriptions from one list of entries.
macro_rules! measures {
    ($($measure:ident => $spec:expr,)*) => {
        /// A measure; [`Measure::spec`] says what it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Measure { $($measure,)* }

        impl Measure {
            /// All measures, in the order of the columns.
            pub const ALL: &'static [Self] = &[$(Self::$measure,)*];
        }

        /// In the order of the variants.
        static SPECS: &[Spec] = &[$($spec,)*];
    };
}

const fn entry(name: &'static str, unit: Unit, source: Source, meaning: &'static str) -> Spec {
    Spec::new(name, unit, source, meaning)
}

const fn derived(
    name: &'static str,
    unit: Unit,
    from: &'static [Measure],
    compute: fn(&Row) -> f64,
    meaning: &'static str,
) -> Spec {
    Spec::new(name, unit, Source::Derived { from, compute }, meaning)
}

measures! {
    // Progress and schedule.
    Step => entry("step", Unit::Count, History, "Training steps done."),
    Epoch => entry("epoch", Unit::Number, History, "Passes over the training dates: steps x batch size / training dates."),
    Phase => entry("phase", Unit::Text, Both, "Phase of the KL schedule; schedules without phases are in the last one."),
    Beta => entry("beta", Unit::Number, History, "KL weight of the last step; `inf` while z is fixed at 0."),
    Lr => entry("lr", Unit::Number, History, "Learning rate of the last step."),
    TrainLoss => entry("train_loss", Unit::Nats, History, "Training objective, mean over the steps since the previous row.")
        .lower(""),
    TrainRecon => entry("train_recon", Unit::Nats, History, "Its reconstruction term: -log p(date given z, condition) with z from the posterior.")
        .lower(""),
    TrainKl => entry("train_kl", Unit::Nats, History, "Its KL divergence of the posterior from the prior."),
    TrainPriorRecon => entry("train_prior_recon", Unit::Nats, History, "Its hybrid term: the reconstruction with z from the prior.")
        .lower(""),
    TrainSeconds => entry("train_seconds", Unit::Seconds, Both, "Seconds spent in training steps, over all sessions of the run.")
        .lower("").called("training, s", "training time"),
    DatesPerSecond => entry("dates_per_second", Unit::PerSecond, History, "Training dates per second, evaluations not counted.")
        .higher(""),
    // What was generated.
    Samples => entry("samples", Unit::Count, Metrics, "Samples drawn for each condition (`evaluation.final_samples`)."),
    Conditions => entry("conditions", Unit::Count, Metrics, "Conditions that were sampled: all that some date meets."),
    HeldOutConditions => entry("held_out_conditions", Unit::Count, Metrics, "Those among them that no training date meets."),
    GreedyPass => entry("greedy_pass", Unit::Share, Both, "Share of greedy samples that exist, lie in range and meet the whole condition.")
        .higher("100 %").called("greedy pass", "greedy pass rate"),
    GreedyPassSeen => derived("greedy_pass_seen", Unit::Share, SEEN_GREEDY,
        |row| seen(row, Measure::GreedyPass, Measure::GreedyPassHeldOut), "`greedy_pass` over the conditions that are not held out.")
        .higher("100 %").called("greedy, seen", "greedy pass, seen"),
    GreedyPassHeldOut => entry("greedy_pass_held_out", Unit::Share, Both, "`greedy_pass` over the held-out conditions.")
        .higher("100 %").called("greedy, held out", "greedy pass, held out"),
    GreedyPassWorst => entry("greedy_pass_worst", Unit::Share, Both, "`greedy_pass` of the worst condition.")
        .higher("100 %").called("greedy, worst", "greedy pass, worst condition"),
    GreedyPassWorstCondition => entry("greedy_pass_worst_condition", Unit::Text, Metrics, "The first condition with that rate."),
    GreedyPassWeekday => entry("greedy_pass_weekday", Unit::Share, History, "Share of greedy samples that are dates on the right weekday.")
        .higher("100 %"),
    GreedyPassMonth => entry("greedy_pass_month", Unit::Share, History, "Share of greedy samples that are dates in the right month.")
        .higher("100 %"),
    GreedyPassLeap => entry("greedy_pass_leap", Unit::Share, History, "Share of greedy samples that are dates with the right leap-year flag.")
        .higher("100 %"),
    GreedyPassDecade => entry("greedy_pass_decade", Unit::Share, History, "Share of greedy samples that are dates in the right decade.")
        .higher("100 %"),
    GreedyValidDate => entry("greedy_valid_date", Unit::Share, Both, "Share of greedy samples that exist and lie in range.")
        .higher("100 %"),
    GreedyCoverage => entry("greedy_coverage", Unit::Share, Both, "Share of a condition's valid dates generated at least once, mean over conditions.")
        .higher("`expected_coverage`"),
    GreedyCoverageRatio => derived("greedy_coverage_ratio", Unit::Share, &[Measure::GreedyCoverage, Measure::ExpectedCoverage],
        |row| row.number(Measure::GreedyCoverage) / row.number(Measure::ExpectedCoverage), "`greedy_coverage` / `expected_coverage`.")
        .higher("100 %").called("greedy coverage / perfect", "greedy coverage / perfect"),
    GreedyCoverageHeldOut => entry("greedy_coverage_held_out", Unit::Share, Metrics, "`greedy_coverage` over the held-out conditions.")
        .higher("`expected_coverage`"),
    GreedyTv => entry("greedy_tv", Unit::Distance, Both, "Total variation distance of the greedy samples from the uniform distribution on the valid dates, mean over conditions.")
        .lower("`expected_tv`"),
    GreedyTvExcess => derived("greedy_tv_excess", Unit::Excess, &[Measure::GreedyTv, Measure::ExpectedTv],
        |row| row.number(Measure::GreedyTv) - row.number(Measure::ExpectedTv), "`greedy_tv` - `expected_tv`.")
        .lower("0").called("greedy tv - noise", "greedy tv above noise"),
    GreedyTvHeldOut => entry("greedy_tv_held_out", Unit::Distance, Metrics, "`greedy_tv` over the held-out conditions.")
        .lower("`expected_tv`"),
    SampledPass => entry("sampled_pass", Unit::Share, Both, "Share of samples at temperature 1 that exist, lie in range and meet the whole condition.")
        .higher("100 %").called("sampled pass", "sampled pass rate"),
    SampledPassSeen => derived("sampled_pass_seen", Unit::Share, SEEN_SAMPLED,
        |row| seen(row, Measure::SampledPass, Measure::SampledPassHeldOut), "`sampled_pass` over the conditions that are not held out.")
        .higher("100 %").called("sampled, seen", "sampled pass, seen"),
    SampledPassHeldOut => entry("sampled_pass_held_out", Unit::Share, Both, "`sampled_pass` over the held-out conditions.")
        .higher("100 %").called("sampled, held out", "sampled pass, held out"),
    SampledPassWorst => entry("sampled_pass_worst", Unit::Share, Metrics, "`sampled_pass` of the worst condition.")
        .higher("100 %").called("sampled, worst", "sampled pass, worst condition"),
    SampledPassWorstCondition => entry("sampled_pass_worst_condition", Unit::Text, Metrics, "The first condition with that rate."),
    SampledValidDate => entry("sampled_valid_date", Unit::Share, Metrics, "Share of samples at temperature 1 that exist and lie in range.")
        .higher("100 %"),
    SampledCoverage => entry("sampled_coverage", Unit::Share, Both, "As `greedy_coverage`, of samples at temperature 1.")
        .higher("`expected_coverage`"),
    SampledCoverageHeldOut => entry("sampled_coverage_held_out", Unit::Share, Metrics, "`sampled_coverage` over the held-out conditions.")
        .higher("`expected_coverage`"),
    SampledTv => entry("sampled_tv", Unit::Distance, Both, "As `greedy_tv`, of samples at temperature 1.")
        .lower("`expected_tv`"),
    SampledTvExcess => derived("sampled_tv_excess", Unit::Excess, &[Measure::SampledTv, Measure::ExpectedTv],
        |row| row.number(Measure::SampledTv) - row.number(Measure::ExpectedTv), "`sampled_tv` - `expected_tv`.")
        .lower("0").called("sampled tv - noise", "sampled tv above noise"),
    SampledTvHeldOut => entry("sampled_tv_held_out", Unit::Distance, Metrics, "`sampled_tv` over the held-out conditions.")
        .lower("`expected_tv`"),
    ExpectedCoverage => entry("expected_coverage", Unit::Share, Both, "Coverage expected of a perfect sampler with as many samples."),
    ExpectedTv => entry("expected_tv", Unit::Distance, Both, "Distance expected of a perfect sampler with as many samples: sampling noise alone."),
    // Likelihood and the latent code, on the held-out dates.
    TestLoss => entry("test_loss", Unit::Nats, History, "The objective of the last step on the held-out dates.")
        .lower(""),
    TestRecon => entry("test_recon", Unit::Nats, Both, "Reconstruction on the held-out dates with z from the posterior.")
        .lower("").called("reconstruction", "reconstruction"),
    TestKl => entry("test_kl", Unit::Nats, Both, "KL divergence of the posterior from the prior on the held-out dates.")
        .called("KL", "KL"),
    TestPriorRecon => entry("test_prior_recon", Unit::Nats, Both, "Reconstruction on the held-out dates with z from the prior, paired as the config says.")
        .lower(""),
    TestElbo => entry("test_elbo", Unit::Nats, Both, "`test_recon` + `test_kl`: the negative ELBO at KL weight 1.")
        .lower("`test_entropy_floor`").called("test ELBO", "−ELBO"),
    TestElboGap => derived("test_elbo_gap", Unit::Nats, &[Measure::TestElbo, Measure::TestEntropyFloor],
        |row| row.number(Measure::TestElbo) - row.number(Measure::TestEntropyFloor), "`test_elbo` - `test_entropy_floor`.")
        .lower("0").called("ELBO gap", "−ELBO above floor"),
    TestEntropyFloor => entry("test_entropy_floor", Unit::Nats, Metrics, "Mean of ln(number of valid dates) over the held-out dates: no model's NLL is lower."),
    TestNll => entry("test_nll", Unit::Nats, Metrics, "-log p(date given condition) of the held-out dates by importance weighting (Burda et al. 2016), `evaluation.importance` draws of z.")
        .lower("`test_entropy_floor`").with_error(Measure::TestNllError),
    TestNllError => entry("test_nll_error", Unit::Nats, Metrics, "Standard error of `test_nll` and `test_nll_gap`."),
    TestNllGap => entry("test_nll_gap", Unit::Nats, Metrics, "`test_nll` - `test_entropy_floor`.")
        .lower("0").called("NLL gap", "NLL above floor").with_error(Measure::TestNllError),
    TestMi => entry("test_mi", Unit::Nats, Metrics, "Mutual information I(z; date given condition) under the aggregated posterior (Hoffman and Johnson 2016), mean over the held-out dates; at most `test_entropy_floor`.")
        .higher("").called("MI", "I(z; date | condition)"),
    ActiveUnits => entry("active_units", Unit::Count, Both, "Latent dimensions whose posterior mean has a variance above 0.01 over the held-out dates (Burda et al. 2016).")
        .called("active units", "active units"),
}

const SEEN_GREEDY: &[Measure] =
    &[Measure::GreedyPass, Measure::GreedyPassHeldOut, Measure::Conditions, Measure::HeldOutConditions];
const SEEN_SAMPLED: &[Measure] =
    &[Measure::SampledPass, Measure::SampledPassHeldOut, Measure::Conditions, Measure::HeldOutConditions];

/// The mean over the conditions that are not held out, from that over all and that over the held-out ones.
fn seen(row: &Row, all: Measure, held_out: Measure) -> f64 {
    let [count, held] = [Measure::Conditions, Measure::HeldOutConditions].map(|measure| row.number(measure));
    if held == 0.0 { row.number(all) } else { (count * row.number(all) - held * row.number(held_out)) / (count - held) }
}

impl Measure {
    /// What it is.
    pub fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    /// The column's name.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The measure of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|measure| measure.name() == name)
    }

    /// The columns of history.csv.
    pub fn of_history() -> Vec<Self> {
        Self::logged(|source| matches!(source, History | Both))
    }

    /// The columns of metrics.csv.
    pub fn of_metrics() -> Vec<Self> {
        Self::logged(|source| matches!(source, Metrics | Both))
    }

    fn logged(there: fn(Source) -> bool) -> Vec<Self> {
        Self::ALL.iter().copied().filter(|measure| there(measure.spec().source)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Direction, Value};

    #[test]
    fn names_are_unique_and_every_entry_says_what_it_is() {
        assert_eq!(SPECS.len(), Measure::ALL.len());
        for (place, measure) in Measure::ALL.iter().enumerate() {
            assert_eq!((*measure as usize, Measure::named(measure.name())), (place, Some(*measure)));
            let spec = measure.spec();
            assert!(spec.meaning.ends_with('.') && !spec.heading.is_empty() && !spec.title.is_empty(), "{spec:?}");
            assert!(spec.direction != Direction::Neither || spec.perfect.is_empty(), "{spec:?}");
        }
    }

    #[test]
    fn seen_conditions_are_counted_by_the_split() {
        let mut row = Row::default();
        // A model that passes wherever it was trained, and half of the time elsewhere.
        for (measure, value) in [(Measure::GreedyPass, 0.95), (Measure::GreedyPassHeldOut, 0.5)] {
            row.set(measure, Value::Number(value));
        }
        assert!(!row.has(Measure::GreedyPassSeen) && row.number(Measure::GreedyPassSeen).is_nan());
        row.set(Measure::Conditions, Value::Count(100));
        row.set(Measure::HeldOutConditions, Value::Count(10));
        assert!(row.has(Measure::GreedyPassSeen) && (row.number(Measure::GreedyPassSeen) - 1.0).abs() < 1e-12);
        row.set(Measure::HeldOutConditions, Value::Count(0));
        row.set(Measure::GreedyPassHeldOut, Value::Number(f64::NAN));
        assert_eq!(row.number(Measure::GreedyPassSeen), 0.95);
    }
}
