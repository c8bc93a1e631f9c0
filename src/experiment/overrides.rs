//! Values replaced on the command line or by a sweep: `key=value` with a dotted path as key.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// `key=value`; the key is a dotted path.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Dotted path.
    pub key: String,
    /// The value; text that is not a TOML value is taken as a string.
    pub value: toml::Value,
}

/// Why a text is no override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// It lacks a key or a value, or has several.
    #[error("expected one key=value, such as training.steps=500")]
    Form,
    /// Quotes around what is no name.
    #[error("quotes make one name of a key with dots; write it without them, as in model.latent_dim=3")]
    Quotes,
    /// Its value is a whole number that TOML has no room for.
    #[error("the number is too large; whole numbers end at {}", i64::MAX)]
    Large,
    /// Its value begins like a list, a section or text in quotes, and is none.
    #[error("the value is not TOML; write lists as [1, 2], sections as {{ key = 1 }}, text as \"text\"")]
    Toml,
}

impl FromStr for Override {
    type Err = OverrideError;

    fn from_str(text: &str) -> Result<Self, OverrideError> {
        let (key, value) = parted(text).ok_or(OverrideError::Form)?;
        let (key, value) = (&*plain(key.trim()), value.trim());
        if value.is_empty() || key.split('.').any(str::is_empty) {
            return Err(OverrideError::Form);
        }
        if key.matches('"').count() > 1 && !key.starts_with(NAMES) {
            return Err(OverrideError::Quotes);
        }
        let value = match toml::from_str::<toml::Table>(&format!("value = {value}")) {
            // A second line would be a key of its own.
            Ok(table) if table.len() > 1 => return Err(OverrideError::Form),
            Ok(mut table) => table.remove("value").ok_or(OverrideError::Form)?,
            Err(_) if is_whole(value) => return Err(OverrideError::Large),
            Err(_) if value.starts_with(['[', '{', '"', '\'']) => return Err(OverrideError::Toml),
            Err(_) => value.into(),
        };
        Ok(Self { key: key.to_owned(), value })
    }
}

/// The text before the first `=` that stands in no quotes, and the text after it.
fn parted(text: &str) -> Option<(&str, &str)> {
    let mut open = None;
    let at = text.find(|c| match (c, open) {
        ('=', None) => true,
        ('"' | '\'', None) => {
            open = Some(c);
            false
        }
        (c, Some(quote)) => {
            open = open.filter(|_| c != quote);
            false
        }
        _ => false,
    });
    // Quotes that nothing closes are no quotes.
    let (key, value) = text.split_at(at.or_else(|| text.find('='))?);
    Some((key, &value[1..]))
}

/// A dotted path without the quotes that TOML allows around its parts; parts that hold a dot keep theirs.
fn plain(key: &str) -> Cow<'_, str> {
    let nested = || {
        let mut table = toml::from_str::<toml::Table>(&format!("{key} = 0")).ok()?;
        let mut parts = Vec::new();
        loop {
            let (part, value) = table.into_iter().next()?;
            parts.push(part);
            match value {
                toml::Value::Table(inner) => table = inner,
                _ => return Some(parts),
            }
        }
    };
    let quoted = key.contains(['"', '\'']);
    match quoted.then(nested).flatten() {
        Some(parts) if parts.iter().all(|part| !part.is_empty() && !part.contains('.')) => parts.join(".").into(),
        _ => key.into(),
    }
}

/// Whether a text is a whole number, however large; those that TOML does not take for one begin with a 0.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.starts_with('0') && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl Override {
    /// A value for a key, a dotted path.
    pub fn new(key: &str, value: toml::Value) -> Self {
        Self { key: key.to_owned(), value }
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            toml::Value::String(text) => write!(f, "{}={text}", self.key),
            value => write!(f, "{}={value}", self.key),
        }
    }
}

impl Override {
    /// The single values that it replaces, with their dotted paths: those in a section leave the section's other
    /// keys as they are.
    pub(super) fn leaves(&self) -> Vec<(String, &toml::Value)> {
        fn gather<'v>(path: String, value: &'v toml::Value, leaves: &mut Vec<(String, &'v toml::Value)>) {
            match value {
                toml::Value::Table(section) => {
                    section.iter().for_each(|(key, value)| gather(format!("{path}.{key}"), value, leaves));
                }
                value => leaves.push((path, value)),
            }
        }
        let mut leaves = Vec::with_capacity(1);
        gather(self.key.clone(), &self.value, &mut leaves);
        leaves
    }

    /// Whether it replaces the value of this key.
    pub fn gives(&self, key: &str) -> bool {
        self.key == key || (key.starts_with(&self.key) && self.leaves().iter().any(|(path, _)| path == key))
    }

    pub(super) fn apply(&self, table: &mut toml::Table) -> Result<(), String> {
        let first = self.key.split('.').next().unwrap_or_default();
        if ["base", "sweep", "provenance"].contains(&first) {
            return Err(format!("{first} is no value of a run; edit the config to change it"));
        }
        let leaves = self.leaves();
        if leaves.is_empty() {
            return Err(format!("a section without keys replaces nothing; write {}.KEY=VALUE", self.key));
        }
        leaves.into_iter().try_for_each(|(path, value)| put(table, &path, value))
    }
}

