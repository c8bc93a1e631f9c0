//! Models of tables: `predict.py` reads their schema and answers as `cvae predict` does.

use std::fs;
use std::path::Path;

use cvae::experiment::load_model;
use cvae::task::Rows;

use super::{cvae, program, run, same_logits, text};

/// Ages in bins, a missing town, a comma in a name, and a column that is called as the trunk is.
fn survey(folder: &Path) {
    let mut table = "age,town,trunk,vote\n".to_owned();
    for row in 0..300 {
        let town = ["\"Paris, TX\"", "Rome", ""][row * row % 7 % 3];
        table += &format!("{},{town},t{},{}\n", 20 + row % 40, row % 5, if row % 3 == 0 { "yes" } else { "no" });
    }
    fs::write(folder.join("survey.csv"), table).unwrap();
}

fn train(folder: &Path, output: &str, more: &[&str]) {
    let data = ["train", "--table", "survey.csv", "--given", "age,town", "--bins", "age=4", "--output", output];
    let small = "model.hidden_dim=16 model.angles=6 beta.rise=20 training.steps=200 training.batch_size=64 \
                 training.warm_up=5 evaluation.every=100 evaluation.samples=1 evaluation.final_samples=1 \
                 evaluation.codes=4";
    let sets = small.split_whitespace().chain(more.iter().copied()).flat_map(|set| ["--set", set]);
    let done = run(cvae(folder, &data.into_iter().chain(sets).collect::<Vec<_>>()), None);
    assert!(done.status.success(), "{}", text(&done.stderr));
}

#[test]
#[ignore = "needs numpy and safetensors: make test-parity"]
fn both_programs_make_the_same_logits_and_rows_of_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    survey(here);
    for (name, more) in [
        ("multiplicative", &["model.latent_dim=3"][..]),
        ("additive", &["model.latent_dim=3", "model.trunk=additive", "model.heads=independent"]),
    ] {
        train(here, name, more);
        let (model, _) = load_model(&here.join(name)).unwrap();
        let sizes: Vec<u16> = model.schema.given.iter().map(|column| column.size() as u16).collect();
        let mut conditions = Rows::new(2);
        (0..sizes[0]).for_each(|age| (0..sizes[1]).for_each(|town| conditions.push(&[age, town])));
        same_logits(here, &here.join(name), &conditions);
    }
}

#[test]
#[ignore = "needs numpy and safetensors: make test-parity"]
fn both_programs_read_and_write_the_same_tables() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    survey(here);
    // Without z greedy decoding leaves nothing to chance: both programs write the same bytes.
    train(here, "model", &["model.latent_dim=0"]);
    // Without the table neither can check what was asked for.
    fs::remove_file(here.join("survey.csv")).unwrap();
    let good = "\u{feff}id,vote,town, age\r\n1,?,\"Paris, TX\", 33 \r\n\r\n\"2 \"\"b\"\"\",?,,59\n";
    let bad = "town,age\nRome,20\nParis,30\nRome,19.5\nRome,x\n\"Paris, TX\",59\n";
    for (name, table) in [
        ("good", good.as_bytes()),
        ("bad", bad.as_bytes()),
        ("ragged", b"town,age\nRome,20,1\n"),
        ("headless", b"town,ages\nRome,20\n"),
        ("empty", b"town,age\n"),
    ] {
        fs::write(here.join("in.csv"), table).unwrap();
        for more in [&[][..], &["--keep-going", "-n", "2"][..]] {
            let arguments = [&["-i", "in.csv", "--model", "model"], more].concat();
            let ours = run(cvae(here, &[&["predict", "rust.csv"][..], &arguments].concat()), None);
            let theirs = run(program(here, "predict.py", &[&["python.csv"][..], &arguments].concat()), None);
            assert_eq!(
                ours.status.code(),
                theirs.status.code(),
                "{name} {}{}",
                text(&ours.stderr),
                text(&theirs.stderr)
            );
            // Only one of them tells why it did not check.
            let said = |bytes: &[u8]| -> Vec<String> {
                let lines = text(bytes);
                lines.lines().map(|line| line.split(" were not checked").next().unwrap().to_owned()).collect()
            };
            assert_eq!(said(&ours.stderr), said(&theirs.stderr), "{name} {more:?}");
            let read = |file: &str| fs::read(here.join(file)).ok().map(|bytes| text(&bytes));
            assert_eq!(read("rust.csv"), read("python.csv"), "{name} {more:?}");
            for file in ["rust.csv", "python.csv"] {
                let _ = fs::remove_file(here.join(file));
            }
        }
    }
}
