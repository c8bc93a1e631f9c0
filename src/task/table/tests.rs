//! Tests of tables, friendly and hostile.

use super::*;

fn options(given: &[&str]) -> TableOptions {
    TableOptions { given: given.iter().map(|name| (*name).to_owned()).collect(), ..TableOptions::default() }
}

fn parse(text: &[u8], options: &TableOptions) -> Result<Truth, String> {
    read(text, Path::new("t.csv"), options, Kind::Sample).map_err(|error| error.to_string())
}

fn error(text: &[u8], options: &TableOptions) -> String {
    parse(text, options).unwrap_err()
}

const SURVEY: &str = "age,sex,town,vote\n30,F,\"Paris, TX\",yes\n9,M,,no\n30,F,\"Paris, TX\",yes\n30,F,Rome,no\n";

#[test]
fn columns_values_and_weights_are_those_of_the_file() {
    let truth = parse(SURVEY.as_bytes(), &options(&["sex", "age"])).unwrap();
    let columns: Vec<_> =
        truth.schema().columns().map(|column| (column.name.as_str(), column.values.to_vec())).collect();
    let named = |name: &'static str, values: &[&str]| (name, values.iter().map(|value| (*value).to_owned()).collect());
    // Numbers in their order, names in that of the alphabet; missing values are a value.
    let expected = [
        named("sex", &["F", "M"]),
        named("age", &["9", "30"]),
        named("town", &["", "Paris, TX", "Rome"]),
        named("vote", &["no", "yes"]),
    ];
    assert_eq!(columns, expected);
    assert_eq!((truth.len(), truth.mass(0), truth.kind()), (2, 3.0, Kind::Sample));
    assert_eq!(truth.probabilities(0), [2.0 / 3.0, 1.0 / 3.0]);
    let weighted =
        TableOptions { weight: Some("age".to_owned()), generate: vec!["vote".to_owned()], ..options(&["sex"]) };
    let truth = parse(SURVEY.as_bytes(), &weighted).unwrap();
    assert_eq!((truth.mass(0), truth.mass(1), truth.schema().width()), (90.0, 9.0, 2));
}

#[test]
fn numbers_are_binned_on_request_and_found_in_their_bins() {
    let mut text = "age,income,vote\n".to_owned();
    (0..270).for_each(|row| text += &format!("{},{}.5,{}\n", row % 90, row, row % 2));
    text += "NA,1.5,0\n";
    let problem = error(text.as_bytes(), &options(&["age"]));
    assert!(problem.contains("column \"income\" has 270 different numbers, more than 20"), "{problem}");
    assert!(problem.contains("bins = { income = 10 }"), "{problem}");
    let bins = [("age".to_owned(), 3), ("income".to_owned(), 2)].into();
    let truth = parse(text.as_bytes(), &TableOptions { bins, ..options(&["age"]) }).unwrap();
    let age = &truth.schema().given[0];
    assert_eq!(age.values.to_vec(), ["NA", "0-29", "30-59", "60-89"]);
    assert_eq!((age.find("30-59"), age.find("31"), age.find("NA"), age.find("90")), (Some(2), Some(2), Some(0), None));
    assert_eq!(truth.schema().generated[0].size(), 2);
    let bins = [("vote".to_owned(), 2), ("income".to_owned(), 2)].into();
    assert!(parse(text.as_bytes(), &TableOptions { bins, ..options(&["age"]) }).is_ok());
    let bins = [("town".to_owned(), 2)].into();
    let problem = error(SURVEY.as_bytes(), &TableOptions { bins, ..options(&["sex"]) });
    assert!(problem.contains("\"town\" is to be binned and holds \"Paris, TX\""), "{problem}");
}

