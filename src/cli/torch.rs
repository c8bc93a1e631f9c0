//! Handing a command to `cvae-torch`, the program that has the other engine.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;

use super::output;
use crate::experiment::{Config, NeedsTorch, needs_torch, torch_program};
use crate::model::engine;
use crate::printable::ShownPath;

/// Goes on as `cvae-torch`, with the same arguments, where a config asks for it and this program is not it.
///
/// # Errors
/// When it is missing and the built-in engine will not do.
pub(super) fn hand_over_if_needed(config: &Config) -> anyhow::Result<()> {
    needs_torch(config).map_or(Ok(()), hand_over)
}

/// The same where something else than a config asks for it.
///
/// # Errors
/// As [`hand_over_if_needed`].
pub(super) fn hand_over(need: NeedsTorch) -> anyhow::Result<()> {
    if engine::installed().is_some() {
        return Ok(());
    }
    let program = torch_program().context("cannot tell where this program lies")?;
    if !program.exists() {
        if need.optional {
            output::say!("a GPU was found, but cvae-torch is not built (make torch): training on the CPU");
            return Ok(());
        }
        anyhow::bail!(
            "{} needs {}, which is missing; build it with make torch, or set device = \"cpu\" and engine = \"builtin\"",
            need.key,
            program.shown()
        );
    }
    output::say!("{}: starting {}", need.key, program.shown());
    let mut words = std::env::args_os();
    let mut command = Command::new(&program);
    // The same name, so that help and errors speak of the program that was called.
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    let error = command.args(words).exec();
    Err(error).with_context(|| format!("cannot start {}; make torch builds it again", program.shown()))
}
