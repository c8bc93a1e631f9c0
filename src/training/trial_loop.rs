//! One trial of a training run: its data order, schedule, history and checkpoint. It says what its next step is computed
//! from and takes what came of it; [`super::Trainer`] computes the steps of one or of many trials with an engine.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::RngExt;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::config::{Objective, TrainingConfig};
use super::data::TrialData;
use super::evaluation::{Drawn, EvalBudget, Evaluation, evaluate};
use super::history::History;
use super::observer::{Observer, Progress, TrainingError};
use super::optimizer::{evaluated, learning_rate, update};
use super::order::Order;
use super::schedule::{BetaSchedule, Phase, ScheduleState};
use crate::metrics::{Measure, Row, draw_into, marginal_nll, paired_candidates};
use crate::model::{
    BulkDecoder, EngineError, Layout, Model, ModelConfig, ObjectiveWeights, PairedCodes, Pairing, PriorCodes,
    StepInput, StepOptions, Terms, TrainingState, check_memory,
};
use crate::random::{Noise, Purpose, stream};
use crate::task::Rows;

/// Steps whose terms are read from the engine at once: a GPU is stopped by it, so not every step does.
const WINDOW: usize = 10;

/// A trial under way.
#[derive(Debug)]
pub struct TrialLoop<'a> {
    config: TrainingConfig,
    schedule: BetaSchedule,
    data: &'a TrialData<'a>,
    // Its weights are those of the last evaluation or checkpoint; the engine has the newest.
    model: Model,
    /// What an engine starts from.
    start: Option<TrainingState>,
    threads: usize,
    state: Checkpoint,
    history: History,
    checkpoint: PathBuf,
    order: Order,
    conditions: Order,
    batch: Rows,
    noise: Vec<f32>,
    prior: PriorCodes,
    /// Conditions of the MMD term.
    aggregated: Option<PairedCodes>,
    noise_seed: u64,
    /// Steps whose terms the engine has and this trial has not.
    unread: usize,
    last_loss: f64,
    started: Option<Instant>,
    /// The loss above which the trial has diverged, nats.
    divergence: f64,
}

