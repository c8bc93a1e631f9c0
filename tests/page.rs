//! The page that `cvae page` writes, in a real browser: its model against the program's, and what a reader does with it.
//!
//! Needs Chromium, `chromium` on the path or named by `CVAE_CHROMIUM`: `make test-page` runs these.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cvae::experiment::{Reading, Run, released_model};
use cvae::model::{Decode, Decoder, Heads, Model, ModelConfig, Noise, Prior, Trunk};
use cvae::page::{Page, PageModel, PageRun};
use cvae::random::{Purpose, normal, stream};
use cvae::task::{Kind, Rows, Task, Truth};
use serde_json::{Value, json};

/// What a script in the page reports: it writes JSON into `document.body.dataset.report`.
fn report(html: &str, script: &str, arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    fs::write(&path, html.replace("</body>", &format!("<script>{script}</script></body>"))).unwrap();
    let browser = env::var_os("CVAE_CHROMIUM").unwrap_or_else(|| "chromium".into());
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .args(arguments)
        .arg(format!("file://{}", path.display()))
        .stdin(Stdio::null())
        .output()
        .expect("Chromium starts: apt-get install chromium, or name it in CVAE_CHROMIUM");
    let text = String::from_utf8_lossy(&output.stdout);
    let mark = "data-report=\"";
    let start = text.find(mark).unwrap_or_else(|| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    let found = &text[start + mark.len()..];
    let found = found[..found.find('"').unwrap()]
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    serde_json::from_str(&found).unwrap()
}

fn floats(values: &[f32]) -> String {
    STANDARD.encode(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

/// Decodes the same codes in the page, and compares rows and logits.
const COMPARE: &str = include_str!("page/compare.js");

#[test]
#[ignore = "needs Chromium; make test-page runs it"]
fn the_model_in_the_page_computes_what_the_program_does() {
    let small = ModelConfig { latent_dim: 3, hidden_dim: 12, angles: 7, ..ModelConfig::default() };
    compare(released_model().unwrap().0, &Task::dates().truth, "the released model");
    for (task, config) in [
        ("dates", ModelConfig { heads: Heads::Independent, ..small }),
        ("weighted_dates", ModelConfig { trunk: Trunk::Additive, ..small }),
        ("algebra", ModelConfig { latent_dim: 0, ..small }),
        ("hebrew", ModelConfig { prior: Prior::Conditional, ..small }),
        ("hebrew", small),
    ] {
        let truth = Task::named(task).unwrap().truth;
        let mut model = Model::new(config, truth.schema().clone(), 5);
        if let Some(output) = model.tensor_mut("prior.output.weight") {
            // It begins with zeros, as which it maps nothing.
            output.copy_from_slice(&normal(&mut stream(5, Purpose::Weights, 1), output.len()));
        }
        compare(model, &truth, task);
    }
}

/// Decodes one code for each condition here and in the page.
fn compare(model: Model, truth: &Truth, name: &str) {
    let (given, generated) = (model.schema.given.len(), model.schema.generated.len());
    let mut conditions = Rows::new(given);
    (0..truth.len()).for_each(|group| conditions.push(truth.condition(group)));
    let z = normal(&mut stream(7, Purpose::Samples, 0), conditions.len() * model.layout.latent);
    let noise = Noise { uniform: vec![0.5; conditions.len() * generated], z: z.clone() };
    let mut decoder = Decoder::new(&model);
    let drawn = decoder.decode(&conditions, &noise, Decode::Greedy);
    let mut whole = Rows::new(given + generated);
    conditions.iter().zip(drawn.iter()).for_each(|(given, row)| whole.push(&[given, row].concat()));
    let mut by_row = vec![vec![Vec::new(); generated]; whole.len()];
    decoder.forced_logits(&whole, &z, |row, column, logits| by_row[row][column] = logits.to_vec());
    let logits: Vec<f32> = by_row.into_iter().flatten().flatten().collect();
    let rows: Vec<u8> = drawn.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let wanted = json!({ "codes": floats(&z), "logits": floats(&logits), "rows": STANDARD.encode(rows) });
    let html = Page::new("test", Vec::new(), Some(PageModel::new(name, &model, truth))).html().unwrap();
    let found = report(&html, &format!("const wanted = {wanted};\n{COMPARE}"), &[]);
    println!("{name}: {found}");
    let all = (truth.len() as u64, truth.groups().rows().len() as u64);
    assert_eq!((found["conditions"].as_u64(), found["valid"].as_u64()), (Some(all.0), Some(all.1)));
    assert_eq!((found["differing"].as_u64(), found["all"].as_bool()), (Some(0), Some(true)), "{name}: {found}");
    assert!(found["furthest"].as_f64().unwrap() < 1e-4 && found["mass"].as_f64().unwrap() < 1e-5, "{name}: {found}");
}

#[test]
#[ignore = "needs Chromium; make test-page runs it"]
fn the_page_of_a_table_speaks_of_its_columns() {
    let known = Task::named("algebra").unwrap().truth;
    let truth = Truth::new(known.schema().clone(), known.groups().rows(), None, Kind::Sample);
    let small = ModelConfig { latent_dim: 3, hidden_dim: 12, angles: 7, ..ModelConfig::default() };
    let model = Model::new(small, truth.schema().clone(), 5);
    let html = Page::new("test", Vec::new(), Some(PageModel::new("a table", &model, &truth))).html().unwrap();
    let script = r#"document.body.dataset.report = JSON.stringify({
        title: byId("counts-title").textContent, clocks: byId("clocks-text").textContent, hidden: byId("no-calendar").hidden });"#;
    let found = report(&html, script, &[]);
    assert_eq!(
        (found["title"].as_str(), found["hidden"].as_bool()),
        (Some("Counts against the rows observed"), Some(true))
    );
    let (words, first) = (found["clocks"].as_str().unwrap(), &truth.schema().given[0]);
    assert!(words.contains(&format!("the {} values of “{}”", first.size(), first.name)), "{words}");
    assert!(!words.contains("weekday"), "{words}");
}

/// A page of the committed runs and the released model.
fn whole_page() -> String {
    let runs = Run::find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("runs"), Reading::ALL).unwrap();
    let (model, _) = released_model().unwrap();
    let runs = runs.iter().map(PageRun::new).collect();
    Page::new("test", runs, Some(PageModel::new("the released model", &model, &Task::dates().truth))).html().unwrap()
}

