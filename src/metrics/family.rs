//! Measures that hold the name of a given column. Names are known once a task is, or a file is read.

use std::sync::RwLock;

use super::measure::{Source, Spec, Unit};

const PREFIX: &str = "greedy_pass_";

/// Those that were named so far; they live as long as the program.
static NAMED: RwLock<Vec<&'static Spec>> = RwLock::new(Vec::new());

/// The place of the pass rate of a given column alone.
pub(super) fn greedy_pass(column: &str) -> u16 {
    let name = format!("{PREFIX}{column}");
    let find = |named: &[&'static Spec]| named.iter().position(|spec| spec.name == name);
    // A lock is poisoned by a panic of another thread alone, and the list is whole at any time.
    let found = find(&NAMED.read().unwrap_or_else(|poisoned| poisoned.into_inner()));
    let place = found.unwrap_or_else(|| {
        let mut named = NAMED.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        find(&named).unwrap_or_else(|| {
            named.push(Box::leak(Box::new(spec(&name, column))));
            named.len() - 1
        })
    });
    place as u16
}

fn spec(name: &str, column: &str) -> Spec {
    let meaning =
        format!("Share of greedy samples that are rows of some condition with the right value of {column:?}.");
    let heading: &'static str = format!("greedy, {column}").leak();
    let spec = Spec::new(name.to_owned().leak(), Unit::Share, Source::Both, meaning.leak()).higher("100 %");
    spec.called(heading, heading)
}

/// The place of the measure of this name, where it is of the family.
pub(super) fn named(name: &str) -> Option<u16> {
    /// More names than any file has: a hostile one shall not fill the memory.
    const MOST: usize = 2000;
    let column = name.strip_prefix(PREFIX).filter(|column| !column.is_empty())?;
    let known = NAMED.read().unwrap_or_else(|poisoned| poisoned.into_inner()).len();
    (known < MOST).then(|| greedy_pass(column))
}

/// What the measure in this place is.
pub(super) fn describe(place: u16) -> &'static Spec {
    static UNKNOWN: Spec = Spec::new("unknown", Unit::Number, Source::History, "No measure.");
    let named = NAMED.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    named.get(usize::from(place)).copied().unwrap_or(&UNKNOWN)
}
