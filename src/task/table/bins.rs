//! Bins of numbers: quantiles, with edges that a schema keeps.

/// Edges of at most so many bins that hold about as many of the numbers each, from the lowest number to the highest. Bins
/// contain their lower edge and, but for the last, not their upper one.
///
/// # Panics
/// When there are no numbers.
pub(super) fn quantiles(mut numbers: Vec<f64>, bins: u32) -> Vec<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    let (count, bins) = (numbers.len(), bins.max(1) as usize);
    let mut edges: Vec<f64> = (0..bins).map(|bin| numbers[bin * count / bins]).collect();
    edges.dedup();
    edges.push(numbers[count - 1]);
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
        assert_eq!(labels(&quantiles(vec![1.0, 1.0, 1.0, 2.0], 2)), ["1-2"]);
        assert_eq!(labels(&quantiles(vec![0.0, 1.0, 1.0, 2.0], 4)), ["0", "1", "2"]);
        assert_eq!(labels(&quantiles(vec![-1.5, 0.0, 2.5, 3.0], 2)), ["-1.5..2.5", "2.5..3"]);
        assert_eq!(labels(&quantiles(vec![-4.0, -2.0, 1.0, 3.0], 2)), ["-4..0", "1..3"]);
    }
}
