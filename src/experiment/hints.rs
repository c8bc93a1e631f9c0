//! What is wrong with a config in the words of its author, and what was probably meant.

use super::identity::keys;
use super::locate::position;

/// What other programs call things.
const ELSEWHERE: [(&str, &str); 9] = [
    ("batch", "training.batch_size"),
    ("beta", "beta.value"),
    ("epochs", "training.steps"),
    ("hidden_size", "model.hidden_dim"),
    ("kl_weight", "beta.value"),
    ("latent_size", "model.latent_dim"),
    ("lr", "training.learning_rate"),
    ("max_steps", "training.steps"),
    ("z_dim", "model.latent_dim"),
];

/// What other programs call values.
const VALUES: [(&str, &str); 1] = [("gpu", "cuda")];

/// What the parser says of a config's text, with the line, a marker below the place, and a hint.
pub(super) fn explain(text: &str, error: &toml::de::Error) -> String {
    let message = in_plain_words(error.message());
    let Some(span) = error.span() else { return visible(&message) };
    let (number, column) = position(text, span.start);
    let line = text.split('\n').nth(number - 1).unwrap_or_default().trim_end_matches('\r');
    let hint =
        syntax(line).filter(|_| !message.starts_with("unknown")).map_or(String::new(), |hint| format!("; {hint}"));
    // A line may hold 100,000 values.
    const SHOWN: usize = 100;
    let cut = if line.chars().count() > SHOWN { (column - 1).saturating_sub(SHOWN / 2) } else { 0 };
    let shown: String = line.chars().skip(cut).take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let under = (column - 1 - cut).min(shown.chars().count());
    let marked = text.get(span).map_or(1, |marked| marked.chars().count());
    let marker = "^".repeat(marked.clamp(1, (shown.chars().count() - under).max(1)));
    let gutter = " ".repeat(number.to_string().len());
    format!(
        "TOML parse error at line {number}, column {column}\n{gutter} |\n{number} | {shown}\n{gutter} | {}{marker}\n{}{hint}",
        " ".repeat(under),
        visible(&message),
    )
}

/// What a parser says of types and names, in the words of a config's author, with what was probably meant.
pub(super) fn in_plain_words(message: &str) -> String {
    const WORDS: [(&str, &str); 17] = [
        ("invalid type: unit variant, expected string only", "invalid type: list, expected text in quotes"),
        ("invalid type: sequence", "invalid type: list"),
        ("invalid type: map", "invalid type: section"),
        ("expected a sequence", "expected a list"),
        ("expected a string", "expected text in quotes"),
        ("expected a boolean", "expected true or false"),
        ("expected a map", "expected a section of keys"),
        ("expected u64", "expected a whole number from 0 up"),
        ("expected u32", "expected a whole number from 0 up"),
        ("expected usize", "expected a whole number from 0 up"),
        ("expected i64", "expected a whole number"),
        ("expected f64", "expected a number"),
        (" as i128", ""),
        (" as u128", ""),
        ("wanted string or table", "expected text in quotes"),
        ("`base`, `sweep`, `provenance`", "`base`, `sweep`"),
        ("floating point", "number"),
    ];
    let message = WORDS.iter().fold(message.to_owned(), |message, (theirs, ours)| message.replace(theirs, ours));
    // "expected struct DataConfig": the name means nothing outside of the source.
    let message = match message.split_once("expected struct ") {
        Some((before, name)) => {
            let rest = name.trim_start_matches(|letter: char| letter.is_alphanumeric());
            format!("{before}expected a section of keys{rest}")
        }
        None => message,
    };
    match did_you_mean(&message).or_else(|| whole(&message)) {
        Some(hint) => format!("{message}; {hint}"),
        None => message,
    }
}

/// Of "number `1000.0`, expected a whole number from 0 up": the number without its point.
fn whole(message: &str) -> Option<String> {
    let (number, rest) = message.split_once("number `")?.1.split_once('`')?;
    let number: f64 = number.parse().ok()?;
    let fits = number.fract() == 0.0 && (0.0..1e15).contains(&number);
    (fits && rest.starts_with(", expected a whole number"))
        .then(|| format!("whole numbers have no point and no exponent: {number}"))
}

