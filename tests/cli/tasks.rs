//! Tables, networks and other tasks, from training to scores.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{code, errors, run, text};

/// What makes a run take about a second.
const SHORT: [&str; 22] = [
    "--set",
    "model.hidden_dim=16",
    "--set",
    "model.angles=8",
    "--set",
    "model.latent_dim=2",
    "--set",
    "beta.rise=20",
    "--set",
    "training.steps=300",
    "--set",
    "training.batch_size=64",
    "--set",
    "training.warm_up=5",
    "--set",
    "evaluation.every=100",
    "--set",
    "evaluation.samples=2",
    "--set",
    "evaluation.final_samples=20",
    "--set",
    "evaluation.codes=16",
];

/// Ages, sexes and votes: women above 30 vote yes, all others are split.
fn survey(folder: &Path) {
    let mut text = "age,sex,vote,town\n".to_owned();
    for row in 0..400 {
        let (age, sex) = (20 + row % 40, if row % 3 == 0 { "F" } else { "M" });
        let vote = if sex == "F" && age >= 30 || row % 2 == 0 { "yes" } else { "no" };
        text += &format!("{age},{sex},{vote},\"{}\"\n", ["Paris, TX", "Rome", ""][row % 7 % 3]);
    }
    fs::write(folder.join("survey.csv"), text).unwrap();
}

fn trained(folder: &Path, data: &[&str]) -> std::process::Output {
    let arguments: Vec<&str> = ["train", "--output", "model"].iter().chain(data).chain(&SHORT).copied().collect();
    run(folder, &arguments)
}

