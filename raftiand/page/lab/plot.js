// A chart of lines over time, drawn by hand as SVG: grid, lines, bands of faults, marks of elections.
//
// Invariant: a pure function of the series, but for the elements that it keeps. A gap in the samples is a gap in the line; lines
// differ by dashes as well as by colour.

import { h, keyed, s, set, setAll, text } from "./dom.js";
import { clock } from "./words.js";

const WIDTH = 640;
const HEIGHT = 190;
const LEFT = 52;
const BOTTOM = 22;
const TOP = 18;
const GAP_MS = 15_000;
const LINES = 8;

/** Makes a chart. `update({from, to, series, bands, marks})`: series are {name, points: [[at, value]]}. */
export function makePlot(title, unit, say) {
  const bands = s("g");
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

function drawBands(bands, faults, from, x) {
  keyed(bands, faults, (fault) => fault.id, () => s("g", { class: "band" }, s("rect", { y: TOP, height: HEIGHT - BOTTOM - TOP }), s("text", { y: TOP - 5 }), s("title")), (group, fault) => {
    const left = x(Math.max(fault.from, from));
    setAll(group.children[0], { x: left, width: Math.max(2, x(fault.to) - left) });
    setAll(group.children[1], { x: left + 2, text: fault.id });
    text(group.children[2], fault.title);
  });
}
