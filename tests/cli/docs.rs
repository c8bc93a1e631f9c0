//! The documents say what the program does: generated parts are current, and the tutorial's commands work.
//!
//! `CVAE_WRITE_DOCS=1` writes the generated parts in place of comparing them; `make docs` does so.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cvae::experiment::ConfigFile;
use cvae::metrics::Measure;

use crate::common::{TINY, cvae, errors, folder, model, run, text};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Compares a page with what it should be, or writes it.
fn settle(name: &str, wanted: &str) {
    if std::env::var_os("CVAE_WRITE_DOCS").is_some() {
        fs::write(root().join(name), wanted).unwrap();
    }
    let (found, mut line) = (read(name), 0);
    let differs = found.lines().zip(wanted.lines()).find(|(found, wanted)| {
        line += 1;
        found != wanted
    });
    assert!(differs.is_none(), "{name}:{line} is out of date; run make docs\n{differs:#?}");
    assert_eq!(found, wanted, "{name} is out of date; run make docs");
}

/// A page with the text between each `<!-- mark: ARGUMENTS -->` and `<!-- end of mark -->` made again.
fn filled(page: &str, mark: &str, make: impl Fn(&str) -> String) -> String {
    let (start, end) = (format!("<!-- {mark}: "), format!("<!-- end of {mark} -->"));
    let mut parts = page.split(&start);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (arguments, rest) = part.split_once(" -->\n").expect("a mark ends its line");
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end} after {arguments}"));
        out += &format!("{start}{arguments} -->\n\n{}\n\n{end}{after}", make(arguments).trim());
    }
    out
}

#[test]
fn the_command_reference_is_what_the_program_prints() {
    let folder = folder();
    let page = text(&run(folder.path(), &["man", "--markdown"]));
    for word in ["## cvae train\n", "`-n`, `--samples <N>`", "| 134, 137 |", "One of `greedy`: ", "```sh\ncvae data"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    settle("docs/commands.md", &page);
}

#[test]
fn tables_of_results_are_those_of_the_committed_runs() {
    let page = read("docs/results.md");
    let wanted = filled(&page, "table", |arguments| {
        let words: Vec<&str> = arguments.split_whitespace().chain(["--markdown"]).collect();
        let output = cvae(root(), &words).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", errors(&output));
        text(&output)
    });
    assert!(page.matches("<!-- table: ").count() >= 3);
    settle("docs/results.md", &wanted);
}

#[test]
fn the_readme_quotes_figures_of_the_tables() {
    let rows = |page: &str| -> Vec<Vec<String>> {
        let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains(" %"));
        rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
    };
    let (readme, results) = (read("README.md"), read("docs/results.md"));
    let shares: Vec<String> = rows(&results).concat();
    let mut quoted = 0;
    for cell in rows(&readme).concat().iter().filter(|cell| cell.ends_with(" %")) {
        let found = shares.iter().any(|share| share.split(" ±").next() == Some(cell.as_str()));
        assert!(found, "README.md has {cell}, which no table of docs/results.md has");
        quoted += 1;
    }
    assert_eq!(quoted, 17);
}

