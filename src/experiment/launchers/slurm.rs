//! Slurm: a job array, one task for each trial, or for each group of trials that train as one.
//!
//! A submission is frozen: trials are handed over by name, each with its resolved config in its folder. What is
//! done to the experiment's config while they wait changes nothing about them.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::submission::Submission;
use super::words::{quoted, split};
use super::{LaunchError, Launched, Launcher, Order, Submitted, SweepObserver, prepare};
use crate::experiment::plan::Experiment;
use crate::experiment::provenance::Provenance;
use crate::files::{self, FileError};
use crate::model::DeviceChoice;

/// A job array.
#[derive(Debug)]
pub struct Slurm;

/// Tasks of one array where the cluster does not say how many it takes: Slurm's default.
const ARRAY: usize = 1001;

impl Launcher for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
    }

    fn about(&self) -> &'static str {
        "A job array, frozen as it is submitted"
    }

    /// Writes a script and submits it, for every array that the trials take. Every task is given its trial by name; one
    /// that is requeued takes it up at its checkpoint.
    fn launch(&self, order: &Order<'_>, _: &mut dyn SweepObserver) -> Result<Launched, LaunchError> {
        let options = split(order.options).map_err(|error| LaunchError::Options(format!("--sbatch: {error}")))?;
        check(&options).map_err(|problem| LaunchError::Options(format!("--sbatch: {problem}")))?;
        let handed: HashSet<String> = self
            .submissions(order.experiment)?
            .into_iter()
            .flat_map(|earlier| [earlier.queued, earlier.running])
            .flatten()
            .collect();
        let trials = &order.experiment.trials;
        let mut open = order.open_groups();
        open.iter_mut().for_each(|(_, group)| group.retain(|index| !handed.contains(&trials[*index].name)));
        open.retain(|(_, group)| !group.is_empty());
        let provenance = Provenance::here(DeviceChoice::Auto);
        let (most, mut jobs) = (largest_array(), Vec::new());
        for part in open.chunk_by(|(a, _), (b, _)| a / most == b / most) {
            for index in part.iter().flat_map(|(_, group)| group) {
                prepare(&trials[*index], &provenance)?;
            }
            // A group that trains as one is one task with several trials.
            let task = |(number, group): &(usize, Vec<usize>)| -> Vec<(usize, String)> {
                group.iter().map(|index| (number % most, trials[*index].name.clone())).collect()
            };
            let tasks: Vec<(usize, String)> = part.iter().flat_map(task).collect();
            let submission = Submission::new(&folder(order.experiment), &tasks)?;
            match submit(order, &submission, &tasks, &options) {
                Ok(answer) if tries(&options) => {
                    submission.withdraw();
                    return Ok(Launched::Tried(answer));
                }
                Ok(job) => {
                    submission.submitted(&job)?;
                    let trials: Vec<String> = tasks.into_iter().map(|(_, name)| name).collect();
                    jobs.push(Submitted {
                        job,
                        at: String::new(),
                        queued: trials.clone(),
                        running: Vec::new(),
                        trials,
                    });
                }
                Err(error) => {
                    submission.withdraw();
                    return Err(error);
                }
            }
        }
        Ok(Launched::Submitted(jobs))
    }

    fn submissions(&self, experiment: &Experiment) -> Result<Vec<Submitted>, LaunchError> {
        Submission::all(&folder(experiment), queue)
    }
}

/// Whether a word of a command line is this option: short with its value or without, or long, which sbatch takes cut
/// short as far as `least`.
fn is_option(word: &str, short: &str, long: &str, least: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    let cut_short = name.len() >= least.len() && long.starts_with(name);
    cut_short || !short.is_empty() && !word.starts_with("--") && word.starts_with(short)
}

/// Options of sbatch that take no value as a word of its own; letters of short ones may stand together.
const FLAGS: [&str; 19] = [
    "--contiguous",
    "--exclusive",
    "--get-user-env",
    "--hold",
    "--ignore-pbs",
    "--nice",
    "--no-kill",
    "--no-requeue",
    "--overcommit",
    "--oversubscribe",
    "--parsable",
    "--propagate",
    "--quiet",
    "--reboot",
    "--requeue",
    "--spread-job",
    "--test-only",
    "--use-min-nodes",
    "--verbose",
];
const SHORT_FLAGS: &str = "HIOQWksv";

