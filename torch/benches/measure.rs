//! What `make bench` measures from inside the library: one command a line on standard input, one line of JSON each.
//!
//!     case FILE [MODEL]         a batch with its noise and what a step makes of it, for the baseline to compare with;
//!                               without a folder of weights, those of a hundred steps
//!     train PHASE STEPS         seconds of so many steps of the training loop, after a tenth as many to warm up
//!     whole WAY SEED STEPS      what a run of so many steps ends with, its steps taken by `hand` or by `autograd`
//!     evaluate MODEL SAMPLES    seconds of so many greedy samples of every condition, tallied, and the pass rate
//!     products                  32-bit matrix products of several shapes by two libraries, FLOP a second
//!
//! Arguments: a config, the number of threads, and keys of the config to be changed, as `--set` of `cvae train` takes them.

use std::fs;
use std::hint::black_box;
use std::io::{self, BufRead};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use cvae::dates::{CONDITION_FIELDS, DATE_FIELDS, DateTokens, ValidDates};
use cvae::experiment::{Config, ConfigFile, Override, load_model, prepared};
use cvae::metrics::{Draws, Measure, Population, Scores, draw_codes, tally_model, unwatched};
use cvae::model::cpu::products::{Matrix, forward};
use cvae::model::{
    AdamHyperparams, CpuEngine, Decode, DeviceChoice, Engine, EngineKind, EngineOptions, MakeEngine, Model,
    ModelConfig, ObjectiveWeights, PairedCodes, Pairing, PriorCodes, StepInput, StepOptions, Tensor, Tensors,
    TrainingState, Values, named, save_tensors,
};
use cvae::random::{Purpose, normal, stream};
use cvae::task::{Groups, Rows, Split};
use cvae::training::{
    Ending, Every, Observer, Phase, Progress, Row, Schedule, Trainer, TrainingConfig, TrialData, TrialLoop,
    adam_hyperparams,
};
use serde_json::{Value, json};

const PHASES: [&str; 3] = ["calendar", "code", "match"];
/// A log density that leaves nothing to share. Minus infinity would make sums of it NaN.
const NO_ROW: f32 = -1e9;

/// What every command measures with.
struct Bench {
    config: Config,
    model: ModelConfig,
    threads: usize,
    valid: ValidDates,
    population: Population,
    split: Split,
}

fn main() -> anyhow::Result<()> {
    // cargo adds an option of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [config, threads, overrides @ ..] = arguments.as_slice() else {
        // `cargo bench` without arguments has nothing to ask.
        return Ok(());
    };
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let config = ConfigFile::load(Path::new(config), &overrides)?;
    let model = config.model;
    let threads: u16 = threads.parse().context("the number of threads")?;
    tch::set_num_threads(i32::from(threads));
    let valid = ValidDates::new();
    let (population, split) = prepared(&config.data)?;
    let bench = Bench { config, model, threads: usize::from(threads), valid, population, split };
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["case", file] => bench.case(Path::new(file), bench.train(PHASES[2], 100)?.1)?,
            ["case", file, model] => bench.case(Path::new(file), bench.trained(Path::new(model))?)?,
            ["train", phase, steps] => {
                let (steps, batch) = (steps.parse()?, bench.config.training.batch_size);
                let (seconds, _) = bench.train(phase, steps)?;
                json!({ "seconds": seconds, "steps_per_second": steps as f64 / seconds, "batch": batch })
            }
            ["whole", way, seed, steps] => bench.whole(way, seed.parse()?, steps.parse()?)?,
            ["evaluate", model, samples] => bench.evaluate(Path::new(model), samples.parse()?)?,
            ["products"] => products(),
            _ => bail!("no such command: {line}"),
        };
        println!("{answer}");
    }
    Ok(())
}

/// The config with a phase's terms from the first step on.
fn of_phase(config: &Config, phase: &str) -> anyhow::Result<TrainingConfig> {
    let mut settings = config.training();
    settings.beta.schedule = Schedule::Constant;
    match phase {
        "calendar" => (settings.beta.value, settings.objective.hybrid) = (config.beta.high, 0.0),
        "code" => (settings.beta.value, settings.objective.hybrid) = (config.beta.low, 0.0),
        "match" => (),
        _ => bail!("no such phase: {phase}"),
    }
    Ok(settings)
}

/// Stops a run after `last` steps, and takes the time after `first`.
struct Timer {
    first: u64,
    last: u64,
    started: Option<Instant>,
    seconds: f64,
    stop: bool,
}

