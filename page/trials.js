// The table of trials: sorted, filtered, with curves on demand.

const MOST_ROWS = 250;

function showTrials(page) {
  const trials = page.runs.flatMap((run) => {
    const usual = usualValues(run);
    return run.trials.map((trial) => ({ run, trial, label: labelOf(run, trial, usual) }));
  });
  if (!trials.length) return;
  byId("trials").hidden = false;
  const logged = page.measures.filter((measure) => trials.some(({ trial }) => measure.name in trial.figures));
  const columns = new Set(logged.filter((measure) => measure.shown).map((measure) => measure.name));
  const state = { words: "", run: "", state: "", sort: null, down: false, all: false };

  const words = el("input", { type: "text", id: "trials-words", autocomplete: "off", placeholder: "name, key = value" });
  words.addEventListener("input", () => { state.words = words.value.toLowerCase(); draw(); });
  const runs = [["", "all"], ...page.runs.map((run) => [run.name, run.name])];
  const states = [["", "all"], ...["finished", "unfinished", "failed"].map((name) => [name, name])];
  const picked = el("details", {}, el("summary", {}, "Figures shown"), el("div", { class: "fields" }, logged.map((measure) => {
    const box = el("input", { type: "checkbox", checked: columns.has(measure.name) });
    box.addEventListener("change", () => {
      if (box.checked) columns.add(measure.name);
      else columns.delete(measure.name);
      draw();
    });
    return el("label", { class: "check", title: measure.meaning }, box, measure.title);
  })));
  byId("trials-controls").append(
    el("label", {}, "Filter", words),
    choice("Experiment", runs, "", (value) => { state.run = value; draw(); }).label,
    choice("State", states, "", (value) => { state.state = value; draw(); }).label,
    picked);

  function chosen() {
    const parts = state.words.split(/\s+/).filter(Boolean);
    const rows = trials.filter(({ run, trial, label }) => {
      const text = `${run.name} ${trial.name} ${label} seed = ${trial.seed} ${trial.state}`.toLowerCase();
      return (!state.run || run.name === state.run) && (!state.state || trial.state === state.state)
        && parts.every((part) => text.includes(part));
    });
    if (state.sort) {
      const value = (row) => (state.sort in TEXTS ? TEXTS[state.sort](row) : row.trial.figures[state.sort]);
      rows.sort((a, b) => compare(value(a), value(b), state.down));
    }
    return rows;
  }

  function header(name, title, note) {
    const sorted = state.sort === name ? (state.down ? "descending" : "ascending") : null;
    const button = el("button", { type: "button", title: note, "data-sort": name, onclick: () => {
      state.down = state.sort === name ? !state.down : false;
      state.sort = name;
      draw();
      byId("trials-table").querySelector(`[data-sort="${name}"]`).focus();
    } }, title);
    return el("th", { scope: "col", class: name in TEXTS ? "text" : null, "aria-sort": sorted || "none" }, button);
  }

  function draw() {
    const rows = chosen();
    const measures = logged.filter((measure) => columns.has(measure.name));
    const head = el("tr", {}, header("trial", "trial"), header("experiment", "experiment"), header("seed", "seed"),
      header("state", "state"), measures.map((measure) => header(measure.name, measure.heading, measure.meaning)));
    const body = el("tbody");
    for (const row of state.all ? rows : rows.slice(0, MOST_ROWS)) {
      const { run, trial, label } = row;
      const button = el("button", { type: "button", "aria-expanded": "false", title: trial.name }, label);
      const line = el("tr", {}, el("th", { scope: "row" }, button), el("td", { class: "text" }, run.name),
        el("td", { class: "text" }, trial.seed), el("td", { class: trial.state === "failed" ? "text wrong" : "text" }, trial.state),
        measures.map((measure) => el("td", {}, figure(measure, trial.figures[measure.name]))));
      let open = null;
      button.addEventListener("click", () => {
        if (open) open.remove();
        open = open ? null : el("tr", {}, el("td", { colspan: 4 + measures.length }, curves(page, run, trial)));
        if (open) line.after(open);
        button.setAttribute("aria-expanded", String(Boolean(open)));
      });
      body.append(line);
    }
    byId("trials-table").replaceChildren(el("table", {}, el("caption", {}, "A trial's name opens its curves; a column's title sorts by it."),
      el("thead", {}, head), body));
    const hidden = rows.length - body.rows.length;
    const more = hidden > 0 && el("button", { type: "button", onclick: () => { state.all = true; draw(); } }, `Show ${hidden} more`);
    byId("trials-status").replaceChildren(`${rows.length} of ${trials.length} trials `, more || "");
  }

  draw();
}

const TEXTS = {
  trial: (row) => row.label,
  experiment: (row) => row.run.name,
  seed: (row) => Number(row.trial.seed),
  state: (row) => row.trial.state,
};

// What is missing comes last in either direction.
function compare(a, b, down) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  return down ? -order : order;
}

// The value of each key that most trials of an experiment share; none where trials are a grid of few keys.
function usualValues(run) {
  return run.keys.map((_, i) => {
    const counts = new Map();
    run.trials.forEach((trial) => counts.set(trial.values[i], (counts.get(trial.values[i]) || 0) + 1));
    const [value, count] = [...counts.entries()].reduce((a, b) => (b[1] > a[1] ? b : a));
    return run.keys.length > 2 && 2 * count > run.trials.length ? value : null;
  });
}

// What tells a trial from the others of its experiment, seeds apart.
function labelOf(run, trial, usual) {
  const told = run.keys.map((key, i) => [key.split(".").pop(), trial.values[i], usual[i]]).filter(([, value, usual]) => value !== usual);
  return told.map(([key, value]) => `${key} = ${value}`).join(", ") || (run.keys.length ? "nothing changed" : "all as configured");
}

function curves(page, run, trial) {
  const box = el("div", { class: "curves" });
  if (trial.error) box.append(el("p", { class: "wrong" }, `Failed: ${trial.error}`));
  const column = (name) => {
    const place = run.history.indexOf(name);
    return place < 0 ? [] : trial.history[place];
  };
  const x = column("step");
  for (const { title, unit, lines } of page.facets) {
    const found = lines.map(([name, label]) => ({ name: label, x, y: column(name) }));
    const chart = lineChart(title, unit, found.filter(({ y }) => y.some((value) => value !== null)));
    if (chart) box.append(chart);
  }
  if (!box.children.length) box.append(el("p", {}, "This trial has no evaluations to draw."));
  return el("div", {}, el("p", { class: "quiet" }, `${trial.name}: by training step`), box);
}
