//! `cvae eval`.

use std::fs;

use crate::common::{code, errors, folder, run, run_with_input, text};

const FILE: &str = "[MON] [DEC] [False] [196] 3-12-1962
[MON] [DEC] [False] [196] 4-12-1962
[MON] [DEC] [False] [196] 31-2-1962
[MON] [DEC] [False] [196]
[SAT] [JAN] [True] [200] 01-01-2000\r
[SAT] [JAN] [True] [200] soon
[MON] [JAN] [True] [220] 1-1-2200
";

#[test]
fn rates_conditions_and_reasons_are_those_of_the_file() {
    let folder = folder();
    fs::write(folder.path().join("file.txt"), FILE).unwrap();
    let output = run(folder.path(), &["eval", "file.txt", "--json"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let report: serde_json::Value = serde_json::from_str(&text(&output)).unwrap();
    assert_eq!((report["lines"].as_u64(), report["passes"].as_u64()), (Some(7), Some(2)));
    // Three of the lines hold no existing date, and 1-1-2200 is a Wednesday of a year that is no leap year.
    assert_eq!(report["valid_date_rate"].as_f64(), Some(4.0 / 7.0));
    assert_eq!(report["weekday_rate"].as_f64(), Some(2.0 / 7.0));
    assert_eq!(report["leap_rate"].as_f64(), Some(3.0 / 7.0));
    assert_eq!(report["decade_rate"].as_f64(), Some(4.0 / 7.0));
    let conditions = report["conditions"].as_array().unwrap();
    assert_eq!(conditions.len(), 3);
    let monday = conditions.iter().find(|condition| condition["condition"] == "[MON] [DEC] [False] [196]").unwrap();
    assert_eq!((monday["lines"].as_u64(), monday["passes"].as_u64()), (Some(4), Some(1)));
    let reasons: Vec<_> =
        report["failures"].as_array().unwrap().iter().map(|failure| failure["reason"].clone()).collect();
    assert_eq!(reasons[..3], ["falls on TUE", "no such day: 31-2-1962", "no date"]);
}

#[test]
fn the_table_shows_rates_worst_conditions_and_failures() {
    let folder = folder();
    let output = run_with_input(folder.path(), &["eval", "-"], FILE.as_bytes());
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let text = text(&output);
    for words in ["28.57 %", "2 of 7 lines pass; 3 conditions", "[MON] [JAN] [True] [220]", "1 of 4", "falls on TUE"] {
        assert!(text.contains(words), "{words} is missing from\n{text}");
    }
}

#[test]
fn the_whole_data_passes() {
    let folder = folder();
    assert_eq!(code(&run(folder.path(), &["data"])), 0);
    let output = run(folder.path(), &["eval", "data/data.txt"]);
    assert!(text(&output).contains("146462 of 146462 lines pass; 6804 conditions"), "{}", text(&output));
    assert!(!text(&output).contains("failures"));
}

#[test]
fn lines_without_conditions_are_bad_input() {
    let folder = folder();
    for (input, words) in [("3-12-1962\n", "standard input:1:1: found \"3-12-1962\""), ("", "holds no lines")] {
        let output = run_with_input(folder.path(), &["eval", "-"], input.as_bytes());
        assert_eq!(code(&output), 2, "{input:?}");
        assert!(errors(&output).contains(words), "{}", errors(&output));
    }
}

#[test]
fn lines_that_are_glued_to_each_other_are_named() {
    let folder = folder();
    let line = "[MON] [DEC] [False] [196] 3-12-1962";
    for (input, words) in [
        (format!("{line}\n{line}{line}\n{line}"), "standard input:2:36: found \"[MON] [DEC] [False] [196…\""),
        (format!("{line} {line}"), "standard input:1:37"),
        ("[MON] [DEC] [False] [196][WED] [JAN] [True] [200]".to_owned(), "standard input:1:26"),
    ] {
        let output = run_with_input(folder.path(), &["eval", "-"], input.as_bytes());
        assert_eq!(code(&output), 2, "{input}");
        assert!(errors(&output).contains(words) && errors(&output).contains("glued"), "{}", errors(&output));
    }
}
