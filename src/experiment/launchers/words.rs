//! Command lines: words taken apart as a shell does, and quoted for one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The words of a text, with `'...'`, `"..."` and `\` as in a shell; nothing is expanded.
///
/// # Errors
/// A quote that is not closed, in words.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        None => return Err(format!("a {character} is not closed in: {text}")),
                        Some(next) if next == character => break,
                        Some('\\') if character == '"' => match characters.next() {
                            Some('\n') => {}
                            Some(next @ ('"' | '\\' | '$' | '`')) => word.push(next),
                            next => word.extend(['\\'].into_iter().chain(next)),
                        },
                        Some(next) => word.push(next),
                    }
                }
            }
            '\\' => match characters.next() {
                // The line goes on.
                Some('\n') => {}
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err(format!("a \\ escapes nothing at the end of: {text}")),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A word as bash reads it back, whatever is in it, UTF-8 or not.
pub fn quoted(word: &OsStr) -> Vec<u8> {
    let escaped = word.as_bytes().iter().flat_map(|byte| match byte {
        b'\'' => &b"'\\''"[..],
        other => std::slice::from_ref(other),
    });
    [b"'"].into_iter().flatten().chain(escaped).chain(b"'").copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        let words = split("--time=10  --comment='two words' \"--wckey=a \\\"b\\\"\" c\\ d ''").unwrap();
        assert_eq!(words, ["--time=10", "--comment=two words", "--wckey=a \"b\"", "c d", ""]);
        assert_eq!(split(" \n").unwrap(), Vec::<String>::new());
        assert!(split("--comment='two").unwrap_err().contains("is not closed"));
        assert!(split("--comment=two\\").unwrap_err().contains("escapes nothing"));
        // In double quotes a backslash stands for itself before most characters, and a line goes on after one.
        assert_eq!(split("\"a\\nb\\$c\" d\\\ne 'f\\g'").unwrap(), ["a\\nb$c", "de", "f\\g"]);
    }

    #[test]
    fn quoted_words_come_back_as_they_were() {
        let words = ["plain", "it's", "a b", "\"$HOME\" `x` \\", "two\nlines", "%a", ""].map(str::as_bytes);
        for word in words.into_iter().chain([&b"caf\xe9"[..]]) {
            let script = [b"printf %s ", quoted(OsStr::from_bytes(word)).as_slice()].concat();
            let output = std::process::Command::new("bash").arg("-c").arg(OsStr::from_bytes(&script)).output().unwrap();
            assert_eq!(output.stdout, word);
        }
    }
}
