//! The command reference in Markdown, `docs/commands.md`, from the arguments as clap knows them.

use std::fmt::Write;

use clap::{Arg, Command};

use super::exit::CODES;

/// The whole page. `program` is built, so that usages name it.
pub fn page(program: &Command) -> String {
    let mut page =
        "# Commands\n\n<!-- Written by `cvae man --markdown`; `make docs` writes it again. -->\n\n".to_owned();
    page += &paragraphs(program);
    page += "\n| command | does |\n|---|---|\n";
    let commands = || program.get_subcommands().filter(|command| !command.is_hide_set());
    for command in commands() {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        page += &format!("| [`cvae {name}`](#cvae-{name}) | {} |\n", cell(&about));
    }
    page += "\n`-` stands for standard input or output.\n\n## Exit codes\n\n| exit code | meaning |\n|---|---|\n";
    for (code, meaning) in CODES {
        page += &format!("| {code} | {} |\n", cell(meaning));
    }
    page += "\nA missing file or folder counts as 1, a missing config as 2. No command leaves a file half written: what was \
             there before stays.\n";
    for command in commands() {
        section(&mut page, command, "##", command.get_name()).expect("text can be written to a string");
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            let name = format!("{} {}", command.get_name(), inner.get_name());
            section(&mut page, inner, "###", &name).expect("text can be written to a string");
        }
    }
    page
}

/// What a command is for, its usage, arguments, options, examples and notes.
fn section(page: &mut String, command: &Command, level: &str, name: &str) -> std::fmt::Result {
    write!(page, "\n{level} cvae {name}\n\n{}", paragraphs(command))?;
    let usage = command.clone().render_usage().to_string();
    write!(page, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage: "))?;
    let shown = |argument: &&Arg| !argument.is_hide_set() && argument.get_id() != "help";
    for (title, positional) in [("argument", true), ("option", false)] {
        let rows = command.get_arguments().filter(shown).filter(|argument| argument.is_positional() == positional);
        let rows: Vec<String> = rows.map(row).collect();
        if !rows.is_empty() {
            write!(page, "\n| {title} | meaning | default |\n|---|---|---|\n{}", rows.concat())?;
        }
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for part in after.split("\n\n").filter(|part| !part.is_empty()) {
        match part.strip_prefix("Examples:\n") {
            Some(examples) => {
                let lines: Vec<String> = examples.lines().map(example).collect();
                write!(page, "\n```sh\n{}\n```\n", lines.join("\n"))?;
            }
            None => write!(page, "\n{}\n", escaped(&part.replace('\n', " ")))?,
        }
    }
    Ok(())
}

/// A line of examples; what is said of a command stands some blanks after it.
fn example(line: &str) -> String {
    match line.trim_start().split_once("   ") {
        Some((command, remark)) => format!("{command}  # {}", remark.trim_start()),
        None => line.trim_start().to_owned(),
    }
}

/// The long description, else the short one, without the exit codes, of which there is a table.
fn paragraphs(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let parts: Vec<&str> = about.split("\n\n").filter(|part| !part.starts_with("Exit codes:")).collect();
    format!("{}\n", escaped(&parts.join("\n\n")))
}

/// The row of an argument: how it is written, what it means with its possible values, its default.
fn row(argument: &Arg) -> String {
    let value = argument.get_value_names().and_then(|names| names.first()).map(|name| format!(" <{name}>"));
    let value = value.filter(|_| argument.get_action().takes_values()).unwrap_or_default();
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let mut names: Vec<String> = short.into_iter().chain(long).collect();
    match names.last_mut() {
        Some(last) => *last += &value,
        None => names.push(value.trim().to_owned()),
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let (mut meaning, mut default) = (cell(&help), String::new());
    if argument.get_action().takes_values() {
        let values = argument.get_possible_values();
        let values = values.iter().filter(|value| !value.is_hide_set()).map(|value| {
            let help = value.get_help().map(|help| format!(": {}", cell(&help.to_string()))).unwrap_or_default();
            format!("`{}`{help}", value.get_name())
        });
        let values: Vec<String> = values.collect();
        if !values.is_empty() {
            meaning += &format!("<br>One of {}", values.join("; "));
        }
        let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if defaults.iter().any(|value| !value.is_empty()) {
            default = format!("`{}`", defaults.join(","));
        }
    }
    format!("| {} | {meaning} | {default} |\n", names.join(", "))
}

/// Text of a table's cell, in one line.
fn cell(text: &str) -> String {
    escaped(text).replace('\n', " ").replace('|', "\\|")
}

/// Text in which angle brackets are no tags, except between backticks, where they are none anyway.
fn escaped(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(place, part)| if place % 2 == 0 { part.replace('<', "\\<") } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("`")
}
