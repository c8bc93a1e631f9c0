//! Values replaced on the command line or by a sweep: `key=value` with a dotted path as key.

use std::fmt;
use std::str::FromStr;

/// `key=value`; the key is a dotted path.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Dotted path.
    pub key: String,
    /// The value; text that is no TOML value is taken as a string.
    pub value: toml::Value,
}

/// An override without a key or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected key=value, such as training.steps=500")]
pub struct OverrideError;

impl FromStr for Override {
    type Err = OverrideError;

    fn from_str(text: &str) -> Result<Self, OverrideError> {
        let (key, value) = text.split_once('=').ok_or(OverrideError)?;
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() || key.split('.').any(str::is_empty) {
            return Err(OverrideError);
        }
        let parsed = toml::from_str::<toml::Table>(&format!("value = {value}")).ok();
        let value = parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| value.into());
        Ok(Self { key: key.to_owned(), value })
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
    pub(super) fn apply(&self, table: &mut toml::Table) -> Result<(), String> {
        let first = self.key.split('.').next().unwrap_or_default();
        if ["base", "sweep", "provenance"].contains(&first) {
            return Err(format!("{first} is no value of a run; edit the config to change it"));
        }
        let (parents, last) =
            self.key.rsplit_once('.').map_or((None, self.key.as_str()), |(path, key)| (Some(path), key));
        let mut table = table;
        for key in parents.iter().flat_map(|path| path.split('.')) {
            let entry = table.entry(key).or_insert_with(|| toml::Table::new().into());
            table = entry.as_table_mut().ok_or_else(|| format!("{key} is no section"))?;
        }
        table.insert(last.to_owned(), self.value.clone());
        Ok(())
    }
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
        for text in ["seed", "=3", "seed=", "a..b=1"] {
            assert!(text.parse::<Override>().is_err(), "{text}");
        }
    }

    #[test]
    fn sections_are_made_where_they_are_missing_and_never_overwritten() {
        let mut table: toml::Table = toml::from_str("seed = 1").unwrap();
        "model.latent_dim=3".parse::<Override>().unwrap().apply(&mut table).unwrap();
        assert_eq!(table["model"]["latent_dim"].as_integer(), Some(3));
        assert!("seed.x=3".parse::<Override>().unwrap().apply(&mut table).is_err());
    }
}