#[test]
fn a_table_is_trained_on_predicted_scored_and_inspected_without_a_config() {
    let folder = TempDir::new().unwrap();
    survey(folder.path());
    let data = ["--table", "survey.csv", "--given", "age,sex", "--bins", "age=4"];
    let output = trained(folder.path(), &data);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    // A second run finds nothing to do, and the config is whole.
    assert!(errors(&trained(folder.path(), &data)).contains("finished earlier"));
    // Columns in any order, with others beside them; ages within bins; the model's columns are replaced.
    fs::write(folder.path().join("asked.csv"), "id,vote,sex,age\n7,?,F,33\n8,?,M,50-59\n").unwrap();
    let predict = ["predict", "-i", "asked.csv", "out.csv", "--model", "model", "-n", "3", "--decode", "sample"];
    let output = run(folder.path(), &predict);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let text = fs::read_to_string(folder.path().join("out.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("id,sex,age,vote,town", 7));
    assert!(lines[1..4].iter().all(|line| line.starts_with("7,F,33,")), "{text}");
    assert!(errors(&output).contains("found in the table"), "{}", errors(&output));
    let output = run(folder.path(), &["eval", "out.csv", "--model", "model", "--json"]);
    let score: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((score["rows"].as_u64(), score["conditions"].as_u64()), (Some(6), Some(8)));
    let output = run(folder.path(), &["inspect", "--model", "model", "age=30-39,sex=F"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("vote=yes,town=Rome"));
    let output = run(folder.path(), &["inspect", "--model", "model", "--all"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("invalid mass"), "{}", errors(&output));
    let json = |what: &str| -> Value {
        let output = run(folder.path(), &["inspect", "--model", "model", what, "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", errors(&output)))
    };
    // Gap and invalid mass are sums over columns, in the order of the table.
    let all = json("--all")["train"].clone();
    let by_column = json("--by-column")["train"]["columns"].as_array().unwrap().clone();
    assert_eq!((&by_column[0]["column"], &by_column[1]["column"]), (&"vote".into(), &"town".into()));
    for figure in ["nll_gap", "invalid_mass"] {
        let value = all[figure]["value"].as_f64().unwrap();
        let sum: f64 = by_column.iter().map(|column| column[figure]["value"].as_f64().unwrap()).sum();
        assert!((sum - value).abs() < 1e-6 && value > 0.0, "{figure}: {sum} {value}");
    }
    let shown = run(folder.path(), &["inspect", "--model", "model", "--by-column"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("NLL gap, train"), "{}", errors(&shown));
    let rows = json("age=30-39,sex=F")["rows"].as_array().unwrap().clone();
    assert!((rows.iter().map(|row| row["truth"].as_f64().unwrap()).sum::<f64>() - 1.0).abs() < 1e-9);
    // The folder alone predicts, and says that it can't check.
    fs::remove_file(folder.path().join("survey.csv")).unwrap();
    let output = run(folder.path(), &predict);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(errors(&output).contains("not checked") && errors(&output).contains("survey.csv"), "{}", errors(&output));
    assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), text);
}

#[test]
fn parquet_is_read_wherever_csv_is() {
    let folder = TempDir::new().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet");
    for (from, to) in [("pyarrow_snappy.parquet", "survey.parquet"), ("expected.csv", "survey.csv")] {
        fs::copy(fixtures.join(from), folder.path().join(to)).unwrap();
    }
    let weights = |table: &str, model: &str| {
        let data = ["train", "--table", table, "--given", "sex,member", "--weight", "weight", "-o", model];
        let arguments: Vec<&str> = data.iter().chain(&SHORT).copied().collect();
        let output = run(folder.path(), &arguments);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        fs::read(folder.path().join(model).join("model.safetensors")).unwrap()
    };
    // The same columns and rows make the same training.
    assert_eq!(weights("survey.parquet", "a"), weights("survey.csv", "b"));
    let output = run(folder.path(), &["predict", "-i", "survey.parquet", "out.csv", "--model", "a"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let text = fs::read_to_string(folder.path().join("out.csv")).unwrap();
    assert!(text.starts_with("sex,member,weight,age,town,score,born\n") && text.lines().count() == 61, "{text}");
    let output = run(folder.path(), &["score", "survey.csv", "survey.parquet", "--given", "sex,member", "--json"]);
    let score: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((score["validity"].as_f64(), score["closest"]["copies"].as_f64()), (Some(1.0), Some(1.0)));
    assert!(score["detection"]["auc"].is_f64() && score["closest"]["holdout"]["mean"].is_f64(), "{score}");
    fs::copy(fixtures.join("pyarrow_brotli.parquet"), folder.path().join("b.parquet")).unwrap();
    let output = run(folder.path(), &["train", "--table", "b.parquet", "--given", "sex"]);
    assert!(errors(&output).contains("read_parquet") && errors(&output).contains("Snappy"), "{}", errors(&output));
}

#[test]
fn what_is_of_dates_alone_is_said_to_be_so_for_tables() {
    let folder = TempDir::new().unwrap();
    survey(folder.path());
    let table = ["train", "--table", "survey.csv", "--given", "age, sex", "--bins", "age=4", "-o", "runs/s/one"];
    let quick = ["--set", "training.steps=120", "--set", "beta.rise=50", "--set", "evaluation.final_samples=1"];
    let trained = run(folder.path(), &[&table[..], &quick].concat());
    assert_eq!(code(&trained), 0, "{}", errors(&trained));
    let drawn = run(folder.path(), &["plot", "runs"]);
    assert_eq!(code(&drawn), 0, "{}", errors(&drawn));
    assert!(errors(&drawn).contains("which is drawn of dates alone"), "{}", errors(&drawn));
    let compared = run(folder.path(), &["compare", "runs", "--references"]);
    assert!(
        errors(&compared).contains("no references") && !text(&compared).contains("random"),
        "{}",
        errors(&compared)
    );
    let all = ["inspect", "--model", "runs/s/one", "--all", "--codes", "8"];
    let inspected = run(folder.path(), &all);
    assert_eq!(code(&inspected), 0, "{}", errors(&inspected));
    let conditions = fs::read_to_string(folder.path().join("inspect/conditions.csv")).unwrap();
    assert!(conditions.starts_with("condition,split,rows,mass,entropy,invalid_mass") && conditions.contains("sex=F"));
    let condition = conditions.lines().nth(1).unwrap().split('"').nth(1).unwrap();
    for (option, said) in
        [(&["-n", "50"][..], "-n is for dates"), (&["--decode", "sample"], "--decode sample is for dates")]
    {
        let refused = run(folder.path(), &[&all[..], option].concat());
        assert!(code(&refused) == 2 && errors(&refused).contains(said), "{}", errors(&refused));
    }
    let refused = run(folder.path(), &["inspect", "--model", "runs/s/one", condition, "-o", "a.png"]);
    assert!(code(&refused) == 2 && errors(&refused).contains("-o: "), "{}", errors(&refused));
    // Where --model was forgotten.
    for wrong in [&["predict", "-i", "survey.csv", "-"][..], &["eval", "survey.csv"], &["inspect", condition]] {
        let refused = run(folder.path(), wrong);
        assert!(code(&refused) == 2 && errors(&refused).contains("with --model"), "{}", errors(&refused));
    }
    // A table that has other values now.
    let table = fs::read_to_string(folder.path().join("survey.csv")).unwrap();
    fs::write(folder.path().join("survey.csv"), table.replace("yes", "perhaps")).unwrap();
    let refused = run(folder.path(), &["eval", "survey.csv", "--model", "runs/s/one"]);
    assert!(
        code(&refused) == 2 && errors(&refused).contains("not those that the model was trained on"),
        "{}",
        errors(&refused)
    );
    fs::write(folder.path().join("survey.csv"), table).unwrap();
    // More steps, with the recipe that the table was given.
    let steps = ["--set", "training.steps=180", "--set", "beta.rise=50", "--set", "evaluation.final_samples=1"];
    let more = [&["--from", "runs/s/one", "-o", "more"][..], &steps].concat();
    let table = ["train", "--table", "survey.csv", "--given", "age,sex", "--bins", "age=4"];
    let went_on = run(folder.path(), &[&table[..], &more].concat());
    assert_eq!(code(&went_on), 0, "{}", errors(&went_on));
}

#[test]
fn scores_refuse_what_does_not_apply_and_say_what_there_is() {
    let folder = TempDir::new().unwrap();
    survey(folder.path());
    for (words, said) in [
        (&["algebra", "survey.csv", "--given", "sum"][..], "--given: algebra is a task; leave it out"),
        (&["dyck", "survey.csv", "--population"], "--population: dyck is a task"),
        (&["nosuch", "survey.csv"], "or one of dates, weighted_dates"),
        (&["algebr", "survey.csv"], "did you mean algebra?"),
    ] {
        let refused = run(folder.path(), &[&["score"], words].concat());
        assert!(code(&refused) == 2 && errors(&refused).contains(said), "{}", errors(&refused));
    }
}

/// The documented example: a network with fewer conditions than make a share.
#[test]
fn a_network_with_few_conditions_is_trained_on_all_of_them() {
    let folder = TempDir::new().unwrap();
    let network = "variable weight { type discrete [2] { low, high }; }
variable b { type discrete [2] { x, y }; }
probability (weight) { table 0.3, 0.7; }
probability (b | weight) { (low) 0.2, 0.8; (high) 0.9, 0.1; }
";
    fs::write(folder.path().join("two.bif"), network).unwrap();
    let train = ["train", "--network", "two.bif", "--given", "weight", "--set", "training.steps=120", "-o", "m"];
    let quick = ["--set", "beta.rise=50", "--set", "evaluation.final_samples=1", "--set", "training.batch_size=64"];
    let trained = run(folder.path(), &[&train[..], &quick].concat());
    assert_eq!(code(&trained), 0, "{}", errors(&trained));
    assert!(errors(&trained).contains("too few conditions to hold out a share of 0.1"), "{}", errors(&trained));
    let written = run(folder.path(), &["data", "--network", "two.bif", "--given", "weight", "-o", "."]);
    assert_eq!(code(&written), 0, "{}", errors(&written));
    assert!(fs::read_to_string(folder.path().join("two.csv")).unwrap().starts_with("weight,b,weight_\n"));
}

/// How long a sample is trained without a word about it depends on its rows.
#[test]
fn a_table_without_a_config_is_passed_over_a_few_times() {
    let folder = TempDir::new().unwrap();
    survey(folder.path());
    let folder_of = |rest: &[&str]| {
        let train = ["train", "--table", "survey.csv", "--given", "age,sex", "--bins", "age=4", "--print-folder"];
        let output = run(folder.path(), &[&train, rest].concat());
        assert_eq!(code(&output), 0, "{}", errors(&output));
        text(&output)
    };
    let own = folder_of(&[]);
    assert!(own.contains("steps1000-") && own.contains("rise100-") && own.contains("trunkadditive-"), "{own}");
    let told = folder_of(&["--set", "training.steps=2000"]);
    assert!(told.contains("steps2000-") && told.contains("trunkadditive-") && !told.contains("rise"), "{told}");
    assert!(!folder_of(&["--set", "training={ steps = 18000 }"]).contains("-steps"));
    let told = folder_of(&["--set", "evaluation.every=500", "--set", "beta.rise=7"]);
    assert!(told.contains("steps1000-") && told.contains("rise7-"), "{told}");
    assert!(!folder_of(&["--set", "model.trunk=multiplicative"]).contains("trunk"));
    // The population is all that there is.
    assert!(!folder_of(&["--set", "data.truth=population"]).contains("-steps"));
    let survey = fs::read_to_string(folder.path().join("survey.csv")).unwrap();
    let (header, rows) = survey.split_once('\n').unwrap();
    let many = 40_000 / rows.lines().count();
    fs::write(folder.path().join("survey.csv"), format!("{header}\n{}", rows.repeat(many))).unwrap();
    let steps = 20 * rows.lines().count() * many / 512;
    assert!(folder_of(&[]).contains(&format!("steps{steps}-")), "{steps}");
}

#[test]
fn values_that_a_model_does_not_know_and_impossible_conditions_are_named() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("all.csv"), "a,b,y\n1,1,x\n1,1,z\n1,2,x\n2,1,z\n2,3,x\n").unwrap();
    let data = ["--table", "all.csv", "--given", "a,b", "--set", "data.truth=population", "--set", "data.held_out=0.3"];
    let output = trained(folder.path(), &data);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    fs::write(folder.path().join("asked.csv"), "b,a\n1,1\n7,1\n3,1\n").unwrap();
    let output = run(folder.path(), &["predict", "-i", "asked.csv", "-", "--model", "model"]);
    assert_eq!(code(&output), 2);
    let said = errors(&output);
    assert!(said.contains("asked.csv:3: b has no value \"7\"; its values are 1, 2, 3"), "{said}");
    assert!(said.contains("asked.csv:4: no row meets a=1,b=3") && said.contains("nothing was written"), "{said}");
    let output = run(folder.path(), &["predict", "-i", "asked.csv", "-", "--model", "model", "--keep-going"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((code(&output), text.lines().count()), (3, 4));
    assert!(text.ends_with("7,1,\n3,1,\n"), "{text}");
    fs::write(folder.path().join("asked.csv"), "a\n1\n").unwrap();
    let output = run(folder.path(), &["predict", "-i", "asked.csv", "-", "--model", "model"]);
    assert!(errors(&output).contains("asked.csv:1: the header lacks b; it has a"), "{}", errors(&output));
    let output = run(folder.path(), &["inspect", "--model", "model", "a=1"]);
    assert!(errors(&output).contains("b is missing; its values are 1, 2, 3"), "{}", errors(&output));
}

const NETWORK: &str = "network rain {} variable rain { type discrete [2] { yes, no }; }
variable wet { type discrete [2] { yes, no }; } variable late { type discrete [2] { yes, no }; }
probability (rain) { table 0.2, 0.8; } probability (wet | rain) { (yes) 0.9, 0.1; (no) 0.2, 0.8; }
probability (late | wet) { (yes) 0.5, 0.5; (no) 0.1, 0.9; }";

#[test]
fn a_network_is_written_trained_on_and_scored_against() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("rain.bif"), NETWORK).unwrap();
    let output = run(folder.path(), &["data", "--network", "rain.bif", "--given", "late", "-o", "."]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let text = fs::read_to_string(folder.path().join("rain.csv")).unwrap();
    assert!(text.starts_with("late,rain,wet,weight\nyes,yes,yes,0.09"), "{text}");
    let output = trained(folder.path(), &["--network", "rain.bif", "--given", "late", "--set", "data.split=rows"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    // The table of all rows, by weight, is the network.
    let score = ["score", "rain.bif", "rain.csv", "--given", "late", "--json"];
    let output = run(folder.path(), &score);
    let score: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((score["validity"].as_f64(), score["coverage"].as_f64()), (Some(1.0), Some(1.0)));
}

#[test]
fn a_task_is_trained_on_by_name_and_runs_again_to_the_same_weights() {
    let train = |runs: &str| {
        let folder = TempDir::new().unwrap();
        let set = ["train", "--set", "data.task=permutations", "--runs", runs];
        let arguments: Vec<&str> = set.iter().chain(&SHORT).copied().collect();
        let output = run(folder.path(), &arguments);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        let trial = fs::read_dir(folder.path().join(runs).join("permutations")).unwrap().next().unwrap().unwrap();
        fs::read(trial.path().join("model.safetensors")).unwrap()
    };
    assert_eq!(train("runs"), train("other"));
}

#[test]
fn options_that_make_no_data_are_refused_with_the_remedy() {
    let folder = TempDir::new().unwrap();
    survey(folder.path());
    for (arguments, expected) in [
        (vec!["train"], "<CONFIG"),
        (vec!["train", "--table", "survey.csv"], "--given"),
        (
            vec!["train", "--table", "survey.csv", "--given", "height"],
            "the table has no column \"height\"; it has age, sex",
        ),
        (vec!["train", "--table", "none.csv", "--given", "age"], "none.csv"),
        (vec!["train", "--set", "data.task=algebr"], "there is no task \"algebr\""),
        (vec!["score", "survey.csv", "survey.csv"], "--given"),
        (vec!["score", "dates", "survey.csv"], "dates are scored by cvae eval"),
        (vec!["score", "algebra", "survey.csv"], "survey.csv:1: the header lacks sum"),
    ] {
        let output = run(folder.path(), &arguments);
        assert_ne!(code(&output), 0, "{arguments:?}");
        assert!(errors(&output).contains(expected), "{}\n{expected}", errors(&output));
    }
}