#[test]
fn committed_runs_are_whole() {
    let mut checked = 0;
    for experiment in fs::read_dir(root().join("runs")).unwrap().map(|entry| entry.unwrap().path()) {
        let trials = fs::read_dir(&experiment).unwrap().map(|entry| entry.unwrap().path());
        for sums in trials.map(|trial| trial.join("SHA256SUMS")).filter(|sums| sums.exists()) {
            for line in fs::read_to_string(&sums).unwrap().lines() {
                let (sum, name) = line.split_once("  ").unwrap();
                let file = sums.with_file_name(name);
                // Weights are not committed.
                if name == "model.safetensors" {
                    continue;
                }
                assert_eq!(::cvae::checksums::sha256(&fs::read(&file).unwrap()), sum, "{}", file.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 1000, "{checked}");
}

#[test]
fn what_few_codes_leave_of_the_bias_is_what_was_measured() {
    let mut table = csv::Reader::from_path(root().join("benches/codes.csv")).unwrap();
    let rows: Vec<HashMap<String, f64>> = table.deserialize().map(|row| row.unwrap()).collect();
    let documented = read("docs/metrics.md");
    let mut found = 0;
    // Two seeds of each number of codes, one after the other.
    for pair in rows.chunks_exact(2) {
        let both = |name: &str| format!("{:.4}, {:.4}", pair[0][name], pair[1][name]);
        let largest = |name: &str| pair[0][name].max(pair[1][name]);
        let (gap, tv) = (largest("nll_gap_error"), largest("tv_error"));
        let codes = pair[0]["codes"];
        let row = format!("| {codes} | {} | {gap:.5} | {} | {tv:.4} |", both("nll_gap"), both("tv"));
        assert!(documented.contains(&row), "{row}");
        found += 1;
    }
    assert_eq!(found, 4);
}

#[test]
fn gaps_by_column_are_those_that_were_measured() {
    let mut table = csv::Reader::from_path(root().join("benches/columns.csv")).unwrap();
    let rows: Vec<HashMap<String, String>> = table.deserialize().map(|row| row.unwrap()).collect();
    let documented = read("docs/results.md");
    let mut found = 0;
    for model in rows.chunk_by(|a, b| ["task", "latent_dim", "part"].iter().all(|key| a[*key] == b[*key])) {
        let (task, z) = (&model[0]["task"], if model[0]["latent_dim"] == "0" { "without" } else { "with" });
        let together = if task == "dyck" { 6 } else { 1 };
        let cells = |figure: &str, scale: f64, digits: usize| {
            let values: Vec<f64> = model.iter().map(|row| scale * row[figure].parse::<f64>().unwrap()).collect();
            let text = |values: &[f64]| format!("{:.digits$}", values.iter().sum::<f64>().abs());
            let sums: Vec<String> = values.chunks(together).map(text).collect();
            format!("{} | {}", sums.join(", "), text(&values))
        };
        let (gaps, invalid) = (cells("nll_gap", 1.0, 3), cells("invalid_mass", 100.0, 2));
        let row = format!("| {task} | {z} | {} | {gaps} | {invalid} |", model[0]["part"]);
        assert!(documented.contains(&row), "{row}");
        found += 1;
    }
    assert_eq!(found, 14);
}

/// Documentation comments and declarations of the crate's sources, line by line.
fn sources() -> String {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// A field or a variant: its name, its type where it has one, its documentation, and whether it is the default.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    kind: String,
    words: String,
    default: bool,
}

/// The members of a struct or an enum, in order; one of each may share a name.
fn members(sources: &str, kind: &str, name: &str) -> Option<Vec<Member>> {
    let body = sources.split_once(&format!("\npub {kind} {name} {{\n"))?.1.split("\n}").next()?;
    let (mut found, mut words, mut default) = (Vec::new(), Vec::new(), false);
    for line in body.lines().map(str::trim) {
        match line.strip_prefix("///") {
            Some(comment) => words.push(comment.trim()),
            None if line.starts_with("#[") || line.is_empty() => default |= line == "#[default]",
            None => {
                let declared = line.trim_start_matches("pub ").trim_end_matches(',');
                let (name, kind) = declared.split_once(": ").unwrap_or((declared, ""));
                let name = name.split(['(', ' ', '{']).next().unwrap_or_default().to_owned();
                let words = std::mem::take(&mut words).join(" ").replace("[`", "`").replace("`]", "`");
                found.push(Member { name, kind: kind.to_owned(), words, default: std::mem::take(&mut default) });
            }
        }
    }
    Some(found)
}

/// The text of a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<")
}

/// The table of a struct's keys, each with its default and its documentation, and then those of its sections.
///
/// A key that is not written while it has its default is a choice, whose default its type names.
fn keys(sources: &str, kind: &str, section: &str, defaults: &toml::Table) -> String {
    let fields = members(sources, "struct", kind).unwrap_or_else(|| panic!("no struct {kind} in src"));
    let (mut rows, mut sections) = ("| key | default | meaning |\n|---|---|---|\n".to_owned(), String::new());
    for Member { name, kind, words, .. } in fields {
        let choices = members(sources, "enum", &kind).unwrap_or_default();
        let choice = |member: &Member| toml::Value::String(member.name.to_lowercase());
        let value = defaults.get(&name).cloned();
        let value = value.or_else(|| choices.iter().find(|member| member.default).map(choice));
        match value {
            Some(toml::Value::Table(inner)) if members(sources, "struct", &kind).is_some() => {
                let table = keys(sources, &kind, &format!("{name}."), &inner);
                sections += &format!("\n### `[{name}]`\n\n{words}\n\n{table}");
            }
            Some(value) => {
                assert!(!words.is_empty(), "the field of the key {section}{name} has no documentation");
                let values: Vec<String> = match &value {
                    toml::Value::String(_) => {
                        choices.iter().map(|one| format!("<br>`{}`: {}", choice(one), cell(&one.words))).collect()
                    }
                    _ => Vec::new(),
                };
                rows += &format!("| `{section}{name}` | `{value}` | {}{} |\n", cell(&words), values.concat());
            }
            // What the text around the table tells of.
            None if kind.starts_with("Option<") => {}
            // A key that is written only where a config sets it.
            None => rows += &format!("| `{section}{name}` |  | {} |\n", cell(&words)),
        }
    }
    rows + &sections
}

#[test]
fn every_config_key_is_documented_with_its_default() {
    let defaults: toml::Table = toml::from_str(&toml::to_string(&ConfigFile::default()).unwrap()).unwrap();
    let sources = sources();
    let page = filled(&read("docs/configuration.md"), "keys", |_| keys(&sources, "ConfigFile", "", &defaults));
    settle("docs/configuration.md", &page);
    assert!(page.matches("\n| `").count() > 25);
    for key in ["`base`", "`[sweep]`"] {
        assert!(page.contains(key), "{key}");
    }
}

#[test]
fn every_column_is_documented() {
    settle("docs/columns.md", &cvae::metrics::glossary());
    let given = ["weekday", "month", "leap", "decade"];
    for (file, columns) in [("history.csv", Measure::of_history(given)), ("metrics.csv", Measure::of_metrics(given))] {
        let text = fs::read_to_string(model().join(file)).unwrap();
        let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        assert_eq!(text.lines().next(), Some(names.join(",").as_str()), "{file}");
    }
}

#[test]
fn the_picture_of_the_documents_is_the_chart_of_the_model() {
    let picture = root().join("docs/images/calendar.png");
    let chart = root().join("plots/model/diversity_MON_DEC_False_196.png");
    if std::env::var_os("CVAE_WRITE_DOCS").is_some() {
        fs::copy(&chart, &picture).unwrap();
    }
    assert!(fs::read(&picture).unwrap() == fs::read(&chart).unwrap(), "{} is old; run make docs", picture.display());
}

/// Commands of a page's blocks, in order, each with the output that stands under it, where it is a console's.
fn commands(page: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for block in page.split("\n```").skip(1).step_by(2) {
        let (kind, body) = block.split_once('\n').unwrap_or((block, ""));
        match kind {
            "sh" => found.extend(body.lines().map(|line| (line.to_owned(), None))),
            "console" => {
                for part in format!("\n{body}").split("\n$ ").skip(1) {
                    let (command, output) = part.split_once('\n').unwrap_or((part, ""));
                    found.push((command.to_owned(), Some(output.to_owned())));
                }
            }
            _ => (),
        }
    }
    found
}

#[test]
fn the_tutorial_works_as_it_is_written() {
    let page = read("docs/tutorial.md");
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    // The same experiment, with a model that is trained in a second.
    let sweep = "[sweep.product]\n\"model.latent_dim\" = [2, 8]\n\"beta.value\" = [0.2, 0.6, 1.0]\n";
    assert!(page.contains(sweep) && read("experiments/quick.toml").contains(sweep));
    fs::create_dir(at("experiments")).unwrap();
    fs::write(
        at("experiments/quick.toml"),
        format!("{}\n{sweep}", TINY.replace("seed = 3", "seed = 1").replace("latent_dim = 2", "latent_dim = 8")),
    )
    .unwrap();
    std::os::unix::fs::symlink(root().join("model"), at("model")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_cvae")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut ran = 0;
    for (command, expected) in commands(&page) {
        if command.starts_with("cargo ") {
            continue;
        }
        let mut shell = Command::new("bash");
        let shell = shell.args(["-o", "pipefail", "-c", &command]).env("PATH", &path).env("NO_COLOR", "1");
        let output = shell.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", errors(&output));
        let said = text(&output) + &errors(&output);
        for line in expected.iter().flat_map(|expected| expected.lines()) {
            let line = line.split("...").next().unwrap();
            assert!(said.lines().any(|said| said.starts_with(line)), "{command} does not print {line}: {said}");
        }
        ran += 1;
    }
    assert!(ran >= 13, "{ran}");
    assert!(at("plots/quick/training.png").exists() && at("inspect/MON_DEC_False_196.png").exists());
}
