//! `cvae man`: the manual pages.

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::exit::{BadInput, Exit};
use super::{Arguments, output};
use crate::files;

/// Print a manual page, or write those of all commands into a folder
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae man | man -l -
  cvae man predict | man -l -
  cvae man -o ~/.local/share/man/man1          then: man cvae-predict")]
pub struct Manual {
    /// The command to tell of; the program as a whole if not given
    command: Option<String>,
    /// Folder to write all pages to
    #[arg(short, long, value_name = "DIR", value_parser = super::path, conflicts_with = "command")]
    output: Option<PathBuf>,
}

impl Manual {
    /// Prints one page or writes all.
    ///
    /// # Errors
    /// When there is no such command or a page can't be written.
    pub fn run(self) -> anyhow::Result<Exit> {
        let pages = pages()?;
        if let Some(folder) = self.output {
            files::make_folder(&folder)?;
            for (name, text) in &pages {
                files::replace_text(&folder.join(format!("{name}.1")), text)?;
            }
            output::say!("{}: {} pages", folder.display(), pages.len());
            return Ok(Exit::Done);
        }
        let wanted = self.command.map_or("cvae".to_owned(), |command| format!("cvae-{command}"));
        let page = pages.iter().find(|(name, _)| *name == wanted);
        let (_, text) = page.ok_or_else(|| {
            let commands: Vec<&str> = pages.iter().filter_map(|(name, _)| name.strip_prefix("cvae-")).collect();
            BadInput(format!("no page {wanted}; there are pages of {}", commands.join(", ")))
        })?;
        output::print(text.trim_end())?;
        Ok(Exit::Done)
    }
}

/// The pages by name: that of the program, then those of its commands.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let commands: Vec<clap::Command> = program.get_subcommands().cloned().collect();
    let named = commands.into_iter().map(|command| (format!("cvae-{}", command.get_name()), command));
    let all = std::iter::once(("cvae".to_owned(), program)).chain(named);
    all.map(|(name, command)| {
        // Without dates, which would make every build's pages others.
        let mut text = Vec::new();
        Man::new(command.display_name(name.clone())).title(&name).render(&mut text)?;
        Ok((name, String::from_utf8_lossy(&text).into_owned()))
    })
    .collect()
}
