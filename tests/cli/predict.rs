//! `cvae predict`.

use std::fs;
use std::path::Path;
use std::process::Output;

use cvae::dates::{Condition, ValidDates};

use crate::common::{code, errors, folder, model, run, run_with_input, text};

const A: &str = "[MON] [DEC] [False] [196]";
const B: &str = "[WED] [JAN] [True] [200]";

/// Predicts a file with these bytes into `out.txt`.
fn predict(folder: &Path, input: &[u8], options: &[&str]) -> Output {
    fs::write(folder.join("in.txt"), input).unwrap();
    let model = model();
    let arguments = ["predict", "-i", "in.txt", "out.txt", "--model", model.to_str().unwrap()];
    run(folder, &[&arguments, options].concat())
}

fn lines(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("out.txt")).unwrap();
    // Every line has its end, unless the file is another one.
    text.strip_suffix('\n').unwrap_or(&text).split('\n').map(str::to_owned).collect()
}

/// The condition part of a line, and whether a date of three numbers follows.
fn taken_apart(line: &str) -> (&str, bool) {
    let (condition, date) = line.rsplit_once(' ').unwrap();
    (condition, date.split('-').filter(|part| part.parse::<u32>().is_ok()).count() == 3)
}

#[test]
fn dates_follow_their_conditions_in_the_order_of_the_input() {
    let folder = folder();
    let valid = ValidDates::new();
    let conditions: Vec<String> = valid.conditions().iter().rev().map(Condition::to_string).collect();
    let output = predict(folder.path(), conditions.join("\n").as_bytes(), &[]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let lines = lines(folder.path());
    assert_eq!(lines.len(), 6804);
    for (line, condition) in lines.iter().zip(&conditions) {
        assert_eq!(taken_apart(line), (condition.as_str(), true));
    }
    assert!(errors(&output).contains("6804 dates, greedy, seed 1; raw pass rate"), "{}", errors(&output));
}

#[test]
fn line_endings_spaces_blank_ends_and_dates_are_accepted() {
    let folder = folder();
    let input = format!("{A}\r\n  {B}   \r\n{A} 3-12-1962\n{B} 31-2-9999\n\n \n");
    let output = predict(folder.path(), input.as_bytes(), &[]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let lines = lines(folder.path());
    assert_eq!(
        lines.iter().map(|line| taken_apart(line)).collect::<Vec<_>>(),
        [(A, true), (B, true), (A, true), (B, true)]
    );
    assert!(!lines[3].ends_with("31-2-9999"), "the date of the input is ignored");
}

#[test]
fn the_seed_decides_and_sampling_differs_from_greedy() {
    let folder = folder();
    let input = [A, B].join("\n");
    let draw = |options: &[&str]| {
        let output = predict(folder.path(), input.as_bytes(), &[&["-n", "20"], options].concat());
        assert_eq!(code(&output), 0, "{}", errors(&output));
        lines(folder.path())
    };
    let first = draw(&[]);
    assert_eq!(first.len(), 40);
    assert!(first[..20].iter().all(|line| line.starts_with(A)) && first[20..].iter().all(|line| line.starts_with(B)));
    assert_eq!(first, draw(&["--seed", "1"]));
    assert_ne!(first, draw(&["--seed", "2"]));
    let sampled = draw(&["--decode", "sample"]);
    assert_ne!(first, sampled);
    assert_ne!(sampled, draw(&["--decode", "sample", "--temperature", "0.3"]));
    assert_eq!(code(&predict(folder.path(), input.as_bytes(), &["--decode", "sample", "--temperature", "0"])), 2);
    let idle = predict(folder.path(), input.as_bytes(), &["--temperature", "0.3"]);
    assert_eq!(code(&idle), 2);
    assert!(errors(&idle).contains("add --decode sample"), "{}", errors(&idle));
}

#[test]
fn a_malformed_line_is_named_and_nothing_is_written() {
    let folder = folder();
    fs::write(folder.path().join("out.txt"), "old").unwrap();
    let output = predict(folder.path(), format!("{A}\n{B}\n[MON] [DEZ] [False] [196]\n").as_bytes(), &[]);
    assert_eq!(code(&output), 2);
    let message = errors(&output);
    assert!(message.contains("in.txt:3:7: found \"[DEZ]\", expected a month"), "{message}");
    assert_eq!(lines(folder.path()), ["old"]);
    for (wrong, place) in
        [(format!("{A}\n\n{B}"), "in.txt:2:1"), (format!("{A} soon"), "in.txt:1:27"), (String::new(), "no lines")]
    {
        let output = predict(folder.path(), wrong.as_bytes(), &[]);
        assert_eq!(code(&output), 2, "{wrong}");
        assert!(errors(&output).contains(place), "{}", errors(&output));
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_condition_that_no_date_meets_is_refused_as_such() {
    let folder = folder();
    let output = predict(folder.path(), format!("{A}\n[MON] [JAN] [True] [220]\n").as_bytes(), &[]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("in.txt:2:1: no date from 1-1-1800 to 31-12-2200 meets [MON] [JAN] [True] [220]"));
    assert!(!folder.path().join("out.txt").exists());
}

#[test]
fn with_keep_going_bad_lines_stay_in_place_without_a_date() {
    let folder = folder();
    let input = format!("{A}\nnonsense 1-1-1900\n[MON] [JAN] [True] [220] 1-1-2200\n\n{B}\n");
    let output = predict(folder.path(), input.as_bytes(), &["--keep-going"]);
    assert_eq!(code(&output), 3);
    let lines = lines(folder.path());
    assert_eq!(lines.len(), 5);
    assert_eq!(taken_apart(&lines[0]), (A, true));
    assert_eq!(lines[1..4], ["nonsense", "[MON] [JAN] [True] [220]", ""]);
    assert_eq!(taken_apart(&lines[4]), (B, true));
    let message = errors(&output);
    assert!(message.contains("in.txt:2:1") && message.contains("3 bad lines left without a date"), "{message}");
}

#[test]
fn a_bad_line_at_the_end_changes_no_date_of_very_many() {
    // More than one batch: conditions are remembered in the first run and read again in the second.
    let folder = folder();
    let with = |input: String, options: &[&str]| {
        let output = predict(folder.path(), input.as_bytes(), &[&["-n", "120000", "--retries", "2"], options].concat());
        (code(&output), lines(folder.path()))
    };
    let (done, dates) = with(format!("{A}\n{B}\n{A}\n"), &[]);
    assert_eq!((done, dates.len()), (0, 360_000));
    for (place, line) in dates.iter().enumerate() {
        assert_eq!(taken_apart(line), (if place / 120_000 == 1 { B } else { A }, true));
    }
    let (done, again) = with(format!("{A}\n{B}\n{A}\nnonsense\n"), &["--keep-going"]);
    assert_eq!((done, again.last().map(String::as_str)), (3, Some("nonsense")));
    assert!(again[..360_000] == dates);
}

#[test]
fn standard_streams_and_the_output_option_work() {
    let folder = folder();
    let model = model();
    let model = model.to_str().unwrap();
    let piped =
        run_with_input(folder.path(), &["predict", "-i", "-", "-", "--model", model], format!("{A}\n{B}").as_bytes());
    assert_eq!(code(&piped), 0, "{}", errors(&piped));
    assert_eq!(text(&piped).lines().map(|line| taken_apart(line).0).collect::<Vec<_>>(), [A, B]);
    assert!(text(&piped).ends_with('\n'));
    fs::write(folder.path().join("in.txt"), A).unwrap();
    let option = run(folder.path(), &["predict", "-i", "in.txt", "-o", "out.txt", "--model", model]);
    assert_eq!(code(&option), 0, "{}", errors(&option));
    assert_eq!(format!("{}\n", lines(folder.path())[0]), format!("{}\n", text(&piped).lines().next().unwrap()));
    let unnamed = run(folder.path(), &["predict", "-i", "in.txt", "--model", model]);
    assert_eq!(code(&unnamed), 2);
    assert!(errors(&unnamed).contains("as OUTPUT or with -o OUTPUT; - stands for"), "{}", errors(&unnamed));
    let bad = run_with_input(folder.path(), &["predict", "-i", "-", "-", "--model", model], b"x\n");
    assert_eq!((code(&bad), text(&bad).as_str()), (2, ""));
    assert!(errors(&bad).contains("standard input:1:1"), "{}", errors(&bad));
}

#[test]
fn ctrl_c_and_sigterm_leave_nothing_half_written() {
    use std::process::{Command, Stdio};
    let folder = folder();
    fs::write(folder.path().join("in.txt"), [A; 1000].join("\n")).unwrap();
    fs::write(folder.path().join("out.txt"), "old").unwrap();
    let partial = || {
        let names = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".partial")).count()
    };
    for signal in ["-INT", "-TERM"] {
        // A thousand million dates: it can't end before it is told to.
        let model = model();
        let arguments = ["predict", "-i", "in.txt", "out.txt", "-n", "1000000", "--model", model.to_str().unwrap()];
        let mut child = crate::common::cvae(folder.path(), &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        while partial() == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 130, "{}", errors(&output));
        let said = errors(&output);
        assert!(said.contains("interrupted; out.txt was not written, its partial file is removed"), "{said}");
        assert_eq!((partial(), fs::read_to_string(folder.path().join("out.txt")).unwrap().as_str()), (0, "old"));
    }
}

#[test]
fn a_reader_that_stops_reading_hides_no_bad_line() {
    let folder = folder();
    fs::write(folder.path().join("in.txt"), format!("{A}\nnonsense\n{A}")).unwrap();
    let model = model();
    let pipe = |more: &str| {
        let script = format!("set -o pipefail; \"$0\" predict -i in.txt - -n 100000 --model \"$1\" {more} | head -c 1");
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_cvae"), model.to_str().unwrap()]);
        command.current_dir(folder.path()).output().unwrap()
    };
    let output = pipe("--keep-going");
    assert_eq!(code(&output), 3, "{}", errors(&output));
    assert!(!errors(&output).contains("error"), "{}", errors(&output));
    assert_eq!(code(&pipe("")), 2);
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    let folder = folder();
    for (options, words) in [
        (["--seed", "-1"], "it is not a whole number from 0 to 18446744073709551615"),
        (["--seed", "18446744073709551616"], "it is not a whole number from 0 to 18446744073709551615"),
        (["-n", "-1"], "it is not a whole number from 1 to 1000000"),
        (["--retries", "10001"], "it is not a whole number from 0 to 10000"),
    ] {
        let output = predict(folder.path(), A.as_bytes(), &options);
        assert_eq!(code(&output), 2, "{options:?}");
        assert!(errors(&output).contains(words), "{options:?}: {}", errors(&output));
    }
    let output = predict(folder.path(), A.as_bytes(), &["--decode", "sample", "--temperature", "-1"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("a temperature of -1 makes no distribution"), "{}", errors(&output));
}

#[test]
fn retries_are_off_by_default_and_counted() {
    let folder = folder();
    // The tiny model fails nearly always, so that there is something to draw again.
    let input = [A; 400].join("\n");
    let plain = predict(folder.path(), input.as_bytes(), &["--decode", "sample"]);
    assert!(!errors(&plain).contains("retries"), "{}", errors(&plain));
    let raw = lines(folder.path());
    let retried = predict(folder.path(), input.as_bytes(), &["--decode", "sample", "--retries", "40"]);
    let changed = lines(folder.path()).iter().zip(&raw).filter(|(line, raw)| line != raw).count();
    assert!(changed > 0);
    assert!(errors(&retried).contains(&format!("up to 40 retries changed {changed} of them")), "{}", errors(&retried));
}

#[test]
fn files_and_streams_have_one_form_and_can_be_joined() {
    let folder = folder();
    assert_eq!(code(&predict(folder.path(), format!("{A}\n{B}").as_bytes(), &[])), 0);
    let file = fs::read_to_string(folder.path().join("out.txt")).unwrap();
    let model = model();
    let printed = run(folder.path(), &["predict", "-i", "in.txt", "-", "--model", model.to_str().unwrap()]);
    assert_eq!(text(&printed), file);
    assert!(file.ends_with('\n'));
    let scored = run_with_input(folder.path(), &["eval", "-"], file.repeat(2).as_bytes());
    assert!(text(&scored).contains("of 4 lines pass"), "{}", text(&scored));
}

#[test]
fn descriptors_pipes_and_devices_are_written_to_and_never_replaced() {
    let folder = folder();
    fs::write(folder.path().join("in.txt"), A).unwrap();
    let model = model();
    let predict = "\"$0\" predict -i in.txt --model \"$1\"";
    let shell = |script: &str| {
        let _ = fs::remove_file(folder.path().join("log"));
        let script = script.replace("PREDICT", predict);
        let arguments = ["-c", &script, env!("CARGO_BIN_EXE_cvae"), model.to_str().unwrap()];
        let done = std::process::Command::new("bash").current_dir(folder.path()).args(arguments).output().unwrap();
        assert_eq!(code(&done), 0, "{script}: {}", errors(&done));
        fs::read_to_string(folder.path().join("log")).unwrap()
    };
    let date = shell("PREDICT log");
    assert!(date.starts_with(A) && date.lines().count() == 1, "{date}");
    let between = format!("before\n{date}after\n");
    for script in [
        "echo before > log; PREDICT /dev/stdout >> log; echo after >> log",
        "echo before > log; PREDICT -o /dev/fd/1 >> log; echo after >> log",
        "echo before > log; PREDICT /proc/self/fd/1 >> log; echo after >> log",
        "echo before > log; ln -sf /dev/stdout link; PREDICT link >> log; echo after >> log",
        "{ echo before; PREDICT /dev/stdout; echo after; } > log",
        "{ echo before >&3; PREDICT /dev/fd/3; echo after >&3; } 3> log",
        "{ echo before >&2; PREDICT /dev/stderr 2>&2 | cat; echo after >&2; } 2> log; sed -i '/raw pass rate/d' log",
        "{ echo before; PREDICT /dev/stdout | cat; echo after; } > log",
        "{ echo before; PREDICT >(cat > part; touch done); until [ -e done ]; do sleep 0.01; done; cat part; echo after; } > log",
        "mkfifo pipe; cat pipe > part & PREDICT pipe; wait; { echo before; cat part; echo after; } > log; [ -p pipe ]",
    ] {
        assert_eq!(shell(script), between, "{script}");
    }
    // A partial file that a killed process left is gone after the next command on that file.
    let stale = folder.path().join(".log.1234567-1.partial");
    fs::write(&stale, "half").unwrap();
    fs::write(folder.path().join(".log.mine.partial"), "mine").unwrap();
    shell("PREDICT log");
    assert!(!stale.exists() && folder.path().join(".log.mine.partial").exists());
}

#[test]
fn files_that_cannot_be_read_or_written_are_named() {
    let folder = folder();
    let model = model();
    let model = model.to_str().unwrap();
    fs::write(folder.path().join("in.txt"), A).unwrap();
    fs::create_dir_all(folder.path().join("begun/checkpoint")).unwrap();
    fs::copy(folder.path().join(model).join("config.toml"), folder.path().join("begun/config.toml")).unwrap();
    for (arguments, words) in [
        (["none.txt", "out.txt", model], "none.txt"),
        (["in.txt", "no/such/folder/out.txt", model], "no/such/folder/out.txt"),
        (["in.txt", ".", model], "it is a folder"),
        (["in.txt", "out.txt", "nowhere"], "cannot load a model from nowhere"),
        (["in.txt", "out.txt", "begun"], "has not finished; the command that began it goes on with it"),
    ] {
        let [input, output, model] = arguments;
        let done = run(folder.path(), &["predict", "-i", input, output, "--model", model]);
        assert!(code(&done) == 1 || code(&done) == 2, "{arguments:?}");
        assert!(errors(&done).contains(words), "{arguments:?}: {}", errors(&done));
        assert!(!folder.path().join("out.txt").exists());
    }
}

#[test]
fn the_released_model_answers_every_condition_without_a_calendar() {
    let folder = folder();
    let valid = ValidDates::new();
    let conditions: Vec<String> = valid.conditions().iter().map(Condition::to_string).collect();
    fs::write(folder.path().join("in.txt"), conditions.join("\n")).unwrap();
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("model");
    let output = run(folder.path(), &["predict", "-i", "in.txt", "out.txt", "--model", release.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let scored = run(folder.path(), &["eval", "out.txt", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text(&scored)).unwrap();
    assert_eq!(report["lines"].as_u64(), Some(6804));
    assert!(report["pass_rate"].as_f64().unwrap() >= 0.999, "{}", report["pass_rate"]);
}

#[test]
fn the_number_of_threads_changes_no_date() {
    let folder = folder();
    let conditions: Vec<String> = ValidDates::new().conditions().iter().map(Condition::to_string).collect();
    let input = conditions.join("\n");
    let on = |threads: &str| {
        let output = predict(folder.path(), input.as_bytes(), &["--threads", threads, "--decode", "sample"]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        lines(folder.path())
    };
    assert_eq!(on("1"), on("3"));
    for wrong in ["0", "-1", "1025"] {
        let output = predict(folder.path(), input.as_bytes(), &["--threads", wrong]);
        assert_eq!(code(&output), 2, "{}", errors(&output));
    }
}

#[test]
fn a_program_by_itself_predicts_from_any_folder_and_says_what_the_other_engine_needs() {
    let folder = folder();
    let alone = folder.path().join("cvae");
    fs::copy(env!("CARGO_BIN_EXE_cvae"), &alone).unwrap();
    let run = |arguments: &[&str]| {
        std::process::Command::new(&alone).current_dir(folder.path()).args(arguments).output().unwrap()
    };
    fs::write(folder.path().join("in.txt"), A).unwrap();
    let output = run(&["predict", "-i", "in.txt", "out.txt"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    // The released model is part of the program.
    let release = concat!(env!("CARGO_MANIFEST_DIR"), "/model");
    let output = run(&["predict", "-i", "in.txt", "same.txt", "--model", release]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("out.txt"), read("same.txt"));
    fs::write(folder.path().join("config.toml"), "engine = \"torch\"\n").unwrap();
    let output = run(&["train", "config.toml"]);
    assert_eq!(code(&output), 1);
    let said = errors(&output);
    assert!(said.contains("cvae-torch") && said.contains("make torch"), "{said}");
}