/// Of "unknown field `step`, expected one of `steps`, ...": what was probably meant.
fn did_you_mean(message: &str) -> Option<String> {
    let unknown = message.strip_prefix("unknown field `").or(message.strip_prefix("unknown variant `"))?;
    let (unknown, rest) = unknown.split_once('`')?;
    let expected: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let mut meant: Vec<String> = nearest(unknown, expected.iter().copied()).map(str::to_owned).into_iter().collect();
    if message.starts_with("unknown field") {
        if unknown == "base" {
            return Some("`base` stands at the top of a config, above its first section".to_owned());
        }
        let here = |key: &String| expected.contains(&key.rsplit('.').next().unwrap_or(key));
        // A key of this section is named once, by its likeness or by what other programs call it.
        let named = !meant.is_empty();
        meant.extend(keys_like(unknown).into_iter().filter(|key| !(named && here(key))));
    } else if let Some((_, ours)) = VALUES.iter().find(|(theirs, ours)| *theirs == unknown && expected.contains(ours)) {
        meant = vec![(*ours).to_owned()];
    }
    meant.dedup();
    meant.truncate(3);
    (!meant.is_empty()).then(|| format!("did you mean {}?", alternatives(&meant)))
}

fn alternatives(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
}

/// Keys of a config, with their sections, that a word without or with the wrong section probably means.
pub fn keys_like(word: &str) -> Vec<String> {
    let word = word.rsplit('.').next().unwrap_or(word).to_lowercase().replace('-', "_");
    let last = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
    let sweep = ["seeds", "product", "zip", "chain"].map(|key| (key, format!("sweep.{key}")));
    let own = keys().map(|key| (last(key), key.to_owned()));
    let all: Vec<(&str, String)> = own.chain(sweep).collect();
    let exact: Vec<String> = all.iter().filter(|(name, _)| *name == word).map(|(_, key)| key.clone()).collect();
    if !exact.is_empty() {
        return exact;
    }
    if let Some((_, key)) = ELSEWHERE.iter().find(|(name, _)| *name == word) {
        return vec![(*key).to_owned()];
    }
    let near = nearest(&word, all.iter().map(|(name, _)| *name));
    all.iter().filter(|(name, _)| Some(*name) == near).map(|(_, key)| key.clone()).collect()
}

/// The name that differs least from a word, where it differs by no more than a slip or two.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Of very long words it would take long, and they are no slip.
    if word.len() > 40 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let distance = |name: &str| strsim::damerau_levenshtein(&word, name);
    let most = (word.chars().count() / 3).max(1);
    names.map(|name| (distance(name), name)).filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}

/// A hint for a line that is not TOML, or whose value is not a number.
fn syntax(line: &str) -> Option<String> {
    let (_, value) = line.split_once('=')?;
    let in_list = || {
        let inside = value.split_once('[')?.1.split(']').next()?;
        inside.split(',').find_map(|value| number(value.trim()))
    };
    number(value).or_else(in_list).or_else(|| {
        let word = value.split('#').next().unwrap_or(value).trim();
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(in_word);
        (is_word && !["inf", "nan", "true", "false"].contains(&word))
            .then(|| format!("text stands in quotes: \"{word}\""))
    })
}

