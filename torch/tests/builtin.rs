//! The built-in engine's gradient against autograd's, over all kinds of model and terms, on several numbers of threads.

use cvae::metrics::{draw_codes, paired_candidates};
use cvae::model::{
    CpuEngine, DeviceChoice, EngineKind, EngineOptions, Heads, Model, ModelConfig, ObjectiveWeights, Pairing, Prior,
    PriorCodes, StepInput, StepOptions, TrainingState, Trunk,
};
use cvae::random::{Purpose, normal, stream};
use cvae::task::Rows;
use cvae::task::dates::{self, Date, ValidDates};
use cvae::training::{StepConfig, adam_hyperparams};
use cvae_torch::Trials;
use cvae_torch::engine::{StepData, settings, shape};
use tch::{Device, Kind, Tensor};

const PLAIN: ObjectiveWeights = ObjectiveWeights { beta: 0.6, hybrid: 0.0, free_bits: 0.0, mmd: 0.0 };

fn days() -> Vec<Date> {
    let valid = ValidDates::new();
    valid.conditions().iter().step_by(97).flat_map(|condition| valid.of(*condition).to_vec()).collect()
}

fn check(config: ModelConfig, batch: usize, pairing: Option<Pairing>, weights: ObjectiveWeights) {
    check_rows(config, batch, (pairing, false), weights);
    if matches!(pairing, Some(Pairing::Posterior | Pairing::Balanced)) {
        check_rows(config, batch, (pairing, true), weights);
    }
}

/// The same for rows of a condition that are equally likely, or not.
fn check_rows(
    config: ModelConfig,
    batch: usize,
    (pairing, uneven): (Option<Pairing>, bool),
    weights: ObjectiveWeights,
) {
    let model = Model::new(config, dates::schema(), 7);
    let latent = model.layout.latent;
    // A few steps of chance away from the start, so that no weight is 0.
    let noise = normal(&mut stream(7, Purpose::Weights, 1), model.weights.len());
    let start: Vec<f32> = model.weights.iter().zip(noise).map(|(weight, noise)| weight + 0.05 * noise).collect();
    let (data, groups) = (dates::rows(&days()), dates::groups(&days()));
    let mut random = stream(3, Purpose::Noise, 0);
    let mut rows = Rows::default();
    rows.gather(&data, &(0..batch as u32).map(|row| row * 5 % data.len() as u32).collect::<Vec<_>>());
    let noise = normal(&mut random, batch * latent);
    let prior = match pairing {
        None => PriorCodes::None,
        Some(Pairing::Own) => PriorCodes::Own(normal(&mut random, batch * latent)),
        Some(pairing) => {
            let balanced = pairing == Pairing::Balanced;
            let mut codes = draw_codes(&groups, &[3, 0, 11, 5, 40], (37, latent), balanced, &mut random);
            if uneven {
                codes.log_shares = normal(&mut random, codes.candidates.len());
                codes.log_shares.iter_mut().for_each(|share| *share *= 0.5);
            }
            PriorCodes::Paired(codes)
        }
    };
    let adam = adam_hyperparams(&StepConfig::default(), 0);
    let input = StepInput {
        rows: &rows,
        noise: &noise,
        noise_seed: 0,
        prior: &prior,
        weights,
        adam,
        options: StepOptions::default(),
    };
    let mut trials = Trials::by_autograd(&shape(&model), Device::Cpu, &[&start]).unwrap();
    let (exact, exact_terms) =
        trials.gradient(&StepData::new(std::slice::from_ref(&input)).data(), &[settings(&input)]).unwrap();
    for threads in [1, 2, 8] {
        let options = EngineOptions { threads, device: DeviceChoice::Cpu, engine: EngineKind::Builtin };
        let mut engine = CpuEngine::new(&model.layout, TrainingState::new(start.clone()), options).unwrap();
        let terms = engine.objective(&input);
        let terms = [terms.loss, terms.recon, terms.kl, terms.prior_recon];
        for (term, exact) in terms.iter().zip(exact_terms[0]) {
            let exact = f64::from(exact);
            assert!((term - exact).abs() <= 1e-4 * exact.abs().max(1.0), "{terms:?} {exact_terms:?} {config:?}");
        }
        let norm = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        for tensor in &model.layout.tensors {
            let (by_hand, exact) = (&engine.gradient()[tensor.place.clone()], &exact[tensor.place.clone()]);
            let difference: Vec<f32> = by_hand.iter().zip(exact).map(|(a, b)| a - b).collect();
            let share = norm(&difference) / norm(exact).max(1e-6);
            assert!(share < 2e-4, "{}: {share} {weights:?} {pairing:?} {threads} {config:?}", tensor.name);
        }
    }
}

