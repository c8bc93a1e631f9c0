//! One self-contained HTML page: trials, heat maps, and a model that runs in the reader's browser.
//!
//! Its sources are in `page/`: a template, a style sheet and scripts, which are joined with the data as JSON. The page
//! loads nothing from anywhere.

mod model;
mod runs;

use serde::Serialize;

pub use model::PageModel;
pub use runs::PageRun;

use runs::{Facet, MeasureInfo};

const TEMPLATE: &str = include_str!("../../page/index.html");
const STYLE: &str = include_str!("../../page/style.css");
/// In the order in which they build on each other.
const SCRIPTS: [&str; 11] = [
    include_str!("../../page/dom.js"),
    include_str!("../../page/numbers.js"),
    include_str!("../../page/model.js"),
    include_str!("../../page/truth.js"),
    include_str!("../../page/charts.js"),
    include_str!("../../page/trials.js"),
    include_str!("../../page/heat.js"),
    include_str!("../../page/draws.js"),
    include_str!("../../page/plane.js"),
    include_str!("../../page/clocks.js"),
    include_str!("../../page/main.js"),
];

/// Everything that a page shows.
#[derive(Debug, Serialize)]
pub struct Page {
    /// Its title.
    title: String,
    /// The program that made it.
    made_by: String,
    measures: Vec<MeasureInfo>,
    facets: Vec<Facet>,
    runs: Vec<PageRun>,
    model: Option<PageModel>,
}

impl Page {
    /// A page of these runs and this model.
    pub fn new(title: &str, runs: Vec<PageRun>, model: Option<PageModel>) -> Self {
        Self {
            title: title.to_owned(),
            made_by: format!("cvae {} (commit {})", env!("CARGO_PKG_VERSION"), env!("CVAE_COMMIT")),
            measures: MeasureInfo::all(),
            facets: Facet::all(),
            runs,
            model,
        }
    }

    /// The page as HTML.
    ///
    /// # Errors
    /// When the data cannot be written as JSON, which no run causes.
    pub fn html(&self) -> serde_json::Result<String> {
        // Nothing in a text of the data may end the element that holds it.
        let data = serde_json::to_string(self)?.replace('<', "\\u003c");
        let title = self.title.replace('&', "&amp;").replace('<', "&lt;");
        // The data come last, so that no mark inside them is taken for one of the template.
        let page = TEMPLATE.replace("{{title}}", &title).replace("{{style}}", STYLE);
        Ok(page.replace("{{script}}", &SCRIPTS.join("\n")).replacen("{{data}}", &data, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::released_model;
    use crate::task::Task;

    #[test]
    fn a_page_is_one_file_that_loads_nothing_and_holds_its_data() {
        let (model, _) = released_model().unwrap();
        let shown = PageModel::new("the released model", &model, &Task::dates().truth);
        let page = Page::new("A </script><b> title", Vec::new(), Some(shown));
        let html = page.html().unwrap();
        for reference in ["http://", "https://", "src=", "@import", "url("] {
            let found = html.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(reference), "{reference}");
        }
        assert!(!html.contains("{{") && html.contains("A &lt;/script>&lt;b> title"));
        let start = html.find("id=\"data\">").unwrap() + "id=\"data\">".len();
        let data = &html[start..start + html[start..].find("</script>").unwrap()];
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["title"], "A </script><b> title");
        assert_eq!(data["model"]["columns"].as_array().unwrap().len(), 8);
        assert!(html.len() < 3_000_000, "{}", html.len());
    }
}