impl Observer for Timer {
    fn step(&mut self, progress: Progress) {
        // The trainer asks whether to stop before it tells of a step.
        self.stop = progress.step + 1 >= self.last;
        if progress.step == self.first {
            self.started = Some(Instant::now());
        }
        if let (true, Some(started)) = (progress.step == self.last, self.started) {
            self.seconds = started.elapsed().as_secs_f64();
        }
    }
    fn phase(&mut self, _: u64, _: Phase) {}
    fn evaluating(&mut self, _: f64) {}
    fn evaluated(&mut self, _: &Row) {}
    fn interrupted(&self) -> bool {
        self.stop
    }
}

impl Bench {
    fn options(&self, engine: EngineKind) -> EngineOptions {
        EngineOptions { threads: self.threads, device: DeviceChoice::Cpu, engine }
    }

    /// The weights of a release or a run of the config's model.
    fn trained(&self, folder: &Path) -> anyhow::Result<Model> {
        let (model, _) = load_model(folder)?;
        if model.config != self.model {
            bail!("{} is not of the config's model, {:?}", folder.display(), self.model);
        }
        Ok(model)
    }

    /// Seconds of so many steps with a phase's terms, and what they make of a new model.
    fn train(&self, phase: &str, steps: u64) -> anyhow::Result<(f64, Model)> {
        let mut settings = of_phase(&self.config, phase)?;
        let first = (steps / 10).max(3);
        let mut timer = Timer { first, last: first + steps, started: None, seconds: 0.0, stop: false };
        // Stopped before its end, a run saves a checkpoint and measures nothing.
        settings.training.steps = 2 * timer.last;
        settings.training.checkpoint_every = settings.training.steps;
        settings.evaluation.every = Every::Steps(settings.training.steps);
        let (_, model) = self.run(settings, EngineKind::Builtin, &mut timer)?;
        Ok((timer.seconds, model))
    }

    fn run(
        &self,
        settings: TrainingConfig,
        engine: EngineKind,
        observer: &mut Timer,
    ) -> anyhow::Result<(Ending, Model)> {
        let make: MakeEngine = match engine {
            EngineKind::Builtin => CpuEngine::make,
            EngineKind::Torch => cvae_torch::engine::make,
        };
        let folder = tempfile::tempdir()?;
        let (history, checkpoint) = (folder.path().join("history.csv"), folder.path().join("checkpoint.safetensors"));
        let data = TrialData::new(&self.population, &self.split);
        let trial = TrialLoop::new(settings, self.model, &data, self.threads, (&history, &checkpoint))?;
        let mut trainer = Trainer::new(vec![trial], (make, self.options(engine)))?;
        let mut ending = None;
        trainer.run(&mut [observer], &mut |_, _, _, how| ending = Some(how));
        Ok((ending.context("a trial ends")??, trainer.trials()[0].model().clone()))
    }

    /// A run of the recipe in so many steps, with a rise of beta to fit: a faster step must end with the same metrics as
    /// the one that defines it.
    fn whole(&self, way: &str, seed: u64, steps: u64) -> anyhow::Result<Value> {
        let mut settings = self.config.training();
        settings.seed = seed;
        settings.training.steps = steps;
        settings.training.warm_up = settings.training.warm_up.min(steps / 4);
        settings.training.checkpoint_every = steps;
        settings.beta.rise = settings.beta.rise.min(steps / 4);
        settings.evaluation.every = Every::Steps(steps);
        (settings.evaluation.final_samples, settings.evaluation.codes) = (100, 64);
        let engine = match way {
            "hand" => EngineKind::Builtin,
            "autograd" => EngineKind::Torch,
            _ => bail!("no such way: {way}"),
        };
        let mut never = Timer { first: u64::MAX, last: u64::MAX, started: None, seconds: 0.0, stop: false };
        let (Ending::Finished(evaluation), _) = self.run(settings, engine, &mut never)? else {
            bail!("the run was interrupted")
        };
        Ok(json!({ "elbo": evaluation.test.elbo(), "sampled_pass": evaluation.row().number(Measure::SampledPass) }))
    }

