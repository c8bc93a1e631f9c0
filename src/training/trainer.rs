//! The training loop: one or many trials, each a [`TrialLoop`], step by step with one engine.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::observer::{Ending, Observer, TrainingError};
use super::trial_loop::TrialLoop;
use crate::model::{Engine, EngineError, EngineOptions, MakeEngine, StepInput};

/// Trials whose drawn rows are kept at once, a hundred megabytes each in a last evaluation.
const AT_ONCE: usize = 16;

/// Trials of one shape, trained as one: each takes its steps, and no other trial changes what becomes of it.
#[derive(Debug)]
pub struct Trainer<'a> {
    engine: Box<dyn Engine>,
    trials: Vec<TrialLoop<'a>>,
    /// Places of the trials that the engine trains, in its order.
    active: Vec<usize>,
}

/// Told how each trial ended, by its place, as soon as it has.
pub type Ended<'e, 'a, O> = &'e mut dyn FnMut(usize, &TrialLoop<'a>, &mut O, Result<Ending, TrainingError>);

impl<'a> Trainer<'a> {
    /// Trials that go on from where they stand.
    ///
    /// # Errors
    /// When the engine can't be made.
    pub fn new(
        mut trials: Vec<TrialLoop<'a>>,
        (make, options): (MakeEngine, EngineOptions),
    ) -> Result<Self, EngineError> {
        let starts = trials.iter_mut().map(TrialLoop::take_start).collect();
        let model =
            trials.first().ok_or_else(|| EngineError::Device("there are no trials to train".to_owned()))?.model();
        let engine = make(model, starts, options)?;
        let active = (0..trials.len()).collect();
        Ok(Self { engine, trials, active })
    }

    /// The device in words.
    pub fn device(&self) -> String {
        self.engine.device()
    }

    /// The trials, in their order.
    pub fn trials(&self) -> &[TrialLoop<'a>] {
        &self.trials
    }

    /// Trains every trial to its last step, or until its observer asks for an end or it fails; the others go on then.
    ///
    /// # Panics
    /// When there is not an observer for each trial.
    pub fn run<O: Observer + Send>(&mut self, observers: &mut [O], ended: Ended<'_, 'a, O>) {
        assert_eq!(observers.len(), self.trials.len(), "an observer for each trial");
        self.count_seconds(true);
        loop {
            let worked = self.evaluate(observers, ended).and_then(|()| match self.active.is_empty() {
                true => Ok(()),
                false => self.step(observers, ended),
            });
            if let Err(error) = worked {
                // The engine is at fault, so that all of its trials are at an end.
                for place in std::mem::take(&mut self.active) {
                    ended(place, &self.trials[place], &mut observers[place], Err(error.clone().into()));
                }
            }
            if self.active.is_empty() {
                return;
            }
        }
    }

    fn count_seconds(&mut self, count: bool) {
        self.active.iter().for_each(|place| self.trials[*place].count_seconds(count));
    }

    /// Evaluates the trials that are due, side by side where they are several.
    fn evaluate<O: Observer + Send>(
        &mut self,
        observers: &mut [O],
        ended: Ended<'_, 'a, O>,
    ) -> Result<(), EngineError> {
        if !self.active.iter().any(|place| self.trials[*place].evaluation_due()) {
            return Ok(());
        }
        self.count_seconds(false);
        let Self { engine, trials, active, .. } = self;
        let due = trials.iter_mut().zip(observers.iter_mut()).enumerate();
        let mut due: Vec<_> =
            due.filter(|(place, (trial, _))| active.contains(place) && trial.evaluation_due()).collect();
        let mut evaluated = Vec::new();
        // The device draws for some trials, of which memory holds the rows; then the cores score them.
        while !due.is_empty() {
            let rest = due.split_off(due.len().min(AT_ONCE));
            let mut work = Vec::new();
            for (place, (trial, observer)) in std::mem::replace(&mut due, rest) {
                let drawn = engine.decoder(trial.model()).and_then(|decoder| match decoder {
                    Some(decoder) => trial.draw(&*decoder).map(Some),
                    None => Ok(None),
                });
                // Fewer trials would leave it more memory.
                let drawn = drawn.map_err(|error| match error {
                    EngineError::OutOfMemory { reason, .. } => {
                        EngineError::OutOfMemory { trials: active.len(), reason }
                    }
                    other => other,
                })?;
                work.push((place, trial, observer, drawn));
            }
            evaluated.extend(side_by_side(work, |(place, trial, observer, drawn)| {
                (place, trial.evaluate(drawn.as_ref(), observer))
            }));
        }
        let mut endings = Vec::new();
        for (place, evaluated) in evaluated {
            match evaluated {
                Err(error) => endings.push((place, Err(error))),
                Ok(None) => endings.push((place, Ok(Ending::Interrupted(self.trials[place].step())))),
                Ok(Some(evaluation)) if self.trials[place].trained() => {
                    endings.push((place, Ok(Ending::Finished(Box::new(evaluation)))));
                }
                Ok(Some(_)) => {}
            }
        }
        self.end(endings, observers, ended)?;
        self.count_seconds(true);
        Ok(())
    }