#[test]
fn both_engines_have_one_layout() {
    for config in kinds(ModelConfig { hidden_dim: 18, angles: 8, ..ModelConfig::default() }) {
        let model = Model::new(config, dates::schema(), 1);
        let places = shape(&model).places().into_iter().map(|(_, shape, place)| (shape, place));
        let places: Vec<_> = places.filter(|(_, place)| !place.is_empty()).collect();
        let tensors = model.layout.tensors.iter();
        let expected: Vec<_> = tensors.map(|tensor| (tensor.shape.clone(), tensor.place.clone())).collect();
        assert_eq!(places, expected, "{config:?}");
    }
}

/// All kinds of model.
fn kinds(small: ModelConfig) -> Vec<ModelConfig> {
    let mut kinds = Vec::new();
    for heads in [Heads::Autoregressive, Heads::Independent] {
        for trunk in [Trunk::Multiplicative, Trunk::Additive] {
            for latent_dim in [small.latent_dim, 0] {
                kinds.push(ModelConfig { heads, trunk, latent_dim, ..small });
            }
        }
    }
    kinds
}

#[test]
fn every_gradient_is_autograds() {
    let default = ModelConfig::default();
    let small = ModelConfig { latent_dim: 3, hidden_dim: 18, angles: 8, ..default };
    let cases = kinds(small).into_iter().map(|config| (config, 23));
    for (config, batch) in cases.chain([(default, 300), (small, 1)]) {
        check(config, batch, None, PLAIN);
        if config.latent_dim == 0 {
            continue;
        }
        check(config, batch, None, ObjectiveWeights { beta: f64::INFINITY, ..PLAIN });
        check(config, batch, None, ObjectiveWeights { free_bits: 0.05, ..PLAIN });
        for pairing in [Pairing::Own, Pairing::Posterior, Pairing::Balanced] {
            check(config, batch, Some(pairing), ObjectiveWeights { hybrid: 0.7, ..PLAIN });
        }
    }
}

/// A model a few steps of chance away from its start, rows, and what [`Trials`] makes of the rows.
struct Case {
    model: Model,
    start: Vec<f32>,
    rows: Rows,
    trials: Trials,
    blocks: Tensor,
}

impl Case {
    fn new(config: ModelConfig) -> Self {
        let model = Model::new(config, dates::schema(), 7);
        let noise = normal(&mut stream(7, Purpose::Weights, 1), model.weights.len());
        let start: Vec<f32> = model.weights.iter().zip(noise).map(|(weight, noise)| weight + 0.05 * noise).collect();
        let mut rows = Rows::default();
        rows.gather(&dates::rows(&days()), &(0..23).map(|row| row * 5).collect::<Vec<_>>());
        // The weights of a conditional prior come last; the others lie as they do without it.
        let plain = Model::new(ModelConfig { prior: Prior::Standard, ..config }, dates::schema(), 7);
        let shape = shape(&plain);
        let trials = Trials::by_autograd(&shape, Device::Cpu, &[&start[..plain.weights.len()]]).unwrap();
        let blocks = trials.model().one_hot(&indices(&rows));
        Self { model, start, rows, trials, blocks }
    }

    /// The built-in engine's loss and gradient.
    fn by_hand(&self, input: &StepInput<'_>, threads: usize) -> (f64, Vec<f32>) {
        let options = EngineOptions { threads, device: DeviceChoice::Cpu, engine: EngineKind::Builtin };
        let mut engine = CpuEngine::new(&self.model.layout, TrainingState::new(self.start.clone()), options).unwrap();
        (engine.objective(input).loss, engine.gradient().to_vec())
    }

    /// Compares these with autograd's of this loss, also by further weights that follow the model's.
    fn compare(&self, input: &StepInput<'_>, loss: &Tensor, further: &[&Tensor]) {
        let leaves: Vec<&Tensor> = self.trials.model().leaves.iter().chain(further.iter().copied()).collect();
        let gradients = Tensor::run_backward(&[loss.sum(Kind::Float)], &leaves, true, false);
        let mut exact = Vec::new();
        for (gradient, leaf) in gradients.iter().zip(&leaves) {
            let gradient = if gradient.defined() { gradient.shallow_clone() } else { leaf.zeros_like() };
            exact.extend(Vec::<f32>::try_from(gradient.contiguous().view([-1])).unwrap());
        }
        let loss = loss.double_value(&[]);
        for threads in [1, 2, 8] {
            let (own, gradient) = self.by_hand(input, threads);
            assert!((own - loss).abs() < 1e-4 * loss.abs(), "{own} {loss}");
            let norm = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            assert_eq!(gradient.len(), exact.len());
            for tensor in &self.model.layout.tensors {
                let (by_hand, exact) = (&gradient[tensor.place.clone()], &exact[tensor.place.clone()]);
                let difference: Vec<f32> = by_hand.iter().zip(exact).map(|(a, b)| a - b).collect();
                let share = norm(&difference) / norm(exact).max(1e-5);
                assert!(share < 5e-4, "{}: {share} {threads} {:?}", tensor.name, self.model.config);
            }
        }
    }

