//! Rows per second of batched trials, and the losses of first steps against those of the CPU.
//!
//! `bench check DEVICE` compares, `bench profile DEVICE TRIALS` tells where a step's time goes, `bench evaluate DEVICE` how
//! long the parts of an evaluation take, and `bench train DEVICE WAY TRIALS STEPS` prints a row of a table. `WAY` is
//! `autograd`, `launches` (the gradient by hand), `graph` (the same, captured), each with `-tf32` for products that round their factors, or `-seeds` for random numbers
//! that are drawn on the device, as training does; those of the others are copied to it at each step.

use std::time::Instant;

use cvae::metrics::{draw_in_bulk, marginals_in_bulk};
use cvae::model::Decode;
use cvae::task::dates::{self, ValidDates};
use cvae_torch::decoder::Decoder;
use cvae_torch::synthetic::{self, Draw, Sizes};
use cvae_torch::{Data, RandomData, Settings, Shape, Trials, allow_tf32, peak_memory};
use tch::Device;

/// The default recipe: 512 rows a trial, 64 codes for each of 8 conditions.
const SIZES: Sizes = Sizes { rows: 512, conditions: 8, candidates: 36, codes: 64 };
/// Different data for so many steps; then they repeat.
const DRAWS: u64 = 6;

fn trials(shape: &Shape, device: Device, count: u64, autograd: bool) -> Result<Trials, String> {
    let weights: Vec<Vec<f32>> = (0..count).map(|trial| synthetic::weights(shape, trial)).collect();
    let slices: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    if autograd { Trials::by_autograd(shape, device, &slices) } else { Trials::new(shape, device, &slices) }
}

fn draw(shape: &Shape, count: u64, step: u64) -> Draw {
    let draws: Vec<Draw> = (0..count).map(|trial| Draw::new(shape, SIZES, 977 * (step % DRAWS) + trial)).collect();
    Draw::concat(&draws)
}

/// A seed of each trial's step.
fn seeds(count: u64, step: u64) -> Vec<u64> {
    (0..count).map(|trial| trial << 32 | step).collect()
}

/// Takes a step on these data, or with seeds in place of their random numbers.
fn step_on(trials: &mut Trials, draw: &Draw, seeds: Option<&[u64]>, settings: &[Settings]) -> Result<(), String> {
    let data = draw.data("balanced");
    let random = seeds.map_or(data.random, RandomData::Seeds);
    trials.step(&Data { random, ..data }, settings)
}

/// Trials in the phases that a run goes through: one stays closed, the others open and get their hybrid term.
fn settings(count: u64, step: u64, phases: bool) -> Vec<Settings> {
    let of_trial = |trial: u64| match (phases, trial, step) {
        (true, 1.., 0..4) | (true, 0, _) => synthetic::settings(step, f64::INFINITY, 0.0),
        (true, 1.., 4..8) => synthetic::settings(step, 0.02, 0.0),
        _ => synthetic::settings(step, 0.55, 1.0),
    };
    (0..count).map(of_trial).collect()
}

/// The largest difference of losses, in nats, and where it is.
fn difference(first: &[Vec<[f32; 4]>], second: &[Vec<[f32; 4]>]) -> f32 {
    let pairs = first.iter().flatten().flatten().zip(second.iter().flatten().flatten());
    pairs.map(|(a, b)| if a.is_finite() && b.is_finite() { (a - b).abs() } else { f32::NAN }).fold(0.0, f32::max)
}

fn check(device: Device) -> Result<(), String> {
    const TRIALS: u64 = 3;
    let shape = synthetic::dates();
    let run = |device: Device, way: &str| {
        allow_tf32(way.contains("tf32"));
        let mut trials = trials(&shape, device, TRIALS, way.starts_with("autograd"))?;
        trials.set_graphs(way.starts_with("graph"));
        for step in 0..12 {
            let seeds = way.contains("seeds").then(|| seeds(TRIALS, step));
            step_on(&mut trials, &draw(&shape, TRIALS, step), seeds.as_deref(), &settings(TRIALS, step, true))?;
        }
        Ok::<_, String>(trials.terms())
    };
    let exact = run(Device::Cpu, "autograd")?;
    let exact_seeds = run(Device::Cpu, "autograd-seeds")?;
    println!("losses at step 1: {:?}, at step 12: {:?}", exact[0].concat(), exact[11].concat());
    let ways = ["autograd", "launches", "launches-seeds", "graph", "graph-seeds", "graph-tf32"];
    for way in &ways[..if device.is_cuda() { 6 } else { 3 }] {
        let own = run(device, way)?;
        let exact = if way.contains("seeds") { &exact_seeds } else { &exact };
        let (first, all) = (difference(&own[..1], &exact[..1]), difference(&own, exact));
        println!("{way} on {device:?}: differs by {first:.1e} nats at step 1, by {all:.1e} in 12 steps");
        let bound = if way.contains("tf32") { 1e-1 } else { 2e-3 };
        // Not a number is too much as well.
        if all.is_nan() || all >= bound {
            return Err(format!("{way}: more than {bound} nats from the CPU's"));
        }
    }
    Ok(())
}

