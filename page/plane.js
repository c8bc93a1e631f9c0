// A plane through the code space: which row each point decodes to.

const REACH = 3;
const SIDE = 61;

function showPlane(model, truth, condition) {
  if (!model.latent) return;
  byId("plane").hidden = false;
  const state = { x: 0, y: 0, plane: model.latent > 2 ? "principal" : "0,1", rest: new Float32Array(model.latent), axes: [], turn: 0 };
  const canvas = el("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" });
  const marks = svg("svg", { viewBox: "-3 -3 6 6", "aria-hidden": "true" });
  const map = el("div", { class: "map", id: "map", tabindex: 0, role: "application", "aria-roledescription": "map of codes",
    "aria-label": "Plane of the code space. Arrow keys move the point.", "aria-describedby": "plane-answer" }, canvas, marks);
  const names = model.latent === 1 ? [["0", "z1"]] : [["principal", "principal components of this condition's rows"],
    ...Array.from({ length: model.latent }, (_, i) => i).flatMap((i) =>
      Array.from({ length: model.latent - i - 1 }, (_, j) => [`${i},${i + j + 1}`, `z${i + 1} and z${i + j + 2}`]))];
  if (model.latent === 1) state.plane = "0";
  const slider = (axis, label) => {
    const input = el("input", { type: "range", id: `plane-${axis}`, min: -REACH, max: REACH, step: 0.05, value: 0 });
    input.addEventListener("input", () => { state[axis] = Number(input.value); point(); });
    return { input, label: el("label", { style: "width:100%" }, label, input) };
  };
  const sliders = { x: slider("x", "left to right"), y: slider("y", "bottom to top") };
  const answer = el("p", { class: "big", id: "plane-answer", role: "status", "aria-live": "polite" });
  const note = el("p", { id: "plane-note", class: "quiet" });
  const legend = el("ul", { class: "legend" });
  byId("plane-map").append(map);
  byId("plane-side").append(answer, note,
    choice("Plane", names, state.plane, (value) => { state.plane = value; begin(); }).label,
    sliders.x.label, model.latent > 1 ? sliders.y.label : "",
    el("div", { class: "buttons" },
      el("button", { type: "button", id: "plane-rest", onclick: () => { state.rest = model.code(new Random(Math.floor(Math.random() * 2 ** 32))); begin(); } }, "Draw the other dimensions"),
      el("button", { type: "button", onclick: () => { state.rest.fill(0); begin(); } }, "Set them to 0")),
    legend);

  // The code at a point: the rest of the code, with its part in the plane replaced.
  function codeAt(x, y) {
    const z = Float32Array.from(state.rest);
    [x, y].slice(0, state.axes.length).forEach((value, i) => {
      const axis = state.axes[i];
      const along = z.reduce((sum, entry, k) => sum + entry * axis[k], 0);
      for (let k = 0; k < z.length; k++) z[k] += (value - along) * axis[k];
    });
    return z;
  }

  function begin() {
    const means = condition.rows.map((row) => Array.from(model.posteriorMean([...condition.values, ...row.values])));
    if (state.plane === "principal") {
      const points = means.length > 2 ? means : Array.from({ length: model.latent }, (_, i) => Array.from({ length: model.latent }, (_, j) => (i === j ? i + 1 : 0)));
      state.axes = principalAxes(points).slice(0, 2);
    } else {
      state.axes = state.plane.split(",").map((dimension) => Array.from({ length: model.latent }, (_, k) => (k === Number(dimension) ? 1 : 0)));
    }
    state.means = means.map((mean) => [0, 1].map((i) => (state.axes[i] || []).reduce((sum, entry, k) => sum + entry * mean[k], 0)));
    point();
    paint();
  }

  const ranks = () => new Map(condition.rows.map((row, i) => [row.values.join(), i]));

  async function paint() {
    const turn = ++state.turn;
    const context = canvas.getContext("2d");
    const image = context.createImageData(SIDE, SIDE);
    const rank = ranks();
    const seen = new Set();
    let [wrong, begun] = [0, performance.now()];
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) {
        const [x, y] = [(2 * column + 1) / SIDE - 1, 1 - (2 * row + 1) / SIDE].map((share) => REACH * share);
        const key = model.decode(condition.values, codeAt(x, y), greedy).join();
        const place = rank.get(key);
        if (place === undefined) wrong++;
        else seen.add(place);
        const colour = place === undefined ? [200, 30, 30] : viridis((place + 0.5) / condition.rows.length);
        image.data.set([...colour, 255], 4 * (row * SIDE + column));
      }
      if (performance.now() - begun > 30) {
        context.putImageData(image, 0, 0);
        await shown();
        if (turn !== state.turn) return;
        begun = performance.now();
      }
    }
    context.putImageData(image, 0, 0);
    const item = (share, text) => el("li", {}, el("i", { style: `background:${css(viridis(share))}` }), text);
    const { rows } = condition;
    legend.replaceChildren(
      ...(rows.length ? [item(0.5 / rows.length, `first: ${truth.name(rows[0].values)}`), item(1 - 0.5 / rows.length, `last: ${truth.name(rows[rows.length - 1].values)}`)] : []),
      el("li", {}, el("i", { style: "background:rgb(200 30 30)" }), `wrong: ${percent(wrong / SIDE ** 2)} of the plane`),
      el("li", {}, "○ where the encoder puts each valid row"),
      el("li", { id: "plane-seen" }, `${seen.size} of ${rows.length} valid rows lie in this plane.`));
  }

  function point() {
    const values = model.decode(condition.values, codeAt(state.x, state.y), greedy);
    const name = truth.name(values);
    const right = ranks().has(values.join());
    answer.textContent = right ? name : `${name} (wrong)`;
    answer.classList.toggle("wrong", !right);
    note.textContent = `at ${state.x.toFixed(2)}, ${state.y.toFixed(2)}, in standard deviations of the prior, for ${truth.conditionName(condition.values)}`;
    sliders.x.input.value = state.x;
    sliders.y.input.value = state.y;
    for (const axis of ["x", "y"]) sliders[axis].input.setAttribute("aria-valuetext", `${state[axis].toFixed(2)}: ${name}`);
    marks.replaceChildren(
      ...state.means.map(([x, y]) => svg("circle", { cx: x, cy: -y, r: 0.07, fill: "none", stroke: "#fff", "stroke-width": 0.03 })),
      svg("circle", { cx: state.x, cy: -state.y, r: 0.15, fill: "none", stroke: "#000", "stroke-width": 0.12 }),
      svg("circle", { cx: state.x, cy: -state.y, r: 0.15, fill: "none", stroke: "#fff", "stroke-width": 0.06 }));
  }

  const within = (value) => Math.min(Math.max(value, -REACH), REACH);
  function move(x, y) {
    state.x = within(x);
    if (model.latent > 1) state.y = within(y);
    point();
  }

  map.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.5 : 0.1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step], Home: [-state.x, -state.y] };
    const found = moves[event.key];
    if (!found) return;
    event.preventDefault();
    move(state.x + found[0], state.y + found[1]);
  });
  const drag = (event) => {
    const box = map.getBoundingClientRect();
    move(REACH * (2 * (event.clientX - box.left) / box.width - 1), REACH * (1 - 2 * (event.clientY - box.top) / box.height));
  };
  map.addEventListener("pointerdown", (event) => { map.setPointerCapture(event.pointerId); drag(event); });
  map.addEventListener("pointermove", (event) => { if (map.hasPointerCapture(event.pointerId)) drag(event); });
  condition.listeners.push(begin);
}
