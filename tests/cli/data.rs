//! `cvae data`.

use sha2::{Digest, Sha256};

use crate::common::{code, errors, folder, run};

#[test]
fn both_files_are_the_challenges_byte_for_byte() {
    let folder = folder();
    assert_eq!(code(&run(folder.path(), &["data"])), 0);
    let hash = |name: &str| {
        let bytes = std::fs::read(folder.path().join("data").join(name)).unwrap();
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(hash("data.txt"), "fe1f85a9ac098a552a4f6f9d33f98c68f2eb87d284fb365fa9a02ed3f81afbd9");
    assert_eq!(hash("example_input.txt"), "e744fd4014fb7d33a1f5567ee5c9cd77062cceb62a04563f10df62f11157238c");
}

#[test]
fn other_years_go_where_they_are_told() {
    let folder = folder();
    let output = run(folder.path(), &["data", "--from", "2000", "--to", "2003", "-o", "some/where"]);
    assert_eq!(code(&output), 0);
    let data = std::fs::read_to_string(folder.path().join("some/where/data.txt")).unwrap();
    assert_eq!(data.lines().count(), 4 * 365 + 1);
    assert!(data.lines().all(|line| line.contains("[200] ")));
}

#[test]
fn years_that_are_no_range_are_bad_input() {
    let folder = folder();
    let output = run(folder.path(), &["data", "--from", "1900", "--to", "1800"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("swap --from and --to"), "{}", errors(&output));
    assert!(!folder.path().join("data").exists());
}

#[test]
fn other_tasks_are_written_as_csv_and_unknown_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["data", "--task", "algebra", "-o", "out"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let text = std::fs::read_to_string(folder.path().join("out/algebra.csv")).unwrap();
    assert_eq!(text.lines().count(), 161_052);
    assert!(text.starts_with("sum,squares,products,y1,y2,y3,y4,y5\n0,0,0,0,0,0,0,0\n"));
    let refused = run(folder.path(), &["data", "--task", "algebr"]);
    assert_eq!(code(&refused), 2);
    assert!(errors(&refused).contains("permutations"), "{}", errors(&refused));
}
