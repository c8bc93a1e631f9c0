//! The committed PDFs are what their sources and the committed tables give.

use std::fs;
use std::path::{Path, PathBuf};

use cvae_report::{AUTHOR, DOCUMENTS, pdf_path, typeset};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn committed_pdfs_hold_the_words_that_their_sources_give() {
    for (document, limit) in DOCUMENTS {
        let fresh = typeset(&root(), Path::new(document)).unwrap();
        assert!(fresh.pages() <= limit, "{document}: {} pages", fresh.pages());
        assert!(fresh.text().split_whitespace().count() > 300, "{document}: no text was found");
        let digest = fresh.digest();
        let holds = |pdf: &[u8]| pdf.windows(digest.len()).any(|part| part == digest.as_bytes());
        assert!(holds(&fresh.pdf().unwrap()), "{document}: the PDF names no digest");
        let committed = fs::read(root().join(document).with_extension("pdf")).unwrap();
        assert!(holds(&committed), "{document}: the PDF has other words than its sources give; make report");
    }
}

#[test]
fn a_document_is_typeset_the_same_twice() {
    for (document, _) in DOCUMENTS {
        let pdf = || typeset(&root(), Path::new(document)).unwrap().pdf().unwrap();
        assert!(pdf() == pdf());
    }
}

/// A root with the sources and the release's figures, and no run; one for each test.
fn bare(name: &str) -> PathBuf {
    let bare = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if bare.exists() {
        fs::remove_dir_all(&bare).unwrap();
    }
    for file in
        ["report/lib.typ", "report/task.typ", "report/dl_problem.typ", "report/essay_answers.typ", "model/figures.json"]
    {
        fs::create_dir_all(bare.join(file).parent().unwrap()).unwrap();
        fs::copy(root().join(file), bare.join(file)).unwrap();
    }
    bare
}

#[test]
fn experiments_that_were_not_run_are_named() {
    let bare = bare("missing");
    let text = typeset(&bare, Path::new("report/dl_problem.typ")).unwrap().text();
    for experiment in ["released_sealed", "baselines", "latent_beta"] {
        // Lines break where they like.
        let words = text.split_whitespace().collect::<String>();
        assert!(words.contains(&format!("experiments/{experiment}.toml")), "{experiment}: {text}");
    }
    assert!(text.split_whitespace().collect::<String>().contains("wasnotrunyet"));
}

#[test]
fn the_authors_name_is_in_the_file_names_where_it_is_set() {
    let bare = bare("author");
    let document = Path::new("report/dl_problem.typ");
    assert_eq!(pdf_path(&bare, document).unwrap(), Path::new("report/dl_problem.pdf"));
    fs::write(bare.join(AUTHOR), "name = \"Ada King-Noël\"\n").unwrap();
    assert_eq!(pdf_path(&bare, document).unwrap(), Path::new("report/dl_problem_Ada_King_Noël.pdf"));
    let pdf = typeset(&bare, document).unwrap().pdf().unwrap();
    assert!(pdf.windows(9).any(|part| part == b"/Author (" || part == b"/Author <" || part == b"<dc:creat"));
    fs::write(bare.join(AUTHOR), "name = \"/\"\n").unwrap();
    assert!(pdf_path(&bare, document).unwrap_err().to_string().contains("report/author.toml"));
}

#[test]
fn numbers_come_from_the_tables() {
    let bare = bare("numbers");
    // The release's metrics as those of two seeds, with a pass rate that no real run has.
    // Trials before the splits had names called the validation conditions held out.
    let metrics = fs::read_to_string(root().join("model/metrics.csv")).unwrap().replace("_held_out", "_validation");
    let (header, row) = metrics.split_once('\n').unwrap();
    let column = header.split(',').position(|name| name == "greedy_pass_validation").unwrap();
    let mut cells: Vec<&str> = row.trim().split(',').collect();
    cells[column] = "0.4321";
    let row = |seed: u32| format!("seed{seed},{seed},777,{}", cells.join(","));
    let table = format!("trial,seed,training.steps,{header}\n{}\n{}\n", row(1), row(2));
    fs::create_dir_all(bare.join("runs/released_sealed")).unwrap();
    fs::write(bare.join("runs/released_sealed/results.csv"), table).unwrap();
    let text = typeset(&bare, Path::new("report/dl_problem.typ")).unwrap().text();
    // A number and its unit are not torn apart.
    assert!(text.contains("43.2\u{a0}%"), "{text}");
}

#[test]
fn tables_that_lack_columns_are_named() {
    let bare = bare("columns");
    for experiment in ["released_sealed", "baselines", "latent_beta"] {
        let folder = bare.join("runs").join(experiment);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("results.csv"), "trial,seed,training.steps,greedy_pass\nseed1,1,777,0.5\n").unwrap();
    }
    let text = typeset(&bare, Path::new("report/dl_problem.typ")).unwrap().text();
    let words = text.split_whitespace().collect::<String>();
    for experiment in ["baselines", "latent_beta"] {
        assert!(words.contains(&format!("runs/{experiment}/results.csvlackscolumns")), "{experiment}: {text}");
    }
}

#[test]
fn errors_name_the_place() {
    let bare = bare("errors");
    fs::write(bare.join("report/lib.typ"), "#let a = 1\n#let b = csv(\"/no.csv\")\n").unwrap();
    let error = typeset(&bare, Path::new("report/dl_problem.typ")).err().unwrap().to_string();
    assert!(error.contains("report/lib.typ:2") && error.contains("not found"), "{error}");
    let error = typeset(&bare, Path::new("../outside.typ")).err().unwrap().to_string();
    assert!(error.contains("no path below the root"), "{error}");
}