/// A hint for a value that looks like a number of another language.
pub(super) fn number(value: &str) -> Option<String> {
    let value = value.split('#').next().unwrap_or(value).trim();
    let digit = |index: Option<usize>| index.and_then(|i| value.as_bytes().get(i)).is_some_and(u8::is_ascii_digit);
    if let Some(at) = value.find("..").filter(|at| digit(at.checked_sub(1))) {
        let begin = value[..at].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |before| before + 1);
        let first: u64 = value[begin..at].parse().ok()?;
        let next = first.saturating_add(1);
        return Some(format!("TOML has no ranges, list every value: [{first}, {next}, ...]"));
    }
    if value.contains("**") || value.find('^').is_some_and(|at| digit(at.checked_sub(1))) {
        return Some("TOML does no arithmetic, write the number itself".to_owned());
    }
    if let Some(percent) = value.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok()) {
        return Some(format!("a share is a number from 0 to 1: {}", percent / 100.0));
    }
    let bare = value.trim_start_matches(['+', '-']);
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = bare.strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return Some(format!("a number has a digit before its point: 0.{rest}"));
    }
    if let Some(whole) = bare.strip_suffix('.').filter(|whole| all_digits(whole)) {
        return Some(format!("a number has a digit after its point: {whole}.0"));
    }
    if let Some((whole, part)) = bare.split_once(',').filter(|(whole, part)| all_digits(whole) && all_digits(part)) {
        return Some(format!("decimals follow a point: {whole}.{part}"));
    }
    if all_digits(bare) && bare.parse::<i64>().is_err() {
        return Some(format!("whole numbers end at {}", i64::MAX));
    }
    None
}

/// A hint for text that stands where a list belongs.
pub(super) fn list(value: &str) -> Option<String> {
    let words: Vec<String> = value.split(',').map(|word| format!("\"{}\"", word.trim())).collect();
    Some(format!("write a list as [{}]", words.join(", ")))
}

/// The same with control characters spelled out, which could otherwise steer a terminal.
pub(super) fn visible(text: &str) -> String {
    let spelled = |c: char| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(spelled).collect()
}

/// The text of a config; where it is no UTF-8, the place.
pub(super) fn utf8(bytes: Vec<u8>) -> Result<String, ((usize, usize), String)> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let place = position(&String::from_utf8_lossy(&bytes[..at]), at);
        let byte = bytes.get(at).copied().unwrap_or_default();
        (place, format!("the byte 0x{byte:02X} is not UTF-8; save the file as UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_taken_for_the_nearest_name_and_words_for_no_name() {
        assert_eq!(nearest("step", ["steps", "samples"].into_iter()), Some("steps"));
        assert_eq!(nearest("btach-size", ["batch_size", "steps"].into_iter()), Some("batch_size"));
        assert_eq!(nearest("colour", ["codes", "steps"].into_iter()), None);
        assert_eq!(keys_like("latent_dim"), ["model.latent_dim"]);
        assert_eq!(keys_like("modle.latent_dim"), ["model.latent_dim"]);
        assert_eq!(keys_like("seed"), ["seed", "data.seed"]);
        assert_eq!(keys_like("epochs"), ["training.steps"]);
        assert!(keys_like("colour").is_empty());
        // The words of other programs are for keys that there are.
        ELSEWHERE.iter().for_each(|(_, key)| assert!(keys().any(|known| known == *key), "{key}"));
    }

    #[test]
    fn numbers_of_other_languages_are_put_into_this_one() {
        let hint = |value: &str| number(value).unwrap_or_default();
        assert!(hint("[1..10]").ends_with("[1, 2, ...]") && hint("3..=7").ends_with("[3, 4, ...]"));
        assert!(hint("2^64-1").contains("no arithmetic") && hint("2**3").contains("no arithmetic"));
        assert!(hint(".5").ends_with("0.5") && hint("-.5e3 # x").ends_with("0.5e3"));
        assert!(hint("0,5").ends_with("0.5") && hint("5.").ends_with("5.0"));
        assert!(hint("10 %").ends_with(": 0.1"));
        assert!(in_plain_words("invalid type: floating point `1000.0`, expected u64").ends_with("exponent: 1000"));
        assert!(hint("18446744073709551615").ends_with("9223372036854775807"));
        assert!(syntax("product = { \"beta.value\" = [1, .5] }").unwrap().ends_with("0.5"));
        assert!(syntax("schedule = constant # x").unwrap().ends_with("\"constant\""));
        for fine in ["0.5", "[1, 2]", "inf", "\"x\"", "7", "1e-3", ""] {
            assert_eq!(number(fine), None, "{fine}");
        }
    }
}
