//! Files, pipes, devices and standard streams, whatever they are called and whether they are open or not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::common::{code, cvae, errors, folder, model, run, run_with_input, text};

const A: &str = "[MON] [DEC] [False] [196]";

/// Runs a script of bash in which `$0` is the program and `$1` a small model, for a minute at most.
fn shell(folder: &Path, script: &str) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "60", "bash", "-c", script, env!("CARGO_BIN_EXE_cvae"), model().to_str().unwrap()]);
    command.current_dir(folder).output().expect("timeout and bash")
}

/// A copy of the small model's folder.
fn copied(folder: &Path, name: &str) {
    let to = folder.join(name);
    fs::create_dir_all(&to).unwrap();
    for file in fs::read_dir(model()).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// A table, `t.csv`, a model of it in `table`, and a question to it, `q.csv`.
fn table(folder: &Path) {
    fs::write(folder.join("t.csv"), "a,b\nx,1\ny,2\nz,3\n").unwrap();
    fs::write(folder.join("q.csv"), "a\nx\ny\n").unwrap();
    let mut train = vec!["train", "tiny.toml", "--table", "t.csv", "--given", "a", "-o", "table"];
    let sets = ["training.batch_size=2", "objective.codes=2", "data.held_out=0.34"];
    sets.iter().for_each(|set| train.extend(["--set", set]));
    let trained = run(folder, &train);
    assert_eq!(code(&trained), 0, "{}", errors(&trained));
}

#[test]
fn what_every_command_writes_goes_on_where_streams_stand_and_replaces_none() {
    let folder = folder();
    table(folder.path());
    fs::write(folder.path().join("in.txt"), A).unwrap();
    let commands = [
        ("predict -i in.txt OUT --model $1", "[MON]"),
        ("predict -i q.csv OUT --model table", "a,b"),
        ("page -o OUT --model $1", "<!doctype"),
    ];
    for (command, begins) in commands {
        for (out, redirected) in [
            ("-", ">>"),
            ("/dev/stdout", ">>"),
            ("/proc/self/fd/1", ">>"),
            ("/proc/thread-self/fd/1", ">>"),
            ("link", ">>"),
            ("/dev/fd/3", "3>>"),
            ("/proc/self/fd/7", "7>>"),
            ("/proc/$$/fd/7", "7>>"),
        ] {
            let command = command.replace("OUT", out);
            // The descriptor is the shell's as well, which the last of these names.
            let script = format!(
                "ln -sf /dev/stdout link; echo old > log; exec {redirected} log; \"$0\" {command} || exit 9; [ ! -L log ]"
            );
            let output = shell(folder.path(), &script);
            assert_eq!(code(&output), 0, "{command} {redirected}: {}", errors(&output));
            let log = fs::read_to_string(folder.path().join("log")).unwrap();
            assert!(
                log.starts_with(&format!("old\n{begins}")),
                "{command} {redirected}: {}",
                &log[..log.len().min(200)]
            );
        }
        for fifo in ["fifo", "to_fifo"] {
            let command = command.replace("OUT", fifo);
            let script = format!(
                "mkfifo fifo; ln -s fifo to_fifo; cat fifo > got & \"$0\" {command} || exit 9; wait; [ -p fifo ] && [ -L to_fifo ] && \
                 rm fifo to_fifo; cat got"
            );
            let output = shell(folder.path(), &script);
            assert!(text(&output).starts_with(begins), "{command}: {}", errors(&output));
        }
        let output =
            shell(folder.path(), &format!("\"$0\" {} && [ -c /dev/null ]", command.replace("OUT", "/dev/null")));
        assert_eq!(code(&output), 0, "{command}: {}", errors(&output));
        let closed = shell(folder.path(), &format!("\"$0\" {}", command.replace("OUT", "/dev/fd/987")));
        assert!(errors(&closed).contains("/dev/fd/987") && errors(&closed).contains("3> FILE"), "{}", errors(&closed));
    }
    // Files of folders that are pipes and devices stay what they are.
    for (command, folder_of, name) in [
        ("data --from 2000 --to 2000 -o data", "data", "example_input.txt"),
        ("data --task permutations -o data", "data", "permutations.csv"),
        ("export $1 --to jsonl -o exported", "exported", "history.jsonl"),
        ("plot --logs $1 -o plots", "plots/model", "training.svg"),
        ("inspect \"[MON] [DEC] [False] [196]\" -n 2 --model $1 -o charts/chart.png", "charts", "chart.png"),
    ] {
        for made in ["ln -s /dev/null", "mkfifo"] {
            let script = format!(
                "f={folder_of}/{name}; mkdir -p {folder_of}; rm -f $f; {made} $f; [ -L $f ] || cat $f > got & \
                 \"$0\" {command} > /dev/null || exit 9; wait; [ ! -f $f ]"
            );
            let output = shell(folder.path(), &script);
            assert_eq!(code(&output), 0, "{command} into {made}: {}", errors(&output));
        }
    }
    // Where several files are written, a stream is none of the places that they can go to.
    for command in ["data -o", "man -o", "export $1 --to jsonl -o", "plot --logs $1 -o", "train tiny.toml -o"] {
        for stream in ["/dev/stdout", "/dev/null"] {
            let output = shell(folder.path(), &format!("echo old > log; \"$0\" {command} {stream} >> log"));
            assert!(code(&output) != 0 && errors(&output).contains(stream), "{command} {stream}: {}", errors(&output));
            assert_eq!(fs::read_to_string(folder.path().join("log")).unwrap(), "old\n");
        }
    }
    let scored = shell(folder.path(), "\"$0\" score t.csv - --given a < t.csv");
    assert!(text(&scored).contains("validity"), "{}", errors(&scored));
}

#[test]
fn a_dash_is_refused_by_name_where_it_can_stand_for_no_stream() {
    let folder = folder();
    fs::write(folder.path().join("in.txt"), A).unwrap();
    let commands: [&[&str]; 21] = [
        &["train", "-"],
        &["train", "tiny.toml", "-o", "-"],
        &["train", "tiny.toml", "--runs", "-"],
        &["sweep", "-"],
        &["sweep", "tiny.toml", "--runs", "-"],
        &["data", "-o", "-"],
        &["predict", "-i", "in.txt", "-", "--model", "-"],
        &["eval", "in.txt", "--model", "-"],
        &["inspect", "--all", "-o", "-"],
        &["inspect", A, "-o", "-"],
        &["compare", "-"],
        &["plot", "-"],
        &["migrate", "-"],
        &["man", "-o", "-"],
        &["watch", "-"],
        &["runs", "-"],
        &["export", "-", "--to", "jsonl", "-o", "exported"],
        &["export", "runs", "--to", "jsonl", "-o", "-"],
        &["page", "-", "-o", "page.html"],
        &["page", "-o", "page.html", "--model", "-"],
        &["score", "-", "in.txt"],
    ];
    for arguments in commands {
        let refused = run(folder.path(), arguments);
        assert_eq!(code(&refused), 2, "{arguments:?}");
        let said = errors(&refused);
        assert!(said.contains("invalid value '-' for") && said.contains("write ./-"), "{arguments:?}: {said}");
        assert!(!folder.path().join("-").exists(), "{arguments:?}");
    }
    assert_eq!(code(&run(folder.path(), &["data", "-o", "./-", "--from", "2000", "--to", "2000"])), 0);
    assert!(folder.path().join("-/data.txt").exists());
}

#[test]
fn names_that_are_not_utf8_work_everywhere() {
    let folder = folder();
    let raw = |bytes: &'static [u8]| OsStr::from_bytes(bytes).to_owned();
    let (config, input, output) = (raw(b"caf\xe9.toml"), raw(b"in\xff.txt"), raw(b"out\xff.txt"));
    let (trial, charts) = (raw(b"trial\xe9"), raw(b"charts\xe9"));
    fs::copy(folder.path().join("tiny.toml"), folder.path().join(&config)).unwrap();
    fs::write(folder.path().join(&input), A).unwrap();
    let word = |word: &str| OsStr::new(word).to_owned();
    let done = |arguments: &[std::ffi::OsString]| {
        let output = cvae(folder.path(), &[]).args(arguments).output().unwrap();
        assert_eq!(code(&output), 0, "{arguments:?}: {}", errors(&output));
        output
    };
    done(&[word("train"), config.clone(), word("-o"), trial.clone()]);
    assert!(folder.path().join(&trial).join("metrics.csv").exists());
    let printed = done(&[word("train"), config.clone(), word("--print-folder")]);
    done(&[word("sweep"), config.clone(), word("--jobs"), word("1")]);
    // Both mean the same folder, and a script can go on with it.
    let experiment = folder.path().join("runs").join(raw(b"caf\xe9"));
    assert!(experiment.join("results.csv").exists());
    assert!(folder.path().join(OsStr::from_bytes(printed.stdout.trim_ascii_end())).join("metrics.csv").exists());
    done(&[word("predict"), word("-i"), input.clone(), output.clone(), word("--model"), trial.clone()]);
    assert!(fs::read_to_string(folder.path().join(&output)).unwrap().starts_with(A));
    done(&[word("eval"), output, word("--model"), trial.clone()]);
    done(&[word("compare"), trial.clone()]);
    done(&[word("runs"), word("show"), trial.clone()]);
    // A config is text, and so are the names in it.
    let table = cvae(folder.path(), &["train", "--given", "a", "--table"]).arg(raw(b"caf\xe9.csv")).output().unwrap();
    assert!(code(&table) == 2 && errors(&table).contains("names in configs are UTF-8"), "{}", errors(&table));
    done(&[word("plot"), word("--logs"), trial.clone(), word("-o"), charts.clone()]);
    done(&[word("inspect"), word(A), word("-n"), word("2"), word("--model"), trial, word("-o"), charts.clone()]);
    assert!(folder.path().join(&charts).join("MON_DEC_False_196.png").exists());
    done(&[word("data"), word("--from"), word("2000"), word("--to"), word("2000"), word("-o"), charts]);
}

#[test]
fn a_closed_standard_output_is_a_failure_like_a_full_one() {
    let folder = folder();
    fs::write(folder.path().join("in.txt"), format!("{A} 3-12-1962\n")).unwrap();
    table(folder.path());
    for arguments in [
        "--help",
        "-h",
        "--version",
        "train --help",
        "help sweep",
        "man",
        "man predict",
        "completions bash",
        "predict -i in.txt - --model $1",
        "predict -i in.txt /dev/stdout --model $1",
        "eval in.txt",
        "eval in.txt --json",
        "compare $1",
        "train tiny.toml --print-folder",
        "sweep tiny.toml --status",
        "sweep tiny.toml --dry-run",
        "runs --help",
        "runs $1",
        "runs show $1",
        "watch $1",
        "watch --once $1",
        "compare $1 --csv",
        "score t.csv t.csv --given a",
        "score t.csv t.csv --given a --json",
        "page -o - --model $1",
        "page -o /dev/stdout --model $1",
        "page $1 -o /proc/self/fd/1 --model $1",
        "predict -i q.csv - --model table",
        "predict -i q.csv /dev/fd/1 --model table",
        "inspect a=x --model table",
        "inspect --angles --model $1 -o angles",
        "inspect --by-column --codes 2 --model $1",
    ] {
        for closed in [">&-", ">&- <&-", ">/dev/full"] {
            let output = shell(folder.path(), &format!("\"$0\" {arguments} {closed}"));
            assert_eq!(code(&output), 1, "{arguments} {closed}: {}", errors(&output));
            let said = errors(&output);
            assert!(said.contains("standard output") || said.contains("/dev/stdout"), "{arguments} {closed}: {said}");
        }
        // A reader that has seen enough is no failure.
        let left = shell(folder.path(), &format!("\"$0\" {arguments} | true; exit ${{PIPESTATUS[0]}}"));
        assert_eq!(code(&left), 0, "{arguments} | true: {}", errors(&left));
        let silent = shell(folder.path(), &format!("\"$0\" {arguments} >&- 2>&-"));
        assert_eq!(code(&silent), 1, "{arguments}");
        // The null device is a place to write to, however it was opened.
        for null in [">/dev/null", "1<>/dev/null"] {
            let output = shell(folder.path(), &format!("\"$0\" {arguments} {null}"));
            assert_eq!(code(&output), 0, "{arguments} {null}: {}", errors(&output));
        }
    }
    // What writes elsewhere needs no standard output.
    let output = shell(folder.path(), "\"$0\" predict -i in.txt out.txt --model $1 >&-");
    assert_eq!(code(&output), 0, "{}", errors(&output));
}

#[test]
fn inputs_without_an_end_are_refused_and_fill_no_disk() {
    let folder = folder();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    fs::File::create(folder.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
    for (script, words) in [
        ("\"$0\" eval /dev/zero", "cannot read /dev/zero: it is a device without an end"),
        ("\"$0\" eval /dev/urandom", "cannot read /dev/urandom: it is a device without an end"),
        ("\"$0\" eval - < /dev/zero", "cannot read standard input: it is a device without an end"),
        ("\"$0\" predict -i /dev/zero out.txt --model $1", "cannot read /dev/zero: it is a device without an end"),
        ("\"$0\" predict -i - - --model $1 < /dev/zero", "cannot read standard input: it is a device without an end"),
        ("cat /dev/zero | \"$0\" eval -", "cannot read standard input: a line of it has no end"),
        ("cat /dev/zero | \"$0\" predict -i - - --model $1", "cannot read standard input: a line of it has no end"),
        ("\"$0\" eval sparse", "cannot read sparse: a line of it has no end"),
    ] {
        // No file of more than 100 MB may be written.
        let output = shell(folder.path(), &format!("export TMPDIR=$PWD/tmp; ulimit -f 100000; {script}"));
        assert_eq!(code(&output), 1, "{script}: {}", errors(&output));
        assert!(errors(&output).contains(words), "{script}: {}", errors(&output));
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    }
    for nothing in ["\"$0\" eval /dev/null", "\"$0\" eval - < /dev/null", "\"$0\" predict -i /dev/null - --model $1"] {
        let output = shell(folder.path(), nothing);
        assert_eq!(code(&output), 2, "{nothing}: {}", errors(&output));
        assert!(errors(&output).contains("holds no lines"), "{nothing}: {}", errors(&output));
    }
}

#[test]
fn a_pipe_gives_every_line_and_is_opened_once() {
    let folder = folder();
    for command in ["predict -i pipe out.txt --model $1", "eval pipe"] {
        // A writer that would be told of a reader that leaves, between one opening and the next.
        let script = format!(
            "mkfifo pipe; (exec 3> pipe; for n in 1 2 3; do echo '{A} 3-12-1962' >&3 || exit 9; sleep 0.05; done) & \
             \"$0\" {command} > said 2>&1; code=$?; wait $! || exit 8; rm pipe; cat said; exit $code"
        );
        let output = shell(folder.path(), &script);
        assert_eq!(code(&output), 0, "{command}: {} {}", text(&output), errors(&output));
        let said = text(&output);
        assert!(said.contains("3 dates") || said.contains("of 3 lines pass"), "{command}: {said}");
    }
    // Standard input that is a file, read from where it stands.
    fs::write(folder.path().join("in.txt"), format!("first\n{A}\n{A}\n")).unwrap();
    let output = shell(folder.path(), "{ read -r first; \"$0\" predict -i - - --model $1; } < <(cat in.txt)");
    assert_eq!((code(&output), text(&output).lines().count()), (0, 2), "{}", errors(&output));
}

#[test]
fn a_pipe_in_the_place_of_a_file_of_a_run_hangs_nothing() {
    let folder = folder();
    fs::write(folder.path().join("in.txt"), A).unwrap();
    fs::write(folder.path().join("grid.toml"), "base = \"tiny.toml\"\n[sweep]\nseeds = [3]\n").unwrap();
    let began = Instant::now();
    for name in ["config.toml", "history.csv", "metrics.csv", "error.txt", "lock", "log.txt", "SHA256SUMS"] {
        for finished in [true, false] {
            let _ = fs::remove_dir_all(folder.path().join("runs"));
            copied(folder.path(), "runs/trial");
            if !finished {
                fs::remove_file(folder.path().join("runs/trial/metrics.csv")).unwrap();
            }
            let pipe = folder.path().join("runs/trial").join(name);
            let _ = fs::remove_file(&pipe);
            assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            for command in [
                "compare runs",
                "plot --logs runs",
                "predict -i in.txt - --model runs/trial",
                "train tiny.toml -o runs/trial",
                "migrate runs --dry-run",
                "runs runs",
                "runs show runs/trial",
                "watch runs --once",
                "export runs --to jsonl -o exported",
            ] {
                let output = shell(folder.path(), &format!("exec timeout -k 1 20 \"$0\" {command}"));
                let ended = output.status.code();
                assert!(matches!(ended, Some(0..=2)), "{name} {command}: {ended:?} {}", errors(&output));
                if ended == Some(1) {
                    let said = errors(&output);
                    assert!(said.contains(name) || said.contains("finished trial"), "{name} {command}: {said}");
                }
            }
        }
    }
    // One trial with a pipe is one that fails, and no other.
    let _ = fs::remove_dir_all(folder.path().join("runs"));
    fs::write(folder.path().join("two.toml"), "base = \"tiny.toml\"\n[sweep]\nseeds = [3, 4]\n").unwrap();
    let dry = text(&run(folder.path(), &["sweep", "two.toml", "--dry-run"]));
    let trial = folder.path().join("runs/two").join(dry.lines().next().unwrap().split_whitespace().last().unwrap());
    fs::create_dir_all(&trial).unwrap();
    assert!(Command::new("mkfifo").arg(trial.join("lock")).status().unwrap().success());
    for _ in 0..2 {
        let output = shell(folder.path(), "exec timeout -k 1 50 \"$0\" sweep two.toml");
        assert_eq!(code(&output), 1, "{}", errors(&output));
        assert!(errors(&output).contains("lock: it is not a file; remove it"), "{}", errors(&output));
        assert!(errors(&output).contains("2 trials: 1 finished"), "{}", errors(&output));
    }
    fs::remove_file(trial.join("lock")).unwrap();
    let output = shell(folder.path(), "exec timeout -k 1 50 \"$0\" sweep two.toml");
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let _ = fs::remove_dir_all(folder.path().join("runs"));
    fs::create_dir_all(folder.path().join("runs/grid")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path().join("runs/grid/results.csv")).status().unwrap().success());
    let output = shell(folder.path(), "exec timeout -k 1 20 \"$0\" sweep grid.toml");
    assert_eq!(code(&output), 1, "{}", errors(&output));
    assert!(errors(&output).contains("results.csv: it is a pipe or a device"), "{}", errors(&output));
    assert!(began.elapsed() < Duration::from_secs(120));
}

#[test]
fn the_number_of_threads_is_that_of_the_machine_whatever_the_environment_says() {
    let folder = folder();
    let began = Instant::now();
    for number in ["99999", "0", "many", "-1"] {
        let script = format!("echo '{A}' | RAYON_NUM_THREADS={number} \"$0\" predict -i - - --model $1");
        let output = shell(folder.path(), &script);
        assert_eq!(code(&output), 0, "{number}: {}", errors(&output));
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let output = run_with_input(folder.path(), &["train", "tiny.toml", "--set", "threads=99999"], b"");
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("99999 is not between 1 and 1024"), "{}", errors(&output));
}
