// Colours and small charts.

// Lines that can be told apart in both themes (Okabe and Ito).
const LINES = ["var(--line-1)", "var(--line-2)", "var(--line-3)", "var(--line-4)"];
const VIRIDIS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121],
  [109, 205, 89], [180, 222, 44], [253, 231, 37]];

function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[low].map((value, i) => Math.round(value + (VIRIDIS[low + 1][i] - value) * (place - low)));
}

function css(colour) {
  return `rgb(${colour.join(" ")})`;
}

// Black or white, whichever stands out.
function inkOn([r, g, b]) {
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#000" : "#fff";
}

// A share as a percentage; 100 % is written for all, never for nearly all.
function percent(share) {
  const rounded = (100 * share).toFixed(2);
  return rounded === "100.00" && share < 1 ? `${(Math.floor(1e6 * share) / 1e4).toFixed(4)} %` : `${rounded} %`;
}

function figure(measure, value) {
  if (value === undefined || value === null) return "–";
  if (typeof value === "string") return value;
  return measure.unit === "%" ? percent(value) : value.toFixed(measure.digits);
}

// Round numbers between two ends.
function ticks(low, high) {
  const rough = (high - low) / 4 || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((step) => step >= rough);
  const marks = [];
  for (let mark = Math.ceil(low / step - 1e-9); mark * step <= high + step * 1e-9; mark++) marks.push(mark * step);
  return marks;
}

const short = (value) => String(Number(value.toPrecision(4)));

// A line chart of { name, x, y } with a legend; says its ends to those who do not see it.
function lineChart(title, unit, lines) {
  const scale = unit === "%" ? 100 : 1;
  const points = lines.map(({ x, y }) =>
    x.map((value, i) => [value, y[i] === null ? NaN : scale * y[i]]).filter((point) => Number.isFinite(point[1])));
  const all = points.flat();
  if (!all.length) return null;
  const ends = (i) => [Math.min(...all.map((point) => point[i])), Math.max(...all.map((point) => point[i]))];
  let [[x0, x1], [y0, y1]] = [ends(0), ends(1)];
  if (y0 === y1) [y0, y1] = [y0 - Math.abs(y0 || 1) * 0.1, y1 + Math.abs(y1 || 1) * 0.1];
  if (unit === "%") y1 = Math.min(y1, 100);
  const isOne = x0 === x1;
  if (isOne) [x0, x1] = [x0 - 1, x1 + 1];
  const [width, height, left, bottom, top, right] = [320, 170, 44, 22, 8, 8];
  const px = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right);
  const py = (y) => height - bottom - ((y - y0) / (y1 - y0)) * (height - bottom - top);
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const said = lines.map(({ name }, i) => {
    const own = points[i];
    if (!own.length) return "";
    return `${name ? `${name}: ` : ""}${short(own[0][1])} at the start, ${short(own[own.length - 1][1])} at the end`;
  });
  const inUnit = unit ? `, ${unit}` : "";
  node.append(svg("title", {}, `${title}${inUnit}. ${said.filter(Boolean).join("; ")}.`));
  for (const mark of ticks(y0, y1)) {
    node.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: py(mark), y2: py(mark) }));
    node.append(svg("text", { x: left - 4, y: py(mark) + 4, "text-anchor": "end" }, short(mark)));
  }
  for (const mark of isOne ? [x0 + 1] : ticks(x0, x1)) {
    const anchor = px(mark) > width - 24 ? "end" : "middle";
    node.append(svg("text", { x: Math.min(px(mark), width - 2), y: height - 6, "text-anchor": anchor }, short(mark)));
  }
  points.forEach((own, i) => {
    const path = own.map(([x, y], j) => `${j ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("");
    // One evaluation has no line.
    if (own.length === 1) node.append(svg("circle", { cx: px(own[0][0]), cy: py(own[0][1]), r: 3, style: `fill:${LINES[i]}` }));
    node.append(svg("path", { d: path, fill: "none", style: `stroke:${LINES[i]}`, "stroke-width": 2, "stroke-dasharray": i % 2 ? "5 3" : null }));
  });
  const named = lines.some(({ name }) => name);
  const legend = named && el("ul", { class: "legend", "aria-hidden": "true" }, lines.map(({ name }, i) =>
    el("li", {}, el("i", { style: `background:${LINES[i]};height:.3em` }), name)));
  return el("figure", {}, el("figcaption", {}, `${title}${inUnit}`), node, legend || null);
}
