//! Tests of small networks against probabilities computed by hand.

use super::*;

const RAIN: &str = r#"// A comment
network rain { property version 1; }
variable grass { type discrete [ 2 ] { wet, dry }; }
variable rain { type discrete[2] { "yes", "no" }; property position = (1, 2); }
variable sprinkler { type discrete [ 2 ] { on, off }; }
probability ( rain ) { table 0.2, 0.8; }
probability ( sprinkler | rain ) { (yes) 0.01, 0.99; (no) 0.4, 0.6; }
/* wet is certain where both are there */
probability ( grass | sprinkler, rain ) {
  default 0.9, 0.1;
  (on, yes) 1.0, 0.0;
  (off, no) 0.0, 1.0;
}
"#;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn truth(text: &str, given: &[&str], generate: &[&str]) -> Result<Truth, NetworkError> {
    Network::parse(text)?.truth(&names(given), &names(generate))
}

fn error(text: &str) -> String {
    Network::parse(text).unwrap_err().to_string()
}

#[test]
fn probabilities_given_an_effect_are_those_of_bayes() {
    let truth = truth(RAIN, &["grass"], &[]).unwrap();
    let columns: Vec<&str> = truth.schema().columns().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["grass", "rain", "sprinkler"], "parents before children");
    // Joint: wet with rain and sprinkler .2 x .01, with rain alone .2 x .99 x .9, with the sprinkler alone .8 x .4 x .9.
    let wet = [0.002, 0.2 * 0.99 * 0.9, 0.8 * 0.4 * 0.9];
    let mass: f64 = wet.iter().sum();
    assert!((truth.mass(0) - mass).abs() < 1e-12);
    for (p, joint) in truth.probabilities(0).iter().zip(wet) {
        assert!((p - joint / mass).abs() < 1e-12);
    }
    assert_eq!(truth.generated(0).collect::<Vec<_>>(), [&[0, 0][..], &[0, 1], &[1, 0]]);
    assert!((truth.mass(0) + truth.mass(1) - 1.0).abs() < 1e-12);
}

#[test]
fn variables_in_neither_list_are_summed_out() {
    let truth = truth(RAIN, &["sprinkler"], &["grass"]).unwrap();
    let on = 0.2 * 0.01 + 0.8 * 0.4;
    assert!((truth.mass(0) - on).abs() < 1e-12);
    assert!((truth.probabilities(0)[0] - (0.002 + 0.8 * 0.4 * 0.9) / on).abs() < 1e-12);
    // What nothing asked for depends on does not count.
    assert!((self::truth(RAIN, &["rain"], &["sprinkler"]).unwrap().probabilities(0)[0] - 0.01).abs() < 1e-12);
}

#[test]
fn tables_have_the_child_counting_slowest() {
    let text = "variable a { type discrete [2] {x, y}; } variable b { type discrete [2] {x, y}; }
        probability (a) { table .5 .5; } probability (b | a) { table 0.6 0.05 0.4 0.95; }";
    let truth = truth(text, &["a"], &["b"]).unwrap();
    assert_eq!((truth.probabilities(0), truth.probabilities(1)), (&[0.6, 0.4][..], &[0.05, 0.95][..]));
}

#[test]
fn faults_are_named_with_their_line() {
    for (from, to, expected) in [
        ("0.4, 0.6", "0.4, 0.9", "line 7: probabilities of sprinkler add up to 1.3000, not to 1"),
        ("0.4, 0.6", "0.4", "line 7: 1 probabilities for sprinkler, which has 2 values"),
        ("0.4, 0.6", "0.4, x", "line 7: \"x\" is not a probability"),
        ("(no) 0.4, 0.6;", "", "line 7: sprinkler has no probabilities for (no), values of its parents"),
        (
            "(no) 0.4, 0.6;",
            "(no) 0.4, 0.6; (no) 0.3, 0.7;",
            "line 7: the probabilities of sprinkler for (no) stand there twice",
        ),
        ("(no)", "(maybe)", "line 7: rain has no value maybe"),
        ("(off, no)", "(off)", "line 12: 1 values for the 2 parents of grass"),
        ("[ 2 ] { on", "[ 3 ] { on", "line 5: sprinkler is to have 3 values and has 2"),
        ("discrete [ 2 ] { wet", "continuous [ 2 ] { wet", "line 3: grass is of type continuous; only discrete ones"),
        ("wet, dry", "wet, wet", "line 3: grass has the value wet twice"),
        ("sprinkler | rain", "sprinkler | snow", "line 7: there is no variable snow"),
        ("probability ( rain ) { table 0.2, 0.8; }", "", "there are no probabilities for rain"),
        ("variable sprinkler", "variable rain", "line 5: variable rain is there twice"),
        ("table 0.2, 0.8; }", "table 0.2, 0.8", "line 7: found \"(\""),
        ("variable grass", "variables grass", "line 3: found \"variables\", expected network, variable or probability"),
        ("*/", "", "line 8: a comment without an end"),
        (
            "( rain ) { table 0.2, 0.8; }",
            "( rain | grass ) { default 0.2, 0.8; }",
            "the variables grass, rain, sprinkler depend",
        ),
    ] {
        let text = RAIN.replacen(from, to, 1);
        assert_ne!(text, RAIN, "{from}");
        let error = error(&text);
        assert!(error.contains(expected), "{error}\n{expected}");
    }
    assert!(error("").contains("is this a BIF file?"));
    assert!(error("variable").contains("the file ends where a name is expected"));
}

#[test]
fn lists_that_the_network_does_not_have_are_refused() {
    let error = |given: &[&str], generate: &[&str]| truth(RAIN, given, generate).unwrap_err().to_string();
    assert_eq!(error(&["snow"], &[]), "given: the network has no variable \"snow\"; it has rain, sprinkler, grass");
    assert_eq!(error(&["rain"], &["rain"]), "generate: \"rain\" is named twice");
    assert_eq!(error(&["rain", "rain"], &[]), "given: \"rain\" is named twice");
    assert!(error(&[], &["rain"]).starts_with("given: it names no variable"));
    assert!(error(&["rain", "grass", "sprinkler"], &[]).starts_with("generate: it names no variable"));
}

#[test]
fn too_many_combinations_are_refused_with_what_would_do() {
    // A chain of 40 variables.
    let mut text = String::new();
    for place in 0..40 {
        text += &format!("variable v{place} {{ type discrete [2] {{a, b}}; }}\n");
        text += &match place {
            0 => "probability (v0) { table 0.5, 0.5; }\n".to_owned(),
            _ => format!("probability (v{place} | v{}) {{ default 0.5, 0.5; }}\n", place - 1),
        };
    }
    let error = truth(&text, &["v0"], &[]).unwrap_err().to_string();
    assert!(error.contains("40 variables") && error.contains("1.1e12") && error.contains("such as v1, v2"), "{error}");
    assert!(!error.contains("v22"), "{error}");
    assert_eq!(truth(&text, &["v0"], &["v1", "v3"]).unwrap().len(), 2);
}

#[test]
fn packed_files_are_unpacked_and_damaged_ones_refused() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rain.bif.gz");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(RAIN.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    std::fs::write(&path, &packed).unwrap();
    assert_eq!(Network::load(&path).unwrap().nodes.len(), 3);
    std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    assert!(Network::load(&path).unwrap_err().to_string().contains("rain.bif.gz: a damaged gzip file"));
    std::fs::write(&path, "variable").unwrap();
    assert!(Network::load(&path).unwrap_err().to_string().contains("rain.bif.gz: line 1: the file ends"));
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(Network::load(&path).unwrap_err().to_string().contains("not UTF-8"));
}