    /// One step of every trial, with what belongs after it.
    fn step<O: Observer + Send>(&mut self, observers: &mut [O], ended: Ended<'_, 'a, O>) -> Result<(), EngineError> {
        let engine_draws = self.engine.draws();
        let Self { trials, active, engine, .. } = self;
        let to_prepare = trials.iter_mut().enumerate().filter(|(place, _)| active.contains(place)).collect();
        side_by_side(to_prepare, |(_, trial): (usize, &mut TrialLoop<'_>)| trial.prepare(engine_draws));
        let inputs: Vec<StepInput<'_>> = active.iter().map(|place| trials[*place].input()).collect();
        engine.step(&inputs)?;
        let mut stops = vec![false; trials.len()];
        for place in active.iter() {
            trials[*place].stepped();
            stops[*place] = observers[*place].interrupted();
        }
        let saves: Vec<usize> =
            active.iter().copied().filter(|place| trials[*place].saves() || stops[*place]).collect();
        let mut endings = Vec::new();
        if !saves.is_empty() || active.iter().any(|place| trials[*place].window_full()) {
            // Reading for one trial stops the device for all; what a trial makes of its terms is the same in any parts.
            for (place, terms) in active.iter().zip(engine.take_terms()?) {
                if let Err(error) = trials[*place].take_terms(terms, &mut observers[*place]) {
                    endings.push((*place, Err(error)));
                }
            }
        }
        let failed = |endings: &[(usize, _)], place: usize| endings.iter().any(|(failed, _)| *failed == place);
        for place in active.iter().filter(|place| !failed(&endings, **place)) {
            observers[*place].step(trials[*place].progress());
        }
        let mut states = Vec::with_capacity(trials.len());
        for (row, place) in active.iter().enumerate() {
            let saved = saves.contains(place) && !failed(&endings, *place);
            states.push((*place, if saved { Some(engine.state(row)?) } else { None }));
        }
        let mut to_save = Vec::new();
        for (place, trial) in trials.iter_mut().enumerate() {
            let state = states.iter_mut().find(|(of, _)| *of == place).and_then(|(_, state)| state.take());
            to_save.extend(state.map(|state| (place, trial, state)));
        }
        for (place, saved) in side_by_side(to_save, |(place, trial, state)| (place, trial.save(state))) {
            match saved {
                Err(error) => endings.push((place, Err(error))),
                Ok(()) if stops[place] => endings.push((place, Ok(Ending::Interrupted(trials[place].step())))),
                Ok(()) => {}
            }
        }
        self.end(endings, observers, ended)
    }

    /// Trials that have ended leave the engine; the others go on.
    fn end<O: Observer>(
        &mut self,
        endings: Vec<(usize, Result<Ending, TrainingError>)>,
        observers: &mut [O],
        ended: Ended<'_, 'a, O>,
    ) -> Result<(), EngineError> {
        if endings.is_empty() {
            return Ok(());
        }
        let gone: Vec<usize> = endings.iter().map(|(place, _)| *place).collect();
        let rows: Vec<usize> = (0..self.active.len()).filter(|row| !gone.contains(&self.active[*row])).collect();
        self.active.retain(|place| !gone.contains(place));
        for (place, ending) in endings {
            ended(place, &self.trials[place], &mut observers[place], ending);
        }
        if self.active.is_empty() { Ok(()) } else { self.engine.retain(&rows) }
    }
}

/// Does some work, on all cores where there are several pieces; results in their order.
fn side_by_side<T: Send, R: Send>(work: Vec<T>, run: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    match work.len() {
        0 | 1 => work.into_iter().map(run).collect(),
        _ => work.into_par_iter().map(run).collect(),
    }
}
