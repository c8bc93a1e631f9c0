//! The documentation names what the program writes.

use cvae::experiment::ConfigFile;

use crate::common::{cvae, model, text};

const README: &str = include_str!("../../README.md");

/// The words in backticks of the README's table rows.
fn documented() -> Vec<&'static str> {
    let rows = README.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_column_has_its_line_in_the_glossary() {
    let documented = documented();
    for file in ["history.csv", "metrics.csv"] {
        let text = std::fs::read_to_string(model().join(file)).unwrap();
        let header = text.lines().next().unwrap();
        assert!(header.split(',').count() > 20, "{file}");
        for column in header.split(',') {
            assert!(documented.contains(&column), "README.md does not explain the column {column} of {file}");
        }
    }
}

#[test]
fn every_config_key_has_its_line_with_its_default() {
    let defaults: toml::Table = toml::from_str(&toml::to_string(&ConfigFile::default()).unwrap()).unwrap();
    let mut keys = Vec::new();
    for (key, value) in &defaults {
        match value {
            toml::Value::Table(section) => {
                keys.extend(section.iter().map(|(name, value)| (format!("{key}.{name}"), value)))
            }
            value => keys.push((key.clone(), value)),
        }
    }
    assert!(keys.len() > 25);
    for (key, value) in keys {
        let row = README.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
        let row = row.unwrap_or_else(|| panic!("README.md does not explain the key {key}"));
        let shown = row.split('|').nth(2).unwrap().trim().trim_matches('`');
        let shown: toml::Value = toml::from_str::<toml::Table>(&format!("x = {shown}")).unwrap()["x"].clone();
        let number = |value: &toml::Value| value.as_float().or(value.as_integer().map(|value| value as f64));
        assert!(shown == *value || (number(&shown).is_some() && number(&shown) == number(value)), "{key}: {row}");
    }
}

#[test]
fn the_results_are_those_of_the_committed_runs() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let commands = README.split('`').filter(|code| code.starts_with("cvae compare runs/seeds"));
    let mut tables = 0;
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        let output = cvae(root, &words).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        let table = text(&output);
        assert!(table.lines().count() > 10, "{table}");
        table.lines().for_each(|line| assert!(README.contains(line), "README.md lacks a row of {command}: {line}"));
        tables += 1;
    }
    assert_eq!(tables, 2);
}