impl<'a> TrialLoop<'a> {
    /// A trial with its history and checkpoint in these files, resumed from where the checkpoint stands. It is evaluated
    /// on so many threads.
    ///
    /// # Errors
    /// When a batch is larger than the data, or the files can't be read.
    pub fn new(
        config: TrainingConfig,
        model: ModelConfig,
        data: &'a TrialData<'a>,
        threads: usize,
        (history, checkpoint): (&Path, &Path),
    ) -> Result<Self, TrainingError> {
        if data.is_dates() && config.training.batch_size > data.train.len() as i64 {
            let (batch, dates) = (config.training.batch_size, data.train.len() as i64);
            return Err(TrainingError::BatchTooLarge { batch, dates });
        }
        let schema = data.test.population.schema();
        let layout = Layout::new(&model, schema);
        let rows = config.training.batch_size as usize * config.objective.importance_samples.max(2);
        check_memory(&layout, rows, threads)?;
        let schedule =
            config.beta.schedule(config.training.steps, data.is_dates(), data.entropy(config.training.balanced));
        let mut model = Model::new(model, schema.clone(), config.seed);
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
            model.weights = evaluated(&config.training, &training);
            History::resume(history, &state.history)?
        } else {
            let given = data.test.population.schema().given.iter().map(|column| column.name.as_str());
            History::begin(history, &Measure::of_history(given))?
        };
        state.history = history.digest();
        let (seed, batch_size, balanced) = (config.seed, config.training.batch_size, config.training.balanced);
        let order = data.row_order(batch_size as usize, seed, balanced);
        let grouped = (batch_size / config.objective.codes).max(1) as usize;
        let conditions = data.condition_order(grouped, seed, balanced);
        // A uniform guess of many columns costs more than one of a date.
        let guess: f64 = schema.generated.iter().map(|column| (column.size() as f64).ln()).sum();
        let divergence = config.training.divergence.max(if data.is_dates() { 0.0 } else { 10.0 * guess });
        Ok(Self {
            config,
            schedule,
            data,
            model,
            start: Some(training),
            threads,
            state,
            history,
            checkpoint: checkpoint.to_owned(),
            order,
            conditions,
            batch: Rows::default(),
            noise: Vec::new(),
            prior: PriorCodes::None,
            aggregated: None,
            noise_seed: 0,
            unread: 0,
            last_loss: f64::NAN,
            started: None,
            divergence,
        })
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.state.step
    }

    /// The model as it was at the last evaluation.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Seconds spent in training steps, over all sessions of the run. Trials that train as one share them.
    pub fn seconds(&self) -> f64 {
        self.state.seconds
    }

    /// The phase that the schedule is in.
    pub fn phase(&self) -> Phase {
        self.state.schedule.phase
    }

    /// What an engine starts from; a trial starts once.
    pub(super) fn take_start(&mut self) -> TrainingState {
        self.start.take().unwrap_or_else(|| TrainingState::new(self.model.weights.clone()))
    }

    /// Whether all steps are done.
    pub(super) fn trained(&self) -> bool {
        self.state.step >= self.config.training.steps
    }

    /// Whether the trial is to be evaluated before its next step, or has taken its last.
    pub(super) fn evaluation_due(&self) -> bool {
        // An evaluation that belongs to the last step and has not been logged, be it for an interruption. A run resumed
        // after its last step has nothing left to train and repeats this evaluation only.
        self.trained() || self.state.summed > 0 && self.config.evaluation.every.is_due(self.state.step)
    }

    /// Starts or stops counting the seconds of training.
    pub(super) fn count_seconds(&mut self, count: bool) {
        let counted = self.started.take().map_or(0.0, |started| started.elapsed().as_secs_f64());
        self.state.seconds += counted;
        self.started = count.then(Instant::now);
    }

    /// Gathers what the next step is computed from. An engine that draws its own random numbers needs a seed alone.
    pub(super) fn prepare(&mut self, engine_draws: bool) {
        let step = self.state.step;
        let count = self.config.training.rows_of(step) as usize;
        self.batch.gather(&self.data.train, &self.order.rows(step)[..count]);
        let grouped = (count / self.config.objective.codes as usize).max(1);
        let (latent, hybrid) = (self.model.layout.latent, self.weights(step).hybrid);
        let TrainingConfig { seed, objective, .. } = &self.config;
        let mut random = stream(*seed, Purpose::Noise, step);
        // No engine draws stratified noise.
        let engine_draws = engine_draws && objective.noise == Noise::Independent;
        let rows = if engine_draws { 0 } else { count };
        if engine_draws {
            self.noise_seed = random.random();
        }
        // Each code of a row has a stratum of its own, where noise has strata.
        self.noise = objective.noise.normal(&mut random, rows * objective.importance_samples, latent);
        self.prior = match objective.pairing {
            _ if hybrid <= 0.0 || latent == 0 => PriorCodes::None,
            Pairing::Own => PriorCodes::Own(objective.noise.normal(&mut random, rows, latent)),
            pairing => {
                let (conditions, codes) = (&self.conditions.rows(step)[..grouped], objective.codes as usize);
                let (groups, balanced) = (&self.data.train_groups, pairing == Pairing::Balanced);
                let mut paired = paired_candidates(groups, conditions, codes, balanced, &mut random);
                if !engine_draws {
                    draw_into(&mut paired, latent, objective.noise, &mut random);
                }
                PriorCodes::Paired(paired)
            }
        };
        self.aggregated = (objective.mmd > 0.0 && latent > 0).then(|| {
            let conditions = &self.conditions.rows(step)[..grouped];
            paired_candidates(&self.data.train_groups, conditions, 0, false, &mut random)
        });
    }

    /// What the step that was prepared is computed from.
    pub(super) fn input(&self) -> StepInput<'_> {
        let step = self.state.step;
        let (adam, options) = update(&self.config.training, step, self.state.moments_since);
        let importance_samples = self.config.objective.importance_samples;
        StepInput {
            rows: &self.batch,
            noise: &self.noise,
            noise_seed: self.noise_seed,
            prior: &self.prior,
            weights: self.weights(step),
            adam,
            options: StepOptions { importance_samples, aggregated: self.aggregated.as_ref(), ..options },
        }
    }

    /// The engine has taken the step.
    pub(super) fn stepped(&mut self) {
        self.unread += 1;
        self.state.step += 1;
    }

    /// Whether a checkpoint belongs after the step that was taken.
    pub(super) fn saves(&self) -> bool {
        // Before an evaluation too, which can be long: an end in its midst loses no step.
        let done = self.state.step;
        let evaluates = self.config.evaluation.every.is_due(done) || self.trained();
        done.is_multiple_of(self.config.training.checkpoint_every) || evaluates
    }

    /// Whether the schedule waits for the terms of the last steps.
    pub(super) fn window_full(&self) -> bool {
        self.state.pending.len() + self.unread >= WINDOW
    }

    /// Takes the terms of the steps since the last call, and lets the schedule go on.
    pub(super) fn take_terms(&mut self, terms: Vec<Terms>, observer: &mut impl Observer) -> Result<(), TrainingError> {
        self.unread = 0;
        let first = self.state.step - terms.len() as u64;
        for (offset, Terms { loss, recon, kl, prior_recon }) in terms.into_iter().enumerate() {
            let step = first + offset as u64;
            if !loss.is_finite() || loss > self.divergence {
                let learning_rate = learning_rate(&self.config.training, step);
                let beta = self.beta(step);
                return Err(TrainingError::Diverged { step: step + 1, loss, recon, kl, beta, learning_rate });
            }
            let terms = [loss, recon, kl, prior_recon];
            self.state.sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            self.state.summed += 1;
            self.state.pending.push(terms);
            self.last_loss = loss;
        }
        // The schedule sees the terms in the same groups whether or not a checkpoint comes between.
        if self.state.pending.len() >= WINDOW {
            self.advance_schedule(observer);
        }
        Ok(())
    }

    /// Where the trial stands.
    pub(super) fn progress(&self) -> Progress {
        let (step, steps) = (self.state.step, self.config.training.steps);
        Progress { step, steps, beta: self.beta(step.saturating_sub(1)), loss: self.last_loss }
    }

    /// Writes a checkpoint.
    pub(super) fn save(&mut self, training: TrainingState) -> Result<(), TrainingError> {
        self.model.weights = evaluated(&self.config.training, &training);
        self.count_seconds(true);
        self.state.save(&self.checkpoint, &self.model.layout, training)?;
        // The time that this took is no training.
        self.started = Some(Instant::now());
        Ok(())
    }

    fn beta(&self, step: u64) -> f64 {
        self.state.schedule.beta(&self.schedule, step)
    }

    fn weights(&self, step: u64) -> ObjectiveWeights {
        // z from the prior is trained on once the code is there to be aligned with it.
        let aligning = self.state.schedule.phase == Phase::Align;
        let hybrid = if aligning { self.config.objective.hybrid } else { 0.0 };
        let Objective { free_bits, mmd, .. } = self.config.objective;
        ObjectiveWeights { beta: self.beta(step), hybrid, free_bits, mmd }
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

    /// Of the history's row, and after the last step of what is measured at the end.
    fn budgets(&self) -> Vec<EvalBudget> {
        let history = EvalBudget::of_history(&self.config.evaluation, self.threads);
        let end = self.trained().then(|| EvalBudget::of_end(&self.config.evaluation, self.threads));
        [history].into_iter().chain(end).collect()
    }

    /// Draws what the evaluation needs on a device.
    pub(super) fn draw(&self, decoder: &dyn BulkDecoder) -> Result<Vec<Drawn>, EngineError> {
        let TrainingConfig { seed, objective, .. } = &self.config;
        let draw = |budget| Drawn::new((&self.model, decoder), &self.data.test, objective, budget, *seed);
        self.budgets().into_iter().map(draw).collect()
    }

    /// Evaluates, from rows that were drawn already where there are some, appends a row to the history and begins new
    /// sums; none where the observer asked for an end. All rows of a history are measured alike; after the last step it
    /// is followed by the evaluation that this returns.
    pub(super) fn evaluate(
        &mut self,
        drawn: Option<&Vec<Drawn>>,
        observer: &mut impl Observer,
    ) -> Result<Option<Evaluation>, TrainingError> {
        self.keep_best();
        let TrainingConfig { seed, objective, .. } = &self.config;
        let mut evaluations = Vec::new();
        for (place, budget) in self.budgets().into_iter().enumerate() {
            let mut progress = |share| {
                observer.evaluating(share);
                if observer.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let budget = (budget, drawn.and_then(|drawn| drawn.get(place)));
            match evaluate(&self.model, &self.data.test, objective, budget, *seed, &mut progress) {
                Some(evaluation) => evaluations.push(evaluation),
                None => return Ok(None),
            }
        }
        let Some(evaluation) = evaluations.first() else { return Ok(None) };
        let row = self.row(evaluation);
        self.history.append(&row)?;
        self.state.history = self.history.digest();
        (self.state.sums, self.state.summed) = ([0.0; 4], 0);
        observer.evaluated(&row);
        Ok(evaluations.pop())
    }

    /// Keeps the weights that are best on validation rows of a sample, from the last phase on, and takes them back at the
    /// end: trained on, a model of few rows learns them by heart.
    fn keep_best(&mut self) {
        let Some(rows) = self.data.validation.as_ref().filter(|_| self.phase() == Phase::Align) else { return };
        let nll = marginal_nll(&self.model, rows, self.config.seed);
        if self.state.best.is_none_or(|best| nll < best) {
            self.state.best = Some(nll);
            self.state.best_weights.clone_from(&self.model.weights);
        } else if self.trained() && self.state.best_weights.len() == self.model.weights.len() {
            self.model.weights.clone_from(&self.state.best_weights);
        }
    }

    /// The evaluation's row, with what only the run knows.
    fn row(&self, evaluation: &Evaluation) -> Row {
        let state = &self.state;
        let step = state.step.saturating_sub(1);
        let weights = self.weights(step);
        let dates = self.config.training.rows_until(state.step) as f64;
        let prior_recon = evaluation.test_prior_recon;
        // While the code is closed, z can't carry anything, and the loss is the reconstruction without it.
        let test_loss = if weights.beta.is_infinite() {
            prior_recon
        } else {
            evaluation.test.recon + weights.beta * evaluation.test.kl + weights.hybrid * prior_recon
        };
        let mut row = evaluation.row();
        row.set(Measure::Step, state.step);
        row.set(Measure::Epoch, dates / self.data.train.len() as f64);
        row.set(Measure::Phase, state.schedule.phase.name());
        row.set(Measure::PhaseSince, state.schedule.since);
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
