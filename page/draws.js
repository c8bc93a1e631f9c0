// Drawing for a condition: the calendar that fills, and the counts against the truth.

const WEEKDAYS = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

// The condition that the whole page looks at; listeners are told when it changes.
class Condition {
  constructor(truth, values) {
    Object.assign(this, { truth, values, listeners: [] });
  }

  set(values) {
    this.values = values;
    this.rows = this.truth.rows(values);
    this.listeners.forEach((listener) => listener());
  }
}

function showDraws(model, truth, condition) {
  byId("draws").hidden = false;
  byId("no-calendar").hidden = !truth.calendar;
  if (truth.sample) byId("counts-title").textContent = "Counts against the rows observed";
  const state = { counts: new Map(), drawn: 0, random: new Random(1), running: 0 };
  const selects = truth.given.map((column, place) => {
    const options = column.values.map((value, i) => [String(i), value]);
    const picked = choice(column.name, options, "0", (value) => {
      const values = condition.values.slice();
      values[place] = Number(value);
      condition.set(values);
    });
    picked.select.id = `given-${column.name}`;
    return picked;
  });
  const count = el("input", { type: "number", id: "draw-count", min: 1, max: 100000, value: 200, step: 1 });
  const seed = el("input", { type: "number", id: "draw-seed", min: 0, max: 4294967295, value: 1, step: 1 });
  const temperature = el("input", { type: "range", id: "draw-temperature", min: 0.1, max: 2, step: 0.05, value: 1, disabled: true });
  const shownTemperature = el("output", { for: "draw-temperature" }, "1.00");
  temperature.addEventListener("input", () => { shownTemperature.textContent = Number(temperature.value).toFixed(2); });
  const kind = (value, text, checked) => {
    const radio = el("input", { type: "radio", name: "decode", value, checked, onchange: () => { temperature.disabled = value === "greedy"; } });
    return el("label", { class: "check" }, radio, text);
  };
  byId("condition").append(
    el("fieldset", {}, el("legend", {}, "Condition"), el("div", { class: "fields" }, selects.map(({ label }) => label))),
    el("fieldset", {}, el("legend", {}, "Draws"), el("div", { class: "fields" },
      el("label", {}, "number", count), el("label", {}, "seed", seed))),
    el("fieldset", {}, el("legend", {}, "Decoding"), el("div", { class: "fields" },
      kind("greedy", "greedy: the most likely value", true), kind("sample", "sampled"),
      el("div", { class: "fields whole" }, el("label", {}, "temperature", temperature), shownTemperature))));
  byId("condition").addEventListener("submit", (event) => { event.preventDefault(); run(); });
  seed.addEventListener("input", clear);
  byId("draw-buttons").append(
    el("button", { type: "button", class: "main", id: "draw", onclick: run }, "Draw"),
    el("button", { type: "button", id: "clear", onclick: () => { clear(); say("Cleared."); } }, "Clear"),
    el("button", { type: "button", id: "random-condition", onclick: () => {
      condition.set(truth.condition(Math.floor(Math.random() * truth.counts.length)));
    } }, "Random condition"));

  const say = (text) => { byId("draw-status").textContent = text; };
  const chosen = () => (byId("condition").elements.decode.value === "sample" ? sampling(state.random, Number(temperature.value)) : greedy);

  function clear() {
    state.running++;
    Object.assign(state, { counts: new Map(), drawn: 0, random: new Random(Number(seed.value)) });
    show();
  }

  // Draws in parts, so that the page shows them as they come.
  async function run() {
    const wanted = Math.min(Math.max(Math.floor(Number(count.value)) || 1, 1), 100000);
    const turn = ++state.running;
    const choose = chosen();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begun = performance.now();
    for (let done = 0; done < wanted;) {
      // So many that all are drawn after a third of a second, however slow each picture is.
      const share = still ? 1 : (performance.now() - begun + 30) / 300;
      const end = Math.min(Math.ceil(wanted * share), wanted);
      for (; done < end; done++) add(model.decode(condition.values, model.code(state.random), choose));
      show();
      await shown();
      if (turn !== state.running) return;
    }
    document.body.dataset.drawMs = String(Math.round(performance.now() - begun));
    say(summary());
  }

  function add(values) {
    const key = values.join();
    const known = state.counts.get(key) || { values, count: 0 };
    known.count++;
    state.counts.set(key, known);
    state.drawn++;
  }

  function summary() {
    const { rows } = condition;
    const found = rows.filter((row) => state.counts.has(row.values.join())).length;
    const right = rows.reduce((sum, row) => sum + (state.counts.get(row.values.join())?.count || 0), 0);
    return `${state.drawn} drawn for ${truth.conditionName(condition.values)}: ${found} of ${rows.length} valid rows found, `
      + `${state.drawn - right} wrong (pass rate ${percent(right / state.drawn)}).`;
  }

  function show() {
    if (truth.calendar) calendar(truth, condition, state);
    table(truth, condition, state);
  }

  condition.listeners.push(() => {
    selects.forEach(({ select }, place) => { select.value = String(condition.values[place]); });
    clear();
    say(condition.rows.length ? `${truth.conditionName(condition.values)}: ${condition.rows.length} valid rows.`
      : `No row meets ${truth.conditionName(condition.values)}; the model answers all the same.`);
  });
}

