//! Where in a TOML text a key stands, for errors about its value.

use toml::de::{DeTable, DeValue};

/// Line and column, both from 1, of the value at a dotted path, or of the key if it holds a table.
pub fn locate(text: &str, path: &str) -> Option<(usize, usize)> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut keys = path.split('.').peekable();
    loop {
        let key = keys.next()?;
        let (found, value) = table.iter().find(|(found, _)| found.get_ref().as_ref() == key)?;
        match value.get_ref() {
            DeValue::Table(inner) if keys.peek().is_some() => table = inner,
            DeValue::Table(_) => return Some(position(text, found.span().start)),
            _ if keys.peek().is_none() => return Some(position(text, value.span().start)),
            _ => return None,
        }
    }
}

/// Line and column, both from 1, of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::locate;

    #[test]
    fn values_are_found_in_every_way_of_writing_tables() {
        let text = "seed = 1\n[training]\n  steps = 10\n[beta]\nschedule = \"phased\"\n";
        assert_eq!(locate(text, "seed"), Some((1, 8)));
        assert_eq!(locate(text, "training.steps"), Some((3, 11)));
        assert_eq!(locate(text, "beta.schedule"), Some((5, 12)));
        assert_eq!(locate("beta = { low = 0.1 }", "beta.low"), Some((1, 16)));
        assert_eq!(locate("beta = { \"ü\" = 1, low = 0.1 }", "beta.low"), Some((1, 25)));
        assert_eq!(locate(text, "beta.low"), None);
        assert_eq!(locate("not toml", "seed"), None);
    }
}
