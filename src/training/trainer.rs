//! The training loop.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::seq::SliceRandom;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::config::TrainingConfig;
use super::evaluation::{EvalBudget, Evaluation, TestData, evaluate};
use super::history::{History, HistoryError};
use super::optimizer::{adam_hyperparams, learning_rate};
use super::schedule::{BetaSchedule, Phase, ScheduleState};
use crate::dates::{Split, ValidDates};
use crate::metrics::{Measure, Row, draw_codes};
use crate::model::{
    Engine, EngineError, EngineOptions, Layout, MakeEngine, Model, ModelConfig, ObjectiveWeights, Pairing, PriorCodes,
    StepInput, Terms, TrainingState, check_memory,
};
use crate::random::{Purpose, normal, stream};
use crate::task::{Groups, Rows, dates};

/// Steps whose terms are read from the engine at once: a GPU is stopped by it, so not every step does.
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
    /// Whether the run shall end now, with a checkpoint; asked after every step and during evaluations.
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
    /// The loss is not a number or far too large.
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
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A training run.
#[derive(Debug)]
pub struct Trainer<'a> {
    config: TrainingConfig,
    schedule: BetaSchedule,
    train: Rows,
    train_groups: Groups,
    test: TestData<'a>,
    // Its weights are those of the last evaluation or checkpoint; the engine has the newest.
    model: Model,
    engine: Box<dyn Engine>,
    threads: usize,
    state: Checkpoint,
    history: History,
    checkpoint: PathBuf,
}

impl<'a> Trainer<'a> {
    /// A run with its history and checkpoint in these files, resumed from where the checkpoint stands.
    ///
    /// # Errors
    /// When a batch is larger than the data, the files can't be read or the engine can't be made.
    pub fn new(
        config: TrainingConfig,
        model: ModelConfig,
        (valid, split): (&'a ValidDates, &'a Split),
        (make, options): (MakeEngine, EngineOptions),
        (history, checkpoint): (&Path, &Path),
    ) -> Result<Self, TrainingError> {
        let (train, train_groups) = (dates::rows(&split.train), dates::groups(&split.train));
        let (rows, groups) = (dates::rows(&split.test), dates::groups(&split.test));
        let test = TestData { valid, split, rows, groups };
        if config.training.batch_size > train.len() as i64 {
            let (batch, dates) = (config.training.batch_size, train.len() as i64);
            return Err(TrainingError::BatchTooLarge { batch, dates });
        }
        let layout = Layout::new(&model, &dates::schema());
        check_memory(&layout, 2 * config.training.batch_size as usize, options.threads)?;
        let schedule = config.beta.schedule(config.training.steps);
        let mut model = Model::new(model, dates::schema(), config.seed);
        // What a checkpoint must have been written by to be resumed.
        let run = format!("{:012x}", config.identity);
        let mut state = Checkpoint { schedule: ScheduleState::new(&schedule), run, ..Checkpoint::default() };
        let mut training = TrainingState::new(model.weights.clone());
        let history = if checkpoint.exists() {
            let (saved, saved_training) = Checkpoint::load(checkpoint, &model.layout)?;
            // Earlier versions wrote a longer digest of everything that a config had; there the config beside it,
            // which is that of this run, has to vouch for it.
            if saved.run != state.run && saved.run.len() != 64 {
                let reason = "it is of another run or version".to_owned();
                return Err(CheckpointError::State { path: checkpoint.to_owned(), reason }.into());
            }
            let refused = |reason| CheckpointError::State { path: checkpoint.to_owned(), reason };
            saved.check(config.training.steps, WINDOW).map_err(refused)?;
            (state, training) = (saved, saved_training);
            model.weights.clone_from(&training.weights);
            History::resume(history, &state.history)?
        } else {
            History::begin(history)?
        };
        state.history = history.digest();
        let engine = make(&model, training, options)?;
        let (checkpoint, threads) = (checkpoint.to_owned(), options.threads);
        Ok(Self { config, schedule, train, train_groups, test, model, engine, threads, state, history, checkpoint })
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.state.step
    }

