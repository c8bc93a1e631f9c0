//! What the latent code is used for.

use crate::model::{Encodings, Model, encode};
use crate::task::Rows;

/// Variance of the posterior mean over the data above which a unit counts as active.
const ACTIVE_VARIANCE: f64 = 0.01;

/// Use of the latent dimensions over a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentUse {
    /// Mean KL of each dimension, nats.
    pub kl: Vec<f64>,
    /// Variance over the data of each dimension's posterior mean.
    pub mean_variance: Vec<f64>,
}

impl LatentUse {
    /// Number of dimensions with `Var E[z] > 0.01` (Burda et al. 2016, section 5.2).
    pub fn active_units(&self) -> usize {
        self.active().into_iter().filter(|active| *active).count()
    }

    /// Which dimensions are active.
    pub fn active(&self) -> Vec<bool> {
        self.mean_variance.iter().map(|variance| *variance > ACTIVE_VARIANCE).collect()
    }
}

/// Encodes a data set and measures each dimension.
pub fn latent_use(model: &Model, rows: &Rows) -> LatentUse {
    latent_use_of(&encode(model, rows), rows.len())
}

/// Measures each dimension over the posteriors of so many rows.
pub fn latent_use_of(posterior: &Encodings, rows: usize) -> LatentUse {
    let (n, latent) = (rows as f64, posterior.latent);
    let mut kl = vec![0.0; latent];
    posterior.kl().enumerate().for_each(|(place, nats)| kl[place % latent] += nats / n);
    let mean_variance = (0..latent)
        .map(|dimension| {
            let means = || posterior.mu.iter().skip(dimension).step_by(latent).map(|mean| f64::from(*mean));
            let centre = means().sum::<f64>() / n;
            means().map(|mean| (mean - centre).powi(2)).sum::<f64>() / n
        })
        .collect();
    LatentUse { kl, mean_variance }
}

/// Posterior means of a data set, `[n][latent]`.
pub fn posterior_means(model: &Model, rows: &Rows) -> Vec<Vec<f64>> {
    let posterior = encode(model, rows);
    let means = posterior.mu.chunks_exact(posterior.latent.max(1));
    means.map(|row| row.iter().map(|mean| f64::from(*mean)).collect()).collect()
}

/// Points on the first two principal components.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Coordinates of each point; the second is 0 where there is one dimension only.
    pub points: Vec<[f64; 2]>,
    /// Shares of the variance that the two components hold, 0..=1.
    pub shares: [f64; 2],
}

/// Projects points `[n][latent]` on the two directions of their largest variance. A component's sign is free: it is
/// chosen so that the entry of largest size is positive, so that pictures repeat.
pub fn project(points: &[Vec<f64>]) -> Projection {
    let (n, dimensions) = (points.len(), points.first().map_or(0, Vec::len));
    let mean = |dimension: usize| points.iter().map(|point| point[dimension]).sum::<f64>() / n as f64;
    let means: Vec<f64> = (0..dimensions).map(mean).collect();
    let centred = |point: &[f64], dimension: usize| point[dimension] - means[dimension];
    let covariance =
        |a: usize, b: usize| points.iter().map(|point| centred(point, a) * centred(point, b)).sum::<f64>() / n as f64;
    let matrix = (0..dimensions).map(|a| (0..dimensions).map(|b| covariance(a, b)).collect()).collect();
    let components = eigenvectors(matrix);
    let total: f64 = components.iter().map(|(variance, _)| variance).sum();
    let component = |place: usize| {
        let Some((variance, vector)) = components.get(place) else { return (vec![0.0; n], 0.0) };
        let largest = vector.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        let along = |point: &Vec<f64>| {
            (0..dimensions).map(|dimension| centred(point, dimension) * vector[dimension]).sum::<f64>()
        };
        let share = if total > 0.0 { variance / total } else { 0.0 };
        (points.iter().map(|point| along(point) * largest.signum()).collect::<Vec<_>>(), share)
    };
    let ((first, first_share), (second, second_share)) = (component(0), component(1));
    let points = first.into_iter().zip(second).map(|(x, y)| [x, y]).collect();
    Projection { points, shares: [first_share, second_share] }
}

