//! Axes: where values stand on them, and the words of their ticks.

use super::lettering::width;
use super::numbers::{number, shortest};
use super::style::TICK;
use super::ticks::{decimals, logarithmic, nice};

/// How values become places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// In proportion.
    #[default]
    Linear,
    /// By their logarithm; what is not above 0 is left out, but for a tick at 0, which stands left of all others.
    Log,
    /// Shares by the logarithm of their odds: 90, 99 and 99.9 % stand equally far apart, as do 10, 1 and 0.1 %.
    /// None and all stand beyond all others.
    Logit,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.log10(),
            Self::Logit => (value / (1.0 - value)).log10(),
        }
    }
}

/// An axis.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// What it shows, with its unit.
    pub title: String,
    /// How values become places.
    pub scale: Scale,
    /// Whether its values are shares, written as percentages.
    pub share: bool,
    /// Its ends, where they are not those of the points.
    pub range: Option<(f64, f64)>,
    /// What no value can be beyond: intervals and ticks end there.
    pub possible: Option<(f64, f64)>,
    /// Whether it begins at 0, unless points are lower.
    pub zero: bool,
    /// Where its ticks stand; chosen where there are none.
    pub ticks: Vec<f64>,
}

/// An axis as it is drawn.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// What it shows.
    pub title: String,
    /// Its ends, as places.
    pub ends: (f64, f64),
    /// Whether lines through the chart show its ticks.
    pub lines: bool,
    ticks: Vec<(f64, String)>,
    scale: Scale,
    /// The places of none and all on a logit scale.
    beyond: (f64, f64),
    /// The place of 0 on a logarithmic scale, where it has one.
    zero: Option<f64>,
}

/// The least and the greatest; none of nothing.
fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let ends = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    (ends.0 <= ends.1).then_some(ends)
}

impl Axis {
    /// An axis of shares: where some are nearly all, on a scale on which those differ.
    pub fn of_shares(title: &str, shares: impl IntoIterator<Item = f64>) -> Self {
        let logit = shares.into_iter().any(|share| share > 0.9);
        let words: Vec<&str> = [title, "logit scale"].into_iter().filter(|word| !word.is_empty()).collect();
        Self {
            title: if logit { words.join(", ") } else { title.to_owned() },
            scale: if logit { Scale::Logit } else { Scale::Linear },
            share: true,
            possible: Some((0.0, 1.0)),
            ..Self::default()
        }
    }

    /// The ends of an interval, cut off where nothing is possible; its middle always lies within.
    pub fn interval(&self, middle: f64, half: f64) -> (f64, f64) {
        let half = if half.is_finite() { half } else { 0.0 };
        let (least, most) = self.limits();
        ((middle - half).max(least.min(middle)), (middle + half).min(most.max(middle)))
    }

    fn limits(&self) -> (f64, f64) {
        self.possible.unwrap_or((f64::NEG_INFINITY, f64::INFINITY))
    }

    /// The axis that holds these values, with about so many ticks.
    pub fn drawn(&self, values: impl IntoIterator<Item = f64>, wanted: usize) -> Drawn {
        let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        if self.scale == Scale::Logit {
            return self.logit(&values);
        }
        let place = |value: f64| Some(self.scale.place(value)).filter(|place| place.is_finite());
        let given = self.range.and_then(|(low, high)| Some((place(low)?, place(high)?)));
        let places: Vec<f64> = values.into_iter().filter_map(place).collect();
        let (low, high) = given.unwrap_or_else(|| self.ends(spread(&places).unwrap_or((0.0, 1.0))));
        let ticks = match (self.ticks.is_empty(), self.scale) {
            (false, _) => self.ticks.clone(),
            (true, Scale::Log) => logarithmic(low, high).into_iter().map(|tick| 10f64.powf(tick)).collect(),
            (true, _) => nice(low, high, wanted),
        };
        let (least, most) = self.limits();
        let slack = 1e-9 * (high - low);
        let inside = |tick: &f64| {
            let at = place(*tick);
            at.is_some_and(|at| (low - slack..=high + slack).contains(&at))
                && (least - slack..=most + slack).contains(tick)
        };
        let ticks: Vec<f64> = ticks.into_iter().filter(inside).collect();
        let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        let digits = decimals(if self.share { 100.0 * step } else { step });
        let word = |tick: f64| match (self.scale, self.share) {
            (Scale::Log, _) => shortest(tick),
            (_, true) => format!("{} %", number(100.0 * tick, digits)),
            (_, false) => number(tick, digits),
        };
        let mut ticks: Vec<_> = ticks.into_iter().filter_map(|tick| Some((place(tick)?, word(tick)))).collect();
        if self.scale != Scale::Log || !self.ticks.contains(&0.0) {
            return self.with((low, high), ticks, (low, high));
        }
        // As far from the least value as there is room for its mark.
        let room = 0.14 * (high - low);
        ticks.insert(0, (low - 0.6 * room, "0".to_owned()));
        let drawn = self.with((low - room, high), ticks, (low, high));
        Drawn { zero: Some(low - 0.6 * room), ..drawn }
    }

