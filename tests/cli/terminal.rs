//! What a terminal shows: tables that fit, no character that steers it, no bar that is left behind.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{code, errors, folder, model, run, text};

/// What a terminal of so many columns is sent by a script of bash in which `$0` is the program and `$1` a small model.
fn terminal(folder: &Path, columns: usize, script: &str) -> String {
    let script = script.replace("$0", env!("CARGO_BIN_EXE_cvae")).replace("$1", model().to_str().unwrap());
    let output = Command::new("script")
        .current_dir(folder)
        .args(["-qec", &format!("stty cols {columns} rows 30; {script}"), "/dev/null"])
        .env("NO_COLOR", "1")
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the program script, of util-linux");
    text(&output)
}

/// The longest line, without the sequences that move the cursor.
fn widest(shown: &str) -> usize {
    let lines = shown.split(['\n', '\r']).map(|line| {
        let mut parts = line.split("\x1b[");
        let first = parts.next().unwrap_or_default().chars().count();
        // A sequence ends with a letter.
        let rest = |part: &str| part.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).chars().skip(1).count();
        first + parts.map(rest).sum::<usize>()
    });
    lines.max().unwrap_or(0)
}

#[test]
fn tables_fit_the_terminal() {
    let folder = folder();
    let long = format!("[MON] [DEC] [False] [196] {}", "x".repeat(300));
    fs::write(folder.path().join("out.txt"), format!("{long}\n[MON] [DEC] [False] [196] 3-12-1962\n")).unwrap();
    fs::write(folder.path().join("small.csv"), "a,b\n1,x\n1,y\n2,x\n").unwrap();
    for columns in [40, 60, 80, 100] {
        for command in [
            "compare $1",
            "eval out.txt",
            "inspect --all -n 1 --codes 2 --model $1",
            "inspect --latent -n 1 --codes 2 --model $1",
            "inspect --angles --model $1",
            "inspect --by-column --codes 2 --model $1",
            "runs show $1",
            "score small.csv small.csv --given a",
        ] {
            if columns != 60 && command.starts_with("inspect") {
                continue;
            }
            let shown = terminal(folder.path(), columns, &format!("$0 {command} 2> /dev/null"));
            // The lines above, in and below a table are as wide as the table.
            let rules = shown.lines().filter(|line| line.contains('─') || line.contains('═'));
            let widest = rules.map(|line| line.trim_end().chars().count()).max().unwrap_or(0);
            assert!((10..=columns).contains(&widest), "{columns} {command}: {widest}\n{shown}");
        }
    }
    let wide = terminal(folder.path(), 60, "$0 compare $1 --wide");
    assert!(widest(&wide) > 100, "{wide}");
    let narrow = terminal(folder.path(), 60, "$0 compare $1");
    assert!(narrow.contains("--wide shows all"), "{narrow}");
}

#[test]
fn a_name_with_line_ends_forges_no_line() {
    let folder = folder();
    let name = "a\nerror: forged\tb";
    let (key, option) = (format!("{name}=1"), format!("--{name}"));
    for command in [
        vec!["train", name],
        vec!["eval", name],
        vec!["predict", "-i", name, "-"],
        vec!["predict", "-i", "-", "-", "--model", name],
        vec!["compare", name],
        vec!["plot", name],
        vec!["runs", "show", name],
        vec!["score", name, name, "--given", "a"],
        vec!["train", "--table", name, "--given", "a"],
        vec!["train", "--network", name, "--given", "a"],
        vec![name],
        vec!["man", name],
        vec!["train", "--set", &key],
        vec!["compare", ".", &option],
        vec!["compare", ".", "--sort", name],
    ] {
        let said = run(folder.path(), &command);
        let said = errors(&said);
        assert!(said.contains("forged") && said.lines().all(|line| !line.starts_with("error: forged")), "{said}");
    }
}

