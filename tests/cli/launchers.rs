//! Launchers: children that stay what they were started as, and submissions that are frozen. The scheduler is a script
//! of the test's; tests/slurm.sh has a real one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::common::{code, cvae, errors, folder, text};

const GRID: &str = "base = \"tiny.toml\"\n[sweep]\nseeds = [1, 2]\nproduct = { \"beta.value\" = [0.2, 0.6] }\n";

/// A folder with scripts in the place of Slurm's commands: every task stays queued.
fn slurm(folder: &Path) -> PathBuf {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    let script = |name: &str, text: &str| {
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let here = folder.display();
    script(
        "sbatch",
        &format!(
            "for word; do case $word in --test-only) echo 'sbatch: Job 9 to start at noon' >&2; exit 0;; \
             --array=*) array=${{word#--array=}};; esac; done\n\
             printf '%s\\n' \"$@\" >> {here}/words.txt; n=$(($(cat {here}/jobs 2> /dev/null | wc -l) + 1)); echo \"$n $array\" >> {here}/jobs; echo $n"
        ),
    );
    script(
        "squeue",
        &format!(
            "while read -r job array; do for part in ${{array//,/ }}; do part=${{part%%%*}}; \
             for task in $(seq ${{part%-*}} ${{part#*-}}); do echo $job $task PENDING; done; done; done < {here}/jobs"
        ),
    );
    script("scontrol", "echo 'MaxArraySize            = 3'");
    bin
}

fn sweep(folder: &Path, options: &[&str]) -> Output {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = cvae(folder, &[&["sweep", "grid.toml"], options].concat());
    command.env("PATH", path).output().unwrap()
}

fn submissions(folder: &Path, grid: &str) -> usize {
    fs::read_dir(folder.join("runs").join(grid).join("slurm")).map_or(0, Iterator::count)
}

#[test]
fn a_submission_trains_what_it_was_asked_for_whatever_becomes_of_the_config() {
    let folder = folder();
    slurm(folder.path());
    fs::write(folder.path().join("grid.toml"), GRID).unwrap();
    let submitted = sweep(folder.path(), &["--launcher", "slurm", "--sbatch", "--comment='two words'"]);
    assert_eq!(code(&submitted), 0, "{}", errors(&submitted));
    // Arrays of three tasks at most: two of them.
    assert_eq!(text(&submitted), "1\n2\n");
    let words = fs::read_to_string(folder.path().join("words.txt")).unwrap();
    let has = |word: &str| words.lines().any(|line| line == word);
    assert!(has("--array=0-2") && has("--array=0") && has("--comment=two words") && has("--job-name=grid"), "{words}");

    // Another grid, and a key that is not valid any more.
    fs::write(folder.path().join("grid.toml"), GRID.replace("[0.2, 0.6]", "[0.7]")).unwrap();
    let status = sweep(folder.path(), &["--status"]);
    let said = text(&status);
    assert!(said.contains("2 trials: 0 finished") && said.contains("slurm job 1, frozen as submitted on "), "{said}");
    assert!(
        said.contains("3 trials, 3 queued")
            && said.contains("; queued: value0.2-")
            && said.contains("not in the config any more: value0.2-"),
        "{said}"
    );
    fs::write(folder.path().join("grid.toml"), "nonsense = 1").unwrap();
    let task = |submission: &str, number: &str| {
        let script = folder.path().join("runs/grid/slurm").join(submission).join("job.sh");
        Command::new("bash").arg(script).env("SLURM_ARRAY_TASK_ID", number).current_dir("/").output().unwrap()
    };
    for (submission, number) in [("1", "0"), ("1", "2"), ("2", "0")] {
        let done = task(submission, number);
        assert_eq!(code(&done), 0, "{}", errors(&done));
    }
    let trials = fs::read_dir(folder.path().join("runs/grid")).unwrap().flatten().map(|entry| entry.path());
    let mut finished: Vec<String> = trials
        .filter(|trial| trial.join("metrics.csv").exists())
        .map(|trial| {
            let name = trial.file_name().unwrap().to_string_lossy().into_owned();
            let mut parts = name.rsplit('-').skip(1);
            let seed = parts.next().unwrap().to_owned();
            format!("{}-{seed}", name.split('-').next().unwrap())
        })
        .collect();
    finished.sort();
    assert_eq!(finished, ["value0.2-seed1", "value0.6-seed1", "value0.6-seed2"]);
    let results = fs::read_to_string(folder.path().join("runs/grid/results.csv")).unwrap();
    assert_eq!(results.lines().count(), 1 + 3);
}

#[test]
fn paths_and_names_of_any_bytes_are_submitted_and_trained() {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let root = folder();
    let bin = slurm(root.path());
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let names: [&[u8]; 8] =
        [b"a b", b"a'b\"c", b"a%j%%b", b"a\nb", b"a\\b", b"$(touch x);`touch x`&", b"-x", b"caf\xe9\t~*"];
    for name in names {
        // The same odd name for the working folder, the folder of runs and the config.
        let name = std::ffi::OsStr::from_bytes(name);
        let place = root.path().join("odd").join(name);
        fs::create_dir_all(&place).unwrap();
        let config = std::ffi::OsString::from_vec([name.as_bytes(), b".toml"].concat());
        fs::write(place.join(&config), crate::common::TINY).unwrap();
        let output = cvae(&place, &["sweep", "--launcher", "slurm", "--runs"])
            .arg(Path::new(".").join(name))
            .arg(Path::new(".").join(&config))
            .env("PATH", &path)
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{name:?}: {}", errors(&output));
        let experiment = place.join(name).join(name);
        let task = Command::new("bash")
            .arg(experiment.join("slurm/1/job.sh"))
            .env("SLURM_ARRAY_TASK_ID", "0")
            .current_dir("/")
            .output()
            .unwrap();
        assert_eq!(code(&task), 0, "{name:?}: {}", errors(&task));
        let trials =
            fs::read_dir(&experiment).unwrap().flatten().filter(|entry| entry.path().join("metrics.csv").exists());
        assert_eq!(trials.count(), 1, "{name:?}");
        assert!(experiment.join("slurm/1/0.log").is_file() && !place.join("x").exists(), "{name:?}");
        let words = String::from_utf8_lossy(&fs::read(root.path().join("words.txt")).unwrap()).into_owned();
        let log = format!("--output={}/slurm/1/%a.log", experiment.display().to_string().replace('%', "%%"));
        let named = experiment.to_str().is_some_and(|path| !path.contains('\\'));
        assert!(words.contains(if named { &log } else { "--output=/dev/null" }), "{name:?}: {words}");
        fs::remove_dir_all(root.path().join("odd")).unwrap();
    }
}

#[test]
fn words_for_sbatch_are_read_as_a_shell_reads_them() {
    let folder = folder();
    slurm(folder.path());
    fs::write(folder.path().join("grid.toml"), GRID).unwrap();
    let options = "--comment=\"a\\nb\" --wckey='c\\d' --account=e\\ f --qos=\\\ng \"--licenses=\\$h\"";
    let submitted = sweep(folder.path(), &["--launcher", "slurm", "--sbatch", options]);
    assert_eq!(code(&submitted), 0, "{}", errors(&submitted));
    let words = fs::read_to_string(folder.path().join("words.txt")).unwrap();
    for word in ["--comment=a\\nb", "--wckey=c\\d", "--account=e f", "--qos=g", "--licenses=$h"] {
        assert!(words.lines().any(|line| line == word), "{word}: {words}");
    }
}

#[test]
fn submitting_twice_queues_nothing_twice() {
    let folder = folder();
    slurm(folder.path());
    fs::write(folder.path().join("grid.toml"), GRID).unwrap();
    assert_eq!(code(&sweep(folder.path(), &["--launcher", "slurm"])), 0);
    let again = sweep(folder.path(), &["--launcher", "slurm"]);
    assert_eq!((code(&again), text(&again).as_str()), (0, ""), "{}", errors(&again));
    assert!(errors(&again).contains("nothing to submit"), "{}", errors(&again));
    assert_eq!(submissions(folder.path(), "grid"), 2);
    // A larger grid adds what is new.
    fs::write(folder.path().join("grid.toml"), GRID.replace("[1, 2]", "[1, 2, 3]")).unwrap();
    let more = sweep(folder.path(), &["--launcher", "slurm"]);
    assert!(errors(&more).contains("submitted 1 trials") || text(&more).lines().count() >= 1, "{}", errors(&more));
    let words = fs::read_to_string(folder.path().join("jobs")).unwrap();
    assert!(words.lines().count() >= 3, "{words}");
}

#[test]
fn options_of_a_launcher_are_refused_where_they_mean_nothing() {
    let folder = folder();
    slurm(folder.path());
    fs::write(folder.path().join("grid.toml"), GRID).unwrap();
    for (options, words) in [
        (&["--sbatch=--time=10"][..], "add it, or leave --sbatch out"),
        (&["--launcher", "slurm", "--sbatch", "--comment='open"], "is not closed"),
        (&["--launcher", "slurm", "--sbatch", "--array=1-2"], "the array is made of the trials"),
        (&["--launcher", "cloud"], "[possible values: local, slurm]"),
    ] {
        let refused = sweep(folder.path(), options);
        assert_eq!(code(&refused), 2, "{options:?}: {}", errors(&refused));
        assert!(errors(&refused).contains(words), "{options:?}: {}", errors(&refused));
        assert_eq!(submissions(folder.path(), "grid"), 0);
    }
    let tried = sweep(folder.path(), &["--launcher", "slurm", "--sbatch", "--test-only"]);
    assert_eq!((code(&tried), text(&tried).as_str()), (0, ""), "{}", errors(&tried));
    assert!(errors(&tried).contains("nothing was submitted: sbatch: Job 9 to start at noon"), "{}", errors(&tried));
    assert_eq!(submissions(folder.path(), "grid"), 0);
}

#[test]
fn a_failed_trial_is_run_again_by_its_index_only_where_that_is_asked_for() {
    let folder = folder();
    let grid = "base = \"tiny.toml\"\n[sweep]\nproduct = { \"training.learning_rate\" = [10], \"training.gradient_clip\" = [1e9] }\n";
    fs::write(folder.path().join("grid.toml"), grid).unwrap();
    let task = |options: &[&str]| sweep(folder.path(), &[&["--index", "0"], options].concat());
    assert_eq!(code(&task(&[])), 1);
    let trial = fs::read_dir(folder.path().join("runs/grid")).unwrap().flatten().map(|entry| entry.path());
    let trial = trial.into_iter().find(|path| path.is_dir()).unwrap();
    let log = || fs::read_to_string(trial.join("log.txt")).unwrap().matches("started on").count();
    assert_eq!(log(), 1);
    // Also where its lock file was not copied with it.
    fs::remove_file(trial.join("lock")).unwrap();
    let again = task(&[]);
    assert_eq!(code(&again), 1);
    assert!(errors(&again).contains("failed earlier") && errors(&again).contains("at step "), "{}", errors(&again));
    let status = sweep(folder.path(), &["--status"]);
    assert!(
        text(&status).contains("1 failed")
            && text(&status).contains("learning_rate10")
            && text(&status).contains("the loss diverged"),
        "{}",
        text(&status)
    );
    assert_eq!(log(), 1);
    assert_eq!(code(&task(&["--retry-failed"])), 1);
    assert_eq!(log(), 2);
}

#[test]
fn a_sweep_goes_on_as_the_program_that_it_was_started_as() {
    let folder = folder();
    fs::write(folder.path().join("grid.toml"), GRID).unwrap();
    // A copy of the program, replaced while the first trial runs by one that does nothing right.
    let built = Path::new(env!("CARGO_BIN_EXE_cvae"));
    for name in ["cvae", "cvae-torch"] {
        let (from, to) = (built.with_file_name(name), folder.path().join(name));
        if from.exists() && fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).unwrap();
        }
    }
    let program = folder.path().join("cvae");
    let mut child = Command::new(&program)
        .current_dir(folder.path())
        .args(["sweep", "grid.toml", "--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !folder.path().join("runs/grid").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        sleep(Duration::from_millis(2));
    }
    for name in ["cvae", "cvae-torch"] {
        let path = folder.path().join(name);
        if path.exists() {
            fs::remove_file(&path).unwrap();
            fs::write(&path, "#!/bin/sh\nexit 1\n").unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(errors(&output).contains("4 trials: 4 finished"), "{}", errors(&output));
}

#[test]
fn what_another_sweep_has_seen_fail_is_not_run_again() {
    let folder = folder();
    let grid = "base = \"tiny.toml\"\n[sweep]\nseeds = [1, 2, 3, 4]\nset = { \"training.learning_rate\" = 10, \"training.gradient_clip\" = 1e9 }\n";
    fs::write(folder.path().join("grid.toml"), grid).unwrap();
    for retry in [&[][..], &["--retry-failed"]] {
        let arguments = [&["sweep", "grid.toml", "--jobs", "2"], retry].concat();
        let start = || cvae(folder.path(), &arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let sweeps = [start(), start()];
        for child in sweeps {
            let output = child.wait_with_output().unwrap();
            assert_eq!(code(&output), 1, "{}", errors(&output));
        }
        let trials = fs::read_dir(folder.path().join("runs/grid")).unwrap().flatten().map(|entry| entry.path());
        for trial in trials.filter(|path| path.is_dir()) {
            let log = fs::read_to_string(trial.join("log.txt")).unwrap();
            // With --retry-failed both may have begun after all four had failed.
            let most = if retry.is_empty() { 1 } else { 3 };
            assert!(log.matches("started on").count() <= most, "{log}");
            assert!(trial.join("error.txt").exists());
        }
    }
}