    fn with(&self, ends: (f64, f64), ticks: Vec<(f64, String)>, beyond: (f64, f64)) -> Drawn {
        Drawn { title: self.title.clone(), ends, lines: true, ticks, scale: self.scale, beyond, zero: None }
    }

    /// Ends with some room around the values.
    fn ends(&self, (low, high): (f64, f64)) -> (f64, f64) {
        let room = match (high - low, low.abs()) {
            (width, _) if width > 0.0 => 0.06 * width,
            (_, size) if size > 0.0 => 0.5 * size,
            _ => 0.05,
        };
        if self.scale == Scale::Log {
            return (low - room, high + room);
        }
        let (least, most) = self.limits();
        // Nothing below zero is shown of what cannot be negative.
        let floor = if low >= 0.0 && (self.zero || low < 0.3 * high) { 0.0 } else { (low - room).max(least.min(low)) };
        let above = if high > floor { 0.06 * (high - floor) } else { room };
        (floor, (high + room.max(above)).min(most.max(high) + above))
    }

    fn logit(&self, values: &[f64]) -> Drawn {
        let inner = values.iter().copied().filter(|value| *value > 0.0 && *value < 1.0);
        let inner: Vec<f64> = inner.map(|value| Scale::Logit.place(value)).collect();
        let (low, high) = spread(&inner).unwrap_or((-1.0, 1.0));
        let beyond = (low.min(-1.0) - 0.6, high.max(1.0) + 0.8);
        let none = values.iter().any(|value| *value <= 0.0);
        let ends = (if none { beyond.0 - 0.2 } else { low - 0.2 }, beyond.1 + 0.3);
        let nines = (1..=9).map(|nines| 1.0 - 10f64.powi(-nines));
        let shares = (1..=9).rev().map(|zeros| 10f64.powi(-zeros)).chain([0.5]).chain(nines);
        let least = if none { beyond.0 + 0.4 } else { ends.0 };
        let inside = |(place, _): &(f64, f64)| *place > least && *place < beyond.1 - 0.7;
        let shares = shares.map(|share| (Scale::Logit.place(share), share)).filter(inside);
        let shares = none.then_some((beyond.0, 0.0)).into_iter().chain(shares).chain([(beyond.1, 1.0)]);
        let ticks = shares.map(|(place, share)| (place, format!("{} %", shortest(100.0 * share)))).collect();
        self.with(ends, ticks, beyond)
    }
}

impl Drawn {
    /// An axis of names, each at its place in the list.
    pub fn named(title: &str, names: Vec<String>) -> Self {
        let ends = (-0.5, names.len() as f64 - 0.5);
        let ticks = names.into_iter().enumerate().map(|(place, name)| (place as f64, name)).collect();
        Self { title: title.to_owned(), ends, lines: false, ticks, scale: Scale::Linear, beyond: ends, zero: None }
    }

    /// The same without units at its ticks, where the title names them.
    pub fn bare(mut self) -> Self {
        for (_, word) in &mut self.ticks {
            *word = word.trim_end_matches(" %").to_owned();
        }
        self
    }

    /// A value's place, where it has one.
    pub fn place(&self, value: f64) -> Option<f64> {
        if value == 0.0 && self.zero.is_some() {
            return self.zero;
        }
        let place = match self.scale {
            Scale::Logit => self.scale.place(value.clamp(0.0, 1.0)).clamp(self.beyond.0, self.beyond.1),
            scale => scale.place(value),
        };
        place.is_finite().then_some(place)
    }

    /// How far along the axis a value stands, 0..=1 within its ends.
    pub fn share(&self, value: f64) -> Option<f64> {
        self.place(value).map(|place| self.along(place))
    }