#[test]
fn nothing_that_is_printed_steers_the_terminal() {
    let folder = folder();
    let escape = "\u{1b}[31m\u{9b}1m\u{202e}";
    let hidden = |said: &str| said.contains('\u{1b}') || said.contains('\u{9b}') || said.contains('\u{202e}');
    let line = format!("[MON] [DEC] [False] [196] {escape}");
    fs::write(folder.path().join("out.txt"), format!("{line}\n{escape}\n")).unwrap();
    fs::write(folder.path().join("good.txt"), format!("{line}\n")).unwrap();
    fs::write(folder.path().join("bad.toml"), format!("seed = \"{escape}\"\n")).unwrap();
    fs::write(folder.path().join(format!("{escape}.toml")), "seed = true\n").unwrap();
    fs::write(folder.path().join("grid.toml"), "base = \"tiny.toml\"\n[sweep]\nseeds = [1]\n").unwrap();
    let dry = text(&run(folder.path(), &["sweep", "grid.toml", "--dry-run"]));
    let trial = dry.lines().next().unwrap().split_whitespace().last().unwrap().to_owned();
    let trial = folder.path().join("runs/grid").join(trial);
    fs::create_dir_all(&trial).unwrap();
    fs::write(trial.join("error.txt"), format!("{escape}\n")).unwrap();
    let model = model();
    let model = model.to_str().unwrap();
    let row = format!("a,{escape}\n{escape},1\nx,2\ny,1\n");
    fs::write(folder.path().join("t.csv"), &row).unwrap();
    fs::write(folder.path().join("ragged.csv"), format!("{row}1,2,{escape}\n")).unwrap();
    fs::write(folder.path().join("twice.csv"), format!("a,{escape},{escape}\n1,2,3\n")).unwrap();
    let variable = "variable v { type discrete [ 2 ] { a, b }; }";
    for (name, network) in [
        ("word.bif", escape.to_owned()),
        ("kind.bif", format!("network n {{ }}\nvariable v {{ type {escape} [ 2 ] {{ a, b }}; }}")),
        ("parent.bif", format!("network n {{ }}\n{variable}\nprobability ( v | \"{escape}\" ) {{ table 1, 0; }}")),
    ] {
        fs::write(folder.path().join(name), network).unwrap();
    }
    let short = ["--set", "training.batch_size=2", "--set", "objective.codes=2", "--set", "data.held_out=0.34"];
    let table = [&["train", "tiny.toml", "--table", "t.csv", "--given", "a", "-o", "table"][..], &short].concat();
    assert_eq!(code(&run(folder.path(), &table)), 0);
    let odd = format!("runs/{escape}/{escape}");
    fs::create_dir_all(folder.path().join("runs").join(escape)).unwrap();
    assert!(Command::new("cp").args(["-r", model]).arg(folder.path().join(&odd)).status().unwrap().success());
    let (asked, bins) = (format!("a={escape}"), format!("{escape}=3"));
    let named = format!("{escape}.toml");
    let set = format!("seed={escape}");
    for arguments in [
        &["eval", "out.txt"][..],
        &["eval", "good.txt"],
        &["predict", "-i", "out.txt", "-"],
        &["train", "bad.toml"],
        &["train", &named],
        &["train", "tiny.toml", "--set", &set],
        &["train", "tiny.toml", "--set", escape],
        &["sweep", "grid.toml", "--status"],
        &["sweep", "grid.toml", "--dry-run"],
        &["sweep", "grid.toml"],
        &["compare", escape],
        &["plot", escape],
        &["migrate", escape],
        &[escape],
        &["man", escape],
        &["inspect", escape],
        &["data", "-o", escape, "--from", "2000", "--to", "2000"],
        &["runs"],
        &["runs", "show", &odd],
        &["runs", "show", escape],
        &["runs", "rm", &odd],
        &["watch", "--once", "runs"],
        &["watch", escape],
        &["compare", &odd],
        &["compare", &odd, "--csv"],
        &["compare", &odd, "--markdown"],
        &["export", "runs", "--to", "jsonl", "-o", escape],
        &["export", escape, "--to", "jsonl", "-o", "exported"],
        &["plot", "--logs", &odd, "-o", escape],
        &["page", &odd, "--model", &odd, "-o", escape],
        &["page", escape, "-o", "page.html"],
        &["train", "tiny.toml", "--from", escape],
        &["train", "--table", escape, "--given", "a"],
        &["train", "--table", "t.csv", "--given", escape, "--bins", &bins],
        &["score", "t.csv", "t.csv", "--given", "a"],
        &["score", "t.csv", "t.csv", "--given", "a", "--json"],
        &["score", "t.csv", "t.csv", "--given", escape],
        &["score", "t.csv", "good.txt", "--given", "a"],
        &["score", "ragged.csv", "t.csv", "--given", "a"],
        &["score", "twice.csv", "t.csv", "--given", "a"],
        &["score", escape, escape],
        &["score", "word.bif", "t.csv", "--given", "v"],
        &["score", "kind.bif", "t.csv", "--given", "v"],
        &["score", "parent.bif", "t.csv", "--given", "v"],
        &["eval", "t.csv", "--model", "table", "--json"],
        &["inspect", &asked, "--model", "table"],
        &["inspect", escape, "--model", "table"],
        &["inspect", "--all", "--model", "table"],
        &["predict", "-i", "good.txt", "-", "--model", "table"],
    ] {
        let output = run(folder.path(), arguments);
        assert!(output.status.code().is_some());
        assert!(!hidden(&text(&output)) && !hidden(&errors(&output)), "{arguments:?}: {output:?}");
    }
}

