// Charts of the last minutes: rates, CPU, memory, frames per second, with the faults behind them.
//
// Invariant: a chart shows samples that the page took while it was open and to be seen; what it did not see is a gap.

import { h, replace, set } from "./dom.js";
import { makePlot } from "./plot.js";
import { on, store } from "./store.js";
import { byNumber, memory, rate } from "./words.js";

const SPANS = [[1, "1 minute"], [5, "5 minutes"], [15, "15 minutes"]];
const DRAW_EVERY_MS = 900;

const isKnown = (value) => value !== null && value !== undefined;
const ofNodes = (part, known = isKnown) => (samples) => {
  const names = [...new Set(samples.flatMap((sample) => Object.keys(sample.nodes)))].sort(byNumber);
  return names.map((name) => ({ name, points: samples.filter((sample) => known(sample.nodes[name]?.[part])).map((sample) => [sample.at, sample.nodes[name][part]]) }));
};
const ofRate = (part, name = part) => (samples) => [{ name, points: samples.map((sample) => [sample.at, sample.rates[part]]) }];
const both = (...parts) => (samples) => parts.flatMap((part) => part(samples));
const daemonCpu = (samples) => [{ name: "daemon", points: samples.filter((sample) => isKnown(sample.daemon)).map((sample) => [sample.at, sample.daemon]) }];
const number = (value) => rate(value);
const percent = (value) => `${rate(value)} %`;

const CHARTS = [
  { title: "Commits", unit: "entries per second", series: ofRate("commits"), say: number },
  { title: "Calls", unit: "per second", series: both(ofRate("calls"), ofRate("dropped")), say: number },
  { title: "Syncs", unit: "of logs, per second", series: ofRate("syncs"), say: number },
  { title: "Sync time", unit: "milliseconds, the latest", series: ofNodes("sync", (us) => us > 0), scale: 1e-3, say: (ms) => (ms < 10 ? ms.toFixed(2) : number(ms)) },
  { title: "CPU", unit: "percent of one core", series: both(ofNodes("cpu"), daemonCpu), say: percent },
  { title: "Memory", unit: "resident", series: ofNodes("memory"), say: memory },
  { title: "Frames", unit: "per second, of games", series: ofNodes("fps"), say: number, isOptional: true },
];

/** Shows it in `root`; what it answers ends it. */
export function showCharts(root) {
  const plots = CHARTS.map((chart) => ({ ...chart, plot: makePlot(chart.title, chart.unit, chart.say) }));
  let minutes = 5;
  let last = 0;
  const choice = h("select", { id: "charts-span", onchange: ({ target }) => ((minutes = Number(target.value)), draw()) }, SPANS.map(([value, name]) => h("option", { value, selected: value === minutes }, name)));
  const note = h("p", { class: "row" }, h("label", { for: "charts-span" }, "The last"), choice, h("span", { class: "small" }, "Bands are faults; vertical lines are new leaders. The page measures while it is open and in sight."));
  replace(root, h("h1", { class: "unseen" }, "Charts"), note, h("div", { class: "charts" }, plots.map(({ plot }) => plot.element)));

  function draw() {
    last = performance.now();
    const to = Math.max(Date.now(), store.samples.at(-1)?.at ?? 0);
    const from = to - minutes * 60_000;
    const samples = store.samples.filter((sample) => sample.at >= from);
    const [bands, marks] = [bandsOf(samples), marksOf(samples)];
    for (const { plot, series, scale = 1, isOptional } of plots) {
      const lines = series(samples).map(({ name, points }) => ({ name, points: points.map(([at, value]) => [at, value * scale]) }));
      set(plot.element, "hidden", Boolean(isOptional) && !lines.some(({ points }) => points.length));
      plot.update({ from, to, series: lines, bands, marks });
    }
  }
  const stop = on("view", () => performance.now() - last > DRAW_EVERY_MS && draw());
  draw();
  return stop;
}

/** When which fault was in force. */
function bandsOf(samples) {
  const bands = new Map();
  for (const { at, faults } of samples) {
    for (const { id, title } of faults) {
      const band = bands.get(id) ?? bands.set(id, { id, title, from: at }).get(id);
      band.to = at;
    }
  }
  return [...bands.values()];
}

/** When there was a new leader. */
function marksOf(samples) {
  let before = samples[0]?.leader ?? null;
  const marks = [];
  for (const { at, leader, term } of samples) {
    if (leader && leader !== before) marks.push({ at, said: `${leader} leads term ${term}` });
    if (leader) before = leader;
  }
  return marks;
}
