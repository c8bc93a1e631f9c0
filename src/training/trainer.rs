//! The training loop.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::seq::SliceRandom;
use tch::{Device, Kind, Tensor};

use super::checkpoint::{Checkpoint, CheckpointError};
use super::config::TrainingConfig;
use super::evaluation::{Effort, Evaluation, TestData, evaluate};
use super::history::{History, HistoryError, Row};
use super::learner::Learner;
use super::optimizer::{Adam, Stride, learning_rate};
use super::schedule::{BetaSchedule, Phase, ScheduleState};
use crate::checksums::sha256;
use crate::dates::{Split, ValidDates};
use crate::metrics::{Dataset, Groups, Scores};
use crate::model::{Batch, Model, ModelConfig, Pairing, Prior, Weights};
use crate::random::{Purpose, normal, stream};

/// Steps whose terms are read from the device at once: reading stops it, so not every step does.
const WINDOW: usize = 10;

/// What a run tells about itself while it goes on.
pub trait Observer {
    /// A step is done.
    fn step(&mut self, progress: Progress);
    /// A phase of the schedule has begun.
    fn phase(&mut self, step: u64, phase: Phase);
    /// An evaluation is under way, this share of it done.
    fn evaluating(&mut self, share: f64);
    /// An evaluation is done.
    fn evaluated(&mut self, row: &Row);
    /// Whether the run shall end, with a checkpoint; asked after every step and several times a second in evaluations.
    fn interrupted(&self) -> bool;
}

/// Where a run stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// The KL weight.
    pub beta: f64,
    /// The loss of the last step read, nats.
    pub loss: f64,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// All steps are done; the last evaluation.
    Finished(Box<Evaluation>),
    /// Stopped after this step; a checkpoint holds everything.
    Interrupted(u64),
}

/// Why a run ended before its last step.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The loss is no number or far too large.
    #[error(
        "the loss {} at step {step} (reconstruction {recon}, KL {kl}, beta {beta}, learning rate {learning_rate:.2e}); \
         lower training.learning_rate or training.gradient_clip, or raise training.warm_up",
        if loss.is_finite() { format!("diverged to {loss:.1} nats") } else { format!("became {loss}") }
    )]
    Diverged {
        /// The step, counted from 1.
        step: u64,
        /// The loss, nats.
        loss: f64,
        /// Its reconstruction term.
        recon: f64,
        /// Its KL term.
        kl: f64,
        /// The KL weight.
        beta: f64,
        /// The learning rate.
        learning_rate: f64,
    },
    /// There are fewer training dates than one batch takes.
    #[error("training.batch_size is {batch} and there are only {dates} training dates; lower it")]
    BatchTooLarge {
        /// The config's batch size.
        batch: i64,
        /// Number of training dates.
        dates: i64,
    },
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The history.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// A training run.
#[derive(Debug)]
pub struct Trainer<'a> {
    config: TrainingConfig,
    schedule: BetaSchedule,
    train: Dataset,
    train_groups: Groups,
    test: TestData<'a>,
    model: Model,
    adam: Adam,
    learner: Learner,
    state: Checkpoint,
    history: History,
    checkpoint: PathBuf,
}

