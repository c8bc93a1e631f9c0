//! `cvae page`.

use crate::common::{code, errors, folder, run, text};

#[test]
fn a_page_holds_the_trials_and_the_model_of_a_run() {
    let folder = folder();
    let trained = run(folder.path(), &["train", "tiny.toml", "-o", "one/trial"]);
    assert_eq!(code(&trained), 0, "{}", errors(&trained));
    let made = run(folder.path(), &["page", "one", "--model", "one/trial", "-o", "page.html", "--title", "A & B"]);
    assert_eq!(code(&made), 0, "{}", errors(&made));
    assert!(errors(&made).contains("wrote page.html: 1 trials and one/trial"), "{}", errors(&made));
    let html = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(html.starts_with("<!doctype html>") && html.contains("<title>A &amp; B</title>"));
    assert!(html.contains("\"name\":\"trial\"") && html.contains("\"latent\":2"));
    // The model alone, to standard output.
    let alone = run(folder.path(), &["page", "-o", "-"]);
    assert_eq!(code(&alone), 0, "{}", errors(&alone));
    assert!(text(&alone).contains("\"runs\":[]") && text(&alone).contains("the released model"));
}

#[test]
fn a_page_of_no_run_says_what_to_name() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let output = run(folder.path(), &["page", "empty", "-o", "page.html"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("no run (config.toml or results.csv) in empty"), "{}", errors(&output));
    assert!(!folder.path().join("page.html").exists());
}
