// Puts the page together. Each section shows itself where there is something to show.

function start() {
  const page = JSON.parse(byId("data").textContent);
  byId("made").textContent = `Made by ${page.made_by}. The page is one file; it loads nothing.`;
  byId("theme").addEventListener("change", (event) => { document.documentElement.dataset.theme = event.target.value; });
  if (page.model) {
    const [model, truth] = [new Model(page.model), new Truth(page.model)];
    const condition = new Condition(truth);
    showDraws(model, truth, condition);
    showPlane(model, truth, condition);
    showClocks(model, truth);
    condition.set(first(truth));
  }
  showTrials(page);
  showHeat(page);
  for (const section of document.querySelectorAll("main > section:not([hidden])")) {
    const title = section.querySelector("h2").textContent.split(":")[0];
    byId("sections").append(el("li", {}, el("a", { href: `#${section.id}` }, title)));
  }
}

// The condition that the documents show, where the task has it; else the first.
function first(truth) {
  const wanted = ["MON", "DEC", "False", "196"].map((value, i) => (truth.given[i] ? truth.given[i].values.indexOf(value) : -1));
  if (truth.given.length === wanted.length && wanted.every((value) => value >= 0)) return wanted;
  return truth.condition(0);
}

start();
