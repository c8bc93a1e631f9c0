//! Fuzzing of every parser, on the stable toolchain: mutated corpus files are parsed in child processes.
//!
//! An input is a function of seed, target and number alone, so that any can be made again. A child that
//! panics, hangs or outgrows its memory ends the run with the input's number, its cause and its bytes.

mod inputs;
mod scratch;
mod targets;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use inputs::Corpus;
use scratch::{Counts, Place, Scratch};
use targets::Target;

/// Parses mutated inputs of every kind and stops at the first that panics, hangs or takes too much memory
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// Inputs in all, shared out among the targets
    #[arg(long, default_value_t = 200_000)]
    inputs: u64,
    /// Seed of the mutations
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One target alone
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// Number of the first input
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Processes side by side; as many as there are cores if not given
    #[arg(long)]
    jobs: Option<u64>,
    /// For children: which of the jobs this is, and where it notes its place
    #[arg(long, hide = true)]
    child: Option<u64>,
    #[arg(long, hide = true)]
    scratch: Option<PathBuf>,
}

/// An input that takes a child longer than this hangs: the slowest takes some milliseconds. The child's own time
/// counts, since a busy machine may not let it run.
const LONGEST: Duration = Duration::from_secs(20);
/// A child that waits and never wakes uses no time of its own.
const LONGEST_WAIT: Duration = Duration::from_secs(1800);
/// What a child may allocate beyond what it begins with.
const MEMORY: u64 = 512 << 20;
/// Of so many mutated inputs some must be accepted.
const ENOUGH: u64 = 1000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.child {
        Some(job) => work(&arguments, job),
        None => lead(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn jobs(&self) -> u64 {
        self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)).max(1)
    }

    /// The targets with their numbers of inputs.
    fn shares(&self) -> Vec<(Target, u64)> {
        match self.target {
            Some(target) => vec![(target, self.inputs)],
            None => Target::ALL.iter().map(|target| (*target, self.inputs * target.per_mille() / 1000)).collect(),
        }
    }
}

/// Starts the children and watches them.
fn lead(arguments: &Arguments) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let (jobs, began) = (arguments.jobs(), Instant::now());
    let mut children = Vec::new();
    for job in 0..jobs {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1)).args(["--jobs", &jobs.to_string(), "--child", &job.to_string()]);
        command.arg("--scratch").arg(scratch.path());
        children.push((job, Watched::new(command.spawn().context("cannot start a child")?)));
    }
    let mut failure = None;
    while !children.is_empty() {
        sleep(Duration::from_millis(50));
        children.retain_mut(|(job, watched)| match watched.look(&scratch.place_of(*job)) {
            Ok(running) => running,
            Err(error) => {
                failure.get_or_insert(format!("{error}{}", example(arguments, &scratch.place_of(*job))));
                false
            }
        });
        if failure.is_some() {
            children.iter_mut().for_each(|(_, watched)| watched.end());
            break;
        }
    }
    if let Some(failure) = failure {
        bail!("{failure}");
    }
    let shares = arguments.shares();
    let mut counts = Counts::default();
    for job in 0..jobs {
        counts.add(&Counts::read(&scratch.counts_of(job))?);
    }
    for (target, inputs) in &shares {
        let (mutated, accepted) = counts.of(*target);
        let share = 100.0 * accepted as f64 / mutated.max(1) as f64;
        println!("{:<12} {inputs:>9} inputs, {share:4.1} % of the mutated ones accepted", target.name());
        // Inputs that are all refused reach nothing but the first check.
        anyhow::ensure!(
            accepted > 0 || mutated < ENOUGH,
            "none of {mutated} mutated inputs of {} is accepted; mutate less, or renew fuzz/corpus",
            target.name()
        );
    }
    let all: u64 = shares.iter().map(|(_, inputs)| inputs).sum();
    println!(
        "{all} inputs in {:.0} s: no panic, no hang, no child above {} MiB (the largest grew by {})",
        began.elapsed().as_secs_f64(),
        MEMORY >> 20,
        counts.growth >> 20
    );
    Ok(())
}

