//! What the program says to wrong input: the cases of `tests/messages/*.md`, which are meant to be read.
//!
//! A case is a heading, files to be made, and commands with what they print to standard error and how they end.
//! `CVAE_WRITE_DOCS=1 cargo test --test cli messages` writes down what they print now.

use std::fmt::Write;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use crate::common::{TINY, cvae, errors, model};

/// The words of a command line; single quotes keep blanks.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// `\xFC` as the byte.
fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(part[2..].bytes());
    }
    bytes
}

/// Replaces parts of a file, each given as a line `old -> new`, and makes the checksums beside it again.
fn edit(path: &Path, changes: &str) {
    let mut file = fs::read(path).unwrap();
    for change in changes.lines() {
        let (old, new) = change.split_once(" -> ").expect("old -> new");
        let at = file.windows(old.len()).position(|part| part == old.as_bytes()).expect(old);
        file.splice(at..at + old.len(), new.bytes());
    }
    fs::write(path, file).unwrap();
    let again = "n=$(cut -c67- SHA256SUMS) && sha256sum $n > new && mv new SHA256SUMS";
    assert!(Command::new("sh").args(["-c", again]).current_dir(path.parent().unwrap()).status().unwrap().success());
}

/// A copy of a finished trial.
fn trial(path: &Path) {
    fs::create_dir_all(path).unwrap();
    for file in fs::read_dir(model()).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(file.path(), path.join(file.file_name())).unwrap();
    }
}

/// Makes what a block describes: a file of text ("toml NAME", "csv NAME", ...), "bytes NAME", "pipe NAME",
/// "zeros NAME BYTES", "trial NAME" (one that has finished), or "edit NAME".
fn make(folder: &Path, block: &str, text: &str) {
    let mut head = block.split(' ');
    let (kind, name) = (head.next().unwrap(), head.next().expect("a block of a file has a name"));
    let path = folder.join(name);
    match kind {
        "toml" | "csv" | "bif" | "text" => fs::write(path, text).unwrap(),
        "trial" => trial(&path),
        "edit" => edit(&path, text),
        "bytes" => fs::write(path, bytes(text)).unwrap(),
        "pipe" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "zeros" => File::create(path).unwrap().set_len(head.next().unwrap().parse().unwrap()).unwrap(),
        kind => panic!("no kind of file: {kind}"),
    }
}

/// What a block of commands prints, each with its end.
fn answers(folder: &Path, text: &str) -> String {
    let mut answers = String::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("$ cvae ")) {
        let arguments = words(line);
        let output = cvae(folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
        let said = errors(&output);
        write!(answers, "$ cvae {line}\n{said}[exit code {}]\n", output.status.code().unwrap()).unwrap();
    }
    answers
}

/// The document with the answers that the program gives.
fn answered(document: &str) -> String {
    let mut text = String::new();
    let mut folder = tempfile::tempdir().unwrap();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        writeln!(text, "{line}").unwrap();
        if line.starts_with("## ") {
            folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
        }
        let Some(block) = line.strip_prefix("```") else { continue };
        let inside: String = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        if block == "console" {
            text += &answers(folder.path(), &inside);
        } else {
            make(folder.path(), block, &inside);
            text += &inside;
        }
        text += "```\n";
    }
    text
}

#[test]
fn messages_are_those_of_the_documents() {
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let mut cases = 0;
    for entry in fs::read_dir(documents).unwrap().map(|entry| entry.unwrap().path()) {
        let document = fs::read_to_string(&entry).unwrap();
        let now = answered(&document);
        cases += now.matches("$ cvae ").count();
        if std::env::var_os("CVAE_WRITE_DOCS").is_some() {
            fs::write(&entry, &now).unwrap();
        }
        let differs = document.lines().zip(now.lines()).position(|(one, other)| one != other);
        let line = differs.unwrap_or(document.lines().count().min(now.lines().count()));
        let (one, other) = (document.lines().nth(line), now.lines().nth(line));
        assert!(document == now, "{}:{}: {one:?} is {other:?} now", entry.display(), line + 1);
    }
    assert!(cases > 120, "{cases}");
}
