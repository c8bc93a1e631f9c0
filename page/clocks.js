// The learned angles as clock faces: one hand for each value of a column.

// The step k that fits a column's angles best to k turns of the whole circle in equal parts, and how well: 1 is perfect.
function evenSteps(angles) {
  const n = angles.length;
  let best = { k: 0, coherence: -1 };
  for (let k = 1; k < n; k++) {
    let [re, im] = [0, 0];
    angles.forEach((angle, value) => {
      const off = angle - (2 * Math.PI * k * value) / n;
      re += Math.cos(off);
      im += Math.sin(off);
    });
    const coherence = Math.hypot(re, im) / n;
    if (coherence > best.coherence) best = { k, coherence };
  }
  return best;
}

function showClocks(model, truth) {
  if (!model.angles) return;
  byId("clocks").hidden = false;
  // Columns whose values the trunk turns into angles; no head sees the last one.
  const inPrefix = model.autoregressive ? model.generated.slice(0, -1) : [];
  const columns = [...model.given.map((column, i) => ({ column, table: "condition", place: i })),
    ...inPrefix.map((column, i) => ({ column, table: "prefix", place: model.given.length + i }))];
  const state = { column: 0, all: false };

  function faces() {
    const { column, table, place } = columns[state.column];
    const weights = model.tensor(`decoder.trunk.${table}.weight`);
    const first = model.offsets[place] - (table === "prefix" ? model.offsets[model.given.length] : 0);
    return Array.from({ length: model.angles }, (_, angle) => {
      const angles = column.values.map((_, value) => weights[(first + value) * model.state + angle] * model.radians);
      return { angle, angles, ...evenSteps(angles) };
    }).sort((a, b) => b.coherence - a.coherence);
  }

  function face({ angle, angles, k, coherence }, column) {
    const node = svg("svg", { viewBox: "-56 -52 112 104", "aria-hidden": "true" },
      svg("circle", { r: 38, fill: "none", class: "grid", "stroke-width": 1 }));
    const n = angles.length;
    angles.forEach((value, i) => {
      const turn = value - angles[0] - Math.PI / 2;
      const [x, y] = [Math.cos(turn), Math.sin(turn)];
      node.append(svg("line", { x1: 0, y1: 0, x2: 36 * x, y2: 36 * y, stroke: `hsl(${Math.round(360 * i / n)} 60% 50%)`, "stroke-width": n > 12 ? 1 : 2.5 }));
      if (n <= 12) node.append(svg("text", { x: 43.5 * x, y: 43.5 * y + 3, "text-anchor": "middle", style: "font-size:8px" }, column.values[i].length <= 5 ? column.values[i] : `${column.values[i].slice(0, 4)}…`));
    });
    const words = coherence >= 0.995 ? `each next one turns by ${k}/${n}` : "no even steps";
    return el("li", {}, node, el("div", {}, `angle ${angle + 1}: ${words}`), el("div", { class: "quiet" }, `coherence ${coherence.toFixed(3)}`));
  }

  function draw() {
    const { column } = columns[state.column];
    const all = faces();
    const even = all.filter(({ coherence }) => coherence >= 0.995);
    const n = column.values.length;
    byId("clocks-text").textContent = "The network gives each value of a column several angles, and adds the angles of all columns. "
      + `Where the ${n} values of “${column.name}” stand at equal steps of the circle, adding angles is adding modulo ${n}`
      + `${truth.calendar && column.name === "weekday" ? ": this is how it computes weekdays, and it found it by itself" : ""}. The first value's hand points up.`;
    byId("clocks-status").textContent = `${even.length} of ${model.angles} angles place the ${n} values of “${column.name}” at equal steps of the circle (coherence of at least 0.995).`;
    const shown = state.all ? all : all.slice(0, Math.max(even.length, 4));
    byId("clocks-faces").replaceChildren(...shown.map((one) => face(one, column)));
    toggle.textContent = state.all ? "Show the best alone" : `Show all ${model.angles}`;
  }

  const toggle = el("button", { type: "button", id: "clocks-all", onclick: () => { state.all = !state.all; draw(); } });
  byId("clocks-controls").append(choice("Column", columns.map(({ column, table }, i) => [String(i), `${column.name} (${table === "prefix" ? "generated" : "given"})`]), "0", (value) => {
    state.column = Number(value);
    draw();
  }).label, toggle);
  draw();
}