    /// Writes weights, data, a batch, noise, and for each phase the terms and the weights after one update. The weights
    /// should be trained ones: those of a new model make much the same of right and of slightly wrong arithmetic.
    fn case(&self, file: &Path, model: Model) -> anyhow::Result<Value> {
        let Self { config, split, .. } = self;
        let (data, groups) = (split.train.rows.clone(), split.train.truth.groups().clone());
        let (batch_size, latent) = (config.training.batch_size as usize, model.layout.latent);
        let mut batch = Rows::default();
        batch.gather(&data, &places(batch_size, data.len()));
        let noise = normal(&mut stream(config.seed, Purpose::Noise, 0), batch_size * latent);
        let codes = config.objective.codes as usize;
        let balanced = config.objective.pairing == Pairing::Balanced;
        let conditions = places(batch_size / codes, groups.len());
        let mut random = stream(config.seed, Purpose::Noise, 1);
        let paired = draw_codes(&groups, &conditions, (codes, latent), balanced, &mut random);
        let mut tensors = Tensors::new();
        let mut add = |name: String, tensor: Tensor| tensors.insert(name, tensor);
        for (name, rows) in [("train", &data), ("batch", &batch)] {
            add(format!("{name}.condition"), columns(rows.iter(), true));
            add(format!("{name}.date"), columns(rows.iter(), false));
        }
        for (name, tensor) in lists(groups.rows(), &counts(&groups)) {
            add(format!("groups.{name}"), tensor);
        }
        for (name, tensor) in lists(&paired.candidates, &paired.counts) {
            add(format!("prior.{name}"), tensor);
        }
        add("valid".to_owned(), outcomes(&self.valid));
        if latent > 0 {
            add("noise".to_owned(), floats(&[batch_size, latent], noise.clone()));
            add("prior.z".to_owned(), floats(&[conditions.len(), codes, latent], paired.z.clone()));
            add("prior.uniform".to_owned(), floats(&[conditions.len(), codes], paired.uniform.clone()));
        }
        for (name, tensor) in model.tensors() {
            add(format!("weights.{name}"), tensor);
        }
        for phase in PHASES {
            let settings = of_phase(config, phase)?;
            let weights = ObjectiveWeights {
                beta: settings.beta.value,
                hybrid: settings.objective.hybrid,
                free_bits: settings.objective.free_bits,
                mmd: 0.0,
            };
            // At the peak of the learning rate; all else as in the first step of a run.
            let (rate, weight_decay) = (settings.training.learning_rate, settings.training.weight_decay);
            let adam = AdamHyperparams { rate, weight_decay, ..adam_hyperparams(&settings.training, 0) };
            let prior = self.prior(weights, &paired);
            let mut engine = CpuEngine::new(
                &model.layout,
                TrainingState::new(model.weights.clone()),
                self.options(EngineKind::Builtin),
            )?;
            let options = StepOptions::default();
            let input = StepInput { rows: &batch, noise: &noise, noise_seed: 0, prior: &prior, weights, adam, options };
            engine.step(&[input])?;
            let terms = engine.take_terms()?.pop().and_then(|mut terms| terms.pop()).context("a step has terms")?;
            let terms = [terms.loss, terms.recon, terms.kl, terms.prior_recon].map(|term| term as f32);
            add(format!("terms.{phase}"), Tensor::of_floats(terms.to_vec()));
            let ObjectiveWeights { beta, hybrid, free_bits, .. } = weights;
            let constants = [beta, hybrid, free_bits, rate, adam.clip, adam.beta2, weight_decay];
            add(format!("settings.{phase}"), Tensor::of_floats(constants.map(|value| value as f32).to_vec()));
            for (name, tensor) in named(&model.layout, &engine.state(0)?.weights) {
                add(format!("updated.{phase}.{name}"), tensor);
            }
        }
        save_tensors(&tensors, file)?;
        Ok(json!({
            "batch": batch_size,
            "codes": codes,
            "dates_per_condition": data.len() as f64 / groups.len() as f64,
            "pairing": config.objective.pairing,
            "model": self.model,
            "bytes": fs::metadata(file)?.len(),
        }))
    }

    /// What the hybrid term of a phase is computed from.
    fn prior(&self, weights: ObjectiveWeights, paired: &PairedCodes) -> PriorCodes {
        match self.config.objective.pairing {
            _ if weights.hybrid <= 0.0 || paired.z.is_empty() => PriorCodes::None,
            Pairing::Own => PriorCodes::Own(paired.z.clone()),
            _ => PriorCodes::Paired(paired.clone()),
        }
    }

    fn evaluate(&self, folder: &Path, samples: usize) -> anyhow::Result<Value> {
        let (model, _) = load_model(folder)?;
        let draws = Draws { samples, decode: Decode::Greedy, seed: 1, threads: self.threads };
        let started = Instant::now();
        let tallies = tally_model(
            &model,
            &self.population,
            &(0..self.population.len()).collect::<Vec<_>>(),
            draws,
            &mut unwatched,
        );
        let scores =
            Scores::of(&self.population, &tallies.context("nobody ends it")?).context("there are conditions")?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(json!({ "seconds": seconds, "pass_rate": scores.pass.mean, "coverage": scores.coverage.mean }))
    }
}

