//! Completions, manual pages, help.

use std::fs;

use crate::common::{code, errors, folder, run, text};

/// Every command, as the help lists them.
fn commands() -> Vec<String> {
    let folder = folder();
    let help = text(&run(folder.path(), &["--help"]));
    let list = help.split_once("Commands:\n").expect("the help lists commands").1;
    let list = list.split("\n\n").next().unwrap_or_default();
    // A command stands two columns in; what is said of it may go on further in.
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let commands: Vec<String> = names.map(str::to_owned).collect();
    assert!(commands.len() >= 11 && commands.iter().any(|command| command == "plot"), "{commands:?}");
    commands
}

#[test]
fn completions_of_every_shell_know_every_command() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(folder.path(), &["completions", shell]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        let script = text(&output);
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
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
    assert!(page("cvae").contains(".TH CVAE 1") && page("cvae").contains("cvae\\-predict(1)"), "{}", page("cvae"));
    let help = text(&run(folder.path(), &["--help"]));
    assert!(help.contains("Examples:\n  cvae data\n"), "{help}");
    for command in commands() {
        let page = page(&format!("cvae-{command}"));
        assert_eq!(text(&run(folder.path(), &["man", &command])), page, "{command}");
        let help = text(&run(folder.path(), &[&command, "--help"]));
        assert!(help.contains("Examples:") && help.contains(&format!("  cvae {command}")), "{command}: {help}");
    }
    let missing = run(folder.path(), &["man", "predikt"]);
    assert_eq!(code(&missing), 2);
    assert!(errors(&missing).contains("there are pages of data, train"), "{}", errors(&missing));
}

#[test]
fn manual_pages_keep_the_lines_of_examples_and_tell_every_exit_code() {
    let folder = folder();
    assert_eq!(code(&run(folder.path(), &["man", "-o", "man1"])), 0);
    let pages = fs::read_dir(folder.path().join("man1")).unwrap().map(|page| page.unwrap().path());
    let mut read = 0;
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        assert!(!page.contains(".SH EXTRA") && !page.contains("Examples:"), "{}", path.display());
        let examples = page.split_once(".SH EXAMPLES\n.nf\n").map(|(_, rest)| rest.split_once("\n.fi").unwrap().0);
        let examples = examples.unwrap_or_else(|| panic!("{} has no examples", path.display()));
        assert!(examples.lines().next().is_some_and(|line| line.contains("cvae")), "{examples}");
        let status = page.split_once(".SH \"EXIT STATUS\"\n").expect("a section of exit codes").1;
        for code in ["0", "1", "2", "3", "75", "130", "134, 137"] {
            assert!(status.contains(&format!(".TP\n{code}\n")), "{code}: {status}");
        }
        read += 1;
    }
    assert_eq!(read, commands().len() + 1);
}

#[test]
fn manual_pages_have_nothing_that_lint_minds() {
    let folder = folder();
    assert_eq!(code(&run(folder.path(), &["man", "-o", "man1"])), 0);
    let page = fs::read_to_string(folder.path().join("man1/cvae-predict.1")).unwrap();
    let title = page.lines().find(|line| line.starts_with(".TH ")).unwrap();
    let version = concat!("\"cvae ", env!("CARGO_PKG_VERSION"), "\"");
    assert!(title.starts_with(".TH CVAE-PREDICT 1 ") && title.contains(version), "{title}");
    let synopsis = page.split_once(".SH SYNOPSIS\n").unwrap().1.split(".SH").next().unwrap();
    assert!(synopsis.contains("\\-\\-input <FILE>"), "{synopsis}");
    for line in page.lines() {
        assert!(line.len() <= 100 && line.trim_end() == line, "{line}");
    }
    // Where it is installed, mandoc has the last word.
    let files = fs::read_dir(folder.path().join("man1")).unwrap().map(|page| page.unwrap().path());
    let Ok(lint) = std::process::Command::new("mandoc").arg("-Tlint").args(files).output() else { return };
    let minded = text(&lint);
    // Without git there is no date; and examples keep their lines.
    let minded: Vec<&str> = minded
        .lines()
        .filter(|line| !line.contains("missing date") && !line.contains("longer than 80 bytes"))
        .collect();
    assert!(minded.is_empty(), "{minded:?}");
}

#[test]
fn the_reference_lists_every_command() {
    let page = include_str!("../../docs/commands.md");
    for command in commands() {
        assert!(page.contains(&format!("| [`cvae {command}`](#cvae-{command}) |")), "{command}");
    }
}

#[test]
fn the_reference_and_the_help_have_every_exit_code() {
    let folder = folder();
    let help = text(&run(folder.path(), &["--help"]));
    let help = help.split_once("Exit codes:").expect("the help has exit codes").1;
    for code in ["0", "1", "2", "3", "75", "130", "134", "137"] {
        let row = |line: &str| line.split('|').nth(1).is_some_and(|cell| cell.split(',').any(|one| one.trim() == code));
        assert!(include_str!("../../docs/commands.md").lines().any(row), "{code}");
        assert!(help.split_whitespace().any(|word| word == code), "{code}: {help}");
    }
}

#[test]
fn what_cannot_be_printed_is_a_failure() {
    let folder = folder();
    for arguments in [&["--help"][..], &["--version"], &["train", "--help"], &["help", "sweep"], &["man"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = crate::common::cvae(folder.path(), arguments).stdout(full).output().unwrap();
        assert_eq!(code(&output), 1, "{arguments:?}: {}", errors(&output));
        let said = errors(&output);
        assert!(said.contains("standard output") && said.contains("free some room"), "{arguments:?}: {said}");
    }
}
