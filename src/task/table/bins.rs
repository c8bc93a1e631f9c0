//! Bins of numbers: quantiles, with edges that a schema keeps.

/// Edges of at most so many bins that hold about as many of the numbers each, from the lowest number to the highest. A number
/// that comes more often than a bin's share has a bin of its own. Bins contain their lower edge and, but for the last, not
/// their upper one.
///
/// # Panics
/// When there are no numbers.
pub(super) fn quantiles(mut numbers: Vec<f64>, bins: u32) -> Vec<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    let (count, bins) = (numbers.len(), bins.max(1) as usize);
    let runs: Vec<&[f64]> = numbers.chunk_by(|a, b| a == b).collect();
    let heavy = |run: &[f64]| run.len() * bins > count;
    let whole = numbers.iter().all(|number| number.fract() == 0.0);
    // Each such number, and the next one that there is.
    let own = || (0..runs.len()).filter(|place| heavy(runs[*place])).map(|place| (runs[place][0], runs.get(place + 1)));
    let others: Vec<f64> = runs.iter().filter(|run| !heavy(run)).flat_map(|run| run.iter().copied()).collect();
    let last = numbers[count - 1];
    let heavy_count = own().count();
    for shared in (1..=bins.saturating_sub(heavy_count)).rev().filter(|_| heavy_count > 0) {
        let is_next = |number: f64| own().any(|(_, next)| next.is_some_and(|next| next[0] == number));
        let starts = (0..shared).filter_map(|bin| others.get(bin * others.len() / shared).copied());
        // A bin of its own ends before the next whole number, or at the next number.
        let end = |start: f64, next: &[f64]| if whole { start + 1.0 } else { next[0] };
        let own = own().flat_map(|(start, next)| [Some(start), next.map(|next| end(start, next))]).flatten();
        let mut edges: Vec<f64> = starts.filter(|start| !is_next(*start)).chain(own).collect();
        edges.sort_unstable_by(f64::total_cmp);
        edges.dedup();
        edges.push(last);
        if edges.len() <= bins + 1 {
            return edges;
        }
    }
    let mut edges: Vec<f64> = (0..bins).map(|bin| numbers[bin * count / bins]).collect();
    edges.dedup();
    edges.push(last);
    edges
}

/// Names of the bins between these edges: `30-39` where all are whole numbers from 0 up, else `-1.5..2`.
pub fn labels(edges: &[f64]) -> Vec<String> {
    let whole = edges.iter().all(|edge| edge.fract() == 0.0 && edge.abs() < 1e15);
    let mark = if whole && edges.iter().all(|edge| *edge >= 0.0) { "-" } else { ".." };
    let last = edges.len().saturating_sub(2);
    let label = |(bin, pair): (usize, &[f64])| {
        let upper = if whole && bin < last { pair[1] - 1.0 } else { pair[1] };
        if pair[0] == upper { format!("{upper}") } else { format!("{}{mark}{upper}", pair[0]) }
    };
    edges.windows(2).enumerate().map(label).collect()
}

/// The bin of a number; none outside the edges.
pub fn bin_of(edges: &[f64], number: f64) -> Option<usize> {
    let (first, last) = (*edges.first()?, *edges.last()?);
    if !(first..=last).contains(&number) {
        return None;
    }
    let after = edges.partition_point(|edge| *edge <= number);
    Some((after - 1).min(edges.len() - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_bins_share_numbers_out_and_have_readable_names() {
        let edges = quantiles((0..100).map(f64::from).rev().collect(), 4);
        assert_eq!(edges, [0.0, 25.0, 50.0, 75.0, 99.0]);
        assert_eq!(labels(&edges), ["0-24", "25-49", "50-74", "75-99"]);
        for (number, bin) in
            [(0.0, Some(0)), (24.0, Some(0)), (25.0, Some(1)), (99.0, Some(3)), (100.0, None), (-1.0, None)]
        {
            assert_eq!(bin_of(&edges, number), bin, "{number}");
        }
        assert_eq!(bin_of(&edges, f64::NAN), None);
    }

    #[test]
    fn few_or_negative_numbers_make_fewer_bins_or_other_names() {
        assert_eq!(labels(&quantiles(vec![7.0; 9], 3)), ["7"]);
        assert_eq!(labels(&quantiles(vec![1.0, 1.0, 1.0, 2.0], 2)), ["1", "2"]);
        assert_eq!(labels(&quantiles(vec![0.0, 1.0, 1.0, 2.0], 4)), ["0", "1", "2"]);
        assert_eq!(labels(&quantiles(vec![-1.5, 0.0, 2.5, 3.0], 2)), ["-1.5..2.5", "2.5..3"]);
        assert_eq!(labels(&quantiles(vec![-4.0, -2.0, 1.0, 3.0], 2)), ["-4..0", "1..3"]);
    }

    #[test]
    fn a_number_that_comes_more_often_than_a_bins_share_has_a_bin_of_its_own() {
        let zeros = |others: &[f64]| [vec![0.0; 900], others.to_vec()].concat();
        let incomes: Vec<f64> = (1..=100).map(|number| 10.0 * f64::from(number)).collect();
        assert_eq!(labels(&quantiles(zeros(&incomes), 2)), ["0", "1-1000"]);
        assert_eq!(labels(&quantiles(zeros(&incomes), 4)), ["0", "1-339", "340-669", "670-1000"]);
        assert_eq!(labels(&quantiles(zeros(&[0.5, 1.5]), 3)), ["0..0.5", "0.5..1.5", "1.5"]);
        // Below, at and above the number; of two bins it would make three.
        let both = zeros(&[-7.0, -3.0, 4.0, 9.0]);
        assert_eq!(labels(&quantiles(both.clone(), 3)), ["-7..-1", "0", "1..9"]);
        assert_eq!(labels(&quantiles(both.clone(), 2)), ["-7..-1", "0..9"]);
        for bins in 1..12 {
            let edges = quantiles(both.clone(), bins);
            assert!(edges.len() <= bins as usize + 1 && edges.is_sorted(), "{edges:?}");
            assert!(both.iter().all(|number| bin_of(&edges, *number).is_some()), "{edges:?}");
        }
        // At the end of the scale.
        let last: Vec<f64> = (0..50).map(f64::from).chain([99.0; 50]).collect();
        assert_eq!(labels(&quantiles(last, 3)), ["0-24", "25-98", "99"]);
    }
}
