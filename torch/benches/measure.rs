//! What `make bench` measures from inside the library: one command a line on standard input, one line of JSON each.
//!
//!     case FILE MODEL           a batch with its noise and what a step makes of it, for the baseline to compare with
//!     train PHASE STEPS         seconds of so many steps of the training loop, after a tenth as many to warm up
//!     whole WAY SEED STEPS      what a run of so many steps ends with, its steps taken by `hand` or by `autograd`
//!     evaluate MODEL SAMPLES    seconds of so many greedy samples of every condition, tallied, and the pass rate
//!     products                  32-bit matrix products of several shapes by two libraries, FLOP a second
//!
//! Arguments: a config and the number of threads.

use std::fs;
use std::hint::black_box;
use std::io::{self, BufRead};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use cvae::dates::{DATE_FIELDS, DateTokens, Split, ValidDates};
use cvae::experiment::{Config, ConfigFile, load_model};
use cvae::metrics::{Dataset, Groups, Scores, tally_model};
use cvae::model::products::{Matrix, forward};
use cvae::model::{Decode, Pairing, Prior, Weights, save_tensors};
use cvae::random::{Purpose, normal, stream};
use cvae::training::{
    Adam, Ending, Learner, Observer, Phase, Progress, Row, Schedule, StepConfig, Stride, Trainer, TrainingConfig,
};
use serde_json::{Value, json};
use tch::{Device, Tensor};

const PHASES: [&str; 3] = ["calendar", "code", "match"];

fn main() -> anyhow::Result<()> {
    // cargo adds an option of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [config, threads] = arguments.as_slice() else {
        // `cargo bench` without arguments has nothing to ask.
        return Ok(());
    };
    let config = ConfigFile::load(Path::new(config), &[])?;
    tch::set_num_threads(threads.parse().context("the number of threads")?);
    let valid = ValidDates::new();
    let split = Split::new(&valid, config.data.split, config.data.held_out, config.data.seed)?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["case", file, model] => case(&config, (&valid, &split), Path::new(file), Path::new(model))?,
            ["train", phase, steps] => train(&config, (&valid, &split), phase, steps.parse()?)?,
            ["whole", way, seed, steps] => whole(&config, (&valid, &split), way, seed.parse()?, steps.parse()?)?,
            ["evaluate", model, samples] => evaluate(&valid, Path::new(model), samples.parse()?)?,
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

fn train(config: &Config, data: (&ValidDates, &Split), phase: &str, steps: u64) -> anyhow::Result<Value> {
    let mut settings = of_phase(config, phase)?;
    let first = (steps / 10).max(3);
    let mut timer = Timer { first, last: first + steps, started: None, seconds: 0.0, stop: false };
    // Stopped before its end, a run saves a checkpoint and measures nothing.
    settings.training.steps = 2 * timer.last;
    settings.training.checkpoint_every = settings.training.steps;
    settings.evaluation.every = settings.training.steps;
    let folder = tempfile::tempdir()?;
    let (history, checkpoint) = (folder.path().join("history.csv"), folder.path().join("checkpoint.safetensors"));
    let batch = settings.training.batch_size;
    let mut trainer = Trainer::new(settings, config.model, data, Device::Cpu, (&history, &checkpoint))?;
    trainer.run(&mut timer)?;
    let seconds = timer.seconds;
    Ok(json!({ "seconds": seconds, "steps_per_second": steps as f64 / seconds, "batch": batch }))
}

/// A run of the recipe in so many steps, with a rise of beta to fit: a faster step must end with the same metrics as the
/// one that defines it.
fn whole(config: &Config, data: (&ValidDates, &Split), way: &str, seed: u64, steps: u64) -> anyhow::Result<Value> {
    let mut settings = config.training();
    settings.seed = seed;
    settings.training.steps = steps;
    settings.training.warm_up = settings.training.warm_up.min(steps / 4);
    settings.training.checkpoint_every = steps;
    settings.beta.rise = settings.beta.rise.min(steps / 4);
    settings.evaluation.every = steps;
    (settings.evaluation.final_samples, settings.evaluation.importance) = (100, 0);
    let folder = tempfile::tempdir()?;
    let (history, checkpoint) = (folder.path().join("history.csv"), folder.path().join("checkpoint.safetensors"));
    let trainer = Trainer::new(settings, config.model, data, Device::Cpu, (&history, &checkpoint))?;
    let mut trainer = match way {
        "hand" => trainer,
        "autograd" => trainer.by_autograd(),
        _ => bail!("no such way: {way}"),
    };
    let mut never = Timer { first: u64::MAX, last: u64::MAX, started: None, seconds: 0.0, stop: false };
    let Ending::Finished(evaluation) = trainer.run(&mut never)? else { bail!("the run was interrupted") };
    Ok(json!({ "elbo": evaluation.test.elbo(), "sampled_pass": evaluation.sampled.pass.mean }))
}

