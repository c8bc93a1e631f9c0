//! Options of other programs, and what has their place here.

use clap::CommandFactory;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Arguments;
use crate::experiment::{keys_like, nearest};
use crate::printable::one_line;

/// Adds to an error about an unknown option of `train` or `sweep` the config's key that it probably means, and to one of
/// `help` the command.
pub fn explained(mut error: clap::Error) -> clap::Error {
    // What is shown again of the arguments stays on its line.
    let shown: Vec<_> = error.context().filter_map(|(kind, value)| Some((kind, on_one_line(value)?))).collect();
    for (kind, value) in shown {
        error.insert(kind, value);
    }
    if let (None, Some(ContextValue::String(word))) =
        (error.get(ContextKind::SuggestedSubcommand), error.get(ContextKind::InvalidSubcommand))
    {
        let commands = Arguments::command();
        let near = nearest(word, commands.get_subcommands().map(clap::Command::get_name)).map(str::to_owned);
        if let Some(near) = near {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::String(near));
        }
    }
    if let Some(tip) = tip(&error) {
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
    error
}

/// The same text on one line, where it is not so already.
fn on_one_line(value: &ContextValue) -> Option<ContextValue> {
    match value {
        ContextValue::String(text) if one_line(text) != *text => Some(ContextValue::String(one_line(text))),
        ContextValue::StyledStrs(texts) if texts.iter().any(|text| one_line(&text.to_string()) != text.to_string()) => {
            let shown = texts.iter().map(|text| StyledStr::from(one_line(&text.to_string()))).collect();
            Some(ContextValue::StyledStrs(shown))
        }
        _ => None,
    }
}

fn tip(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return None };
    let ContextValue::StyledStr(usage) = error.get(ContextKind::Usage)? else { return None };
    let usage = usage.to_string();
    let trains = usage.contains("cvae train") || usage.contains("cvae sweep");
    if error.kind() != ErrorKind::UnknownArgument || !trains {
        return None;
    }
    let word = option.strip_prefix("--")?.replace('-', "_");
    let key = keys_like(&word).into_iter().next()?;
    // What may be a slip in an option of this program is taken for one.
    if error.get(ContextKind::SuggestedArg).is_some() && key.rsplit('.').next() != Some(word.as_str()) {
        return None;
    }
    Some(format!("values of the config are replaced by '--set': '--set {key}=VALUE'"))
}