    /// KL(q(z | y, c) || N(0, I)), mean over the rows.
    fn kl(&self) -> Tensor {
        let (mu, logvar) = self.trials.model().posterior(&self.blocks);
        let kl: Tensor = (mu.square() + logvar.exp() - 1.0 - logvar) * 0.5;
        kl.sum(Kind::Float) / self.rows.len() as f64
    }

    /// -log p(y | z, c) of each row at codes `[1, n, latent]`, `[n]`.
    fn cross_entropies(&self, z: &Tensor) -> Tensor {
        let model = self.trials.model();
        let logits = model.logits(&model.units(&self.blocks), z);
        let rows = indices(&self.rows);
        let columns = logits
            .into_iter()
            .zip(model.shape.given.len() as i64..)
            .map(|(logits, column)| -logits.log_softmax(2, Kind::Float).gather(2, &rows.narrow(2, column, 1), false));
        Tensor::cat(&columns.collect::<Vec<_>>(), 2).sum_dim_intlist([2i64].as_slice(), false, Kind::Float).squeeze()
    }
}

fn indices(rows: &Rows) -> Tensor {
    let values: Vec<i64> = rows.iter().flatten().map(|value| i64::from(*value)).collect();
    Tensor::from_slice(&values).view([1, rows.len() as i64, rows.width() as i64])
}

fn small() -> ModelConfig {
    ModelConfig { latent_dim: 3, hidden_dim: 18, angles: 8, ..ModelConfig::default() }
}

/// Autoregressive heads and independent ones.
fn both() -> [ModelConfig; 2] {
    [small(), ModelConfig { heads: Heads::Independent, trunk: Trunk::Additive, ..small() }]
}

#[test]
fn the_importance_weighted_bound_and_its_gradient_are_autograds() {
    for config in both() {
        for beta in [1.0, 0.4] {
            let (case, samples, n, latent) = (Case::new(config), 5, 23, 3);
            let noise = normal(&mut stream(3, Purpose::Noise, 0), samples * n * latent);
            let (mu, logvar) = case.trials.model().posterior(&case.blocks);
            let logs = (0..samples).map(|sample| {
                let noise = &noise[sample * n * latent..(sample + 1) * n * latent];
                let noise = Tensor::from_slice(noise).view([1, n as i64, latent as i64]);
                let z = &mu + (&logvar * 0.5).exp() * &noise;
                // log p(z) - log q(z | y, c)
                let ratio: Tensor = (noise.square() + &logvar - z.square()) * 0.5;
                ratio.sum_dim_intlist([2i64].as_slice(), false, Kind::Float).squeeze() * beta - case.cross_entropies(&z)
            });
            let logs = Tensor::stack(&logs.collect::<Vec<_>>(), 0);
            let bound = -(logs.logsumexp([0i64].as_slice(), false) - (samples as f64).ln()).mean(Kind::Float);
            let options = StepOptions { importance_samples: samples, ..StepOptions::default() };
            let (weights, adam) = (ObjectiveWeights { beta, ..PLAIN }, adam_hyperparams(&StepConfig::default(), 0));
            let prior = &PriorCodes::None;
            let input = StepInput { rows: &case.rows, noise: &noise, noise_seed: 0, prior, weights, adam, options };
            case.compare(&input, &bound, &[]);
        }
    }
}