/// The section whose keys are names from a file, which may hold dots.
const NAMES: &str = "data.bins";

/// A name without the quotes that TOML needs around one with dots or blanks.
fn unquoted(name: &str) -> &str {
    let within = |quote| name.strip_prefix(quote).and_then(|name| name.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(name)
}

/// Puts a value in its place, and makes the sections around it where they are missing.
fn put(mut table: &mut toml::Table, path: &str, value: &toml::Value) -> Result<(), String> {
    let (sections, last) = match path.strip_prefix(NAMES).and_then(|rest| rest.strip_prefix('.')) {
        Some(name) => (Some(NAMES), unquoted(name)),
        None => path.rsplit_once('.').map_or((None, path), |(sections, last)| (Some(sections), last)),
    };
    for key in sections.iter().flat_map(|path| path.split('.')) {
        let entry = table.entry(key).or_insert_with(|| toml::Table::new().into());
        table = entry.as_table_mut().ok_or_else(|| format!("{key} is no section"))?;
    }
    table.insert(last.to_owned(), value.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_toml_where_they_can_be_and_text_where_not() {
        let parse = |text: &str| text.parse::<Override>().unwrap();
        assert_eq!(parse("a.b = 3").value, toml::Value::Integer(3));
        assert_eq!(parse("a=[1, 2]").value.as_array().map(Vec::len), Some(2));
        assert_eq!(parse("beta.schedule=constant").value.as_str(), Some("constant"));
        assert_eq!(parse("a.b = 3").to_string(), "a.b=3");
        for quoted in ["\"a\".\"b\"=3", "'a'.b = 3", "a . \"b\" = 3"] {
            assert_eq!(parse(quoted), parse("a.b=3"), "{quoted}");
        }
        assert_eq!(parse("data.bins.\"c.d\"=3").key, "data.bins.\"c.d\"");
        for text in ["seed", "=3", "seed=", "a..b=1", "seed=1\nthreads=2", "seed=1\n[beta]\nlow=0"] {
            assert_eq!(text.parse::<Override>(), Err(OverrideError::Form), "{text}");
        }
        assert_eq!(parse("a=[1,\n2] # two").value.as_array().map(Vec::len), Some(2));
        for text in ["seed=99999999999999999999", "seed=-9223372036854775809", "seed=+18446744073709551615"] {
            assert_eq!(text.parse::<Override>(), Err(OverrideError::Large), "{text}");
        }
        assert_eq!(parse("seed=9223372036854775807").value.as_integer(), Some(i64::MAX));
        assert_eq!(parse("a=-").value.as_str(), Some("-"));
        for text in ["seeds=[1..10]", "model={latent_dim=4", "a=\"x"] {
            assert_eq!(text.parse::<Override>(), Err(OverrideError::Toml), "{text}");
        }
    }

    #[test]
    fn sections_are_made_where_they_are_missing_and_never_overwritten() {
        let mut table: toml::Table = toml::from_str("seed = 1").unwrap();
        "model.latent_dim=3".parse::<Override>().unwrap().apply(&mut table).unwrap();
        assert_eq!(table["model"]["latent_dim"].as_integer(), Some(3));
        assert!("seed.x=3".parse::<Override>().unwrap().apply(&mut table).is_err());
    }

    #[test]
    fn names_of_columns_are_one_key_each_whatever_is_in_them() {
        let mut table: toml::Table = toml::from_str("[data.bins]\nage = 3\n").unwrap();
        for set in ["data.bins.a.b=1", "data.bins.\"c = d\"=2", "data.bins={ 'e.f' = 3 }", "data={ bins.g = 4 }"] {
            set.parse::<Override>().unwrap().apply(&mut table).unwrap();
        }
        let bins: toml::Table = toml::from_str("age = 3\n'a.b' = 1\n'c = d' = 2\n'e.f' = 3\ng = 4").unwrap();
        assert_eq!(table["data"]["bins"].as_table(), Some(&bins));
        assert_eq!("a.\"b=1".parse::<Override>().unwrap().key, "a.\"b");
    }

    #[test]
    fn a_section_replaces_what_it_names_and_no_more() {
        let mut table: toml::Table = toml::from_str("[model]\nlatent_dim = 2\nhidden_dim = 16\n").unwrap();
        let mut apply = |set: &str| set.parse::<Override>().unwrap().apply(&mut table).map(|()| table.clone());
        let model = apply("model={ latent_dim = 4 }").unwrap()["model"].clone();
        assert_eq!(model, toml::from_str::<toml::Value>("latent_dim = 4\nhidden_dim = 16").unwrap());
        let model = apply("model={ hidden_dim = 8, x.y = 1 }").unwrap()["model"].clone();
        assert_eq!(model, toml::from_str::<toml::Value>("latent_dim = 4\nhidden_dim = 8\nx.y = 1").unwrap());
        assert!(apply("model={}").unwrap_err().contains("model.KEY=VALUE"));
    }
}