    /// The model as it was at the last evaluation.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Seconds spent in training steps, over all sessions of the run.
    pub fn seconds(&self) -> f64 {
        self.state.seconds
    }

    /// The device in words.
    pub fn device(&self) -> String {
        self.engine.device()
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
        let mut order = Order::new(self.train.len(), batch_size as usize, Purpose::Order, seed);
        let grouped = (batch_size / self.config.objective.codes) as usize;
        let mut conditions = Order::new(self.train_groups.len(), grouped, Purpose::Conditions, seed);
        let (mut batch, mut unread) = (Rows::default(), 0);
        let mut started = Instant::now();
        let mut last_loss = f64::NAN;
        while self.state.step < steps {
            if self.evaluation_due() {
                if self.log(false, observer)?.is_none() {
                    return Ok(Ending::Interrupted(self.state.step));
                }
                started = Instant::now();
            }
            let step = self.state.step;
            batch.gather(&self.train, order.rows(step));
            self.train_step(&batch, &mut conditions, step)?;
            unread += 1;
            self.state.step += 1;
            let done = self.state.step;
            let stops = observer.interrupted();
            let evaluates = done.is_multiple_of(self.config.evaluation.every) || done == steps;
            // Before an evaluation too, which can be long: an end in its midst loses no step.
            let saves = done.is_multiple_of(self.config.training.checkpoint_every) || evaluates || stops;
            // The schedule sees the terms in the same groups whether or not a checkpoint comes between.
            if self.state.pending.len() + unread >= WINDOW || saves {
                last_loss = self.read()?.unwrap_or(last_loss);
                unread = 0;
                if self.state.pending.len() >= WINDOW {
                    self.advance_schedule(observer);
                }
            }
            observer.step(Progress { step: done, steps, beta: self.beta(step), loss: last_loss });
            if saves {
                let training = self.engine.state()?;
                self.model.weights.clone_from(&training.weights);
                self.state.seconds += started.elapsed().as_secs_f64();
                self.state.save(&self.checkpoint, &self.model.layout, training)?;
                started = Instant::now();
            }
            if stops {
                return Ok(Ending::Interrupted(done));
            }
        }
        // A run resumed after its last step has nothing left to train and repeats this evaluation only.
        match self.log(true, observer)? {
            Some(evaluation) => Ok(Ending::Finished(Box::new(evaluation))),
            None => Ok(Ending::Interrupted(steps)),
        }
    }

    /// Whether an evaluation belongs to the last step and has not been logged, be it for an interruption.
    fn evaluation_due(&self) -> bool {
        self.state.summed > 0 && self.state.step.is_multiple_of(self.config.evaluation.every)
    }

    fn beta(&self, step: u64) -> f64 {
        self.state.schedule.beta(&self.schedule, step)
    }

    /// One update.
    fn train_step(&mut self, batch: &Rows, conditions: &mut Order, step: u64) -> Result<(), EngineError> {
        let config = &self.config;
        let latent = self.model.layout.latent;
        let mut random = stream(config.seed, Purpose::Noise, step);
        let count = config.training.batch_size as usize * latent;
        let noise = normal(&mut random, count);
        let weights = self.weights(step);
        let prior = match config.objective.pairing {
            _ if weights.hybrid <= 0.0 || latent == 0 => PriorCodes::None,
            Pairing::Own => PriorCodes::Own(normal(&mut random, count)),
            pairing => {
                let (rows, codes) = (conditions.rows(step), config.objective.codes as usize);
                let balanced = pairing == Pairing::Balanced;
                PriorCodes::Paired(draw_codes(&self.train_groups, rows, (codes, latent), balanced, &mut random))
            }
        };
        let adam = adam_hyperparams(&config.training, step);
        self.engine.step(&StepInput { rows: batch, noise: &noise, prior: &prior, weights, adam })
    }

    fn weights(&self, step: u64) -> ObjectiveWeights {
        // z from the prior is trained on once the code is there to be aligned with it.
        let aligning = self.state.schedule.phase == Phase::Align;
        let hybrid = if aligning { self.config.objective.hybrid } else { 0.0 };
        ObjectiveWeights { beta: self.beta(step), hybrid, free_bits: self.config.objective.free_bits }
    }