impl<'a> Trainer<'a> {
    /// A run with its history and checkpoint in these files, taken up where the checkpoint stands.
    ///
    /// # Errors
    /// When a batch is larger than the data, or the files can't be read.
    pub fn new(
        config: TrainingConfig,
        model: ModelConfig,
        (valid, split): (&'a ValidDates, &'a Split),
        device: Device,
        (history, checkpoint): (&Path, &Path),
    ) -> Result<Self, TrainingError> {
        let train = Dataset::new(&split.train, device);
        let train_groups = Groups::new(&split.train, device);
        let (dates, groups) = (Dataset::new(&split.test, device), Groups::new(&split.test, device));
        let test = TestData { valid, split, dates, groups };
        if config.training.batch_size > train.len {
            return Err(TrainingError::BatchTooLarge { batch: config.training.batch_size, dates: train.len });
        }
        let schedule = config.beta.schedule(config.training.steps);
        let model = Model::new(model, device, config.seed);
        let mut adam = Adam::new(model.parameters(), model.decayed());
        // What a checkpoint must have been written by to be taken up.
        let run = sha256(format!("{config:?} {:?} {:?}", model.config, split.test).as_bytes());
        let mut state = Checkpoint { schedule: ScheduleState::new(&schedule), run, ..Checkpoint::default() };
        let history = if checkpoint.exists() {
            let (saved, weights, moments) = Checkpoint::load(checkpoint)?;
            if saved.run != state.run {
                let reason = "it is of another run or version".to_owned();
                return Err(CheckpointError::State { path: checkpoint.to_owned(), reason }.into());
            }
            model.assign(weights, checkpoint).map_err(CheckpointError::from)?;
            let refused = |reason| CheckpointError::State { path: checkpoint.to_owned(), reason };
            adam.restore(moments).map_err(refused)?;
            saved.check(config.training.steps, WINDOW).map_err(refused)?;
            state = saved;
            // The row of an evaluation that is still to come was written by a process that was killed after it.
            let due = due(&config, &state);
            History::resume(history, state.step - u64::from(due), &state.history)?
        } else {
            History::begin(history)?
        };
        state.history = history.digest();
        let learner = Learner::new(&model, &adam);
        let checkpoint = checkpoint.to_owned();
        Ok(Self { config, schedule, train, train_groups, test, model, adam, learner, state, history, checkpoint })
    }

    /// The same run with its steps taken by autograd, whatever the model: what faster steps are compared with.
    pub fn by_autograd(self) -> Self {
        Self { learner: Learner::Autograd, ..self }
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.state.step
    }

    /// The model as it stands.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Seconds spent in training steps, over all sessions of the run.
    pub fn seconds(&self) -> f64 {
        self.state.seconds
    }

    /// The phase that the schedule is in.
    pub fn phase(&self) -> Phase {
        self.state.schedule.phase
    }

    /// Trains to the last step, or until the observer asks for an end.
    ///
    /// # Errors
    /// When the loss diverges or a file can't be written.
    pub fn run(&mut self, observer: &mut impl Observer) -> Result<Ending, TrainingError> {
        let steps = self.config.training.steps;
        let (seed, batch_size) = (self.config.seed, self.config.training.batch_size);
        let mut dates = Order::new(self.train.len, batch_size, Purpose::Order, seed);
        let grouped = batch_size / self.config.objective.codes;
        let mut conditions = Order::new(self.train_groups.len, grouped, Purpose::Conditions, seed);
        let mut window: Vec<Tensor> = Vec::new();
        let mut started = Instant::now();
        let mut last_loss = f64::NAN;
        // A run that was stopped in an evaluation begins with it.
        if self.state.step < steps && due(&self.config, &self.state) && self.log(false, observer)?.is_none() {
            return Ok(Ending::Interrupted(self.state.step));
        }
        while self.state.step < steps {
            let step = self.state.step;
            let rows = dates.rows(step, self.model.device());
            window.push(self.train_step(&self.train.rows(&rows), &mut conditions, step));
            self.state.step += 1;
            let done = self.state.step;
            let evaluates = done.is_multiple_of(self.config.evaluation.every) || done == steps;
            let stops = observer.interrupted();
            let saves = done.is_multiple_of(self.config.training.checkpoint_every) || stops;
            // The schedule sees the terms in the same groups whether or not a checkpoint comes between.
            if self.state.pending.len() + window.len() >= WINDOW || evaluates || saves {
                last_loss = self.read(&mut window)?.unwrap_or(last_loss);
                if self.state.pending.len() >= WINDOW {
                    self.advance_schedule(observer);
                }
            }
            observer.step(Progress { step: done, steps, beta: self.beta(step), loss: last_loss });
            if evaluates || saves {
                self.learner.settle(&self.model, &mut self.adam);
                self.state.seconds += started.elapsed().as_secs_f64();
                // Before an evaluation, which takes long: whatever ends it, no step is lost.
                self.save()?;
                if stops || (evaluates && done < steps && self.log(false, observer)?.is_none()) {
                    return Ok(Ending::Interrupted(done));
                }
                started = Instant::now();
            }
        }
        // A run taken up after its last step has nothing left to train and repeats this evaluation only.
        let evaluation = self.log(true, observer)?;
        Ok(evaluation.map_or(Ending::Interrupted(steps), |evaluation| Ending::Finished(Box::new(evaluation))))
    }