#[test]
fn what_a_pipe_takes_as_it_is_a_terminal_is_shown_escaped() {
    let folder = folder();
    let line = "[MON] [DEC] [False] [196] \u{1b}[31m\u{9b}1m";
    fs::write(folder.path().join("in.txt"), format!("{line}\n")).unwrap();
    let copied = run(folder.path(), &["predict", "-i", "in.txt", "-", "--keep-going"]);
    assert_eq!((code(&copied), text(&copied).trim_end()), (3, line));
    let shown = terminal(folder.path(), 200, "$0 predict -i in.txt - --keep-going");
    assert!(shown.contains("[196] \\u{1b}[31m\\u{9b}1m") && !shown.contains('\u{9b}'), "{shown:?}");
    let shown = terminal(folder.path(), 200, "$0 train tiny.toml --print-folder --runs \"$(printf 'a\\033[31m')\"");
    assert!(shown.contains("a\\u{1b}[31m/tiny/") && !shown.contains("\u{1b}[31m"), "{shown:?}");
}

#[test]
fn lists_of_trials_fit_the_terminal_and_go_whole_to_a_pipe() {
    let folder = folder();
    let trial = folder.path().join("runs/experiment/trial");
    fs::create_dir_all(&trial).unwrap();
    for entry in fs::read_dir(model()).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(entry.path(), trial.join(entry.file_name())).unwrap();
    }
    for command in ["runs", "watch --once runs"] {
        for columns in [60, 80, 120] {
            let shown = terminal(folder.path(), columns, &format!("$0 {command} 2>/dev/null"));
            assert!(widest(&shown) <= columns && shown.contains("experiment"), "{columns} {command}: {shown}");
        }
        let whole = text(&run(folder.path(), &command.split(' ').collect::<Vec<_>>()));
        assert!(whole.lines().any(|line| line.chars().count() > 80) || command == "runs", "{whole}");
        assert!(whole.contains("experiment/trial"), "{whole}");
    }
}

#[test]
fn what_a_failed_run_keeps_steers_no_terminal() {
    let folder = folder();
    let escape = "\u{1b}[31m";
    let grid = "base = \"tiny.toml\"\ndata = { table = \"t.csv\", given = [\"a\"] }\n[sweep]\nseeds = [1]\n";
    fs::write(folder.path().join("grid.toml"), grid).unwrap();
    fs::write(folder.path().join("t.csv"), format!("{escape},b\n1,2\n")).unwrap();
    // A task of a scheduler looks at its data when it begins.
    let task = ["train", "grid.toml", "--task", "-o", "runs/grid/a"];
    assert_eq!(code(&run(folder.path(), &task)), 1);
    let trial = fs::read_dir(folder.path().join("runs/grid")).unwrap().flatten().map(|entry| entry.path());
    let trial = trial.into_iter().find(|path| path.is_dir()).unwrap();
    for name in ["error.txt", "log.txt"] {
        let kept = fs::read_to_string(trial.join(name)).unwrap();
        assert!(kept.contains("\\u{1b}[31m") && !kept.contains('\u{1b}'), "{name}: {kept:?}");
    }
}