    /// Reads the terms of the last steps from the engine, checks them, and returns the last loss.
    fn read(&mut self) -> Result<Option<f64>, TrainingError> {
        let terms = self.engine.take_terms()?;
        let first = self.state.step - terms.len() as u64;
        let mut last = None;
        for (offset, Terms { loss, recon, kl, prior_recon }) in terms.into_iter().enumerate() {
            let step = first + offset as u64;
            if !loss.is_finite() || loss > self.config.training.divergence {
                let learning_rate = learning_rate(&self.config.training, step);
                let beta = self.beta(step);
                return Err(TrainingError::Diverged { step: step + 1, loss, recon, kl, beta, learning_rate });
            }
            let terms = [loss, recon, kl, prior_recon];
            self.state.sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            self.state.summed += 1;
            self.state.pending.push(terms);
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

    /// Evaluates, appends a row to the history and begins new sums; none where the observer asked for an end.
    fn log(&mut self, end: bool, observer: &mut impl Observer) -> Result<Option<Evaluation>, TrainingError> {
        let TrainingConfig { seed, objective, evaluation, .. } = &self.config;
        let budget = EvalBudget::of(evaluation, end, self.threads);
        let mut progress = |share| {
            observer.evaluating(share);
            if observer.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let Some(evaluation) = evaluate(&self.model, &self.test, objective, budget, *seed, &mut progress) else {
            return Ok(None);
        };
        let row = self.row(&evaluation);
        self.history.append(&row)?;
        self.state.history = self.history.digest();
        (self.state.sums, self.state.summed) = ([0.0; 4], 0);
        observer.evaluated(&row);
        Ok(Some(evaluation))
    }

    /// The evaluation's row, with what only the run knows.
    fn row(&self, evaluation: &Evaluation) -> Row {
        let state = &self.state;
        let step = state.step.saturating_sub(1);
        let weights = self.weights(step);
        let dates = state.step as f64 * self.config.training.batch_size as f64;
        let prior_recon = evaluation.test_prior_recon;
        // While the code is closed, z can't carry anything, and the loss is the reconstruction without it.
        let test_loss = if weights.beta.is_infinite() {
            prior_recon
        } else {
            evaluation.test.recon + weights.beta * evaluation.test.kl + weights.hybrid * prior_recon
        };
        let mut row = evaluation.row();
        row.set(Measure::Step, state.step);
        row.set(Measure::Epoch, dates / self.train.len() as f64);
        row.set(Measure::Phase, state.schedule.phase.name());
        row.set(Measure::Beta, weights.beta);
        row.set(Measure::Lr, learning_rate(&self.config.training, step));
        let terms = [Measure::TrainLoss, Measure::TrainRecon, Measure::TrainKl, Measure::TrainPriorRecon];
        terms.into_iter().zip(state.sums).for_each(|(term, sum)| row.set(term, sum / state.summed as f64));
        row.set(Measure::TestLoss, test_loss);
        row.set(Measure::DatesPerSecond, dates / state.seconds);
        row.set(Measure::TrainSeconds, state.seconds);
        row
    }
}

/// Pass after pass over rows in random order.
struct Order {
    len: usize,
    batch: usize,
    purpose: Purpose,
    seed: u64,
    epoch: Option<u64>,
    rows: Vec<u32>,
}

impl Order {
    fn new(len: usize, batch: usize, purpose: Purpose, seed: u64) -> Self {
        Self { len, batch: batch.min(len), purpose, seed, epoch: None, rows: Vec::new() }
    }

    /// The rows of a step's batch. What is left of an epoch after its last full batch waits for another
    /// epoch's order.
    fn rows(&mut self, step: u64) -> &[u32] {
        let per_epoch = (self.len / self.batch) as u64;
        let (epoch, place) = (step / per_epoch, step % per_epoch);
        if self.epoch != Some(epoch) {
            self.rows = (0..self.len as u32).collect();
            self.rows.shuffle(&mut stream(self.seed, self.purpose, epoch));
            self.epoch = Some(epoch);
        }
        &self.rows[place as usize * self.batch..][..self.batch]
    }
}