    fn beta(&self, step: u64) -> f64 {
        self.state.schedule.beta(&self.schedule, step)
    }

    /// One update; its terms `[4]`: loss, reconstruction, KL, prior reconstruction.
    fn train_step(&mut self, batch: &Batch, conditions: &mut Order, step: u64) -> Tensor {
        let config = &self.config;
        let (device, latent_dim) = (self.model.device(), self.model.config.latent_dim);
        let mut random = stream(config.seed, Purpose::Noise, step);
        let shape = [config.training.batch_size, latent_dim];
        let noise = normal(&mut random, &shape, device);
        let weights = self.weights(step);
        let prior = (weights.hybrid > 0.0).then(|| match config.objective.pairing {
            Pairing::Own => Prior::Own(normal(&mut random, &shape, device)),
            pairing => {
                let (rows, codes) = (conditions.rows(step, device), config.objective.codes);
                let balanced = pairing == Pairing::Balanced;
                Prior::Paired(self.train_groups.draw(&rows, (codes, latent_dim), balanced, &mut random))
            }
        });
        let stride = Stride::at(&config.training, step);
        self.learner.step((&self.model, &mut self.adam), (batch, &noise, prior.as_ref()), weights, stride)
    }

    fn weights(&self, step: u64) -> Weights {
        // z from the prior is trained on once the code is there to be matched with it.
        let matching = self.state.schedule.phase == Phase::Match;
        let hybrid = if matching { self.config.objective.hybrid } else { 0.0 };
        Weights { beta: self.beta(step), hybrid, free_bits: self.config.objective.free_bits }
    }

    /// Reads the terms of the last steps from the device, checks them, and returns the last loss.
    fn read(&mut self, window: &mut Vec<Tensor>) -> Result<Option<f64>, TrainingError> {
        if window.is_empty() {
            return Ok(None);
        }
        let values = Tensor::stack(window, 0).to_kind(Kind::Double).view([-1]);
        let values = Vec::<f64>::try_from(values).unwrap_or_default();
        let first = self.state.step - window.len() as u64;
        window.clear();
        let mut last = None;
        for (offset, terms) in values.as_chunks::<4>().0.iter().enumerate() {
            let [loss, recon, kl, _] = *terms;
            let step = first + offset as u64;
            if !loss.is_finite() || loss > self.config.training.divergence {
                let learning_rate = learning_rate(&self.config.training, step);
                return Err(TrainingError::Diverged {
                    step: step + 1,
                    loss,
                    recon,
                    kl,
                    beta: self.beta(step),
                    learning_rate,
                });
            }
            self.state.sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            self.state.summed += 1;
            self.state.pending.push(*terms);
            last = Some(loss);
        }
        Ok(last)
    }

    fn advance_schedule(&mut self, observer: &mut impl Observer) {
        let pending = std::mem::take(&mut self.state.pending);
        let last = self.state.step - 1;
        for [_, recon, kl, _] in pending {
            if self.state.schedule.observe(&self.schedule, last, recon, kl) {
                observer.phase(self.state.step, self.state.schedule.phase);
            }
        }
    }