/// Eigenvalues of a symmetric matrix with their unit vectors, largest first, by Jacobi's rotations (Golub and Van Loan
/// 2013, section 8.5). By hand, since a library of linear algebra takes longer to build than all of this program's use.
fn eigenvectors(mut matrix: Vec<Vec<f64>>) -> Vec<(f64, Vec<f64>)> {
    const SWEEPS: usize = 50;
    let n = matrix.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..n).map(|row| (0..n).map(|column| f64::from(u8::from(row == column))).collect()).collect();
    for _ in 0..SWEEPS {
        for p in 0..n {
            for q in p + 1..n {
                if matrix[p][q] == 0.0 {
                    continue;
                }
                let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
                let tangent = if theta >= 0.0 { 1.0 } else { -1.0 } / (theta.abs() + theta.hypot(1.0));
                let cos = 1.0 / tangent.hypot(1.0);
                let sin = tangent * cos;
                let turned = |a: f64, b: f64| (cos * a - sin * b, sin * a + cos * b);
                for row in &mut matrix {
                    (row[p], row[q]) = turned(row[p], row[q]);
                }
                for rows in [&mut matrix, &mut vectors] {
                    let (above, below) = rows.split_at_mut(q);
                    for (a, b) in above[p].iter_mut().zip(&mut below[0]) {
                        (*a, *b) = turned(*a, *b);
                    }
                }
            }
        }
    }
    let mut components: Vec<_> =
        vectors.into_iter().enumerate().map(|(row, vector)| (matrix[row][row], vector)).collect();
    components.sort_by(|a, b| b.0.total_cmp(&a.0));
    components
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;
    use crate::task::dates::{self, Date};

    #[test]
    fn units_are_active_when_their_mean_moves_with_the_data() {
        let config = ModelConfig { latent_dim: 3, hidden_dim: 16, angles: 8, ..Default::default() };
        let mut model = Model::new(config, dates::schema(), 1);
        let days: Vec<Date> = (1800..2000).map(|year| Date::new(1, 1, year).unwrap()).collect();
        let rows = dates::rows(&days);
        let usage = latent_use(&model, &rows);
        assert_eq!((usage.kl.len(), usage.mean_variance.len()), (3, 3));
        // Without weights on its means, an encoder gives every row the prior.
        for name in ["encoder.output.weight", "encoder.output.bias"] {
            model.tensor_mut(name).unwrap().fill(0.0);
        }
        let usage = latent_use(&model, &rows);
        assert_eq!((usage.active_units(), usage.kl.iter().sum::<f64>()), (0, 0.0));
        // One unit that follows the data.
        model.tensor_mut("encoder.output.weight").unwrap()[16..32].fill(3.0);
        assert_eq!(latent_use(&model, &rows).active_units(), 1);
    }

    #[test]
    fn a_model_without_a_code_uses_none() {
        let config = ModelConfig { latent_dim: 0, hidden_dim: 16, angles: 8, ..Default::default() };
        let model = Model::new(config, dates::schema(), 1);
        let rows = dates::rows(&[Date::new(1, 1, 1900).unwrap()]);
        assert_eq!(latent_use(&model, &rows).active_units(), 0);
    }

    #[test]
    fn the_first_components_are_the_directions_of_largest_variance() {
        // Along (3, 4) / 5 with deviations 2, across it with 1, nothing along the third axis.
        let rows: Vec<Vec<f64>> = [(2.0, 1.0), (-2.0, 1.0), (2.0, -1.0), (-2.0, -1.0)]
            .map(|(along, across): (f64, f64)| vec![0.6 * along - 0.8 * across, 0.8 * along + 0.6 * across, 7.0])
            .to_vec();
        let projection = project(&rows);
        assert!((projection.shares[0] - 0.8).abs() < 1e-9 && (projection.shares[1] - 0.2).abs() < 1e-9);
        for (point, along) in projection.points.iter().zip([2.0, -2.0, 2.0, -2.0]) {
            assert!((point[0] - along).abs() < 1e-9 && (point[1].abs() - 1.0).abs() < 1e-9, "{point:?}");
        }
        let line = project(&[vec![1.0], vec![3.0]]);
        assert_eq!(line, Projection { points: vec![[-1.0, 0.0], [1.0, 0.0]], shares: [1.0, 0.0] });
    }
}