/// So many numbers below a bound, spread over them.
fn places(count: usize, bound: usize) -> Vec<u32> {
    (0..count).map(|row| (row * 7919 % bound) as u32).collect()
}

fn floats(shape: &[usize], values: Vec<f32>) -> Tensor {
    Tensor { shape: shape.to_vec(), values: Values::F32(values) }
}

/// The given or the generated columns of rows, `[n, columns]`.
fn columns<'a>(rows: impl ExactSizeIterator<Item = &'a [u16]>, given: bool) -> Tensor {
    let (count, split) = (rows.len(), CONDITION_FIELDS.len());
    let part = |row: &'a [u16]| if given { &row[..split] } else { &row[split..] };
    // No column has more than 41 values.
    let values: Vec<u8> = rows.flat_map(part).map(|value| *value as u8).collect();
    Tensor { shape: vec![count, values.len() / count.max(1)], values: Values::U8(values) }
}

/// Rows of each condition.
fn counts(groups: &Groups) -> Vec<usize> {
    (0..groups.len()).map(|group| groups.range(group).len()).collect()
}

/// Lists of rows as tensors: conditions `[m, 4]`, dates `[m, p, 4]`, p of the longest list, and a mask `[m, p]` to be
/// added to logarithms of shares.
fn lists(rows: &Rows, counts: &[usize]) -> [(&'static str, Tensor); 3] {
    let longest = counts.iter().copied().max().unwrap_or(0);
    let starts = counts.iter().scan(0, |next, count| Some(std::mem::replace(next, *next + count)));
    let starts: Vec<usize> = starts.collect();
    let (mut padded, mut mask) = (Rows::new(rows.width()), Vec::new());
    for (start, count) in starts.iter().zip(counts) {
        for place in 0..longest {
            padded.push(rows.row(if place < *count { start + place } else { *start }));
            mask.push(if place < *count { 0.0 } else { NO_ROW });
        }
    }
    let mut dates = columns(padded.iter(), false);
    dates.shape = vec![counts.len(), longest, DATE_FIELDS.len()];
    let firsts: Vec<&[u16]> = starts.iter().map(|start| rows.row(*start)).collect();
    [
        ("condition", columns(firsts.into_iter(), true)),
        ("dates", dates),
        ("mask", floats(&[counts.len(), longest], mask)),
    ]
}

/// The condition that each combination of tokens meets, by dense indices; -1 for no date.
fn outcomes(valid: &ValidDates) -> Tensor {
    let mut met = vec![-1.0; DateTokens::COUNT];
    for condition in valid.conditions() {
        for date in valid.of(condition) {
            met[DateTokens::of(*date).index()] = condition.index() as f32;
        }
    }
    floats(&DATE_FIELDS, met)
}

/// Products x w^T of large squares and of a layer's shape, by libtorch and as a training step multiplies: the fastest of
/// them stands for the machine's limit.
fn products() -> Value {
    let shapes = [
        ("square 512", 512, 512, 512),
        ("square 1024", 1024, 1024, 1024),
        ("square 2048", 2048, 2048, 2048),
        ("layer 512x128x128", 512, 128, 128),
    ];
    let mut rates = serde_json::Map::new();
    for (name, rows, inputs, outputs) in shapes {
        let (x, w, mut y) = (numbers(rows * inputs), numbers(outputs * inputs), vec![0f32; rows * outputs]);
        let flop = (2 * rows * inputs * outputs) as f64;
        let left = tch::Tensor::from_slice(&x).view([rows as i64, inputs as i64]);
        let right = tch::Tensor::from_slice(&w).view([outputs as i64, inputs as i64]).tr();
        let libtorch = rate(flop, || drop(left.matmul(&right)));
        let (x, w) = (Matrix::new(&x, rows, inputs), Matrix::new(&w, outputs, inputs));
        let own = rate(flop, || forward(black_box(y.as_mut_slice()), x, w));
        rates.insert(name.to_owned(), json!({ "libtorch": libtorch, "cvae": own }));
    }
    Value::Object(rates)
}

/// So many numbers between -0.5 and 0.5.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|place| (place * 7919 % 1009) as f32 / 1009.0 - 0.5).collect()
}

/// FLOP a second of something that takes so many.
fn rate(flop: f64, mut multiply: impl FnMut()) -> f64 {
    let repeats = (2e9 / flop).ceil();
    let mut round = || {
        let started = Instant::now();
        for _ in 0..repeats as u64 {
            multiply();
        }
        repeats * flop / started.elapsed().as_secs_f64()
    };
    // The first warms up. A training step's rate is no machine's best moment either.
    let mut rates: Vec<f64> = (0..8).map(|_| round()).skip(1).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
