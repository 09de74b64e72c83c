// A chart of lines over time, drawn by hand as SVG: grid, lines, bands of faults, marks of elections.
//
// Invariant: a pure function of the series, but for the elements that it keeps. A gap in the samples is a gap in the line; lines
// differ by dashes as well as by colour.

import { h, keyed, s, set, setAll, text } from "./dom.js";
import { clock } from "./words.js";

const WIDTH = 640;
const HEIGHT = 190;
const LEFT = 60;
const BOTTOM = 22;
const TOP = 18;
const GAP_MS = 15_000;
const LINES = 8;

/** Makes a chart. `update({from, to, series, bands, marks})`: series are {name, points: [[at, value]]}. */
export function makePlot(title, unit, say) {
  const bands = s("g", { class: "bands" });
  const grid = s("g", { class: "grid" });
  const marks = s("g");
  const lines = s("g");
  const times = s("g", { class: "times" });
  const svg = s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }, bands, grid, marks, lines, times);
  const legend = h("ul", { class: "plot-legend" });
  const element = h("section", { class: "panel chart" }, h("h2", {}, title, h("span", { class: "small" }, ` ${unit}`)), svg, legend);

  const update = ({ from, to, series, bands: faults, marks: elections }) => {
    const most = nice(Math.max(0, ...series.flatMap(({ points }) => points.map(([, value]) => value))));
    const x = (at) => LEFT + ((at - from) / (to - from)) * (WIDTH - LEFT - 8);
    const y = (value) => HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - TOP);
    drawGrid(grid, most, y, say);
    drawTimes(times, from, to, x);
    drawBands(bands, faults, from, x);
    keyed(marks, elections, (mark) => mark.at, () => s("line", { class: "election", y1: TOP, y2: HEIGHT - BOTTOM }, s("title")), (line, mark) => {
      setAll(line, { x1: x(mark.at), x2: x(mark.at) });
      text(line.firstChild, mark.said);
    });
    keyed(lines, series.map((one, place) => ({ ...one, place })), (one) => one.name, ({ place }) => s("path", { class: `line-${place % LINES}` }), (path, { points }) => set(path, "d", pathOf(points, x, y)));
    keyed(legend, series.map((one, place) => ({ ...one, place })), (one) => one.name, ({ place }) => h("li", {}, s("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, s("path", { class: `line-${place % LINES}`, d: "M0 4H26" })), h("span")), (item, { name, points }) => text(item.lastChild, `${name} ${points.length ? say(points.at(-1)[1]) : "–"}`));
    const now = series.map(({ name, points }) => `${name} ${points.length ? say(points.at(-1)[1]) : "nothing"}`).join(", ");
    set(svg, "aria-label", `${title}, ${unit}: now ${now}`);
  };
  return { element, update };
}

/** The line through points; it breaks where samples are missing. */
function pathOf(points, x, y) {
  let before = -Infinity;
  return points.map(([at, value]) => {
    const verb = at - before > GAP_MS ? "M" : "L";
    before = at;
    return `${verb}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  }).join("");
}

/** The end of an axis: 1, 2 or 5 times a power of ten. */
function nice(most) {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return power * [1, 2, 5, 10].find((step) => step * power >= most);
}

function drawGrid(grid, most, y, say) {
  keyed(grid, [0, 0.5, 1], (share) => share, () => s("g", {}, s("line", { x1: LEFT, x2: WIDTH - 8 }), s("text", { x: LEFT - 6 })), (group, share) => {
    const at = y(most * share);
    setAll(group.firstChild, { y1: at, y2: at });
    setAll(group.lastChild, { y: at + 4, text: say(most * share) });
  });
}

function drawTimes(times, from, to, x) {
  keyed(times, [0, 1, 2, 3], (place) => place, () => s("text", { y: HEIGHT - 5 }), (label, place) => {
    const at = from + ((to - from) * (place + 0.12)) / 4;
    setAll(label, { x: x(at), text: clock(at) });
  });
}

/** A shade where any fault was in force, and above it their names, those of one place together. */
function drawBands(bands, faults, from, x) {
  const [shades, names] = [[], []];
  for (const { id, title, from: begin, to } of [...faults].sort((a, b) => a.from - b.from)) {
    const [left, right] = [x(Math.max(begin, from)), x(to)];
    const shade = shades.at(-1);
    if (shade && left <= shade.right) shade.right = Math.max(shade.right, right);
    else shades.push({ left, right });
    const name = names.at(-1);
    if (name && left < name.left + name.said.length * 7 + 8) {
      name.said += ` ${id}`;
      name.title += `\n${id} ${title}`;
    } else {
      names.push({ left, said: id, title: `${id} ${title}` });
    }
  }
  const marks = [...shades, ...names];
  keyed(bands, marks, (mark) => marks.indexOf(mark) + (mark.said ? " name" : ""), ({ said }) => (said ? s("text", { y: TOP - 5 }) : s("rect", { y: TOP, height: HEIGHT - BOTTOM - TOP })), (element, { left, right, said, title }) => {
    if (said) {
      set(element, "x", left);
      if (element.said !== said) element.replaceChildren(said, s("title", { text: title }));
      element.said = said;
    } else {
      setAll(element, { x: left, width: Math.max(2, right - left) });
    }
  });
}