/// Checks that words are options of sbatch and their values, and none that takes the place of the job.
fn check(words: &[String]) -> Result<(), String> {
    let mut takes_value = false;
    for word in words {
        // In -Ha0-3, -H stands before -a.
        let letters = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        let own =
            letters.map(|letters| format!("-{}", letters.trim_start_matches(|letter| SHORT_FLAGS.contains(letter))));
        let own = own.as_deref().unwrap_or(word.as_str());
        if !word.starts_with('-') || word == "-" {
            if !takes_value {
                return Err(format!(
                    "{word:?} is no option and no option's value, and sbatch would run it as the job; leave it out, or quote values with blanks"
                ));
            }
            takes_value = false;
            continue;
        }
        if is_option(own, "-a", "--array", "--ar") {
            return Err("the array is made of the trials; limit those that run at a time with --jobs".to_owned());
        }
        let replaces =
            [("", "--wrap", "--wr"), ("-h", "--help", "--h"), ("", "--usage", "--us"), ("-V", "--version", "--vers")];
        if replaces.iter().any(|(short, long, least)| is_option(own, short, long, least)) {
            return Err(format!("{word:?} takes the place of the job; leave it out"));
        }
        let is_flag = own == "-" || FLAGS.iter().any(|flag| word.len() > 4 && flag.starts_with(word.as_str()));
        takes_value = !is_flag && if own.starts_with("--") { !own.contains('=') } else { own.len() == 2 };
    }
    Ok(())
}

/// Whether sbatch is to check the job only.
fn tries(options: &[String]) -> bool {
    options.iter().any(|option| is_option(option, "", "--test-only", "--te"))
}

fn folder(experiment: &Experiment) -> PathBuf {
    experiment.folder.join("slurm")
}

/// Submits one array; the job's number, or what sbatch said where it was only to try.
fn submit(
    order: &Order<'_>,
    submission: &Submission,
    tasks: &[(usize, String)],
    options: &[String],
) -> Result<String, LaunchError> {
    let here = |path: &Path| std::path::absolute(path).map_err(FileError::at("find", path));
    let program = std::env::current_exe().map_err(FileError::at("find", Path::new("this program")))?;
    let (place, experiment) = (here(&submission.folder)?, here(&order.experiment.folder)?);
    let cwd = std::env::current_dir().map_err(FileError::at("find", Path::new("the current folder")))?;
    let path = place.join("job.sh");
    let text = script(&place, &experiment, &cwd, &program, order.retry_failed);
    files::replace(&path, |partial| std::fs::write(partial, &text))?;
    let mut numbers: Vec<usize> = tasks.iter().map(|(task, _)| *task).collect();
    numbers.dedup();
    // Without a number of jobs the cluster decides how many run at a time.
    let throttle = order.jobs.map_or(String::new(), |jobs| format!("%{jobs}"));
    let mut sbatch = Command::new("sbatch");
    sbatch
        .arg("--parsable")
        .arg(format!("--job-name={}", order.experiment.name))
        .arg(format!("--array={}{throttle}", ranges(&numbers)))
        .args(["--requeue", "--open-mode=append", "--ntasks=1"])
        .arg(format!("--cpus-per-task={}", order.experiment.threads()))
        .arg(output(&place))
        .args(options)
        .arg(&path);
    let output = started("sbatch", sbatch.output())?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let answer = said(&output.stdout);
    // `--parsable` answers `job` or `job;cluster`.
    let job = answer.split(';').next().unwrap_or_default();
    match (output.status.success(), tries(options)) {
        (true, true) => Ok(format!("{answer}{}", said(&output.stderr))),
        (true, false) if !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit()) => Ok(job.to_owned()),
        _ => {
            Err(LaunchError::Refused { command: "sbatch", path, message: format!("{answer}{}", said(&output.stderr)) })
        }
    }
}

/// Where Slurm writes what it says of a task: the log that the task writes itself, where a pattern can name it. `%` is
/// doubled to stand for itself; a path with a backslash takes no pattern.
fn output(place: &Path) -> String {
    match place.to_str() {
        Some(place) if !place.contains('\\') => format!("--output={}/%a.log", place.replace('%', "%%")),
        _ => "--output=/dev/null".to_owned(),
    }
}

/// What a task runs: the trial that its number stood for when it was submitted. Paths may hold any bytes.
fn script(place: &Path, experiment: &Path, cwd: &Path, program: &Path, retry: bool) -> Vec<u8> {
    // Names of paths stand between per cent signs.
    let text = "#!/bin/bash\n\
         # Runs a trial, or several as one, as they were when this was submitted; the file tasks beside this one lists them.\n\
         # Ends with 75 when told to stop: with RequeueExit=75 Slurm runs it again, from its checkpoint.\n\
         mapfile -t trials < <(sed -n \"s/^$SLURM_ARRAY_TASK_ID //p\" %place%/tasks)\n\
         trial=%experiment%/${trials[0]}\n\
         others=()\n\
         for name in \"${trials[@]:1}\"; do others+=(--with %experiment%/\"$name\"); done\n\
         exec >> %place%/\"$SLURM_ARRAY_TASK_ID.log\" 2>&1\n\
         cd %cwd% || exit 1\n\
         exec %program% train \"$trial/config.toml\" --output \"$trial\" \"${others[@]}\" --task";
    let path = |name: &str| match name {
        "place" => quoted(place.as_os_str()),
        "experiment" => quoted(experiment.as_os_str()),
        "cwd" => quoted(cwd.as_os_str()),
        "program" => quoted(program.as_os_str()),
        text => text.as_bytes().to_vec(),
    };
    let mut script: Vec<u8> = text.split('%').flat_map(path).collect();
    script.extend(if retry { &b" --retry-failed\n"[..] } else { b"\n" });
    script
}