/// What a reader does, by mouse and by keyboard.
const USE: &str = include_str!("page/use.js");

#[test]
#[ignore = "needs Chromium; make test-page runs it"]
fn the_page_does_what_a_reader_asks_by_mouse_and_keyboard() {
    let found = report(&whole_page(), USE, &["--window-size=1280,900"]);
    println!("{found:#}");
    assert_eq!(found["error"], Value::Null, "{found}");
    let drawn = found["drawn"].as_str().unwrap();
    assert!(drawn.starts_with("500 drawn for [MON] [DEC] [False] [196]: 31 of 31 valid rows found"), "{drawn}");
    assert_eq!((found["years"].as_u64(), found["validDays"].as_u64()), (Some(10), Some(31)));
    assert_eq!((found["counted"].as_u64(), found["temperature"].as_bool()), (Some(500), Some(true)));
    assert!(found["moved"].as_bool() == Some(true) && found["answer"].as_str().unwrap().contains("-12-196"));
    assert!(found["clocks"].as_str().unwrap().starts_with("8 of 64 angles"), "{found}");
    assert!(found["trials"].as_u64() > Some(100) && found["filtered"].as_u64() < found["trials"].as_u64());
    assert_eq!((found["sorted"].as_bool(), found["said"].as_str()), (Some(true), Some("ascending")), "{found}");
    assert!(found["curves"].as_u64() >= Some(5) && found["heat"].as_u64() >= Some(4), "{found}");
    assert_eq!(found["dark"], "rgb(20, 23, 27)");
    for key in ["unnamed", "twice"] {
        assert_eq!(found[key], json!([]), "{key}");
    }
    assert_eq!(found["wide"], 0, "nothing is wider than the window");
}

#[test]
#[ignore = "needs Chromium; make test-page runs it"]
fn the_page_fits_a_phone() {
    // Chromium's window is not as narrow as a phone, so the page stands in a frame that is.
    let page = whole_page();
    let check = r#"<script>
        parent.postMessage({ wide: document.documentElement.scrollWidth, width: innerWidth }, "*");
    </script></body>"#;
    let inner = serde_json::to_string(&page.replace("</body>", check)).unwrap().replace('<', "\\u003c");
    let outer = format!(
        "<body><iframe id=\"f\" style=\"width:360px;height:800px;border:0\"></iframe><script>\
         addEventListener('message', (event) => {{ document.body.dataset.report = JSON.stringify(event.data); }});\
         document.getElementById('f').srcdoc = {inner};</script></body>"
    );
    let found = report(&outer, "", &[]);
    // The scroll bar takes some of the width.
    assert!(found["width"] == 360 && found["wide"].as_u64() <= Some(360), "{found}");
}
