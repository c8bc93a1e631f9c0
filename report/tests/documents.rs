//! The committed PDFs are what their sources and the committed tables give.

use std::fs;
use std::path::{Path, PathBuf};

use cvae_report::{DOCUMENTS, typeset};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The words of a PDF, page by page.
fn words(pdf: &[u8]) -> Vec<String> {
    let document = lopdf::Document::load_mem(pdf).expect("a PDF");
    let pages: Vec<u32> = document.get_pages().keys().copied().collect();
    pages.iter().map(|page| document.extract_text(&[*page]).expect("text")).collect()
}

#[test]
fn committed_pdfs_match_their_sources() {
    for (document, limit) in DOCUMENTS {
        let fresh = typeset(&root(), Path::new(document)).unwrap();
        assert!(fresh.pages() <= limit, "{document}: {} pages", fresh.pages());
        let committed = fs::read(root().join(document).with_extension("pdf")).unwrap();
        let (fresh, committed) = (words(&fresh.pdf().unwrap()), words(&committed));
        assert!(fresh.concat().split_whitespace().count() > 300, "{document}: no text was found");
        assert_eq!(fresh, committed, "{document}: make report brings the PDF up to date");
    }
}

#[test]
fn a_document_is_typeset_the_same_twice() {
    for (document, _) in DOCUMENTS {
        let pdf = || typeset(&root(), Path::new(document)).unwrap().pdf().unwrap();
        assert!(pdf() == pdf());
    }
}

/// A root with the sources and the release's figures, and no run.
fn bare() -> tempfile::TempDir {
    let bare = tempfile::tempdir().unwrap();
    for file in ["report/lib.typ", "report/dl_problem.typ", "report/essay_answers.typ", "model/figures.json"] {
        fs::create_dir_all(bare.path().join(file).parent().unwrap()).unwrap();
        fs::copy(root().join(file), bare.path().join(file)).unwrap();
    }
    bare
}

#[test]
fn experiments_that_were_not_run_are_named() {
    let bare = bare();
    let text = typeset(bare.path(), Path::new("report/dl_problem.typ")).unwrap().text();
    for experiment in ["seeds", "baselines", "latent_beta"] {
        assert!(text.contains(&format!("cvae sweep experiments/{experiment}.toml")), "{experiment}");
    }
    assert!(text.contains("was not run yet"));
}

#[test]
fn numbers_come_from_the_tables() {
    let bare = bare();
    // The release's metrics as those of two seeds, with a pass rate that no real run has.
    let metrics = fs::read_to_string(root().join("model/metrics.csv")).unwrap();
    let (header, row) = metrics.split_once('\n').unwrap();
    let column = header.split(',').position(|name| name == "greedy_pass_held_out").unwrap();
    let mut cells: Vec<&str> = row.trim().split(',').collect();
    cells[column] = "0.4321";
    let row = |seed: u32| format!("seed{seed},{seed},777,{}", cells.join(","));
    let table = format!("trial,seed,training.steps,{header}\n{}\n{}\n", row(1), row(2));
    fs::create_dir_all(bare.path().join("runs/seeds")).unwrap();
    fs::write(bare.path().join("runs/seeds/results.csv"), table).unwrap();
    let text = typeset(bare.path(), Path::new("report/dl_problem.typ")).unwrap().text();
    assert!(text.contains("43.2 %") && text.contains("777"), "{text}");
}

#[test]
fn errors_name_the_place() {
    let bare = bare();
    fs::write(bare.path().join("report/lib.typ"), "#let a = 1\n#let b = csv(\"/no.csv\")\n").unwrap();
    let error = typeset(bare.path(), Path::new("report/dl_problem.typ")).err().unwrap().to_string();
    assert!(error.contains("report/lib.typ:2") && error.contains("not found"), "{error}");
    let error = typeset(bare.path(), Path::new("../outside.typ")).err().unwrap().to_string();
    assert!(error.contains("no path below the root"), "{error}");
}
