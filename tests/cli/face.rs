//! Completions, manual pages, help.

use std::fs;

use crate::common::{code, errors, folder, run, text};

const COMMANDS: [&str; 9] = ["data", "train", "sweep", "predict", "eval", "compare", "inspect", "completions", "man"];

#[test]
fn completions_of_every_shell_know_every_command() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(folder.path(), &["completions", shell]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        let script = text(&output);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(script.contains("keep-going"), "{shell}");
    }
    assert_eq!(code(&run(folder.path(), &["completions", "tcsh"])), 2);
}

#[test]
fn bash_takes_its_completions() {
    let folder = folder();
    let script = text(&run(folder.path(), &["completions", "bash"]));
    let ask = format!("{script}\nCOMP_WORDS=(cvae pre); COMP_CWORD=1; _cvae cvae pre cvae; echo \"${{COMPREPLY[@]}}\"");
    let output = std::process::Command::new("bash").args(["-c", &ask]).output().unwrap();
    assert_eq!(text(&output).trim(), "predict", "{}", errors(&output));
}

#[test]
fn every_command_has_a_manual_page_and_help_with_examples() {
    let folder = folder();
    let written = run(folder.path(), &["man", "-o", "man1"]);
    assert_eq!(code(&written), 0, "{}", errors(&written));
    let page = |name: &str| fs::read_to_string(folder.path().join(format!("man1/{name}.1"))).unwrap();
    assert!(page("cvae").contains(".TH cvae 1") && page("cvae").contains("cvae\\-predict(1)"), "{}", page("cvae"));
    for command in COMMANDS {
        assert!(page(&format!("cvae-{command}")).contains("Examples:"), "{command}");
        assert_eq!(text(&run(folder.path(), &["man", command])), page(&format!("cvae-{command}")), "{command}");
        let help = text(&run(folder.path(), &[command, "--help"]));
        assert!(help.contains("Examples:") && help.contains(&format!("  cvae {command} ")), "{command}: {help}");
    }
    let missing = run(folder.path(), &["man", "predikt"]);
    assert_eq!(code(&missing), 2);
    assert!(errors(&missing).contains("there are pages of data, train"), "{}", errors(&missing));
}

#[test]
fn the_readme_lists_every_command() {
    let readme = include_str!("../../README.md");
    for command in COMMANDS {
        assert!(readme.contains(&format!("| `cvae {command}")), "{command}");
    }
}

#[test]
fn the_readme_and_the_help_have_every_exit_code() {
    let folder = folder();
    let help = text(&run(folder.path(), &["--help"]));
    let help = help.split_once("Exit codes:").expect("the help has exit codes").1;
    for code in ["0", "1", "2", "3", "75", "130"] {
        assert!(include_str!("../../README.md").contains(&format!("\n| {code} | ")), "{code}");
        assert!(help.split_whitespace().any(|word| word == code), "{code}: {help}");
    }
}
