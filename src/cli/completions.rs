//! `cvae completions`: what a shell needs to complete this program's arguments.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::Exit;
use super::{Arguments, output};

/// Print a script that completes commands and options in a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cvae completions bash > ~/.local/share/bash-completion/completions/cvae
  cvae completions zsh > ~/.zfunc/_cvae          with ~/.zfunc in $fpath
  cvae completions fish > ~/.config/fish/completions/cvae.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn run(self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "cvae", &mut script);
        output::print(String::from_utf8_lossy(&script).trim_end())?;
        Ok(Exit::Done)
    }
}