#[test]
fn a_sweep_tells_how_good_each_trial_is() {
    let folder = folder();
    fs::write(folder.path().join("grid.toml"), "base = \"tiny.toml\"\n[sweep]\nseeds = [1]\n").unwrap();
    let output = run(folder.path(), &["sweep", "grid.toml"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let said = errors(&output);
    let line = said.lines().find(|line| line.starts_with("finished  ")).unwrap_or_default();
    assert!(line.contains(" % greedy, ") && line.contains(" % sampled, ") && line.contains(" % held out"), "{said}");
}

#[test]
fn bars_are_gone_when_a_command_ends_however_it_does() {
    let folder = folder();
    fs::write(folder.path().join("grid.toml"), "base = \"tiny.toml\"\n[sweep]\nseeds = [1, 2]\n").unwrap();
    let long = "--set training.steps=1000000 --set evaluation.every=1000000";
    for (command, end) in [
        (format!("timeout -s INT 3 $0 train tiny.toml -o run {long}"), "goes on from there"),
        (format!("timeout -s INT 3 $0 sweep grid.toml --jobs 2 {long}"), "goes on from there"),
        ("timeout -s INT 3 $0 predict -i in.txt out.txt -n 1000000 --model $1".to_owned(), "interrupted"),
    ] {
        fs::write(folder.path().join("in.txt"), "[MON] [DEC] [False] [196]\n".repeat(1000)).unwrap();
        let shown = terminal(folder.path(), 70, &command);
        assert!(shown.contains('━') || shown.contains('─') || shown.contains('╸'), "no bar: {shown:?}");
        assert!(shown.contains(end), "{command}: {shown:?}");
        // What stands on the screen at the end: every bar has been cleared.
        let left = screen(&shown, 70);
        assert!(!left.contains('━') && !left.contains('╸'), "{command}: {left}");
    }
}

/// What a terminal of so many columns shows after these bytes: enough of one for what bars do.
fn screen(bytes: &str, columns: usize) -> String {
    let (mut lines, mut row, mut column) = (vec![Vec::new()], 0usize, 0usize);
    let mut letters = bytes.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' => column = 0,
            '\n' => {
                row += 1;
                if row == lines.len() {
                    lines.push(Vec::new());
                }
            }
            '\x1b' if letters.peek() == Some(&'[') => {
                letters.next();
                let mut number = String::new();
                let command = loop {
                    match letters.next() {
                        Some(letter) if letter.is_ascii_alphabetic() => break letter,
                        Some(letter) => number.push(letter),
                        None => break ' ',
                    }
                };
                let count = number.parse().unwrap_or(1);
                match command {
                    'A' => row = row.saturating_sub(count),
                    'B' => row = (row + count).min(lines.len() - 1),
                    'C' => column = (column + count).min(columns - 1),
                    'D' => column = column.saturating_sub(count),
                    'G' => column = count.saturating_sub(1),
                    'K' if number == "2" => lines[row].clear(),
                    'K' => lines[row].truncate(column),
                    'J' => {
                        lines[row].truncate(column);
                        lines.truncate(row + 1);
                    }
                    _ => {}
                }
            }
            letter => {
                if column == columns {
                    (row, column) = (row + 1, 0);
                    if row == lines.len() {
                        lines.push(Vec::new());
                    }
                }
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = letter;
                column += 1;
            }
        }
    }
    lines.iter().map(|line| line.iter().collect::<String>() + "\n").collect()
}
