//! `cvae man`: the manual pages.

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::exit::{BadInput, CODES, Exit};
use super::{Arguments, output, reference};
use crate::experiment::nearest;
use crate::files;
use crate::printable::{ShownPath, one_line};

/// Print a manual page, or write those of all commands into a folder
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae man | man -l -
  cvae man predict | man -l -
  cvae man --markdown > docs/commands.md
  cvae man -o ~/.local/share/man/man1          then: man cvae-predict")]
pub struct Manual {
    /// The command to tell of; the program as a whole if not given
    command: Option<String>,
    /// Folder to write all pages to
    #[arg(short, long, value_name = "DIR", value_parser = super::place(), conflicts_with = "command")]
    output: Option<PathBuf>,
    /// Print all commands as one page of Markdown: docs/commands.md
    #[arg(long, conflicts_with_all = ["command", "output"])]
    markdown: bool,
}

impl Manual {
    /// Prints one page or writes all.
    ///
    /// # Errors
    /// When there is no such command or a page can't be written.
    pub fn run(self) -> anyhow::Result<Exit> {
        if self.markdown {
            output::print(reference::page(&program()).trim_end())?;
            return Ok(Exit::Done);
        }
        let pages = pages()?;
        if let Some(folder) = self.output {
            files::make_folder(&folder)?;
            for (name, text) in &pages {
                files::replace_text(&folder.join(format!("{name}.1")), text)?;
            }
            output::say!("{}: {} pages", folder.shown(), pages.len());
            return Ok(Exit::Done);
        }
        let wanted = self.command.map_or("cvae".to_owned(), |command| format!("cvae-{command}"));
        let page = pages.iter().find(|(name, _)| *name == wanted);
        let (_, text) = page.ok_or_else(|| {
            let commands: Vec<&str> = pages.iter().filter_map(|(name, _)| name.strip_prefix("cvae-")).collect();
            let near = wanted.strip_prefix("cvae-").and_then(|word| nearest(word, commands.iter().copied()));
            let meant = near.map_or(String::new(), |command| format!("; did you mean {command}?"));
            BadInput(format!("no page {}; there are pages of {}{meant}", one_line(&wanted), commands.join(", ")))
        })?;
        output::print(text.trim_end())?;
        Ok(Exit::Done)
    }
}

/// All commands, with usages that name the program.
fn program() -> clap::Command {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    program
}

/// The pages by name: that of the program, then those of its commands.
fn pages() -> io::Result<Vec<(String, String)>> {
    let program = program();
    let commands: Vec<clap::Command> = program.get_subcommands().cloned().collect();
    let named = commands.into_iter().map(|command| (format!("cvae-{}", command.get_name()), command));
    let all = std::iter::once(("cvae".to_owned(), program)).chain(named);
    all.map(|(name, command)| Ok((name.clone(), page(&name, command)?))).collect()
}

/// One page: clap's sections, then what stands after the options, each part under a heading of its own.
fn page(name: &str, command: clap::Command) -> io::Result<String> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (options, commands) = (command.get_arguments().next().is_some(), name == "cvae");
    let parts: Vec<&str> = after.split("\n\n").filter(|part| !part.is_empty()).collect();
    // clap's own synopsis leaves out what options take.
    let usage = command.clone().render_usage().to_string();
    let man = Man::new(command.display_name(name.to_owned()))
        .title(name.to_uppercase())
        .date(env!("CVAE_DATE"))
        .source(concat!("cvae ", env!("CARGO_PKG_VERSION")))
        .manual("cvae");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]);
    for (place, usage) in usage.trim_start_matches("Usage: ").lines().enumerate() {
        if place > 0 {
            synopsis.control("br", []);
        }
        synopsis.text([roman(usage.trim())]);
    }
    synopsis.to_writer(&mut text)?;
    man.render_description_section(&mut text)?;
    if options {
        man.render_options_section(&mut text)?;
    }
    if commands {
        man.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    let examples = parts.iter().find_map(|part| part.strip_prefix("Examples:\n"));
    if let Some(examples) = examples {
        // Lines as they stand: filled, commands would run into each other.
        rest.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.lines() {
            rest.text([roman(line)]);
        }
        rest.control("fi", []);
    }
    let own = parts.iter().find(|part| part.starts_with("Exit codes:"));
    let notes: Vec<&&str> =
        parts.iter().filter(|part| !part.starts_with("Examples:") && !part.starts_with("Exit codes:")).collect();
    if !notes.is_empty() {
        rest.control("SH", ["NOTES"]);
        for (place, note) in notes.into_iter().enumerate() {
            if place > 0 {
                rest.control("PP", []);
            }
            rest.text([roman(note.replace('\n', " "))]);
        }
    }
    rest.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in CODES {
        rest.control("TP", []).text([roman(code)]).text([roman(meaning)]);
    }
    if let Some(own) = own {
        rest.control("PP", []).text([roman(own.replace('\n', " "))]);
    }
    rest.to_writer(&mut text)?;
    if name == "cvae" {
        man.render_version_section(&mut text)?;
    }
    Ok(tidy(&String::from_utf8_lossy(&text)))
}

/// The same page without what `mandoc -Tlint` minds: each section's own preamble, breaks beside space, and long lines.
fn tidy(page: &str) -> String {
    let lines: Vec<&str> = page.lines().map(str::trim_end).collect();
    let (mut text, mut filled) = (String::new(), true);
    for (place, line) in lines.iter().enumerate() {
        let around = |offset: isize| place.checked_add_signed(offset).and_then(|place| lines.get(place)).copied();
        filled = (filled || *line == ".fi") && *line != ".nf";
        let preamble = place > 1 && [".ie \\n", ".el .ds"].iter().any(|begin| line.starts_with(begin));
        // clap_mangen puts an empty line between two breaks.
        let idle = *line == ".br" && (around(-1) == Some("") || around(1) == Some(""));
        match line {
            _ if preamble || idle => {}
            &"" if filled => text += ".sp\n",
            // A heading of options stays in one line.
            line if filled && !line.starts_with(['.', '\'']) && around(-1) != Some(".TP") => text += &wrapped(line),
            line => text += &format!("{line}\n"),
        }
    }
    text
}

/// A line of text broken at blanks, none longer than 80 bytes where that can be; none begins as a request does.
fn wrapped(line: &str) -> String {
    const WIDTH: usize = 80;
    let (mut text, mut width) = (String::new(), 0);
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        let breaks = width + 1 + word.len() > WIDTH && !word.starts_with(['.', '\'']) && !text.ends_with('\\');
        if width > 0 {
            text.push(if breaks { '\n' } else { ' ' });
        }
        width = if breaks || width == 0 { word.len() } else { width + 1 + word.len() };
        text += word;
    }
    text + "\n"
}