/// Writes weights, data, a batch, noise, and for each phase the terms and the weights after one update. The weights
/// are trained ones: those of a new model make much the same of right and of slightly wrong arithmetic.
fn case(config: &Config, (valid, split): (&ValidDates, &Split), file: &Path, folder: &Path) -> anyhow::Result<Value> {
    let (trained, _) = load_model(folder)?;
    if trained.config != config.model {
        bail!("{} is not of the config's model, {:?}", folder.display(), config.model);
    }
    let device = Device::Cpu;
    let (data, groups) = (Dataset::new(&split.train, device), Groups::new(&split.train, device));
    let (batch_size, latent) = (config.training.batch_size, config.model.latent_dim);
    let indices = |count: i64, of: i64| {
        let rows: Vec<i64> = (0..count).map(|row| row * 7919 % of).collect();
        Tensor::from_slice(&rows)
    };
    let batch = data.rows(&indices(batch_size, data.len));
    let mut random = stream(config.seed, Purpose::Noise, 0);
    let noise = normal(&mut random, &[batch_size, latent], device);
    let codes = config.objective.codes;
    let drawn = || {
        let balanced = config.objective.pairing == Pairing::Balanced;
        let rows = indices(batch_size / codes, groups.len);
        groups.draw(&rows, (codes, latent), balanced, &mut stream(config.seed, Purpose::Noise, 1))
    };
    let own = config.objective.pairing == Pairing::Own;
    let everything = groups.draw(&indices(groups.len, groups.len), (1, latent), true, &mut random);
    let prior = drawn();
    let mut tensors: Vec<(String, Tensor)> = [
        ("train.condition", &data.all.condition),
        ("train.date", &data.all.date),
        ("groups.condition", &everything.condition),
        ("groups.dates", &everything.dates),
        ("groups.mask", &everything.mask),
        ("batch.condition", &batch.condition),
        ("batch.date", &batch.date),
        ("noise", &noise),
        ("prior.condition", &prior.condition),
        ("prior.dates", &prior.dates),
        ("prior.mask", &prior.mask),
        ("prior.z", &prior.z),
        ("prior.uniform", &prior.uniform),
        ("valid", &outcomes(valid)),
    ]
    .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
    .into();
    for phase in PHASES {
        let settings = of_phase(config, phase)?;
        let model = trained.replica();
        for (name, weight) in model.named() {
            if phase == PHASES[0] {
                tensors.push((format!("weights.{name}"), weight.detach().copy()));
            }
        }
        let weights = Weights {
            beta: settings.beta.value,
            hybrid: settings.objective.hybrid,
            free_bits: settings.objective.free_bits,
        };
        let prior = (weights.hybrid > 0.0).then(|| match own {
            true => Prior::Own(drawn().z.view([batch_size, latent])),
            false => Prior::Paired(drawn()),
        });
        // The very step that a training run takes.
        let mut adam = Adam::new(model.parameters(), model.decayed());
        let mut learner = Learner::new(&model, &adam);
        let StepConfig { learning_rate: rate, gradient_clip: clip, second_moment, weight_decay, .. } =
            settings.training;
        let stride = Stride { rate, weight_decay, ..Stride::at(&settings.training, 0) };
        let terms = learner.step((&model, &mut adam), (&batch, &noise, prior.as_ref()), weights, stride);
        learner.settle(&model, &mut adam);
        tensors.push((format!("terms.{phase}"), terms));
        let constants = [weights.beta, weights.hybrid, weights.free_bits, rate, clip, second_moment, weight_decay];
        tensors.push((format!("settings.{phase}"), Tensor::from_slice(&constants)));
        for (name, weight) in model.named() {
            tensors.push((format!("updated.{phase}.{name}"), weight.detach().copy()));
        }
    }
    save_tensors(&tensors, file)?;
    let model = config.model;
    Ok(json!({
        "batch": batch_size,
        "codes": codes,
        "dates_per_condition": data.len as f64 / groups.len as f64,
        "pairing": config.objective.pairing,
        "model": model,
        "bytes": fs::metadata(file)?.len(),
    }))
}

/// The condition that each combination of tokens meets, by dense indices; -1 for no date.
fn outcomes(valid: &ValidDates) -> Tensor {
    let mut met = vec![-1i64; DateTokens::COUNT];
    for condition in valid.conditions() {
        for date in valid.of(condition) {
            met[DateTokens::of(*date).index()] = condition.index() as i64;
        }
    }
    Tensor::from_slice(&met).view(DATE_FIELDS.map(|size| size as i64).as_slice())
}

fn evaluate(valid: &ValidDates, folder: &Path, samples: usize) -> anyhow::Result<Value> {
    let (model, _) = load_model(folder)?;
    let started = Instant::now();
    let tallies = tally_model(&model, valid, &valid.conditions(), samples, Decode::Greedy, 1, |_| ());
    let scores = Scores::of(&tallies).context("there are conditions")?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(json!({ "seconds": seconds, "pass_rate": scores.pass.mean, "coverage": scores.coverage.mean }))
}

/// Products x w^T of large squares for the machine's limit, and of a layer's shape, by libtorch and by the library
/// that a training step multiplies with: which of them is the faster depends on the processor.
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
        let left = Tensor::from_slice(&x).view([rows as i64, inputs as i64]);
        let right = Tensor::from_slice(&w).view([outputs as i64, inputs as i64]).tr();
        let libtorch = rate(flop, || drop(left.matmul(&right)));
        let (x, w) = (Matrix::new(&x, rows, inputs), Matrix::new(&w, outputs, inputs));
        let gemm = rate(flop, || forward(black_box(y.as_mut_slice()), x, w));
        rates.insert(name.to_owned(), json!({ "libtorch": libtorch, "gemm": gemm }));
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
