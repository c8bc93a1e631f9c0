//! Options of other programs, and what has their place here.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::experiment::keys_like;

/// Adds to an error about an unknown option of `train` or `sweep` the config's key that it probably means.
pub fn explained(mut error: clap::Error) -> clap::Error {
    if let Some(tip) = tip(&error) {
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
    error
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