#[test]
fn the_mmd_and_its_gradient_are_autograds() {
    for config in both() {
        let (case, latent) = (Case::new(config), 3);
        let noise = normal(&mut stream(3, Purpose::Noise, 0), 23 * latent);
        let groups = dates::groups(&days());
        let conditions = [3, 0, 11];
        let aggregated = paired_candidates(&groups, &conditions, 0, false, &mut stream(3, Purpose::Noise, 1));
        let (mu, logvar) = case.trials.model().posterior(&case.blocks);
        let z = &mu + (&logvar * 0.5).exp() * Tensor::from_slice(&noise).view([1, 23, latent as i64]);
        let mut loss = case.cross_entropies(&z).mean(Kind::Float) + case.kl() * 0.6;
        let mut start = 0;
        for count in &aggregated.counts {
            let mut rows = Rows::new(aggregated.candidates.width());
            rows.extend(&aggregated.candidates, start..start + count);
            start += count;
            let (mu, logvar) = case.trials.model().posterior(&case.trials.model().one_hot(&indices(&rows)));
            // Gaussian kernels in closed form: of parts and parts, parts and prior, prior and prior.
            let (mu, variance) = (mu.squeeze_dim(0), logvar.exp().squeeze_dim(0));
            for width in [0.25, 1.0, 4.0].map(|width| width * latent as f64) {
                let kernel = |distance: Tensor, spread: Tensor| {
                    let of_dimension =
                        (spread.reciprocal() * width).sqrt() * (-distance.square() / (spread * 2.0)).exp();
                    of_dimension.prod_dim_int(-1, false, Kind::Float)
                };
                let between =
                    kernel(mu.unsqueeze(0) - mu.unsqueeze(1), variance.unsqueeze(0) + variance.unsqueeze(1) + width);
                let to_prior = kernel(mu.shallow_clone(), &variance + (width + 1.0));
                let of_prior = (width / (width + 2.0)).powf(latent as f64 / 2.0);
                let mmd = between.mean(Kind::Float) - to_prior.mean(Kind::Float) * 2.0 + of_prior;
                loss += mmd * (20.0 / 3.0 / aggregated.counts.len() as f64);
            }
        }
        let options = StepOptions { aggregated: Some(&aggregated), ..StepOptions::default() };
        let (weights, adam) = (ObjectiveWeights { mmd: 20.0, ..PLAIN }, adam_hyperparams(&StepConfig::default(), 0));
        let prior = &PriorCodes::None;
        let input = StepInput { rows: &case.rows, noise: &noise, noise_seed: 0, prior, weights, adam, options };
        case.compare(&input, &loss, &[]);
    }
}

#[test]
fn the_gradient_of_a_conditional_prior_is_autograds() {
    for config in both() {
        let config = ModelConfig { prior: Prior::Conditional, ..config };
        let (case, n, latent) = (Case::new(config), 23, 3);
        let mut random = stream(3, Purpose::Noise, 0);
        let (noise, own) = (normal(&mut random, n * latent), normal(&mut random, n * latent));
        let further: Vec<Tensor> = case
            .model
            .layout
            .tensors
            .iter()
            .filter(|tensor| tensor.name.starts_with("prior."))
            .map(|tensor| {
                let sizes: Vec<i64> = tensor.shape.iter().map(|size| *size as i64).collect();
                let values = Tensor::from_slice(&case.start[tensor.place.clone()]).view(sizes.as_slice());
                values.set_requires_grad(true)
            })
            .collect();
        let [embed, hidden, hidden_bias, output, output_bias] = &further[..] else { panic!("{}", further.len()) };
        let given = case.blocks.squeeze_dim(0).narrow(1, 0, embed.size()[0]);
        let units = given.mm(embed).silu();
        let units = (units.mm(&hidden.tr()) + hidden_bias).silu();
        let outputs = (units.mm(&output.tr()) + output_bias).chunk(2, 1);
        let spread = ((&outputs[1] / 8.0).tanh() * 4.0).exp();
        let mapped = |u: Tensor| (&outputs[0] + &spread * u).unsqueeze(0);
        let (mu, logvar) = case.trials.model().posterior(&case.blocks);
        let code = |values: &[f32]| Tensor::from_slice(values).view([n as i64, latent as i64]);
        let u = mu.squeeze_dim(0) + (logvar.squeeze_dim(0) * 0.5).exp() * code(&noise);
        let recon = case.cross_entropies(&mapped(u)).mean(Kind::Float);
        let prior_recon = case.cross_entropies(&mapped(code(&own))).mean(Kind::Float);
        let loss = recon + case.kl() * 0.6 + prior_recon * 0.7;
        let prior = PriorCodes::Own(own);
        let (weights, adam) = (ObjectiveWeights { hybrid: 0.7, ..PLAIN }, adam_hyperparams(&StepConfig::default(), 0));
        let options = StepOptions::default();
        let input = StepInput { rows: &case.rows, noise: &noise, noise_seed: 0, prior: &prior, weights, adam, options };
        case.compare(&input, &loss, &further.iter().collect::<Vec<_>>());
    }
}
