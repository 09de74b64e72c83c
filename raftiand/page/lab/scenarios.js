// The view of scenarios: the figures of the paper, and all others that come with raftian, played in the simulator and shown
// line by line, forwards and backwards.
//
// Invariants: what is shown is a function of the played scenario and of the line that is chosen, so that every way to a line
// shows the same; the lab is neither asked nor changed.
//
// Absent: playing anything here, and steps of one's own: `raftianctl run FILE` plays what one writes.

import { lineButton } from "./controls.js";
import { h, keyed, replace, set, text } from "./dom.js";
import { announce } from "./live.js";
import { makeLogs } from "./logs.js";
import { makeRing } from "./ring.js";
import { call, on, store } from "./store.js";
import { shell, span } from "./words.js";

/** How long a line is shown while it plays by itself, in milliseconds. */
const LINE_MS = 1_400;

/** Shows it in `root`; what it answers ends it. */
export function showScenarios(root) {
  const list = h("nav", { class: "panel scenario-list", "aria-label": "Scenarios" }, h("p", { class: "small" }, "asking which there are …"));
  const stage = h("div", { class: "scenario" });
  replace(root, h("h1", { class: "unseen" }, "Scenarios"), h("div", { class: "scenarios" }, list, stage));
  let player = null;
  let isOver = false;

  const wanted = () => decodeURIComponent(location.hash.split("/")[1] ?? "");
  const open = async () => {
    player?.end();
    player = null;
    const name = wanted();
    for (const link of list.querySelectorAll("a")) set(link, "aria-current", link.dataset.name === name ? "true" : null);
    if (!name) {
      replace(stage, h("section", { class: "panel" }, h("h2", {}, "Choose a scenario"), h("p", {}, "Each is played by the real consensus core under virtual time, in the simulator. Nothing of your lab is touched.")));
      return;
    }
    replace(stage, h("section", { class: "panel", role: "status" }, h("p", {}, `playing ${name} …`)));
    try {
      const played = await call("view.play", name);
      if (isOver || wanted() !== name) return;
      player = makePlayer(stage, played);
    } catch (error) {
      if (!isOver && wanted() === name) replace(stage, h("section", { class: "panel is-failed", role: "alert" }, h("p", { class: "sentence" }, error.message)));
    }
  };
  const load = async () => {
    try {
      const scenarios = await call("view.scenarios");
      if (isOver) return;
      const groups = new Map();
      for (const one of scenarios) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);
      replace(list, [...groups].map(([group, ones]) => h("section", {}, h("h2", {}, group), h("ul", {}, ones.map(item)))));
      await open();
    } catch (error) {
      if (!isOver) replace(list, h("p", { class: "sentence", role: "alert" }, error.message));
    }
  };
  const item = ({ name, title }) => h("li", {}, h("a", { href: `#scenarios/${name}`, "data-name": name }, title || name));
  addEventListener("hashchange", open);
  const whenOpen = () => store.state === "open" && !list.querySelector("a") && load();
  const stop = on("state", whenOpen);
  whenOpen();
  return () => {
    isOver = true;
    stop();
    removeEventListener("hashchange", open);
    player?.end();
  };
}

