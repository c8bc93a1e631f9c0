//! Scores: `eval.py` reports and refuses what `cvae eval` does.

use super::*;

#[test]
#[ignore = "needs numpy and safetensors: make test-parity"]
fn both_scorers_give_the_same_report() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let conditions: Vec<String> = ValidDates::new().conditions().iter().map(ToString::to_string).collect();
    fs::write(here.join("in.txt"), conditions.join("\n")).unwrap();
    // At this temperature thousands of the dates are wrong, in every way that dates can be.
    let hot = ["--decode", "sample", "--temperature", "5", "-n", "3"];
    let predicted = run(program(here, "predict.py", &[&["-i", "in.txt", "out.txt"], &hot[..]].concat()), None);
    assert_eq!(predicted.status.code(), Some(0), "{}", text(&predicted.stderr));
    let mut file = fs::read_to_string(here.join("out.txt")).unwrap();
    for rest in [
        "",
        "soon",
        "31-2-1960",
        "0-1-1960",
        "1-13-1960",
        "1-1-1799",
        "1-1-99999",
        "03-012-1962",
        "03-12-1962",
        "5-12-1962 x",
    ] {
        file += &format!("{A} {rest}\n");
    }
    file += "[MON] [JAN] [True] [220] 1-1-2200\n\n";
    fs::write(here.join("out.txt"), file).unwrap();
    let options = ["out.txt", "--json", "--show", "100000"];
    let report = |command: Command| -> serde_json::Value {
        let output = run(command, None);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let mut ours = report(cvae(here, &[&["eval"], &options[..]].concat()));
    let theirs = report(program(here, "eval.py", &options));
    assert_eq!(ours["warnings"].as_array().map(Vec::len), Some(0));
    // What needs a model, which eval.py is not given.
    for key in ["warnings", "splits"] {
        ours.as_object_mut().unwrap().remove(key);
    }
    assert!(ours["failures"].as_array().unwrap().len() > 1000);
    assert_eq!(ours, theirs);
    for (bytes, code) in [(&b"nonsense"[..], 2), (b"", 2)] {
        fs::write(here.join("bad.txt"), bytes).unwrap();
        assert_eq!(run(cvae(here, &["eval", "bad.txt"]), None).status.code(), Some(code));
        assert_eq!(run(program(here, "eval.py", &["bad.txt"]), None).status.code(), Some(code));
    }
}

#[test]
#[ignore = "needs numpy and safetensors: make test-parity"]
fn both_scorers_refuse_the_same_lines() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let good = format!("{A} 3-12-1962");
    let long = format!("{A} {}", "x".repeat(5000));
    let wide = format!("\u{2003}{A}\u{a0}3-12-1962\u{3000}");
    let control = format!("{A} 3-12-1962\u{1b}[31m\u{9b}");
    let inputs: [(&str, Vec<u8>); 24] = [
        ("good", good.clone().into_bytes()),
        ("blank between", format!("{good}\n\n{good}\n").into_bytes()),
        ("blank ends", format!("\u{feff}{good}\r\n \n\n").into_bytes()),
        ("blanks around", format!("  {good}  ").into_bytes()),
        ("separators in a line", b"[MON]\x1c[DEC] [False] [196] 3-12-1962".to_vec()),
        ("a separator at the end", format!("{good}\u{1c}").into_bytes()),
        ("a separator before", format!("\u{1f}{good}").into_bytes()),
        ("a vertical tab", format!("{A}\u{b}3-12-1962\u{c}").into_bytes()),
        ("a next line", format!("{A}\u{85}3-12-1962\u{2028}").into_bytes()),
        ("wide blanks", wide.into_bytes()),
        ("no UTF-8", [good.as_bytes(), b"\xff"].concat()),
        ("Latin-1 alone", b"caf\xe9".to_vec()),
        ("long", long.into_bytes()),
        ("as long as can be", format!("{A} {}", "x".repeat(4096 - 26)).into_bytes()),
        ("one more", format!("{A} {}", "x".repeat(4097 - 26)).into_bytes()),
        ("glued", format!("{good}{good}").into_bytes()),
        ("glued without a date", format!("{A}{A}").into_bytes()),
        ("glued to no line", format!("{good} [FOO] [DEC] [False] [196]").into_bytes()),
        ("glued to a wrong decade", format!("{good}[MON] [DEC] [False] [996]").into_bytes()),
        ("other digits", "[MON] [DEC] [False] [\u{661}\u{669}\u{666}] 3-12-1962".as_bytes().to_vec()),
        ("other letters", "[M\u{d6}N] [DEC] [False] [196]".as_bytes().to_vec()),
        ("a zero", format!("{A} 3-12-1962\0").into_bytes()),
        ("control characters", control.into_bytes()),
        ("nothing", Vec::new()),
    ];
    for (name, bytes) in inputs {
        fs::write(here.join("in.txt"), bytes).unwrap();
        let arguments = ["in.txt", "--json"];
        let ours = run(cvae(here, &[&["eval"], &arguments[..]].concat()), None);
        let theirs = run(program(here, "eval.py", &arguments), None);
        assert_eq!(ours.status.code(), theirs.status.code(), "{name}: {}{}", text(&ours.stderr), text(&theirs.stderr));
        if ours.status.success() {
            let mut report: serde_json::Value = serde_json::from_slice(&ours.stdout).unwrap();
            ["warnings", "splits"].iter().for_each(|key| drop(report.as_object_mut().unwrap().remove(*key)));
            assert_eq!(report, serde_json::from_slice::<serde_json::Value>(&theirs.stdout).unwrap(), "{name}");
        } else {
            // The same lines, and the same words at the end.
            let [ours, theirs] = [&ours, &theirs].map(|output| text(&output.stderr));
            let places = |said: &str| said.lines().filter(|line| line.starts_with("in.txt:")).count();
            assert_eq!((places(&ours), ours.lines().last()), (places(&theirs), theirs.lines().last()), "{name}");
        }
        let shown = run(program(here, "eval.py", &["in.txt"]), None);
        assert!(!text(&shown.stdout).contains('\u{1b}') && !text(&shown.stderr).contains('\u{1b}'), "{name}");
    }
}