#[test]
fn hostile_tables_end_in_errors_that_name_place_and_remedy() {
    let given = options(&["a"]);
    for (text, expected) in [
        (&b""[..], "t.csv:1: the file is empty"),
        (b"a,b\n", "t.csv: there are no rows below the header"),
        (b"a,b\n1,2\n1,2,3\n", "t.csv:3: 3 fields where the header has 2"),
        (b"a,b,a\n1,2,3\n", "t.csv:1: two columns are called \"a\""),
        (b"a,,b\n1,2,3\n", "t.csv:1: column 2 has no name"),
        (b"a;b\n1;2\n", "t.csv:1: one column, with ';' in its name"),
        (b"a,b\n1,caf\xe9\n", "t.csv:2: column \"b\" is not UTF-8 text; convert the file"),
        (b"\xff\xfea\0,\0b\0\n", "t.csv:1: UTF-16 text; convert the file, as with iconv -f UTF-16"),
        (b"b,c\n1,2\n", "given: the table has no column \"a\"; it has b, c"),
        (b"a\n1\n", "generate: no column is left to generate"),
    ] {
        let problem = error(text, &given);
        assert!(problem.contains(expected), "{problem}\n{expected}");
    }
    let weighted = TableOptions { weight: Some("w".to_owned()), ..options(&["a"]) };
    assert!(
        error(b"a,b,w\n1,2,-1\n", &weighted)
            .contains("t.csv:2: the weight \"-1\" in column \"w\" is not a number from 0 up")
    );
    assert!(error(b"a,b,w\n1,2,0\n", &weighted).contains("no row has a weight above 0"));
    let huge = error(b"a,b,w\n1,2,1e308\n1,3,1e308\n", &weighted);
    assert!(huge.contains("the weights in column \"w\" add up to no number"), "{huge}");
    for unclosed in [&b"a,b\n1,2\n1,\"3\n2,2\n2,3\n"[..], b"a,b\n1,2\n1,3\"x\n"] {
        let said = error(unclosed, &options(&["a"]));
        assert!(said.contains("t.csv:3: a quote is not closed"), "{said}");
    }
    assert!(parse(b"a,b\n1,\"2\n2\"\n1,\"3\"\"\"\n2,x\n", &options(&["a"])).is_ok());
    assert!(error(b"a,b\n1,2\n", &options(&[])).contains("name the columns that are given; the table has a, b"));
    assert!(error(b"a,b\n1,2\n", &options(&["a", "a"])).contains("named twice"));
}

#[test]
fn odd_tables_that_make_sense_are_read() {
    let given = options(&["a"]);
    // A byte-order mark, CRLF, quotes, blanks, a constant column, a last line without an end.
    let truth = parse(b"\xef\xbb\xbfa,b,c\r\n 1 ,\"x \"\"y\"\", z\",k\r\n2,w,k", &given).unwrap();
    let columns: Vec<_> = truth.schema().columns().map(Column::size).collect();
    assert_eq!((columns, truth.len()), (vec![2, 2, 1], 2));
    assert_eq!(truth.schema().generated[0].find("x \"y\", z"), Some(1));
    assert_eq!(parse(b"a,b\n1,2\n", &given).unwrap().len(), 1);
    let names: Vec<String> = (0..1000).map(|column| format!("c{column}")).collect();
    let wide = format!("{}\n{}\n", names.join(","), vec!["1"; 1000].join(","));
    assert_eq!(parse(wide.as_bytes(), &options(&["c7", "c3"])).unwrap().schema().width(), 1000);
}

#[test]
fn numbers_of_rows_that_pandas_wrote_are_no_column_unless_they_are_named() {
    let text = b"a,b,__index_level_0__\n1,x,0\n2,y,1\n";
    assert_eq!(parse(text, &options(&["a"])).unwrap().schema().width(), 2);
    let named = TableOptions { generate: vec!["__index_level_0__".to_owned()], ..options(&["a"]) };
    assert_eq!(parse(text, &named).unwrap().schema().generated[0].name, "__index_level_0__");
}

#[test]
fn columns_of_very_many_values_are_refused_unless_they_play_no_part() {
    let mut text = "a,id\n".to_owned();
    (0..100_000).for_each(|row| text += &format!("{},x{row}\n", row % 3));
    let problem = error(text.as_bytes(), &options(&["a"]));
    assert!(problem.contains("column \"id\" has more than 65535 different values; leave it out"), "{problem}");
    let numbers = text.replace('x', "");
    assert!(error(numbers.as_bytes(), &options(&["a"])).contains("bins = { id = 10 }"));
    let bins = [("id".to_owned(), 10)].into();
    let truth = parse(numbers.as_bytes(), &TableOptions { bins, ..options(&["a"]) }).unwrap();
    assert_eq!(truth.schema().generated[0].value(0), "0-9999");
    let several: String = ["a,id\n".to_owned()].into_iter().chain((0..6000).map(|row| format!("1,x{row}\n"))).collect();
    let problem = error(several.as_bytes(), &options(&["a"]));
    assert!(problem.contains("6000 different names, more than 5000"), "{problem}");
    let bins = [("id".to_owned(), 0)].into();
    assert_eq!(parse(several.as_bytes(), &TableOptions { bins, ..options(&["a"]) }).unwrap().count(0), 6000);
}
