//! `cvae inspect` from the command line, on small models that train within a second or two.

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

/// Runs the program in a folder.
fn cvae(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("cvae").unwrap();
    command.current_dir(folder).args(arguments).output().unwrap()
}

/// Trains a small model in the folder, as `trial`; what was said on standard error.
fn trained(folder: &Path, settings: &[&str]) -> String {
    let small = "threads = 1\n[model]\nhidden_dim = 16\nangles = 8\nlatent_dim = 2\n[beta]\nschedule = \"constant\"\n\
                 [training]\nsteps = 20\nbatch_size = 256\nwarm_up = 5\n[evaluation]\nsamples = 2\nfinal_samples = 2\n";
    fs::write(folder.join("small.toml"), small).unwrap();
    let mut arguments = vec!["train", "small.toml", "-o", "trial"];
    settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
    let output = cvae(folder, &arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn one_condition_is_shown_as_table_json_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path(), &[]);
    let condition = "[WED] [JAN] [False] [181]";
    let inspect =
        |more: &[&str]| cvae(folder.path(), &[&["inspect", condition, "--model", "trial", "-n", "50"], more].concat());
    let record = json(&inspect(&["--json"]));
    assert_eq!((&record["valid_dates"], &record["samples"]), (&35.into(), &50.into()));
    let count =
        |part: &str| record[part].as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(count("dates"), record["passes"].as_u64().unwrap());
    assert_eq!(count("dates") + count("failures"), 50);
    assert!(record["failures"].as_array().unwrap().iter().all(|row| !row["reason"].as_str().unwrap().is_empty()));
    let text = inspect(&["-o", "pictures"]);
    let shown = String::from_utf8(text.stdout).unwrap();
    assert!(shown.contains("3-1-1810") && shown.contains("missing") && shown.contains("\n1819  "), "{shown}");
    // No terminal: no colours.
    assert!(!shown.contains('\x1b'));
    assert!(folder.path().join("pictures/WED_JAN_False_181.png").exists());
    assert!(inspect(&["-o", "map.svg"]).status.success());
    assert!(fs::read_to_string(folder.path().join("map.svg")).unwrap().contains("[WED] [JAN] [False] [181]"));
}

#[test]
fn conditions_that_cannot_be_end_with_exit_code_2_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    for (condition, said) in [
        ("[WED] [JAN] [False]", "a decade: [180] to [220]"),
        ("[WED] [JAN] [True] [220]", "no date from 1-1-1800 to 31-12-2200 meets"),
    ] {
        let output = cvae(folder.path(), &["inspect", condition]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(said), "{error}");
    }
    assert_eq!(cvae(folder.path(), &["inspect"]).status.code(), Some(2));
}

#[test]
fn all_conditions_give_a_row_each_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path(), &["data.split=dates"]);
    let inspect = |threads: &str, output: &str| {
        let arguments = ["inspect", "--all", "--model", "trial", "-n", "10", "--json"];
        json(&cvae(folder.path(), &[&arguments[..], &["--threads", threads, "-o", output]].concat()))
    };
    let (mut one, mut three) = (inspect("1", "one"), inspect("3", "three"));
    assert_eq!(one["ten_worst"].as_array().unwrap().len(), 10);
    assert!(one["held_out_date_coverage"]["mean"].is_number());
    [&mut one, &mut three].into_iter().for_each(|record| record["seconds"] = Value::Null);
    assert_eq!(one, three);
    let table = |output: &str| fs::read_to_string(folder.path().join(output).join("conditions.csv")).unwrap();
    assert_eq!(table("one").lines().count(), 6805);
    assert_eq!(table("one"), table("three"));
    for name in ["coverage.png", "coverage.svg", "tv.png", "tv.svg", "pass_rate.png", "pass_rate.svg"] {
        let bytes = |output: &str| fs::read(folder.path().join(output).join(name)).unwrap();
        assert_eq!(bytes("one"), bytes("three"), "{name}");
    }
}

#[test]
fn files_are_written_whoever_reads_the_text() {
    use std::process::Stdio;
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path(), &[]);
    let one = ["inspect", "[MON] [DEC] [False] [196]", "-n", "10", "-o", "one"];
    let all = ["inspect", "--all", "-n", "1", "-o", "all"];
    let latent = ["inspect", "--latent", "--codes", "2", "-o", "latent"];
    for (arguments, file) in [(&one[..], "MON_DEC_False_196.png"), (&all, "tv.svg"), (&latent, "latent_kl.png")] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cvae"));
        command.current_dir(folder.path()).args(arguments).args(["--model", "trial"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Nobody reads.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(folder.path().join(arguments[arguments.len() - 1]).join(file).exists(), "{arguments:?}: {said}");
    }
}

#[test]
fn places_and_threads_that_cannot_be_meant_are_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    // No model is there: what is refused is refused before it is looked for.
    let refused = |arguments: &[&str]| {
        let output = cvae(folder.path(), &[&["inspect", "--model", "nowhere"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let condition = "[MON] [DEC] [False] [196]";
    let said = refused(&[condition, "-o", "a.jpg"]);
    assert!(said.contains("-o a.jpg: charts are written as .png or .svg; name such a file, or a folder"), "{said}");
    let said = refused(&["--all", "-o", "a.csv"]);
    assert!(said.contains("name a folder"), "{said}");
    assert!(refused(&["--all", "-o", "a.png"]).contains("several files are written"));
    for threads in ["0", "1025", "-1", "99999999999"] {
        let said = refused(&[condition, "--threads", threads]);
        assert!(said.contains("1 to 1024"), "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_latent_code_is_measured_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path(), &["data.held_out=0.01"]);
    let arguments = ["inspect", "--latent", "[MON] [DEC] [False] [196]", "--model", "trial", "--codes", "8", "--json"];
    let record = json(&cvae(folder.path(), &arguments));
    // A likelihood cannot beat the entropy of the data.
    assert!(record["nll_gap"]["mean"].as_f64().unwrap() > 0.0);
    assert_eq!(record["dimensions"].as_array().unwrap().len(), 2);
    assert_eq!(record["traversals"][0]["dates"].as_array().unwrap().len(), 13);
    assert_eq!(record["interpolation"]["from"], "4-12-1961");
    for name in ["latent_kl", "latent_digit", "latent_day", "latent_condition", "latent_plane"] {
        assert!(folder.path().join(format!("inspect/{name}.png")).exists(), "{name}");
    }
}

#[test]
fn a_model_that_bypasses_its_condition_is_warned_of_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    // Without a KL term z carries the date from the first step on.
    let settings = ["beta.value=0.0", "model.latent_dim=8", "model.hidden_dim=64", "training.steps=300"];
    let said = trained(folder.path(), &[&settings[..], &["training.learning_rate=0.01"]].concat());
    assert!(said.contains("warning: latent bypass"), "{said}");
    let warned = |arguments: &[&str]| {
        let said = String::from_utf8(cvae(folder.path(), arguments).stderr).unwrap();
        assert!(said.contains("warning: latent bypass"), "{arguments:?}: {said}");
    };
    warned(&["inspect", "[MON] [DEC] [False] [196]", "--model", "trial"]);
    let months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let days = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
    let line = |month: &str| days.map(|day| format!("[{day}] [{month}] [False] [196]")).join("\n");
    fs::write(folder.path().join("input.txt"), months.map(line).join("\n")).unwrap();
    assert!(cvae(folder.path(), &["predict", "-i", "input.txt", "dates.txt", "--model", "trial"]).status.success());
    warned(&["eval", "dates.txt", "--model", "trial"]);
}