/// The input that a child died of, and how to run it again.
fn example(arguments: &Arguments, place: &Path) -> String {
    let Some(Place { target, number }) = Place::read(place) else { return String::new() };
    let input = Corpus::new(target).map(|corpus| corpus.input(arguments.seed, target, number));
    let shown = input.map(|input| String::from_utf8_lossy(&input).escape_debug().take(2000).collect::<String>());
    format!(
        "\ntarget {name}, input {number}: {}\nagain: cargo run --release --example fuzz -- --seed {} --target {name} --from {number} --inputs 1",
        shown.unwrap_or_default(),
        arguments.seed,
        name = target.name(),
    )
}

/// A child, and since when it has been at the same input, by the clock and by its own time.
struct Watched {
    child: Child,
    last: Option<Place>,
    since: Instant,
    used: Duration,
}

impl Watched {
    fn new(child: Child) -> Self {
        Self { child, last: None, since: Instant::now(), used: Duration::ZERO }
    }

    /// Whether it is still running; an error where it failed or hangs.
    fn look(&mut self, place: &Path) -> anyhow::Result<bool> {
        if let Some(status) = self.child.try_wait()? {
            if status.success() {
                return Ok(false);
            }
            bail!("a child ended with {status}");
        }
        let now = Place::read(place);
        let used = time_of(self.child.id()).unwrap_or(self.used);
        if now != self.last {
            (self.last, self.since, self.used) = (now, Instant::now(), used);
        }
        if used - self.used > LONGEST || self.since.elapsed() > LONGEST_WAIT {
            self.end();
            bail!("an input took longer than {} s", LONGEST.as_secs());
        }
        Ok(true)
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time of a process, in the kernel's hundredths of a second.
fn time_of(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before the last bracket may hold anything; user and system time are fields 14 and 15.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(10 * ticks))
}

/// Parses every `jobs`-th input of each target.
fn work(arguments: &Arguments, job: u64) -> anyhow::Result<()> {
    let root = arguments.scratch.as_ref().context("a child needs --scratch")?;
    let scratch = Scratch::within(root, job)?;
    let mut counts = Counts::default();
    let begun = memory("VmRSS:")?;
    for (target, inputs) in arguments.shares() {
        let corpus = Corpus::new(target)?;
        let mut parser = target.parser(scratch.path())?;
        // Mutations of what is refused at its first byte reach nothing.
        let accepted = corpus.files.iter().any(|file| parser(file));
        anyhow::ensure!(
            accepted,
            "no file in fuzz/corpus/{} is accepted; formats have changed, renew it",
            target.name()
        );
        limit_memory()?;
        let first = arguments.from + (job + arguments.jobs() - arguments.from % arguments.jobs()) % arguments.jobs();
        for number in (first..arguments.from + inputs).step_by(arguments.jobs() as usize) {
            scratch.note(Place { target, number })?;
            let input = corpus.input(arguments.seed, target, number);
            // The hook has said what panicked and where; the leader adds the input.
            let Ok(accepted) = catch_unwind(AssertUnwindSafe(|| parser(&input))) else {
                std::io::stderr().flush()?;
                std::process::exit(101);
            };
            if number >= corpus.files.len() as u64 {
                counts.count(target, accepted);
            }
        }
    }
    // The limit is on what is allocated; this is what was used.
    counts.growth = memory("VmHWM:")?.saturating_sub(begun);
    anyhow::ensure!(counts.growth <= MEMORY, "it grew by {} MiB", counts.growth >> 20);
    counts.write(&Scratch::counts_in(root, job))?;
    Ok(())
}

/// Bytes of a figure of this process.
fn memory(name: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let figure = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(figure.trim().trim_end_matches(" kB").trim().parse::<u64>()? << 10)
}

/// From now on an allocation far beyond what the process holds fails, which ends it.
fn limit_memory() -> anyhow::Result<()> {
    let maximum = getrlimit(Resource::Data).maximum;
    setrlimit(Resource::Data, Rlimit { current: Some(memory("VmData:")? + MEMORY), maximum })?;
    Ok(())
}
