// Heat maps of sweeps: a measure's mean over seeds, by two keys. A table, so that every cell can be read.

function showHeat(page) {
  const grids = page.runs.map((run) => ({ run, keys: gridKeys(run) })).filter(({ keys }) => keys.length);
  // Grids of two keys first, and those of more cells: they are what a map shows best.
  const cells = ({ run, keys }) => keys.length === 2 && new Set(run.trials.map((trial) => trial.values.join())).size;
  grids.sort((a, b) => cells(b) - cells(a));
  if (!grids.length) return;
  byId("heat").hidden = false;
  const state = { grid: grids[0], x: null, y: null, measure: null };
  const controls = byId("heat-controls");

  function begin() {
    const { run, keys } = state.grid;
    // KL weight by latent size, where a sweep has them.
    state.x = keys.includes("beta.value") ? "beta.value" : keys[0];
    const others = keys.filter((key) => key !== state.x);
    state.y = others.includes("model.latent_dim") ? "model.latent_dim" : others[0] || "";
    const measures = page.measures.filter(({ name, unit, better }) =>
      (unit || better) && run.trials.some((trial) => typeof trial.figures[name] === "number"));
    state.measure = measures.find(({ name }) => state.measure && name === state.measure.name)
      || measures.find(({ shown }) => shown) || measures[0];
    const named = keys.map((key) => [key, key]);
    controls.replaceChildren(
      choice("Experiment", grids.map((grid) => [grid.run.name, grid.run.name]), run.name, (name) => {
        state.grid = grids.find((grid) => grid.run.name === name);
        begin();
        controls.querySelector("select").focus();
      }).label,
      choice("Measure", measures.map(({ name, title }) => [name, title]), state.measure && state.measure.name, (name) => {
        state.measure = page.measures.find((measure) => measure.name === name);
        draw();
      }).label,
      choice("Across", named, state.x, (key) => { state.x = key; draw(); }).label,
      choice("Down", [["", "nothing"], ...named], state.y, (key) => { state.y = key; draw(); }).label);
    draw();
  }

  function draw() {
    const { grid: { run }, x, y, measure } = state;
    if (!measure) return;
    const place = (key) => run.keys.indexOf(key);
    const value = (trial, key) => (key ? trial.values[place(key)] : "");
    const [across, down] = [x, y].map((key) => ordered(run.trials.map((trial) => value(trial, key))));
    const cells = down.map((b) => across.map((a) => {
      const here = run.trials.filter((trial) => value(trial, x) === a && value(trial, y) === b);
      const found = here.map((trial) => trial.figures[measure.name]).filter((number) => typeof number === "number");
      return { mean: found.reduce((sum, number) => sum + number, 0) / found.length, count: found.length, failed: here.filter((trial) => trial.state === "failed").length };
    }));
    const means = cells.flat().map((cell) => cell.mean).filter(Number.isFinite);
    const [low, high] = [Math.min(...means), Math.max(...means)];
    const best = measure.better > 0 ? high : measure.better < 0 ? low : null;
    const cell = ({ mean, count, failed }) => {
      const note = failed ? `${failed} failed` : "";
      if (!Number.isFinite(mean)) return el("td", { class: failed ? "wrong" : null }, note || "–");
      const share = high > low ? (mean - low) / (high - low) : 0.5;
      const colour = viridis(measure.better < 0 ? 1 - share : share);
      const text = figure(measure, mean) + (note ? `, ${note}` : "");
      return el("td", { style: `background:${css(colour)};color:${inkOn(colour)}`, title: `mean of ${count}` },
        mean === best ? el("span", { class: "best" }, text, " (best)") : text);
    };
    const name = (key) => key || "all";
    byId("heat-map").replaceChildren(el("table", { class: "heat" },
      el("caption", {}, `${run.name}: ${measure.title}${measure.unit ? `, ${measure.unit}` : ""}, means over seeds`),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, `${name(y)} \\ ${name(x)}`), across.map((a) => el("th", { scope: "col" }, a)))),
      el("tbody", {}, cells.map((row, i) => el("tr", {}, el("th", { scope: "row" }, down[i] || "all"), row.map(cell))))));
    byId("heat-status").textContent = best === null || !means.length ? "" : `Best: ${figure(measure, best)}.`;
  }

  begin();
}

// Keys by which a run is a grid: of numbers, with two values or more.
function gridKeys(run) {
  const keys = run.keys.filter((key, i) => run.trials.every((trial) => Number.isFinite(Number(trial.values[i])) || trial.values[i] === "inf"));
  return keys.length >= 1 && run.trials.length > 2 ? keys : [];
}

function ordered(values) {
  return [...new Set(values)].sort((a, b) => Number(a) - Number(b) || a.localeCompare(b));
}