// The ten years of the decade, one month each.
function calendar(truth, condition, state) {
  const [, monthPlace, , decadePlace] = condition.values;
  const months = truth.given[1].values;
  const decade = Number(truth.given[3].values[decadePlace]);
  const most = Math.max(1, ...[...state.counts.values()].map(({ count }) => count));
  const valid = new Set(condition.rows.map((row) => row.values.join()));
  const years = [];
  for (let digit = 0; digit < 10; digit++) {
    const year = 10 * decade + digit;
    if (year > 2200) break;
    // A year of the Gregorian calendar below 100 is not asked for, so Date takes years as they are.
    const first = (new Date(Date.UTC(year, monthPlace, 1)).getUTCDay() + 6) % 7;
    const length = new Date(Date.UTC(year, monthPlace + 1, 0)).getUTCDate();
    const cells = Array.from({ length: first }, () => el("td"));
    let [known, drawn] = [0, 0];
    for (let day = 1; day <= length; day++) {
      const key = [decadePlace, monthPlace, digit, day - 1].join();
      const count = state.counts.get(key)?.count || 0;
      const isValid = valid.has(key);
      known += isValid;
      drawn += count;
      const colour = viridis(0.25 + 0.75 * (count / most));
      const style = count ? `background:${css(colour)};color:${inkOn(colour)}` : null;
      const name = `${day}: ${isValid ? "valid" : count ? "wrong" : "not valid"}, drawn ${count} times`;
      const marked = isValid || count > 0;
      cells.push(el("td", { class: isValid ? "valid" : count ? "fails" : "none", title: marked ? name : null },
        el("span", { style, "aria-hidden": marked ? "true" : null }, String(day)), marked ? el("span", { class: "unseen" }, name) : null));
    }
    const weeks = [];
    for (let i = 0; i < cells.length; i += 7) weeks.push(el("tr", {}, cells.slice(i, i + 7)));
    years.push(el("table", {}, el("caption", {}, `${months[monthPlace]} ${year}`, el("span", { class: "quiet" }, known ? ` ${drawn} drawn` : "")),
      el("thead", {}, el("tr", {}, WEEKDAYS.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, weeks)));
  }
  byId("calendar").replaceChildren(el("div", { class: "calendar" }, years));
  if (!byId("calendar-legend").children.length) {
    const mark = (style, text) => el("li", {}, el("i", { style }), text);
    byId("calendar-legend").append(mark("border-color:var(--valid)", "meets the condition"),
      mark(`background:${css(viridis(1))}`, "drawn most often"), mark(`background:${css(viridis(0.3))}`, "drawn rarely"),
      mark("border:2px dashed var(--wrong)", "drawn, but wrong"));
  }
}

// Every row with its count, beside what the truth lets expect.
function table(truth, condition, state) {
  const n = state.drawn;
  const rows = condition.rows.map((row) => ({ ...row, count: state.counts.get(row.values.join())?.count || 0 }));
  const valid = new Set(rows.map((row) => row.values.join()));
  const wrong = [...state.counts.entries()].filter(([key]) => !valid.has(key)).map(([, row]) => row).sort((a, b) => b.count - a.count);
  const most = Math.max(1, ...rows.map((row) => Math.max(row.count, n * row.probability)), ...wrong.map((row) => row.count));
  const line = (row, probability) => {
    const at = (value) => `${(100 * value / most).toFixed(1)}%`;
    return el("tr", { class: probability ? null : "wrong" }, el("th", { scope: "row" }, truth.name(row.values), probability ? "" : " (wrong)"),
      el("td", {}, String(row.count)), el("td", {}, (n * probability).toFixed(1)),
      el("td", { class: "meter", "aria-hidden": "true" }, el("div", {}, el("i", { style: `width:${at(row.count)}` }),
        probability ? el("b", { style: `left:${at(n * probability)}` }) : null)));
  };
  byId("counts").replaceChildren(el("table", { class: truth.calendar ? "counts" : "counts named" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, truth.calendar ? "date" : "row"), el("th", { scope: "col" }, "drawn"), el("th", { scope: "col" }, "expected"),
      el("th", { scope: "col", "aria-hidden": "true" }, ""))),
    el("tbody", {}, rows.map((row) => line(row, row.probability)), wrong.map((row) => line(row, 0)))));
  const right = rows.reduce((sum, row) => sum + row.count, 0);
  const distance = 0.5 * (rows.reduce((sum, row) => sum + Math.abs(row.count / n - row.probability), 0) + (n - right) / n);
  const noise = 0.5 * rows.reduce((sum, row) => sum + binomialDeviation(n, row.probability), 0) / n;
  const reference = truth.sample ? "the observed shares" : "the truth";
  byId("counts-note").textContent = n && rows.length
    ? `Total variation distance of these draws from ${reference}: ${distance.toFixed(3)}. A perfect sampler comes to ${noise.toFixed(3)} on average with as many draws. The line in each bar is the expected count.`
    : `${truth.sample ? "A row is valid if it was observed; its probability is its share." : "The truth lists every valid row with its probability."} Draw to compare.`;
}