/// The most tasks that an array of this cluster may have.
fn largest_array() -> usize {
    let output = Command::new("scontrol").args(["show", "config"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let value = text.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize")?.split('=').nth(1));
    // Numbers of tasks lie below it.
    value.and_then(|value| value.trim().parse().ok()).filter(|most| *most > 0).unwrap_or(ARRAY)
}

/// The tasks that wait or run, of all jobs: the job, the task's number, and whether it runs.
fn queue() -> Result<Vec<(String, usize, bool)>, LaunchError> {
    let mut squeue = Command::new("squeue");
    squeue.args(["--noheader", "--array", "--format=%F %K %T"]);
    let output = started("squeue", squeue.output())?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(LaunchError::Refused { command: "squeue", path: "to list the queue".into(), message });
    }
    let task = |line: &str| {
        let mut parts = line.split_whitespace();
        let (job, task, state) = (parts.next()?, parts.next()?, parts.next()?);
        Some((
            job.to_owned(),
            task.parse().ok()?,
            !["PENDING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED"].contains(&state),
        ))
    };
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(task).collect())
}

fn started(command: &'static str, output: io::Result<Output>) -> Result<Output, LaunchError> {
    output.map_err(|cause| LaunchError::Missing { command, cause })
}

/// `0-3,7` for 0, 1, 2, 3 and 7.
fn ranges(tasks: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for task in tasks {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *task => *last = *task,
            _ => ranges.push((*task, *task)),
        }
    }
    let range =
        |(first, last): &(usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_in_every_form() {
        let array = |word: &str| is_option(word, "-a", "--array", "--ar");
        for word in ["-a", "-a0-3", "--array", "--array=0-3", "--arr=0-3", "--ar"] {
            assert!(array(word), "{word}");
        }
        for word in ["-A", "--account=a", "--arrays", "a", "--a", "--acctg-freq=1", "-A-a"] {
            assert!(!array(word), "{word}");
        }
        assert!(tries(&["--test".to_owned()]) && !tries(&["--time=3".to_owned()]));
    }

    #[test]
    fn words_that_are_no_options_are_refused() {
        let checked = |words: &[&str]| check(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        for words in [
            &["--time=30", "--partition", "short", "-p", "short", "-n1", "--exclusive", "-H", "--mail-type=END"][..],
            &["--test-only"],
            &["--output=/tmp/x %a"],
            &["--hold", "--time", "5"],
        ] {
            assert_eq!(checked(words), Ok(()), "{words:?}");
        }
        for (words, reason) in [
            (&["script.sh"][..], "\"script.sh\" is no option"),
            (&["--output=/tmp/x", "%a"], "\"%a\" is no option"),
            (&["--exclusive", "script.sh"], "script.sh"),
            (&["-H", "script.sh"], "script.sh"),
            (&["-p", "short", "script.sh"], "script.sh"),
            (&["-Ha0-3"], "the array"),
            (&["--arr=0-3"], "the array"),
            (&["--wrap=ls"], "takes the place"),
            (&["--help"], "takes the place"),
            (&["-V"], "takes the place"),
        ] {
            assert!(checked(words).is_err_and(|problem| problem.contains(reason)), "{words:?}");
        }
    }

    #[test]
    fn tasks_are_named_as_ranges() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[4]), "4");
        assert_eq!(ranges(&[0, 1, 2, 3, 7]), "0-3,7");
        assert_eq!(ranges(&[0, 2, 3]), "0,2-3");
    }

    #[test]
    fn a_task_runs_the_trial_that_its_number_stood_for_in_any_folder() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("a 'b' \"c\" %a\n$d");
        std::fs::create_dir_all(place.join("7")).unwrap();
        std::fs::write(place.join("7/tasks"), "0 one-seed1\n2 two-seed1\n2 two-seed2\n12 three-seed1\n").unwrap();
        let program = root.path().join("the program");
        std::fs::write(&program, "#!/bin/bash\nprintf '%s|' \"$PWD\" \"$@\"\n").unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let script = script(&place.join("7"), &place, &place, &program, true);
        let script = String::from_utf8(script).unwrap();
        let run = Command::new("bash").args(["-c", &script]).env("SLURM_ARRAY_TASK_ID", "2").output().unwrap();
        assert!(run.status.success());
        let log = std::fs::read_to_string(place.join("7/2.log")).unwrap();
        let trial = place.join("two-seed1").display().to_string();
        let other = place.join("two-seed2").display().to_string();
        let expected = format!(
            "{}|train|{trial}/config.toml|--output|{trial}|--with|{other}|--task|--retry-failed|",
            place.display()
        );
        assert_eq!(log, expected);
        assert_eq!(output(Path::new("/a %a/b")), "--output=/a %%a/b/%a.log");
        assert_eq!(output(Path::new("/a\\b")), "--output=/dev/null");
    }
}