    /// Evaluates, appends a row to the history and begins new sums; none where the observer asked for an end meanwhile.
    fn log(&mut self, end: bool, observer: &mut impl Observer) -> Result<Option<Evaluation>, TrainingError> {
        let TrainingConfig { seed, objective, evaluation, .. } = &self.config;
        let effort = Effort::of(evaluation, end);
        let progress = |share| {
            observer.evaluating(share);
            if observer.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let Some(evaluation) = evaluate(&self.model, &self.test, objective, effort, *seed, progress) else {
            return Ok(None);
        };
        let row = self.row(&evaluation);
        self.history.append(&row)?;
        self.state.history = self.history.digest();
        (self.state.sums, self.state.summed) = ([0.0; 4], 0);
        observer.evaluated(&row);
        Ok(Some(evaluation))
    }

    fn row(&self, evaluation: &Evaluation) -> Row {
        let Evaluation { test, test_prior_recon, latent, greedy, greedy_held_out, sampled, sampled_held_out, .. } =
            evaluation;
        let state = &self.state;
        let step = state.step.saturating_sub(1);
        let weights = self.weights(step);
        let batch = self.config.training.batch_size as f64;
        let [train_loss, train_recon, train_kl, train_prior_recon] = state.sums.map(|sum| sum / state.summed as f64);
        let held_out = |scores: &Option<Scores>| scores.map_or(f64::NAN, |scores| scores.pass.mean);
        // While the code is closed, z can't carry anything, and the loss is the reconstruction without it.
        let test_loss = if weights.beta.is_infinite() {
            *test_prior_recon
        } else {
            test.recon + weights.beta * test.kl + weights.hybrid * *test_prior_recon
        };
        Row {
            step: state.step,
            epoch: state.step as f64 * batch / self.train.len as f64,
            phase: state.schedule.phase,
            beta: weights.beta,
            lr: learning_rate(&self.config.training, step),
            train_loss,
            train_recon,
            train_kl,
            train_prior_recon,
            test_loss,
            test_recon: test.recon,
            test_kl: test.kl,
            test_prior_recon: *test_prior_recon,
            test_elbo: test.elbo(),
            greedy_pass: greedy.pass.mean,
            greedy_pass_held_out: held_out(greedy_held_out),
            greedy_pass_worst: greedy.pass.worst,
            greedy_pass_weekday: greedy.pass_by_field[0],
            greedy_pass_month: greedy.pass_by_field[1],
            greedy_pass_leap: greedy.pass_by_field[2],
            greedy_pass_decade: greedy.pass_by_field[3],
            greedy_valid_date: greedy.valid_date,
            greedy_coverage: greedy.coverage.mean,
            greedy_tv: greedy.tv.mean,
            sampled_pass: sampled.pass.mean,
            sampled_pass_held_out: held_out(sampled_held_out),
            sampled_coverage: sampled.coverage.mean,
            sampled_tv: sampled.tv.mean,
            expected_coverage: greedy.expected_coverage,
            expected_tv: greedy.expected_tv,
            active_units: latent.active_units(),
            dates_per_second: state.step as f64 * batch / state.seconds,
            train_seconds: state.seconds,
        }
    }

    fn save(&self) -> Result<(), TrainingError> {
        let moments = [("first", &self.adam.first), ("second", &self.adam.second)];
        Ok(self.state.save(&self.checkpoint, self.model.named(), moments)?)
    }
}

/// Whether the last step is followed by an evaluation that is still to come: its sums are not taken yet.
fn due(config: &TrainingConfig, state: &Checkpoint) -> bool {
    let evaluates = state.step.is_multiple_of(config.evaluation.every) || state.step == config.training.steps;
    state.summed > 0 && evaluates
}

/// A pass after pass over rows in random order, each pass on the device as a whole.
struct Order {
    len: i64,
    batch: i64,
    purpose: Purpose,
    seed: u64,
    epoch: Option<u64>,
    rows: Tensor,
}

impl Order {
    fn new(len: i64, batch: i64, purpose: Purpose, seed: u64) -> Self {
        Self { len, batch: batch.min(len), purpose, seed, epoch: None, rows: Tensor::default() }
    }

    /// The rows of a step's batch. What is left of an epoch after its last full batch waits for another
    /// epoch's order.
    fn rows(&mut self, step: u64, device: Device) -> Tensor {
        let per_epoch = (self.len / self.batch) as u64;
        let (epoch, place) = (step / per_epoch, step % per_epoch);
        if self.epoch != Some(epoch) {
            let mut rows: Vec<i64> = (0..self.len).collect();
            rows.shuffle(&mut stream(self.seed, self.purpose, epoch));
            self.rows = Tensor::from_slice(&rows).to_device(device);
            self.epoch = Some(epoch);
        }
        self.rows.narrow(0, place as i64 * self.batch, self.batch)
    }
}