fn profile(device: Device, count: u64) -> Result<(), String> {
    allow_tf32(true);
    let shape = synthetic::dates();
    let (mut trials, draw) = (trials(&shape, device, count, false)?, draw(&shape, count, 0));
    let settings = settings(count, 0, false);
    for _ in 0..3 {
        trials.profile(&draw.data("balanced"), &settings)?;
    }
    let times = trials.profile(&draw.data("balanced"), &settings)?;
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    println!("{count} trials, by hand, TF32, every call waited for (ms, calls):");
    for (name, (milliseconds, calls)) in times {
        println!("  {name:16} {milliseconds:8.3} {calls:4}");
    }
    Ok(())
}

fn train(device: Device, way: &str, count: u64, steps: u64) -> Result<(), String> {
    allow_tf32(way.contains("tf32"));
    let shape = synthetic::dates();
    let mut trials = trials(&shape, device, count, way.starts_with("autograd"))?;
    trials.set_graphs(way.starts_with("graph"));
    let draws: Vec<Draw> = (0..DRAWS).map(|step| draw(&shape, count, step)).collect();
    let mut step = 0;
    let mut run = |trials: &mut Trials, steps: u64| {
        for _ in 0..steps {
            let seeds = way.contains("seeds").then(|| seeds(count, step % DRAWS));
            step_on(trials, &draws[(step % DRAWS) as usize], seeds.as_deref(), &settings(count, step, false))?;
            step += 1;
        }
        Ok::<_, String>(trials.terms().pop().map_or(f32::NAN, |terms| terms[0][0]))
    };
    run(&mut trials, 6.min(steps))?;
    let started = Instant::now();
    let loss = run(&mut trials, steps)?;
    let seconds = started.elapsed().as_secs_f64();
    let (milliseconds, rows) = (1e3 * seconds / steps as f64, (count * steps * SIZES.rows as u64) as f64 / seconds);
    let memory =
        peak_memory(device).map_or("-".to_owned(), |bytes| format!("{:.2}", bytes as f64 / f64::from(1 << 30)));
    println!("| {way} | {count} | {milliseconds:.2} | {:.3} | {memory} | {loss:.3} |", rows / 1e6);
    Ok(())
}

/// Seconds of the parts of an evaluation of one trial on the task of dates: 6,804 conditions.
fn evaluate(device: Device) -> Result<(), String> {
    let started = Instant::now();
    let shape = synthetic::dates();
    let truth = dates::truth(&ValidDates::new());
    let all: Vec<usize> = (0..truth.groups().len()).collect();
    let decoder = Decoder::new(&shape, &synthetic::weights(&shape, 0), device);
    println!("| to start | {:.2} |", started.elapsed().as_secs_f64());
    for turn in 0..2 {
        for draws in [10, 1000] {
            let started = Instant::now();
            draw_in_bulk(&decoder, &truth, &all, draws, Decode::Greedy, turn).map_err(|error| error.to_string())?;
            println!("| to draw {draws} rows of each | {:.3} |", started.elapsed().as_secs_f64());
        }
        for codes in [128, 1024] {
            let started = Instant::now();
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let measured = marginals_in_bulk(&decoder, &truth, &all, codes, (turn, cores));
            measured.map_err(|error| error.to_string())?;
            println!("| to weigh all rows under {codes} codes | {:.3} |", started.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |place: usize| words.get(place).map_or("", String::as_str);
    let number = |place: usize| word(place).parse().unwrap_or(1);
    let device = if word(1) == "cpu" { Device::Cpu } else { Device::Cuda(0) };
    if device.is_cuda() && !tch::Cuda::is_available() {
        eprintln!("libtorch sees no GPU");
        std::process::exit(1);
    }
    let result = match word(0) {
        "check" => check(device),
        "evaluate" => evaluate(device),
        "profile" => profile(device, number(2)),
        "train" => train(device, word(2), number(3), number(4)),
        _ => Err("usage: bench check|profile|evaluate|train cpu|cuda ...".to_owned()),
    };
    if let Err(error) = result {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