    /// How far along the axis a place is.
    pub fn along(&self, place: f64) -> f64 {
        (place - self.ends.0) / (self.ends.1 - self.ends.0)
    }

    /// Places of ticks with their words on an axis of this length. Those of the first and the last always stand; of
    /// the others, from the last on, those that touch none.
    pub fn words(&self, pixels: f64, upright: bool) -> Vec<(f64, String)> {
        const GAP: f64 = 4.0;
        let room = |word: &str| if upright { f64::from(TICK) } else { f64::from(width(word, TICK)) };
        let reach = |(place, word): &(f64, String)| {
            let (middle, half) = (self.along(*place) * pixels, 0.5 * room(word));
            (middle - half, middle + half)
        };
        let first = self.ticks.first().map_or(f64::NEG_INFINITY, |tick| reach(tick).1);
        let mut next = f64::INFINITY;
        let mut words = self.ticks.clone();
        for (rank, tick) in self.ticks.iter().enumerate().rev() {
            let (from, to) = reach(tick);
            let ends = rank == 0 || rank + 1 == self.ticks.len();
            if ends || (to + GAP <= next && first + GAP <= from) {
                next = from;
            } else {
                words[rank].1.clear();
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(drawn: &Drawn, pixels: f64, upright: bool) -> Vec<String> {
        drawn.words(pixels, upright).into_iter().map(|(_, word)| word).collect()
    }

    #[test]
    fn labels_that_would_touch_are_left_out() {
        let axis = Axis { scale: Scale::Log, ticks: vec![0.5, 0.6, 5.0], ..Axis::default() };
        assert_eq!(words(&axis.drawn([0.5, 5.0], 5), 200.0, false), ["0.5", "", "5"]);
    }

    #[test]
    fn what_has_no_logarithm_has_no_place() {
        let axis = Axis { scale: Scale::Log, ..Axis::default() }.drawn([1.0], 5);
        assert_eq!((axis.place(0.0), axis.place(f64::INFINITY), axis.place(100.0)), (None, None, Some(2.0)));
    }

    #[test]
    fn a_tick_at_0_stands_left_of_a_logarithmic_axis() {
        let axis = Axis { scale: Scale::Log, ticks: vec![0.0, 0.1, 1.0], ..Axis::default() };
        for range in [None, Some((0.09, 1.1))] {
            let drawn = Axis { range, ..axis.clone() }.drawn([0.0, 0.1, 1.0], 5);
            let shares = [0.0, 0.1, 1.0].map(|value| drawn.share(value).unwrap());
            assert!(shares.is_sorted() && shares[0] > 0.0 && shares[2] < 1.0, "{shares:?}");
            assert_eq!(words(&drawn, 300.0, false), ["0", "0.1", "1"]);
        }
    }

    #[test]
    fn nothing_impossible_is_on_an_axis() {
        let share = Axis { share: true, possible: Some((0.0, 1.0)), ..Axis::default() };
        assert_eq!((share.interval(0.5, 2.0), share.interval(1.01, 0.1)), ((0.0, 1.0), (0.91, 1.01)));
        let drawn = share.drawn([0.0, 1.0], 5);
        assert_eq!(words(&drawn, 500.0, true), ["0 %", "50 %", "100 %"]);
        let rate = Axis { zero: true, possible: Some((0.0, f64::INFINITY)), ..Axis::default() };
        assert_eq!(rate.drawn([0.6, 0.7], 5).ends.0, 0.0);
        assert!(rate.drawn([-0.1, 0.7], 5).ends.0 <= -0.1);
    }

    #[test]
    fn shares_that_are_nearly_all_stand_apart_and_none_and_all_beyond_them() {
        assert_eq!(Axis::of_shares("pass", [0.1, 0.2]).scale, Scale::Linear);
        let drawn = Axis::of_shares("pass", [0.0, 0.14, 0.999, 1.0]).drawn([0.0, 0.14, 0.999, 1.0], 5);
        let places = [0.0, 0.14, 0.99, 0.999, 1.0].map(|share| drawn.place(share).unwrap());
        assert!(places.is_sorted() && drawn.place(f64::NAN).is_none(), "{places:?}");
        assert_eq!(words(&drawn, 400.0, true), ["0 %", "10 %", "50 %", "90 %", "99 %", "99.9 %", "100 %"]);
    }
}