/** The player of one that was played. */
function makePlayer(stage, played) {
  const frames = framesOf(played);
  const source = { view: frames[0].view, selected: new Set() };
  const ring = makeRing(source);
  const logs = makeLogs(source);
  let at = 0;
  let timer = null;

  const button = (label, name, onclick) => h("button", { type: "button", class: "act", "aria-label": name, title: name, onclick }, label);
  const play = button("Play", "Play, or hold", () => (timer ? hold() : go()));
  const place = h("input", { type: "range", min: 0, max: frames.length - 1, value: 0, "aria-label": "Line of the scenario", oninput: () => (hold(), show(Number(place.value))) });
  const step = h("p", { class: "step", role: "status" });
  const says = h("p", { class: "comment" });
  const line = h("p", { class: "statement" });
  const lines = h("ol", { class: "lines", tabindex: 0, "aria-label": "Lines of the scenario" });
  const verdict = played.holds ? "all held" : `stopped: ${played.why ?? ""}`;
  const controls = h("div", { class: "player" }, button("|◀", "To the beginning", () => (hold(), show(0))), button("◀", "One line back", () => (hold(), show(at - 1))), play, button("▶", "One line on", () => (hold(), show(at + 1))), place);
  const left = h("div", { class: "left" }, h("section", { class: "panel ring-panel", "aria-label": "Cluster" }, ring.stage), logs.element);
  const head = h("section", { class: "panel" }, h("h2", {}, played.title || played.scenario), h("p", {}, played.see ?? ""), h("p", { class: "small" }, `seed ${played.seed}, ${frames.length - 1} lines; ${verdict}`), lineButton(shell(`run ${played.scenario} --step`)));
  const now = h("section", { class: "panel now" }, step, line, says, controls);
  replace(stage, h("div", { class: "cluster" }, left, h("div", { class: "right" }, now, head, h("section", { class: "panel" }, h("h2", {}, "Line by line"), lines))));
  keyed(lines, frames.slice(1), (frame) => frame.number, (frame) => h("li", { class: `line-item${frame.isKey ? " is-key" : ""}` }, h("button", { type: "button", class: "quiet", onclick: () => (hold(), show(frame.number)) }, frame.text)));

  function show(wanted) {
    at = Math.max(0, Math.min(frames.length - 1, wanted));
    const frame = frames[at];
    source.view = frame.view;
    source.selected = frame.nodes;
    place.value = at;
    text(step, at ? `line ${at} of ${frames.length - 1}, at ${span(frame.atMs)}` : `before the first of ${frames.length - 1} lines`);
    text(line, frame.text);
    text(says, frame.comment);
    set(says, "class", `comment${frame.isKey ? " is-key" : ""}`);
    [...lines.children].forEach((item, number) => set(item, "aria-current", number + 1 === at ? "step" : null));
    const current = lines.children[at - 1];
    // The list is what the places of its items count from.
    if (current) lines.scrollTop = current.offsetTop - lines.clientHeight / 2;
    if (source.view) {
      ring.update();
      logs.update();
    }
    announce([frame.text, frame.comment].filter(Boolean).join(". "));
  }

  function go() {
    if (at === frames.length - 1) show(0);
    text(play, "Hold");
    timer = setInterval(() => (at === frames.length - 1 ? hold() : show(at + 1)), LINE_MS);
  }

  function hold() {
    clearInterval(timer);
    timer = null;
    text(play, "Play");
  }

  const keys = (event) => {
    if (event.target.closest("input, .ring")) return;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: frames.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    hold();
    show(to);
  };
  stage.addEventListener("keydown", keys);
  const resized = new ResizeObserver(() => ring.resize());
  resized.observe(ring.stage);
  ring.resize();
  show(0);
  return {
    end() {
      hold();
      resized.disconnect();
      stage.removeEventListener("keydown", keys);
    },
  };
}

/** What there is to see after each line, the first before all of them. */
function framesOf({ lines }) {
  let view = lines.find((line) => line.view)?.view ?? null;
  const frames = [{ number: 0, text: "", comment: "", isKey: false, atMs: 0, nodes: new Set(), view }];
  let comment = "";
  for (const line of lines) {
    view = line.view ?? view;
    const isKey = line.comment?.startsWith("! ") ?? false;
    // A comment is about the lines from here to the next one.
    comment = isKey ? `▶ ${line.comment.slice(2)}` : line.comment ?? comment;
    const note = line.took_ms === undefined ? "not so" : line.note ?? "";
    const nodes = new Set(line.text.match(/\bn\d+(\.\d+)?\b/g) ?? []);
    frames.push({ number: frames.length, text: line.text + (note ? `  (${note})` : ""), comment, isKey, atMs: line.at_ms, nodes, view });
  }
  return frames;
}
