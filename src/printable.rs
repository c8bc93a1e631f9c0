//! Text from files and names, as a terminal or a chart may show it.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// The text with control and direction characters escaped: printed raw, they could move the cursor, change colours or
/// reorder what stands beside them. Line ends and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let escape =
        |letter: char| if is_hidden(letter) { letter.escape_default().to_string() } else { letter.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// A path as a message shows it: on one line, whatever is in its name.
pub trait ShownPath {
    /// What is shown.
    fn shown(&self) -> impl fmt::Display;
}

impl<P: AsRef<Path> + ?Sized> ShownPath for P {
    fn shown(&self) -> impl fmt::Display {
        one_line(&self.as_ref().to_string_lossy())
    }
}

/// The text with line ends and tabs escaped as well.
pub fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// Whether a character does something other than being seen.
pub fn is_hidden(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        // Zero-width characters, marks of direction and their isolates.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => true,
        // A mark of direction of its own, the soft hyphen, and invisible tags.
        '\u{61c}' | '\u{ad}' | '\u{e0000}'..='\u{e007f}' => true,
        letter => letter.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_escaped_and_all_else_is_kept() {
        assert_eq!(printable("runs/a\tβ = 0.6\n"), "runs/a\tβ = 0.6\n");
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
        assert_eq!(printable("\x1b[31mred\r\u{9b}1m"), "\\u{1b}[31mred\\r\\u{9b}1m");
        assert_eq!(Path::new("runs/a\nerror: b\tc").shown().to_string(), "runs/a\\nerror: b\\tc");
        assert_eq!(printable("a\u{202e}b\u{7f}"), "a\\u{202e}b\\u{7f}");
    }
}
